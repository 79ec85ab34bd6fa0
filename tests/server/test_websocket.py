"""Websockets through Jupyter, held against a real websocket server at the gateway's socket, and the real gateway's refusal."""

from __future__ import annotations

import asyncio
import hashlib
import json
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest
from tornado.httpclient import HTTPClientError, HTTPRequest
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_unix_socket
from tornado.web import Application
from tornado.websocket import WebSocketClientConnection, WebSocketHandler, websocket_connect

from tests.support.jupyter import TOKEN, Jupyter, jupyter_server
from tests.support.loop_thread import loop_thread
from tests.support.state import state_directory
from tests.support.wire import Wire

MEBIBYTE = 1 << 20
seen: list[Any] = []


class Echo(WebSocketHandler):
    """Sends back what comes; ``close 4001`` makes it close with that code."""

    def select_subprotocol(self, subprotocols: list[str]) -> str | None:
        seen.append(("subprotocols", subprotocols))
        return "second" if "second" in subprotocols else None

    def check_origin(self, origin: str) -> bool:
        return True

    def open(self) -> None:
        seen.append(("headers", dict(self.request.headers)))

    async def on_message(self, message: str | bytes) -> None:
        if isinstance(message, str) and message.startswith("close "):
            self.close(int(message[6:]), "as you wish")
        elif isinstance(message, str) and message.startswith("ping "):
            self.ping(message[5:].encode())
        else:
            await self.write_message(message, binary=isinstance(message, bytes))

    def on_ping(self, data: bytes) -> None:
        seen.append(("ping", data))

    def on_pong(self, data: bytes) -> None:
        seen.append(("pong", data))

    def on_close(self) -> None:
        seen.append(("close", self.close_code, self.close_reason))


@contextmanager
def echo(state: Path) -> Iterator[None]:
    """A websocket server at the state directory's socket."""
    ready, loop, over = threading.Event(), asyncio.new_event_loop(), asyncio.Event()

    async def serve() -> None:
        server = HTTPServer(Application([(r"/run/me/app/ws", Echo)], websocket_max_message_size=200 * MEBIBYTE))
        server.add_socket(bind_unix_socket(str(state / "gateway.sock"), 0o600))
        ready.set()
        await over.wait()
        server.stop()
        await server.close_all_connections()

    with loop_thread(serve, loop, ready, over):
        yield


@pytest.fixture(scope="module")
def server() -> Iterator[Jupyter]:
    with state_directory() as state, jupyter_server(state) as running, echo(state):
        yield running


@pytest.fixture(autouse=True)
def forget() -> None:
    seen.clear()


def url(server: Jupyter, path: str = "fal/run/me/app/ws") -> str:
    return f"ws://{server.host}{server.base_url}{path}"


@asynccontextmanager
async def connected(
    server: Jupyter, path: str = "fal/run/me/app/ws", **headers: str
) -> AsyncIterator[WebSocketClientConnection]:
    given = HTTPRequest(url(server, path), headers={"Authorization": f"token {TOKEN}"} | headers)
    bound = 200 * MEBIBYTE
    socket = await websocket_connect(given, subprotocols=["first", "second"], max_message_size=bound)
    try:
        yield socket
    finally:
        socket.close()
        while socket.close_code is None and await socket.read_message() is not None:
            pass  # until the other side has answered our goodbye


async def until(what: str) -> Any:
    """Wait until the other side has seen something; it is in another thread."""
    while not (found := [entry for entry in seen if entry[0] == what]):
        await asyncio.sleep(0.01)
    return found[0]


def test_messages_go_both_ways(server: Jupyter) -> None:
    async def main() -> None:
        async with connected(server) as socket:
            for message in ("text", b"bytes", "", "é" * 100_000):
                await socket.write_message(message, binary=isinstance(message, bytes))
                assert await socket.read_message() == message

    asyncio.run(main())


def test_the_protocol_is_the_one_that_was_chosen(server: Jupyter) -> None:
    async def main() -> None:
        async with connected(server) as socket:
            assert socket.selected_subprotocol == "second"

    asyncio.run(main())
    assert ("subprotocols", ["first", "second"]) in seen


def test_large_messages_pass_without_buffering(server: Jupyter) -> None:
    from tests.server.test_proxy import memory

    async def main() -> None:
        async with connected(server) as socket:
            await socket.write_message("warm")
            await socket.read_message()
            before = memory(server.process.pid, "VmRSS")
            message = bytes(range(256)) * 4096 * 100
            await socket.write_message(message, binary=True)
            back = await socket.read_message()
            assert isinstance(back, bytes)
            assert hashlib.sha256(back).digest() == hashlib.sha256(message).digest()
            assert memory(server.process.pid, "VmHWM") - before < 32 * MEBIBYTE

    asyncio.run(main())


