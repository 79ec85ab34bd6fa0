"""SIGKILL × {kernel, serve, gateway, template, runner} × {idle, in a request}: nothing is left, nobody hangs."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from _pytest.mark import ParameterSet

from tests.support.fixtures import file_fixture
from tests.support.http_answer import Answer
from tests.support.kernel import Kernel, kernel
from tests.support.serve import Served, command, served
from tests.support.state import is_running, processes_of, state_directory, wait_for_end

APP = """
import os, subprocess, sys, time
import fal


class Sleeper(fal.App):
    keep_alive = 300
    max_multiplexing = 4

    def setup(self):
        # a daemon as user code leaves them: its own session, orphaned at once
        code = "import os, sys, time\\nif os.fork(): sys.exit()\\nos.setsid()\\nprint(os.getpid(), flush=True)\\ntime.sleep(600)"
        child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
        self.daemon = int(child.stdout.readline())
        child.wait()

    @fal.endpoint("/")
    def nap(self, seconds: float = 0) -> dict:
        time.sleep(seconds)
        return {"pid": os.getpid(), "daemon": self.daemon}
"""


def each_way(usually: Mapping[Any, bool | None], name: Callable[[Any], str]) -> list[ParameterSet]:
    """Each way with and without a request under way; the usual one of the two (if any) is for `make test`, the other for `make test-long`."""
    return [
        pytest.param(
            way, busy, id=f"{name(way)}-{'in a request' if busy else 'idle'}",
            marks=[] if busy is usual else pytest.mark.long,
        )
        for way, usual in usually.items()
        for busy in (False, True)
    ]  # fmt: skip


IDLE_AND_BUSY = [pytest.param(False, id="idle", marks=pytest.mark.long), pytest.param(True, id="in a request")]


app_file = file_fixture("app_file", "sleeper.py", APP, "::Sleeper")


def roles(state: Path) -> dict[str, list[int]]:
    answer = json.loads(command(state, "doctor", "--json").stdout)
    found: dict[str, list[int]] = {}
    for process in answer["processes"]:
        found.setdefault(process["role"], []).append(process["pid"])
    return found


class Call(threading.Thread):
    """A call that is under way while something is killed."""

    def __init__(self, app: Served, seconds: float) -> None:
        super().__init__(daemon=True)
        self.app, self.seconds = app, seconds
        self.answer: Answer | None = None
        self.error: Exception | None = None

    def run(self) -> None:
        try:
            self.answer = self.app.request("/", {"seconds": self.seconds}, timeout=60)
        except Exception as error:
            self.error = error


def wait_until_in_flight(state: Path, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if any(r["in_flight"] for r in json.loads(command(state, "runners", "--json").stdout)):
            return
    raise AssertionError("the request never reached a runner")


@pytest.mark.parametrize("busy", IDLE_AND_BUSY)
def test_a_killed_runner_is_replaced_and_its_caller_gets_503(shared_state: Path, app_file: str, busy: bool) -> None:
    state = shared_state
    with served(state, app_file) as app:
        first = app.request("/").json
        call = Call(app, 30)
        if busy:
            call.start()
            wait_until_in_flight(state)
        os.kill(first["pid"], signal.SIGKILL)
        if busy:
            call.join(20)
            assert call.answer is not None, call.error
            assert call.answer.status == 503
            assert call.answer.headers["x-fal-request-id"]
            assert call.answer.json["error_type"] == "runner_disconnected"
        assert wait_for_end({first["daemon"]}, 2) == set()
        second = app.request("/")
        assert second.status == 200
        assert second.json["pid"] != first["pid"]


@pytest.mark.parametrize("busy", IDLE_AND_BUSY)
def test_a_killed_template_takes_its_runners_along_and_the_next_call_is_served(
    shared_state: Path, app_file: str, busy: bool
) -> None:
    state = shared_state
    with served(state, app_file) as app:
        first = app.request("/").json
        call = Call(app, 30)
        if busy:
            call.start()
            wait_until_in_flight(state)
        (template,) = roles(state)["template"]
        os.kill(template, signal.SIGKILL)
        assert wait_for_end({first["pid"], first["daemon"]}, 3) == set()
        if busy:
            call.join(20)
            assert call.answer is not None, call.error
            assert call.answer.status == 503
        assert app.request("/").status == 200


@pytest.mark.parametrize(
    ("number", "busy"),
    each_way({signal.SIGKILL: True, signal.SIGTERM: None, signal.SIGINT: None}, name=lambda number: number.name),
)
def test_an_ended_serve_leaves_nothing(state: Path, app_file: str, number: signal.Signals, busy: bool) -> None:
    app = Served(state, app_file)
    first = app.request("/").json
    call = Call(app, 30)
    if busy:
        call.start()
        wait_until_in_flight(state)
    everyone = set(processes_of(state)) | {first["daemon"]}
    began = time.monotonic()
    app.stop(number)
    assert wait_for_end({first["pid"], first["daemon"]}, 10 if number != signal.SIGKILL else 4) == set()
    assert wait_for_end(everyone, 15) == set(), processes_of(state)
    assert time.monotonic() - began < 15
    if busy:
        call.join(20)
        assert not call.is_alive()


@pytest.mark.parametrize("busy", IDLE_AND_BUSY)
def test_a_killed_gateway_ends_everything_and_serve_reports_it(state: Path, app_file: str, busy: bool) -> None:
    app = Served(state, app_file)
    first = app.request("/").json
    call = Call(app, 30)
    if busy:
        call.start()
        wait_until_in_flight(state)
    everyone = set(processes_of(state)) - {app.process.pid} | {first["daemon"]}
    (gateway,) = roles(state)["gateway"]
    os.kill(gateway, signal.SIGKILL)
    assert wait_for_end(everyone, 4) == set()
    if busy:
        call.join(20)
        assert not call.is_alive()
    status, out, errors = app.stop(signal.SIGTERM)
    assert status != 0
    assert out == ""
    assert "gateway" in errors
    assert "Traceback" not in errors


@pytest.fixture(scope="module")
def kept_state(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The state directory of a gateway that a kernel keeps alive, so that only a lease can have ended the runners of another."""
    with state_directory() as state, kernel(state, tmp_path_factory.mktemp("keeper")) as keeper:
        keeper.run("%load_ext fal_jupyter").ok()
        keeper.run("%%fal_app\nclass Keeper(fal.App):\n    @fal.endpoint('/')\n    def hi(self): return 1").ok()
        yield state


