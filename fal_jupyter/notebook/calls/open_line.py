"""Keeps what runners print apart from a line that the cell left open, as ``print("…", end="")`` does.

Nothing that a kernel or a terminal offers says how a stream's last text ended, so both streams are watched while a cell runs, in
the way in which IPython records them: by ``write`` of the stream.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TextIO


class _WatchedWrite:
    """Takes the place of a stream's ``write``."""

    def __init__(self, write: Callable[[str], int], written: Callable[[str], None]) -> None:
        self._write, self._written = write, written

    def __call__(self, text: str, /) -> int:
        count = self._write(text)
        self._written(text)
        return count


class OpenLine:
    """The lines that the running cell's own code has left open."""

    def __init__(self) -> None:
        self._left_in: set[int] = set()  # ids of the streams whose line is open
        self._one_screen = False
        self._watched: list[tuple[TextIO, object]] = []  # with the ``write`` that they had of their own, if any

    def begin(self, *, one_screen: bool) -> None:
        """A cell begins, on a line of its own. *one_screen*: both streams are shown in one place, as a terminal does."""
        self.end()  # of a cell whose end was not reported
        self._one_screen = one_screen
        self._left_in.clear()
        for stream in (sys.stdout, sys.stderr):
            self._watch(stream)

    def write_for_runner(self, target: TextIO, text: str) -> None:
        """Write *text* of a runner to *target*; it never continues a line of the cell."""
        is_open = bool(self._left_in) if self._one_screen else id(target) in self._left_in
        target.write(f"\n{text}" if is_open and not text.startswith("\n") else text)
        if self._one_screen:
            self._left_in.clear()
        self._left_in.discard(id(target))  # a line that a runner leaves open is the runner's to continue

    def close(self) -> None:
        """A display is below what was written."""
        self._left_in.clear()

    def end(self) -> None:
        """The cell has ended: leave its streams alone."""
        for stream, own_write in self._watched:
            attributes = vars(stream)
            if isinstance(attributes.get("write"), _WatchedWrite):
                del attributes["write"]
                if own_write is not None:
                    attributes["write"] = own_write
        self._watched.clear()

    def _watch(self, stream: TextIO) -> None:
        def written(text: str) -> None:
            if text.endswith("\n"):
                self._left_in.discard(id(stream))
            elif text:
                self._left_in.add(id(stream))

        try:
            attributes = vars(stream)
            own_write = attributes.get("write")
            attributes["write"] = _WatchedWrite(stream.write, written)
        except (AttributeError, TypeError):
            return  # None in a process without a console, or a stream without attributes of its own
        self._watched.append((stream, own_write))


open_line = OpenLine()
"""That of this process."""
