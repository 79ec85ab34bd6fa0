"""Faults of the gateway and its machine (reliability rows 13–20, 25, 26, 36–38, 41, 48): bounded, told, and over when it is over."""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import socket
import sqlite3
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.cdn import eventually
from tests.support.kernel import Kernel, kernel
from tests.support.serve import COMMAND, Served, command, doctor, served
from tests.support.state import is_running, processes_of, state_directory, wait_for_end
from tests.support.wire import Wire, head, port_of

APP = """
import asyncio
import os
import time
from pathlib import Path

import fal
from fastapi import Response
from fastapi.responses import StreamingResponse


class Steady(fal.App):
    app_name = "steady"
    keep_alive = 300
    request_timeout = 4
    max_multiplexing = 4

    @fal.endpoint("/")
    def ok(self) -> int:
        return os.getpid()

    @fal.endpoint("/nap")
    def nap(self, seconds: float, mark: str = "") -> str:
        if mark:
            Path(mark).touch()
        print("napping")
        time.sleep(seconds)
        return "rested"

    @fal.endpoint("/large")
    async def large(self, size: int) -> Response:
        async def blocks():
            for _ in range(size):
                yield bytes(1 << 20)

        return StreamingResponse(blocks())

    def teardown(self):
        print("teardown was called")


class Other(fal.App):
    app_name = "other"

    @fal.endpoint("/")
    def ok(self) -> int:
        return os.getpid()
"""


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "steady.py"
    path.write_text(APP)
    return str(path)


@pytest.fixture
def steady(state: Path, file: str) -> Iterator[Served]:
    with served(state, f"{file}::Steady") as running:
        yield running


