"""The fleet of one gateway: events in, commands out, without a clock.

:meth:`Fleet.handle` may be called with any event at any time. An event about something that has ended is ignored, so a late
message of an ended runner is harmless. The fleet itself only calls its parts in the right order:

* ``app_lifecycle``: changes of whole apps by users and leases;
* ``dispatching``, ``routing``, ``cancelling``: requests;
* ``starting``, ``stopping``, ``liveness_checks``, ``health_checks``: runners;
* ``autoscaler``: how many runners an app has, by :mod:`fal_jupyter.domain.scaling.policy`, after nearly every event.

Two paths are hot, a request that finds a free slot and one that ends: they skip a decision that could not change anything.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping

from fal_jupyter.domain import events as m
from fal_jupyter.domain.durations import nanoseconds
from fal_jupyter.domain.fleet.app import FleetApp
from fal_jupyter.domain.fleet.app_lifecycle import AppLifecycle
from fal_jupyter.domain.fleet.app_phases import AppEvent, AppPhase
from fal_jupyter.domain.fleet.autoscaler import Autoscaler
from fal_jupyter.domain.fleet.cancelling import RequestCancellations
from fal_jupyter.domain.fleet.dispatching import RequestDispatcher
from fal_jupyter.domain.fleet.fleet_state import Commands, FleetState
from fal_jupyter.domain.fleet.health_checks import HealthChecks
from fal_jupyter.domain.fleet.liveness_checks import LivenessChecks
from fal_jupyter.domain.fleet.routing import choose_runner
from fal_jupyter.domain.fleet.starting import RunnerStarts
from fal_jupyter.domain.fleet.stopping import RunnerStops
from fal_jupyter.domain.requests.request import FleetRequest
from fal_jupyter.domain.runners.runner import READY, STARTING, Moved, Runner, State

# names of this module: looking a member up in its enum costs ten times as much
_IDLE, _RUNNING, _UNLOADED = State.IDLE, State.RUNNING, AppPhase.UNLOADED
_ColdEvent = (
    m.AppPublished | m.AppEvent | m.LeaseEnded | m.RequestAborted | m.RunnerEvent | m.DeviceReleased | m.TimerFired
)


class Fleet:
    """All apps of one gateway."""

    def __init__(self) -> None:
        self._state = state = FleetState()
        self._timers = state.timers
        self._stops = RunnerStops(state)
        self._cancellations = RequestCancellations(state, self._stops)
        self._dispatcher = RequestDispatcher(state, self._cancellations)
        self._starts = RunnerStarts(state, self._dispatcher, self._stops)
        self._liveness = LivenessChecks(self._dispatcher, self._stops)
        self._health = HealthChecks(state, self._stops)
        self._lifecycle = AppLifecycle(state, self._dispatcher, self._stops)
        self._autoscaler = Autoscaler(state, self._starts, self._stops)

    def handle(self, event: m.FleetEvent, now: int) -> Commands:
        """Handle one event; return the resulting commands, to be carried out in order.

        Args:
            event: what happened.
            now: the monotonic clock in nanoseconds, never less than in an earlier call.
        """
        if isinstance(event, m.RequestArrived):  # the hot events come first
            commands = self._request_arrived(event, now)
        elif isinstance(event, m.RequestFinished):
            commands = self._request_finished(event, now)
        else:
            commands = self._commands_for(event, now)
        if self._state.device_released:
            commands += self._autoscaler.decide_starved(now)
        return commands

    # --- what the engine reads ----------------------------------------------------------------------------------
    @property
    def apps(self) -> Mapping[str, FleetApp]:
        """Published apps by alias, to be read only."""
        return self._state.apps

    @property
    def moved(self) -> deque[Moved]:
        """State changes of runners, for the timelines."""
        return self._state.moved

    @property
    def wake_at(self) -> int | None:
        """When to send :class:`TimerFired` if no event arrives before; may be early, is never late."""
        return self._timers.earliest

    def all_apps(self) -> Iterator[FleetApp]:
        """Every app, those that are ending too."""
        return self._state.all_apps()

    def runner(self, runner_id: str) -> Runner | None:
        """The runner's record, or None when it has ended."""
        app = self._state.app_of_runner.get(runner_id)
        return app.runners[runner_id] if app else None

    def why_held_elsewhere(self, device: str, now: int) -> str:
        """Which other gateway holds the device, if known, or ``""``."""
        return self._state.placement.why_out_of_reach(device, now)

    def check(self) -> None:
        """Assert the invariants; tests call it after every event."""
        self._state.check()

    # --- events -------------------------------------------------------------------------------------------------
    def _commands_for(self, event: _ColdEvent, now: int) -> Commands:
        match event:
            case m.TimerFired():
                return self._timer_fired(now)
            case m.RequestAborted():
                return self._request_aborted(event, now)
            case m.AppPublished():
                published, commands = self._lifecycle.publish(event, now)
                return commands + self._autoscaler.decide(published, now)
            case m.AppScaled() | m.AppAdopted() | m.AppStopped() | m.AppUnloaded():
                app = self._state.apps.get(event.alias)
                return self._app_event(app, event, now) if app is not None else []
            case m.LeaseEnded():
                return self._lease_ended(event, now)
            case m.DeviceReleased():
                self._state.placement.in_reach(event.device)
                self._state.device_released = True
                return []
            case _:
                app = self._state.app_of_runner.get(event.runner_id)
                return self._runner_event(app, app.runners[event.runner_id], event, now) if app is not None else []

    def _request_arrived(self, event: m.RequestArrived, now: int) -> Commands:
        app = self._state.apps.get(event.alias)
        if app is None:
            return [m.FailRequest(event.request_id, 503, "runner_scheduling_failure", "the app was stopped")]
        if app.phase is _UNLOADED:
            app.move(AppEvent.NEEDED)
        runner = choose_runner(app, event.hint)
        if runner is None:
            refusal = self._dispatcher.refusal(app, event, now)
            if refusal is not None:
                return [refusal]
        request = FleetRequest.of(event, app.scaling.request_start_timeout, now)
        self._state.app_of_request[request.id] = app
        if runner is None:
            app.waiting[request.id] = request
            return self._autoscaler.decide(app, now)
        dispatch = self._dispatcher.dispatch(app, request, runner, now)
        return [dispatch] if app.is_settled(now) else [dispatch, *self._autoscaler.decide(app, now)]

    def _request_finished(self, event: m.RequestFinished, now: int) -> Commands:
        app = self._state.app_of_request.pop(event.request_id, None)
        request = app.in_flight.pop(event.request_id, None) if app is not None else None
        if app is None or request is None:
            return []
        app.served += 1
        runner = app.runners[request.runner_id]
        runner.requests.discard(request.id)
        commands: Commands = []
        if app.cancellations:
            app.cancellations.pop(request.id, None)
            commands += self._cancellations.replace_stuck(app, runner, now)
        if runner.state is _RUNNING:
            if event.replace:
                commands += self._stops.drain(app, runner, now)
            elif not runner.requests:
                runner.enter(_IDLE, now)
        if app.waiting.arrivals:
            commands += self._dispatcher.dispatch_waiting(app, now)
        if runner.state not in READY or not app.is_settled(now):
            return commands + self._autoscaler.decide(app, now)
        if runner.state is _IDLE:
            self._state.wake_by(app, now + nanoseconds(app.scaling.keep_alive))
        return commands

    def _request_aborted(self, event: m.RequestAborted, now: int) -> Commands:
        app = self._state.app_of_request.get(event.request_id)
        if app is None:
            return []
        request = app.in_flight.get(event.request_id)
        if request is None:
            del app.waiting[event.request_id], self._state.app_of_request[event.request_id]
            return self._autoscaler.decide(app, now)
        if event.insist:
            return self._cancellations.begin(app, request, "force" if event.force else "tell", "was cancelled", now)
        return self._cancellations.abandon(request)

    def _app_event(self, app: FleetApp, event: m.AppEvent, now: int) -> Commands:
        match event:  # the last case is AppUnloaded
            case m.AppScaled():
                commands = self._lifecycle.rescale(app, event, now)
            case m.AppAdopted():
                app.lease, app.owner = event.lease, event.owner
                return []
            case m.AppStopped():
                commands = self._lifecycle.stop(app, now, kill=event.kill)
            case _:
                commands = self._lifecycle.unload(app, now)
        return commands + self._autoscaler.decide(app, now)

    def _lease_ended(self, event: m.LeaseEnded, now: int) -> Commands:
        commands: Commands = []
        for app in [app for app in self._state.apps.values() if app.lease == event.lease]:
            commands += self._lifecycle.end_without_owner(app, now)
            commands += self._autoscaler.decide(app, now)
        for app in [app for app in self._state.ending if app.lease == event.lease]:
            app.move(AppEvent.OWNER_ENDED)  # publishers no longer wait for its runners
            commands += self._autoscaler.decide(app, now)
        return commands

    def _runner_event(self, app: FleetApp, runner: Runner, event: m.RunnerEvent, now: int) -> Commands:
        commands: Commands = []
        match event:  # the last case is HealthCheckCompleted
            case m.RunnerPingAnswered():
                runner.liveness.answered()
                return []
            case m.RunnerHintsChanged():
                runner.hints = event.hints
                return []
            case m.HealthCheckRequested():
                self._health.demand(app, runner, now)
                return []
            case m.RunnerSpawned():
                if runner.state is not State.PENDING:
                    return []
                runner.move(State.SETUP, now)
            case m.RunnerReady():
                if runner.state is not State.SETUP:
                    return []
                commands = self._starts.ready(app, runner, now)
                self._health.begin(app, runner, now)
                commands += self._dispatcher.dispatch_waiting(app, now)
            case m.RunnerFailed():
                if runner.state not in STARTING:
                    return []
                runner.move(State.TERMINATING, now)
                commands = self._starts.failed(app, runner, event.error, now)
            case m.RunnerExited():
                commands = self._starts.exited(app, runner, event, now)
            case m.StartRefused():
                commands = self._starts.refused(app, runner, event, now)
            case m.RunnerStopRequested():
                action = "killed" if event.kill or runner.state is State.PENDING else "stopped"
                commands = self._stops.end(app, runner, f"the user {action} it", now, kill=event.kill)
            case _:
                if not self._health.is_checked(app, runner):
                    return []
                commands = self._health.completed(app, runner, event, now)
        return commands + self._autoscaler.decide(app, now)

    def _timer_fired(self, now: int) -> Commands:
        commands: Commands = []
        for app in list(self._state.all_apps()):
            if app.wake_at is not None and now >= app.wake_at:
                commands += self._dispatcher.expire(app, now)
                commands += self._cancellations.take_due_steps(app, now)
                commands += self._liveness.ping_due(app, now)
                commands += self._health.check_due(app, now)
                commands += self._autoscaler.decide(app, now)
        return commands
