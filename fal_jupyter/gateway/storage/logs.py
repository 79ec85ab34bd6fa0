"""Logs of apps: the last lines in memory, more in a file of bounded size, with one record per line that text cannot forge."""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections import deque
from collections.abc import Callable, Collection
from pathlib import Path

from fal_jupyter.domain.text.json_forms import whole_text
from fal_jupyter.protocol.api import LogRecord

MAX_LINES = 2000
MAX_CHARACTERS = 4 << 20  # characters of them
FILE_BOUND = 5 * 1024 * 1024
LINE_BOUND = 64 * 1024
OPEN_BOUND = 4096  # characters of an unfinished line that are shown
MOST_LOGS = 200  # files of apps, including those of previous gateways


def forget_old(directory: Path, keep: Collection[str] = (), most: int = MOST_LOGS) -> None:
    """Remove the least recently written logs, except those of the apps *keep*; *most* files stay."""
    try:
        with os.scandir(directory) as entries:
            files = [(entry.stat(follow_symlinks=False).st_mtime, entry.name) for entry in entries]
    except OSError:
        return
    idle = sorted(pair for pair in files if pair[1].partition(".")[0] not in keep)
    for _, name in idle[: max(0, len(files) - most)]:
        with contextlib.suppress(OSError):
            (directory / name).unlink()


class Log:
    """The log of one app. *redact* removes secrets from a line before it is stored; *total* counts all lines ever."""

    def __init__(self, path: Path, redact: Callable[[str], str] = str) -> None:
        self._path, self.redact = path, redact
        self._lines: deque[LogRecord] = deque()
        self._characters = self.total = 0
        self._open: dict[tuple[str, str, int], str] = {}
        self._file, self._size = -1, 0
        self.reopen()

    def reopen(self) -> None:
        """Open the file (again if its directory was removed); without one, only memory has the last lines."""
        self.close()
        try:
            for directory in (
                self._path.parent.parent,
                self._path.parent,
            ):  # never the state directory, which has its own rules
                directory.mkdir(mode=0o700, exist_ok=True)
            self._file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
            self._size = os.fstat(self._file).st_size
        except OSError:
            pass  # a full disk

    def write(self, runner: str, request: str, stream: int, text: str) -> None:
        """Add printed text; lines may arrive in pieces."""
        source = (runner, request, stream)
        pieces = (self._open.pop(source, "") + text).split("\n")
        if rest := pieces.pop():
            if len(rest) < LINE_BOUND:
                self._open[source] = rest
            else:
                pieces.append(rest)
        now = time.time()
        records = [
            LogRecord(time=now, runner=runner, request=request, stream=stream, text=self._line(piece))
            for piece in pieces
        ]
        self._keep(records)
        self._append(records)

    def _keep(self, records: list[LogRecord]) -> None:
        self._lines.extend(records)
        self.total += len(records)
        self._characters += sum(len(record["text"]) for record in records)
        while len(self._lines) > MAX_LINES or self._characters > MAX_CHARACTERS:
            self._characters -= len(self._lines.popleft()["text"])

    def _line(self, text: str) -> str:
        return self.redact(text[:LINE_BOUND].rstrip("\r"))

    def end(self, runner: str, request: str) -> None:
        """End the unfinished lines of a request or a runner."""
        if not self._open:
            return
        for source in [p for p in self._open if p[0] == runner and (not request or p[1] == request)]:
            self.write(*source, "\n")

    def remark(self, runner: str, text: str) -> None:
        """Add a line of the gateway's own."""
        self.write(runner, "", 0, text + "\n")

    def read(self, lines: int, *, request: str = "", runner: str = "") -> list[LogRecord]:
        """Return the last records."""
        records = [
            record
            for record in self._lines
            if (not request or record["request"] == request) and (not runner or record["runner"] == runner)
        ]
        return records[-lines:] if lines else []

    def unfinished(self, request: str) -> list[LogRecord]:
        """Return a request's unfinished lines, such as a progress bar that rewrites its line."""
        return [
            LogRecord(time=time.time(), runner=runner, request=of, stream=stream, text=self._line(text)[-OPEN_BOUND:])
            for (runner, of, stream), text in self._open.items()
            if of == request
        ]

    def printed_by(self, request: str) -> list[tuple[int, str]]:
        """Return a request's stored output, by stream; its last line may be unfinished."""
        lines = [(record["stream"], record["text"] + "\n") for record in self.read(MAX_LINES, request=request)]
        return lines + [(which, self._line(text)) for (_, of, which), text in self._open.items() if of == request]

    def _append(self, records: list[LogRecord]) -> None:
        if not records:
            return
        data = whole_text("".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records)).encode()
        try:
            if self._size + len(data) > FILE_BOUND:
                os.replace(self._path, self._path.with_suffix(".old.log"))
                self.reopen()
            os.write(self._file, data)
            self._size += len(data)
        except OSError:
            pass  # a full disk must not end a request; memory has the last lines

    def close(self) -> None:
        """Close the file."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
