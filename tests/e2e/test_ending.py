"""A gateway that ends (issue 14 §6 (f)): it refuses first, starters wait for it, and every question of a client reaches a gateway that serves."""

from __future__ import annotations

import contextlib
import fcntl
import http.client
import json
import os
import random
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.support.cdn import eventually
from tests.support.kernel import kernel
from tests.support.serve import Served, command, runners
from tests.support.state import processes_of, state_directory, wait_for_end

APP = """
import asyncio, fal
from fastapi import WebSocket
from pathlib import Path

class {name}(fal.App):
    app_name = "{alias}"
    max_multiplexing = 8
    termination_grace_period_seconds = 20

    @fal.endpoint("/")
    def hi(self) -> str:
        return "{alias}"

    @fal.endpoint("/slow")
    async def slow(self, begun: str, gate: str) -> str:
        Path(begun).touch()
        while not Path(gate).exists():
            await asyncio.sleep(0.01)
        return "done"

    @fal.realtime("/talk")
    def talk(self, word: dict) -> dict:
        return word

    @fal.endpoint("/raw", is_websocket=True)
    async def raw(self, websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.send_text("raw")
"""


def written(folder: Path, name: str) -> str:
    path = folder / f"{name.lower()}.py"
    path.write_text(APP.format(name=name, alias=name.lower()))
    return f"{path}::{name}"


def gateway_of(state: Path, former: int = 0) -> int:
    """Wait for a gateway other than the *former* one."""
    found: list[int] = []

    def there() -> bool:
        found[:] = [
            pid
            for pid, arguments in processes_of(state).items()
            if "fal_jupyter.gateway" in arguments and pid != former
        ]
        return bool(found)

    eventually(there)
    return found[0]


@pytest.mark.long
@pytest.mark.parametrize("turns", [1, 8])
def test_one_serve_starts_while_the_former_one_ends(tmp_path: Path, turns: int) -> None:
    chance = random.Random(14)
    targets = [written(tmp_path, "First"), written(tmp_path, "Second")]
    with state_directory() as state, ThreadPoolExecutor(1) as pool:
        serving = Served(state, targets[0])
        for turn in range(1, turns + 1):
            coming = pool.submit(Served, state, targets[turn % 2])
            time.sleep(chance.uniform(0.1, 0.6))  # anywhere in the other's start
            status, _, errors = serving.stop(chance.choice([signal.SIGTERM, signal.SIGINT]), timeout=40)
            assert (status, errors) == (0, "")
            serving = coming.result(60)
            assert serving.request("/", {}).json == ["first", "second"][turn % 2]
        serving.stop()


def test_a_gateway_that_drains_refuses_with_503_and_finishes_what_it_has(tmp_path: Path) -> None:
    begun, gate = tmp_path / "begun", tmp_path / "gate"
    with state_directory() as state, ThreadPoolExecutor(1) as pool:
        serving = Served(state, written(tmp_path, "Drained"))
        address = urlsplit(serving.ready["url"])
        kept = http.client.HTTPConnection("127.0.0.1", address.port, timeout=30)
        headers = {"authorization": f"Key {serving.ready['key']}", "content-type": "application/json"}
        kept.request("POST", address.path, b"{}", headers)
        assert kept.getresponse().read() == b'"drained"'
        slow = pool.submit(serving.request, "/slow", {"begun": str(begun), "gate": str(gate)})
        eventually(begun.exists)
        os.kill(gateway_of(state), signal.SIGTERM)
        eventually(lambda: not (state / "gateway.sock").exists())
        for path in (address.path, address.path.replace("/run/", "/queue/")):
            kept.request("POST", path, b"{}", headers)
            refused = kept.getresponse()
            response = json.loads(refused.read())
            assert (refused.status, refused.getheader("retry-after")) == (503, "1"), response
            assert "ending" in response["detail"]
        gate.touch()
        assert slow.result(30).json == "done"
        kept.close()
        serving.process.wait(30)
        status, _, errors = serving.stop()
        assert (status, errors.strip()) == (1, "fal-jupyter: the gateway has ended, and the app with it")


@pytest.mark.long
def test_a_notebook_whose_gateway_is_ended_gets_answers(tmp_path: Path) -> None:
    with state_directory() as state, kernel(state, tmp_path) as notebook:
        notebook.run("%load_ext fal_jupyter\nimport fal_jupyter, os, signal").ok()
        notebook.run("%%fal_app" + APP.format(name="Again", alias="again")).ok()
        for _ in range(4):
            notebook.run("Again.hi()").ok()  # the one before may have answered before it began to drain
            gateway = gateway_of(state)
            os.kill(gateway, signal.SIGTERM)
            done = notebook.run("print(Again.hi())", timeout=60).ok()
            assert "again" in done.text.splitlines()
            assert not wait_for_end([gateway], 30)
        notebook.run("Again.hi()").ok()
        gateway = gateway_of(state)
        os.kill(gateway, signal.SIGTERM)
        published = notebook.run("%%fal_app" + APP.format(name="Other", alias="other"), timeout=60).ok()
        assert "FileNotFoundError" not in published.text
        assert "other" in notebook.run("print(Other.hi(), Again.hi())", timeout=60).ok().text