CELL = "%%fal_app\n" + APP.replace("keep_alive = 300", "")


@pytest.mark.parametrize(
    ("way", "busy"), each_way({"SIGKILL": True, "SIGTERM": None, "restart": True, "shutdown": None}, name=str)
)
def test_a_kernel_that_ends_takes_its_runners_along(kept_state: Path, tmp_path: Path, way: str, busy: bool) -> None:
    state = kept_state
    with closing(Kernel(state, tmp_path)) as doomed:
        doomed.run("%load_ext fal_jupyter").ok()
        doomed.run(CELL).ok()
        facts = json.loads(doomed.run("import json; print(json.dumps(Sleeper.nap()))").ok().text)
        if busy:
            doomed.start("Sleeper.nap(seconds=30)")
            wait_until_in_flight(state)
        if way == "SIGKILL":
            doomed.kill()
        elif way == "SIGTERM":
            os.kill(doomed.pid, signal.SIGTERM)
        elif way == "restart":
            doomed.manager.restart_kernel(now=True)
        else:
            doomed.manager.shutdown_kernel(now=False)
        began = time.monotonic()
        assert wait_for_end({facts["pid"], facts["daemon"]}, 6) == set()
        assert time.monotonic() - began < 6
        assert json.loads(command(state, "apps", "--json").stdout)[0]["class_name"] == "Keeper"


@pytest.mark.parametrize("busy", IDLE_AND_BUSY)
def test_after_a_killed_gateway_the_next_call_from_the_notebook_works_and_reports_what_happened(
    state: Path, notebook: Kernel, busy: bool
) -> None:
    notebook.run(CELL).ok()
    first = json.loads(notebook.run("import json; key = Sleeper.key; print(json.dumps(Sleeper.nap()))").ok().text)
    (gateway,) = roles(state)["gateway"]
    if busy:
        waiting = notebook.start("Sleeper.nap(seconds=30)")
        wait_until_in_flight(state)
        os.kill(gateway, signal.SIGKILL)
        cell = notebook.finish(waiting, 30)
        assert cell.ename == "RequestError"
        assert "fal_jupyter/" not in cell.traceback
    else:
        os.kill(gateway, signal.SIGKILL)
    assert wait_for_end({gateway, first["pid"], first["daemon"]}, 4) == set()
    again = notebook.run("second = Sleeper.nap(); print(json.dumps(second)); print(Sleeper.key == key)").ok()
    assert "gateway" in again.text
    assert again.text.rstrip().endswith("True")
    assert not is_running(first["pid"])
