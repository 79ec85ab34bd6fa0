"""Where the time of a cell's calls went: collected while the cell runs, shown once when it ends.

Nothing is ever displayed inside a call: an update costs more than a call. Any thread may add a record; a call that
began before the cell did (a thread left over from an earlier one) is not this cell's and is left out.
"""

from __future__ import annotations

import heapq
import threading
import time
from array import array
from collections.abc import Sequence
from typing import Any, Protocol

from fal_jupyter import forks
from fal_jupyter.cli.numbers import count, milliseconds, percentile, plural, rate
from fal_jupyter.notebook.style import (
    CELL,
    CODE,
    FAILED,
    LINE,
    MUTED,
    NUMBER,
    OK,
    QUEUE,
    RUN,
    START,
    TEXT,
    TRANSFER,
    element,
    text,
)

LINES = 20  # more calls than this become one summary line
ROWS = 20  # rows of the table under the summary line
SHOWN_FROM = 1.0  # milliseconds from which transfer and stream are named in the line; the table has them always
KEPT = 200  # records in the output's metadata: a saved notebook stays small whatever the load
FIELDS = (
    "request_id", "endpoint", "status", "queue_ms", "start_ms", "transfer_ms", "run_ms", "stream_ms", "total_ms", "revision", "runner",
    "aborted",
)  # fmt: skip


class Call(Protocol):
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


def _failed(call: Call) -> bool:
    """An answer that broke off has the status with which it began."""
    return call.status >= 400 or call.aborted


class Tally:
    """The calls of one cell, in bounded memory: the first two hundred, the slowest twenty, and sums of all."""

    def __init__(self, began: float) -> None:
        self.began = began
        self.first: list[Call] = []
        self.totals = array("d")
        self.failed = 0
        self.cold = 0
        self.endpoints: dict[str, int] = {}
        self._slowest: list[tuple[float, int, Call]] = []
        self._window = (float("inf"), 0.0)

    def add(self, call: Call, ended: float) -> None:
        """Count *call*, which ended at *ended* (monotonic seconds)."""
        number = len(self.totals)
        self.totals.append(call.total_ms)
        self.failed += _failed(call)
        self.cold += call.start_ms > 0
        self.endpoints[call.endpoint] = self.endpoints.get(call.endpoint, 0) + 1
        self._window = (min(self._window[0], ended - call.total_ms / 1000), max(self._window[1], ended))
        if number < KEPT:
            self.first.append(call)
        entry = (call.total_ms, number, call)
        if len(self._slowest) < ROWS:
            heapq.heappush(self._slowest, entry)
        else:
            heapq.heappushpop(self._slowest, entry)

    @property
    def slowest(self) -> list[tuple[int, Call]]:
        """The slowest calls with their number in the cell (from 0), slowest first."""
        return [(number, call) for _, number, call in sorted(self._slowest, reverse=True)]

    @property
    def per_second(self) -> float:
        """Calls a second, from the first one's start to the last one's end."""
        span = self._window[1] - self._window[0]
        return len(self.totals) / span if span > 0 else 0.0

    def metadata(self) -> dict[str, Any]:
        """The machine-readable form, for the output's metadata."""
        calls = [{name: getattr(call, name) for name in FIELDS} for call in self.first]
        data: dict[str, Any] = {"calls": calls}
        if len(self.totals) > len(calls):
            data["calls_total"] = len(self.totals)
        return {"fal_jupyter": data}


class Timing:
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

    def record(self, call: Call) -> None:
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
        return tally if tally is not None and tally.totals else None


# --- text -------------------------------------------------------------------------------------------------------------
def as_text(tally: Tally) -> str:
    """The lines for terminals, saved text and screen readers."""
    if len(tally.totals) > LINES:
        return f"{'failed' if tally.failed else 'ok'} {_summary(tally)}"
    lines = []
    for call in tally.first:
        lines.append(f"{_word(call)} {milliseconds(call.total_ms)} {call.endpoint}: {_phases(call)}, {_made_by(call)}")
    return "\n".join(lines)


def _word(call: Call) -> str:
    if call.status >= 400:
        return f"failed {call.status}"
    return "failed, broke off after" if call.aborted else "ok"


def _phases(call: Call) -> str:
    parts = [f"queue {milliseconds(call.queue_ms)}"]
    if call.start_ms > 0:
        parts.append(f"cold start {milliseconds(call.start_ms)}")
    if call.transfer_ms >= SHOWN_FROM:
        parts.append(f"transfer {milliseconds(call.transfer_ms)}")
    parts.append(f"run {milliseconds(call.run_ms)}")
    if call.stream_ms >= SHOWN_FROM:
        parts.append(f"stream {milliseconds(call.stream_ms)}")
    return " · ".join(parts)


def _made_by(call: Call) -> str:
    return (
        ", ".join(part for part in (call.runner, f"r{call.revision}" if call.revision else "") if part) or "no runner"
    )


