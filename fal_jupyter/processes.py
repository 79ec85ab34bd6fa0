"""Information about processes from the operating system: children, start times, limits. Linux only."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import resource
import select
import signal
import socket
import struct
import time
from collections.abc import Collection
from pathlib import Path

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
CLEANING = 3.0  # seconds
_CLEANERS = (b"resource_tracker import main", b"torch_shm_manager")  # multiprocessing's and loky's, PyTorch's
_libc = ctypes.CDLL(None, use_errno=True)


def prctl(option: int, value: int) -> None:
    """Call prctl(2).

    Raises:
        OSError: the kernel refused.
    """
    if _libc.prctl(option, value, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), f"prctl({option})")


def become_subreaper() -> None:
    """Make this process adopt orphaned descendants, instead of init."""
    prctl(PR_SET_CHILD_SUBREAPER, 1)


def peer_of(sock: socket.socket) -> tuple[int, int]:
    """Return ``(pid, uid)`` of the process at the other end of a Unix socket."""
    pid, uid, _ = struct.unpack("3i", sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i")))
    return pid, uid


def raise_file_limit(most: int = 65536) -> int:
    """Raise this process's limit of open files to the maximum; returns the former limit, for children that run user code."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    allowed = most if hard == resource.RLIM_INFINITY else min(hard, most)
    if soft < allowed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    return soft


def set_file_limit(soft: int) -> None:
    """Set the soft limit of open files of this process and its future children."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def children_of(pid: int) -> list[int]:
    """Return the direct children of *pid* (all threads'); empty if it has ended."""
    children: list[int] = []
    try:
        for task in os.listdir(f"/proc/{pid}/task"):
            children += map(int, Path(f"/proc/{pid}/task/{task}/children").read_text().split())
    except OSError:
        pass  # it ended meanwhile: its children have another parent
    return children


def is_stopped(pid: int) -> bool:
    """True while *pid* is stopped by a signal or a debugger."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] in "Tt"
    except OSError:
        return False


def ends_within(pidfd: int, seconds: float) -> bool:
    """Wait at most *seconds* for the end of a process; True once it has ended."""
    poller = select.poll()  # select(2) fails on descriptors from 1024 on
    poller.register(pidfd, select.POLLIN)
    return bool(poller.poll(1000 * seconds))


def end_orphans(exempt: Collection[int]) -> list[int]:
    """End every child of this process that is not in *exempt*, and their orphans; returns those that are still cleaning up.

    The latter remove shared memory and semaphores of ended processes, which takes PyTorch's two seconds.
    """
    while True:
        orphans = [pid for pid in children_of(os.getpid()) if pid not in exempt]
        ended = [pid for pid in orphans if not _is_cleaner(pid)]
        if not ended:
            return orphans
        for act in (lambda pid: os.kill(pid, signal.SIGKILL), lambda pid: os.waitpid(pid, 0)):
            for pid in ended:
                with contextlib.suppress(ProcessLookupError, ChildProcessError):  # user code waits for its own children
                    act(pid)


def end_cleaners(children: Collection[int]) -> None:
    """Wait for the end of these children of this process; kill those that have not ended after ``CLEANING`` seconds."""
    deadline = time.monotonic() + CLEANING
    for pid in children:
        try:
            descriptor = os.pidfd_open(pid)
        except OSError:  # no descriptors left
            os.kill(pid, signal.SIGKILL)
        else:
            ended = ends_within(descriptor, max(0.0, deadline - time.monotonic()))
            os.close(descriptor)
            if not ended:
                os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def _is_cleaner(pid: int) -> bool:
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False
    return any(name in command for name in _CLEANERS)


def start_time(pid: int) -> int:
    """Return the start time of *pid*, in clock ticks since boot (unique together with the pid); 0 if it has ended."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[19])
    except OSError:
        return 0


def oom_kills() -> int:
    """Return how many processes the kernel has killed for lack of memory since boot; 0 if unknown."""
    try:
        return int(Path("/proc/vmstat").read_text().partition("\noom_kill ")[2].split()[0])
    except (OSError, IndexError):
        return 0


def why_refused(error: OSError) -> str:
    """Describe why the machine refused a process or a descriptor, with the limit that was reached."""
    reason = error.strerror or str(error)
    limits = {errno.EAGAIN: ("RLIMIT_NPROC", "processes"), errno.EMFILE: ("RLIMIT_NOFILE", "open files")}
    if error.errno not in limits:
        return reason
    name, what = limits[error.errno]
    soft, _ = resource.getrlimit(getattr(resource, name))
    return f"{reason}: the limit is {'unlimited' if soft == resource.RLIM_INFINITY else soft} {what}"
