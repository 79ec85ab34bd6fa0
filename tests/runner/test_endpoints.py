"""The application of an App against the one that plain FastAPI makes of the same methods, and where ours gives more."""

from __future__ import annotations

import dataclasses
import enum
import json
from collections.abc import Callable
from typing import Annotated, Any, Literal, Optional

import pytest
from fastapi import Body, Cookie, FastAPI, Header, HTTPException, Query, Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse, StreamingResponse
from pydantic import BaseModel, Field

from fal_jupyter import fal
from fal_jupyter.runner.application.endpoints import build
from fal_jupyter.runner.application.error_handlers import add_handlers
from tests.runner.asgi import call
from tests.support.http_answer import Answer

JSON = {"content-type": "application/json"}


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Item(BaseModel):
    name: str
    price: float = Field(gt=0)
    tags: list[str] = []


class Other(BaseModel):
    size: int


@dataclasses.dataclass
class Box:
    width: int
    height: int = 1


def ours(method: Callable[..., Any], path: str = "/") -> FastAPI:
    """The application of an App with this one endpoint."""
    cls = type("Made", (fal.App,), {"run": fal.endpoint(path)(method), "__module__": __name__})
    return build(cls(_allow_init=True))  # type: ignore[call-arg]


def theirs(method: Callable[..., Any], path: str = "/") -> FastAPI:
    """What FastAPI makes of it: the method bound to an instance, as a POST route; with fal's words for what goes wrong."""
    app = FastAPI()
    add_handlers(app)
    app.add_api_route(path, method.__get__(object()), methods=["POST"])  # type: ignore[attr-defined]
    return app


def same(mine: Answer, plain: Answer) -> None:
    if plain.status == 500:  # FastAPI's own trouble (an error body that JSON cannot hold): a failure here too, as JSON
        assert (mine.status, mine.json) == (500, {"detail": "Internal Server Error"})
        return
    assert (mine.status, mine.body) == (plain.status, plain.body)
    assert mine.headers.get("content-type") == plain.headers.get("content-type")


# --- methods of every kind --------------------------------------------------------------------------------------------
def plain(self: Any, prompt: str, steps: int = 30) -> dict[str, Any]:
    return {"prompt": prompt, "steps": steps}


def typed(
    self: Any,
    flag: bool,
    ratio: float = 0.5,
    colour: Colour = Colour.RED,
    mode: Literal["a", "b"] = "a",
    maybe: Optional[int] = None,  # noqa: UP045  # written as many users do
) -> dict[str, Any]:
    return {"flag": flag, "ratio": ratio, "colour": colour, "mode": mode, "maybe": maybe}


def named_list(self: Any, names: list[str] = Query(["default"])) -> list[str]:  # noqa: B008
    return names


def bounded(
    self: Any, count: Annotated[int, Query(ge=1, le=5)], names: Annotated[list[str] | None, Query()] = None
) -> dict[str, Any]:
    return {"count": count, "names": names}


def aliased(self: Any, size: Annotated[int, Query(alias="image-size")] = 1) -> int:
    return size


def nullable(self: Any, maybe: int | None = 5) -> int | None:
    return maybe


def model(self: Any, item: Item) -> Item:
    return item


async def model_async(self: Any, item: Item, request: Request, verbose: bool = False) -> dict[str, Any]:
    return {"item": item, "method": request.method, "verbose": verbose}


def maybe_model(self: Any, item: Item | None = None) -> Item | None:
    return item


def two_models(self: Any, item: Item, other: Other) -> dict[str, Any]:
    return {"item": item, "other": other}


def embedded(self: Any, item: Annotated[Item, Body(embed=True)]) -> Item:
    return item


def union(self: Any, value: Item | Other) -> Any:
    return value


def dataclass(self: Any, box: Box) -> Box:
    return box


def listing(self: Any, items: list[Item]) -> int:
    return len(items)


def mapping(self: Any, values: dict[str, int]) -> dict[str, int]:
    return values