def test_pings_and_codes_pass(server: Jupyter) -> None:
    async def main() -> None:
        async with connected(server) as socket:
            socket.ping(b"are you there")
            assert await until("ping") == ("ping", b"are you there")
            await socket.write_message("ping and you")
            assert await until("pong") == ("pong", b"and you")
            await socket.write_message("close 4001")
            assert await socket.read_message() is None
            assert (socket.close_code, socket.close_reason) == (4001, "as you wish")
        await until("close")
        seen.clear()
        async with connected(server) as socket:
            socket.close(4002, "enough")
            assert await until("close") == ("close", 4002, "enough")

    asyncio.run(main())


def test_a_vanished_browser_is_reported_to_the_endpoint(server: Jupyter) -> None:
    async def main() -> None:
        async with connected(server) as socket:
            await socket.write_message("x")
            await socket.read_message()
            assert socket.protocol is not None
            socket.protocol.stream.close()
            assert (await until("close"))[1] is None

    asyncio.run(main())


def test_what_proves_the_user_stays_here(server: Jupyter) -> None:
    cookies = server.log_in()

    async def main() -> None:
        async with connected(server, f"fal/run/me/app/ws?token={TOKEN}", Cookie=cookies["cookie"]):
            pass

    asyncio.run(main())
    headers = {name.lower(): value for name, value in next(entry[1] for entry in seen if entry[0] == "headers").items()}
    assert not {"authorization", "cookie"} & set(headers)
    assert TOKEN not in str(headers)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 403),
        ({"Authorization": "token wrong"}, 403),
        ({"Authorization": "Key fjk_abc:def"}, 403),
        ({"Cookie": "COOKIE", "Origin": "http://evil.example"}, 403),
        ({"Cookie": "COOKIE", "Origin": "null"}, 403),
        ({"Cookie": "COOKIE", "Sec-Fetch-Site": "cross-site"}, 403),
        ({"Authorization": f"token {TOKEN}", "Host": "evil.example"}, 403),
        ({"Cookie": "COOKIE", "Origin": "OWN"}, 101),
        ({"Cookie": "COOKIE"}, 101),
        ({"Authorization": f"token {TOKEN}"}, 101),
    ],
)
def test_unauthorized_handshakes_are_refused(server: Jupyter, headers: dict[str, str], status: int) -> None:
    cookie, own = server.log_in()["cookie"], f"http://{server.host}"
    stand_ins = {"COOKIE": cookie, "OWN": own}
    given = {"Host": server.host} | {name: stand_ins.get(value, value) for name, value in headers.items()}
    wire = Wire(server.port)
    lines = [f"GET {server.base_url}fal/run/me/app/ws HTTP/1.1", *(f"{name}: {value}" for name, value in given.items())]
    lines += ["Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13"]
    lines += ["Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "", ""]
    wire.send("\r\n".join(lines).encode())
    found = int(wire.sock.recv(65536).split()[1])
    assert found == status
    if status == 101:
        asyncio.run(until("headers"))  # the far side tells of them when it has answered
    wire.close()
    assert bool([entry for entry in seen if entry[0] == "headers"]) == (status == 101)


def test_a_refusal_comes_through_as_it_is(server: Jupyter) -> None:
    async def main() -> None:
        with pytest.raises(HTTPClientError) as refused:
            async with connected(server, "fal/run/me/app/other"):
                pass
        assert refused.value.code == 404

    asyncio.run(main())


def test_the_real_gateway_refuses_and_that_is_the_answer(jupyter: Jupyter, run: str) -> None:
    async def main() -> None:
        with pytest.raises(HTTPClientError) as refused:
            async with connected(jupyter, f"{run}/ws"):
                pass
        assert refused.value.code == 403  # an application that has no websocket there, as any ASGI server tells it

    asyncio.run(main())


def test_http_over_a_websocket_passes(jupyter: Jupyter, run: str) -> None:
    spoken = run.replace("fal/run/", "fal/ws/")

    async def main() -> None:
        async with connected(jupyter, f"{spoken}/") as socket:
            for name in ("Ada", "Grace"):
                await socket.write_message(json.dumps({"name": name}))
                begun, body, ended = [json.loads(str(await socket.read_message())) for _ in range(3)]
                assert (begun["type"], begun["status"], ended["type"]) == ("start", 200, "end")
                assert body == {"text": f"Hello, {name}"}
        for path, status in ((f"{spoken}/../../../admin/feed", 400), ("fal/ws/admin/feed", 404), ("fal/ws/me/no", 404)):
            with pytest.raises(HTTPClientError) as refused:
                async with connected(jupyter, path):
                    pass
            assert refused.value.code == status, path

    asyncio.run(main())
    assert jupyter.request(f"{spoken}/", {"name": "Ada"}).status == 426
