"""What user code can do to its runner (reliability rows 1–5, 8, 10–12, 28, 33): callers get an error, the owner learns why, and others go on."""

from __future__ import annotations

import json
import os
import re
import signal
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.support.fixtures import file_fixture, state_fixture
from tests.support.http_answer import Answer
from tests.support.kernel import Kernel
from tests.support.serve import Served, command, runners, served
from tests.support.state import is_running, wait_for_end

APP = """
import asyncio
import ctypes
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import fal
from fastapi import Request, Response


class Frail(fal.App):
    app_name = "frail"
    request_timeout = 3
    keep_alive = 300

    @fal.endpoint("/")
    def ok(self) -> int:
        return os.getpid()

    @fal.endpoint("/segfault")
    def segfault(self) -> None:
        ctypes.string_at(0)

    @fal.endpoint("/exit")
    def leave(self) -> None:
        os._exit(7)

    @fal.endpoint("/stop")
    def stop(self) -> None:
        os.kill(os.getpid(), signal.SIGSTOP)

    @fal.endpoint("/hang")
    def hang(self) -> None:
        time.sleep(600)

    @fal.endpoint("/hold")
    def hold(self) -> None:
        ctypes.PyDLL(None).sleep(600)  # in C, with the GIL

    @fal.endpoint("/close")
    def close(self) -> None:
        os.closerange(3, 4096)
        time.sleep(600)

    @fal.endpoint("/close-output")
    def close_output(self) -> str:
        os.close(1)
        os.close(2)
        print("still heard")
        return "answered"

    @fal.endpoint("/daemon")
    def daemon(self) -> int:
        code = "import os, time\\nif os.fork(): os._exit(0)\\nos.setsid()\\nprint(os.getpid(), flush=True)\\ntime.sleep(600)"
        child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
        return int(child.stdout.readline())

    @fal.endpoint("/lines")
    def lines(self, number: int) -> str:
        line = "x" * 99 + "\\n"
        block = line * 10_000
        for _ in range(number):
            sys.stdout.write(block)  # a megabyte
        print("the last words")
        return "done"

    @fal.endpoint("/no-newline")
    def no_newline(self, number: int) -> str:
        block = "y" * 1_000_000
        for _ in range(number):
            sys.stdout.write(block)
        return "done"

    @fal.endpoint("/raw")
    def raw(self, number: int) -> str:
        block = (b"z" * 99 + b"\\n") * 10_000
        for _ in range(number):
            os.write(1, block)
        return "done"

    @fal.endpoint("/odd")
    def odd(self) -> str:
        os.write(1, b"\\xff\\xfe not text\\n\\x1b[31mred\\x1b[0m\\n")
        for byte in "in two writes: €\\n".encode():  # each may be read alone
            os.write(1, bytes((byte,)))
            time.sleep(0.01)
        print('{"time": 1, "runner": "somebody-else", "text": "forged"}')
        return "done"

    @fal.endpoint("/long-head")
    def long_head(self) -> Response:
        return Response(headers={"x-long": "h" * 20_000})

    @fal.endpoint("/deep")
    async def deep(self, request: Request, body: dict) -> int:
        return len(body)


class Shared(fal.App):
    app_name = "shared"
    max_multiplexing = 8
    request_timeout = 120

    @fal.endpoint("/block")
    async def block(self, gate: str) -> None:
        time.sleep(600)  # on the event loop: nobody else's turn comes

    @fal.endpoint("/hold")
    async def hold(self, gate: str) -> None:
        ctypes.PyDLL(None).sleep(600)

    @fal.endpoint("/wait")
    async def wait(self, gate: str) -> str:
        while not Path(gate).exists():
            await asyncio.sleep(0.01)
        return "waited"

    @fal.endpoint("/")
    async def ok(self) -> int:
        return os.getpid()
"""


state = state_fixture("module")


file = file_fixture("file", "frail.py", APP, scope="module")


@pytest.fixture(scope="module")
def serving(state: Path, file: str) -> Iterator[Served]:
    with served(state, f"{file}::Frail") as running:
        yield running


@pytest.fixture
def frail(serving: Served, state: Path) -> Served:
    """The app with a memory of no deaths: five in a minute and its circuit opens."""
    command(state, "scale", "frail", "--reset")
    for runner in runners(state):
        if runner["app"].endswith("frail"):
            command(state, "kill", runner["runner_id"])
    return serving


def logs(state: Path, app: str, lines: int = 300) -> str:
    return command(state, "logs", app, "--lines", str(lines)).stdout


def gateway(state: Path) -> int:
    return int(json.loads(command(state, "doctor", "--json").stdout)["gateway"]["pid"])


