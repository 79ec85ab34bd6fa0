"""Keeps what runners print apart from a line that the cell or another call left open, as ``print("…", end="")`` does.

Nothing that a kernel or a terminal offers says how a stream's last text ended, so both streams are watched while a cell runs, in
the way in which IPython records them: by ``write`` of the stream.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TextIO

from fal_jupyter import forks
from fal_jupyter.notebook.shell import HookedPublisher, Shell

_CELL: Final = "the cell"
_SCREEN: Final = 0  # in place of a stream's id where both are shown in one place


class _WatchedWrite:
    """Takes the place of a stream's ``write``."""

    def __init__(self, write: Callable[[str], int], written: Callable[[str], None]) -> None:
        self._write, self._written = write, written

    def __call__(self, text: str, /) -> int:
        count = self._write(text)
        self._written(text)
        return count


@dataclass(frozen=True, slots=True)
class _Line:
    """A line that is not ended. *redrawn*: it has been written over from its beginning, as a progress bar is."""

    writer: object
    redrawn: bool = False


class OpenLine:
    """The lines that the running cell's own code or one of its calls has left open."""

    def __init__(self) -> None:
        self._open: dict[int, _Line] = {}  # by the id of the stream
        self._one_screen = False
        self._watched: list[tuple[TextIO, object]] = []  # with the ``write`` that they had of their own, if any
        self._lock = threading.RLock()  # calls of one cell write from several threads
        forks.changes_in_child(self)

    def forked(self) -> None:
        """Reset in a forked child, where another thread may have had the lock."""
        self._lock = threading.RLock()

    def install(self, shell: Shell) -> Callable[[], None]:
        """Take note of what cells display, which ends a line in a notebook; return the function that ends this."""
        publisher = shell.display_pub
        if not isinstance(publisher, HookedPublisher):
            return lambda: None  # a terminal prints what is displayed

        def end_line(message: dict[str, object]) -> dict[str, object]:
            if message.get("msg_type") == "display_data":
                self.close()
            return message

        publisher.register_hook(end_line)

        def uninstall() -> None:
            publisher.unregister_hook(end_line)

        return uninstall

    def begin(self, *, one_screen: bool) -> None:
        """A cell begins, on a line of its own. *one_screen*: both streams are shown in one place, as a terminal does."""
        self.end()  # of a cell whose end was not reported
        self._one_screen = one_screen
        self._open.clear()
        for stream in (sys.stdout, sys.stderr):
            self._watch(stream)

    def write_for_runner(self, target: TextIO, text: str, writer: object) -> None:
        """Write *text* to *target*; it continues a line that *writer*, which stands for a call, left open, and no other line.

        Progress bars of several calls share one line while none of them ends it: each redraws all of it.
        """
        place = self._place_of(target)
        with self._lock:
            line = self._open.get(place)
            continues = line is None or line.writer is writer or (line.redrawn and text.startswith("\r"))
            target.write(text if continues or text.startswith("\n") else f"\n{text}")
            if not text:
                return
            rest = text.rpartition("\n")[2]
            redrawn = "\r" in rest or ("\n" not in text and line is not None and line.writer is writer and line.redrawn)
            if rest:
                self._open[place] = _Line(writer, redrawn)
            else:
                self._open.pop(place, None)

    def close(self) -> None:
        """A display is below what was written."""
        self._open.clear()

    def end(self) -> None:
        """The cell has ended: leave its streams alone."""
        for stream, own_write in self._watched:
            attributes = vars(stream)
            if isinstance(attributes.get("write"), _WatchedWrite):
                del attributes["write"]
                if own_write is not None:
                    attributes["write"] = own_write
        self._watched.clear()

    def _place_of(self, stream: TextIO) -> int:
        return _SCREEN if self._one_screen else id(stream)

    def _watch(self, stream: TextIO) -> None:
        place = self._place_of(stream)

        def written(text: str) -> None:
            if text.endswith("\n"):
                self._open.pop(place, None)
            elif text:
                self._open[place] = _Line(_CELL)

        try:
            attributes = vars(stream)
            own_write = attributes.get("write")
            attributes["write"] = _WatchedWrite(stream.write, written)
        except (AttributeError, TypeError):
            return  # None in a process without a console, or a stream without attributes of its own
        self._watched.append((stream, own_write))


open_line = OpenLine()
"""That of this process."""
