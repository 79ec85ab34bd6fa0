"""Websockets and realtime endpoints through the gateway's port, spoken by a client of another make (``websockets``)."""

from __future__ import annotations

import asyncio
import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgpack
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, ConnectionClosedError, InvalidStatus

from tests.support.serve import Served, served

APP = """
import asyncio
import time
from typing import AsyncIterator, Iterator

import fal
from fastapi import WebSocket
from pydantic import BaseModel


class X(BaseModel):
    x: int

class Y(BaseModel):
    y: int

class Big(BaseModel):
    x: int

    def can_batch(self, other, count):
        return count < 3


async def cancelled_task():
    task = asyncio.create_task(asyncio.sleep(5))
    await asyncio.sleep(0)
    task.cancel()
    await task


class Talk(fal.App):
    max_multiplexing = 20

    @fal.realtime("/double", session_timeout=1)
    def double(self, i: X) -> Y:
        return Y(y=i.x * 2)

    @fal.realtime("/raw", input_modal=None)
    def raw(self, i: dict) -> dict:
        return {"got": i, "bytes": b"\\x00\\xff"}

    @fal.realtime("/fails")
    def fails(self, i: X) -> Y:
        raise RuntimeError("bad x: 1/2")

    @fal.realtime("/cancelled")
    async def cancelled(self, i: X) -> Y:
        await cancelled_task()

    @fal.realtime("/cancelled-stream")
    async def cancelled_stream(self, i: X) -> AsyncIterator[Y]:
        yield Y(y=1)
        await cancelled_task()

    @fal.endpoint("/cancelled-socket", is_websocket=True)
    async def cancelled_socket(self, ws: WebSocket):
        await ws.accept()
        await ws.send_text("first")
        await cancelled_task()

    @fal.realtime("/int")
    def no_dict(self, i: X) -> Y:
        return 5

    @fal.realtime("/newest", buffering=1, session_timeout=1)
    def newest(self, i: X) -> Y:
        time.sleep(0.3)
        return Y(y=i.x)

    @fal.realtime("/slow", session_timeout=1)
    async def slow(self, i: X) -> Y:
        await asyncio.sleep(0.3)
        return Y(y=i.x)

    @fal.realtime("/batch", max_batch_size=4, session_timeout=1)
    def batch(self, first: Big, *rest: Big) -> dict:
        time.sleep(0.3)
        return {"n": 1 + len(rest)}

    @fal.realtime("/count")
    def count(self, i: X) -> Iterator[Y]:
        for k in range(i.x):
            yield Y(y=k)

    @fal.realtime("/acount")
    async def acount(self, i: X) -> AsyncIterator[Y]:
        try:
            for k in range(i.x):
                yield Y(y=k)
                await asyncio.sleep(0.01)
        finally:
            self.ended = True

    @fal.realtime("/sum", session_timeout=0.4)
    async def sum(self, s: AsyncIterator[X]) -> Y:
        t = 0
        async for i in s:
            t += i.x
        return Y(y=t)

    @fal.realtime("/pipe", session_timeout=0.4)
    async def pipe(self, s: AsyncIterator[X]) -> AsyncIterator[Y]:
        async for i in s:
            yield Y(y=i.x)

    @fal.realtime("/sync-sum")
    def sync_sum(self, s: AsyncIterator[X]) -> Y:
        return None

    @fal.endpoint("/ended")
    def has_ended(self) -> bool:
        return getattr(self, "ended", False)

    @fal.endpoint("/echo", is_websocket=True)
    async def echo(self, ws: WebSocket):
        await ws.accept(subprotocol="b" if "b" in ws.scope["subprotocols"] else None)
        while True:
            message = await ws.receive()
            if message["type"] == "websocket.disconnect":
                self.left = message["code"]
                return
            if message.get("text") == "close":
                await ws.close(4001, "enough")
                return
            if message.get("text") == "close oddly":
                await ws.close(4001, chr(0xD800) + "é" * 100)
                return
            if message.get("text") == "raise":
                raise RuntimeError("raw failure")
            if message.get("text") == "return":
                return
            if message.get("text") is not None:
                await ws.send_text(message["text"])
            else:
                await ws.send_bytes(message["bytes"])

    @fal.endpoint("/left")
    def has_left(self) -> int:
        return getattr(self, "left", 0)

    @fal.endpoint("/busy", is_websocket=True)
    async def busy(self, ws: WebSocket):
        await ws.accept()
        await ws.receive_text()
        await asyncio.to_thread(time.sleep, 1)
        await ws.send_text("done")
        await ws.close()

    @fal.endpoint("/refuses", is_websocket=True)
    async def refuses(self, ws: WebSocket):
        await ws.close()

    @fal.endpoint("/forgets", is_websocket=True)
    async def forgets(self, ws: WebSocket):
        return None

    @fal.endpoint("/who", is_websocket=True)
    async def who(self, ws: WebSocket):
        await ws.accept()
        request = self.current_request
        await ws.send_json([request.request_id, request.headers])
        await ws.close()
"""
TIMEOUT = ("text", {"type": "x-fal-error", "error": "TIMEOUT", "reason": "no inputs, reconnect when needed!"})