def heads(self: Any, x_mine: Annotated[str, Header()], crumb: Annotated[str, Cookie()] = "none") -> list[str]:
    return [x_mine, crumb]


def nothing(self: Any) -> None:
    return None


METHODS = [
    plain, typed, bounded, aliased, model, model_async, maybe_model, two_models, embedded, union, dataclass, listing, mapping,
    heads, nothing,
]  # fmt: skip

QUERIES = [
    "", "prompt=a", "prompt=a&steps=5", "prompt=a&steps=x", "prompt=&steps=", "prompt=a&prompt=b", "flag=yes",
    "flag=true&ratio=nan&colour=blue&mode=b&maybe=3", "flag=maybe&colour=green&mode=c&maybe=x", "count=3&names=a&names=b",
    "count=0", "count=9&names=", "image-size=7", "size=7", "prompt=%C3%BC%20%26", "verbose=1", "prompt=a;steps=3",
]  # fmt: skip

BODIES: list[tuple[bytes, dict[str, str]]] = [
    (b'{"name": "a", "price": 1}', JSON),
    (b'{"name": "a", "price": "1.5", "tags": ["x"], "extra": 1}', JSON),
    (b'{"name": "a", "price": 0}', JSON),
    (b'{"name": 1}', JSON),
    (b"{}", JSON),
    (b"[]", JSON),
    (b"null", JSON),
    (b'"text"', JSON),
    (b"3", JSON),
    (b'{"name": "a", "price": 1, "name": "b"}', JSON),
    (b'{"name": ', JSON),
    (b"\xff\xfe", JSON),
    (b'{"name": "\xff", "price": 1}', JSON),
    (b'\xef\xbb\xbf{"name": "a", "price": 1}', JSON),
    (b'{"name": "a", "price": NaN}', JSON),
    (b'{"name": "a", "price": Infinity}', JSON),
    (b'{"name": "a", "price": 1e400}', JSON),
    (b'{"name": "\\ud800", "price": 1}', JSON),
    (b'{"price": ' + b"9" * 5000 + b', "name": "a"}', JSON),
    (b"[" * 100_000, JSON),
    (b'{"item": {"name": "a", "price": 1}, "other": {"size": 2}}', JSON),
    (b'{"item": {"name": "a"}}', JSON),
    (b'{"size": 4}', JSON),
    (b'{"width": 2}', JSON),
    (b'{"width": "x"}', JSON),
    (b'[{"name": "a", "price": 1}]', JSON),
    (b'{"a": 1, "b": "2", "c": 3.5}', JSON),
    (b'{"name": "a", "price": 1}', {"content-type": "application/json; charset=utf-8"}),
    (b'{"name": "a", "price": 1}', {"content-type": "application/vnd.api+json"}),
    (b'{"name": "a", "price": 1}', {"content-type": "APPLICATION/JSON"}),
    (b'{"name": "a", "price": 1}', {"content-type": "text/plain"}),
    (b'{"name": "a", "price": 1}', {}),
    (b"name=a&price=1", {"content-type": "application/x-www-form-urlencoded"}),
    (b"", JSON),
    (b"", {}),
    (b"  ", JSON),
]


@pytest.mark.parametrize("method", METHODS, ids=lambda m: m.__name__)
def test_a_query_is_read_as_fastapi_reads_it(method: Callable[..., Any]) -> None:
    mine, plain_app = ours(method), theirs(method)
    for query in QUERIES:
        headers = {"x-mine": "1", "cookie": "crumb=2"} if "1" in query else {}
        same(call(mine, query=query, headers=headers), call(plain_app, query=query, headers=headers))


BODY_METHODS = [
    model, model_async, maybe_model, two_models, embedded, union, dataclass, listing, mapping, heads, nothing,
]  # fmt: skip


@pytest.mark.parametrize("method", BODY_METHODS, ids=lambda m: m.__name__)
def test_a_body_is_read_as_fastapi_reads_it(method: Callable[..., Any]) -> None:
    mine, plain_app = ours(method), theirs(method)
    for body, headers in BODIES:
        for query in ("", "verbose=true"):
            expected = (
                b"" if body == b"null" else body
            )  # the FastAPI that fal holds takes null for no body, newer ones do not
            same(
                call(mine, body=body, headers=headers, query=query),
                call(plain_app, body=expected, headers=headers, query=query),
            )


