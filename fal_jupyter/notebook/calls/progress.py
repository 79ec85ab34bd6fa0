"""Progress of a ``Hello.hi.map(...)``: a line that is redrawn at most five times a second.

A map that takes less than half a second shows no progress, only the cell's timing.
"""

from __future__ import annotations

import sys
import time
from bisect import bisect_right
from collections.abc import Sequence
from typing import Any, Protocol

from fal_jupyter.commands.numbers import count, milliseconds
from fal_jupyter.notebook.style import CODE, FAILED, OK, TEXT, element, text

SHOW_AFTER = 0.5  # seconds
INTERVAL = 0.2
_EDGE = 0.1  # fraction of a call's time; results that arrive together count once, not at both ends of the window


def time_left(began: float, ends: Sequence[float], total: int, now: float) -> float:
    """Estimate the time for the rest of *total* calls, in the unit of the timestamps; 0 if unknown.

    Uses the recent rate, over at least the duration of a call: more runners may have started since the first calls.
    """
    if not ends or (elapsed := ends[-1] - began) <= 0:
        return 0.0
    call_time = max(ends[0] - began, 1e-6)
    window = min(elapsed, max(1.0, elapsed / 2 // call_time) * call_time)  # whole calls
    recent = len(ends) - bisect_right(ends, ends[-1] - window + _EDGE * call_time) if window < elapsed else len(ends)
    return max(0.0, (total - len(ends)) * window / max(1, recent) - (now - ends[-1]))


class ProgressLine(Protocol):
    """A line that can be redrawn."""

    def draw(self, plain: str, html: str) -> None:
        """Replace the line's content."""

    def end(self) -> None:
        """Leave the line as it is."""


class MapProgress:
    """Progress of one map of *total* items of *endpoint*, drawn on *line*."""

    def __init__(self, endpoint: str, total: int, line: ProgressLine) -> None:
        self._endpoint, self._total, self._line = endpoint, total, line
        self._began = time.monotonic()
        self._ends: list[float] = []
        self._next = self._began + SHOW_AFTER
        self._drawn = False

    def update(self, done: int) -> None:
        """Report that *done* calls have ended; also called periodically in between."""
        now = time.monotonic()
        self._ends += [now] * (done - len(self._ends))
        if now >= self._next and 0 < done < self._total:
            self._next = now + INTERVAL
            remaining_ms = time_left(self._began, self._ends, self._total, now) * 1000
            self._draw(done, f"about {milliseconds(remaining_ms)} left" if remaining_ms > 0 else "", "")

    def close(self, done: int) -> None:
        """Draw the final line: *done* calls have ended."""
        if self._drawn:
            elapsed = milliseconds((time.monotonic() - self._began) * 1000)
            complete = done == self._total
            self._draw(done, f"in {elapsed}" if complete else f"ended after {elapsed}", "✓" if complete else "✕")
            self._line.end()

    def _draw(self, done: int, remark: str, mark: str) -> None:
        self._drawn = True
        words = " · ".join(part for part in (f"{count(done)} of {count(self._total)}", remark) if part)
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
    """A progress line as a display of the notebook.

    Attributes:
        display_id: id of the display, ``""`` before the first drawing.
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
        """Nothing to do: a display is permanent."""


class TerminalLine:
    """A progress line on standard error of a terminal."""

    def __init__(self) -> None:
        self._width = 0

    def draw(self, plain: str, html: str) -> None:
        sys.stderr.write("\r" + plain.ljust(self._width))
        sys.stderr.flush()
        self._width = len(plain)

    def end(self) -> None:
        sys.stderr.write("\n")