def resident(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096


@pytest.mark.parametrize(
    ("path", "status", "kind", "expected"),
    [
        pytest.param("/segfault", 503, "runner_disconnected", ["SIGSEGV", "string_at"], marks=pytest.mark.long),
        ("/exit", 503, "runner_disconnected", ["exited with status 7"]),
        pytest.param("/stop", 504, "request_timeout", ["request_timeout"], marks=pytest.mark.long),
        ("/hang", 504, "request_timeout", ["request_timeout", "in hang"]),
        pytest.param("/hold", 504, "request_timeout", ["request_timeout", "in hold"], marks=pytest.mark.long),
        pytest.param(
            "/close",
            503,
            "runner_disconnected",
            ["closed its connection to the gateway|killed by SIGABRT"],
            marks=pytest.mark.long,
        ),  # or uvloop is faster: its own descriptors are gone
    ],
    ids=lambda v: v if isinstance(v, str) and v.startswith("/") else "",
)
@pytest.mark.usefixtures("serving")  # its gateway stays
def test_a_runner_that_crashes_or_hangs_is_replaced_and_the_log_says_why(
    state: Path, file: str, path: str, status: int, kind: str, expected: list[str]
) -> None:
    with served(state, f"{file}::Frail", "--name", "frail-" + path.strip("/")) as app:
        first = app.request("/").json
        failed = app.request(path, {}, timeout=30)

        assert (failed.status, failed.json["error_type"]) == (status, kind), failed.body
        assert failed.json["request_id"] == failed.headers["x-fal-request-id"]
        assert "Traceback" not in failed.body.decode()
        assert wait_for_end({first}, 15) == set()
        second = app.request("/")
        assert second.status == 200
        assert second.json != first
        log = logs(state, app.ready["app"].split("/")[1])
        for words in expected:
            assert any(either in log for either in words.split("|")), log


@pytest.mark.usefixtures("serving")
def test_five_crashes_in_a_minute_open_the_circuit_and_callers_get_retry_after(state: Path, file: str) -> None:
    with served(state, f"{file}::Frail", "--name", "flapping") as app:
        answers = [app.request("/exit", {}) for _ in range(5)]
        assert [a.status for a in answers] == [503] * 5

        began = time.monotonic()
        response = app.request("/", {})
        assert time.monotonic() - began < 10
        assert (response.status, response.json["error_type"]) == (503, "runner_scheduling_failure")
        assert 0 < int(response.headers["retry-after"]) <= 30
        assert "next attempt" in response.json["detail"]
        explained = command(state, "scale", "flapping", "--explain").stdout
        assert "exited with status 7" in explained


def test_a_daemon_of_user_code_ends_with_its_runner(frail: Served, state: Path) -> None:
    daemon = frail.request("/daemon", {}).json
    assert is_running(daemon)
    pid = frail.request("/", {}).json
    os.kill(pid, signal.SIGKILL)
    assert wait_for_end({daemon, pid}, 5) == set()


def test_closed_standard_streams_are_harmless(frail: Served, state: Path) -> None:
    assert frail.request("/close-output", {}).json == "answered"
    assert "still heard" in logs(state, "frail")
    assert frail.request("/", {}).status == 200


@pytest.mark.parametrize("megabytes", [100, pytest.param(1000, marks=pytest.mark.long)])
@pytest.mark.parametrize(
    "path", ["/lines", *(pytest.param(path, marks=pytest.mark.long) for path in ("/no-newline", "/raw"))]
)
def test_a_flood_of_output_neither_stops_the_request_nor_swells_the_gateway_nor_holds_others(
    frail: Served, state: Path, file: str, path: str, megabytes: int
) -> None:
    command(state, "scale", "frail", "--request-timeout", "100")
    pid = gateway(state)
    with served(state, f"{file}::Shared") as other, ThreadPoolExecutor(1) as pool:
        other.request("/", {})
        before = resident(pid)
        flood: Future[Answer] = pool.submit(frail.request, path, {"number": megabytes})
        slowest = 0.0
        while not flood.done():
            began = time.monotonic()
            assert other.request("/", {}).status == 200
            slowest = max(slowest, time.monotonic() - began)
        assert flood.result().json == "done"
        assert slowest < 5
        assert resident(pid) - before < 40 << 20
    log = logs(state, "frail", 2000)
    assert re.search(r"[\d,]+ (characters|bytes)\)? were printed too fast and dropped", log), log[-3000:]
    if path == "/lines":
        assert "the last words" in log.splitlines()[-1]
    files = sum(f.stat().st_size for f in (state / "logs" / "apps").glob("frail*"))
    assert files < 12 << 20


def test_output_that_is_no_text_is_shown_harmlessly_and_cannot_forge_a_line(frail: Served, state: Path) -> None:
    frail.request("/odd", {})
    records = json.loads(command(state, "logs", "frail", "--json").stdout)
    forged = [r for r in records if "forged" in r["text"]]
    assert forged
    assert all(r["runner"].startswith("frail-") for r in forged)
    assert any("not text" in r["text"] for r in records)
    assert "in two writes: €" in "".join(r["text"] for r in records)
    for line in (state / "logs" / "apps" / "frail.log").read_text().splitlines():
        json.loads(line)


def test_an_answer_with_too_long_a_head_is_502(frail: Served) -> None:
    answer = frail.request("/long-head", {})
    assert (answer.status, answer.json["error_type"]) == (502, "runner_incomplete_response")
    assert frail.request("/", {}).status == 200


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b'{"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", 400),
        (b'{"a": ' + b"9" * 5_000 + b"}", 400),
        (b'{"a": "\xff\xfe"}', 400),
        (b'{"a": 1', 422),
        (b"[1]", 422),
        (b'{"a": NaN}', 200),
        (b'{"a": 1, "a": 2}', 200),
    ],
    ids=["deep", "huge number", "no UTF-8", "truncated", "no object", "NaN", "a key twice"],
)
def test_hostile_json_is_answered_as_by_fal_and_the_runner_lives(frail: Served, body: bytes, status: int) -> None:
    pid = frail.request("/", {}).json
    assert frail.request("/deep", body).status == status
    assert frail.request("/", {}).json == pid


