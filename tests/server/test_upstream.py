"""The way to the gateway's socket, held against a server there that does exactly what a test says."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest

from tests.server.test_proxy import head
from tests.support.cdn import eventually
from tests.support.jupyter import Jupyter, jupyter_server
from tests.support.state import state_directory
from tests.support.upstreams import read_head, upstream
from tests.support.wire import Wire


@pytest.fixture(scope="module")
def server() -> Iterator[Jupyter]:
    """A Jupyter server before a socket at which each test puts what it likes."""
    with state_directory() as state, jupyter_server(state) as running:
        running.state = state  # type: ignore[attr-defined]
        yield running


def once(answer: bytes, seen: list[list[str]] | None = None):
    """Answer each request with these bytes and hang up."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        lines = await read_head(reader)
        if seen is not None and lines and "/run/" in lines[0]:
            seen.append(lines)
        writer.write(answer)
        await writer.drain()

    return script


async def duplex(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Send every piece of a body back in capitals as it comes."""
    if "/run/" not in (await read_head(reader))[0]:
        return
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ntransfer-encoding: chunked\r\n\r\n")
    while size := int(await reader.readline(), 16):
        piece = (await reader.readexactly(size + 2))[:-2].upper()
        writer.write(b"%x\r\n%b\r\n" % (len(piece), piece))
        await writer.drain()
    await reader.readline()
    writer.write(b"0\r\n\r\n")
    await writer.drain()


def test_answer_and_body_flow_at_once(server: Jupyter) -> None:
    with upstream(server.state, duplex), closing(Wire(server.port)) as wire:  # type: ignore[attr-defined]
        wire.send(head(server, "POST", "fal/run/me/app/", "Transfer-Encoding: chunked"))
        read = b""
        for word in (b"one", b"two", b"three"):
            wire.send(b"%x\r\n%b\r\n" % (len(word), word))
            while word.upper() not in read:  # the body has not ended, and its answer is here
                read += wire.sock.recv(65536)
        wire.send(b"0\r\n\r\n")
        while not read.endswith(b"0\r\n\r\n"):
            read += wire.sock.recv(65536)


def test_a_head_goes_before_a_body_that_does_not_come(server: Jupyter) -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if "/run/" in (await read_head(reader))[0]:
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 5\r\n\r\nearly")
            await writer.drain()
            await reader.read()

    with upstream(server.state, script), closing(Wire(server.port)) as wire:  # type: ignore[attr-defined]
        wire.send(head(server, "POST", "fal/run/me/app/", "Content-Length: 3"))
        assert wire.reply().body == b"early"
        wire.send(b"abc")


def test_an_answer_that_breaks_off_is_not_made_whole(server: Jupyter) -> None:
    answers = (
        b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 100\r\n\r\nonly this",
        b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ntransfer-encoding: chunked\r\n\r\n9\r\nonly this\r\n",
    )
    for answer in answers:
        with upstream(server.state, once(answer)), closing(Wire(server.port)) as wire:  # type: ignore[attr-defined]
            wire.send(head(server, "POST", "fal/run/me/app/", "Content-Length: 0"))
            read = wire.rest()
            assert b"only this" in read
            assert not read.endswith(b"0\r\n\r\n")


def test_an_answer_up_to_the_end_of_its_connection_is_whole(server: Jupyter) -> None:
    answer = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n\r\nall of it"
    with upstream(server.state, once(answer)):  # type: ignore[attr-defined]
        found = server.request("fal/run/me/app/", {}, method="POST")
    assert (found.status, found.body) == (200, b"all of it")


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"nonsense\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 2000000 OK\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    ],
)
def test_an_invalid_answer_is_reported(server: Jupyter, answer: bytes) -> None:
    with upstream(server.state, once(answer)):  # type: ignore[attr-defined]
        found = server.request("fal/run/me/app/", {}, method="POST")
    assert (found.status, found.json["error_type"]) == (502, "gateway_ended")


def test_heads_and_empty_answers(server: Jupyter) -> None:
    cases = {
        "HEAD": b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 5\r\n\r\n",
        "GET": b"HTTP/1.1 304 Not Modified\r\netag: x\r\n\r\n",
        "DELETE": b"HTTP/1.1 204 No Content\r\n\r\n",
        "POST": b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.1 201 C\r\ncontent-length: 0\r\n\r\n",
    }
    for method, answer in cases.items():
        with upstream(server.state, once(answer)):  # type: ignore[attr-defined]
            found = server.request("fal/run/me/app/", method=method)
            assert found.status == {"HEAD": 200, "GET": 304, "DELETE": 204, "POST": 201}[method]
            assert found.body == b""
            if method == "HEAD":
                assert found.headers["content-length"] == "5"


def test_a_second_answer_to_one_request_reaches_no_other_client(server: Jupyter) -> None:
    double = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 3\r\n\r\none" * 2

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while lines := await read_head(reader):
            if "/run/" not in lines[0]:
                return
            writer.write(double)
            await writer.drain()

    with upstream(server.state, script):  # type: ignore[attr-defined]
        for _ in range(3):
            found = server.request("fal/run/me/app/")
            assert (found.status, found.body) == (200, b"one")


def test_a_connection_that_waited_for_a_slow_client_at_its_end_is_read_again(server: Jupyter) -> None:
    body = b""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while lines := await read_head(reader):
            if "/run/" not in lines[0]:
                return
            found = body if "/large" in lines[0] else b"hi"
            writer.write(
                b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: %d\r\n\r\n%b" % (len(found), found)
            )
            await writer.drain()

    with upstream(server.state, script):  # type: ignore[attr-defined]
        for turn in range(6):
            body = b"x" * ((6 << 20) + (turn << 16))
            with closing(Wire(server.port, timeout=10)) as wire:
                wire.send(head(server, "GET", "fal/run/me/app/large"))
                read = 0
                while read < len(body):  # and the head before it
                    read += len(wire.sock.recv(65536))
                    time.sleep(0.002)
                wire.sock.settimeout(0.2)
                with suppress(TimeoutError):
                    wire.rest()
            with closing(Wire(server.port, timeout=10)) as wire:
                wire.send(head(server, "GET", "fal/run/me/app/small"))
                assert wire.reply("GET").body == b"hi"


def test_a_request_that_is_refused_takes_no_connection_to_the_gateway(server: Jupyter) -> None:
    connections = 0

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        lines = await read_head(reader)
        if lines and "/run/" not in lines[0]:
            connections -= 1  # of the panels' feed
        elif lines:
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 2\r\n\r\nhi")
            await writer.drain()

    with upstream(server.state, script), closing(Wire(server.port)) as wire:  # type: ignore[attr-defined]
        before = connections
        raw = head(server, "POST", "fal/run/me/app/?x=%", "Content-Length: 3").replace(b"?x=%", b"?x=\xe9")
        wire.send(raw + b"abc")
        assert wire.reply().status == 400
        eventually(lambda: connections == before)
        wire.send(head(server, "GET", "fal/run/me/app/"))  # the next request on the same connection
        found = wire.reply("GET")
        assert (found.status, found.body) == (200, b"hi")


def test_the_request_is_built_anew(server: Jupyter) -> None:
    seen: list[list[str]] = []
    answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"
    with upstream(server.state, once(answer, seen)), closing(Wire(server.port)) as wire:  # type: ignore[attr-defined]
        wire.send(
            head(server, "POST", "fal/run/me/app/a%20b?x=%20", "Content-Length: 0", "Keep-Alive: 5", "X-A: 1", "X-A: 2")
        )
        assert wire.reply().status == 200
    assert seen == [
        [
            "POST /run/me/app/a%20b?x=%20 HTTP/1.1",
            "host: localhost",
            "x-fal-jupyter-role: data",
            "x-a: 1",
            "x-a: 2",
            "content-length: 0",
        ],
    ]


@contextmanager
def dying(state: Path, answer: bytes) -> Iterator[list[bytes]]:
    """A gateway that ends before it reads the first request of an app, and another in its place; gives the requests that came."""
    asked: list[bytes] = []

    def serve(listener: socket.socket) -> None:
        while True:
            connection, _ = listener.accept()
            with connection:
                request = connection.recv(1 << 16, socket.MSG_PEEK)
                if not request:
                    return
                if b"/run/" in request:
                    asked.append(request)
                    if len(asked) > 1:
                        connection.recv(1 << 16)
                        connection.sendall(answer)

    with closing(socket.socket(socket.AF_UNIX)) as listener, ThreadPoolExecutor(1) as pool:
        listener.bind(str(state / "gateway.sock"))
        listener.listen()
        serving = pool.submit(serve, listener)
        try:
            yield asked
        finally:
            (state / "gateway.sock").rename(state / "former.sock")
            with closing(socket.socket(socket.AF_UNIX)) as last:
                last.connect(str(state / "former.sock"))
            serving.result(20)
            (state / "former.sock").unlink()


HANDSHAKE = ("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: x")


def test_what_a_gateway_has_not_read_goes_to_the_next_one(server: Jupyter) -> None:
    answer = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nthere"
    with dying(server.state, answer) as asked:  # type: ignore[attr-defined]
        found = server.request("fal/run/me/app/", {"a": 1})
        assert (found.status, found.body) == (200, b"there")
        assert asked[0] == asked[1]
        assert asked[0].endswith(b'{"a": 1}')
    upgraded = b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\n\r\n"
    with dying(server.state, upgraded) as asked, closing(Wire(server.port)) as wire:  # type: ignore[attr-defined]
        wire.send(head(server, "GET", "fal/run/me/app/ws", *HANDSHAKE))
        assert wire.sock.recv(65536).startswith(b"HTTP/1.1 101")
        assert asked[0] == asked[1]
    with dying(server.state, answer) as asked:  # type: ignore[attr-defined]
        found = server.request("fal/run/me/app/", {"a": "x" * 100_000})  # it may have been read in part
        assert (found.status, found.json["error_type"]) == (502, "gateway_ended")
        assert len(asked) == 1


STOPPED = """
import os, signal, socket, sys
listener = socket.socket(socket.AF_UNIX)
listener.bind(sys.argv[1])
listener.listen()
os.kill(os.getpid(), signal.SIGSTOP)
"""


def test_a_stopped_gateway_is_named(server: Jupyter) -> None:
    path = server.state / "gateway.sock"  # type: ignore[attr-defined]
    gateway = subprocess.Popen([sys.executable, "-c", STOPPED, str(path)])
    message = f"the gateway (process {gateway.pid}) is stopped and has not answered for 15 s"
    try:
        os.waitid(os.P_PID, gateway.pid, os.WSTOPPED | os.WNOWAIT)
        with closing(Wire(server.port)) as wire, ThreadPoolExecutor(2) as pool:
            wire.send(head(server, "GET", "fal/run/me/app/ws", *HANDSHAKE))
            called = pool.submit(server.request, "fal/run/me/app/", {})
            hello = pool.submit(server.request, "fal/api/hello")
            for found in (wire.reply(), called.result(60)):
                error = json.loads(found.body)
                assert (found.status, error["error_type"]) == (504, "gateway_stopped")
                assert error["detail"].startswith(f"{message}; continue it with: kill -CONT {gateway.pid}")
            assert hello.result(60).json["reason"] == message
    finally:
        gateway.kill()
        gateway.wait()
        path.unlink()


def test_a_missing_gateway_is_reported_and_none_is_started(server: Jupyter) -> None:
    for method, path in (("POST", "fal/run/me/app/"), ("GET", "fal/api/apps"), ("DELETE", "fal/api/apps/app")):
        found = server.request(path, method=method)
        assert (found.status, found.json["error_type"]) == (503, "no_gateway")
    hello = server.request("fal/api/hello")
    assert hello.status == 200
    assert hello.json["running"] is False
    assert not (server.state / "gateway.sock").exists()  # type: ignore[attr-defined]
    assert json.dumps(str(server.state)) in hello.body.decode()  # type: ignore[attr-defined]