def pid_of(state: Path, role: str) -> int:
    return int(next(p["pid"] for p in doctor(state)["processes"] if p["role"] == role))


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def descriptors(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def wait_for(path: Path, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not path.exists():
        assert time.monotonic() < deadline, f"{path} never came"
        time.sleep(0.01)


def request_bytes(app: Served, path: str, body: bytes, *lines: str) -> bytes:
    port = port_of(app.ready["base"])
    length, kind = f"Content-Length: {len(body)}", "Content-Type: application/json"
    return head("POST", f"/run/{app.ready['app']}{path}", port, app.ready["key"], length, kind, *lines) + body


# --- stopped and killed -----------------------------------------------------------------------------------------------
@pytest.mark.long
def test_a_stopped_gateway_does_not_count_its_suspension_against_time_limits(
    steady: Served, state: Path, tmp_path: Path
) -> None:
    pid = steady.request("/").json
    gateway = pid_of(state, "gateway")
    with ThreadPoolExecutor(3) as pool:
        marks = [tmp_path / str(n) for n in range(3)]
        naps = [pool.submit(steady.request, "/nap", {"seconds": 1, "mark": str(mark)}) for mark in marks]
        for mark in marks:
            wait_for(mark)
        os.kill(gateway, signal.SIGSTOP)
        time.sleep(7)  # longer than request_timeout, and than one look at the event loop
        os.kill(gateway, signal.SIGCONT)
        assert [nap.result().json for nap in naps] == ["rested"] * 3
    assert steady.request("/").json == pid


@pytest.mark.long  # test_kill_matrix.py kills a gateway in a request
def test_a_gateway_killed_under_load_leaves_nothing_and_every_caller_gets_an_error(state: Path, file: str) -> None:
    app = Served(state, f"{file}::Steady")
    outcomes: Counter[str] = Counter()
    over = threading.Event()

    def caller() -> None:
        while not over.is_set():
            try:
                outcomes[str(app.request("/nap", {"seconds": 0.01}, timeout=20).status)] += 1
            except OSError as error:  # URLError, ConnectionReset …
                outcomes[type(error).__name__] += 1
                over.set()

    with ThreadPoolExecutor(16) as pool:
        callers = [pool.submit(caller) for _ in range(16)]
        while outcomes["200"] < 200:
            time.sleep(0.01)
        everyone = set(processes_of(state)) - {app.process.pid}
        os.kill(pid_of(state, "gateway"), signal.SIGKILL)
        for done in callers:
            done.result(20)
    assert wait_for_end(everyone, 4) == set()
    assert set(outcomes) - {"200"} <= {"ConnectionResetError", "URLError", "RemoteDisconnected", "503"}
    app.process.wait(20)  # it ends by itself
    status, _, errors = app.stop()
    assert status == 1
    assert "Traceback" not in errors


# --- the machine refuses ----------------------------------------------------------------------------------------------
@pytest.mark.long
def test_without_descriptors_nothing_spins_nothing_dies_and_all_comes_back(steady: Served, state: Path) -> None:
    pid = steady.request("/").json
    gateway, template = pid_of(state, "gateway"), pid_of(state, "template")
    port = port_of(steady.ready["base"])
    with closing(Wire(port)) as early:
        early.send(request_bytes(steady, "/", b"{}"))
        assert early.reply().status == 200
        limits = resource.prlimit(gateway, resource.RLIMIT_NOFILE)
        connections = []
        resource.prlimit(gateway, resource.RLIMIT_NOFILE, (descriptors(gateway), limits[1]))
        try:
            for _ in range(50):
                connections.append(socket.create_connection(("127.0.0.1", port)))
            before = cpu_seconds(gateway)
            time.sleep(2)
            assert cpu_seconds(gateway) - before < 0.6, "it spins"
            early.send(request_bytes(steady, "/", b"{}"))  # who is connected is served on
            assert early.reply().status == 200
        finally:
            resource.prlimit(gateway, resource.RLIMIT_NOFILE, limits)
            for sock in connections:
                sock.close()
    assert steady.request("/").json == pid
    assert pid_of(state, "template") == template
    assert (state / "logs" / "gateway.log").stat().st_size < 1 << 20


@pytest.mark.long
def test_connections_beyond_the_descriptors_get_503_with_retry_after(state: Path, file: str) -> None:
    prefix = ["prlimit", "--nofile=300:300"]
    with served(state, f"{file}::Steady", prefix=prefix) as app:
        port = port_of(app.ready["base"])
        connections = [socket.create_connection(("127.0.0.1", port)) for _ in range(172)]
        with closing(Wire(port)) as late:
            reply = late.reply()
            assert (reply.status, reply.headers["retry-after"]) == (503, "1")
        assert command(state, "apps", "--json").returncode == 0  # the control plane has places of its own
        for sock in connections:
            sock.close()
        assert app.request("/").status == 200


@pytest.mark.long
def test_at_64_descriptors_callers_get_503_with_retry_after(state: Path, file: str) -> None:
    with served(state, f"{file}::Steady", prefix=["prlimit", "--nofile=64:64"]) as app:
        assert app.request("/").status == 200
        port, connections = port_of(app.ready["base"]), []
        for _ in range(40):
            connections.append(Wire(port))
            connections[-1].sock.settimeout(0.3)
            try:
                reply = connections[-1].reply()
            except TimeoutError:
                continue
            assert (reply.status, reply.headers["retry-after"]) == (503, "1")
            break
        else:
            raise AssertionError("40 connections were taken")
        for wire in connections:
            wire.close()
        deadline = time.monotonic() + 20
        while app.request("/").status != 200:
            assert time.monotonic() < deadline


@pytest.mark.long
def test_a_burst_at_64_descriptors_is_answered_whole(state: Path, file: str) -> None:
    with served(state, f"{file}::Steady", prefix=["prlimit", "--nofile=64:64"]) as app:
        pid, port = app.request("/").json, port_of(app.ready["base"])
        gateway = pid_of(state, "gateway")
        os.kill(gateway, signal.SIGSTOP)  # all of them wait when it looks
        try:
            wires = [Wire(port) for _ in range(200)]
            for wire in wires:
                wire.send(request_bytes(app, "/", b"{}"))
        finally:
            os.kill(gateway, signal.SIGCONT)
        replies = [wire.reply() for wire in wires]
        assert {reply.status for reply in replies} == {200, 503}
        assert {reply.headers.get("retry-after") for reply in replies if reply.status == 503} == {"1"}
        for wire in wires:
            wire.close()
        eventually(lambda: app.request("/").status == 200)
        assert is_running(pid)  # the burst may have started others beside it; it has ended none


PIDS = Path("/sys/fs/cgroup/pids")


@contextmanager
def no_more_processes(pid: int) -> Iterator[None]:
    """Let *pid* have no further child: a pids cgroup where one can be made (root is bound by no limit), else RLIMIT_NPROC."""
    if os.access(PIDS / "cgroup.procs", os.W_OK):
        group = PIDS / f"fal-jupyter-test-{os.getpid()}"
        group.mkdir()
        (group / "cgroup.procs").write_text(str(pid))
        (group / "pids.max").write_text("1")
        try:
            yield
        finally:
            (group / "pids.max").write_text("max")
            for member in (group / "cgroup.procs").read_text().split():
                (PIDS / "cgroup.procs").write_text(member)
            group.rmdir()
    elif os.getuid():
        limits = resource.prlimit(pid, resource.RLIMIT_NPROC)
        resource.prlimit(pid, resource.RLIMIT_NPROC, (0, limits[1]))
        try:
            yield
        finally:
            resource.prlimit(pid, resource.RLIMIT_NPROC, limits)
    else:
        pytest.skip("root without a pids cgroup: nothing can keep it from having processes")


@pytest.mark.long
def test_without_processes_requests_wait_and_are_served_when_there_are_some(steady: Served, state: Path) -> None:
    first = steady.request("/").json
    with ThreadPoolExecutor(1) as pool:
        with no_more_processes(pid_of(state, "template")):
            os.kill(first, signal.SIGKILL)
            wait_for_end({first}, 5)
            waiting = pool.submit(steady.request, "/")
            while "could not start a runner" not in (output := command(state, "scale", "steady", "--explain").stdout):
                pass
            assert "Resource temporarily unavailable" in output
            assert not waiting.done()
        answer = waiting.result(30)
    assert answer.status == 200
    assert answer.json != first


def in_a_small_disk(directory: Path, size: str) -> list[str]:
    """A command prefix: what comes after it sees *directory* as a disk of *size* of its own."""
    directory.mkdir(mode=0o700)
    script = f'mount -t tmpfs -o size={size},mode=700 tmpfs "$0" && exec "$@"'
    prefix = ["unshare", *([] if os.getuid() == 0 else ["-r"]), "-m", "sh", "-c", script, str(directory)]
    if subprocess.run([*prefix, "true"], capture_output=True).returncode:
        pytest.skip("no mount can be made here")
    return prefix


def fill(path: Path) -> None:
    with open(path, "wb", buffering=0) as filler:
        try:
            while True:
                filler.write(bytes(4096))
        except OSError:
            pass  # it is full


def test_a_full_disk_stops_no_request_and_no_publication(tmp_path: Path, file: str) -> None:
    place = tmp_path / "small"
    state = place / "s"
    with served(state, f"{file}::Steady", prefix=in_a_small_disk(place, "1m")) as app:
        gateway = next(pid for pid, line in processes_of(state).items() if "fal_jupyter.gateway" in line)
        seen = Path(f"/proc/{gateway}/root{place}")
        fill(seen / "filler")
        pid = app.request("/").json
        assert app.request("/nap", {"seconds": 0}).json == "rested"
        os.kill(pid, signal.SIGKILL)
        while app.request("/").json == pid or app.request("/").status != 200:  # a new runner, too
            pass
        with served(seen / "s", f"{file}::Other") as second:
            assert second.request("/").status == 200
        (seen / "filler").unlink()
        assert app.request("/").status == 200
    assert processes_of(state) == {}


def test_a_gateway_that_cannot_write_its_directory_reports_it(tmp_path: Path, file: str) -> None:
    place = tmp_path / "tiny"
    state = place / "s"
    prefix = in_a_small_disk(place, "24k")
    done = subprocess.run(
        [*prefix, *COMMAND, "serve", f"{file}::Steady"], capture_output=True, text=True, timeout=60,
        env=dict(os.environ, FAL_JUPYTER_STATE=str(state)),
    )  # fmt: skip
    assert done.returncode == 1
    assert f"the state directory {state} cannot be written" in done.stderr
    assert "set FAL_JUPYTER_STATE" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_damaged_store_is_left_alone_and_named(state: Path, file: str) -> None:
    state.mkdir(mode=0o700)
    (state / "store.sqlite").write_bytes(b"this is no database, but somebody may want it back" * 100)
    done = command(state, "serve", f"{file}::Steady")
    assert done.returncode == 1
    assert "store.sqlite is damaged" in done.stderr
    assert "mv " in done.stderr
    assert "Traceback" not in done.stderr
    assert (state / "store.sqlite").read_bytes().startswith(b"this is no database")


# --- the state directory goes away --------------------------------------------------------------------------------------
def works_again(state: Path, seconds: float = 10) -> dict[str, Any]:
    deadline = time.monotonic() + seconds
    while not (state / "gateway.sock").exists():
        assert time.monotonic() < deadline, "the socket never came back"
        time.sleep(0.01)
    return doctor(state)


@pytest.mark.parametrize(
    "way", ["removed", *(pytest.param(way, marks=pytest.mark.long) for way in ("moved", "socket", "lock"))]
)
def test_a_removed_state_directory_is_recreated_and_no_owner_is_lost(
    notebook: Kernel, state: Path, tmp_path: Path, way: str
) -> None:
    notebook.run("%%fal_app\n" + APP).ok()
    first = notebook.run("Steady.ok()").ok().result
    gateway = pid_of(state, "gateway")
    if way == "removed":
        shutil.rmtree(state)
    elif way == "moved":
        state.rename(tmp_path / "elsewhere")
    else:
        (state / ("gateway.sock" if way == "socket" else "gateway.lock")).unlink()
    wait_for(state / "gateway.lock")
    found = works_again(state)
    assert found["gateway"]["pid"] == gateway
    assert notebook.run("Steady.ok()").ok().result == first
    assert notebook.run("Steady.nap(0)").ok().result == "'rested'"
    changed = APP.replace('return "rested"', 'return "changed"')
    notebook.run("%%fal_app\n" + changed).ok()
    assert notebook.run("Steady.nap(0)").ok().result == "'changed'"
    assert "napping" in command(state, "logs", "steady").stdout
    with closing(sqlite3.connect(state / "store.sqlite")) as store:
        assert store.execute("SELECT count(*) FROM revisions").fetchone()[0] >= 2  # history came along
    assert stat_mode(state) == 0o700


def stat_mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


@pytest.mark.long
def test_a_gateway_whose_place_was_taken_meanwhile_ends_and_its_owner_goes_to_the_new_one(
    notebook: Kernel, state: Path, file: str
) -> None:
    notebook.run("%%fal_app\n" + APP.partition("class Other")[0]).ok()
    former = pid_of(state, "gateway")
    os.kill(former, signal.SIGSTOP)  # so that the other is the first
    shutil.rmtree(state)
    with served(state, f"{file}::Other") as other:
        os.kill(former, signal.SIGCONT)
        assert wait_for_end({former}, 20) == set()
        cell = notebook.run("Steady.nap(0)").ok()
        assert "'rested'" in cell.result
        assert "gateway" in cell.text
        assert other.request("/").status == 200
        assert {r["class_name"] for r in json.loads(command(state, "apps", "--json").stdout)} == {"Steady", "Other"}


@pytest.mark.long  # the tests above remove the directory of a gateway that is used
def test_an_unused_gateway_ends_with_its_directory(state: Path, tmp_path: Path) -> None:
    with kernel(state, tmp_path) as notebook:
        notebook.run("%load_ext fal_jupyter").ok()
        notebook.run("%%fal_app\n" + APP.partition("class Other")[0]).ok()
        gateway = pid_of(state, "gateway")
    assert is_running(gateway)  # it waits for the next notebook
    shutil.rmtree(state)
    assert wait_for_end({gateway}, 10) == set()
    assert not state.exists()


NAMES = {"../up": True, "a/b": True, "": True, ".": False, "a b": False, "A": False, "-x": False, "a\nb": True}
NAMES |= {"x" * 300: False, "ä": False, "a%2fb": False}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if usual else pytest.mark.long) for name, usual in NAMES.items()]
)
def test_a_hostile_name_is_refused_in_a_sentence_and_leaves_no_file(state: Path, file: str, name: str) -> None:
    done = command(state, "serve", f"{file}::Other", f"--name={name}", "--dry-run")
    assert done.returncode != 0
    assert "Traceback" not in done.stderr
    assert "name" in done.stderr
    assert [p for p in state.rglob("*") if p.suffix == ".log" and p.name != "gateway.log"] == []


