"""Resource usage of runners, devices and the machine: measured in a thread, every few seconds, while there are listeners and something runs."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

import psutil

from fal_jupyter.domain.runners.runner import Runner

EVERY = 3.0  # seconds
NOISE = 0.02  # smaller changes are ignored


@dataclass(frozen=True, slots=True)
class ResourceUsage:
    """Memory in bytes by runner; percent of one core that each used since the last measurement; per GPU ``(bytes used, percent busy)`` by its id;
    the machine's memory and busy percent."""

    runners: Mapping[str, int] = field(default_factory=dict)
    cpu: Mapping[str, float] = field(default_factory=dict)
    devices: Mapping[str, tuple[int, float]] = field(default_factory=dict)
    used: int = 0
    busy: float = -1.0

    def like(self, other: ResourceUsage) -> bool:
        """True if the difference is below :data:`NOISE`."""
        return (
            self.runners.keys() == other.runners.keys()
            and all(_near(size, other.runners[name]) for name, size in self.runners.items())
            and all(abs(share - other.cpu.get(name, 0.0)) < 5 for name, share in self.cpu.items())
            and self.devices == other.devices
            and _near(self.used, other.used)
            and abs(self.busy - other.busy) < 5
        )


def used_by(runners: Iterable[Runner], usage: ResourceUsage) -> list[float]:
    """The total usage of some runners: the columns of :data:`fal_jupyter.protocol.feed.USAGE` after the first."""
    there = list(runners)
    devices = [usage.devices[d] for d in sorted({d for runner in there for d in runner.devices}) if d in usage.devices]
    busy = [percent for _, percent in devices if percent >= 0]
    return [
        sum(usage.runners.get(runner.id, 0) for runner in there),
        round(sum(usage.cpu.get(runner.id, 0.0) for runner in there), 1),
        round(sum(busy) / len(busy), 1) if busy else -1.0,
        sum(size for size, _ in devices),
    ]


def _near(first: float, second: float) -> bool:
    return abs(first - second) <= NOISE * max(first, second)


class ResourceMeter:
    """Measures periodically until it is closed.

    Args:
        pids: returns the runners to measure.
        on_measured: receives each measurement.
        on_change: called if a measurement differs from the previous one.
    """

    def __init__(
        self,
        pids: Callable[[], dict[str, int]],
        has_devices: bool,
        on_measured: Callable[[ResourceUsage], None],
        on_change: Callable[[], None],
    ) -> None:
        self.usage = ResourceUsage()
        self._pids, self._has_devices = pids, has_devices
        self._on_measured, self._on_change = on_measured, on_change
        self._processes: dict[int, psutil.Process] = {}
        self._cpu: dict[str, tuple[float, float]] = {}  # by runner: CPU seconds of its processes, and the time
        self._task: asyncio.Task[None] | None = None

    def look(self) -> None:
        """Begin to measure: there are listeners, or something runs."""
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._work())

    def close(self) -> None:
        """Stop measuring."""
        if self._task is not None:
            self._task.cancel()
            self._task = None

    async def _work(self) -> None:
        psutil.cpu_percent()  # its first result covers no time
        while True:
            pids = self._pids()
            usage = await asyncio.to_thread(self._measure, pids)
            self._on_measured(usage)
            if not usage.like(self.usage):
                self.usage = usage
                self._on_change()
            if not pids:
                return
            await asyncio.sleep(EVERY)

    def _measure(self, pids: dict[str, int]) -> ResourceUsage:
        self._processes = {pid: p for pid, p in self._processes.items() if pid in pids.values()}
        samples = {name: self._of(pid) for name, pid in pids.items()}
        now, cpu = time.monotonic(), {}
        for name, (_, seconds) in samples.items():
            before, since = self._cpu.get(name, (seconds, 0.0))
            cpu[name] = round(max(0.0, 100 * (seconds - before) / (now - since)), 1)
        self._cpu = {name: (seconds, now) for name, (_, seconds) in samples.items()}
        used = psutil.virtual_memory().used
        devices = _devices() if self._has_devices else {}
        return ResourceUsage(
            {name: size for name, (size, _) in samples.items()}, cpu, devices, used, psutil.cpu_percent()
        )

    def _of(self, pid: int) -> tuple[int, float]:
        """Memory (bytes) and CPU time (seconds) of a runner and its children; nothing if it has ended meanwhile.

        Shared pages of forked runners are counted proportionally (PSS), so the sum over all is the actual usage.
        """
        total, seconds = 0, 0.0
        with contextlib.suppress(psutil.Error):
            process = self._processes.setdefault(pid, psutil.Process(pid))
            for member in (process, *process.children(recursive=True)):
                with contextlib.suppress(psutil.Error):
                    times = member.cpu_times()
                    seconds += times.user + times.system
                    total += _share(member)
        return total, seconds


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
    devices = {}
    try:
        for index in range(pynvml.nvmlDeviceGetCount()):
            handle = pynvml.nvmlDeviceGetHandleByIndex(index)
            busy = -1.0
            with contextlib.suppress(pynvml.NVMLError):
                busy = float(pynvml.nvmlDeviceGetUtilizationRates(handle).gpu)
            devices[pynvml.nvmlDeviceGetUUID(handle)] = (int(pynvml.nvmlDeviceGetMemoryInfo(handle).used), busy)
    except pynvml.NVMLError:
        pass
    finally:
        pynvml.nvmlShutdown()
    return devices
