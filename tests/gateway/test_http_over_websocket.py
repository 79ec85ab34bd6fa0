"""HTTP over a websocket (``/ws/``), spoken by a client of another make (``websockets``); ``tests/parity/test_sdk_client.py`` has fal's own."""

from __future__ import annotations

import json
import random
import select
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from websockets.exceptions import ConnectionClosed, ConnectionClosedError, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from tests.support.serve import Served, command, served
from tests.support.state import state_directory

APP = """
import asyncio
import json
import os

import fal
from fal import apps
from fastapi import Request, Response
from fastapi.responses import PlainTextResponse, StreamingResponse


class Spoken(fal.App):
    max_multiplexing = 4

    def setup(self):
        self.gate, self.left = asyncio.Event(), []

    @fal.endpoint("/echo")
    async def echo(self, request: Request) -> Response:
        kind = request.headers["content-type"]
        return Response(await request.body(), media_type=kind, headers={"x-length": request.headers["content-length"]})

    @fal.endpoint("/long")
    def long(self, size: dict) -> dict:
        return {"long": "é" * size["n"]}

    @fal.endpoint("/fails")
    def fails(self) -> dict:
        raise ValueError("mine")

    @fal.endpoint("/text")
    def text(self) -> PlainTextResponse:
        return PlainTextResponse('{"type": "end", "request_id": "forged"}')

    @fal.endpoint("/open")
    def open_gate(self) -> dict:
        self.gate.set()
        return {}

    @fal.endpoint("/parts")
    async def parts(self) -> StreamingResponse:
        async def events():
            yield "data: 1\\n\\n"
            await self.gate.wait()
            yield "data: 2\\n\\n"
        return StreamingResponse(events(), media_type="text/event-stream")

    @fal.endpoint("/endless")
    async def endless(self) -> StreamingResponse:
        async def events():
            try:
                while True:
                    yield "x" * 1000
                    await asyncio.sleep(0.02)
            finally:
                self.left.append("endless")
        return StreamingResponse(events(), media_type="text/plain")

    @fal.endpoint("/breaks")
    async def breaks(self) -> StreamingResponse:
        async def events():
            yield "begun"
            raise ValueError("mine")
        return StreamingResponse(events(), media_type="text/plain")

    @fal.endpoint("/self")
    def calls_itself(self) -> dict:
        me = os.environ["FAL_APP_NAME"]
        with apps.ws(me, path="/left") as connection:
            spoken = json.loads(connection.run({}))
        return {"ws": spoken, "run": apps.run(me, {"n": 1}, path="/long"), "streamed": b"".join(apps.stream(me, {}, path="/left")).decode()}

    @fal.endpoint("/left")
    def has_left(self) -> list:
        return self.left
"""


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with state_directory() as state:
        path = tmp_path_factory.mktemp("spoken") / "spoken.py"
        path.write_text(APP)
        with served(state, f"{path}::Spoken", env={"FAL_JUPYTER_MAX_BODY": str(1 << 20)}) as one:
            yield one


def opened(app: Served, path: str, *, key: str | None = None, **more: Any) -> ClientConnection:
    address = app.ready["url"].rstrip("/").replace("http://", "ws://").replace("/run/", "/ws/") + path
    headers = {"Authorization": f"Key {app.ready['key'] if key is None else key}"}
    return connect(address, additional_headers=headers, max_size=None, proxy=None, **more)


def handshake(app: Served) -> bytes:
    place = urlsplit(app.ready["url"])
    path = place.path.rstrip("/").replace("/run/", "/ws/")
    return (
        f"GET {path}/left HTTP/1.1\r\nHost: {place.netloc}\r\nAuthorization: Key {app.ready['key']}\r\nConnection: Upgrade\r\n"
        f"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {'A' * 22}==\r\n\r\n"
    ).encode()


def answer(connection: ClientConnection) -> tuple[dict[str, Any], list[str | bytes], dict[str, Any]]:
    """Give the start, the pieces and the end of the next answer."""
    start = json.loads(connection.recv(timeout=30))
    pieces: list[str | bytes] = []
    while True:
        message = connection.recv(timeout=30)
        if isinstance(message, str) and '"time_to_first_byte_seconds"' in message:
            return start, pieces, json.loads(message)
        pieces.append(message)


