"""Messages of a template's control socket, one JSON object per packet (:mod:`fal_jupyter.runner.template`)."""

from __future__ import annotations

import msgspec

from fal_jupyter.installed import Installed


class ForkCommand(msgspec.Struct, frozen=True, tag_field="op", tag="fork"):
    """Fork a runner. The packet carries its end of the channel and the write end of its output pipe; *memory* in bytes, 0: no limit."""

    runner_id: str
    preload: list[str]
    memory: int


class KillCommand(msgspec.Struct, frozen=True, tag_field="op", tag="kill"):
    """End a runner's whole process tree."""

    runner_id: str


class SignalCommand(msgspec.Struct, frozen=True, tag_field="op", tag="signal"):
    """Send a signal to a runner's process."""

    runner_id: str
    signal: int


TemplateCommand = ForkCommand | KillCommand | SignalCommand


class TemplateUp(msgspec.Struct, frozen=True, tag_field="event", tag="up"):
    """The template has imported what its runners need. *no_data*: why ``/data`` is not mounted, or ``""``."""

    pid: int
    imports_ms: float
    installed: Installed
    no_data: str


class ProcessForked(msgspec.Struct, frozen=True, tag_field="event", tag="forked"):
    """The runner has a process."""

    runner_id: str
    pid: int


class ForkRefused(msgspec.Struct, frozen=True, tag_field="event", tag="refused"):
    """The runner could not be forked."""

    runner_id: str
    reason: str


class MemoryExceeded(msgspec.Struct, frozen=True, tag_field="event", tag="over_memory"):
    """The runner exceeded the memory (bytes) of its machine type; the template kills it."""

    runner_id: str
    used: int


class ProcessExited(msgspec.Struct, frozen=True, tag_field="event", tag="exited"):
    """The runner's process and its orphans have ended: wait status, and peak memory in bytes."""

    runner_id: str
    status: int
    peak: int


TemplateEvent = TemplateUp | ProcessForked | ForkRefused | MemoryExceeded | ProcessExited
encode_command = msgspec.json.Encoder().encode
decode_event = msgspec.json.Decoder(TemplateEvent).decode
