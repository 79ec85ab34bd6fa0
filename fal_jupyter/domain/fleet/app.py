"""One app as the fleet knows it: its revisions, runners and requests."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from fal_jupyter.domain.cancellation import Cancellation
from fal_jupyter.domain.fleet.app_phases import APP_MOVES, AppEvent, AppPhase
from fal_jupyter.domain.requests.request import FleetRequest
from fal_jupyter.domain.requests.wait_queue import WaitQueue
from fal_jupyter.domain.resources.machines import Allotment
from fal_jupyter.domain.runners.runner import READY, STARTING, SUPPLY, Runner, State
from fal_jupyter.domain.scaling.decision_log import DecisionLog, LoggedDecision, direction
from fal_jupyter.domain.scaling.policy import Action, Observation, RunnerView, target
from fal_jupyter.domain.scaling.reasons import what_is_there
from fal_jupyter.domain.scaling.start_backoff import StartBackoff
from fal_jupyter.domain.spec import AppSpec, Scaling

OWNER_GONE_GRACE = 1.0  # seconds; runners end within two seconds after their owner
_LAUNCHING, _UNLOADED = AppPhase.LAUNCHING, AppPhase.UNLOADED
_STOPPING, _ORPHANED = AppPhase.STOPPING, AppPhase.ORPHANED


@dataclass(slots=True)
class FleetApp:
    """A published app. Times are monotonic nanoseconds.

    Attributes:
        lease: the lease whose end ends the app. owner: its owner's display name.
        revision: the target revision; *serving* is the one that answers (0 before the first is ready).
        specs: the spec of each revision that may still serve.
        allotments: the resources of each runner, by revision.
        starved: a runner should start, but no device is free.
        served: number of requests that runners have finished.
        last_no_surplus_at: the last time at which there was no surplus runner.
        wake_at: when the fleet evaluates the app again if no event arrives before.
        cancellations: requests in flight that have to end, by id.
    """

    alias: str
    lease: str
    revision: int
    specs: dict[int, AppSpec]
    allotments: dict[int, Allotment] = field(default_factory=dict)
    owner: str = ""
    phase: AppPhase = _LAUNCHING
    serving: int = 0
    starved: bool = False
    served: int = 0
    last_no_surplus_at: int = 0
    wake_at: int | None = None
    runners: dict[str, Runner] = field(default_factory=dict)
    waiting: WaitQueue = field(default_factory=WaitQueue)
    in_flight: dict[str, FleetRequest] = field(default_factory=dict)
    cancellations: dict[str, Cancellation] = field(default_factory=dict)
    backoff: StartBackoff = field(default_factory=StartBackoff)
    decisions: DecisionLog = field(default_factory=DecisionLog)

    @property
    def spec(self) -> AppSpec:
        """The spec of the target revision."""
        return self.specs[self.revision]

    @property
    def scaling(self) -> Scaling:
        """The scaling in force."""
        return self.specs[self.revision].scaling

    @property
    def rules(self) -> Scaling:
        """The scaling used for decisions: the one in force, except for an unloaded app or one whose owner has ended."""
        rules = self.scaling
        if self.phase is _UNLOADED:
            rules = replace(rules, min_concurrency=0, warm=0, concurrency_buffer=0, concurrency_buffer_perc=0)
        if self.phase is _ORPHANED:
            grace = min(rules.termination_grace_period_seconds, OWNER_GONE_GRACE)
            rules = replace(rules, termination_grace_period_seconds=grace)
        return rules

    @property
    def allotment(self) -> Allotment:
        """The resources of each new runner."""
        return self.allotments.get(self.revision) or Allotment()

    @property
    def is_cold(self) -> bool:
        """True if no runner is ready: a request has to wait for a start."""
        return READY.isdisjoint([runner.state for runner in self.runners.values()])

    @property
    def has_supply(self) -> bool:
        """True where a runner can take a request, now or once it has started; those that are ending cannot."""
        return any(runner.state in SUPPLY and not runner.killed for runner in self.runners.values())

    @property
    def is_launching(self) -> bool:
        """True while a publication waits for its first runner."""
        return self.phase is _LAUNCHING

    @property
    def is_unloaded(self) -> bool:
        """True while the app has no runner because the user unloaded it."""
        return self.phase is _UNLOADED

    @property
    def is_stopping(self) -> bool:
        """True when the app has ended and only waits for its runners to end."""
        return self.phase is _STOPPING or self.phase is _ORPHANED

    @property
    def reason(self) -> str:
        """The latest decision, as a sentence."""
        return self.decisions.reason

    def move(self, event: AppEvent) -> None:
        """Enter the phase that *event* leads to.

        Raises:
            IllegalAppTransition: the event cannot happen in this phase; nothing is changed then.
        """
        self.phase = APP_MOVES[self.phase][event]

    def publish(self, spec: AppSpec, revision: int, allotment: Allotment) -> None:
        """Set the target revision; the serving one stays until the new one is ready."""
        self.specs = {number: s for number, s in self.specs.items() if number == self.serving} | {revision: spec}
        self.allotments = {number: a for number, a in self.allotments.items() if number == self.serving}
        self.allotments[revision] = allotment
        self.revision = revision
        self.move(AppEvent.PUBLISHED)
        self.backoff.revision_published()

    def observe(self, now: int, room: int | None = None) -> Observation:
        """Return the input of :func:`fal_jupyter.domain.scaling.policy.decide`."""
        backoff = self.backoff
        return Observation(
            now=now,
            revision=self.revision,
            runners=tuple(
                RunnerView(r.id, r.state, r.since, r.in_flight, r.served, r.revision, r.killed, r.requested)
                for r in self.runners.values()
            ),
            waiting=self.waiting.arrivals,
            failures=backoff.failures,
            last_failure=backoff.last_failure,
            pending_first_runner=int(self.phase is _LAUNCHING),
            blocked_until=backoff.blocked_until,
            room=room,
            last_no_surplus_at=self.last_no_surplus_at,
            shutdown=self.is_stopping,
        )

    def is_settled(self, now: int) -> bool:
        """True when one more free slot, or one request less, requires no action except a later check of idle runners."""
        if self.waiting.arrivals or self.serving != self.revision or self.backoff.failures or self.phase is _LAUNCHING:
            return False
        for runner in self.runners.values():
            if runner.state not in READY or runner.revision != self.revision:
                return False
        rules, supply = self.specs[self.revision].scaling, len(self.runners)
        desired = target(rules, len(self.in_flight))
        if supply <= desired:
            self.last_no_surplus_at = now
        return desired <= supply <= rules.max_concurrency

    def cannot_start(self, now: int) -> bool:
        """True while starts fail, the next attempt is not due, and no runner is ready or starting."""
        return self.backoff.is_blocking(now) and not any(
            r.state in READY or r.state in STARTING for r in self.runners.values()
        )

    def ahead_of(self, request_id: str) -> int:
        """How many requests are dispatched before that one, 0 if it does not wait."""
        request = self.waiting.get(request_id)
        if request is None:
            return 0
        before = itertools.takewhile(lambda r: r is not request, self.waiting.values())
        same = sum(r.low == request.low for r in before)
        return same + (sum(not r.low for r in self.waiting.values()) if request.low else 0)

    def seen(self) -> str:
        """A short description of the current state: requests, then runners by state."""
        states = Counter(str(runner.state) for runner in self.runners.values())
        return what_is_there(len(self.waiting), len(self.in_flight), states)

    def supply(self) -> int:
        """How many runners run or start."""
        return sum(r.state in SUPPLY and not r.killed for r in self.runners.values())

    def remember(self, now: int, reason: str, kind: str = "note", change: int = 0) -> None:
        """Log a decision; *change* is how many runners it adds or, negative, ends."""
        there = self.supply()
        self.decisions.add(LoggedDecision(now, self.seen(), reason, kind, there, max(0, there + change)))

    def remember_actions(self, now: int, reason: str, actions: Sequence[Action]) -> None:
        """Log a decision that changes the number of runners."""
        kind, change = direction(actions)
        self.remember(now, reason, kind, change)

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
        assert self.cancellations.keys() <= self.in_flight.keys()
        assert not self.is_stopping or not self.waiting
