"""A runner's hints, as its header has them."""

from __future__ import annotations

from fal_jupyter.domain.runners.hints import MOST_HINTS, hints_of


def test_hints_are_separated_by_commas_empty_ones_are_none_and_their_number_is_bounded() -> None:
    assert hints_of("a,b,,a") == {"a", "b"}
    assert hints_of("") == frozenset()
    assert hints_of(",".join(str(n) for n in range(2 * MOST_HINTS))) == {str(n) for n in range(MOST_HINTS)}
