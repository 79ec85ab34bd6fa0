"""What a runner's process does when it starts, is stopped, fails or loses its callers."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from fal_jupyter import settings
from fal_jupyter.client.client import Client
from fal_jupyter.client.handle import AppHandle
from fal_jupyter.client.serving import serve_file
from fal_jupyter.domain.errors import SetupFailed
from tests.support.state import state_directory

APP = """
import asyncio, os, threading, time
import fal
from fastapi.responses import StreamingResponse
from fal.exceptions import CUDAOutOfMemoryException
from fal.toolkit.utils.endpoint import cancel_on_disconnect
from fastapi import Request

def note(*words):
    with open({notes!r}, "a") as file:
        print(*words, os.environ.get("FAL_RUNNER_STATE"), file=file)

class Life(fal.App):
    min_concurrency = 1
    max_multiplexing = 80
    termination_grace_period_seconds = 20

    def setup(self):
        self.peak = self.now = 0
        self.lock = threading.Lock()
        note("setup")

    def handle_exit(self):
        note("handle_exit")
        raise ValueError("no matter")

    async def teardown(self):
        note("teardown")

    @fal.endpoint("/slow")
    def slow(self, word: str):
        note("slow", "begins")
        time.sleep(0.7)
        note("slow", "ends")
        return word

    @fal.endpoint("/aslow")
    async def aslow(self):
        note("aslow", "begins")
        await asyncio.sleep(0.7)
        note("aslow", "ends")

    @fal.endpoint("/events")
    async def events(self):
        async def made():
            try:
                for n in range(1000):
                    yield f"data: {{n}}\\n\\n"
                    await asyncio.sleep(0.05)
            except asyncio.CancelledError:
                note("cancelled")
                raise
            finally:
                note("finally")
        return StreamingResponse(made(), media_type="text/event-stream")

    @fal.endpoint("/stops")
    async def stops(self, request: Request):
        async with cancel_on_disconnect(request):
            note("stops", "begins")
            await asyncio.sleep(30)
            note("stops", "never")
        note("stops", "goes on")

    @fal.endpoint("/peak")
    def see_peak(self):
        with self.lock:
            self.now += 1
            self.peak = max(self.peak, self.now)
        time.sleep(0.3)
        with self.lock:
            self.now -= 1
        return self.peak

    @fal.endpoint("/header")
    def header(self):
        return self.current_request.headers["x-a"]

    @fal.endpoint("/pid")
    def pid(self):
        return os.getpid()

    @fal.endpoint("/memory")
    def memory(self):
        raise CUDAOutOfMemoryException()
"""


class Life:
    """The app, with what it noted."""

    def __init__(self, handle: AppHandle, notes: Path) -> None:
        self.handle = handle
        self._notes = notes

    def opened(self, path: str, headers: tuple[tuple[str, str], ...] = ()) -> http.client.HTTPConnection:
        """Send a request and do not wait for its answer."""
        connection = http.client.HTTPConnection(self.handle.base.removeprefix("http://"), timeout=30)
        connection.putrequest("POST", f"/run/{self.handle.app}{path}")
        for name, value in (("authorization", f"Key {self.handle.key}"), ("content-length", "0"), *headers):
            connection.putheader(name, value)
        connection.endheaders()
        return connection

    def post(self, path: str, headers: tuple[tuple[str, str], ...] = ()) -> tuple[int, Any]:
        """Ask, and give status and JSON."""
        connection = self.opened(path, headers)
        answer = connection.getresponse()
        found = answer.status, json.loads(answer.read())
        connection.close()
        return found

    def notes(self) -> list[str]:
        return self._notes.read_text().splitlines() if self._notes.exists() else []

    def until(self, line: str) -> None:
        """Wait until the app has noted *line*."""
        ends = time.monotonic() + 20
        while line not in self.notes():
            assert time.monotonic() < ends, f"{line!r} never came, but {self.notes()}"
            time.sleep(0.02)

    def forget(self) -> None:
        self._notes.write_text("")


@pytest.fixture(scope="module")
def life(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Life]:
    folder = tmp_path_factory.mktemp("life")
    (folder / "life.py").write_text(APP.format(notes=str(folder / "notes.txt")))
    with state_directory() as state:
        client = Client(settings.read({"FAL_JUPYTER_STATE": str(state), "FAL_JUPYTER_OWNER": "me"}), kind="serve")
        handle = serve_file(folder / "life.py", "Life", client=client)
        handle.wait()
        yield Life(handle, folder / "notes.txt")
        client.close()


def test_setup_runs_before_requests_with_its_state(life: Life) -> None:
    assert life.notes()[0] == "setup SETUP"


@pytest.mark.parametrize("name", ["slow", "aslow"])
def test_an_endpoint_whose_caller_left_runs_to_its_end(life: Life, name: str) -> None:
    life.forget()
    connection = life.opened(f"/{name}?word=x")
    life.until(f"{name} begins RUNNING")
    connection.close()
    life.until(f"{name} ends RUNNING")


def test_cancel_on_disconnect_ends_its_block_and_what_follows_runs(life: Life) -> None:
    life.forget()
    connection = life.opened("/stops")
    life.until("stops begins RUNNING")
    connection.close()
    life.until("stops goes on RUNNING")
    assert "stops never RUNNING" not in life.notes()


def test_the_generator_of_a_stream_is_cancelled_when_its_caller_leaves(life: Life) -> None:
    life.forget()
    connection = life.opened("/events")
    answer = connection.getresponse()
    assert answer.read(9) == b"data: 0\n\n"
    answer.close()
    connection.close()
    life.until("finally RUNNING")
    assert life.notes() == ["cancelled RUNNING", "finally RUNNING"]


def test_only_max_multiplexing_limits_concurrent_sync_endpoints(life: Life) -> None:
    with ThreadPoolExecutor(60) as pool:
        peaks = [body for _, body in pool.map(life.post, ["/peak"] * 60)]
    assert max(peaks) > 40  # where fal, whose thread pool is smaller than max_multiplexing may be, stops


def test_of_a_repeated_header_the_first_value_is_the_requests(life: Life) -> None:
    assert life.post("/header", (("x-a", "1"), ("x-a", "2"))) == (200, "1")


def test_a_runner_that_answered_503_is_replaced(life: Life) -> None:
    _, before = life.post("/pid")
    assert life.post("/memory") == (503, {"detail": "CUDA error: out of memory"})
    assert life.post("/pid")[1] != before


def test_a_stop_lets_what_runs_end_then_tears_down(life: Life) -> None:
    life.post("/pid")  # a runner is there
    life.forget()
    answers: list[tuple[int, Any]] = []
    caller = threading.Thread(target=lambda: answers.append(life.post("/slow?word=x")))
    caller.start()
    life.until("slow begins RUNNING")
    life.handle.stop()
    caller.join(20)
    assert answers == [(200, "x")]
    life.until("teardown TERMINATING")
    assert life.notes() == ["slow begins RUNNING", "handle_exit RUNNING", "slow ends RUNNING", "teardown TERMINATING"]


OWN = """
import asyncio
from contextlib import asynccontextmanager
import anyio
import fal
from fastapi import APIRouter

