from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fal_jupyter.commands.numbers import milliseconds, percentile, plural, rate, size
from fal_jupyter.commands.tables import table


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (None, "–"),
        (float("nan"), "–"),
        (0, "0"),
        (0.03, "<0.1 ms"),
        (2.08, "2.1 ms"),
        (9.96, "10 ms"),
        (412.4, "412 ms"),
        (999.7, "1.00 s"),
        (3240, "3.24 s"),
        (14_400, "14.4 s"),
        (59_960, "1 m 0 s"),
        (252_000, "4 m 12 s"),
    ],
)
def test_a_duration_has_one_unit_and_about_three_digits(value: float | None, written: str) -> None:
    assert milliseconds(value) == written


@pytest.mark.parametrize(
    ("value", "written"),
    [(0, "0 B"), (214, "214 B"), (214_000, "214 kB"), (16_800_000, "16.8 MB"), (14_100_000_000, "14.1 GB")],
)
def test_a_size_is_in_powers_of_ten(value: float, written: str) -> None:
    assert size(value) == written


@pytest.mark.parametrize(("value", "written"), [(11.84, "11.8/s"), (412, "412/s"), (1204, "1.2 k/s"), (-1, "–")])
def test_a_rate_is_short(value: float, written: str) -> None:
    assert rate(value) == written


def test_one_is_singular() -> None:
    assert plural(1, "call") == "1 call"
    assert plural(1204, "call") == "1,204 calls"


@given(st.lists(st.floats(0, 1e9), min_size=1, max_size=50))
def test_a_percentile_is_one_of_the_values(values: list[float]) -> None:
    assert percentile(values, 0.5) in values
    assert percentile(values, 1.0) == max(values)
    assert percentile(values, 0.0) == min(values)


def test_a_table_keeps_each_row_on_one_line() -> None:
    drawn = table(["name", "n"], [["a\nb", 1], ["c", 20]], right=["n"])
    assert drawn.splitlines() == ["name   n", "a b    1", "c     20"]
    assert table(["name"], []) == "name"
