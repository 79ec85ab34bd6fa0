"""Whatever an endpoint raises, its caller has an answer at once and the app serves on."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import pytest

from tests.clients.waiting import until
from tests.support.serve import Served, command, served
from tests.support.wire import Wire, head, port_of

APP = """
import asyncio
import os
import sys

import fal
from fastapi import BackgroundTasks, Depends, Request
from fastapi.responses import StreamingResponse


class Liar(Exception):
    @property
    def __class__(self):
        raise KeyboardInterrupt

    def __str__(self):
        raise SystemExit

    __repr__ = __str__


Liar.__module__ = 5


class Mute(Exception):
    def __getattribute__(self, name):
        raise RuntimeError(name)


class Name(str):
    pass


async def cancelled():
    task = asyncio.create_task(asyncio.sleep(5))
    await asyncio.sleep(0)
    task.cancel()
    await task


def odd(kind: str):
    if kind == "surrogate":
        raise ValueError("\\ud800")
    if kind == "liar":
        raise Liar
    if kind == "mute":
        raise Mute
    if kind == "long":
        raise ValueError("\\x01" * 5_000_000)
    if kind == "chain":
        error = None
        for number in range(3000):
            new = ValueError(number)
            new.__context__ = error
            error = new
        raise error
    if kind == "groups":
        error = ValueError("x")
        for _ in range(3000):
            error = ExceptionGroup("deep", [error])
        raise error
    if kind == "syntax":
        error = SyntaxError("x")
        error.filename, error.lineno, error.offset, error.text = b"x", "y", object(), 5
        raise error
    if kind == "stop":
        raise StopIteration(5)
    if kind == "stop-async":
        raise StopAsyncIteration
    if kind == "generator-exit":
        raise GeneratorExit
    if kind == "cancelled":
        raise asyncio.CancelledError
    if kind == "interrupt":
        raise KeyboardInterrupt


class Odd(fal.App):
    app_name = "odd"
    max_multiplexing = 8
    request_timeout = 20

    @fal.endpoint("/sync")
    def sync(self, kind: str) -> dict:
        odd(kind)

    @fal.endpoint("/async")
    async def async_(self, kind: str) -> dict:
        odd(kind)

    @fal.endpoint("/stream")
    async def stream(self, kind: str) -> StreamingResponse:
        async def parts():
            odd(kind)
            yield b""

        return StreamingResponse(parts())

    @fal.endpoint("/sync-stream")
    async def sync_stream(self, kind: str) -> StreamingResponse:
        def parts():
            odd(kind)
            yield b""

        return StreamingResponse(parts())

    @fal.endpoint("/inner-task")
    async def inner_task(self) -> dict:
        await cancelled()

    @fal.endpoint("/own-task")
    async def own_task(self) -> dict:
        asyncio.current_task().cancel()
        await asyncio.sleep(5)

    @fal.endpoint("/stream-inner-task")
    async def stream_inner_task(self) -> StreamingResponse:
        async def parts():
            yield b"first"
            await cancelled()

        return StreamingResponse(parts())

    @fal.endpoint("/events")
    async def events(self, end: str, first: str = "data: 1\\n\\n") -> StreamingResponse:
        async def parts():
            yield first
            await asyncio.sleep(0.1)
            if end == "raise":
                raise ValueError("nobody else's business")
            os._exit(7)

        return StreamingResponse(parts(), media_type="text/event-stream; charset=utf-8")

    @fal.endpoint("/depends")
    async def depends(self, x: None = Depends(cancelled)) -> dict:
        return {}

    @fal.endpoint("/sync-depends")
    async def sync_depends(self, x: None = Depends(odd)) -> dict:
        return {}

    @fal.endpoint("/background")
    def background(self, kind: str, tasks: BackgroundTasks) -> dict:
        tasks.add_task(odd, kind)
        return {}

    @fal.endpoint("/endless")
    def endless(self):
        async def tokens():
            while True:
                yield b"x" * 1000

        return StreamingResponse(tokens(), media_type="text/plain")

    @fal.endpoint("/odd-piece")
    def odd_piece(self, how: str) -> StreamingResponse:
        kind = {"interrupt": KeyboardInterrupt, "cancelled": asyncio.CancelledError}[how]

        class Piece:
            @property
            def __class__(self):
                raise kind

            def __getattr__(self, name):
                raise kind

        def parts():
            yield b"first"
            yield Piece()

        return StreamingResponse(parts())

    @fal.endpoint("/loose-task")
    async def loose_task(self) -> int:
        async def interrupt():
            raise KeyboardInterrupt("of a task")

        asyncio.create_task(interrupt())
        asyncio.get_running_loop().call_soon(exec, "raise KeyboardInterrupt('of a callback')")
        await asyncio.sleep(0.05)
        return os.getpid()

    @fal.endpoint("/wrong")
    def wrong(self) -> int:
        return "not a number"

    @fal.endpoint("/client")
    def client(self, request: Request) -> dict:
        return {"from": request.client.host, "server": request.scope["server"]}

    @fal.endpoint("/print")
    def print(self) -> list:
        for stream in (sys.stdout, sys.stderr, sys.stdin):
            stream.reconfigure(encoding="utf-8", errors="replace")
            assert stream.encoding == "utf-8" and stream.errors and not stream.isatty()
        sys.stdout.reconfigure(line_buffering=True, write_through=True)
        sys.stdout.writelines(["a ", "b\\n"])
        for part in ("\u20ac \U0001f600\\n".encode()[:2], "\u20ac \U0001f600\\n".encode()[2:]):
            sys.stdout.buffer.write(part)
        sys.stdout.buffer.flush()
        return [sys.stdout.line_buffering, sys.stdout.write_through, sys.stdout.newlines]

    @fal.endpoint("/ok")
    async def ok(self) -> str:
        return "fine"


