"""One app as the fleet knows it: its revisions, runners and requests, and who gets the next request."""

from __future__ import annotations

import itertools
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from fal_jupyter.domain.cancellation import Cancellation
from fal_jupyter.domain.requests.request import FleetRequest
from fal_jupyter.domain.requests.wait_queue import WaitQueue
from fal_jupyter.domain.resources.machines import Allotment
from fal_jupyter.domain.runners.runner import READY, STARTING, SUPPLY, Runner, State
from fal_jupyter.domain.scaling.policy import (
    SECOND,
    Action,
    Cancel,
    Drain,
    Observation,
    RunnerView,
    Start,
    Terminate,
    Wake,
    nanoseconds,
    retry_at,
    target,
)
from fal_jupyter.domain.scaling.reasons import what_is_there
from fal_jupyter.domain.spec import AppSpec, Scaling

REMEMBERED_DECISIONS = 50
DEATHS_OPEN_THE_CIRCUIT = 5  # deaths while serving within DEATH_WINDOW (reliability row 8)
DEATH_WINDOW = nanoseconds(60)
LOST_STARTS = 3  # in a row that were lost with their template and are made up for, before they count as failed
OWNER_GONE_GRACE = SECOND  # runners of a dead owner are gone within two seconds


@dataclass(frozen=True, slots=True)
class Decided:
    """One decision: when (monotonic nanoseconds), what was there, and what was done by which rule.

    *kind* is ``up``, ``down``, ``retry`` or ``note``; *before* and *after* count the runners that are there or on their way.
    """

    at: int
    seen: str
    reason: str
    kind: str = "note"
    before: int = 0
    after: int = 0