# --- time ---------------------------------------------------------------------------------------------------------------
CLOCK = """
import pathlib, time
_place, _time = pathlib.Path({place!r}), time.time
def _shifted():
    return _time() + (float(_place.read_text()) if _place.exists() else 0.0)
time.time = _shifted
time.time_ns = lambda: int(_shifted() * 1e9)
"""


@pytest.mark.long
def test_a_clock_that_jumps_a_day_either_way_changes_nothing(state: Path, file: str, tmp_path: Path) -> None:
    offset, modules = tmp_path / "offset", tmp_path / "modules"
    modules.mkdir()
    (modules / "sitecustomize.py").write_text(CLOCK.format(place=str(offset)))
    with served(state, f"{file}::Steady", env={"PYTHONPATH": str(modules)}) as app, ThreadPoolExecutor(1) as pool:
        pid = app.request("/").json
        for day in (-86_400, 2 * 86_400):
            mark = tmp_path / f"mark{day}"
            nap = pool.submit(app.request, "/nap", {"seconds": 1, "mark": str(mark)})
            wait_for(mark)
            offset.write_text(str(day))
            assert nap.result().json == "rested"
            assert app.request("/").json == pid
            app.request("/nap", {"seconds": 0})
            lines = (state / "logs" / "apps" / "steady.log").read_text().splitlines()
            assert abs(json.loads(lines[-1])["time"] - time.time() - day) < 60  # the gateway saw the jump