# --- plain parameters from a JSON body --------------------------------------------------------------------------------
def whole(self: Any, input_data) -> Any:  # type: ignore[no-untyped-def]
    return {"got": input_data}


@pytest.mark.parametrize(
    ("method", "query", "body", "status", "answer"),
    [
        (plain, "", {"prompt": "a cat"}, 200, {"prompt": "a cat", "steps": 30}),
        (plain, "", {"prompt": "a cat", "steps": 5}, 200, {"prompt": "a cat", "steps": 5}),
        (plain, "", {"prompt": "a", "steps": "5"}, 200, {"prompt": "a", "steps": 5}),  # the same lax validation
        (plain, "steps=7", {"prompt": "a", "steps": 5}, 200, {"prompt": "a", "steps": 7}),  # the query wins
        (plain, "prompt=q&steps=7", {"prompt": "a", "steps": "x"}, 200, {"prompt": "q", "steps": 7}),
        (plain, "", {"prompt": "a", "unknown": 1}, 200, {"prompt": "a", "steps": 30}),
        (typed, "", {"flag": True, "colour": "blue", "maybe": None}, 200,
         {"flag": True, "ratio": 0.5, "colour": "blue", "mode": "a", "maybe": None}),
        (nullable, "", {"maybe": None}, 200, None),
        (nullable, "", {}, 200, 5),
        (bounded, "", {"count": 2, "names": None}, 200, {"count": 2, "names": None}),
        (bounded, "", {"count": 2, "names": ["a", "b"]}, 200, {"count": 2, "names": ["a", "b"]}),
        (named_list, "", {"names": []}, 200, []),  # an empty list is a value as well
        (named_list, "names=q&names=r", {"names": []}, 200, ["q", "r"]),
        (aliased, "", {"image-size": 4}, 200, 4),
        (whole, "", {"a": [1, 2]}, 200, {"got": {"a": [1, 2]}}),
        (whole, "", [1, 2], 200, {"got": [1, 2]}),
        (whole, "", "text", 200, {"got": "text"}),
        (whole, "", None, 200, {"got": None}),
        (whole, "", {"input_data": {"b": 1}}, 200, {"got": {"b": 1}}),  # by its name where the body has that key
        (whole, "input_data=q", {"a": 1}, 200, {"got": "q"}),
    ],
)  # fmt: skip
def test_plain_parameters_come_from_the_query_or_from_a_json_object(
    method: Callable[..., Any], query: str, body: Any, status: int, answer: Any
) -> None:
    reply = call(ours(method), query=query, body=json.dumps(body).encode(), headers=JSON)
    assert (reply.status, reply.json) == (status, answer)


@pytest.mark.parametrize(
    ("method", "body", "place", "kind"),
    [
        (plain, b'{"prompt": 3, "steps": "x"}', ["body", "prompt"], "string_type"),
        (plain, b'{"prompt": "a", "steps": "x"}', ["body", "steps"], "int_parsing"),
        (plain, b'{"prompt": "a", "steps": null}', ["body", "steps"], "int_type"),
        (plain, b'{"prompt": null}', ["body", "prompt"], "string_type"),
        (plain, b'{"steps": 1}', ["query", "prompt"], "missing"),
        (plain, b'["a"]', ["query", "prompt"], "missing"),
        (plain, b'{"prompt": ', ["body", 11], "json_invalid"),
        (plain, b"\xff", ["body"], "json_invalid"),
        (plain, b"[" * 100_000, ["body"], "json_invalid"),
        (bounded, b'{"count": 9}', ["body", "count"], "less_than_equal"),
        *[
            (named_list, b'{"names": %b}' % wrong, ["body", "names"], "list_type")
            for wrong in (b"false", b"5", b'"x"', b"null", b"{}")
        ],
    ],
)
def test_an_invalid_body_is_described_with_the_location_of_each_error(
    method: Callable[..., Any], body: bytes, place: list[Any], kind: str
) -> None:
    reply = call(ours(method), body=body, headers=JSON)
    assert reply.status == 422
    assert (reply.json["detail"][0]["loc"], reply.json["detail"][0]["type"]) == (place, kind)


