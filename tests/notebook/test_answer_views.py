"""Results under a cell as HTML and as short text, without a kernel."""

from __future__ import annotations

from fal_jupyter.notebook.calls.answer_views import records_of, table


def test_a_rounded_number_of_a_table_has_its_exact_value_in_the_title() -> None:
    shown = table([{"score": 1 / 7, "count": 3}, {"score": 0.5, "count": None}])
    assert f'title="{1 / 7!r}">0.142857</td>' in shown
    assert shown.count("title=") == 1
    assert ">0.5</td>" in shown


def test_numbers_that_are_none_are_in_a_table_too() -> None:
    shown = table([{"score": float("nan")}, {"score": float("inf")}])
    assert (">nan</td>" in shown, ">inf</td>" in shown) == (True, True)


def test_records_are_two_or_more_flat_ones() -> None:
    assert records_of([{"a": 1}]) is None
    assert records_of([{"a": 1}, {"a": [1]}]) is None
    assert records_of([{"a": 1}, {"b": "x"}]) == [{"a": 1}, {"b": "x"}]
