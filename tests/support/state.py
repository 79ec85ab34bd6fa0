"""A temporary state directory, and the check that no process of it is left."""

from __future__ import annotations

import os
import select
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def processes_of(state: Path) -> dict[int, str]:
    """Every process whose initial environment names this state directory: pid → command line."""
    return processes_with(f"FAL_JUPYTER_STATE={state}")


def processes_with(variable: str) -> dict[int, str]:
    """Every process with that ``NAME=value`` in its initial environment: pid → command line."""
    wanted = variable.encode()
    found = {}
    for entry in os.listdir("/proc"):
        if not entry.isdigit() or int(entry) == os.getpid():
            continue
        try:
            if wanted in Path(f"/proc/{entry}/environ").read_bytes().split(b"\0"):
                command = Path(f"/proc/{entry}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                if command:  # a zombie has none; its parent reaps it
                    found[int(entry)] = command
        except OSError:
            continue
    return found


def wait_for_end(pids: list[int] | set[int], seconds: float) -> set[int]:
    """Wait until these processes have ended; returns those that have not."""
    deadline = time.monotonic() + seconds
    alive = set()
    for pid in pids:
        try:
            fd = os.pidfd_open(pid)
        except ProcessLookupError:
            continue
        try:
            ready, _, _ = select.select([fd], [], [], max(0, deadline - time.monotonic()))
            if not ready:
                alive.add(pid)
        finally:
            os.close(fd)
    return alive


def is_running(pid: int) -> bool:
    """True while the process runs (a zombie does not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


@contextmanager
def state_directory(grace: float = 15.0) -> Iterator[Path]:
    """Yield an empty state directory; at the end its processes must end by themselves or after SIGTERM to the gateway."""
    state = Path(tempfile.mkdtemp(prefix="fj-", dir="/tmp")) / "s"
    try:
        yield state
        left = processes_of(state)
        gateways = [pid for pid, command in left.items() if "fal_jupyter.gateway" in command]
        for pid in gateways:
            os.kill(pid, signal.SIGTERM)
        wait_for_end(set(left), grace)
        survivors = processes_of(state)
        assert not survivors, f"left behind: {survivors}"
    finally:
        for pid in processes_of(state):
            os.kill(pid, signal.SIGKILL)
        shutil.rmtree(state.parent, ignore_errors=True)
