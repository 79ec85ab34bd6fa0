"""What each app's runners and requests were doing, over time: points, lanes of runners, decisions. Bounded, in memory."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable

from fal_jupyter.domain.apps import App, Decided
from fal_jupyter.gateway.history import wall_ms
from fal_jupyter.protocol.feed import KEPT_LANES, KEPT_MOVES, KEPT_POINTS, SERIES, Decision, Lane, Timeline

KEPT_DECISIONS = 200
THIN_POINTS, THIN_DECISIONS, THIN_LANES, THIN_MOVES = 60, 20, 6, 16
GONE = "GONE"
FLAP = 1000.0  # milliseconds in which a runner's turns between two calls of a loop are not told apart
_STATES = SERIES[3:]


class AppTimeline:
    """One app's history. What has not been taken yet is counted, so that a frame carries the news only."""

    def __init__(self) -> None:
        self.points: deque[list[float]] = deque(maxlen=KEPT_POINTS)
        self.decisions: deque[Decision] = deque(maxlen=KEPT_DECISIONS)
        self.lanes: dict[str, Lane] = {}
        self._decided = 0
        self._new_points = self._new_decisions = 0
        self._changed: set[str] = set()

    def moved(self, runner_id: str, state: str, at: float, devices: Iterable[str] = (), revision: int = 0) -> None:
        """A runner entered *state* at *at* (wall milliseconds)."""
        lane = self.lanes.get(runner_id)
        if lane is None:
            if state == GONE:
                return
            while len(self.lanes) >= KEPT_LANES:
                del self.lanes[self._oldest()]
            lane = self.lanes[runner_id] = Lane(id=runner_id, devices=list(devices), revision=revision, moves=[])
        moves = lane["moves"]
        if moves and (moves[-1][1] == state or (_flapping(moves[-1][1], state) and at < moves[-1][0] + FLAP)):
            return
        moves.append((max(at, moves[-1][0]) if moves else at, state))
        if len(moves) > KEPT_MOVES:
            del moves[1]  # the beginning stays
        self._changed.add(runner_id)

    def _oldest(self) -> str:
        """The lane to forget: of a runner that has ended, where there is one."""
        return next((i for i, lane in self.lanes.items() if lane["moves"][-1][1] == GONE), next(iter(self.lanes)))

    def observe(self, app: App, at: float) -> None:
        """Look at the app now (*at*, wall milliseconds)."""
        states = Counter(str(runner.state) for runner in app.runners.values())
        point: list[float] = [at, len(app.waiting), len(app.in_flight), *(states[name] for name in _STATES)]
        if not self.points or self.points[-1][1:] != point[1:]:
            self.points.append(point)
            self._new_points += 1
        for runner in app.runners.values():
            self.moved(runner.id, str(runner.state), wall_ms(runner.since / 1e9), runner.devices, runner.revision)
        if (news := min(app.decided - self._decided, len(app.decisions))) > 0:
            for decided in list(app.decisions)[-news:]:
                self.decisions.append(_decision(decided))
            self._decided = app.decided
            self._new_decisions += news

    def whole(self) -> Timeline:
        """All of it."""
        return Timeline(points=list(self.points), decisions=list(self.decisions), lanes=list(self.lanes.values()))

    def thin(self) -> Timeline:
        """Its latest part, small enough for a saved notebook."""
        step = max(1, len(self.points) // THIN_POINTS)
        points = list(self.points)[::-step][::-1]
        lanes = [
            Lane(id=lane["id"], devices=lane["devices"], revision=lane["revision"], moves=lane["moves"][-THIN_MOVES:])
            for lane in list(self.lanes.values())[-THIN_LANES:]
        ]
        return Timeline(points=points, decisions=list(self.decisions)[-THIN_DECISIONS:], lanes=lanes)

    def news(self) -> Timeline | None:
        """What came since the last call, or None."""
        if not (self._new_points or self._new_decisions or self._changed):
            return None
        points = list(self.points)[len(self.points) - min(self._new_points, len(self.points)) :]
        decisions = list(self.decisions)[len(self.decisions) - min(self._new_decisions, len(self.decisions)) :]
        lanes = [lane for name, lane in self.lanes.items() if name in self._changed]
        self._new_points = self._new_decisions = 0
        self._changed.clear()
        return Timeline(points=points, decisions=decisions, lanes=lanes)


def _flapping(before: str, after: str) -> bool:
    return {before, after} == {"IDLE", "RUNNING"}


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