def note(*words):
    with open({notes!r}, "a") as file:
        print(*words, file=file)

class Own(fal.App):
    def setup(self):
        note("setup")

    def handle_exit(self):
        note("handle_exit")

    def teardown(self):
        note("teardown")

    @asynccontextmanager
    async def lifespan(self, app):
        async with anyio.create_task_group() as tasks:  # it has to end in the task that began it
            async with super().lifespan(app):
                tasks.start_soon(self.beat)
                yield
                note("before teardown")
            note("after teardown")
            tasks.cancel_scope.cancel()

    async def beat(self):
        self.beats = True
        await asyncio.sleep(1000)

    def _add_extra_routes(self, app):
        @asynccontextmanager
        async def of_router(app):
            note("router begins")
            yield
            note("router ends")
        app.include_router(APIRouter(lifespan=of_router))

    @fal.endpoint("/")
    def beating(self):
        return self.beats

class Raises(fal.App):
    @asynccontextmanager
    async def lifespan(self, app):
        raise KeyError("in lifespan")
        yield

    @fal.endpoint("/")
    def run(self): ...

class NeverYields(Raises):
    app_name = "never-yields"

    @asynccontextmanager
    async def lifespan(self, app):
        if False:
            yield

class Exits(Raises):
    app_name = "exits"

    @asynccontextmanager
    async def lifespan(self, app):
        raise SystemExit(3)
        yield

class BadRoutes(Raises):
    app_name = "bad-routes"

    def _add_extra_routes(self, app):
        app.get("/x")(5)
"""


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Client, Path]]:
    folder = tmp_path_factory.mktemp("own")
    (folder / "own.py").write_text(OWN.format(notes=str(folder / "notes.txt")))
    with state_directory() as state:
        client = Client(settings.read({"FAL_JUPYTER_STATE": str(state), "FAL_JUPYTER_OWNER": "me"}), kind="serve")
        yield client, folder
        client.close()


def test_a_lifespan_of_the_class_and_of_its_routers_runs_in_one_task_around_the_requests(
    own: tuple[Client, Path],
) -> None:
    client, folder = own
    handle = serve_file(folder / "own.py", "Own", client=client)
    handle.wait()
    life = Life(handle, folder / "notes.txt")
    assert life.post("/") == (200, True)
    handle.stop()
    life.until("router ends")
    begin, end = (
        ["setup", "router begins"],
        ["handle_exit", "before teardown", "teardown", "after teardown", "router ends"],
    )
    assert sorted(life.notes()[:2]) == sorted(begin)
    assert sorted(life.notes()[2:]) == sorted(end)
    assert [line for line in life.notes() if "router" not in line] == ["setup", *end[:-1]]


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("Raises", ('raise KeyError("in lifespan")', "KeyError: 'in lifespan'")),
        ("NeverYields", ("generator didn't yield",)),
        ("Exits", ("raise SystemExit(3)", "SystemExit: 3")),
        ("BadRoutes", ('app.get("/x")(5)',)),
    ],
)
def test_a_lifespan_that_fails_ends_the_start_with_its_own_traceback(
    own: tuple[Client, Path], name: str, shown: tuple[str, ...]
) -> None:
    client, folder = own
    with pytest.raises(SetupFailed) as caught:
        serve_file(folder / "own.py", name, client=client).wait()
    for text in shown:
        assert text in caught.value.traceback
