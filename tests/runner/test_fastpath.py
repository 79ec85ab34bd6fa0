"""The short way against the long way: the same bytes in, the same frames out, whatever comes."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Callable
from contextlib import closing
from typing import Annotated, Any

import pytest
from fastapi import Depends, HTTPException, Query, Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse, StreamingResponse
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, Field, TypeAdapter, create_model, field_validator

from fal_jupyter import fal
from fal_jupyter.protocol import frames
from fal_jupyter.protocol.frames import Decoder, Kind
from fal_jupyter.runner.application.endpoints import build
from fal_jupyter.runner.channel import RunnerChannel
from fal_jupyter.runner.output import capture
from fal_jupyter.runner.requests.fastpath import _has_floats, _is_identical, fast_endpoints
from fal_jupyter.runner.requests.request_server import RequestServer
from tests.runner import test_endpoints as methods
from tests.support.examples import examples

JSON = "application/json"


class Deep(BaseModel):
    name: str
    size: int = 3
    share: float = Field(0.5, ge=0)
    tags: list[str] = []
    inner: Deep | None = None
    anything: Any = None

    @field_validator("name")
    @classmethod
    def short(cls, value: str) -> str:
        if len(value) > 5:
            raise ValueError("too long")
        return value.upper()


class Shut(BaseModel, extra="forbid"):
    x: int


class Simple(BaseModel, str_strip_whitespace=True):
    """What is read from bytes at once."""

    name: str = Field("n", max_length=8)
    size: int = Field(3, ge=-5)
    on: bool = False
    rows: list[list[int]] = []
    maybe: str | None = None
    inner: Simple | None = None


def deep(self: Any, deep: Deep) -> Deep:
    return deep


async def deep_async(self: Any, deep: Deep) -> dict[str, Any]:
    return {"got": deep, "more": [deep.size]}


class Named(BaseModel):
    """Fields by the names of pydantic's own schema keys."""

    metadata: float = 0.5
    default: float = 0.5
    config: float = 0.5
    expected: float = 0.5
    type: str = "t"
    fields_: list[int] = []


def named(self: Any, named: Named) -> Named:
    return named


async def simple(self: Any, simple: Simple) -> Simple:
    return simple


def untyped(self: Any, deep: Deep):  # type: ignore[no-untyped-def]
    return {"x": {1, 2}, "deep": deep}


def shut(self: Any, shut: Shut) -> Shut:
    return shut


def filtered(self: Any, deep: Deep) -> Shut:
    return deep  # type: ignore[return-value]  # not what it says: a 500


def raises(self: Any, deep: Deep) -> None:
    raise ValueError(deep.name)


async def http_error(self: Any, deep: Deep) -> None:
    raise HTTPException(418, {"name": deep.name}, {"x-why": "tea"})


def http_404(self: Any, deep: Deep) -> None:
    raise HTTPException(404)


def nan(self: Any, deep: Deep) -> dict[str, float]:
    return {"x": float("nan") if deep.size else deep.share}


def own(self: Any, deep: Deep) -> Response:
    return PlainTextResponse(deep.name, 202, {"x-a": "1"})


def streamed(self: Any, deep: Deep) -> StreamingResponse:
    return StreamingResponse(iter([deep.name.encode(), b"!"]))


def large(self: Any, deep: Deep) -> str:
    return "x" * 300_000


def nothing(self: Any) -> None:
    return None


def words(self: Any, name: str, size: int = 3, maybe: int | None = None) -> dict[str, Any]:
    return {"name": name, "size": size, "maybe": maybe}


def lists(self: Any, name: Annotated[list[str], Query()]) -> list[str]:
    return name


def with_request(self: Any, deep: Deep, request: Request) -> int:
    return len(request.headers)


def with_depends(self: Any, deep: Deep, given: Annotated[int, Depends(lambda: 3)]) -> int:
    return given


FAST: list[Callable[..., Any]] = [
    deep, deep_async, simple, named, untyped, shut, filtered, raises, http_error, http_404, nan, own, streamed, large, nothing, words,
    methods.plain, methods.typed, methods.nullable, methods.model, methods.maybe_model, methods.union, methods.dataclass,
    methods.listing, methods.mapping, methods.own_json, methods.a_set,
]  # fmt: skip
SLOW: list[Callable[..., Any]] = [
    lists, with_request, with_depends, methods.model_async, methods.two_models, methods.embedded, methods.heads, methods.whole,
    methods.bounded, methods.aliased,
]  # fmt: skip