# --- slow callers -------------------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def impatient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    path = tmp_path_factory.mktemp("impatient") / "steady.py"
    path.write_text(APP)
    env = {"FAL_JUPYTER_READ_TIMEOUT": "1", "FAL_JUPYTER_SEND_TIMEOUT": "1"}
    with state_directory() as state, served(state, f"{path}::Steady", env=env) as running:
        yield running


@pytest.mark.parametrize(
    "part", ["head", "body", *(pytest.param(part, marks=pytest.mark.long) for part in ("drip", "chunks"))]
)
def test_half_a_request_is_waited_for_only_so_long(impatient: Served, part: str) -> None:
    whole = request_bytes(impatient, "/nap", b'{"seconds": 0}')
    sent = {
        "head": whole[:40],
        "drip": whole[:40],
        "body": whole[:-5],
        "chunks": request_bytes(impatient, "/nap", b"").replace(b"Content-Length: 0", b"Transfer-Encoding: chunked")
        + b"1\r\n{\r\n",
    }[part]
    with closing(Wire(port_of(impatient.ready["base"]))) as wire:
        began = time.monotonic()
        wire.send(sent)
        if part == "drip":  # a byte now and then is no progress of a head
            for letter in b"abc":
                time.sleep(0.3)
                wire.send(bytes([letter]))
        answer = wire.rest()
        assert time.monotonic() - began < 10
    assert answer.startswith(b"HTTP/1.1 408 "), answer
    assert impatient.request("/nap", {"seconds": 1.2}).json == "rested"  # who waits for us is not hurried


