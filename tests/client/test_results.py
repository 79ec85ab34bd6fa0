from __future__ import annotations

import dataclasses
import datetime
import json
from collections.abc import AsyncIterator, Callable
from typing import Annotated, Any, Generic, Literal, Optional, TypedDict, TypeVar, Union

import pytest
from fastapi.responses import JSONResponse, StreamingResponse
from pydantic import BaseModel, ConfigDict, Field, computed_field, field_serializer

from fal_jupyter.client.calls.events import decoder_for
from fal_jupyter.client.calls.results import Results, failure
from fal_jupyter.client.connection.answer import Answer
from fal_jupyter.domain.errors import RequestError
from fal_jupyter.protocol.api import EndRecord, ErrorDescription

T = TypeVar("T")


DEEP = b"[" * 100_000 + b"]" * 100_000


class Item(BaseModel):
    id: int
    name: str = Field(default="n", alias="theName")


class Cat(BaseModel):
    kind: Literal["cat"]


class Dog(BaseModel):
    kind: Literal["dog"]


class Page(BaseModel, Generic[T]):
    items: list[T]


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")
    a: int

    @computed_field  # type: ignore[prop-decorator]
    @property
    def double(self) -> int:
        return self.a * 2


class OneWay(BaseModel):
    size: int

    @field_serializer("size")
    def shown(self, size: int) -> str:
        return f"{size} MB"


@dataclasses.dataclass
class Point:
    x: int
    item: Item | None = None


class Keys(TypedDict):
    a: int


def answered(body: Any, kind: str = "application/json", status: int = 200, **headers: str) -> Answer:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Answer(status, [("Content-Type", kind), *((n.replace("_", "-"), v) for n, v in headers.items())], data)


def annotated(hint: Any) -> Callable[..., Any]:
    def hi(self: Any) -> Any: ...

    hi.__annotations__ = {"return": hint}
    return hi


ONE = {"id": 1, "theName": "a"}
A = Item(id=1, theName="a")


@pytest.mark.parametrize(
    ("hint", "body", "expected"),
    [
        (Item, ONE, A),
        ("Item", ONE, A),
        (list[Item], [ONE, ONE], [A, A]),
        (dict[str, Item], {"k": ONE}, {"k": A}),
        (tuple[Item, int], [ONE, 3], (A, 3)),
        (Optional[Item], None, None),  # noqa: UP045
        (Optional[Item], ONE, A),  # noqa: UP045
        (Item | None, ONE, A),
        (Union[Item, str], "text", "text"),  # noqa: UP007
        (Annotated[Item, "note"], ONE, A),
        (Annotated[Cat | Dog, Field(discriminator="kind")], {"kind": "dog"}, Dog(kind="dog")),
        (Page[Item], {"items": [ONE]}, Page[Item](items=[A])),
        (Point, {"x": 1, "item": ONE}, Point(1, A)),
        (list[Point], [{"x": 2}], [Point(2)]),
        (Strict, {"a": 2, "double": 4}, Strict(a=2)),
        (list[Strict], [{"a": 2, "double": 4}], [Strict(a=2)]),
        (dict, {"id": 1}, {"id": 1}),
        (Any, [1, None, 2.5, "x"], [1, None, 2.5, "x"]),
        (None, None, None),
        (Keys, {"a": 1}, {"a": 1}),
        (datetime.date, "2026-01-02", "2026-01-02"),
        (int, 3, 3),
        ("NotThere", {"id": 1}, {"id": 1}),
        (AsyncIterator[Item], ONE, ONE),
        (JSONResponse, ONE, ONE),
        (Item | JSONResponse, ONE, ONE),
    ],
)
def test_an_answer_is_the_annotated_model_or_plain_values(hint: Any, body: Any, expected: Any) -> None:
    value = Results(annotated(hint)).value(answered(body))

    assert value == expected
    assert type(value) is type(expected)


@pytest.mark.parametrize(
    ("kind", "body", "expected"),
    [
        ("text/plain; charset=utf-8", "é".encode(), "é"),
        ("text/html", b"\xff<p>", "\ufffd<p>"),
        ("image/png", b"\x89PNG", b"\x89PNG"),
        ("application/octet-stream", b"", b""),
        ("application/jsonl", b'{"a": 1}\n{"a": 2}\n', [{"a": 1}, {"a": 2}]),
        ("application/json; charset=utf-8", b"", None),
        ("application/problem+json", b'{"a": 1}', {"a": 1}),
        ("APPLICATION/JSON", b"[1]", [1]),
    ],
)
def test_other_kinds_of_answers_are_text_or_bytes(kind: str, body: bytes, expected: Any) -> None:
    assert Results(annotated(StreamingResponse)).value(answered(body, kind)) == expected


