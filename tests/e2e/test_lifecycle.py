"""An App's life in its runners: setup, endpoints of every kind, inheritance, teardown; what the options do."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest

from tests.support.kernel import Kernel
from tests.support.serve import Served, runners, served

APPS = '''
import asyncio
import os
import threading
import time
from pathlib import Path

import fal
from fastapi import Request
from pydantic import BaseModel


class Asked(BaseModel):
    prompt: str
    steps: int = 30


class Base(fal.App):
    app_name = "base"

    async def setup(self):
        await asyncio.sleep(0)
        self.loop = asyncio.get_running_loop()
        self.marks = ["base setup"]

    async def teardown(self):
        await asyncio.sleep(0)
        Path(os.environ["MARKS"]).write_text("async teardown")

    @fal.endpoint("/marks")
    async def get_marks(self) -> list:
        return [*self.marks, asyncio.get_running_loop() is self.loop]

    @fal.endpoint("/who")
    def who(self) -> str:
        return "base"


class Child(Base):
    app_name = "child"
    request_timeout = 1

    async def setup(self):
        await super().setup()
        self.marks.append("child setup")

    def teardown(self):
        Path(os.environ["MARKS"]).write_text("sync teardown")

    @fal.endpoint("/who")
    def who(self) -> str:
        return "child of " + super().who()

    @fal.endpoint("/plain")
    def plain(self, prompt: str, steps: int = 30) -> dict:
        return {"prompt": prompt, "steps": steps}

    @fal.endpoint("/whole")
    def whole(self, input_data) -> dict:
        return {"got": input_data}

    @fal.endpoint("/model")
    async def model(self, body: Asked, request: Request) -> dict:
        return {**body.model_dump(), "header": request.headers.get("x-mine")}

    @fal.endpoint("/hang")
    async def hang(self) -> dict:
        await asyncio.sleep(60)


class Wide(fal.App):
    """Counts how many requests are in it at once."""

    app_name = "wide"
    max_multiplexing = 3
    max_concurrency = 1

    def setup(self):
        self.now = self.most = 0
        self.threads = set()
        self.lock = threading.Lock()

    def step(self, change):
        with self.lock:
            self.now += change
            self.most = max(self.most, self.now)
            self.threads.add(threading.get_ident())

    @fal.endpoint("/sync")
    def sync(self) -> None:
        self.step(1)
        time.sleep(0.05)
        self.step(-1)

    @fal.endpoint("/async")
    async def asynchronous(self) -> None:
        self.step(1)
        await asyncio.sleep(0.05)
        self.step(-1)

    @fal.endpoint("/most")
    async def get_most(self) -> list:
        return [self.most, len(self.threads)]


class Short(fal.App):
    app_name = "short"
    keep_alive = 0

    def teardown(self):
        Path(os.environ["MARKS"]).write_text("gone unused")

    @fal.endpoint("/")
    def pid(self) -> int:
        return os.getpid()


def mark(word):
    with open(os.environ["MARKS"], "a") as file:
        print(word, os.environ["FAL_RUNNER_STATE"], file=file)


class Farewell(fal.App):
    """An async handle_exit, which is awaited before the end; MARKS_FAULT makes it raise or hang."""

    app_name = "farewell"
    min_concurrency = 1
    termination_grace_period_seconds = 2

    async def setup(self):
        self.loop = asyncio.get_running_loop()

    async def handle_exit(self):
        await asyncio.sleep(0.2)
        mark(f"told, {asyncio.get_running_loop() is self.loop},")
        if os.environ["MARKS_FAULT"] == "raises":
            raise ValueError("no matter")
        if os.environ["MARKS_FAULT"] == "hangs":
            await asyncio.sleep(60)

    def teardown(self):
        mark("torn down")

    @fal.endpoint("/slow")
    async def slow(self) -> str:
        mark("slow begins")
        await asyncio.sleep(0.8)
        mark("slow ends")
        return "whole"


class Pair(fal.App, name="pair", min_concurrency=2):
    @fal.endpoint("/")
    def pid(self) -> int:
        return os.getpid()
'''


@pytest.fixture
def serve_class(shared_state: Path, tmp_path: Path) -> Callable[..., Any]:
    path = tmp_path / "apps.py"
    path.write_text(APPS)
    return lambda name, *options: served(
        shared_state, f"{path}::{name}", *options, env={"MARKS": str(tmp_path / "marks")}
    )


def runners_of(app: Served) -> list[dict[str, Any]]:
    return [runner for runner in runners(app.state) if runner["app"] == app.ready["app"]]


def at_once(app: Served, path: str, times: int) -> None:
    callers = [Thread(target=app.request, args=(path, {})) for _ in range(times)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()


def test_async_setup_runs_once_on_the_loop_of_the_endpoints_and_teardown_at_the_end(
    serve_class: Callable[..., Any], tmp_path: Path
) -> None:
    with serve_class("Base") as app:
        assert app.request("/marks", {}).json == ["base setup", True]
        assert app.request("/marks", {}).json == ["base setup", True]
        assert not (tmp_path / "marks").exists()
    assert (tmp_path / "marks").read_text() == "async teardown"


@pytest.mark.long
def test_a_subclass_extends_what_it_inherits(serve_class: Callable[..., Any], tmp_path: Path) -> None:
    with serve_class("Child") as app:
        assert app.request("/marks", {}).json == ["base setup", "child setup", True]
        assert app.request("/who", {}).json == "child of base"
        assert app.request("/plain", {"prompt": "a cat"}).json == {"prompt": "a cat", "steps": 30}
        assert app.request("/plain?steps=5", {"prompt": "a cat", "steps": 9}).json == {"prompt": "a cat", "steps": 5}
        assert app.request("/plain", {"steps": "x"}).status == 422
        assert app.request("/whole", {"a": [1]}).json == {"got": {"a": [1]}}
        assert app.request("/whole", {"input_data": 3}).json == {"got": 3}
        answer = app.request("/model", {"prompt": "b"}, headers={"x-mine": "yes"})
        assert answer.json == {"prompt": "b", "steps": 30, "header": "yes"}
        hung = app.request("/hang", {})
        assert (hung.status, hung.json["error_type"]) == (504, "request_timeout")
        assert hung.headers["x-fal-error-type"] == "request_timeout"
        assert app.request("/who", {}).json == "child of base"  # by a new runner
    assert (tmp_path / "marks").read_text() == "sync teardown"


@pytest.mark.parametrize("path", [pytest.param("/sync", marks=pytest.mark.long), "/async"])
def test_as_many_requests_as_max_multiplexing_are_in_a_runner_and_never_more(
    serve_class: Callable[..., Any], path: str
) -> None:
    with serve_class("Wide") as app:
        at_once(app, path, 12)
        most, threads = app.request("/most", {}).json
        assert most == 3
        assert (threads > 1) == (path == "/sync")
        assert len(runners_of(app)) == 1


def test_an_unneeded_runner_ends_and_the_next_call_starts_another(
    serve_class: Callable[..., Any], tmp_path: Path
) -> None:
    with serve_class("Short") as app:
        while runners_of(app):
            Event().wait(0.05)
        assert (tmp_path / "marks").read_text() == "gone unused"
        assert app.request("/", {}).status == 200


@pytest.mark.parametrize("fault", ["", *(pytest.param(fault, marks=pytest.mark.long) for fault in ("raises", "hangs"))])
def test_an_async_handle_exit_runs_on_the_loop_before_teardown_within_the_grace(
    serve_class: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    monkeypatch.setenv("MARKS_FAULT", fault)
    marks = tmp_path / "marks"
    with serve_class("Farewell") as app:
        answers: list[Any] = []
        caller = Thread(target=lambda: answers.append(app.request("/slow", {})))
        caller.start()
        while not marks.exists():
            Event().wait(0.05)
        begun = time.monotonic()
        app.stop()
        caller.join()
    assert answers[0].json == "whole"
    assert time.monotonic() - begun < 10
    ends = [] if fault == "hangs" else ["torn down TERMINATING"]
    expected = ["slow begins RUNNING", "told, True, RUNNING", "slow ends RUNNING", *ends]
    assert marks.read_text().splitlines() == expected


def test_min_concurrency_by_class_keyword_holds_that_many(serve_class: Callable[..., Any]) -> None:
    with serve_class("Pair") as app:
        while [r["state"] for r in runners_of(app)] != ["IDLE", "IDLE"]:
            Event().wait(0.05)
        assert app.ready["app"].endswith("/pair")


@pytest.mark.long  # tests/notebook/test_local_modules.py edits modules in many ways
def test_a_change_in_a_local_python_module_is_a_change_of_the_app(notebook: Kernel, tmp_path: Path) -> None:
    module = tmp_path / "mine.py"
    module.write_text("FACTOR = 2\ndef scale(x): return FACTOR * x\n")
    cell = (
        "%%fal_app\nimport mine\nclass Local(fal.App):\n    local_python_modules = ['mine']\n"
        "    @fal.endpoint('/')\n    def go(self, x: int) -> int: return mine.scale(x)\n"
    )
    notebook.run(cell).ok()
    assert notebook.run("Local.go(x=4)").ok().result == "8"
    assert "nothing changed" in notebook.run(cell).ok().shown
    module.write_text("FACTOR = 30\ndef scale(x): return FACTOR * x\n")
    assert "module mine changed" in notebook.run(cell).ok().shown
    assert notebook.run("Local.go(x=4)").ok().result == "120"
    missing = notebook.run(cell.replace("['mine']", "['mine', 'not_there']")).ok()
    assert "'not_there', which cannot be imported here" in missing.shown