@dataclass(slots=True)
class FleetApp:
    """A published app.

    Attributes:
        revision: the one wanted; *serving* the one that answers (0 before the first is ready).
        specs: the spec of each revision that may still serve.
        hold: 1 while a publication waits for its first runner, so that demand alone does not cancel it.
        over: stopped, or its owner is gone; only its runners' ends are awaited.
        allotments: what each runner of a revision gets. owner: what people call whom it belongs to.
        starved: it would start a runner and no device is free.
        last_no_surplus_at: when no runner was more than wanted, last (monotonic nanoseconds).
        unloaded: the user unloaded it: no runner until the next request.
        owner_gone: its owner is gone; nobody waits for its runners' grace.
        endings: requests in flight whose end is wanted.
        undrawn: decisions for the timeline to take.
    """

    alias: str
    lease: str
    revision: int
    specs: dict[int, AppSpec]
    allotments: dict[int, Allotment] = field(default_factory=dict)
    owner: str = ""
    starved: bool = False
    serving: int = 0
    pending_first_runner: int = 1
    over: bool = False
    failures: int = 0
    last_failure: int = 0
    blocked_until: int = 0
    lost: int = 0
    lost_at: int = 0
    last_no_surplus_at: int = 0
    unloaded: bool = False
    owner_gone: bool = False
    served: int = 0
    reason: str = ""
    wake_at: int | None = None
    runners: dict[str, Runner] = field(default_factory=dict)
    waiting: WaitQueue = field(default_factory=WaitQueue)
    in_flight: dict[str, FleetRequest] = field(default_factory=dict)
    endings: dict[str, Cancellation] = field(default_factory=dict)
    deaths: deque[int] = field(default_factory=deque)
    undrawn: deque[Decided] = field(default_factory=lambda: deque(maxlen=REMEMBERED_DECISIONS))
    decisions: deque[Decided] = field(default_factory=lambda: deque(maxlen=REMEMBERED_DECISIONS))

    @property
    def spec(self) -> AppSpec:
        """The spec of the wanted revision."""
        return self.specs[self.revision]

    @property
    def scaling(self) -> Scaling:
        """The scaling in force."""
        return self.specs[self.revision].scaling

    @property
    def rules(self) -> Scaling:
        """The scaling that decides now: what is in force, but for an app that sleeps or whose owner is gone."""
        rules = self.scaling
        if self.unloaded:
            rules = replace(rules, min_concurrency=0, warm=0, concurrency_buffer=0, concurrency_buffer_perc=0)
        if self.owner_gone:
            grace = min(rules.termination_grace_period_seconds, OWNER_GONE_GRACE / SECOND)
            rules = replace(rules, termination_grace_period_seconds=grace)
        return rules

    @property
    def allotment(self) -> Allotment:
        """What each new runner gets."""
        return self.allotments.get(self.revision) or Allotment()

    @property
    def is_cold(self) -> bool:
        """True where no runner is ready: a request has to wait for one's start."""
        return all(runner.state not in READY for runner in self.runners.values())

    def observe(self, now: int, room: int | None = None) -> Observation:
        """Give what :func:`fal_jupyter.domain.scaling.policy.decide` wants to see."""
        return Observation(
            now=now,
            revision=self.revision,
            runners=tuple(
                RunnerView(r.id, r.state, r.since, r.in_flight, r.served, r.revision, r.killed)
                for r in self.runners.values()
            ),
            waiting=self.waiting.arrivals,
            failures=self.failures,
            last_failure=self.last_failure,
            pending_first_runner=self.pending_first_runner,
            blocked_until=self.blocked_until,
            room=room,
            last_no_surplus_at=self.last_no_surplus_at,
            shutdown=self.over,
        )

    def settled(self, now: int) -> bool:
        """True when a free slot more, or a request less, cannot call for any action but a later look at idle runners."""
        if self.waiting or self.serving != self.revision or self.failures or self.pending_first_runner:
            return False
        for runner in self.runners.values():
            if runner.state not in READY or runner.revision != self.revision:
                return False
        rules, supply = self.scaling, len(self.runners)
        wanted = target(rules, len(self.in_flight))
        if supply <= wanted:
            self.last_no_surplus_at = now
        return wanted <= supply <= rules.max_concurrency

    def pick(self, hint: str = "") -> Runner | None:
        """Give the runner that takes the next request, or None when no slot is free.

        One that has said of itself what the request's *hint* says comes first (fal: "Optimize Routing Behavior"). Among as
        many of the most recently used as demand calls for, the one with fewest in flight: surplus runners stay untouched and
        age out.
        """
        if self.serving not in self.specs:
            return None
        slots = self.specs[self.serving].scaling.max_multiplexing  # as many as its own source says, not a newer one's
        if len(self.runners) == 1:  # as nearly always
            (only,) = self.runners.values()
            open_to_it = only.revision == self.serving and only.state in READY and len(only.requests) < slots
            return only if open_to_it else None
        ready = [r for r in self.runners.values() if r.revision == self.serving and r.state in READY]
        free = [r for r in ready if len(r.requests) < slots]
        if len(free) < 2:
            return free[0] if free else None
        if hint and (matching := [r for r in free if hint in r.hints]):
            return min(matching, key=lambda r: (len(r.requests), -r.used))
        ready.sort(key=lambda r: r.used, reverse=True)
        kept = ready[: max(1, target(self.scaling, len(self.in_flight) + len(self.waiting) + 1))]
        return min(
            (r for r in kept if len(r.requests) < slots), key=lambda r: (len(r.requests), -r.used), default=free[0]
        )

    def failing(self, now: int) -> bool:
        """True while starts fail, the next try is not due, and nothing is ready or starting."""
        return (
            bool(self.failures)
            and now < retry_at(self.failures, self.last_failure)
            and not any(r.state in READY or r.state in STARTING for r in self.runners.values())
        )

    def max_wait(self) -> int:
        """The longest a request waits for a runner: one start and one whole request before it."""
        return nanoseconds(self.scaling.startup_timeout) + nanoseconds(self.scaling.request_timeout)

    def waited_too_long(self, now: int) -> list[tuple[FleetRequest, int, str, str]]:
        """Give the requests that must not wait any longer, each with the status, the type and the sentence of its answer."""
        late = self.waiting.late(now)
        found = [(r, 504, "request_timeout", _not_started(r)) for r in late]
        told = f"no runner of {self.alias} was free within {self.max_wait() // SECOND} s"
        for request in self.waiting.arrived_by(now - self.max_wait()):
            if not 0 < request.start_by <= now:
                found.append((request, 503, "runner_scheduling_failure", told))
        return found

    def next_waiting(self) -> str:
        """The id of the request that is dispatched next: the first of normal priority, else the first."""
        return self.waiting.next.id

    def ahead_of(self, request_id: str) -> int:
        """How many requests are dispatched before that one, 0 where it does not wait."""
        request = self.waiting.get(request_id)
        if request is None:
            return 0
        before = itertools.takewhile(lambda r: r is not request, self.waiting.values())
        same = sum(r.low == request.low for r in before)
        return same + (sum(not r.low for r in self.waiting.values()) if request.low else 0)

    def deadline(self) -> int | None:
        """The earliest moment at which a request's own limit passes (requests are kept in order of arrival and dispatch),
        or a runner is asked for a sign of life or for its health."""
        limits = []
        for request in self.in_flight.values():
            if not request.long_lived and request.id not in self.endings:
                limits.append(request.dispatched + nanoseconds(self.scaling.request_timeout))
                break
        if (first := self.waiting.first_caller) is not None:
            limits.append(first.arrived + self.max_wait())
        if self.waiting.start_by:
            limits.append(self.waiting.start_by)
        for runner in self.runners.values():
            if runner.ping_at:
                limits.append(runner.ping_at)
            if runner.health is not None and runner.health.due:
                limits.append(runner.health.due)
        limits += [ending.at for ending in self.endings.values() if ending.at is not None]
        return min(limits, default=None)

    def remember(self, now: int, reason: str, kind: str = "note", moved: int = 0) -> None:
        """Keep a decision's sentence, and what it was made on; *moved* is how many runners come (or, negative, go) by it."""
        self.reason = reason
        there = sum(r.state in SUPPLY and not r.killed for r in self.runners.values())
        decided = Decided(now, self.seen(), reason, kind, there, max(0, there + moved))
        self.decisions.append(decided)
        self.undrawn.append(decided)

    def remember_actions(self, now: int, reason: str, actions: Sequence[Action]) -> None:
        """Keep a decision that changes the number of runners."""
        started = sum(isinstance(action, Start) for action in actions)
        ended = sum(isinstance(action, Cancel | Terminate | Drain) for action in actions)
        again = any(isinstance(action, Wake) for action in actions)
        kind = "up" if started > ended else "down" if ended > started else "retry" if again else "note"
        self.remember(now, reason, kind, started - ended)

    def seen(self) -> str:
        """What there is now, in a few words: requests, then runners by state."""
        states = Counter(str(runner.state) for runner in self.runners.values())
        return what_is_there(len(self.waiting), len(self.in_flight), states)

    def lost_a_start(self, now: int) -> bool:
        """Count a start that was lost with its template, those of one moment as one; False where there were too many in a row."""
        if now > self.lost_at + SECOND:
            self.lost, self.lost_at = self.lost + 1, now
        return self.lost <= LOST_STARTS

    def died(self, now: int) -> None:
        """Count a death while serving; too many in a minute and starts are tried one at a time, as after failed ones."""
        self.deaths.append(now)
        while now > self.deaths[0] + DEATH_WINDOW:
            self.deaths.popleft()
        if len(self.deaths) >= DEATHS_OPEN_THE_CIRCUIT:
            self.failures, self.last_failure = max(1, self.failures), now

    def check(self) -> None:
        """Assert what must hold between two events."""
        in_flight: set[str] = set()
        for runner in self.runners.values():
            spec = self.specs.get(runner.revision)
            assert spec is None or len(runner.requests) <= spec.scaling.max_multiplexing
            assert not in_flight & runner.requests
            in_flight |= runner.requests
            assert runner.state is not State.IDLE or not runner.requests
            assert runner.state is not State.RUNNING or runner.requests
        assert in_flight == set(self.in_flight)
        self.waiting.check()
        assert not self.waiting.keys() & self.in_flight.keys()
        assert not self.over or not self.waiting


def _not_started(request: FleetRequest) -> str:
    seconds = (request.start_by - request.arrived) / SECOND
    limit = "the caller's limit" if request.hurried else "request_start_timeout"
    return f"Request timed out: no runner had it within {seconds:g} s ({limit})"
