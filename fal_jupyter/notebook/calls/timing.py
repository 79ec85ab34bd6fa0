"""Where the time of a cell's calls went: collected while the cell runs, shown once when it ends.

Nothing is ever displayed inside a call: an update costs more than a call. Any thread may add a record; a call that
began before the cell did (a thread left over from an earlier one) is not this cell's and is left out. How it looks is
in :mod:`fal_jupyter.notebook.calls.call_lines`.
"""

from __future__ import annotations

import heapq
import threading
import time
from array import array
from dataclasses import dataclass
from typing import Any, Protocol

from fal_jupyter import forks
from fal_jupyter.domain.text.json_forms import as_a_page_writes

LINES = 8  # more calls than this share one line, and so do those of a map
MAPS = 20  # lines for maps; with more of them in a cell, one line tells of all
ROWS = 20  # rows of the table under such a line
KEPT = 200  # records in the output's metadata: a saved notebook stays small whatever the load
FIELDS = (
    "request_id", "endpoint", "status", "queue_ms", "start_ms", "transfer_ms", "run_ms", "stream_ms", "total_ms", "revision", "runner",
    "aborted",
)  # fmt: skip


class TimedCall(Protocol):
    """What a finished call tells (the client's ``CallRecord``)."""

    @property
    def request_id(self) -> str: ...
    @property
    def endpoint(self) -> str: ...
    @property
    def status(self) -> int: ...
    @property
    def queue_ms(self) -> float: ...
    @property
    def start_ms(self) -> float: ...
    @property
    def transfer_ms(self) -> float: ...
    @property
    def run_ms(self) -> float: ...
    @property
    def stream_ms(self) -> float: ...
    @property
    def total_ms(self) -> float: ...
    @property
    def revision(self) -> int: ...
    @property
    def runner(self) -> str: ...
    @property
    def aborted(self) -> bool: ...
    @property
    def batch(self) -> int: ...
    @property
    def item(self) -> int: ...
    @property
    def hint(self) -> str: ...


def has_failed(call: TimedCall) -> bool:
    """An answer that broke off has the status with which it began."""
    return call.status >= 400 or call.aborted


@dataclass(frozen=True, slots=True)
class Row:
    """One call of a group: its *number* in it from 0, and when it *began*, in milliseconds after the group's first one."""

    number: int
    began: float
    call: TimedCall


class Group:
    """Calls that share a line, in bounded memory: the first ones, the slowest ones, and sums of all.

    Attributes:
        is_map: they are the items of one ``map``.
        totals: milliseconds of each. waited, worked: sums of milliseconds in the queue and in a runner.
        endpoints: how many calls each had. revisions: which answered.
    """

    def __init__(self, *, is_map: bool = False) -> None:
        self.is_map = is_map
        self.totals = array("d")
        self.failed = self.cold = 0
        self.waited = self.worked = 0.0
        self.endpoints: dict[str, int] = {}
        self.revisions: set[int] = set()
        self.first: list[tuple[float, int, TimedCall]] = []
        self._slowest: list[tuple[float, int, float, TimedCall]] = []
        self._window = (float("inf"), 0.0)

    def add(self, call: TimedCall, ended: float) -> None:
        """Count *call*, which ended at *ended* (monotonic seconds)."""
        number, began = call.item if self.is_map else len(self.totals), ended - call.total_ms / 1000
        self.totals.append(call.total_ms)
        self.failed += has_failed(call)
        self.cold += call.start_ms > 0
        self.waited += call.queue_ms
        self.worked += call.run_ms + call.stream_ms
        self.endpoints[call.endpoint] = self.endpoints.get(call.endpoint, 0) + 1
        self.revisions.add(call.revision)
        self._window = (min(self._window[0], began), max(self._window[1], ended))
        if len(self.first) < ROWS:
            self.first.append((began, number, call))
        entry = (call.total_ms, number, began, call)
        if len(self._slowest) < ROWS:
            heapq.heappush(self._slowest, entry)
        else:
            heapq.heappushpop(self._slowest, entry)

    @property
    def is_whole(self) -> bool:
        """True where :attr:`rows` has every call."""
        return len(self.totals) <= ROWS

    @property
    def rows(self) -> list[Row]:
        """Every call by its number, or of more than twenty the slowest ones, slowest first."""
        if self.is_whole:
            found = sorted((number, began, call) for began, number, call in self.first)
        else:
            found = [(number, began, call) for _, number, began, call in sorted(self._slowest, reverse=True)]
        return [Row(number, (began - self._window[0]) * 1000, call) for number, began, call in found]

    @property
    def span_ms(self) -> float:
        """Milliseconds from the first one's start to the last one's end."""
        return max(0.0, (self._window[1] - self._window[0]) * 1000)

    @property
    def per_second(self) -> float:
        """Calls a second in that time."""
        return len(self.totals) / self.span_ms * 1000 if self.span_ms > 0 else 0.0