OPENING = """
from fastapi import WebSocket

class Opened(fal.App):
    def setup(self):
        import time
        from pathlib import Path
        while not Path("GATE").exists():
            time.sleep(0.01)

    @fal.realtime("/talk")
    def talk(self, word: dict) -> dict:
        return word

    @fal.endpoint("/raw", is_websocket=True)
    async def raw(self, websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.close()
"""
OPEN = """
async def talk():
    async with Opened.realtime.talk() as ws:
        await ws.send({"word": "hi"})
        return (await ws.recv())["word"]

def talk_plainly():
    with Opened.realtime.talk() as ws:
        ws.send({"word": "hi"})
        return ws.recv()["word"]

def raw():
    with Opened.realtime.raw() as ws:
        return ws.recv()

opened = await asyncio.gather(talk(), asyncio.to_thread(talk_plainly), asyncio.to_thread(raw), return_exceptions=True)
print(*(str(one).splitlines()[0] for one in opened), sep="\\n")
"""


@pytest.mark.long
def test_a_session_that_is_opened_around_the_end_of_a_gateway(tmp_path: Path) -> None:
    with state_directory() as state, kernel(state, tmp_path) as notebook:
        notebook.run("%load_ext fal_jupyter\nimport fal_jupyter, asyncio").ok()
        gateway = 0
        for number in (signal.SIGKILL, signal.SIGTERM):
            gate = tmp_path / f"gate {number}"
            notebook.run(
                f"%%fal_app --quiet --no-wait --name opened{number:d}" + OPENING.replace("GATE", str(gate))
            ).ok()
            opening = notebook.start(OPEN)
            eventually(lambda: any(app["waiting"] == 3 for app in json.loads(command(state, "apps", "--json").stdout)))
            gateway = gateway_of(state, gateway)
            os.kill(gateway, number)
            assert not wait_for_end([gateway], 30)
            gate.touch()
            talked, plainly, raw = notebook.finish(opening).ok().text.splitlines()[-3:]
            assert (talked, plainly) == ("hi", "hi"), (number, talked, plainly, raw)
            if number == signal.SIGKILL:  # its code may have begun
                assert raw.startswith("the gateway ended while the session was opened; it was not opened again")
            else:
                assert raw == "None"


STARTING = """
class Begun(fal.App):
    def setup(self):
        import time
        from pathlib import Path
        print("setting up", flush=True)
        while not Path("GATE").exists():
            time.sleep(0.01)

    @fal.endpoint("/")
    def hi(self) -> str:
        return "hi"
"""


