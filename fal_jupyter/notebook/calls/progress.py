"""How far a ``Hello.hi.map(...)`` is: one line that is drawn again, at most five times a second.

A map that is over within half a second shows nothing: the cell's timing says it all.
"""

from __future__ import annotations

import sys
import time
from bisect import bisect_right
from collections.abc import Sequence
from typing import Any, Protocol

from fal_jupyter.commands.numbers import count, milliseconds
from fal_jupyter.notebook.style import CODE, FAILED, OK, TEXT, element, text

SILENT = 0.5  # seconds
EVERY = 0.2
_EDGE = 0.1  # of a call's time: answers that come together count once, not at both ends of what is looked at


def time_left(began: float, ends: Sequence[float], total: int, now: float) -> float:
    """Estimate how long the rest of *total* calls takes, in the unit of the moments; 0 where it cannot be said.

    By the rate of late, over the time of a call at least: more runners may have started since the first calls.
    """
    if not ends or (over := ends[-1] - began) <= 0:
        return 0.0
    one = max(ends[0] - began, 1e-6)
    span = min(over, max(1.0, over / 2 // one) * one)  # whole calls
    late = len(ends) - bisect_right(ends, ends[-1] - span + _EDGE * one) if span < over else len(ends)
    return max(0.0, (total - len(ends)) * span / max(1, late) - (now - ends[-1]))


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
        self._ends: list[float] = []
        self._next = self._began + SILENT
        self._drawn = False

    def update(self, done: int) -> None:
        """So many calls are answered; called again and again while none is."""
        now = time.monotonic()
        self._ends += [now] * (done - len(self._ends))
        if now >= self._next and 0 < done < self._total:
            self._next = now + EVERY
            left = time_left(self._began, self._ends, self._total, now) * 1000
            self._draw(done, f"about {milliseconds(left)} left" if left > 0 else "", "")

    def close(self, done: int) -> None:
        """The map is over."""
        if self._drawn:
            took = milliseconds((time.monotonic() - self._began) * 1000)
            whole = done == self._total
            self._draw(done, f"in {took}" if whole else f"ended after {took}", "✓" if whole else "✕")
            self._line.end()

    def _draw(self, done: int, told: str, mark: str) -> None:
        self._drawn = True
        words = " · ".join(part for part in (f"{count(done)} of {count(self._total)}", told) if part)
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
        from IPython.display import DisplayHandle  # start-up

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
