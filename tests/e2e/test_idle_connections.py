"""A process that makes no call for a while: its idle connections are closed meanwhile, and its calls do not fail for it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.kernel import kernel
from tests.support.state import processes_of, wait_for_end

SCRIPT = """
import time
from concurrent.futures import ThreadPoolExecutor
import fal_jupyter
from fal_jupyter import fal


class Echo(fal.App):
    keep_alive = 600
    max_multiplexing = 6

    @fal.endpoint("/")
    def hi(self, number: int = 0, seconds: float = 0.0) -> int:
        time.sleep(seconds)
        return number


handle = fal_jupyter.serve(Echo, quiet=True)
with ThreadPoolExecutor(6) as pool:
    print([*pool.map(lambda i: Echo.hi(i, seconds=0.3), range(6))])
client = handle.client
idle = [sock for _, sock in client.connections._pool._idle]
assert len(idle) > 1
{rest}
print([Echo.hi(i) for i in range(8)])
"""
CLOSED = "for sock in idle:\n    while sock.recv(1):\n        pass\n"  # each waits for the gateway to close it


def test_calls_after_the_gateway_closed_the_idle_connections(state: Path, tmp_path: Path) -> None:
    for rest, limit in ((CLOSED, "0.5"), ("time.sleep(0.6)", "1")):
        script = tmp_path / "rest.py"
        script.write_text(SCRIPT.replace("{rest}", rest))
        done = subprocess.run(
            [sys.executable, str(script)], capture_output=True, text=True, timeout=60,
            env=dict(
                os.environ, FAL_JUPYTER_STATE=str(state), FAL_JUPYTER_IDLE_TIMEOUT=limit,
                FAL_JUPYTER_READ_TIMEOUT="1",  # the gateway looks at a connection that often, by default after 30 s
            ),
        )  # fmt: skip
        assert (done.returncode, done.stderr) == (0, ""), done.stderr
        assert done.stdout.splitlines()[-2:] == [str([*range(6)]), str([*range(8)])]
        gateways = [pid for pid, line in processes_of(state).items() if "fal_jupyter.gateway" in line]
        for pid in gateways:  # the next one has another limit
            os.kill(pid, signal.SIGTERM)
        assert not wait_for_end(gateways, 10)


CELL = "%%fal_app --quiet\nclass Two(fal.App):\n    @fal.endpoint('/')\n    def two(self) -> int:\n        return 2"


@pytest.mark.long  # test_kill_matrix.py has a restart that succeeds at once
def test_apps_are_published_again_although_the_first_restart_of_the_gateway_failed(state: Path, tmp_path: Path) -> None:
    with kernel(state, tmp_path) as notebook:
        notebook.run("%load_ext fal_jupyter\nimport fal_jupyter").ok()
        notebook.run(CELL).ok()
        pid = json.loads(notebook.run("print(fal_jupyter.app(Two).client.lease.granted['gateway_pid'])").ok().text)
        everything = set(processes_of(state)) - {notebook.pid}
        os.kill(pid, signal.SIGKILL)
        assert not wait_for_end(everything, 10)
        (state / "logs").rename(state / "away")  # a gateway cannot start without its logs
        (state / "logs").write_text("")
        assert notebook.run("Two.two()").status == "error"
        (state / "logs").unlink()
        (state / "away").rename(state / "logs")
        again = notebook.run("print(Two.two())").ok()
        assert again.text.rstrip().endswith("2")
        assert "published again" in again.text


@pytest.mark.long  # a rare moment: test_gateway_faults.py removes the whole directory
def test_a_call_right_after_the_state_directory_vanished_waits_for_the_socket(state: Path, tmp_path: Path) -> None:
    with kernel(state, tmp_path) as notebook:
        notebook.run("%load_ext fal_jupyter\nimport fal_jupyter, os").ok()
        notebook.run(CELL).ok()
        code = (
            "client = fal_jupyter.app(Two).client\n"
            "client.connections._pool.clear()\n"
            "os.unlink(client.settings.socket)\n"
            "print(Two.two())"
        )
        assert notebook.run(code).ok().text == "2\n"
