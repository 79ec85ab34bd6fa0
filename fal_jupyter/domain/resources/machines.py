"""Machine types: the share of this machine's cores, memory and GPUs that each runner of an app gets.

Names are fal's: ``XS S M L`` and ``GPU-A100`` and its kind (reference page, "Machine Configuration"). In addition,
``GPU`` is any GPU, ``cuda:0`` one by its index. A class without a machine type gets the whole machine.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from fal_jupyter.domain.errors import BadSetting, NoSuchMachine
from fal_jupyter.domain.text.nearest import hint_for

MB = 1_000_000
GIB = 1 << 30
CPU_MACHINES = {"XS": (0.5, 512 * MB), "S": (1.0, 1000 * MB), "M": (2.0, 2000 * MB), "L": (4.0, 15_000 * MB)}
GPU_MODELS = ("A6000", "A100", "H100", "H200", "B200")
ANY_GPU = "GPU"
KNOWN_MACHINES = (*CPU_MACHINES, ANY_GPU, *(f"GPU-{model}" for model in GPU_MODELS))
DEFAULT = "S"  # fal's default for a class that declares nothing


@dataclass(frozen=True, slots=True)
class Device:
    """One GPU: its index as CUDA counts by bus, the id that pins it (an NVML UUID), its model's name, memory in bytes."""

    index: int
    id: str
    name: str
    memory: int

    def __str__(self) -> str:
        return f"GPU {self.index} ({self.name}, {self.memory / GIB:.0f} GiB)"


@dataclass(frozen=True, slots=True)
class Hardware:
    """The hardware of this machine. *memory* is in bytes."""

    cores: int
    memory: int
    devices: tuple[Device, ...] = ()


@dataclass(frozen=True, slots=True)
class Allotment:
    """The resources of each runner of an app.

    Attributes:
        type: the machine type that was chosen; ``""`` if the class declares none. :meth:`type_of` returns that of a runner.
        count: GPUs for each runner, exclusively.
        eligible: ids of the devices that fit, in order of the types and of index; *names* are their display names (``GPU 0``).
        cores: cores of the machine, 0 for all of them. memory: bytes, 0 for no limit.
        description: the whole in a few words, for the card. types: that of each of *eligible*, if later types have devices too.
    """

    type: str = ""
    count: int = 0
    eligible: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    cores: int = 0
    memory: int = 0
    description: str = "the whole machine"
    types: tuple[str, ...] = ()

    def type_of(self, devices: Sequence[str]) -> str:
        """The machine type that a runner with these of the eligible devices has."""
        return next(
            (name for device, name in zip(self.eligible, self.types, strict=False) if device in devices), self.type
        )


def parse_fake_gpus(text: str) -> tuple[Device, ...]:
    """Read ``FAL_JUPYTER_FAKE_GPUS``: ``2x24GiB:H100``, several parts with commas.

    Raises:
        BadSetting: it has another form.
    """
    devices: list[Device] = []
    for part in filter(None, (piece.strip() for piece in text.split(","))):
        match = re.fullmatch(r"(\d+)x(\d+)GiB:([\w .-]+)", part)
        if match is None:
            raise BadSetting(
                f"FAL_JUPYTER_FAKE_GPUS has {part!r}, but a part is COUNTxSIZEGiB:MODEL",
                hint="for example 2x24GiB:H100",
            )
        count, size, model = int(match[1]), int(match[2]), match[3]
        devices += [Device(n, f"FAKE-GPU-{n}", model, size * GIB) for n in range(len(devices), len(devices) + count)]
    return tuple(devices)


def visible(devices: Iterable[Device], setting: str | None) -> tuple[Device, ...]:
    """Return the devices in the user's ``CUDA_VISIBLE_DEVICES``; all if it is not set."""
    if setting is None:
        return tuple(devices)
    words = [word.strip() for word in setting.split(",")]
    return tuple(
        d for d in devices if str(d.index) in words or any(w and d.id.startswith(w) for w in words if not w.isdigit())
    )


def is_machine(name: str) -> bool:
    """True when *name* is written like a machine type; this machine may not have it."""
    return name in CPU_MACHINES or name == ANY_GPU or re.fullmatch(r"GPU-[\w-]+|cuda:\d+", name) is not None


