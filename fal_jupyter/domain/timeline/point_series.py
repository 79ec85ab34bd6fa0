"""Counts of an app's requests and runners over time: the steps of the timeline's charts.

The counts of runners follow the moves of the lanes, each at its exact time, so that the chart and the lanes below it show the
same at every moment. Requests are sampled a few times a second; the number of running ones is kept within what the busy runners
allow: it is 0 exactly when no runner is busy.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Sequence
from typing import Final

from fal_jupyter.domain.timeline.lanes import GONE, RUNNING, resolution

Point = list[float]
"""When (wall clock, milliseconds), requests waiting and running, then runners by state."""

TICK: Final = 0.1  # milliseconds between two points, at least
FINEST: Final = 0.125  # of a lane's resolution, where points are merged first …
COARSEST: Final = 8.0  # … and last: older points are dropped rather than drawn wrongly
_WAITING, _RUNNING = 1, 2
_HOLDERS: Final = ("DRAINING", "TERMINATING")  # may have requests, or none


def coarser_points(points: Sequence[Point], now: float, most: int) -> list[Point]:
    """Merge points that are close, more of them the older they are, until at most *most* are left; else the latest are.

    No peak among the remaining points is lost, and a count that lasted longer than the merged time is never drawn too high.
    """
    factor, result = FINEST, list(points)
    while len(result) > most and factor <= COARSEST:
        result = _merged(result, now, factor)
        factor *= 2
    return result[-most:]


def _merged(points: Sequence[Point], now: float, factor: float) -> list[Point]:
    merged: list[Point] = []
    group: list[Point] = []
    for point in points:
        if group and point[0] - group[0][0] >= factor * resolution(now - group[0][0]):
            merged += _ends(group)
            group = []
        group.append(point)
    return merged + _ends(group)


def _ends(group: list[Point]) -> list[Point]:
    """A group's peak, placed at its beginning, and its last value."""
    if len(group) < 3:
        return group
    peak = max(group, key=lambda point: (point[_RUNNING], point[_WAITING]))
    waiting = max(point[_WAITING] for point in group)
    first = [group[0][0], waiting, *peak[_RUNNING:]]
    return [first] if first[1:] == group[-1][1:] else [first, group[-1]]


class PointSeries:
    """The points of one app, at most *most*; *states* are the columns of runners."""

    def __init__(self, states: Sequence[str], most: int) -> None:
        self.points: list[Point] = []
        self._states, self._most = states, most
        self._fresh = 0
        self._of: dict[str, str] = {}  # the state of each runner
        self._count: Counter[str] = Counter()
        self._moves: list[tuple[float, int, str, str]] = []  # changes not yet in the points, as a heap
        self._samples: list[tuple[float, int, int, int]] = []
        self._sampled = (0, 0, 1)
        self._order = 0

    def move(self, runner_id: str, state: str, at: float) -> None:
        """A runner entered *state* at *at*; changes of several runners may arrive in any order until :meth:`settle`."""
        self._order += 1
        heapq.heappush(self._moves, (at, self._order, runner_id, state))

    def sample(self, at: float, waiting: int, running: int, slots: int) -> None:
        """Record the number of requests at *at*; a runner takes at most *slots* at once. Samples arrive in order."""
        self._samples.append((at, waiting, running, slots))

    def settle(self, until: float) -> None:
        """Turn the changes until then into points; no earlier change may follow."""
        samples = [sample for sample in self._samples if sample[0] <= until]
        del self._samples[: len(samples)]
        for at, *sampled in samples:
            self._settle_moves(at)
            self._sampled = (sampled[0], sampled[1], sampled[2])
            self._add(at)
        self._settle_moves(until)

    def take(self) -> list[Point]:
        """Return the points since the last call."""
        fresh = self.points[len(self.points) - min(self._fresh, len(self.points)) :]
        self._fresh = 0
        return fresh

    @property
    def has_news(self) -> bool:
        """True if there are unread points."""
        return self._fresh > 0

    def _settle_moves(self, until: float) -> None:
        while self._moves and self._moves[0][0] <= until:
            at, _, runner_id, state = heapq.heappop(self._moves)
            if (former := self._of.pop(runner_id, None)) is not None:
                self._count[former] -= 1
            if state != GONE:
                self._of[runner_id] = state
                self._count[state] += 1
            self._add(at)

    def _running(self) -> int:
        busy = self._count[RUNNING]
        holders = busy + sum(self._count[state] for state in _HOLDERS)
        _, running, slots = self._sampled
        return min(max(running, busy), holders * slots)

    def _add(self, at: float) -> None:
        values = [self._sampled[0], self._running(), *(self._count[state] for state in self._states)]
        last = self.points[-1] if self.points else None
        if last is not None and last[1:] == values:
            return
        if last is not None and at < last[0] + TICK:
            if self._fresh:  # several changes at the same time
                last[1:] = values
                return
            at = round(last[0] + TICK, 1)
        self.points.append([at, *values])
        self._fresh += 1
        if len(self.points) > self._most:
            self.points = coarser_points(self.points, at, self._most * 3 // 4)