@pytest.mark.long
def test_requests_around_the_end_of_a_gateway(tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    with state_directory() as state, kernel(state, tmp_path) as notebook:
        notebook.run("%load_ext fal_jupyter\nimport fal_jupyter, os, signal, asyncio").ok()
        started = notebook.start("%%fal_app --quiet" + STARTING.replace("GATE", str(gate)))
        notebook.finish(started, until=lambda cell: "setting up" in cell.text)
        gateway = 0
        for number in (signal.SIGKILL, signal.SIGTERM):  # while the app starts: it is started at the next gateway
            gateway = gateway_of(state, gateway)
            os.kill(gateway, number)
            notebook.finish(started, until=lambda cell: "setting up" in cell.text)
        gate.touch()
        assert notebook.finish(started).ok().status == "ok"
        notebook.run("job = Begun.submit.hi()\njob.get()").ok()
        for kill in ("SIGKILL", "SIGTERM"):
            code = f"lease = fal_jupyter.app(Begun).client.lease\nos.kill(lease.gateway, signal.{kill})\n"
            # what is sent before it has ended, or drains, may have begun, and is not repeated
            code += "lease.wait_for_gateway(10)\n" if kill == "SIGKILL" else "lease.ends_within(10)\n"
            assert notebook.run(f"{code}print(Begun.submit.hi().get())").ok().text.splitlines()[-1] == "hi"
            lost = notebook.run(f"job = Begun.submit.hi()\n{code}job.status()")
            assert (lost.ename, "its queue with it" in lost.evalue) == ("RequestError", True), lost.traceback
            lost = notebook.run("await job")
            assert "its queue with it" in lost.evalue
            scaled = notebook.run(
                f"{code}print(fal_jupyter.app(Begun).scale(max_concurrency=2)['app'].rpartition('/')[2])"
            )
            assert scaled.ok().text.splitlines()[-1] == "begun"
            waiting = "%%fal_app --quiet --no-wait --name waiting" + STARTING.replace("GATE", f"{gate}-{kill}")
            notebook.run(waiting.replace("Begun", "Waiting")).ok()
            called = notebook.start("print(Waiting.hi(), list(Waiting.stream.hi()))")
            eventually(lambda: any(r["app"].endswith("waiting") and r["state"] == "SETUP" for r in runners(state)))
            if kill == "SIGTERM":  # what waits at a gateway that drains has not begun: the next one has it
                os.kill(gateway_of(state), signal.SIGTERM)
            Path(f"{gate}-{kill}").touch()
            assert notebook.finish(called).ok().text.splitlines()[-1] == "hi ['hi']"
            asked = notebook.run("print(Begun.hi(), fal_jupyter.app(Begun).revision)").ok().text.splitlines()
            assert asked[-1] == "hi 1"


@pytest.mark.long  # test_kill_matrix.py has a notebook whose gateway was killed and that publishes its app again
def test_a_new_gateway_gets_what_served_and_not_what_failed(tmp_path: Path) -> None:
    with state_directory() as state, kernel(state, tmp_path) as notebook:
        notebook.run("%load_ext fal_jupyter\nimport fal_jupyter, os, signal").ok()
        cell = "%%fal_app --quiet\nclass Kept(fal.App):\n    def setup(self): SETUP\n    @fal.endpoint('/')\n    def hi(self) -> str: return 'WORD'"
        notebook.run(cell.replace("SETUP", "pass").replace("WORD", "one")).ok()
        for word in ("two", "three"):
            assert notebook.run(cell.replace("SETUP", "1 / 0").replace("WORD", word)).ename == "SetupFailed"
        kill = "lease = fal_jupyter.app('kept').client.lease\nos.kill(lease.gateway, signal.SIGKILL)\nlease.wait_for_gateway(10)\n"
        lines = notebook.run(f"{kill}print(Kept.hi())").ok().text.splitlines()
        assert lines[-1] == "one"
        assert any("not its latest definition" in line for line in lines)


ENDED = """
client = fal_jupyter.app(Again).client

def end():
    lines = iter(client.connections.open("GET", "/admin/feed"))
    os.kill(client.lease.gateway, signal.SIGKILL)
    try:
        list(lines)
    except fal_jupyter.FalJupyterError:
        pass  # this connection has ended, the gateway's lease and its socket end a moment later

def talked():
    with Again.realtime.talk() as ws:
        ws.send({"word": "again"})
        return ws.recv()["word"]

async def talked_async():
    async with Again.realtime.talk() as ws:
        await ws.send({"word": "again"})
        return (await ws.recv())["word"]

def raw():
    with Again.realtime.raw() as ws:
        return ws.recv().replace("raw", "again")

async def streamed():
    return [value async for value in Again.stream.hi()]
"""


# each asks a gateway that has just been killed; for `make test`, test_kill_matrix.py asks the plainest way
QUESTIONS = ["Again.submit.hi().get()"]
MORE_QUESTIONS = [
    "await fal_jupyter.app(Again).aio.hi()",
    "talked()",
    "Again.hi()",
    "list(Again.stream.hi())",
    "await streamed()",
    "await talked_async()",
    "raw()",
    "fal_jupyter.app(Again).scale(max_concurrency=2)['app'].rpartition('/')[2]",
]


@pytest.mark.long
@pytest.mark.parametrize("questions", [pytest.param(QUESTIONS, id="few"), pytest.param(MORE_QUESTIONS, id="others")])
def test_what_a_killed_gateway_has_not_read_goes_to_the_next_one(tmp_path: Path, questions: list[str]) -> None:
    with state_directory() as state, kernel(state, tmp_path) as notebook:
        notebook.run("%load_ext fal_jupyter\nimport fal_jupyter, os, signal").ok()
        notebook.run("%%fal_app --quiet" + APP.format(name="Again", alias="again")).ok()
        notebook.run(ENDED).ok()
        for question in questions:
            cell = notebook.run(f"end()\nprint({question})", timeout=60).ok()
            assert cell.text.splitlines()[-1] in ("again", "['again']"), question


def test_a_gateway_that_is_interrupted_before_it_serves_ends_without_a_traceback() -> None:
    with state_directory() as state, ExitStack() as opened:
        state.mkdir(mode=0o700)
        lock = opened.enter_context(open(state / "gateway.lock", "wb"))
        fcntl.flock(lock, fcntl.LOCK_EX)  # the former gateway, for which it waits
        read, write = os.pipe()
        command = [sys.executable, "-P", "-m", "fal_jupyter.gateway", "--ready-fd", str(write)]
        environment = dict(os.environ, FAL_JUPYTER_STATE=str(state))
        gateway = subprocess.Popen(command, env=environment, pass_fds=[write], stderr=subprocess.PIPE)
        os.close(write)

        def waits() -> bool:
            with contextlib.suppress(FileNotFoundError):  # a descriptor that is closed meanwhile
                return any(os.path.realpath(path) == lock.name for path in Path(f"/proc/{gateway.pid}/fd").iterdir())
            return False

        eventually(waits)
        gateway.send_signal(signal.SIGINT)
        _, errors = gateway.communicate(timeout=30)
        assert (gateway.returncode, errors, os.read(read, 1)) == (-signal.SIGINT, b"", b"")
        os.close(read)