@pytest.fixture(scope="module")
def talk(shared_state: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    path = tmp_path_factory.mktemp("talk") / "talk.py"
    path.write_text(APP)
    with served(shared_state, f"{path}::Talk", "--min", "1") as one:
        one.request("/ended")
        yield one


def client(app: Served, path: str, key: str | None = "own", **options: Any) -> connect:
    headers = {} if key is None else {"Authorization": f"Key {app.ready['key'] if key == 'own' else key}"}
    url = app.ready["url"].replace("http://", "ws://") + path
    return connect(url, additional_headers=headers, max_size=None, proxy=None, **options)


async def heard(ws: ClientConnection) -> list[tuple[str, Any]]:
    """All that comes until the socket closes, its code last."""
    found: list[tuple[str, Any]] = []
    try:
        while True:
            message = await ws.recv()
            found.append(
                ("text", json.loads(message)) if isinstance(message, str) else ("bin", msgpack.unpackb(message))
            )
    except ConnectionClosed:
        found.append(("close", ws.close_code))
    return found


def session(app: Served, path: str, inputs: list[Any]) -> list[tuple[str, Any]]:
    async def main() -> list[tuple[str, Any]]:
        async with client(app, path) as ws:
            try:
                for value in inputs:
                    await ws.send(value if isinstance(value, bytes | str) else msgpack.packb(value))
            except ConnectionClosed:
                pass  # an endpoint that takes no input may have said so, and closed, before ours was sent
            return await heard(ws)

    return asyncio.run(asyncio.wait_for(main(), 20))


def error(reason: str) -> tuple[str, Any]:
    return ("text", {"type": "x-fal-error", "error": "INTERNAL_ERROR", "reason": reason})


# --- realtime ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("path", "inputs", "answers"),
    [
        ("/double", [{"x": 1}, {"x": 2}], [("bin", {"y": 2}), ("bin", {"y": 4}), TIMEOUT]),
        ("/double", [], [TIMEOUT]),
        ("/double", [b"\xc1"], [error("")]),
        ("/double", ["text"], [error("'bytes'")]),
        ("/fails", [{"x": 1}], [error("bad x: 1/2")]),
        ("/int", [{"x": 1}], [error("Expected a dict or pydantic model as output, got <class 'int'>")]),
        ("/newest", [{"x": 0}, {"x": 1}, {"x": 2}, {"x": 3}], [("bin", {"y": 0}), ("bin", {"y": 3}), TIMEOUT]),
        ("/double?max_buffering=%C2%B2", [{"x": 1}], [("bin", {"y": 2}), TIMEOUT]),  # a digit that is no number
        ("/slow?max_buffering=1", [{"x": 0}, {"x": 1}, {"x": 2}], [("bin", {"y": 0}), ("bin", {"y": 2}), TIMEOUT]),
        ("/batch", [{"x": n} for n in range(7)], [*(("bin", {"n": n}) for n in (1, 3, 3)), TIMEOUT]),
        ("/count", [{"x": 3}], [*(("bin", {"y": n}) for n in range(3)), TIMEOUT]),
        ("/acount", [{"x": 3}], [*(("bin", {"y": n}) for n in range(3)), TIMEOUT]),
        ("/sum", [{"x": 3}, {"x": 4}], [("bin", {"y": 7}), TIMEOUT]),
        ("/pipe", [{"x": 3}, {"x": 4}], [("bin", {"y": 3}), ("bin", {"y": 4}), TIMEOUT]),
        ("/sync-sum", [{"x": 3}], [error("Client-streaming realtime endpoints must be async functions")]),
    ],
)
def test_a_session_is_as_in_fal(talk: Served, path: str, inputs: list[Any], answers: list[Any]) -> None:
    assert session(talk, path, inputs) == [*answers, ("close", 1000)]