@pytest.mark.long
def test_endless_chunks_end_at_the_limit(state: Path, file: str) -> None:
    with served(state, f"{file}::Steady", env={"FAL_JUPYTER_MAX_BODY": str(1 << 20)}) as app:
        start = request_bytes(app, "/nap", b"").replace(b"Content-Length: 0", b"Transfer-Encoding: chunked")
        with closing(Wire(port_of(app.ready["base"]))) as wire:
            wire.send(start)
            try:
                for _ in range(2000):
                    wire.send(b"10000\r\n" + bytes(0x10000) + b"\r\n")
            except OSError:
                pass  # it hung up on us in the end
            else:
                raise AssertionError("125 MiB were taken")
        assert app.request("/").status == 200


def test_a_caller_that_reads_nothing_is_cut_off_and_its_place_is_free(impatient: Served) -> None:
    state = impatient.state
    with closing(Wire(port_of(impatient.ready["base"]))) as wire:
        wire.send(request_bytes(impatient, "/large", b'{"size": 200}'))
        deadline = time.monotonic() + 20
        while not any(r["in_flight"] for r in json.loads(command(state, "runners", "--json").stdout)):
            assert time.monotonic() < deadline
        while any(r["in_flight"] for r in json.loads(command(state, "runners", "--json").stdout)):
            assert time.monotonic() < deadline, "the place was never free again"
        gateway = pid_of(state, "gateway")
        assert int(Path(f"/proc/{gateway}/statm").read_text().split()[1]) * 4096 < 150 << 20
    assert impatient.request("/").status == 200