def instance_of(endpoints: list[Callable[..., Any]]) -> Any:
    body = {method.__name__: fal.endpoint(f"/{method.__name__}")(method) for method in endpoints}
    return type("Made", (fal.App,), {**body, "__module__": __name__})(_allow_init=True)  # type: ignore[call-arg]


INSTANCE = instance_of(FAST + SLOW)
APP = build(INSTANCE)


def _message(number: int, head: dict[str, Any], body: bytes, pieces: int) -> bytes:
    """A request's frames: at once, or (with *pieces*) with its body in several, of which the last may be empty."""
    size = -(-len(body) // pieces) or 1
    parts = [body[at : at + size] for at in range(0, len(body), size)] or [b""]
    message = frames.encode_message(Kind.REQUEST, number, json.dumps(head).encode(), parts[0], end=pieces == 1)
    for part in parts[1:]:
        message += frames.encode(Kind.BODY, number, part)
    return message if pieces == 1 else message + frames.encode(Kind.END_BODY, number)


async def _answers(
    requests: list[tuple[str, str, bytes, str]], fast: bool, pieces: int = 1
) -> list[list[tuple[int, bytes]]]:
    ours, theirs = socket.socketpair()
    with closing(ours), closing(theirs):
        channel = RunnerChannel(theirs)
        server = RequestServer(channel, capture.OutputCapture(channel), APP, INSTANCE, {"multiplex": 1})  # type: ignore[arg-type]
        if not fast:
            server._fast = {}
        answers = []
        for number, (path, query, body, kind) in enumerate(requests, 1):
            head = {
                "id": "i",
                "method": "POST",
                "path": path,
                "query": query,
                "headers": [["content-type", kind]] if kind else [],
            }
            if pieces > 1 and number % 2:
                head["headers"] += [["content-length", str(len(body))]]  # type: ignore[operator]
            for frame in Decoder().feed(_message(number, head, body, pieces)):
                server.handle(frame)
            reading = asyncio.ensure_future(_read(ours))
            while server.tasks:
                await asyncio.wait(set(server.tasks))
            channel.send(frames.encode(Kind.PING, number, b""))  # after everything else
            answers.append(await reading)
        return answers


async def _read(sock: socket.socket) -> list[tuple[int, bytes]]:
    def read() -> list[tuple[int, bytes]]:
        decoder, found = Decoder(), []
        while True:
            for frame in decoder.feed(sock.recv(1 << 20)):
                if frame.kind == Kind.PING:
                    return found
                found.append((int(frame.kind), bytes(frame.payload)))

    return await asyncio.to_thread(read)


def _comparable(answer: list[tuple[int, bytes]]) -> list[tuple[int, bytes]]:
    """A user's error contains its frames; those are the same but for where FastAPI stood: only type and message count.

    When the request began is another moment each time.
    """
    comparable = []
    for kind, payload in answer:
        if kind == Kind.ERROR:
            error = json.loads(payload)
            payload = json.dumps([error["type"], error["message"].split("\n")[0][:40]]).encode()
        if kind == Kind.RESPONSE:
            length = int.from_bytes(payload[1:5], "big")
            head = json.loads(payload[5 : 5 + length])
            assert head.pop("began") > 0
            payload = payload[:1] + json.dumps(head).encode() + payload[5 + length :]
        comparable.append((kind, payload))
    return comparable


def check(requests: list[tuple[str, str, bytes, str]], pieces: int = 1) -> None:
    short, long = asyncio.run(_answers(requests, True, pieces)), asyncio.run(_answers(requests, False, pieces))
    for request, mine, theirs in zip(requests, short, long, strict=True):
        assert _comparable(mine) == _comparable(theirs), request


def test_the_endpoints_that_should_be_fast_are_and_no_other() -> None:
    server = RequestServer(None, None, APP, INSTANCE, {"multiplex": 1})  # type: ignore[arg-type]
    assert sorted(server._fast) == sorted(f"/{method.__name__}" for method in FAST)


@pytest.mark.parametrize("method", FAST + SLOW, ids=lambda m: m.__name__)
def test_both_paths_answer_equally_on_good_and_bad_input(method: Callable[..., Any]) -> None:
    bodies = [*methods.BODIES, *[(json.dumps(value).encode(), {"content-type": JSON}) for value in (
        {"name": "ann"}, {"name": "ann", "size": "7", "share": 0}, {"name": "ann", "share": -1}, {"name": "abcdef"},
        {"name": "a", "inner": {"name": "b", "inner": None}, "anything": [1, {"x": None}]}, {"name": "a", "size": 0},
        {"x": 1}, {"x": 1, "y": 2}, {"name": "a", "size": 10**30}, {"name": "a", "size": 1e300}, {"name": None}, {"maybe": None},
    )]]  # fmt: skip
    requests = [
        (f"/{method.__name__}", query, body, headers.get("content-type", ""))
        for body, headers in bodies
        for query in ("", "size=4", "name=q")
    ]
    check(requests)


leaves = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
values = st.recursive(
    leaves,
    lambda c: st.lists(c, max_size=3) | st.dictionaries(st.sampled_from(["name", "size", "x", "inner", "tags"]), c),
    max_leaves=8,
)


@settings(max_examples=examples(60))
@given(
    st.lists(
        st.tuples(st.sampled_from(FAST), values, st.sampled_from(["utf-8", "utf-16", "utf-32"])), min_size=1, max_size=8
    )
)
def test_both_paths_answer_equally_on_any_json(cases: list[tuple[Any, Any, str]]) -> None:
    check(
        [
            (f"/{m.__name__}", "", json.dumps(v, ensure_ascii=False).encode(e, "surrogatepass"), JSON)
            for m, v, e in cases
        ]
    )


@settings(max_examples=examples(40))
@given(st.lists(st.tuples(st.sampled_from(FAST), st.binary(max_size=40)), min_size=1, max_size=8))
def test_both_paths_answer_equally_on_noise(cases: list[tuple[Any, bytes]]) -> None:
    check([(f"/{method.__name__}", "", body, JSON) for method, body in cases])


assert JSONResponse


def test_a_request_cancelled_before_it_began_frees_its_place() -> None:
    async def run() -> tuple[list[tuple[int, bytes]], set[int]]:
        ours, theirs = socket.socketpair()
        with closing(ours), closing(theirs):
            channel = RunnerChannel(theirs)
            output = capture.OutputCapture(channel)
            server = RequestServer(channel, output, APP, INSTANCE, {"multiplex": 1})  # type: ignore[arg-type]
            head = {"id": "i", "method": "POST", "path": "/nothing", "query": "", "headers": []}
            both = frames.encode_message(Kind.REQUEST, 1, json.dumps(head).encode(), b"", end=True)
            both += frames.encode(Kind.CANCEL, 1, b"\x01")
            for frame in Decoder().feed(both):  # one packet, as it comes from an interrupted map
                server.handle(frame)
            while server.tasks:
                await asyncio.wait(set(server.tasks))
            channel.send(frames.encode(Kind.PING, 1, b""))
            return await _read(ours), output.in_flight | set(server.streams)

    answer, left = asyncio.run(run())
    assert left == set()
    assert [kind for kind, _ in answer] == [Kind.RESPONSE]
    assert b'"status":499' in answer[0][1]


# --- bytes read at once ---------------------------------------------------------------------------------------------------
def test_what_may_be_read_from_bytes_at_once() -> None:
    fast = fast_endpoints(APP)
    assert fast["/simple"]._validate_json is not None
    assert fast["/shut"]._validate_json is not None
    assert not fast["/simple"].may_be_nan
    assert fast["/named"].may_be_nan
    for path in ("/deep", "/union", "/dataclass", "/words", "/named"):
        assert fast[path]._validate_json is None
    assert fast["/deep"].may_be_nan
    assert fast["/nan"].may_be_nan
    assert fast["/words"].may_be_nan


_tokens = st.sampled_from(
    [
        b"null", b"true", b"false", b"0", b"-0", b"1", b"-7", b"1.0", b"2.5", b"1e2", b"1E400", b"-1e-400", b"9007199254740993",
        b"9007199254740993.0", b"9" * 40, b"9" * 4300, b"9" * 4301, b"01", b"+1", b".5", b"1.", b"NaN", b"Infinity", b"-Infinity",
        b'""', b'"a"', b'" a "', b'"yes"', b'"off"', b'"5"', b'" 5 "', b'"5_0"', b'"1.0"', b'"\\ud800"', b'"\\ud83d\\ude00"',
        b'"\\u0000"', b'"\x01"', b'"\x7f"', b'"\xff"', '"\u00e9"'.encode(), '"\u0665"'.encode(), b"'a'", b"{}", b"[]", b"[1]",
        b"[[1]]", b"[[true,\"2\",3.0]]", b"[[2.5]]", b"nul", b"", b" 1 ", b"\t1\n", b"\x0b1",
    ]
)  # fmt: skip
_names = st.sampled_from([b"name", b"size", b"on", b"rows", b"maybe", b"other", b"n\\u0061me"])


@st.composite
def _objects(draw: st.DrawFn, depth: int = 0) -> bytes:
    pairs = []
    for _ in range(draw(st.integers(0, 4))):
        value = draw(_objects(depth + 1)) if depth < 3 and draw(st.integers(0, 4)) == 0 else draw(_tokens)
        name = b"inner" if value.startswith(b"{") and draw(st.booleans()) else draw(_names)
        pairs.append(b'"' + name + b'":' + value)
    comma = draw(st.sampled_from([b",", b", ", b",\n"]))
    around = draw(st.sampled_from([b"", b" ", b"\n", b"\xef\xbb\xbf", b"x", b","])) if depth == 0 else b""
    return b"{" + comma.join(pairs) + b"}" + around


@given(_objects())
@settings(max_examples=examples(1200))
def test_bytes_that_are_read_at_once_give_what_json_loads_would_have_given(body: bytes) -> None:
    adapter = TypeAdapter(Simple)
    try:
        at_once = adapter.validate_json(body)
    except ValueError:
        return  # the long way decides
    assert at_once == adapter.validate_python(json.loads(body))
    assert at_once.model_fields_set == adapter.validate_python(json.loads(body)).model_fields_set


@given(st.lists(_objects(), min_size=1, max_size=20))
@settings(max_examples=examples(30))
def test_both_paths_answer_equally_if_bytes_are_read_at_once(bodies: list[bytes]) -> None:
    check([("/simple", "", body, JSON) for body in bodies])


@pytest.mark.parametrize("size", [5_000, pytest.param(100_000, marks=pytest.mark.long)])
@pytest.mark.parametrize("pieces", [2, 3, 7])
@pytest.mark.parametrize("method", [simple, deep, words, shut, nothing, own], ids=lambda m: m.__name__)
def test_both_paths_answer_equally_if_a_body_arrives_in_pieces(
    method: Callable[..., Any], pieces: int, size: int
) -> None:
    long = "x" * size  # at most as much as is short enough for refusals that repeat it: nobody gives credit here
    bodies = [
        json.dumps(value).encode() for value in (
            {"name": "ann"}, {"name": long}, {"maybe": long}, {"maybe": long, "rows": [[1]] * (size // 5)}, {"anything": long}, {"x": 1, "y": long},
            {"size": long}, {"name": "a", "tags": [long, long]}, [], None,
        )
    ]  # fmt: skip
    bodies += [b"", b"{", b'{"maybe": "' + long.encode() + b'\xff"}', b'{"maybe": "' + long.encode()]
    check([(f"/{method.__name__}", "", body, kind) for body in bodies for kind in (JSON, "text/plain")], pieces)


@pytest.mark.parametrize("field", ["metadata", "default", "config", "expected", "type"])
def test_a_field_may_have_the_name_of_a_key_of_pydantics_schemas(field: str) -> None:
    bodies = [
        f'{{"{field}": {value}}}'.encode() for value in ("1", "1.50", "NaN", "Infinity", "1e999", '"x"', '"1"', "null")
    ]
    check([("/named", "", body, JSON) for body in bodies])
    kind = create_model("Alone", **{field: (float, 0.5)})  # type: ignore[call-overload]
    assert not _is_identical(TypeAdapter(kind).core_schema)
    assert _has_floats(TypeAdapter(kind).core_schema)