def test_an_invalid_input_is_reported_with_pydantics_message(talk: Served) -> None:
    (kind, detail), close = session(talk, "/double", [{"x": "q"}])
    assert (kind, detail["error"], close) == ("text", "INTERNAL_ERROR", ("close", 1000))
    assert detail["reason"].startswith("1 validation error for X\nx\n  Input should be a valid integer")


def test_bytes_in_a_map_stay_bytes(talk: Served) -> None:
    async def main() -> None:
        async with client(talk, "/raw") as ws:
            for _ in range(3):
                await ws.send(msgpack.packb({"image": b"\x89PNG"}))
                assert msgpack.unpackb(await ws.recv()) == {"got": {"image": b"\x89PNG"}, "bytes": b"\x00\xff"}

    asyncio.run(main())


def test_a_caller_that_leaves_ends_the_generator(talk: Served) -> None:
    async def main() -> None:
        async with client(talk, "/acount") as ws:
            await ws.send(msgpack.packb({"x": 1_000_000}))
            await ws.recv()
        for _ in range(200):
            if talk.request("/ended").json:
                return
            await asyncio.sleep(0.05)
        raise AssertionError("the generator goes on")

    asyncio.run(main())


# --- raw websockets ----------------------------------------------------------------------------------------------------
def test_text_and_bytes_of_all_sizes_come_back(talk: Served) -> None:
    async def main() -> None:
        async with client(talk, "/echo", subprotocols=["a", "b"]) as ws:
            assert ws.subprotocol == "b"
            for message in ("", "é" * 10, b"", os.urandom(70_000), os.urandom(5 << 20), "ä" * 3_000_000):
                await ws.send(message)
                assert await ws.recv() == message

            async def pieces() -> Any:
                for _ in range(50):
                    yield b"x" * 100_000

            await ws.send(pieces())
            assert await ws.recv() == b"x" * 5_000_000

    asyncio.run(main())


def test_twenty_concurrent_sessions(talk: Served) -> None:
    async def one(number: int) -> None:
        async with client(talk, "/echo") as ws:
            for turn in range(20):
                await ws.send(f"{number} {turn}")
                assert await ws.recv() == f"{number} {turn}"

    async def main() -> None:
        await asyncio.gather(*(one(number) for number in range(15)))

    asyncio.run(main())


@pytest.mark.parametrize(
    ("message", "reason"),
    [("close", "enough"), ("close oddly", "\ufffd" + "é" * 60)],  # cut to what a close frame holds, and valid
)
def test_a_close_of_the_app_has_its_code_and_reason(talk: Served, message: str, reason: str) -> None:
    async def main() -> None:
        async with client(talk, "/echo") as ws:
            await ws.send(message)
            with pytest.raises(ConnectionClosed):
                await ws.recv()
            assert (ws.close_code, ws.close_reason) == (4001, reason)

    asyncio.run(main())


def test_a_close_of_the_caller_reaches_the_app(talk: Served) -> None:
    async def main() -> None:
        async with client(talk, "/echo") as ws:
            await ws.send("x")
            await ws.recv()
            await ws.close(4002, "bye")
            assert ws.close_code == 4002
        assert talk.request("/left").json == 4002

    asyncio.run(main())


@pytest.mark.parametrize("size", [4, 300_000], ids=["small", "more than a window"])
def test_what_is_sent_while_the_endpoint_closes_does_not_break_the_connection_off(talk: Served, size: int) -> None:
    async def main() -> None:
        async with client(talk, "/echo") as ws:

            async def flood() -> None:
                while True:
                    await ws.send("x" * size)
                    await asyncio.sleep(0)  # so that it reads, too

            await ws.send("close")
            with pytest.raises(ConnectionClosed):
                await flood()
            assert (ws.close_code, ws.close_reason) == (4001, "enough")

    for _ in range(20):
        asyncio.run(main())


