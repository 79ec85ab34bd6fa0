"""Resource usage of runners, owners, devices and the machine: measured in a thread, every few seconds, while there are listeners and something runs."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, TypeVar

import psutil

from fal_jupyter.domain.runners.runner import Runner

EVERY = 3.0  # seconds
NOISE = 0.02  # smaller changes are ignored
K = TypeVar("K")
_PROPORTIONAL = re.compile(r"^(Pss|Pss_Shmem):\s*(\d+) kB", re.M)


class MemoryUse(NamedTuple):
    """Memory of processes in bytes: all of it, and the part that is shared memory (``SharedMemory``, ``memfd``, PyTorch's shared tensors)."""

    total: int = 0
    shared: int = 0


@dataclass(frozen=True, slots=True)
class ResourceUsage:
    """Memory by runner and by the pid of an owner; percent of one core that each runner used since the last measurement; per GPU
    ``(bytes used, percent busy)`` by its id; the machine's memory and busy percent."""

    runners: Mapping[str, MemoryUse] = field(default_factory=dict)
    owners: Mapping[int, MemoryUse] = field(default_factory=dict)
    cpu: Mapping[str, float] = field(default_factory=dict)
    devices: Mapping[str, tuple[int, float]] = field(default_factory=dict)
    used: int = 0
    busy: float = -1.0

    def like(self, other: ResourceUsage) -> bool:
        """True if the difference is below :data:`NOISE`."""
        return (
            _are_near(self.runners, other.runners)
            and _are_near(self.owners, other.owners)
            and all(abs(share - other.cpu.get(name, 0.0)) < 5 for name, share in self.cpu.items())
            and self.devices == other.devices
            and _near(self.used, other.used)
            and abs(self.busy - other.busy) < 5
        )


UNKNOWN = MemoryUse()


def used_by(runners: Iterable[Runner], usage: ResourceUsage) -> list[float]:
    """The total usage of some runners: the columns of :data:`fal_jupyter.protocol.feed.USAGE` after the first."""
    there = list(runners)
    devices = [usage.devices[d] for d in sorted({d for runner in there for d in runner.devices}) if d in usage.devices]
    busy = [percent for _, percent in devices if percent >= 0]
    return [
        sum(usage.runners.get(runner.id, UNKNOWN).total for runner in there),
        round(sum(usage.cpu.get(runner.id, 0.0) for runner in there), 1),
        round(sum(busy) / len(busy), 1) if busy else -1.0,
        sum(size for size, _ in devices),
    ]


def _are_near(some: Mapping[K, MemoryUse], others: Mapping[K, MemoryUse]) -> bool:
    return some.keys() == others.keys() and all(
        _near(use.total, others[name].total) and _near(use.shared, others[name].shared) for name, use in some.items()
    )


def _near(first: float, second: float) -> bool:
    return abs(first - second) <= NOISE * max(first, second)


class ResourceMeter:
    """Measures periodically until it is closed.

    Args:
        runners: returns the runners to measure: id → pid.
        owners: returns the processes that own apps, which are measured without this process and its children.
        on_measured: receives each measurement.
        on_change: called if a measurement differs from the previous one.
    """

    def __init__(
        self,
        runners: Callable[[], dict[str, int]],
        owners: Callable[[], Collection[int]],
        has_devices: bool,
        on_measured: Callable[[ResourceUsage], None],
        on_change: Callable[[], None],
    ) -> None:
        self.usage = ResourceUsage()
        self._runners, self._owners, self._has_devices = runners, owners, has_devices
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
            runners, owners = self._runners(), self._owners()
            usage = await asyncio.to_thread(self._measure, runners, owners)
            self._on_measured(usage)
            if not usage.like(self.usage):
                self.usage = usage
                self._on_change()
            if not runners and not owners:
                return
            await asyncio.sleep(EVERY)

    def _measure(self, runners: Mapping[str, int], owners: Collection[int]) -> ResourceUsage:
        wanted = {*runners.values(), *owners}
        self._processes = {pid: process for pid, process in self._processes.items() if pid in wanted}
        samples = {name: self._of(pid, ()) for name, pid in runners.items()}
        now, cpu = time.monotonic(), {}
        for name, (_, seconds) in samples.items():
            before, since = self._cpu.get(name, (seconds, 0.0))
            cpu[name] = round(max(0.0, 100 * (seconds - before) / (now - since)), 1)
        self._cpu = {name: (seconds, now) for name, (_, seconds) in samples.items()}
        memory = psutil.virtual_memory()
        devices = _devices() if self._has_devices else {}
        return ResourceUsage(
            runners={name: use for name, (use, _) in samples.items()},
            owners={pid: self._of(pid, {os.getpid(), *owners} - {pid})[0] for pid in owners},
            cpu=cpu,
            devices=devices,
            used=memory.total - memory.available,
            busy=psutil.cpu_percent(),
        )

    def _of(self, pid: int, others: Collection[int]) -> tuple[MemoryUse, float]:
        """Memory and CPU time (seconds) of a process and its descendants, without those of *others*; nothing if it has ended meanwhile.

        Shared pages of forked runners are counted proportionally (PSS), so the sum over all is the actual usage.
        """
        uses, seconds = [UNKNOWN], 0.0
        with contextlib.suppress(psutil.Error):
            process = self._processes.setdefault(pid, psutil.Process(pid))
            for member in (process, *_descendants(process, others)):
                with contextlib.suppress(psutil.Error):
                    times = member.cpu_times()
                    seconds += times.user + times.system
                    uses.append(_memory_use(member))
        return MemoryUse(sum(use.total for use in uses), sum(use.shared for use in uses)), seconds


def _descendants(process: psutil.Process, others: Collection[int]) -> list[psutil.Process]:
    """A process's descendants, without *others* and theirs."""
    members, left_out = [], set(others)
    for child in process.children(recursive=True):  # parents come before their children
        with contextlib.suppress(psutil.Error):
            if child.pid in left_out or child.ppid() in left_out:
                left_out.add(child.pid)
            else:
                members.append(child)
    return members


def _memory_use(process: psutil.Process) -> MemoryUse:
    try:
        text = Path(f"/proc/{process.pid}/smaps_rollup").read_text()
        sizes = {name: 1024 * int(size) for name, size in _PROPORTIONAL.findall(text)}
        return MemoryUse(sizes["Pss"], sizes.get("Pss_Shmem", 0))
    except (OSError, KeyError):  # a process of another user; a system without PSS
        return MemoryUse(int(process.memory_info().rss))


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
