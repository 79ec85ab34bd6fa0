"""What the answer 422 says about an array, which was sent as a list."""

from __future__ import annotations

from typing import Any

import pydantic
import pytest

from fal_jupyter.client.calls.hints import for_field, for_invalid_input


class Point(pydantic.BaseModel):
    x: int = 0


ONE = "an array is sent as its .tolist(): send one item of it, or declare the parameter as "
NAMED = "an array is sent as its .tolist(): send it under a name, {'values': ….tolist()}"


@pytest.mark.parametrize(
    ("takes", "sent", "hint"),
    [
        (float, [1.5, 2.5], ONE + "list[float]"),
        (float | None, [[1.5]], ONE + "list[float]"),
        (int, [1, 2], ONE + "list[int]"),
        (bool, [True, False], ONE + "list[bool]"),
        (str, [1.5], "an array is sent as its .tolist(): send str(…) of it, or declare the parameter as list"),
        (dict, [1.5], NAMED),
        (Point, [1.5], NAMED),
        (list[float], [[1.5], [2.5]], "send one flat list: of an array, its .ravel().tolist()"),
        (list[int], [1.5], "send whole numbers: of an array, its .round().astype(int).tolist()"),
        (list[str], [1.5], "send text: of an array, its .astype(str).tolist()"),
        (float, [], ""),
        (float, ["a"], ""),
        (int, 1.5, ""),
        (str, 3, ""),
        (list[float], ["a"], ""),
    ],
)
def test_an_array_where_something_else_is_taken_says_what_to_send(takes: Any, sent: object, hint: str) -> None:
    with pytest.raises(pydantic.ValidationError) as refused:
        pydantic.TypeAdapter[object](takes).validate_python(sent)
    detail = [{**error, "loc": ["body", "x", *error["loc"]]} for error in refused.value.errors()]

    assert for_invalid_input(detail) == hint


def test_the_first_field_that_json_cannot_hold_is_named() -> None:
    class Series:
        def tolist(self) -> list[float]:
            return []

    assert for_field({"a": 1, "b": Series(), "c": Series()}) == "give the field b its .tolist()"
    assert for_field({"a": 1, "b": object()}) == ""
