"""How far a ``Hello.hi.map(...)`` is: one line that is drawn again, at most five times a second.

A map that is over within half a second shows nothing: the cell's timing says it all.
"""

from __future__ import annotations

import sys
import time
from typing import Any, Protocol

from fal_jupyter.commands.numbers import count, milliseconds
from fal_jupyter.notebook.style import CODE, FAILED, OK, TEXT, element, text

SILENT = 0.5  # seconds
EVERY = 0.2


class ProgressLine(Protocol):
    """Where the line is drawn."""

    def draw(self, plain: str, html: str) -> None:
        """Draw it in place of what it was."""

    def end(self) -> None:
        """It stays as it is."""


class MapProgress:
    """The progress of one map of *total* items of *endpoint*; *line* is asked for when there is something to show."""

    def __init__(self, endpoint: str, total: int, line: ProgressLine) -> None:
        self._endpoint, self._total, self._line = endpoint, total, line
        self._began = time.monotonic()
        self._next = self._began + SILENT
        self._drawn = False

    def update(self, done: int) -> None:
        """So many calls are answered."""
        now = time.monotonic()
        if now >= self._next and done < self._total:
            self._next = now + EVERY
            left = (now - self._began) * (self._total - done) / done * 1000
            self._draw(done, f"about {milliseconds(left)} left", "")

    def close(self, done: int) -> None:
        """The map is over."""
        if self._drawn:
            took = milliseconds((time.monotonic() - self._began) * 1000)
            whole = done == self._total
            self._draw(done, f"in {took}" if whole else f"ended after {took}", "✓" if whole else "✕")
            self._line.end()

    def _draw(self, done: int, told: str, mark: str) -> None:
        self._drawn = True
        words = f"{count(done)} of {count(self._total)} · {told}"
        bar = element(
            "progress", style="width: 160px; vertical-align: middle", flags=f'value="{done}" max="{self._total}"'
        )
        colour = f"color: {OK if mark == '✓' else FAILED}"
        name = element("span", text(f"{self._endpoint}.map"), style=CODE)
        html = element(
            "div", element("b", mark, style=colour) if mark else bar, " ", name, " ", text(words), style=TEXT
        )
        self._line.draw(" ".join(part for part in (mark, f"{self._endpoint}.map", words) if part), html)


class DisplayLine:
    """The line as a display of the notebook.

    Attributes:
        display_id: what else may take its place, ``""`` while nothing is drawn.
    """

    def __init__(self) -> None:
        self._handle: Any = None
        self.display_id = ""

    def draw(self, plain: str, html: str) -> None:
        from IPython.display import DisplayHandle

        bundle = {"text/plain": plain, "text/html": html}
        if self._handle is None:
            self._handle = DisplayHandle()
            self._handle.display(bundle, raw=True)
            self.display_id = self._handle.display_id
        else:
            self._handle.update(bundle, raw=True)

    def end(self) -> None:
        """A display stays."""


class TerminalLine:
    """The line on a terminal's standard error."""

    def __init__(self) -> None:
        self._width = 0

    def draw(self, plain: str, html: str) -> None:
        sys.stderr.write("\r" + plain.ljust(self._width))
        sys.stderr.flush()
        self._width = len(plain)

    def end(self) -> None:
        sys.stderr.write("\n")
