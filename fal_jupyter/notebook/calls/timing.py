"""Timing of a cell's calls: collected while the cell runs, displayed when it ends.

Nothing is displayed during a call: updating a display takes longer than a call. Any thread may add a record; a call that
started before the cell (by a thread of an earlier cell) is ignored. :mod:`fal_jupyter.notebook.calls.call_lines` formats it.
"""

from __future__ import annotations

import copy
import heapq
import threading
import time
from array import array
from dataclasses import dataclass
from typing import Protocol

from fal_jupyter import forks
from fal_jupyter.domain.text.json_forms import as_a_page_writes

MAX_LINES = 8  # more calls than this share one line, as do the calls of a map
MAX_MAPS = 20  # lines of maps; a cell with more maps gets one line for all calls
MAX_ROWS = 20  # rows of the table under such a line
MAX_RECORDS = 200  # records in the output's metadata, to bound the size of a saved notebook
FIELDS = (
    "request_id", "endpoint", "status", "queue_ms", "start_ms", "transfer_ms", "run_ms", "stream_ms", "total_ms", "revision", "runner",
    "aborted",
)  # fmt: skip


class TimedCall(Protocol):
    """A finished call (the client's ``CallRecord``)."""

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
    def streamed(self) -> bool: ...
    @property
    def batch(self) -> int: ...
    @property
    def item(self) -> int: ...
    @property
    def hint(self) -> str: ...


def has_failed(call: TimedCall) -> bool:
    """Whether a call failed. An aborted response keeps the status with which it started."""
    return call.status >= 400 or call.aborted


@dataclass(frozen=True, slots=True)
class Row:
    """A call of a group: its *number* from 0, and its start in milliseconds after the group's first start."""

    number: int
    started: float
    call: TimedCall


class Group:
    """Calls that share a line, in bounded memory: the first ones, the slowest ones, and totals of all.

    Attributes:
        is_map: whether they are the items of one ``map``.
        totals: milliseconds of each call. succeeded: those of the calls that succeeded. waited, worked: total milliseconds in the queue and in a runner.
        endpoints: number of calls by endpoint. revisions: the revisions that responded.
    """

    def __init__(self, *, is_map: bool = False) -> None:
        self.is_map = is_map
        self.totals, self.succeeded = array("d"), array("d")
        self.failed = self.cold = 0
        self.waited = self.worked = 0.0
        self.endpoints: dict[str, int] = {}
        self.revisions: set[int] = set()
        self.first: list[tuple[float, int, TimedCall]] = []
        self._slowest: list[tuple[float, int, float, TimedCall]] = []
        self._window = (float("inf"), 0.0)

    def add(self, call: TimedCall, ended: float) -> None:
        """Add *call*, which ended at *ended* (monotonic seconds)."""
        number, started = call.item if self.is_map else len(self.totals), ended - call.total_ms / 1000
        self.totals.append(call.total_ms)
        if has_failed(call):
            self.failed += 1
        else:
            self.succeeded.append(call.total_ms)
        self.cold += call.start_ms > 0
        self.waited += call.queue_ms
        self.worked += call.run_ms + call.stream_ms
        self.endpoints[call.endpoint] = self.endpoints.get(call.endpoint, 0) + 1
        self.revisions.add(call.revision)
        self._window = (min(self._window[0], started), max(self._window[1], ended))
        if len(self.first) < MAX_ROWS:
            self.first.append((started, number, call))
        entry = (call.total_ms, number, started, call)
        if len(self._slowest) < MAX_ROWS:
            heapq.heappush(self._slowest, entry)
        else:
            heapq.heappushpop(self._slowest, entry)

    def copy(self) -> Group:
        """Return a group of the same calls."""
        made = copy.copy(self)
        for name in ("totals", "succeeded", "endpoints", "revisions", "first", "_slowest"):
            setattr(made, name, copy.copy(getattr(self, name)))
        return made

    @property
    def is_whole(self) -> bool:
        """Whether :attr:`rows` has all calls."""
        return len(self.totals) <= MAX_ROWS

    @property
    def rows(self) -> list[Row]:
        """All calls by number, or if there are more than twenty, the slowest ones, slowest first."""
        if self.is_whole:
            entries = sorted((number, started, call) for started, number, call in self.first)
        else:
            entries = [(number, started, call) for _, number, started, call in sorted(self._slowest, reverse=True)]
        return [Row(number, (started - self._window[0]) * 1000, call) for number, started, call in entries]

    @property
    def span_ms(self) -> float:
        """Milliseconds from the first start to the last end."""
        return max(0.0, (self._window[1] - self._window[0]) * 1000)

    @property
    def per_second(self) -> float:
        """Calls per second in that time."""
        return len(self.totals) / self.span_ms * 1000 if self.span_ms > 0 else 0.0