def test_a_blocked_event_loop_is_found_when_others_wait_and_the_owner_learns_who_blocks(
    state: Path, file: str, tmp_path: Path
) -> None:
    with ThreadPoolExecutor(2) as pool:  # both at once: it takes twenty seconds
        for done in [pool.submit(block, state, file, tmp_path, path) for path in ("/block", "/hold")]:
            done.result(60)


def block(state: Path, file: str, tmp_path: Path, path: str) -> None:
    with served(state, f"{file}::Shared", "--name", "shared" + path.strip("/")) as app, ThreadPoolExecutor(2) as pool:
        first = app.request("/", {}).json
        waiting = pool.submit(app.request, "/wait", {"gate": str(tmp_path / "never")})
        while not any(r["in_flight"] for r in runners(state) if r["app"] == app.ready["app"]):
            pass
        blocking = pool.submit(app.request, path, {"gate": ""})
        for call in (waiting, blocking):
            answer = call.result(40)
            assert (answer.status, answer.json["error_type"]) == (503, "runner_disconnected"), answer.body
            assert "event loop" in answer.json["detail"]
        assert app.request("/", {}).json != first
        log = logs(state, app.ready["app"].split("/")[1])
        assert f"in {path.strip('/')}" in log  # the stacks
        if path == "/block":
            match = re.search(
                r"the event loop has been blocked for 3 s by request (\S+) \(POST /block\) at (\S+):\d+ in block", log
            )
            assert match is not None, log
            assert match[1] == blocking.result().json["request_id"]


def test_a_crash_in_a_cell_shows_the_signal(notebook: Kernel) -> None:
    notebook.run(
        "%%fal_app\nimport ctypes, fal\nclass Crash(fal.App):\n    @fal.endpoint('/')\n"
        "    def crash(self):\n        print('before')\n        ctypes.string_at(0)\n"
    ).ok()
    cell = notebook.run("Crash.crash()")
    assert cell.ename == "RequestError"
    assert "SIGSEGV" in cell.evalue
    assert "before" in cell.text
    assert "Segmentation fault" in cell.text  # the stacks of its threads


GROUP = Path("/sys/fs/cgroup/memory")


@pytest.mark.skipif(not os.access(GROUP / "cgroup.procs", os.W_OK), reason="memory cgroups cannot be made here")
def test_a_runner_that_the_kernel_kills_for_lack_of_memory_is_reported_as_such(state: Path, tmp_path: Path) -> None:
    path = tmp_path / "hungry.py"
    path.write_text(
        "import os, fal\n\n\nclass Hungry(fal.App):\n    @fal.endpoint('/')\n    def ok(self) -> int:\n"
        "        return os.getpid()\n\n    @fal.endpoint('/eat')\n    def eat(self) -> None:\n"
        "        kept = []\n        while True:\n            kept.append(bytes(range(256)) * 40_000)\n"
    )
    group = GROUP / f"fal-jupyter-test-{os.getpid()}"
    group.mkdir()
    try:
        with served(state, f"{path}::Hungry") as app:
            pid = app.request("/", {}).json
            (group / "memory.limit_in_bytes").write_text(str(400 << 20))
            (group / "cgroup.procs").write_text(str(pid))
            answer = app.request("/eat", {}, timeout=60)
            assert (answer.status, answer.json["error_type"]) == (503, "runner_disconnected")
            log = logs(state, "hungry")
            assert re.search(r"ran out of memory; its peak was \d+ MB", log), log
            assert app.request("/", {}).status == 200
    finally:
        group.rmdir()


@pytest.mark.long
def test_the_kernel_of_a_flood_stays_usable(notebook: Kernel) -> None:
    """An owner whose call prints more than anybody reads gets the first part, the count, and the answer."""
    notebook.run(
        "%%fal_app\nimport sys, fal\nclass Loud(fal.App):\n    @fal.endpoint('/')\n    def shout(self) -> int:\n"
        "        for i in range(60):\n            sys.stdout.write('w' * 999_999 + '\\n')\n        return 3\n"
    ).ok()
    cell = notebook.run("Loud.shout()", timeout=100).ok()
    assert cell.result == "3"
    assert len(cell.text) < 1 << 20
    assert "more lines" in cell.text