class Setup(fal.App):
    def setup(self):
        {how}

    @fal.endpoint("/")
    def go(self) -> str:
        return "x"
"""
KINDS = ("surrogate", "liar", "mute", "long", "chain", "groups", "syntax", "stop", "stop-async", "generator-exit", "cancelled", "interrupt")  # fmt: skip


@pytest.fixture(scope="module")
def odd(shared_state: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    path = tmp_path_factory.mktemp("odd") / "app.py"
    path.write_text(APP.replace("{how}", "pass"))
    with served(shared_state, f"{path}::Odd") as running:
        yield running


def odd_log(served: Served) -> str:
    return command(served.state, "logs", "odd").stdout


def path_of(served: Served) -> str:
    return urlsplit(served.ready["url"]).path.rstrip("/") + "/"


@pytest.mark.parametrize("way", ["sync", "async", "sync-depends"])
@pytest.mark.parametrize("kind", KINDS)
def test_any_exception_is_answered(odd: Served, way: str, kind: str) -> None:
    answer = odd.request(f"/{way}?kind={kind}", timeout=15)

    assert answer.status == 500
    assert answer.json == {"detail": "Internal Server Error"}
    assert odd.request("/ok", timeout=15).json == "fine"


@pytest.mark.parametrize("way", ["stream", "sync-stream"])
@pytest.mark.parametrize("kind", KINDS)
def test_any_exception_ends_its_stream(odd: Served, way: str, kind: str) -> None:
    port = port_of(odd.ready["base"])
    wire = Wire(port, timeout=15)
    wire.send(
        head(
            "POST", f"{path_of(odd)}{way}?kind={kind}", port, odd.ready["key"], "Content-Length: 0", "Connection: close"
        )
    )
    answer = wire.rest()  # the connection ends: a 500, or a stream that breaks off
    assert answer.startswith((b"HTTP/1.1 200", b"HTTP/1.1 500"))
    assert not answer.endswith(b"\r\n0\r\n\r\n")
    wire.close()

    assert odd.request("/ok", timeout=15).json == "fine"


@pytest.mark.parametrize("kind", ["liar", "mute", "interrupt"])
def test_what_a_background_task_raises_keeps_no_place(odd: Served, kind: str) -> None:
    assert [odd.request(f"/background?kind={kind}", timeout=15).status for _ in range(9)] == [200] * 9
    request_id = odd.request(f"/background?kind={kind}", timeout=15).headers["x-fal-request-id"]
    message = f"request {request_id} (POST /background) failed after its answer was sent"
    until(lambda: message in odd_log(odd))
    assert odd.request("/ok", timeout=15).json == "fine"


@pytest.mark.parametrize("path", ["/inner-task", "/own-task", "/depends"])
def test_a_cancelled_error_of_user_code_is_an_error(odd: Served, path: str) -> None:
    assert odd.request(path, timeout=15).status == 500


def test_a_stream_that_awaits_what_it_cancelled_breaks_off(odd: Served) -> None:
    port = port_of(odd.ready["base"])
    wire = Wire(port, timeout=15)
    wire.send(
        head(
            "POST", f"{path_of(odd)}stream-inner-task", port, odd.ready["key"], "Content-Length: 0", "Connection: close"
        )
    )
    answer = wire.rest()
    wire.close()

    assert b"first" in answer
    assert not answer.endswith(b"0\r\n\r\n")


@pytest.mark.parametrize("how", ["interrupt", "cancelled"])
def test_a_piece_that_raises_when_it_is_looked_at_breaks_its_stream_off(odd: Served, how: str) -> None:
    before = odd.request("/loose-task", timeout=15).json
    port = port_of(odd.ready["base"])
    wire = Wire(port, timeout=15)
    target = f"{path_of(odd)}odd-piece?how={how}"
    wire.send(head("POST", target, port, odd.ready["key"], "Content-Length: 0", "Connection: close"))
    answer = wire.rest()
    wire.close()

    assert b"first" in answer
    assert not answer.endswith(b"0\r\n\r\n")
    assert odd.request("/loose-task", timeout=15).json == before


def test_an_interrupt_of_a_loose_task_or_callback_does_not_end_the_runner(odd: Served) -> None:
    assert odd.request("/loose-task", timeout=15).json == odd.request("/loose-task", timeout=15).json
    log = odd_log(odd)

    assert "a task of the app raised" in log
    assert "KeyboardInterrupt: of a task" in log
    assert "KeyboardInterrupt: of a callback" in log


FAILED = {"detail": "Internal Server Error"}


@pytest.mark.parametrize(
    ("end", "first", "expected"),
    [
        ("raise", "data: 1\n\n", FAILED),
        ("raise", "data: 1\r\n\r\n", FAILED),
        ("raise", ": comment\n\n", FAILED),
        ("raise", "data: 1\n", None),  # within an event
        ("raise", "data", None),
        ("raise", "data: x\n\ndata: 1", None),
        ("exit", "data: 1\n\n", {"error_type": "runner_disconnected"}),
    ],
)
def test_interrupted_events_say_why_and_do_not_look_complete(
    odd: Served, end: str, first: str, expected: dict[str, str] | None
) -> None:
    port = port_of(odd.ready["base"])
    wire = Wire(port, timeout=15)
    query = urlencode({"end": end, "first": first})
    wire.send(head("POST", f"{path_of(odd)}events?{query}", port, odd.ready["key"], "Content-Length: 0"))
    answer = wire.rest()
    wire.close()

    assert first.encode() in answer
    assert not answer.endswith(b"0\r\n\r\n")
    assert b"nobody else" not in answer
    if expected is None:
        assert b"event: error" not in answer
        return
    data = answer.partition(b"event: error\ndata: ")[2].partition(b"\n\n")[0]
    event = json.loads(data)
    assert expected.items() <= event.items()
    request_id = next(line for line in answer.split(b"\r\n") if line.startswith(b"x-fal-request-id: ")).split()[1]
    assert event["request_id"] == request_id.decode()


def test_a_stream_that_never_awaits_ends_with_its_caller(odd: Served) -> None:
    port = port_of(odd.ready["base"])
    wire = Wire(port, timeout=15)
    wire.send(head("POST", f"{path_of(odd)}endless", port, odd.ready["key"], "Content-Length: 0", "Connection: close"))
    assert wire.sock.recv(1000).startswith(b"HTTP/1.1 200")
    wire.close()

    assert odd.request("/ok", timeout=10).json == "fine"


def test_the_client_and_the_server_have_addresses(odd: Served) -> None:
    answer = odd.request("/client", timeout=15).json

    assert answer == {"from": "127.0.0.1", "server": ["127.0.0.1", port_of(odd.ready["base"])]}


def test_standard_streams_take_what_text_wrappers_take(odd: Served) -> None:
    assert odd.request("/print", timeout=15).json == [True, True, None]
    log = odd_log(odd)

    assert "a b" in log
    assert "\u20ac \U0001f600" in log


def test_a_wrong_answer_is_shown_at_its_endpoint(odd: Served) -> None:
    assert odd.request("/wrong", timeout=15).status == 500
    log = odd_log(odd)

    assert "def wrong(self) -> int:" in log
    assert (
        "Odd.wrong returned 'not a number' (a str), which does not match its annotation -> int: Input should be" in log
    )
    assert "anyio" not in log
    assert log.count("does not match its annotation") == 1


@pytest.mark.parametrize(
    ("how", "shown"),
    [
        ("raise ValueError('\\ud800')", "ValueError: \\ud800"),
        pytest.param("raise Liar", "Liar: <its str() failed>", marks=pytest.mark.long),
        pytest.param("odd('long')", "ValueError: ", marks=pytest.mark.long),
        pytest.param("odd('groups')", "nested too deeply", marks=pytest.mark.long),
        ("odd('cancelled')", "CancelledError"),
        pytest.param(
            "[print(n, flush=True) for n in range(6000)]; __import__('os').write(1, b'x\\n' * 3000); raise ValueError('after many lines')",
            "after many lines",
            marks=pytest.mark.long,
        ),
    ],
)
def test_setup_shows_the_users_own_error(tmp_path: Path, shared_state: Path, how: str, shown: str) -> None:
    path = tmp_path / "app.py"
    path.write_text(APP.replace("{how}", how))

    done = command(shared_state, "serve", f"{path}::Setup")

    assert done.returncode == 1
    assert shown in done.stderr
    assert "fal_jupyter/" not in done.stderr