def _summary(tally: Tally) -> str:
    totals = list(tally.totals)
    parts = [plural(len(totals), "call"), f"p50 {milliseconds(percentile(totals, 0.5))}"]
    if len(totals) >= 20:  # fewer say nothing of a tail
        parts.append(f"p95 {milliseconds(percentile(totals, 0.95))}")
    parts += [f"max {milliseconds(max(totals))}", rate(tally.per_second)]
    if tally.cold:
        parts.append(f"{count(tally.cold)} cold")
    if tally.failed:
        parts.append(f"{count(tally.failed)} failed")
    endpoints = ", ".join(sorted(tally.endpoints)[:3]) + (" …" if len(tally.endpoints) > 3 else "")
    return f"{endpoints}: " + " · ".join(parts)


# --- HTML -------------------------------------------------------------------------------------------------------------
def as_html(tally: Tally) -> str:
    """One foldable line a call; above twenty calls one line for all, with the slowest in a table."""
    if len(tally.totals) > LINES:
        body = _line(_mark(tally.failed == 0), element("span", text(_summary(tally))), inside=_slowest_table(tally))
    else:
        body = "".join(_call_line(call) for call in tally.first)
    return element("div", body, style=TEXT)


def _mark(good: bool) -> str:
    return element("b", "✓" if good else "✕", style=f"color: {OK if good else FAILED}")


def _line(*parts: str, inside: str) -> str:
    summary = element("summary", " ".join(parts), style="cursor: pointer; padding: 3px 0")
    return element("details", summary, inside)


def _call_line(call: Call) -> str:
    good, why = not _failed(call), str(call.status) if call.status >= 400 else "broke off"
    return _line(
        _mark(good),
        element("b", text(milliseconds(call.total_ms))),
        element("span", text(call.endpoint), style=CODE),
        _bar(call),
        element("span", text(("" if good else f"{why} · ") + _phases(call))),
        element("span", text("· " + _made_by(call)), style=MUTED),
        inside=_phase_table(call),
    )


def _shares(call: Call) -> list[tuple[str, float, str]]:
    good = not _failed(call)
    return [
        ("queue", call.queue_ms, QUEUE),
        ("cold start", call.start_ms, START),
        ("transfer", call.transfer_ms, TRANSFER),
        ("run", call.run_ms, RUN if good else FAILED),
        ("stream", call.stream_ms, RUN if good else FAILED),
    ]


def _bar(call: Call, width: int = 72) -> str:
    total = sum(max(0.0, ms) for _, ms, _ in _shares(call))
    if total <= 0:
        return ""
    pieces = []
    for _, ms, colour in _shares(call):
        if ms > 0:
            points = max(2, round(width * ms / total))
            style = f"display: inline-block; height: 8px; width: {points}px; background: {colour}"
            pieces.append(element("span", style=style))
    return element("span", *pieces, style="white-space: nowrap", flags='aria-hidden="true"')


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]], numbers: Sequence[str]) -> str:
    def line(tag: str, cells: Sequence[str]) -> str:
        return element(
            "tr",
            *(
                element(tag, cell, style=NUMBER if head in numbers else CELL)
                for head, cell in zip(heads, cells, strict=True)
            ),
            style="background: none",
        )

    head = element("thead", line("th", heads))
    body = element("tbody", *(line("td", row) for row in rows))
    style = f"border-collapse: collapse; border: 1px solid {LINE}; margin: 2px 0 6px 16px; {TEXT}"
    return element("table", head, body, style=style)


def _phase_table(call: Call) -> str:
    rows = [[text(name), text(milliseconds(ms))] for name, ms, _ in _shares(call)]
    rows.append([element("b", "total"), element("b", text(milliseconds(call.total_ms)))])
    facts = f"request {call.request_id} · {_made_by(call)} · status {call.status}{', broke off' * call.aborted}"
    return _table(["Phase", "Time"], rows, ["Time"]) + element(
        "div", text(facts), style=f"{MUTED}; margin: 0 0 6px 16px"
    )


def _slowest_table(tally: Tally) -> str:
    heads = ["#", "", "Endpoint", "Queue", "Start", "Run", "Total", "Runner"]
    rows = [
        [
            text(number),
            _mark(not _failed(call)),
            element("span", text(call.endpoint), style=CODE),
            text(milliseconds(call.queue_ms)),
            text(milliseconds(call.start_ms)),
            text(milliseconds(call.run_ms)),
            element("b", text(milliseconds(call.total_ms))),
            text(_made_by(call)),
        ]
        for number, call in tally.slowest
    ]
    caption = f"The {len(rows)} slowest of {count(len(tally.totals))} calls."
    return _table(heads, rows, ["#", "Queue", "Start", "Run", "Total"]) + element(
        "div", text(caption), style=f"{MUTED}; margin: 0 0 6px 16px"
    )