@pytest.mark.parametrize("word", ["raise", "return"])
def test_an_endpoint_that_ends_without_a_close_breaks_the_connection_off(talk: Served, word: str) -> None:
    async def main() -> None:
        async with client(talk, "/echo") as ws:
            await ws.send(word)
            with pytest.raises(ConnectionClosedError):
                await ws.recv()
            assert ws.close_code == 1006

    asyncio.run(main())


def test_pings_are_answered_while_the_app_works(talk: Served) -> None:
    async def main() -> None:
        async with client(talk, "/busy") as ws:
            await ws.send("go")
            await asyncio.wait_for(await ws.ping(), 0.9)
            assert await ws.recv() == "done"

    asyncio.run(main())


def test_no_utf8_in_a_text_closes_with_1007(talk: Served) -> None:
    async def main() -> None:
        async with client(talk, "/echo") as ws:
            await ws.send(b"\xff\xfe", text=True)
            with pytest.raises(ConnectionClosed):
                await ws.recv()
            assert ws.close_code == 1007

    asyncio.run(main())


@pytest.mark.parametrize(
    ("path", "key", "status"),
    [
        ("/refuses", "own", 403),
        ("/forgets", "own", 500),
        ("/nowhere", "own", 403),
        ("/double", None, 401),
        ("/double", "fjk_x:y", 401),
    ],
)
def test_a_handshake_is_refused(talk: Served, path: str, key: str | None, status: int) -> None:
    async def main() -> None:
        with pytest.raises(InvalidStatus) as refused:
            async with client(talk, path, key):
                pass
        assert refused.value.response.status_code == status
        assert refused.value.response.headers["x-fal-request-id"]

    asyncio.run(main())


def test_what_is_no_handshake_costs_no_runner(talk: Served) -> None:
    address = talk.ready["url"].split("/")
    host, port = address[2].split(":")
    for extra in ("", "Sec-WebSocket-Version: 8\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: short\r\n"):  # fmt: skip
        with socket.create_connection((host, int(port)), timeout=10) as sock:
            sock.sendall(
                f"GET /{'/'.join(address[3:])}/echo HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                f"Authorization: Key {talk.ready['key']}\r\n{extra}\r\n".encode()
            )
            assert sock.recv(4096).startswith(b"HTTP/1.1 400 ")


def test_the_request_context_is_the_empty_one(talk: Served) -> None:
    async def main() -> None:
        async with client(talk, "/who") as ws:
            assert json.loads(await ws.recv()) == [None, {}]

    asyncio.run(main())


def test_a_post_to_a_realtime_path_finds_nothing(talk: Served) -> None:
    assert talk.request("/double", {"x": 1}).status == 404


def test_they_are_in_the_openapi_document(talk: Served) -> None:
    document = talk.request("/openapi.json", method="GET").json
    assert document["paths"]["/double"]["x-fal-protocol"] == {
        "type": "realtime",
        "operationId": "double",
        "config": {"buffering": None, "sessionTimeout": 1, "maxBatchSize": 1},
        "contentType": "application/msgpack",
        "realtimeMode": "unary",
    }
    assert document["paths"]["/double"]["post"]["requestBody"]
    assert document["paths"]["/echo"]["x-fal-protocol"]["type"] == "websocket"
    assert "post" not in document["paths"]["/echo"]
    assert document["x-fal-order-paths"][-1] == "/who"
    assert Path(talk.state).is_dir()


@pytest.mark.parametrize(
    ("path", "before"),
    [("/cancelled", []), ("/cancelled-stream", [("bin", {"y": 1})]), ("/cancelled-socket", ["first"])],
)
def test_a_cancelled_error_of_user_code_ends_its_session_alone(talk: Served, path: str, before: list[Any]) -> None:
    async def session() -> tuple[list[Any], int | None]:
        found: list[Any] = []
        async with client(talk, path) as socket:
            if path != "/cancelled-socket":
                await socket.send(msgpack.packb({"x": 1}))
            try:
                while True:
                    message = await asyncio.wait_for(socket.recv(), 15)
                    found.append(message if isinstance(message, str) else ("bin", msgpack.unpackb(message)))
            except ConnectionClosed:
                return found, socket.close_code

    found, code = asyncio.run(session())

    assert found[: len(before)] == before
    assert code == (1006 if path == "/cancelled-socket" else 1000)  # what uvicorn does after any exception
    if path != "/cancelled-socket":
        assert json.loads(found[-1])["error"] == "INTERNAL_ERROR"
    assert talk.request("/left", timeout=15).status == 200
