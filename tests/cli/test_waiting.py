"""Commands in the foreground miss no signal, whenever it comes."""

from __future__ import annotations

import subprocess
import sys

import pytest

INTERRUPTED = """
import signal, socket, subprocess, sys, threading
from fal_jupyter.cli import gateway, serve
from fal_jupyter.local_modules import EditWatch

{prepare}
go = threading.Event()

def send() -> None:  # to this thread, so that no system call of the main thread is interrupted
    go.wait()
    signal.pthread_kill(threading.get_ident(), signal.SIGTERM)

threading.Thread(target=send, daemon=True).start()
try:
    go.set()
    {wait}
except (KeyboardInterrupt, serve._Stopped):
    print("interrupted")
{end}
{wait}
print("ended")
"""


@pytest.mark.parametrize(
    ("prepare", "wait", "end"),
    [
        pytest.param(
            """signal.signal(signal.SIGTERM, signal.default_int_handler)
process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)""",
            "gateway._wait_for_end(process)",
            'process.communicate(b"\\n")',
            id="gateway",
        ),
        pytest.param(
            """signal.signal(signal.SIGTERM, serve._raise_stopped)
lease, other_end = socket.socketpair()""",
            'serve._wait_for_end(lease, EditWatch(), "Hello")',
            "other_end.close()",
            id="serve",
        ),
    ],
)
def test_a_signal_that_interrupts_no_system_call_is_not_missed(prepare: str, wait: str, end: str) -> None:
    script = INTERRUPTED.format(prepare=prepare, wait=wait, end=end)
    command = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert (command.stdout, command.returncode) == ("interrupted\nended\n", 0), command.stderr
