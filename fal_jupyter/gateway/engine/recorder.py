"""Records the fleet's events and commands, and replays them: a failure in production becomes a test.

``FAL_JUPYTER_RECORD=DIR`` makes a gateway write ``DIR/fleet-PID.jsonl``. The fleet has no clock and no randomness, so the same events at
the same times give the same commands: ``python -m fal_jupyter.gateway.engine.recorder FILE`` compares them.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final, get_args

import msgspec

from fal_jupyter.domain.events import FleetCommand, FleetEvent
from fal_jupyter.domain.fleet.fleet import Fleet
from fal_jupyter.gateway.json_lines_file import JsonLinesFile

FORMAT: Final = 1
_EVENTS: Final[dict[str, type[FleetEvent]]] = {kind.__name__: kind for kind in get_args(FleetEvent)}


class RecordHead(msgspec.Struct, frozen=True):
    """The first line of a record."""

    format: int
    version: str
    pid: int


class RecordedMessage(msgspec.Struct, frozen=True):
    """An event or a command: the name of its class, and its fields."""

    type: str
    fields: msgspec.Raw


class RecordedStep(msgspec.Struct, frozen=True):
    """Every other line: an event, the monotonic nanoseconds of its arrival, and the commands that followed."""

    at: int
    event: RecordedMessage
    commands: list[RecordedMessage]


class Divergence(msgspec.Struct, frozen=True):
    """A step whose replay gave other commands than recorded."""

    line: int
    event: str
    recorded: list[str]
    replayed: list[str]

    def __str__(self) -> str:
        parts = (f"line {self.line}: {self.event}", "recorded:", *self.recorded, "replayed:", *self.replayed)
        return "\n  ".join(parts)


class FleetRecorder:
    """Writes one line per event. A full disk ends the record, never the gateway."""

    def __init__(self, directory: Path, version: str) -> None:
        path = directory / f"fleet-{os.getpid()}.jsonl"
        self._file = JsonLinesFile(path)
        self._file.write(RecordHead(FORMAT, version, os.getpid()))

    def record(self, at: int, event: FleetEvent, commands: Sequence[FleetCommand]) -> None:
        """Add a step."""
        self._file.write(RecordedStep(at, _message(event), [_message(command) for command in commands]))

    def close(self) -> None:
        """End the record."""
        self._file.close()


def _message(message: FleetEvent | FleetCommand) -> RecordedMessage:
    return RecordedMessage(type(message).__name__, msgspec.Raw(msgspec.json.encode(message)))


def events_of(lines: Iterable[bytes]) -> Iterator[tuple[int, FleetEvent, list[RecordedMessage]]]:
    """Read a record: time, event and recorded commands of each step.

    Raises:
        ValueError: it is not a record, or one of a version with other events.
    """
    lines = iter(lines)
    try:
        head = msgspec.json.decode(next(lines, b""), type=RecordHead)
        if head.format != FORMAT:
            raise ValueError(f"the record has format {head.format}, this version reads {FORMAT}")
        for line in lines:
            step = msgspec.json.decode(line, type=RecordedStep)
            kind = _EVENTS.get(step.event.type)
            if kind is None:
                raise ValueError(f"this version has no event {step.event.type}; the record is of {head.version}")
            yield step.at, msgspec.json.decode(step.event.fields, type=kind), step.commands
    except msgspec.MsgspecError as error:
        raise ValueError(f"not a record of fleet events: {error}") from error


def replay(lines: Iterable[bytes]) -> list[Divergence]:
    """Send a record's events to a new fleet, and return the steps whose commands differ.

    Raises:
        ValueError: see :func:`events_of`.
    """
    fleet = Fleet()
    divergences: list[Divergence] = []
    for number, (at, event, commands) in enumerate(events_of(lines), 2):
        recorded = [_plain(command) for command in commands]
        replayed = [_plain(_message(command)) for command in fleet.handle(event, at)]
        if recorded != replayed:
            divergences.append(Divergence(number, _plain(_message(event)), recorded, replayed))
    return divergences


def _plain(message: RecordedMessage) -> str:
    fields = msgspec.json.decode(message.fields, type=dict[str, object])
    return f"{message.type}({', '.join(f'{name}={value!r}' for name, value in fields.items())})"


def main() -> None:
    """Replay a record and print the differences; the exit status is 1 if there are any."""
    parser = argparse.ArgumentParser(prog="python -m fal_jupyter.gateway.engine.recorder", description=main.__doc__)
    parser.add_argument("file", type=Path)
    with parser.parse_args().file.open("rb") as file:
        lines = file.readlines()
    try:
        divergences = replay(lines)
    except ValueError as error:
        raise SystemExit(str(error)) from None
    for divergence in divergences:
        print(divergence)
    print(f"{len(lines) - 1} events replayed, {len(divergences)} with other commands", file=sys.stderr)
    raise SystemExit(bool(divergences))


if __name__ == "__main__":
    main()
