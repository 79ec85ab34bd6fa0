"""The brain: events in, commands out. It composes scaling, revisions of apps and states of requests, and has no clock.

``handle(event, now)`` may be called with any event at any time; what is about a thing that is no more is ignored, so
that a late message of a dead runner never does harm. Two paths are hot, a request that finds a free slot and one
that is answered: neither runs the whole decision unless something could come of it.
"""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from fal_jupyter.domain import events as m
from fal_jupyter.domain.cancellation import Cancellation, How
from fal_jupyter.domain.fleet.app import FleetApp
from fal_jupyter.domain.fleet.liveness import PING_EVERY, Liveness
from fal_jupyter.domain.fleet.timers import Timers
from fal_jupyter.domain.requests.request import MAX_WAITING, FleetRequest
from fal_jupyter.domain.resources.placement import Placement
from fal_jupyter.domain.runners.runner import MOVES_KEPT, READY, STARTING, Moved, Runner, State
from fal_jupyter.domain.scaling import policy
from fal_jupyter.domain.scaling.policy import SECOND, nanoseconds, retry_at

REFUSED_RETRY = 20 * SECOND  # "no hardware" waits a fixed 20 s and does not escalate (fal, "Runners")


class Fleet(Liveness):
    """All apps of one gateway."""

    def __init__(self) -> None:
        self.apps: dict[str, FleetApp] = {}
        self._leaving: list[FleetApp] = []
        self.moved: deque[Moved] = deque(maxlen=MOVES_KEPT)  # for the timelines to take
        self._runners: dict[str, FleetApp] = {}
        self._requests: dict[str, FleetApp] = {}
        self._started: Counter[str] = (
            Counter()
        )  # runners of each alias so far: a number is given once, also when the app is published again
        self._placement = Placement()
        self._freed = False
        self._timers = Timers()
        self._commands: list[m.FleetCommand] = []
        self._handlers: dict[type, Callable[[Any, int], None]] = {
            m.AppPublished: self._published,
            m.AppScaled: self._scaled,
            m.AppAdopted: self._adopted,
            m.AppStopped: self._stopped,
            m.AppUnloaded: self._unloaded,
            m.LeaseEnded: self._lease_ended,
            m.RequestArrived: self._arrived,
            m.RequestAborted: self._aborted,
            m.RequestFinished: self._finished,
            m.RunnerSpawned: self._spawned,
            m.RunnerReady: self._ready,
            m.RunnerFailed: self._failed,
            m.RunnerExited: self._exited,
            m.StartRefused: self._refused,
            m.DeviceFreed: self._device_freed,
            m.RunnerStopAsked: self._stop_asked,
            m.RunnerAnswered: self._answered,
            m.RunnerHinted: self._hinted,
            m.RunnerCheckAsked: self._check_asked,
            m.RunnerChecked: self._checked,
            m.TimerFired: self._woke,
        }

    def handle(self, event: m.FleetEvent, now: int) -> list[m.FleetCommand]:
        """Take one event in; give the commands that follow, to be carried out in this command.

        Args:
            event: what happened.
            now: the monotonic clock in nanoseconds, never less than in an earlier call.
        """
        self._commands = []
        self._handlers[type(event)](event, now)
        while self._freed:
            self._freed = False
            for app in [app for app in self.apps.values() if app.starved]:
                self._decide(app, now)
        return self._commands

    @property
    def wake_at(self) -> int | None:
        """When to hand in :class:`Woke` if nothing happens before; may be early, is never late."""
        return self._timers.earliest

    def all_apps(self) -> Iterator[FleetApp]:
        """Every app, those that are ending too."""
        yield from self.apps.values()
        yield from self._leaving

    def runner(self, runner_id: str) -> Runner | None:
        """The runner's record, or None when it is no more."""
        app = self._runners.get(runner_id)
        return app.runners[runner_id] if app else None

    def held_elsewhere(self, device: str, now: int) -> str:
        """Which other gateway holds the device, as far as is known, or ``""``."""
        return self._placement.why_out_of_reach(device, now)

    def check(self) -> None:
        """Assert the invariants; tests call it after every event."""
        for app in self.all_apps():
            app.check()
        assert {r for app in self.all_apps() for r in app.runners} == set(self._runners)
        self._placement.check(set(self._runners))
        wakes = [app.wake_at for app in self.all_apps() if app.wake_at is not None]
        assert self.wake_at == min(wakes, default=None)
        requests = {r for app in self.all_apps() for r in (*app.waiting, *app.in_flight)}
        assert requests == set(self._requests)

    # --- apps ---------------------------------------------------------------------------------------------------
    def _published(self, event: m.AppPublished, now: int) -> None:
        app = self.apps.get(event.alias)
        if app is None:
            app = FleetApp(event.alias, event.lease, event.revision, {event.revision: event.spec}, owner=event.owner)
            self.apps[event.alias] = app
        else:
            serving = app.serving
            app.specs = {r: s for r, s in app.specs.items() if r == serving} | {event.revision: event.spec}
            app.allotments = {r: a for r, a in app.allotments.items() if r == serving}
            app.lease, app.owner, app.revision, app.pending_first_runner, app.unloaded = (
                event.lease,
                event.owner,
                event.revision,
                1,
                False,
            )
            app.failures = app.blocked_until = app.lost = 0  # a corrected typo does not wait 30 s
            for runner in list(app.runners.values()):
                if runner.revision not in (serving, event.revision) and not runner.killed:
                    self._end_unready(app, runner, f"revision {event.revision} was published", now)
        app.allotments[event.revision] = event.allotment
        self._decide(app, now)

    def _end_unready(self, app: FleetApp, runner: Runner, why: str, now: int) -> None:
        if runner.state is State.CRASH_BACKOFF:
            self._drop(app, runner, now)
        elif runner.state in STARTING:
            self._kill(runner, why, now)

    def _scaled(self, event: m.AppScaled, now: int) -> None:
        app = self.apps.get(event.alias)
        if app is not None:
            app.specs = {r: replace(spec, scaling=event.scaling) for r, spec in app.specs.items()}
            app.unloaded = False
            self._dispatch_waiting(app, now)
            self._decide(app, now)

    def _adopted(self, event: m.AppAdopted, now: int) -> None:
        app = self.apps.get(event.alias)
        if app is not None:
            app.lease, app.owner = event.lease, event.owner

    def _stopped(self, event: m.AppStopped, now: int) -> None:
        app = self.apps.get(event.alias)
        if app is not None:
            self._end_app(app, "the app was stopped", now, kill=event.kill)

    def _unloaded(self, event: m.AppUnloaded, now: int) -> None:
        app = self.apps.get(event.alias)
        if app is None:
            return
        app.unloaded, app.pending_first_runner, why = (
            True,
            0,
            "the user unloaded the app; the next request starts a runner",
        )
        app.remember(now, why, "down", -sum(r.state in (State.IDLE, State.RUNNING) for r in app.runners.values()))
        for runner in list(app.runners.values()):
            if runner.state is State.IDLE:
                self._stop(runner, why, now)
            elif runner.state is State.RUNNING:
                self._drain(app, runner, now)
            elif not app.waiting:
                self._end_unready(app, runner, why, now)
        self._decide(app, now)

    def _lease_ended(self, event: m.LeaseEnded, now: int) -> None:
        for app in [app for app in self.apps.values() if app.lease == event.lease]:
            self._end_app(app, "the notebook or program that owned the app has ended", now, kill=False, owner_gone=True)
        for app in [app for app in self._leaving if app.lease == event.lease]:
            app.owner_gone = True  # it was being stopped in command, for which nobody waits any more
            self._decide(app, now)

    def _end_app(self, app: FleetApp, why: str, now: int, *, kill: bool, owner_gone: bool = False) -> None:
        del self.apps[app.alias]
        self._leaving.append(app)
        app.over, app.pending_first_runner, app.owner_gone = True, 0, owner_gone
        for request in list(app.waiting.values()):
            self._fail_request(app, request, 503, "runner_scheduling_failure", why)
        for runner in list(app.runners.values()):
            if runner.state is State.CRASH_BACKOFF:
                self._drop(app, runner, now)
            elif kill or runner.state is State.PENDING:
                self._kill(runner, why, now)
            elif runner.state is not State.TERMINATING:
                self._stop(runner, why, now)
        self._decide(app, now)

    # --- requests -----------------------------------------------------------------------------------------------
    def _arrived(self, event: m.RequestArrived, now: int) -> None:
        app = self.apps.get(event.alias)
        if app is None:
            self._commands.append(
                m.FailRequest(event.request_id, 503, "runner_scheduling_failure", "the app was stopped")
            )
            return
        app.unloaded = False
        runner = app.pick(event.hint)
        if runner is not None:
            request = FleetRequest.of(event, app.scaling.request_start_timeout, now)
            self._requests[request.id] = app
            self._dispatch(app, request, runner, now)
            if not app.settled(now):
                self._decide(app, now)
            return
        if app.failing(now):
            again = retry_at(app.failures, app.last_failure) - now
            detail = f"{app.alias} cannot start: {app.reason}; the next attempt is in {_seconds(again)} s"
            self._commands.append(
                m.FailRequest(event.request_id, 503, "runner_scheduling_failure", detail, _seconds(again))
            )
            return
        if len(app.waiting) >= MAX_WAITING and not event.queued:
            detail = f"{len(app.waiting)} requests wait for {app.alias} already"
            self._commands.append(m.FailRequest(event.request_id, 503, "runner_scheduling_failure", detail, 1))
            return
        request = FleetRequest.of(event, app.scaling.request_start_timeout, now)
        self._requests[request.id] = app
        app.waiting[request.id] = request
        self._decide(app, now)

    def _dispatch(self, app: FleetApp, request: FleetRequest, runner: Runner, now: int) -> None:
        request.runner_id, request.dispatched = runner.id, now
        app.in_flight[request.id] = request
        if not runner.requests:
            runner.enter(State.RUNNING, now)
        runner.requests.add(request.id)
        runner.served += 1
        runner.used = now
        if len(runner.requests) == 2 and not runner.ping_at:
            runner.ping_at = now + PING_EVERY
            self._wake_by(app, runner.ping_at)
        if len(app.in_flight) == 1:
            self._wake_by(app, now + nanoseconds(app.scaling.request_timeout))
        self._commands.append(m.DispatchRequest(request.id, runner.id))

    def _dispatch_waiting(self, app: FleetApp, now: int) -> None:
        while app.waiting:
            request = app.waiting[app.next_waiting()]
            if (runner := app.pick(request.hint)) is None:
                return
            del app.waiting[request.id]
            self._dispatch(app, request, runner, now)

    def _aborted(self, event: m.RequestAborted, now: int) -> None:
        app = self._requests.get(event.request_id)
        if app is None:
            return
        request = app.in_flight.get(event.request_id)
        if request is None:
            del app.waiting[event.request_id], self._requests[event.request_id]
            self._decide(app, now)
        elif event.insist and request.id not in app.endings:
            self._end_request(app, request, "force" if event.force else "tell", "was cancelled", now)
        elif not request.aborted:
            request.aborted = True
            self._commands.append(m.CancelRequest(request.id, request.runner_id))

    def _end_request(self, app: FleetApp, request: FleetRequest, how: How, why: str, now: int) -> None:
        """Begin to end a request that is with its runner."""
        request.aborted = True
        app.endings[request.id] = Cancellation.begin(how, why, now)
        self._commands.append(m.CancelRequest(request.id, request.runner_id, how))
        self._timers.set(app, min(at for at in (app.wake_at, app.deadline()) if at is not None))

    def _press(self, app: FleetApp, now: int) -> None:
        """Take the next step with requests that do not end."""
        for request_id, ending in list(app.endings.items()):
            if ending.is_due(now):
                request = app.in_flight[request_id]
                if ending.step(now):
                    self._commands.append(m.CancelRequest(request_id, request.runner_id, "force"))
                else:
                    self._replace_stuck(app, app.runners[request.runner_id], now)

    def _replace_stuck(self, app: FleetApp, runner: Runner, now: int) -> None:
        """End a runner with a request that will not end, as soon as no other request needs it."""
        wanted = [app.endings[request_id] for request_id in sorted(runner.requests & app.endings.keys())]
        overdue = [ending.why for ending in wanted if ending.at is None]
        if not overdue or runner.killed:
            return
        if runner.requests <= app.endings.keys():
            self._kill(runner, f"a request that {overdue[0]} did not end", now, stacks=True)
        elif runner.state is State.RUNNING:
            self._drain(app, runner, now)

    def _finished(self, event: m.RequestFinished, now: int) -> None:
        app = self._requests.pop(event.request_id, None)
        request = app.in_flight.pop(event.request_id, None) if app else None
        if app is None or request is None:
            return
        app.served += 1
        app.endings.pop(request.id, None)
        runner = app.runners[request.runner_id]
        runner.requests.discard(request.id)
        if app.endings:
            self._replace_stuck(app, runner, now)
        if event.replace and runner.state is State.RUNNING:
            self._drain(app, runner, now)
        elif runner.state is State.RUNNING and not runner.requests:
            runner.enter(State.IDLE, now)
        if app.waiting:
            self._dispatch_waiting(app, now)
        if runner.state in READY and app.settled(now):
            if runner.state is State.IDLE:
                self._wake_by(app, now + nanoseconds(app.scaling.keep_alive))
        else:
            self._decide(app, now)

    def _fail_request(
        self, app: FleetApp, request: FleetRequest, status: int, error_type: str, detail: str, retry_after: int = 0
    ) -> None:
        app.waiting.pop(request.id, None)
        app.in_flight.pop(request.id, None)
        app.endings.pop(request.id, None)
        self._requests.pop(request.id, None)
        if request.runner_id:
            app.runners[request.runner_id].requests.discard(request.id)
        by_caller = request.hurried and error_type == "request_timeout"
        self._commands.append(m.FailRequest(request.id, status, error_type, detail, retry_after, by_caller))

    # --- runners ------------------------------------------------------------------------------------------------
    def _spawned(self, event: m.RunnerSpawned, now: int) -> None:
        app = self._runners.get(event.runner_id)
        if app is None:
            return
        runner = app.runners[event.runner_id]
        if runner.state is State.PENDING:
            runner.move(State.SETUP, now)
            self._decide(app, now)

    def _ready(self, event: m.RunnerReady, now: int) -> None:
        app = self._runners.get(event.runner_id)
        if app is None:
            return
        runner = app.runners[event.runner_id]
        if runner.state is not State.SETUP:
            return
        runner.move(State.IDLE, now)
        runner.used = now
        self._begin_checks(app, runner, now)
        if runner.revision == app.revision:
            app.failures = app.pending_first_runner = app.lost = 0
            if app.serving != app.revision:
                app.serving = app.revision
                app.specs = {app.revision: app.spec}
                self._commands.append(m.AnnounceRevision(app.alias, app.revision))
        self._dispatch_waiting(app, now)
        self._decide(app, now)

    def _failed(self, event: m.RunnerFailed, now: int) -> None:
        app = self._runners.get(event.runner_id)
        if app is None:
            return
        runner = app.runners[event.runner_id]
        if runner.state in STARTING:
            runner.failed = True
            runner.move(State.TERMINATING, now)
            self._start_failed(app, runner, event.error, now)
            self._decide(app, now)

    def _start_failed(
        self,
        app: FleetApp,
        runner: Runner,
        error: str,
        now: int,
        *,
        status: int = 503,
        kind: str = "runner_scheduling_failure",
    ) -> None:
        """Count a failed start: fall back to the revision that serves, or back off and tell whoever waits."""
        if app.over or runner.revision != app.revision:
            return
        app.pending_first_runner = 0
        if app.serving not in (0, app.revision):
            failed, app.revision = app.revision, app.serving
            app.specs.pop(failed, None)
            app.failures = 0
            app.remember(now, f"revision {failed} did not start, revision {app.serving} serves on")
            self._commands.append(m.AnnounceFailure(app.alias, failed, runner.id, error, -1))
            for other in list(app.runners.values()):
                if other.revision == failed:
                    self._end_unready(app, other, f"revision {failed} failed", now)
            return
        app.failures, app.last_failure = app.failures + 1, now
        wait = retry_at(app.failures, now) - now
        name = error.partition(":")[0]
        app.remember(now, f"its last start failed ({name})", "retry")
        self._commands.append(m.AnnounceFailure(app.alias, runner.revision, runner.id, error, wait / SECOND))
        if any(r.state in READY for r in app.runners.values()):
            return
        detail = f"{app.alias} could not start ({name}); the next attempt is in {_seconds(wait)} s"
        for request in list(app.waiting.values()):
            self._fail_request(app, request, status, kind, detail, _seconds(wait))

    def _exited(self, event: m.RunnerExited, now: int) -> None:
        app = self._runners.get(event.runner_id)
        if app is None:
            return
        runner = app.runners[event.runner_id]
        state = runner.state
        for request_id in sorted(runner.requests):
            detail = f"the runner ended while it had this request ({event.reason})"
            self._fail_request(app, app.in_flight[request_id], 503, "runner_disconnected", detail)
        self._drop(app, runner, now)
        if state in STARTING and event.lost and app.lost_a_start(now):
            app.remember(now, f"{runner.id} {event.reason}; another is started")
        elif state in STARTING:
            self._start_failed(app, runner, f"the runner ended before it was ready: {event.reason}", now)
        elif state in READY and not app.over:
            app.remember(now, f"{runner.id} {event.reason}")
            app.died(now)
        self._decide(app, now)

    def _refused(self, event: m.StartRefused, now: int) -> None:
        app = self._runners.get(event.runner_id)
        if app is None:
            return
        self._drop(app, app.runners[event.runner_id], now)
        if event.taken:  # somebody else's: others may be free, and nothing of the app has failed
            for device in event.taken:
                self._placement.out_of_reach(device, now + REFUSED_RETRY, event.reason)
            self._decide(app, now)
            return
        app.blocked_until = now + REFUSED_RETRY
        app.remember(now, f"the machine could not start a runner ({event.reason})")
        if app.pending_first_runner:
            self._commands.append(
                m.AnnounceFailure(app.alias, app.revision, event.runner_id, event.reason, REFUSED_RETRY / SECOND)
            )
        for request in list(app.waiting.values()):
            if now >= request.arrived + REFUSED_RETRY:
                self._fail_request(app, request, 503, "runner_scheduling_failure", app.reason, 20)
        self._decide(app, now)

    def _device_freed(self, event: m.DeviceFreed, now: int) -> None:
        self._placement.in_reach(event.device)
        self._freed = True

    def _stop_asked(self, event: m.RunnerStopAsked, now: int) -> None:
        app = self._runners.get(event.runner_id)
        if app is None:
            return
        runner = app.runners[event.runner_id]
        if runner.state is State.CRASH_BACKOFF:
            self._drop(app, runner, now)
        elif event.kill or runner.state is State.PENDING:
            self._kill(runner, "the user killed it", now)
        elif runner.state is not State.TERMINATING:
            self._stop(runner, "the user stopped it", now)
        self._decide(app, now)

    def _stop(self, runner: Runner, why: str, now: int) -> None:
        runner.move(State.TERMINATING, now)
        self._commands.append(m.StopRunner(runner.id, why))

    def _kill(self, runner: Runner, why: str, now: int, *, stacks: bool = False) -> None:
        if runner.killed:
            return
        if runner.state is not State.TERMINATING:
            runner.move(State.TERMINATING, now)
        runner.killed = True
        self._commands.append(m.KillRunner(runner.id, why, stacks))

    def _drop(self, app: FleetApp, runner: Runner, now: int) -> None:
        runner.gone(now)
        del app.runners[runner.id], self._runners[runner.id]
        self._freed = self._placement.release(runner.id) or self._freed

    # --- time and scaling ---------------------------------------------------------------------------------------
    def _woke(self, event: m.TimerFired, now: int) -> None:
        for app in [*self.apps.values(), *self._leaving]:
            if app.wake_at is not None and now >= app.wake_at:
                self._expire_requests(app, now)
                self._press(app, now)
                self._ping(app, now)
                self._check_health(app, now)
                self._decide(app, now)

    def _expire_requests(self, app: FleetApp, now: int) -> None:
        limit = app.scaling.request_timeout
        for request in list(app.in_flight.values()):
            if request.long_lived or request.id in app.endings:
                continue
            if now < request.dispatched + nanoseconds(limit):
                break
            detail = f"the request ran longer than request_timeout ({limit:g} s)"
            self._commands.append(m.AnswerRequest(request.id, 504, "request_timeout", detail))
            self._end_request(app, request, "tell", f"outlived request_timeout ({limit:g} s)", now)
        for request, status, kind, detail in app.waited_too_long(now):
            self._fail_request(app, request, status, kind, detail)

    def _wake_by(self, app: FleetApp, at: int) -> None:
        if app.wake_at is None or at < app.wake_at:
            self._timers.set(app, at)

    def _decide(self, app: FleetApp, now: int) -> None:
        rules = app.rules
        decision = policy.decide(rules, app.observe(now, self._placement.room(app.allotment, now)))
        if not decision.surplus:
            app.last_no_surplus_at = now
        if decision.actions:
            app.remember_actions(now, decision.reason, decision.actions)
        for action in decision.actions:
            self._act(app, action, now)
        look_again = self._starve(app, now) if decision.short else None
        app.starved = decision.short > 0
        wakes = [wake for wake in (decision.wake_at, app.deadline(), look_again) if wake is not None]
        self._timers.set(app, min(wakes, default=None))
        if any(isinstance(action, policy.Kill | policy.Cancel) for action in decision.actions):
            # a failed start changes back-off and what may wait
            again = policy.decide(rules, app.observe(now, self._placement.room(app.allotment, now)))
            self._timers.set(app, min([w for w in (again.wake_at, app.deadline()) if w is not None], default=None))
        if app.over and not app.runners:
            self._leaving.remove(app)
            self._timers.set(app, None)
            self._commands.append(m.ForgetApp(app.alias))

    def _starve(self, app: FleetApp, now: int) -> int | None:
        """Say who holds the devices that the app waits for; gives when to look again."""
        reason = f"waits for a device: {'; '.join(self._placement.held_by(app.allotment, self._holder_of, now))}"
        if reason != app.reason:
            app.remember(now, reason)
            if app.pending_first_runner:
                self._commands.append(m.AnnounceWaiting(app.alias, app.revision, reason))
        return self._placement.look_again_at(app.allotment, now)

    def _holder_of(self, runner_id: str) -> str:
        app = self._runners.get(runner_id)
        return f"{app.spec.class_name}{f' of {app.owner}' if app.owner else ''}" if app is not None else ""

    def _act(self, app: FleetApp, action: policy.Action, now: int) -> None:
        if isinstance(action, policy.Start):
            self._started[app.alias] += 1
            state = State.CRASH_BACKOFF if action.backoff else State.PENDING
            runner = Runner(
                f"{app.alias}-{self._started[app.alias]}", app.alias, app.revision, state, now, moved=self.moved
            )
            app.runners[runner.id] = runner
            self._runners[runner.id] = app
            if not action.backoff:
                self._start(app, runner, now)
            return
        runner = app.runners[action.runner_id]
        if isinstance(action, policy.Wake):
            runner.move(State.PENDING, now)
            self._start(app, runner, now)
        elif isinstance(action, policy.Cancel):
            self._end_unready(app, runner, "not needed any more", now)
        elif isinstance(action, policy.Terminate):
            self._stop(runner, action.reason, now)
        elif isinstance(action, policy.Drain):
            self._drain(app, runner, now)
        else:
            self._outlived(app, runner, action.limit, now)

    def _drain(self, app: FleetApp, runner: Runner, now: int) -> None:
        """Let a runner finish what it has; what has no end of its own is asked for one."""
        runner.move(State.DRAINING, now)
        long_lived = (request_id for request_id in sorted(runner.requests) if app.in_flight[request_id].long_lived)
        self._commands += [m.CancelRequest(request_id, runner.id, "politely") for request_id in long_lived]

    def _start(self, app: FleetApp, runner: Runner, now: int) -> None:
        if app.allotment.count:
            runner.devices = self._placement.take(runner.id, app.allotment, now)
        runner.started = now
        self._commands.append(m.StartRunner(runner.id, app.alias, runner.revision, runner.devices))

    def _outlived(self, app: FleetApp, runner: Runner, limit: str, now: int) -> None:
        if limit == "grace":
            self._kill(runner, "it did not end within its grace", now)
            return
        seconds = f"{app.scaling.startup_timeout:g} s"
        self._kill(runner, f"setup() outlived startup_timeout ({seconds})", now, stacks=True)
        error = f"startup_timeout: setup() did not return within {seconds}"
        self._start_failed(app, runner, error, now, status=504, kind="startup_timeout")


def _seconds(nanos: int) -> int:
    return max(1, math.ceil(nanos / SECOND))
