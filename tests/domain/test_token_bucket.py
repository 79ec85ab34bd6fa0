"""How much may be printed: a burst at once, then so much a second, however it is cut."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fal_jupyter.domain.text.token_bucket import TokenBucket


def test_a_burst_passes_then_as_much_as_time_brings() -> None:
    allowance = TokenBucket(burst=100, rate=10)

    assert allowance.take(100, 5.0)
    assert not allowance.take(1, 5.0)
    assert allowance.take(10, 6.0)
    assert not allowance.take(10, 6.5)
    assert allowance.take(10, 7.0)
    assert allowance.take(100, 1000.0)
    assert not allowance.take(1, 1000.0)


@given(st.lists(st.tuples(st.integers(0, 200), st.floats(0, 3)), max_size=60))
def test_never_more_than_burst_and_rate_allow(pieces: list[tuple[int, float]]) -> None:
    allowance, now, passed = TokenBucket(burst=100, rate=10), 7.0, 0
    for size, pause in pieces:
        now += pause
        if allowance.take(size, now):
            passed += size
        assert passed <= 100 + 10 * (now - 7.0) + 1e-6
