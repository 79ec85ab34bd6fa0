"""Finds runners whose process trees exceed the memory of their machine type.

``RLIMIT_DATA`` (:mod:`fal_jupyter.runner.process.limits`) refuses private memory to one process, with a ``MemoryError`` that names a line. It covers
neither shared memory (``SharedMemory``, ``memfd``, anonymous shared mappings, PyTorch's) nor the memory of children. This module
measures resident memory from outside; file-backed pages do not count.
"""

from __future__ import annotations

import re
import time
from pathlib import Path

from fal_jupyter.processes import children_of

EVERY = 0.5  # seconds
_RESIDENT = re.compile(r"^(?:RssAnon|RssShmem):\s*(\d+) kB", re.M)
_PROPORTIONAL = re.compile(r"^(?:Pss_Anon|Pss_Shmem):\s*(\d+) kB", re.M)


class MemoryLimits:
    """The limits of running runners in bytes, by pid."""

    def __init__(self) -> None:
        self._limits: dict[int, int] = {}
        self._next = 0.0

    def add(self, pid: int, limit: int) -> None:
        """Watch a runner; a *limit* of 0 means unlimited."""
        if limit:
            self._limits[pid] = limit

    def forget(self, pid: int) -> None:
        """It has ended."""
        self._limits.pop(pid, None)

    def seconds_left(self) -> float | None:
        """Seconds until :meth:`exceeded` has something to do; None while no runner has a limit."""
        return max(0.0, self._next - time.monotonic()) if self._limits else None

    def exceeded(self) -> dict[int, int]:
        """Return the bytes in use of each runner over its limit, by pid; measures at most twice a second."""
        now = time.monotonic()
        if not self._limits or now < self._next:
            return {}
        self._next = now + EVERY
        used = {pid: _used(pid, limit) for pid, limit in self._limits.items()}
        return {pid: size for pid, size in used.items() if size > self._limits[pid]}


def _used(pid: int, limit: int) -> int:
    """The memory of *pid* and its descendants. Counting shared pages once is expensive, so it is done only near the limit."""
    tree = [pid]
    for process in tree:
        tree += children_of(process)
    resident = sum(_sum_of(f"/proc/{process}/status", _RESIDENT) for process in tree)
    if resident <= limit:
        return resident
    return sum(_sum_of(f"/proc/{process}/smaps_rollup", _PROPORTIONAL) for process in tree)


def _sum_of(file: str, lines: re.Pattern[str]) -> int:
    try:
        text = Path(file).read_text()
    except OSError:
        return 0  # ended meanwhile
    return 1024 * sum(map(int, lines.findall(text)))