# --- the end ------------------------------------------------------------------------------------------------------------
@pytest.mark.long  # test_lifecycle.py has a serve that is interrupted in a request
def test_sigterm_lets_a_request_finish_and_calls_teardown(state: Path, file: str, tmp_path: Path) -> None:
    app = Served(state, f"{file}::Steady")
    with ThreadPoolExecutor(1) as pool:
        nap = pool.submit(app.request, "/nap", {"seconds": 1.5, "mark": str(tmp_path / "mark")})
        wait_for(tmp_path / "mark")
        assert app.stop(signal.SIGTERM)[0] == 0
        assert nap.result().json == "rested"
    assert "teardown was called" in (state / "logs" / "apps" / "steady.log").read_text()


@pytest.mark.long
def test_a_second_signal_does_not_wait(state: Path, file: str, tmp_path: Path) -> None:
    slow = file.replace("steady.py", "slow.py")
    Path(slow).write_text(
        APP.replace("request_timeout = 4", "request_timeout = 100\n    termination_grace_period_seconds = 30")
    )
    app = Served(state, f"{slow}::Steady")
    with ThreadPoolExecutor(1) as pool:
        nap = pool.submit(app.request, "/nap", {"seconds": 60, "mark": str(tmp_path / "mark")})
        wait_for(tmp_path / "mark")
        began = time.monotonic()
        app.process.send_signal(signal.SIGINT)
        while "stopping" not in (state / "logs" / "apps" / "steady.log").read_text():
            time.sleep(0.01)
        assert app.stop(signal.SIGINT)[0] == 0
        assert time.monotonic() - began < 10
        assert nap.result().status == 503
    assert not any(is_running(pid) for pid in processes_of(state))