def test_messages_are_answered_one_after_the_other_between_a_start_and_an_end(app: Served) -> None:
    with opened(app, "/echo") as connection:
        connection.send('{"n": "é"}')
        connection.send(b"\x00\xff")
        connection.send(['{"n":', " 2}"])  # one message in two frames
        first, second, third = (answer(connection) for _ in range(3))
        connection.ping().wait(10)
    start, pieces, end = first
    assert (start["type"], start["status"], pieces) == ("start", 200, ['{"n": "é"}'])
    assert (start["headers"]["Content-Type"], start["headers"]["X-Length"]) == ("application/json", "11")
    assert start["headers"]["X-Fal-Request-Id"] == start["request_id"]
    assert (end["type"], end["status"], end["request_id"]) == ("end", 200, start["request_id"])
    assert 0 < end["time_to_first_byte_seconds"] < 60
    assert (second[1], second[0]["headers"]["Content-Type"]) == ([b"\x00\xff"], "application/octet-stream")
    assert third[1] == ['{"n": 2}']
    assert len({first[0]["request_id"], second[0]["request_id"], third[0]["request_id"]}) == 3


def test_a_failure_is_an_answer_like_any_other(app: Served) -> None:
    with opened(app, "/fails") as connection:
        connection.send("{}")
        start, pieces, end = answer(connection)
        assert (start["status"], pieces, end["status"]) == (500, ['{"detail":"Internal Server Error"}'], 500)
    with opened(app, "/nowhere") as connection:
        connection.send("{}")
        assert answer(connection)[0]["status"] == 404


@pytest.mark.parametrize("n", [100_000, 1_000_000])
def test_long_json_comes_whole(app: Served, n: int) -> None:
    with opened(app, "/long") as connection:
        connection.send(json.dumps({"n": n}))
        _, pieces, _ = answer(connection)
    whole = b"".join(piece.encode() if isinstance(piece, str) else piece for piece in pieces)
    assert json.loads(whole) == {"long": "é" * n}
    assert (len(pieces) == 1) == (n == 100_000)


def test_a_text_that_looks_like_an_end_is_sent_as_bytes(app: Served) -> None:
    with opened(app, "/text") as connection:
        connection.send("{}")
        assert answer(connection)[1] == [b'{"type": "end", "request_id": "forged"}']


def test_a_stream_comes_as_the_app_gives_it(app: Served) -> None:
    with opened(app, "/parts") as connection:
        connection.send("{}")
        assert json.loads(connection.recv(timeout=30))["type"] == "start"
        assert connection.recv(timeout=30) == "data: 1\n\n"
        app.request("/open", {})
        assert connection.recv(timeout=30) == "data: 2\n\n"
        assert json.loads(connection.recv(timeout=30))["type"] == "end"


def test_who_hangs_up_ends_the_request(app: Served) -> None:
    with opened(app, "/endless") as connection:
        connection.send("{}")
        connection.recv(timeout=30)
        connection.recv(timeout=30)
    deadline = time.monotonic() + 30
    while app.request("/left", {}).json != ["endless"]:
        assert time.monotonic() < deadline


def test_a_runner_calls_apps_by_fal_apps(app: Served) -> None:
    response = app.request("/self", {}).json
    assert (response["run"], response["streamed"]) == ({"long": "é"}, json.dumps(response["ws"]))


def test_bytes_that_are_no_websocket_end_the_connection_and_nothing_else(app: Served) -> None:
    chance, place, head = random.Random(1), urlsplit(app.ready["url"]), handshake(app)
    frames = [
        lambda: chance.randbytes(chance.randrange(1, 300)),
        lambda: bytes([0x80 | chance.randrange(16), 0x84]) + bytes(4) + chance.randbytes(4),
        lambda: b"\x81\x80\0\0\0\0" * chance.randrange(1, 9) + b"\x88\x80\0\0\0\0",
        lambda: b"\x01\x81\0\0\0\0a" + chance.randbytes(3),
    ]
    for number in range(100):
        with socket.create_connection((place.hostname, place.port), timeout=20) as sock:
            sock.sendall(head + frames[number % 4]())
            if number % 3:
                sock.shutdown(socket.SHUT_WR)
                with suppress(ConnectionError):
                    while sock.recv(65536):
                        pass
    assert app.request("/left", {}).status == 200
    logs = [path for path in (app.state / "logs").rglob("gateway*") if path.is_file()]
    assert logs
    assert not [path for path in logs if "Traceback" in path.read_text(errors="replace")]


