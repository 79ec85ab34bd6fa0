"""SIGSTOP × {template, runner, gateway, starter}: no wait is endless, each caller gets an error, and nothing is left."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.cdn import eventually
from tests.support.fixtures import file_fixture
from tests.support.kernel import kernel
from tests.support.serve import Served, command, doctor
from tests.support.state import processes_of, state_directory, wait_for_end

APP = """
import os, subprocess, fal

class Steady(fal.App):
    keep_alive = 600

    @fal.endpoint("/daemon")
    def daemon(self) -> int:
        return subprocess.Popen(["sleep", "600"], start_new_session=True).pid

    @fal.endpoint("/")
    def pid(self) -> int:
        return os.getpid()

    @fal.realtime("/talk")
    def talk(self, word: dict) -> dict:
        return word
"""


target = file_fixture("target", "steady.py", APP, "::Steady")


def pid_of(state: Path, role: str) -> int:
    return next(int(p["pid"]) for p in doctor(state)["processes"] if p["role"] == role)


@pytest.mark.long
def test_a_stopped_template_is_replaced_when_a_runner_has_to_start(state: Path, target: str) -> None:
    serving = Served(state, target)
    runner, template = serving.request("/").json, pid_of(state, "template")
    os.kill(template, signal.SIGSTOP)
    os.kill(runner, signal.SIGKILL)
    first = serving.request("/")  # it may have gone to the killed runner, of which nobody has told the gateway
    assert first.status == 200 or first.json["error_type"] == "runner_disconnected", first.json
    assert serving.request("/").status == 200
    assert not wait_for_end({template, runner}, 1)
    logs = command(state, "logs", "steady").stdout
    assert "its template was stopped and did not answer for 5 s, and was ended" in logs
    os.kill(pid_of(state, "template"), signal.SIGSTOP)
    everything = set(processes_of(state))
    assert serving.stop(timeout=40)[0] == 0
    assert not wait_for_end(everything, 10)


@pytest.mark.long  # test_kill_matrix.py kills a gateway whose processes run
def test_what_is_stopped_ends_with_a_killed_gateway(state: Path, target: str) -> None:
    serving = Served(state, target)
    runner = serving.request("/").json
    gateway, template = pid_of(state, "gateway"), pid_of(state, "template")
    everything = set(processes_of(state)) - {serving.process.pid}
    for pid in (runner, template):
        os.kill(pid, signal.SIGSTOP)
    os.kill(gateway, signal.SIGKILL)
    assert not wait_for_end(everything, 10)
    assert serving.stop(timeout=40)[0] == 1


@pytest.mark.long
def test_a_gateway_that_dies_with_unread_news_leaves_nothing(state: Path, target: str) -> None:
    serving = Served(state, target)
    serving.request("/daemon")
    runner, gateway = serving.request("/").json, pid_of(state, "gateway")
    everything = set(processes_of(state)) - {serving.process.pid}
    os.kill(gateway, signal.SIGSTOP)
    os.kill(runner, signal.SIGKILL)
    assert not wait_for_end({runner}, 10)  # its template has told the gateway, which has not read it
    os.kill(gateway, signal.SIGKILL)
    assert not wait_for_end(everything, 10)
    assert serving.stop(timeout=40)[0] == 1
    assert "Traceback" not in (state / "logs" / "gateway.err").read_text()


@pytest.mark.long
def test_a_disconnect_during_a_request_leaves_no_traceback(state: Path, target: str) -> None:
    serving = Served(state, target)
    os.kill(serving.request("/").json, signal.SIGSTOP)  # so that stopping it takes a while
    with closing(socket.socket(socket.AF_UNIX)) as asking:
        asking.connect(str(state / "gateway.sock"))
        asking.sendall(b"DELETE /admin/apps/steady?wait=1 HTTP/1.1\r\nhost: localhost\r\n\r\n")
        eventually(lambda: not json.loads(command(state, "apps", "--json").stdout))
    assert serving.stop(timeout=40)[0] == 0
    assert "Traceback" not in (state / "logs" / "gateway.log").read_text()


@pytest.mark.long
def test_a_stopped_runner_does_not_outlive_its_app(state: Path, target: str) -> None:
    serving = Served(state, target)
    os.kill(serving.request("/").json, signal.SIGSTOP)
    everything = set(processes_of(state))
    assert serving.stop(timeout=40)[0] == 0
    assert not wait_for_end(everything, 10)


@pytest.mark.long
def test_every_client_reports_that_the_gateway_is_stopped(target: str, tmp_path: Path) -> None:
    with state_directory() as state, kernel(state, tmp_path) as notebook, ThreadPoolExecutor(3) as pool:
        notebook.run("%load_ext fal_jupyter\nimport asyncio, fal_jupyter").ok()
        notebook.run("%%fal_app\n" + APP).ok()
        serving = Served(state, target, "--name", "other")
        gateway = pid_of(state, "gateway")
        message = f"the gateway (process {gateway}) is stopped and has not answered for 15 s"
        os.kill(gateway, signal.SIGSTOP)
        try:
            verb = pool.submit(command, state, "apps")
            coming = pool.submit(command, state, "serve", target, "--name", "third")
            leaving = pool.submit(serving.stop, signal.SIGINT, 60)
            cell = notebook.run(
                "def plain(): Steady.pid()\n"
                "def stream(): list(Steady.stream.pid())\n"
                "def submit(): Steady.submit.pid()\n"
                "def awaited(): asyncio.run(fal_jupyter.app(Steady).aio.pid())\n"
                "def session():\n"
                "    with Steady.realtime.talk(): pass\n"
                "async def open_session():\n"
                "    async with Steady.realtime.talk(): pass\n"
                "def awaited_session(): asyncio.run(open_session())\n"
                "async def one(call):\n"
                "    try: await asyncio.to_thread(call)\n"
                "    except Exception as error: print(call.__name__, type(error).__name__, error)\n"
                "await asyncio.gather(*map(one, (plain, stream, submit, awaited, session, awaited_session)))",
                timeout=60,
            ).ok()
            assert cell.text.count(message) == 6, cell.text
            assert cell.text.count(f"kill -CONT {gateway}") == 6, cell.text
            for done in (verb.result(60), coming.result(60)):
                assert done.returncode == 1
                assert message in done.stderr
            assert message in leaving.result(60)[2]
        finally:
            os.kill(gateway, signal.SIGCONT)
        assert notebook.run("Steady.pid()").ok().result.isdigit()


def test_a_starter_that_holds_the_lock_is_named(state: Path, target: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from fal_jupyter import settings as settings_module
    from fal_jupyter.client.connection import connect
    from fal_jupyter.domain.errors import GatewayUnreachable

    monkeypatch.setenv("FAL_JUPYTER_STATE", str(state))
    monkeypatch.setattr(connect, "START_PATIENCE", 0.5)
    settings = settings_module.read()
    state.mkdir(mode=0o700)
    with open(settings.start_lock, "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lock.write(str(os.getpid()))
        lock.flush()
        with pytest.raises(GatewayUnreachable, match=rf"the process that starts a gateway \(process {os.getpid()}\)"):
            connect.ensure_gateway(settings)
