"""What runners, devices and the machine use: measured in a thread, every few seconds, while somebody looks and something runs."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import psutil

EVERY = 3.0  # seconds
NOISE = 0.02  # a change of less is none


@dataclass(frozen=True, slots=True)
class Usage:
    """Bytes held by runner; per GPU ``(bytes used, percent busy)`` by its id; the machine's memory and busy percent."""

    runners: Mapping[str, int] = field(default_factory=dict)
    devices: Mapping[str, tuple[int, float]] = field(default_factory=dict)
    used: int = 0
    busy: float = -1.0

    def like(self, other: Usage) -> bool:
        """True where nobody would see a difference."""
        return (
            self.runners.keys() == other.runners.keys()
            and all(_near(size, other.runners[name]) for name, size in self.runners.items())
            and self.devices == other.devices
            and _near(self.used, other.used)
            and abs(self.busy - other.busy) < 5
        )


def _near(one: float, two: float) -> bool:
    return abs(one - two) <= NOISE * max(one, two)


class Meter:
    """Measures until it is closed; *pids* gives the runners to measure now, *on_change* is told of news."""

    def __init__(self, pids: Callable[[], dict[str, int]], has_devices: bool, on_change: Callable[[], None]) -> None:
        self.usage = Usage()
        self._pids, self._has_devices, self._on_change = pids, has_devices, on_change
        self._processes: dict[int, psutil.Process] = {}
        self._task: asyncio.Task[None] | None = None

    def look(self) -> None:
        """Somebody looks, or something began to run: measure from now on."""
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._work())

    def close(self) -> None:
        """Measure no more."""
        if self._task is not None:
            self._task.cancel()
            self._task = None

    async def _work(self) -> None:
        psutil.cpu_percent()  # its first answer is of no time at all
        while True:
            pids = self._pids()
            found = await asyncio.to_thread(self._measure, pids)
            if not found.like(self.usage):
                self.usage = found
                self._on_change()
            if not pids:
                return
            await asyncio.sleep(EVERY)

    def _measure(self, pids: dict[str, int]) -> Usage:
        self._processes = {pid: p for pid, p in self._processes.items() if pid in pids.values()}
        runners = {name: self._held(pid) for name, pid in pids.items()}
        used = psutil.virtual_memory().used
        devices = _devices() if self._has_devices else {}
        return Usage(runners, devices, used, psutil.cpu_percent())

    def _held(self, pid: int) -> int:
        """A runner's memory and that of its children; 0 where it has gone meanwhile.

        Of pages that several processes share, as forked runners do, each counts its part (PSS): the sum over all is what is used.
        """
        total = 0
        with contextlib.suppress(psutil.Error):
            process = self._processes.setdefault(pid, psutil.Process(pid))
            for one in (process, *process.children(recursive=True)):
                with contextlib.suppress(psutil.Error):
                    total += _share(one)
        return total


def _share(process: psutil.Process) -> int:
    try:
        return int(process.memory_full_info().pss)
    except (psutil.AccessDenied, AttributeError):  # a process of another user; a system without PSS
        return int(process.memory_info().rss)


def _devices() -> dict[str, tuple[int, float]]:
    try:
        import pynvml

        pynvml.nvmlInit()
    except Exception:  # no driver, no library
        return {}
    found = {}
    try:
        for index in range(pynvml.nvmlDeviceGetCount()):
            handle = pynvml.nvmlDeviceGetHandleByIndex(index)
            busy = -1.0
            with contextlib.suppress(pynvml.NVMLError):
                busy = float(pynvml.nvmlDeviceGetUtilizationRates(handle).gpu)
            found[pynvml.nvmlDeviceGetUUID(handle)] = (int(pynvml.nvmlDeviceGetMemoryInfo(handle).used), busy)
    except pynvml.NVMLError:
        pass
    finally:
        pynvml.nvmlShutdown()
    return found