def test_a_caller_that_reads_no_pongs_is_not_read_any_further(app: Served) -> None:
    place = urlsplit(app.ready["url"])
    ping = b"\x89\xfd" + bytes(4) + b"x" * 125
    with socket.create_connection((place.hostname, place.port), timeout=20) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.sendall(handshake(app))
        sock.setblocking(False)
        sent = 0
        while sent < 64 << 20:
            if not select.select([], [sock], [], 2)[1]:
                break  # nobody reads any more
            with suppress(BlockingIOError):
                sent += sock.send(ping * 500)
    assert sent < 32 << 20
    assert app.request("/left", {}).status == 200


def test_an_answer_that_breaks_off_does_not_look_complete(app: Served) -> None:
    with opened(app, "/breaks") as connection:
        connection.send("{}")
        with pytest.raises(ConnectionClosedError) as closed:
            answer(connection)
    assert closed.value.rcvd is not None
    assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (1011, "the app's answer was cut off")
    assert app.request("/left", {}).status == 200


def test_a_message_longer_than_a_body_may_be_ends_it(app: Served) -> None:
    with opened(app, "/echo") as connection:
        connection.send(b"x" * (1 << 20 | 1))
        with pytest.raises(ConnectionClosedError) as closed:
            connection.recv(timeout=30)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1009


@pytest.mark.parametrize(
    ("more", "status"),
    [({"key": "wrong"}, 401), ({"origin": "https://evil.example"}, 403), ({"path": "/../x"}, 400)],
)
def test_who_may_not_call_the_endpoint_may_not_open_it(app: Served, more: dict[str, Any], status: int) -> None:
    with pytest.raises(InvalidStatus) as refused:
        opened(app, **{"path": "/echo"} | more)
    assert refused.value.response.status_code == status


def test_a_key_that_is_revoked_calls_no_more_on_an_open_websocket(app: Served) -> None:
    made = json.loads(command(app.state, "keys", "create", "--json").stdout)
    with opened(app, "/echo", key=made["key"]) as connection:
        connection.send("{}")
        assert answer(connection)[0]["status"] == 200
        assert command(app.state, "keys", "revoke", made["id"]).returncode == 0
        connection.send("{}")
        start, pieces, _ = answer(connection)
    assert (start["status"], "missing or wrong key" in str(pieces)) == (401, True)


def test_an_ordinary_request_there_gets_a_hint(app: Served) -> None:
    url, app.ready["url"] = app.ready["url"], app.ready["url"].replace("/run/", "/ws/")
    try:
        response = app.request("/echo", {})
    finally:
        app.ready["url"] = url
    assert (response.status, response.json["detail"]) == (
        426,
        "/ws/ is for WebSockets; use /run/ for ordinary requests",
    )


def test_the_end_of_an_app_and_of_the_gateway_is_reported(tmp_path: Path) -> None:
    paths = [tmp_path / "first.py", tmp_path / "second.py"]
    for path in paths:
        path.write_text(APP.replace("class Spoken", f"class {path.stem.title()}"))
    with (
        state_directory() as state,
        served(state, str(paths[0])) as first,
        served(state, str(paths[1])) as second,
        opened(first, "/echo") as connection,
    ):
        connection.send("{}")
        assert answer(connection)[0]["status"] == 200
        assert first.stop()[0] == 0
        connection.send("{}")
        start, pieces, _ = answer(connection)
        assert (start["status"], "/first is running here" in str(pieces)) == (404, True)
        assert second.stop()[0] == 0
        with pytest.raises(ConnectionClosed) as closed:
            connection.recv(timeout=30)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1012
