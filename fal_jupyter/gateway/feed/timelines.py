"""The timeline of each app: points, lanes of runners, decisions. Bounded, in memory."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Sequence

from fal_jupyter.domain.fleet.app import FleetApp
from fal_jupyter.domain.runners.runner import Runner
from fal_jupyter.domain.scaling.decision_log import LoggedDecision
from fal_jupyter.domain.timeline.lanes import GONE, LaneMoves, Move, coarser
from fal_jupyter.domain.timeline.point_series import COARSEST, PointSeries, coarser_points
from fal_jupyter.gateway.engine.request_history import wall_ms
from fal_jupyter.protocol.feed import (
    MAX_LANES,
    MAX_MOVES,
    MAX_POINTS,
    MAX_USAGE_SAMPLES,
    SERIES,
    Decision,
    Lane,
    Timeline,
)

MAX_DECISIONS = 200
THIN_POINTS, THIN_USAGE, THIN_DECISIONS, THIN_LANES, THIN_MOVES = 180, 60, 20, 8, 32
_STATES = SERIES[3:]


class _Lane:
    """One runner's lane."""

    def __init__(self, runner_id: str, devices: Iterable[str], revision: int) -> None:
        self._of = (runner_id, list(devices), revision)
        self.track = LaneMoves(MAX_MOVES)

    def ended(self) -> float:
        """When its runner ended (wall milliseconds); infinity while it lives."""
        at, state = self.track.moves[-1]
        return at if state == GONE else math.inf

    def whole(self) -> Lane:
        """The complete lane."""
        return self._lane(self.track.moves)

    def thin(self, now: float) -> Lane:
        """Its latest part, with few changes: short pauses are removed."""
        return self._lane(coarser(self.track.moves, now, THIN_MOVES, COARSEST)[-THIN_MOVES:])

    def news(self) -> Lane | None:
        """Its changes since the last call, if there are any."""
        moves = self.track.take()
        return self._lane(moves) if moves else None

    def _lane(self, moves: list[Move]) -> Lane:
        runner_id, devices, revision = self._of
        return Lane(id=runner_id, devices=devices, revision=revision, moves=list(moves))


