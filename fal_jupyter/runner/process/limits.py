"""Applies a machine type's limits to a runner: GPUs, cores, threads and memory. Set before any user import."""

from __future__ import annotations

import math
import os
import resource
from collections.abc import MutableMapping
from pathlib import Path

from fal_jupyter.protocol.api import Machine

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")
_MB = 1_000_000
_limit = 0
_type = ""


def pin(machine: Machine, environment: MutableMapping[str, str]) -> None:
    """Make only the runner's own devices visible to CUDA; a CPU machine has none. Without a machine type nothing is hidden."""
    if machine["devices"] or machine["type"]:
        environment["CUDA_DEVICE_ORDER"] = "PCI_BUS_ID"
        environment["CUDA_VISIBLE_DEVICES"] = ",".join(machine["devices"])


def confine(machine: Machine, environment: MutableMapping[str, str]) -> None:
    """Apply the machine type's cores and memory.

    Memory is limited by RLIMIT_DATA: RLIMIT_AS counts address space, of which torch reserves far more than it uses.
    """
    global _limit, _type
    if machine["cores"]:
        cores = sorted(os.sched_getaffinity(0))
        first = machine["turn"] * machine["cores"]
        os.sched_setaffinity(0, {cores[(first + n) % len(cores)] for n in range(machine["cores"])})
        for name in THREADS:
            environment.setdefault(name, str(machine["cores"]))
    if machine["memory"]:
        _limit, _type = machine["memory"], machine["type"]
        _, hard = resource.getrlimit(resource.RLIMIT_DATA)
        resource.setrlimit(resource.RLIMIT_DATA, (_limit, hard))


def over_memory(error: BaseException) -> str:
    """Return a message with limit and peak if *error* was caused by the memory limit, else ``""``."""
    if not _limit:
        return ""
    kind = type(error)
    refused = issubclass(kind, MemoryError)
    if not refused and issubclass(kind, OSError | RuntimeError):
        try:
            text = str(error).lower()
        except BaseException:  # its own __str__
            return ""
        refused = "allocate memory" in text or "can't allocate" in text
    if not refused:
        return ""
    return (
        f"the runner exceeded the memory of machine type {_type}: the limit is {_limit / _MB:,.0f} MB, "
        f"its peak was {math.ceil(_peak() / _MB):,} MB"
    )


def _peak() -> int:
    """Peak resident memory of this process, in bytes."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024
