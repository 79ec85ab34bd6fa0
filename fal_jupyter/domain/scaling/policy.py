"""Decides how many runners an app should have, and why: one pure function, called after every event.

The rules are fal's where fal documents them ("Scale your application", "Runners"); worked examples
and the choices where fal's documentation is silent are named in the tests (``tests/domain/test_scaling.py``). All times are
integer nanoseconds of one monotonic clock and every expiry is ``now >= since + ttl``, the same expression that
produced ``wake_at``: with floats, rounding once made the two differ, and a runner was never stopped.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from fal_jupyter.domain.durations import SECOND as SECOND
from fal_jupyter.domain.durations import nanoseconds as nanoseconds
from fal_jupyter.domain.runners.runner import READY, STARTING, SUPPLY, State
from fal_jupyter.domain.scaling.reasons import Demand, why_held, why_idle, why_start
from fal_jupyter.domain.spec import UNUSED_AFTER, Scaling

BACKOFF_STEP = 30 * SECOND
BACKOFF_CAP = 600 * SECOND


@dataclass(frozen=True, slots=True)
class RunnerView:
    """A runner as input of the decision. *since* is when it entered its state; *killed*: only its exit is awaited.

    *requested*: its owner started it, by publishing the app or manually. That counts as use: ``keep_alive`` applies from the start
    on, so that a loaded model is not dropped while the notebook's next cell is written. (On fal, publishing starts no runner.)
    """

    id: str
    state: State
    since: int
    in_flight: int = 0
    served: int = 0
    revision: int = 1
    killed: bool = False
    requested: bool = False

    @property
    def is_used(self) -> bool:
        """Whether ``keep_alive`` applies, instead of the shorter limit of an unused runner."""
        return self.requested or self.served > 0


@dataclass(frozen=True, slots=True)
class Observation:
    """The input of the decision.

    Attributes:
        revision: the target revision; runners of others are old, and stop once a new one is ready.
        waiting: when each undispatched request became eligible, ascending (found by binary search).
        failures: consecutive failed starts; *last_failure* is the time of the last one.
        pending_first_runner: runners required regardless of demand: 1 while a publication waits for its first runner.
        blocked_until: no start before this (the machine refused one).
        room: how many more runners the devices of this machine can hold; None if the app needs no device.
        last_no_surplus_at: the last time without a surplus runner. Idle time, and the patience with a starting runner, count
            from there at the earliest: otherwise a buffer runner that no request ever reaches would be stopped in the pause
            between two calls, and started again for the second (a caller that calls in a loop, a buffer of one: one start and
            stop each keep_alive; or one each call, while a process takes longer to come up than a call).
        shutdown: the app has ended; only the grace periods of its runners are checked.
    """

    now: int
    revision: int = 1
    runners: tuple[RunnerView, ...] = ()
    waiting: Sequence[int] = ()
    failures: int = 0
    last_failure: int = 0
    pending_first_runner: int = 0
    blocked_until: int = 0
    room: int | None = None
    last_no_surplus_at: int = 0
    shutdown: bool = False


@dataclass(frozen=True, slots=True)
class Start:
    """Start a new runner; with *backoff* it waits in CRASH_BACKOFF."""

    backoff: bool = False


@dataclass(frozen=True, slots=True)
class Wake:
    """Release a runner from CRASH_BACKOFF."""

    runner_id: str


@dataclass(frozen=True, slots=True)
class Cancel:
    """Drop a runner that has not begun."""

    runner_id: str


@dataclass(frozen=True, slots=True)
class Terminate:
    """Stop a runner that has nothing in flight."""

    runner_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class Drain:
    """Send no new requests to a busy runner, and stop it when it is idle."""

    runner_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class Kill:
    """A runner exceeded its limit: ``startup`` or ``grace``."""

    runner_id: str
    limit: str


Action = Start | Wake | Cancel | Terminate | Drain | Kill


@dataclass(frozen=True, slots=True)
class ScalingDecision:
    """The decision: start up to *desired*, stop down to *keep*, and decide again at *wake_at* (or at the next event).

    *short* is how many runners wait for room on the machine; *surplus* is True if there are more than needed.
    *held* says which runners must end before the first one of the target revision can start, ``""`` if only the machine holds it.
    """

    desired: int
    keep: int
    actions: tuple[Action, ...]
    wake_at: int | None
    reason: str
    short: int = 0
    surplus: bool = False
    held: str = ""


def retry_at(failures: int, last_failure: int) -> int:
    """When the next start may be tried: 30 s more with each consecutive failure, 10 minutes at most (fal, "Runners")."""
    return last_failure + min(BACKOFF_STEP * failures, BACKOFF_CAP)


def target(scaling: Scaling, volume: int, pending_first_runner: int = 0) -> int:
    """Runners needed for *volume* requests (in flight and waiting), within the app's limits."""
    needed = _occupied(scaling, volume) + _buffer(scaling, volume)
    return min(scaling.max_concurrency, max(scaling.min_concurrency, scaling.warm, pending_first_runner, needed))