class Tally:
    """The calls of one cell, in bounded memory: those made alone, those of each map, and the first two hundred as records."""

    def __init__(self, began: float) -> None:
        self.began = began
        self.records: list[TimedCall] = []
        self.all = Group()
        self._alone = Group()
        self._maps: dict[int, tuple[int, Group]] = {}  # with the place of its first call among all
        self._places: list[tuple[int, TimedCall]] = []  # the same of the first calls made alone

    def add(self, call: TimedCall, ended: float) -> None:
        """Count *call*, which ended at *ended* (monotonic seconds)."""
        place = len(self.all.totals)
        self.all.add(call, ended)
        if len(self.records) < KEPT:
            self.records.append(call)
        if not call.batch:
            self._alone.add(call, ended)
            if len(self._alone.totals) <= LINES:
                self._places.append((place, call))
        elif call.batch in self._maps or len(self._maps) <= MAPS:
            self._maps.setdefault(call.batch, (place, Group(is_map=True)))[1].add(call, ended)

    def lines(self) -> list[TimedCall | Group]:
        """What gets a line each, in the order of the first ends."""
        if len(self._maps) > MAPS:
            return [self.all]
        found: list[tuple[int, TimedCall | Group]] = [*self._maps.values(), *self._places]
        if len(self._alone.totals) > LINES:
            found = [*self._maps.values(), (self._places[0][0], self._alone)]
        return [line for _, line in sorted(found, key=lambda one: one[0])]

    def metadata(self) -> dict[str, Any]:
        """The machine-readable form, for the output's metadata."""
        calls = [{name: getattr(call, name) for name in FIELDS} for call in self.records]
        data: dict[str, Any] = {"calls": calls}
        if len(self.all.totals) > len(calls):
            data["calls_total"] = len(self.all.totals)
        return {"fal_jupyter": as_a_page_writes(data)}


class CellTiming:
    """Collects the calls of the running cell. ``record`` is handed to every app's handle."""

    def __init__(self) -> None:
        self.enabled = True
        self._lock = threading.Lock()
        self._tally: Tally | None = None
        forks.changes_in_child(self)

    def forked(self) -> None:
        """Calls of a forked child are none of the cell's."""
        self._lock, self._tally = threading.Lock(), None

    def begin(self) -> None:
        """A cell begins."""
        with self._lock:
            self._tally = Tally(time.monotonic())

    def record(self, call: TimedCall) -> None:
        """A call has ended, well or not; called by the thread that made it."""
        ended = time.monotonic()
        with self._lock:
            tally = self._tally
            if tally is not None and self.enabled and ended - call.total_ms / 1000 >= tally.began - 0.05:
                tally.add(call, ended)

    def end(self) -> Tally | None:
        """The cell has ended: give its calls, or ``None`` if there were none."""
        with self._lock:
            tally, self._tally = self._tally, None
        return tally if tally is not None and tally.all.totals else None