def allot(class_name: str, types: Sequence[str], num_gpus: int | None, hardware: Hardware) -> Allotment:
    """Choose the first of *types* that this machine has; if a runner takes one GPU, those of the later types follow.

    Raises:
        NoSuchMachine: it has none of them; the message names the requested and the available ones.
    """
    if not types and num_gpus:
        types = (ANY_GPU,)
    if not types:
        cores, memory = CPU_MACHINES[DEFAULT]
        return Allotment(description=f"the whole machine (fal would give {DEFAULT}: {_size(cores, memory)})")
    for name in types:
        if not is_machine(name):
            raise NoSuchMachine(
                f"{class_name}: there is no machine type {name!r}",
                hint=hint_for(name, KNOWN_MACHINES, f"write one of {', '.join(KNOWN_MACHINES)}, cuda:0"),
            )
    for position, name in enumerate(types):
        allotment = _cpu(name, hardware) if name in CPU_MACHINES else _gpu(name, max(1, num_gpus or 1), hardware)
        if allotment is not None:
            return _with_later(allotment, types[position + 1 :], hardware) if allotment.count == 1 else allotment
    raise _nothing_fits(class_name, types, max(1, num_gpus or 1), hardware)


def _cpu(name: str, hardware: Hardware) -> Allotment:
    share, memory = CPU_MACHINES[name]
    cores = min(math.ceil(share), hardware.cores)
    description = f"{name}: {_size(share, memory)}"
    if share < 1:
        description += " (a whole core here)"
    elif share > cores:
        description += f" (this machine has {_cores(cores)})"
    if memory > hardware.memory:
        description += f" (this machine has {hardware.memory / GIB:.1f} GiB of memory)"
        memory = hardware.memory
    return Allotment(name, cores=cores, memory=memory, description=description)


def _gpu(name: str, count: int, hardware: Hardware) -> Allotment | None:
    fitting = [device for device in hardware.devices if _fits(name, device)]
    if len(fitting) < count:
        return None
    models = ", ".join(dict.fromkeys(device.name for device in fitting))
    description = f"{name}: {f'{count} × ' if count > 1 else ''}{models}"
    ids, names = tuple(device.id for device in fitting), tuple(f"GPU {device.index}" for device in fitting)
    return Allotment(name, count, ids, names, description=description)


def _with_later(first: Allotment, later_types: Sequence[str], hardware: Hardware) -> Allotment:
    """Add the GPUs of later types: ``["GPU-H100", "GPU-H200"]`` takes any free one, preferably the first."""
    names, description = dict(zip(first.eligible, first.names, strict=True)), first.description
    types = dict.fromkeys(first.eligible, first.type)
    for name in later_types:
        later = None if name in CPU_MACHINES else _gpu(name, 1, hardware)
        if later is not None and not set(later.eligible) <= set(names):
            names |= dict(zip(later.eligible, later.names, strict=True))
            types = dict.fromkeys(later.eligible, name) | types
            description += f", or {later.description}"
    return replace(
        first,
        eligible=tuple(names),
        names=tuple(names.values()),
        description=description,
        types=tuple(types[d] for d in names),
    )


def _fits(name: str, device: Device) -> bool:
    if name.startswith("cuda:"):
        return device.index == int(name.removeprefix("cuda:"))
    model = _plain(name.removeprefix("GPU").removeprefix("-"))
    return model in _plain(device.name)


def _plain(name: str) -> str:
    return re.sub(r"[^A-Z0-9]", "", name.upper())


def _nothing_fits(class_name: str, types: Sequence[str], count: int, hardware: Hardware) -> NoSuchMachine:
    requested = " or ".join(types)
    requested = f"{count} × {requested}" if count > 1 else requested
    unknown = [name for name in types if name not in KNOWN_MACHINES and not name.startswith("cuda:")]
    meant = next((f"{hint} Or " for name in unknown if (hint := hint_for(name, KNOWN_MACHINES, "", cutoff=0.8))), "")
    if not hardware.devices:
        return NoSuchMachine(
            f"{class_name} requires {requested}, but this machine has no GPU",
            hint=f"{meant}type --machine S to run it on the CPU",
        )
    there = ", ".join(str(device) for device in hardware.devices)
    any_gpu = "" if ANY_GPU in types or count > len(hardware.devices) else "--machine GPU to take any GPU there is, or "
    return NoSuchMachine(
        f"{class_name} requires {requested}, but this machine has {there}",
        hint=f"{meant}type {any_gpu}--machine S to run it on the CPU",
    )


def _size(cores: float, memory: int) -> str:
    amount = f"{memory // MB} MB" if memory < 1000 * MB else f"{memory // (1000 * MB)} GB"
    return f"{_cores(cores)}, {amount}"


def _cores(cores: float) -> str:
    return "1 core" if cores == 1 else f"{cores:g} cores"