def test_a_body_of_another_type_is_not_read_for_plain_parameters() -> None:
    reply = call(ours(plain), body=b'{"prompt": "a"}', headers={"content-type": "text/plain"})
    same(reply, call(theirs(plain)))


# --- the document -----------------------------------------------------------------------------------------------------
def test_openapi_shows_query_and_body_of_plain_parameters() -> None:
    document = call(ours(plain), "/openapi.json", method="GET").json
    operation = document["paths"]["/"]["post"]
    assert {p["name"]: p["required"] for p in operation["parameters"]} == {"prompt": False, "steps": False}
    schema = operation["requestBody"]["content"]["application/json"]["schema"]
    assert set(schema["properties"]) == {"prompt", "steps"}
    assert schema["required"] == ["prompt"]
    assert document["x-fal-order-paths"] == ["/", "/health"]


def test_openapi_of_a_model_is_fastapis() -> None:
    mine = call(ours(model), "/openapi.json", method="GET").json
    plain_one = call(theirs(model), "/openapi.json", method="GET").json
    assert mine["paths"]["/"]["post"]["requestBody"] == plain_one["paths"]["/"]["post"]["requestBody"]
    assert mine["components"]["schemas"]["Item"].pop("x-fal-order-properties") == ["name", "price", "tags"]
    assert mine["components"]["schemas"]["Item"] == plain_one["components"]["schemas"]["Item"]


def test_health_is_built_in_and_other_methods_and_paths_are_refused() -> None:
    app = ours(model)
    assert call(app, "/health", method="GET").status == 200
    assert call(app, "/", method="GET").status == 405
    missing = call(app, "/nosuch")
    assert (missing.status, missing.json) == (404, {"detail": "Path /nosuch not found"})


# --- answers ----------------------------------------------------------------------------------------------------------
def own_response(self: Any) -> Response:
    return PlainTextResponse("plain", 201, {"x-a": "1"})


def own_json(self: Any) -> JSONResponse:
    return JSONResponse({"a": 1}, 202)


def stream(self: Any) -> StreamingResponse:
    return StreamingResponse(iter([b"a", b"b"]), media_type="text/plain")


def a_string(self: Any) -> str:
    return "ü"


def a_set(self: Any) -> set[int]:
    return {3}


def filtered(self: Any) -> Item:
    return Item(name="a", price=2)


def not_found(self: Any) -> None:
    raise HTTPException(404, "nothing here", {"x-why": "gone"})


def teapot(self: Any) -> None:
    raise HTTPException(418, {"any": ["thing"]})


@pytest.mark.parametrize(
    "method", [own_response, own_json, stream, a_string, a_set, filtered, not_found, teapot], ids=lambda m: m.__name__
)
def test_an_answer_is_given_as_fastapi_gives_it(method: Callable[..., Any]) -> None:
    mine, plain_one = call(ours(method)), call(theirs(method))
    same(mine, plain_one)
    assert {k: v for k, v in mine.headers.items() if k.startswith("x-")} == {
        k: v for k, v in plain_one.headers.items() if k.startswith("x-")
    }


def raises(self: Any) -> None:
    raise ValueError("a secret")


def wrong_type(self: Any) -> Item:
    return {"name": 1}  # type: ignore[return-value]


def unjsonable(self: Any) -> Any:
    return object()


@pytest.mark.parametrize("method", [raises, wrong_type, unjsonable], ids=lambda m: m.__name__)
def test_a_failure_of_the_endpoint_gives_its_caller_no_details(method: Callable[..., Any]) -> None:
    reply = call(ours(method))
    assert (reply.status, reply.json) == (500, {"detail": "Internal Server Error"})
