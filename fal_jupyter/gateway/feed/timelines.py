"""What each app's runners and requests were doing, over time: points, lanes of runners, decisions. Bounded, in memory."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Sequence

from fal_jupyter.domain.fleet.app import Decided, FleetApp
from fal_jupyter.domain.runners.lanes import GONE, LaneMoves, Move, coarser
from fal_jupyter.domain.runners.runner import Runner
from fal_jupyter.gateway.engine.request_history import wall_ms
from fal_jupyter.protocol.feed import KEPT_LANES, KEPT_MOVES, KEPT_POINTS, KEPT_USAGE, SERIES, Decision, Lane, Timeline

KEPT_DECISIONS = 200
THIN_POINTS, THIN_DECISIONS, THIN_LANES, THIN_MOVES = 60, 20, 6, 16
_STATES = SERIES[3:]


class _Lane:
    """One runner's lane."""

    def __init__(self, runner_id: str, devices: Iterable[str], revision: int) -> None:
        self._of = (runner_id, list(devices), revision)
        self.track = LaneMoves(KEPT_MOVES)

    def whole(self) -> Lane:
        """All that is kept."""
        return self._lane(self.track.moves)

    def thin(self, now: float) -> Lane:
        """Its course in few moves: short pauses are closed."""
        return self._lane(coarser(self.track.moves, now, THIN_MOVES)[-THIN_MOVES:])

    def news(self) -> Lane | None:
        """Its moves since the last call, if there are any."""
        moves = self.track.take()
        return self._lane(moves) if moves else None

    def _lane(self, moves: list[Move]) -> Lane:
        runner_id, devices, revision = self._of
        return Lane(id=runner_id, devices=devices, revision=revision, moves=list(moves))


class AppTimeline:
    """One app's history. What has not been taken yet is counted, so that a frame carries the news only."""

    def __init__(self) -> None:
        self.points: list[list[float]] = []
        self.decisions: deque[Decision] = deque(maxlen=KEPT_DECISIONS)
        self.lanes: dict[str, _Lane] = {}
        self.usage: deque[list[float]] = deque(maxlen=KEPT_USAGE)
        self._new_points = self._new_decisions = self._new_usage = 0

    def measured(self, at: float, used: Sequence[float]) -> None:
        """Its runners use *used* (the columns of ``USAGE`` after the first) at *at* (wall milliseconds). While none runs, one zero is enough."""
        if any(value > 0 for value in used) or (self.usage and any(value > 0 for value in self.usage[-1][1:])):
            self.usage.append([at, *used])
            self._new_usage += 1

    def moved(self, runner: Runner, state: str, at: float) -> None:
        """A runner entered *state* at *at* (wall milliseconds)."""
        lane = self.lanes.get(runner.id)
        if lane is None:
            if state == GONE:
                return
            while len(self.lanes) >= KEPT_LANES:
                del self.lanes[self._oldest()]
            lane = self.lanes[runner.id] = _Lane(runner.id, runner.devices, runner.revision)
        lane.track.enter(state, at)

    def _oldest(self) -> str:
        """The lane to forget: of a runner that has ended, where there is one."""
        return next((i for i, lane in self.lanes.items() if lane.track.moves[-1][1] == GONE), next(iter(self.lanes)))

    def observe(self, apps: Sequence[FleetApp], at: float) -> None:
        """Look at all there is of the app now (*at*, wall milliseconds): what was stopped may still be ending beside what was started since."""
        states = Counter(str(runner.state) for app in apps for runner in app.runners.values())
        waiting, running = sum(len(app.waiting) for app in apps), sum(len(app.in_flight) for app in apps)
        point: list[float] = [at, waiting, running, *(states[name] for name in _STATES)]
        if not self.points or self.points[-1][1:] != point[1:]:
            self.points.append(point)
            self._new_points += 1
            if len(self.points) > KEPT_POINTS:
                half = KEPT_POINTS // 2
                self.points = [*_thinned(self.points[:half]), *self.points[half:]]
        for app in apps:
            while app.undrawn:
                self.decisions.append(_decision(app.undrawn.popleft()))
                self._new_decisions += 1
        for lane in self.lanes.values():
            lane.track.settle(at)

    @property
    def settled(self) -> bool:
        """False while a runner's pause waits to be told (:mod:`fal_jupyter.domain.runners.lanes`)."""
        return all(lane.track.settled for lane in self.lanes.values())

    def whole(self) -> Timeline:
        """All of it."""
        return Timeline(
            points=self.points[:],
            decisions=list(self.decisions),
            lanes=[lane.whole() for lane in self.lanes.values()],
            usage=list(self.usage),
        )

    def thin(self, now: float) -> Timeline:
        """Its latest part, small enough for a saved notebook."""
        step = max(1, len(self.points) // THIN_POINTS)
        points = self.points[::-step][::-1]
        lanes = [lane.thin(now) for lane in list(self.lanes.values())[-THIN_LANES:]]
        usage = list(self.usage)[:: -max(1, len(self.usage) // THIN_POINTS)][::-1]
        return Timeline(points=points, decisions=list(self.decisions)[-THIN_DECISIONS:], lanes=lanes, usage=usage)

    def news(self) -> Timeline | None:
        """What came since the last call, or None."""
        lanes = [news for lane in self.lanes.values() if (news := lane.news()) is not None]
        if not (self._new_points or self._new_decisions or self._new_usage or lanes):
            return None
        points = self.points[len(self.points) - min(self._new_points, len(self.points)) :]
        decisions = list(self.decisions)[len(self.decisions) - min(self._new_decisions, len(self.decisions)) :]
        usage = list(self.usage)[len(self.usage) - min(self._new_usage, len(self.usage)) :]
        self._new_points = self._new_decisions = self._new_usage = 0
        return Timeline(points=points, decisions=decisions, lanes=lanes, usage=usage)


def _thinned(points: list[list[float]]) -> list[list[float]]:
    """Make one of every two points: it begins with the first, and has the more waiting and running requests of both."""
    pairs = zip(points[::2], points[1::2], strict=True)
    return [[one[0], max(one[1], two[1]), max(one[2], two[2]), *two[3:]] for one, two in pairs]


def _decision(decided: Decided) -> Decision:
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
        """The app's timeline, begun if need be."""
        found = self.apps.get(alias)
        if found is None:
            found = self.apps[alias] = AppTimeline()
        return found

    def forget(self, alias: str) -> None:
        """The app is over."""
        self.apps.pop(alias, None)