@pytest.mark.parametrize(
    ("hint", "kind", "body", "message"),
    [
        (Item, "application/json", b"{", "hi answered invalid JSON"),
        (Item, "application/json", b"", "hi answered invalid JSON"),
        (Any, "application/json", b"nothing", "hi answered invalid JSON"),
        (Any, "application/json", b"\xff", "hi answered invalid JSON"),
        (Any, "application/jsonl", b'{"a": 1}\n{"b', "hi answered invalid JSON"),
        *(
            (hint, "application/json", DEEP, "hi answered JSON that is nested too deeply")
            for hint in (Any, Item, Strict)
        ),
    ],
)
def test_an_answer_that_cannot_be_read_is_a_request_error(hint: Any, kind: str, body: bytes, message: str) -> None:
    with pytest.raises(RequestError) as caught:
        Results(annotated(hint)).value(answered(body, kind, x_fal_request_id="r1"))

    assert message in str(caught.value)
    assert (caught.value.status, caught.value.request_id) == (200, "r1")
    assert "pydantic.dev" not in str(caught.value)


@pytest.mark.parametrize(
    ("hint", "body", "named"),
    [
        (Item, {"id": "x"}, "Item, so the plain value is given (id: "),
        (list[Item], [{"id": 1}, {}], "1.id: Field required"),
        (OneWay, {"size": "3 MB"}, "size: "),
    ],
)
def test_an_answer_that_its_annotation_does_not_take_is_the_plain_value_with_a_notice(
    hint: Any, body: Any, named: str
) -> None:
    results = Results(annotated(hint))

    assert results.value(answered(body)) == body
    assert "hi's answer does not fit its annotation" in results.notice
    assert named in results.notice
    assert "pydantic.dev" not in results.notice


@pytest.mark.parametrize("kind", ["text/event-stream", "application/jsonl", "application/json"])
def test_a_streamed_value_that_is_nested_too_deeply_is_its_text(kind: str) -> None:
    decoder = decoder_for(kind)
    sent = b"data: " + DEEP + b"\n\n" if kind == "text/event-stream" else DEEP + b"\n"
    (value,) = [*decoder.feed(sent), *decoder.end()]
    assert str(value).strip().encode() == DEEP


# --- failures -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("body", "message", "detail"),
    [
        ({"detail": "gone"}, "A.hi answered 404: gone", "gone"),
        ({"detail": {"code": 3}}, "A.hi answered 404: {'code': 3}", {"code": 3}),
        ({"detail": ["a", "b"]}, "A.hi answered 404: a; b", ["a", "b"]),
        ({"detail": None}, "A.hi answered 404: None", None),
        ({"error": "x"}, 'A.hi answered 404: {"error": "x"}', '{"error": "x"}'),
        ([1], "A.hi answered 404: [1]", "[1]"),
        (b"<html>", "A.hi answered 404: <html>", "<html>"),
        (DEEP, "A.hi answered 404: [[[[", "[" * 500),
        (b"\xff\xfe", "A.hi answered 404: \ufffd\ufffd", "\ufffd\ufffd"),
        (b"", "A.hi answered 404: ", ""),
        (b"x" * 5000, "A.hi answered 404: " + "x" * 500, "x" * 500),
        ({"detail": [{"loc": "odd"}, {"loc": None, "msg": 3}, 7]}, "A.hi answered 404: ", [{"loc": "odd"}, {"loc": None, "msg": 3}, 7]),
    ],
)  # fmt: skip
def test_a_failed_call_is_reported_for_any_form_of_answer(body: Any, message: str, detail: Any) -> None:
    error = failure(answered(body, status=404, x_fal_error_type="odd", x_fal_request_id="r2"), "A.hi")

    assert str(error).startswith(message)
    assert (error.detail, error.status, error.error_type, error.request_id) == (detail, 404, "odd", "r2")


def test_a_422_names_each_place_and_what_was_given() -> None:
    detail = [
        {"loc": ["body", "text"], "msg": "Field required", "type": "missing", "input": {}},
        {"loc": ["body", "n", 0], "msg": "not an int", "type": "int_parsing", "input": "x" * 500},
        *[{"loc": ["query"], "msg": "bad", "type": "t", "input": i} for i in range(5)],
    ]
    error = failure(answered({"detail": detail}, status=422), "A.hi")

    assert str(error).startswith("A.hi answered 422: text: Field required; n.0: not an int (got 'xxx")
    assert str(error).endswith("query: bad (got 2) and 2 more")
    assert len(str(error)) < 300
    assert error.detail == detail


@pytest.mark.parametrize(
    ("phase", "message", "expected_message"),
    [
        ("request", "bad x", "ValueError: bad x"),
        ("request", "", "ValueError"),
        ("setup", "no file", "setup() raised ValueError: no file"),
    ],
)
def test_the_users_own_error_is_reported_by_type_with_its_traceback(
    phase: str, message: str, expected_message: str
) -> None:
    described = ErrorDescription(
        type="ValueError", message=message, text="Traceback\nValueError", frames=[], phase=phase
    )
    answer = answered({"detail": "Internal Server Error"}, status=500)
    answer.error = described
    answer.end = EndRecord(request_id="r3")  # type: ignore[typeddict-item]

    error = failure(answer, "A.hi")

    assert str(error) == expected_message
    assert (error.traceback, error.error, error.request_id) == ("Traceback\nValueError", dict(described), "r3")
