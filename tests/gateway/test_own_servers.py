"""Websockets and event streams of functions with ``exposed_port``: passed on as they are."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import urllib.request
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.support.serve import Served, served

FILE = """
import fal

@fal.function(exposed_port=PORT)
def talker():
    import asyncio, contextlib, json
    from websockets.exceptions import ConnectionClosed
    from websockets.asyncio.server import serve
    from websockets.http11 import Response
    from websockets.datastructures import Headers

    heard = asyncio.Queue()
    sent = 0

    async def handle(ws):
        nonlocal sent
        path = ws.request.path
        if path.startswith("/told"):
            given = {name: ws.request.headers.get(name) for name in ("host", "origin", "x-mine", "authorization")}
            await ws.send(json.dumps({"path": path, **given}))
            await ws.close(4001, "told")
        elif path == "/no-code":
            ws.protocol.send_close()
            ws.transport.write(b"".join(ws.protocol.data_to_send()))
            await ws.wait_closed()
        elif path == "/breaks":
            ws.transport.abort()
        elif path == "/flood":
            while True:
                await ws.send(bytes(1 << 20))
                sent += 1
        elif path == "/heard":
            await ws.send(json.dumps(await heard.get()))
        elif path == "/sent":
            await ws.send(str(sent))
        else:
            with contextlib.suppress(ConnectionClosed):
                async for message in ws:
                    await ws.send(message)
        await ws.wait_closed()
        if path == "/closes":
            heard.put_nowait([ws.close_code, ws.close_reason])

    def choose(connection, offered):
        return offered[-1] if offered else None

    def answer(connection, request):
        if request.path == "/refused":
            return Response(418, "", Headers({"x-why": "no", "content-length": "5"}), b"short")
        if request.path == "/away":
            return Response(302, "", Headers({"location": "/echo", "content-length": "0"}), b"")

    async def main():
        async with serve(handle, "127.0.0.1", PORT, select_subprotocol=choose, process_request=answer, max_size=None):
            await asyncio.Future()
    asyncio.run(main())

@fal.function(exposed_port=SECOND)
def events():
    import http.server

    class Handler(http.server.BaseHTTPRequestHandler):
        gone = False
        def do_GET(self):
            self.send_response(200); self.send_header("content-type", "text/event-stream"); self.end_headers()
            if self.path == "/gone":
                self.wfile.write(f"data: {Handler.gone}\\n\\n".encode())
                return
            self.wfile.write(b"data: 1\\n\\n"); self.wfile.flush()
            Handler.gone = self.connection.recv(1) == b""  # silent until the caller hangs up
    http.server.ThreadingHTTPServer(("127.0.0.1", SECOND), Handler).serve_forever()