class Tally:
    """The calls of one cell, in bounded memory: single calls, the calls of each map, and the first two hundred as records."""

    def __init__(self, started: float) -> None:
        self.started = started
        self.records: list[TimedCall] = []
        self.all = Group()
        self._single_calls = self.all  # until there is a map
        self._maps: dict[int, tuple[int, Group]] = {}  # with the index of its first call among all
        self._singles: list[tuple[int, TimedCall]] = []  # the same for the first single calls

    def add(self, call: TimedCall, ended: float) -> None:
        """Add *call*, which ended at *ended* (monotonic seconds)."""
        index = len(self.all.totals)
        if call.batch and self._single_calls is self.all:
            self._single_calls = self.all.copy()
        self.all.add(call, ended)
        if len(self.records) < MAX_RECORDS:
            self.records.append(call)
        if not call.batch:
            if self._single_calls is not self.all:
                self._single_calls.add(call, ended)
            if len(self._single_calls.totals) <= MAX_LINES:
                self._singles.append((index, call))
        elif call.batch in self._maps or len(self._maps) <= MAX_MAPS:
            self._maps.setdefault(call.batch, (index, Group(is_map=True)))[1].add(call, ended)

    def lines(self) -> list[TimedCall | Group]:
        """Return what gets a line, ordered by the first end."""
        if len(self._maps) > MAX_MAPS:
            return [self.all]
        entries: list[tuple[int, TimedCall | Group]] = [*self._maps.values(), *self._singles]
        if len(self._single_calls.totals) > MAX_LINES:
            entries = [*self._maps.values(), (self._singles[0][0], self._single_calls)]
        return [line for _, line in sorted(entries, key=lambda entry: entry[0])]

    def metadata(self) -> dict[str, object]:
        """Return the machine-readable form for the output's metadata."""
        calls = [{name: getattr(call, name) for name in FIELDS} for call in self.records]
        data: dict[str, object] = {"calls": calls}
        if len(self.all.totals) > len(calls):
            data["calls_total"] = len(self.all.totals)
        return {"fal_jupyter": as_a_page_writes(data)}


class CellTiming:
    """Collects the calls of the running cell; every app's handle reports to :meth:`record`."""

    def __init__(self) -> None:
        self.enabled = True
        self._lock = threading.Lock()
        self._tally: Tally | None = None
        forks.changes_in_child(self)

    def forked(self) -> None:
        """Reset in a forked child, whose calls do not belong to the cell."""
        self._lock, self._tally = threading.Lock(), None

    def begin(self) -> None:
        """Start a new cell."""
        with self._lock:
            self._tally = Tally(time.monotonic())

    def record(self, call: TimedCall) -> None:
        """Add a call that has ended, successfully or not; runs in the calling thread."""
        ended = time.monotonic()
        with self._lock:
            tally = self._tally
            if tally is not None and self.enabled and ended - call.total_ms / 1000 >= tally.started - 0.05:
                tally.add(call, ended)

    def end(self) -> Tally | None:
        """End the cell and return its calls, or ``None`` if there were none."""
        with self._lock:
            tally, self._tally = self._tally, None
        return tally if tally is not None and tally.all.totals else None