class AppTimeline:
    """One app's history. Unread entries are counted, so that a frame contains only new ones."""

    def __init__(self) -> None:
        self.series = PointSeries(_STATES, MAX_POINTS)
        self.decisions: deque[Decision] = deque(maxlen=MAX_DECISIONS)
        self.lanes: dict[str, _Lane] = {}
        self.usage: deque[list[float]] = deque(maxlen=MAX_USAGE_SAMPLES)
        self._new_decisions = self._new_usage = 0
        self._dropped = 0  # runners that had a lane
        self._living_dropped: set[str] = (
            set()
        )  # those of them that have not ended: they get a lane again when they move

    def measured(self, at: float, used: Sequence[float]) -> None:
        """Record its runners' usage *used* (the columns of ``USAGE`` after the first) at *at* (wall milliseconds). Without runners, one zero is enough."""
        if any(value > 0 for value in used) or (self.usage and any(value > 0 for value in self.usage[-1][1:])):
            self.usage.append([at, *used])
            self._new_usage += 1

    def moved(self, runner: Runner, state: str, at: float) -> None:
        """A runner entered *state* at *at* (wall milliseconds)."""
        lane = self.lanes.get(runner.id)
        if lane is None:
            if state == GONE:
                self._living_dropped.discard(runner.id)
                self.series.move(runner.id, state, at)
                return
            if runner.id in self._living_dropped:
                self._living_dropped.remove(runner.id)
                self._dropped -= 1
            while len(self.lanes) >= MAX_LANES:
                self._drop_oldest()
            lane = self.lanes[runner.id] = _Lane(runner.id, runner.devices, runner.revision)
        self._count(runner.id, lane.track.enter(state, at))

    def _count(self, runner_id: str, moves: Sequence[Move]) -> None:
        for at, state in moves:
            self.series.move(runner_id, state, at)

    def _drop_oldest(self) -> None:
        lane = self.lanes.pop(oldest := self._oldest())
        self._dropped += 1
        if lane.ended() == math.inf:
            self._living_dropped.add(oldest)
        self._count(oldest, lane.track.settle(math.inf))

    def _oldest(self) -> str:
        """The lane to drop: that of an ended runner, if there is one."""
        return next((i for i, lane in self.lanes.items() if lane.track.moves[-1][1] == GONE), next(iter(self.lanes)))

    def observe(self, apps: Sequence[FleetApp], at: float) -> None:
        """Record the app's current state (*at*, wall milliseconds): stopped runners may still be ending while new ones have started."""
        waiting, running = sum(len(app.waiting) for app in apps), sum(len(app.in_flight) for app in apps)
        slots = max((spec.scaling.max_multiplexing for app in apps for spec in app.specs.values()), default=1)
        self.series.sample(at, waiting, running, slots)
        for app in apps:
            while app.decisions.undrawn:
                self.decisions.append(_decision(app.decisions.undrawn.popleft()))
                self._new_decisions += 1
        for runner_id, lane in self.lanes.items():
            self._count(runner_id, lane.track.settle(at))
        self.series.settle(min((lane.track.known_until for lane in self.lanes.values()), default=at))

    @property
    def settled(self) -> bool:
        """False while a runner's pause has not been reported (:mod:`fal_jupyter.domain.timeline.lanes`)."""
        return all(lane.track.settled for lane in self.lanes.values())

    def whole(self) -> Timeline:
        """The complete timeline."""
        return Timeline(
            points=self.series.points[:],
            decisions=list(self.decisions),
            lanes=[lane.whole() for lane in self.lanes.values()],
            usage=list(self.usage),
        )

    def thin(self, now: float) -> Timeline:
        """Its latest part, reduced for a saved notebook."""
        points = coarser_points(self.series.points, now, THIN_POINTS)
        latest = sorted(self.lanes.values(), key=_Lane.ended)[
            -THIN_LANES:
        ]  # those that live or lived last, as in the live picture
        lanes = [lane.thin(now) for lane in self.lanes.values() if lane in latest]
        usage = list(self.usage)[:: -max(1, len(self.usage) // THIN_USAGE)][::-1]
        decisions, left_out = list(self.decisions)[-THIN_DECISIONS:], self._dropped + len(self.lanes) - len(lanes)
        return Timeline(points=points, decisions=decisions, lanes=lanes, usage=usage, older_runners=left_out)

    def news(self) -> Timeline | None:
        """The new entries since the last call, or None."""
        lanes = [news for lane in self.lanes.values() if (news := lane.news()) is not None]
        if not (self.series.has_news or self._new_decisions or self._new_usage or lanes):
            return None
        points = self.series.take()
        decisions = list(self.decisions)[len(self.decisions) - min(self._new_decisions, len(self.decisions)) :]
        usage = list(self.usage)[len(self.usage) - min(self._new_usage, len(self.usage)) :]
        self._new_decisions = self._new_usage = 0
        return Timeline(points=points, decisions=decisions, lanes=lanes, usage=usage)


def _decision(decided: LoggedDecision) -> Decision:
    return Decision(
        time=wall_ms(decided.at / 1e9),
        kind=decided.kind,
        before=decided.before,
        after=decided.after,
        seen=decided.seen,
        reason=decided.reason,
    )


class Timelines:
    """The timelines of all apps."""

    def __init__(self) -> None:
        self.apps: dict[str, AppTimeline] = {}

    def of(self, alias: str) -> AppTimeline:
        """The app's timeline, created if necessary."""
        timeline = self.apps.get(alias)
        if timeline is None:
            timeline = self.apps[alias] = AppTimeline()
        return timeline

    def forget(self, alias: str) -> None:
        """Drop the timeline of an app that has ended."""
        self.apps.pop(alias, None)