"""


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> str:
    with socket.socket() as one, socket.socket() as two:
        for free in (one, two):
            free.bind(("127.0.0.1", 0))
        port, second = (free.getsockname()[1] for free in (one, two))
    path = tmp_path_factory.mktemp("app") / "own.py"
    path.write_text(FILE.replace("PORT", str(port)).replace("SECOND", str(second)))
    return str(path)


@pytest.fixture(scope="module")
def talker(shared_state: Path, file: str) -> Iterator[Served]:
    with served(shared_state, f"{file}::talker") as app:
        yield app


class Talk(connect):
    def process_redirect(self, exc: Exception) -> Exception:
        return exc


def talk(app: Served, path: str, **given: Any) -> Talk:
    headers = {"authorization": f"Key {app.ready['key']}"} | given.pop("headers", {})
    url = app.ready["url"].rstrip("/").replace("http", "ws", 1) + path
    return Talk(url, additional_headers=headers, max_size=None, compression=None, proxy=None, **given)


async def close_of(app: Served, path: str) -> tuple[int, str]:
    async with talk(app, path) as ws:
        async for _ in _messages(ws):
            pass
    close = ws.protocol.close_rcvd
    assert close is not None
    return close.code, close.reason


async def _messages(ws: ClientConnection) -> AsyncIterator[str | bytes]:
    with contextlib.suppress(ConnectionClosed):
        while True:
            yield await asyncio.wait_for(ws.recv(), 30)


def test_messages_pass_both_ways(talker: Served) -> None:
    async def speak() -> None:
        async with talk(talker, "/echo", subprotocols=["a", "b"]) as ws:
            assert ws.subprotocol == "b"
            for message in ("hé", "", b"\x00\xff", os.urandom(5 << 20)):
                await ws.send(message)
                assert await ws.recv() == message
            await ws.send(["one ", "message"])
            assert await ws.recv() == "one message"
            await (await ws.ping())

    asyncio.run(speak())


def test_the_server_sees_the_handshake_without_the_key(talker: Served) -> None:
    host = talker.ready["url"].split("/")[2]

    async def speak() -> Any:
        async with talk(talker, "/told/a%2Fb?q=%20", origin=f"http://{host}", headers={"x-mine": "1"}) as ws:
            return await ws.recv()

    handshake = asyncio.run(speak())
    assert talker.request("/told").status == 405  # no handshake: the server's own refusal
    assert json.loads(handshake) == {
        "path": "/told/a%2Fb?q=%20", "host": host, "origin": f"http://{host}", "x-mine": "1", "authorization": None,
    }  # fmt: skip


def test_closing_passes_both_ways(talker: Served) -> None:
    async def speak() -> list[Any]:
        assert await close_of(talker, "/told") == (4001, "told")
        assert await close_of(talker, "/no-code") == (1005, "")
        assert await close_of(talker, "/breaks") == (1011, "the app's own server closed the connection")
        async with talk(talker, "/closes") as ws:
            await ws.close(4321, "mine")
        ws = await talk(talker, "/closes")
        ws.protocol.send_close()
        ws.transport.write(b"".join(ws.protocol.data_to_send()))
        await ws.wait_closed()
        assert ws.close_code == 1005
        (await talk(talker, "/closes")).transport.abort()
        heard = []
        for _ in range(3):
            async with talk(talker, "/heard") as ws:
                heard.append(json.loads(await asyncio.wait_for(ws.recv(), 30)))
        return heard

    assert asyncio.run(speak()) == [[4321, "mine"], [1005, ""], [1006, ""]]


def test_a_refused_handshake_is_the_servers_answer(talker: Served) -> None:
    async def refused(path: str) -> InvalidStatus:
        with pytest.raises(InvalidStatus) as error:
            await talk(talker, path)
        return error.value

    no = asyncio.run(refused("/refused")).response
    assert (no.status_code, bytes(no.body or b""), no.headers["x-why"]) == (418, b"short", "no")
    away = asyncio.run(refused("/away")).response
    assert (away.status_code, away.headers["location"]) == (302, "/echo")


def test_who_does_not_read_stops_the_server_and_others_go_on(talker: Served) -> None:
    async def sent() -> int:
        async with talk(talker, "/sent") as ws:
            return int(await ws.recv())

    async def speak() -> None:
        ws = await talk(talker, "/flood", max_queue=1)
        last = -1
        while (now := await sent()) != last or not now:  # other websockets are answered beside it
            last = now
            await asyncio.sleep(0.5)
        assert last < 64
        ws.transport.abort()

    asyncio.run(speak())


def test_an_event_stream_that_is_left_is_hung_up_on_though_it_is_silent(shared_state: Path, file: str) -> None:
    with served(shared_state, f"{file}::events") as app:
        url = app.ready["url"].rstrip("/")
        request = urllib.request.Request(url + "/wait", headers={"authorization": f"Key {app.ready['key']}"})
        with urllib.request.urlopen(request, timeout=30) as answer:
            assert answer.readline() == b"data: 1\n"
            assert app.request("/gone", method="GET").body == b"data: False\n\n"  # beside the open one
        answers = (app.request("/gone", method="GET").body for _ in range(500))
        assert any(body == b"data: True\n\n" for body in answers)