def _occupied(scaling: Scaling, volume: int) -> int:
    """Runners that *volume* requests occupy."""
    return -(-volume // scaling.max_multiplexing)


def _buffer(scaling: Scaling, volume: int) -> int:
    """Runners that are kept ready in addition to those that *volume* requests occupy."""
    buffer = scaling.concurrency_buffer
    if scaling.concurrency_buffer_perc:
        buffer = max(buffer, -(-scaling.concurrency_buffer_perc * volume // (100 * scaling.max_multiplexing)))
    return buffer


class _DecisionSteps:
    """One run of the decision; the order of the steps matters."""

    def __init__(self, scaling: Scaling, obs: Observation) -> None:
        self.scaling, self.obs, self.now = scaling, obs, obs.now
        self.failures, self.last_failure = obs.failures, obs.last_failure
        self.actions: list[Action] = []
        self.wakes: list[int] = []
        self.reasons: list[str] = []
        ordered = sorted(obs.runners, key=lambda r: r.id)
        self.live = len(ordered)
        self.short = self.in_flight = self.mature = 0
        self.surplus = False
        self.held = ""
        self.runners = [r for r in ordered if not r.killed]
        self.supply = [r for r in self.runners if r.revision == obs.revision and r.state in SUPPLY]

    def run(self) -> ScalingDecision:
        self._timeouts()
        if self.obs.shutdown:
            return self._decision(0, 0)
        alive = any(r.state in READY or r.state in STARTING for r in self.supply)
        delay = nanoseconds(self.scaling.scaling_delay) if alive else 0
        waiting = self.obs.waiting
        due, mature = bisect_right(waiting, self.now), bisect_right(waiting, self.now - delay)
        running = sum(r.in_flight for r in self.supply)
        desired = target(self.scaling, running + mature, self.obs.pending_first_runner)
        keep = target(self.scaling, running + due, self.obs.pending_first_runner)
        self.in_flight, self.mature = running, mature
        self.wakes += [since + delay for since in waiting[mature : mature + 1] if mature < due]
        self.wakes += waiting[due : due + 1]
        self._cancel(keep)
        self._stop_idle(keep)
        self._drain_over_max()
        self._retire_old()
        self._start(desired)
        return self._decision(desired, keep)

    def _decision(self, desired: int, keep: int) -> ScalingDecision:
        later = [wake for wake in self.wakes if wake > self.now]
        reason = "; ".join(self.reasons) or f"{len(self.supply)} of {desired} wanted runners are there"
        return ScalingDecision(
            desired, keep, tuple(self.actions), min(later, default=None), reason, self.short, self.surplus, self.held
        )

    def _timeouts(self) -> None:
        startup = nanoseconds(self.scaling.startup_timeout)
        grace = nanoseconds(self.scaling.termination_grace_period_seconds)
        for runner in self.runners:
            if runner.state is State.SETUP:
                if self.now >= runner.since + startup:
                    self.actions.append(Kill(runner.id, "startup"))
                    self.reasons.append(
                        f"{runner.id} was still in setup() after startup_timeout ({self.scaling.startup_timeout:g} s)"
                    )
                    if runner in self.supply:
                        self.supply.remove(runner)
                        self.failures, self.last_failure = self.failures + 1, self.now
                else:
                    self.wakes.append(runner.since + startup)
            elif runner.state is State.TERMINATING:
                if self.now >= runner.since + grace:
                    self.actions.append(Kill(runner.id, "grace"))
                else:
                    self.wakes.append(runner.since + grace)
            elif runner.state is State.DRAINING and not runner.in_flight:
                self.actions.append(Terminate(runner.id, "its last request is answered"))

    def _cancel(self, keep: int) -> None:
        """Drop runners that have not begun. A starting process has the same time limit as an unused runner: otherwise a buffer runner would
        be dropped in the pause between two calls, and started again for the second, before it can become ready."""
        self._drop(State.CRASH_BACKOFF, keep)
        self._drop(State.PENDING, self.scaling.max_concurrency)
        patience = self.obs.last_no_surplus_at + min(nanoseconds(self.scaling.keep_alive), nanoseconds(UNUSED_AFTER))
        if self.now >= patience:
            self._drop(State.PENDING, keep)
        elif len(self.supply) > keep and any(r.state is State.PENDING for r in self.supply):
            self.wakes.append(patience)

    def _drop(self, state: State, keep: int) -> None:
        slots = sorted((r for r in self.supply if r.state is state), key=lambda r: (-r.since, r.id))
        for runner in slots[: max(0, len(self.supply) - keep)]:
            self.supply.remove(runner)
            self.live -= runner.state is State.CRASH_BACKOFF  # it has no process that has to end
            self.actions.append(Cancel(runner.id))
            self.reasons.append(f"no call needs {runner.id} any more")

    def _stop_idle(self, keep: int) -> None:
        self.surplus = len(self.supply) > keep
        keep_alive = nanoseconds(self.scaling.keep_alive)
        unused = keep_alive
        if not (self.scaling.floor or self.scaling.concurrency_buffer or self.scaling.concurrency_buffer_perc):
            unused = min(keep_alive, nanoseconds(UNUSED_AFTER))
        for runner in sorted((r for r in self.supply if r.state is State.IDLE), key=lambda r: (r.since, r.id)):
            if len(self.supply) <= keep:
                return
            over = len(self.supply) > self.scaling.max_concurrency
            ttl = 0 if over else keep_alive if runner.is_used else unused
            since = runner.since if over else max(runner.since, self.obs.last_no_surplus_at)
            if self.now < since + ttl:
                self.wakes.append(since + ttl)
                continue
            self.supply.remove(runner)
            why = (
                f"over max_concurrency={self.scaling.max_concurrency}"
                if over
                else f"idle for keep_alive={self.scaling.keep_alive:g} s"
                if runner.is_used
                else f"not used within {ttl / SECOND:g} s"
            )
            self.actions.append(Terminate(runner.id, why))
            self.reasons.append(
                f"{runner.id} is over max_concurrency ({self.scaling.max_concurrency})"
                if over
                else why_idle(self.scaling, runner.id)
                if runner.is_used
                else f"{runner.id} was {why}"
            )

    def _drain_over_max(self) -> None:
        busy = sorted((r for r in self.supply if r.state is State.RUNNING), key=lambda r: (r.in_flight, r.id))
        for runner in busy[: max(0, len(self.supply) - self.scaling.max_concurrency)]:
            self.supply.remove(runner)
            why = f"over max_concurrency={self.scaling.max_concurrency}"
            self.actions.append(Drain(runner.id, why))
            self.reasons.append(f"{runner.id} is over max_concurrency ({self.scaling.max_concurrency})")

    def _retire_old(self) -> None:
        old = [r for r in self.runners if r.revision != self.obs.revision and r.state in SUPPLY]
        if any(r.state in READY for r in self.supply):
            why = f"revision {self.obs.revision} took over"
            self.reasons += [why] if old else []
            for runner in old:
                if runner.state in READY:
                    self.actions.append(Drain(runner.id, why) if runner.in_flight else Terminate(runner.id, why))
                else:
                    self.actions.append(Terminate(runner.id, why) if runner.state is State.SETUP else Cancel(runner.id))
        elif (self.live >= self.scaling.max_concurrency or self.obs.room == 0) and not any(
            r.state in STARTING for r in self.supply
        ):  # Without room for one more, the oldest idle one is stopped: max_concurrency=1 never means two copies.
            leaving = any(r.state in (State.TERMINATING, State.DRAINING) for r in self.runners) or self.live > len(
                self.runners
            )
            idle = sorted((r for r in old if r.state is State.IDLE), key=lambda r: (r.since, r.id))
            if idle and not leaving:
                why = f"makes room for revision {self.obs.revision}"
                self.actions.append(Terminate(idle[0].id, why))
                self.reasons.append(f"{idle[0].id} {why}")

    def _start(self, desired: int) -> None:
        slots = sorted((r for r in self.supply if r.state is State.CRASH_BACKOFF), key=lambda r: r.id)
        missing = max(0, min(desired - len(self.supply), self.scaling.max_concurrency - self.live))
        if not slots and not missing:
            if desired and not self.supply:
                self.held = self._why_held()
            return
        if self.now < self.obs.blocked_until:
            self.wakes.append(self.obs.blocked_until)
            return
        if self.obs.room is not None:
            self.short = max(0, len(slots) + missing - self.obs.room)
            slots = slots[: self.obs.room]
            missing = min(missing, self.obs.room - len(slots))
        if not self.failures:
            self.actions += [Wake(r.id) for r in slots]
            self.actions += [Start() for _ in range(missing)]
            self.reasons += [why_start(self.scaling, self._demand())] if missing else []
            return
        again = retry_at(self.failures, self.last_failure)
        probe = self.now >= again and not any(r.state in STARTING for r in self.supply)
        self.wakes.append(again)
        if probe and slots:
            self.actions.append(Wake(slots[0].id))
        self.actions += [Start(backoff=not (probe and not slots and n == 0)) for n in range(missing)]
        failed = "1 start failed" if self.failures == 1 else f"{self.failures} starts in a row failed"
        self.reasons.append(f"{failed}, so one is tried at a time")

    def _why_held(self) -> str:
        """Name the runners of which so many must end that one may start: those that are ending, if they are enough."""
        ends = self.live - self.scaling.max_concurrency + 1
        runners = sorted(self.obs.runners, key=lambda r: r.id)
        leaving = [r.id for r in runners if r.killed or r.state in (State.DRAINING, State.TERMINATING)]
        return why_held(self.scaling, leaving if len(leaving) >= ends else [r.id for r in runners], ends)

    def _demand(self) -> Demand:
        volume = self.in_flight + self.mature
        need, buffer = _occupied(self.scaling, volume), _buffer(self.scaling, volume)
        longest = self.now - self.obs.waiting[0] if self.mature else 0
        pending, revision = self.obs.pending_first_runner, self.obs.revision
        others = any(r.revision != revision for r in self.runners)
        return Demand(
            self.mature, self.in_flight, longest, len(self.supply), need, buffer, pending, revision if others else 0
        )


def decide(scaling: Scaling, obs: Observation) -> ScalingDecision:
    """Decide what an app's runners should do at ``obs.now``, and why. Pure; called after every event and at ``wake_at``."""
    return _DecisionSteps(scaling, obs).run()
