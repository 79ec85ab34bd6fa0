"""Handles starting runners: started, ready, failed, lost or refused."""

from __future__ import annotations

from fal_jupyter.domain import events as m
from fal_jupyter.domain.durations import SECOND
from fal_jupyter.domain.fleet.app import FleetApp
from fal_jupyter.domain.fleet.app_phases import AppEvent
from fal_jupyter.domain.fleet.dispatching import RequestDispatcher, whole_seconds
from fal_jupyter.domain.fleet.fleet_state import Commands, FleetState
from fal_jupyter.domain.fleet.stopping import RunnerStops
from fal_jupyter.domain.runners.runner import READY, STARTING, Runner, State
from fal_jupyter.domain.scaling.start_backoff import REFUSED_RETRY


class RunnerStarts:
    """Starts runners, and applies the result of a start to its app."""

    def __init__(self, state: FleetState, dispatcher: RequestDispatcher, stops: RunnerStops) -> None:
        self._state, self._dispatcher, self._stops = state, dispatcher, stops

    def start(self, app: FleetApp, runner: Runner, now: int) -> m.StartRunner:
        """Assign devices to a PENDING runner and start its process; there must be room for it."""
        if app.allotment.count:
            runner.devices = self._state.placement.take(runner.id, app.allotment, now)
        runner.started = now
        return m.StartRunner(runner.id, app.alias, runner.revision, runner.devices)

    def ready(self, app: FleetApp, runner: Runner, now: int) -> Commands:
        """``setup()`` returned: a runner of the target revision takes over from the serving revision."""
        runner.move(State.IDLE, now)
        runner.used = now
        if runner.revision != app.revision:
            return []
        runner.requested = app.is_launching
        app.move(AppEvent.FIRST_RUNNER_READY)
        app.backoff.start_succeeded()
        if app.serving == app.revision:
            return []
        app.serving = app.revision
        app.specs = {app.revision: app.spec}
        return [m.AnnounceRevision(app.alias, app.revision)]

    def failed(
        self,
        app: FleetApp,
        runner: Runner,
        error: str,
        now: int,
        *,
        status: int = 503,
        error_type: str = "runner_scheduling_failure",
    ) -> Commands:
        """Count a failed start: fall back to the serving revision, or back off and fail the waiting requests."""
        if app.is_stopping or runner.revision != app.revision:
            return []
        app.move(AppEvent.START_FAILED)
        if app.serving not in (0, app.revision):
            return self._fall_back(app, runner, error, now)
        wait = app.backoff.start_failed(now)
        name = error.partition(":")[0]
        app.remember(now, f"its last start failed ({name})", "retry")
        failure = m.AnnounceFailure(app.alias, runner.revision, runner.id, error, wait / SECOND)
        if not app.is_cold:
            return [failure]
        seconds = whole_seconds(wait)
        detail = f"{app.alias} could not start ({name}); the next attempt is in {seconds} s"
        return [failure, *self._dispatcher.fail_waiting(app, status, error_type, detail, seconds)]

    def _fall_back(self, app: FleetApp, runner: Runner, error: str, now: int) -> Commands:
        """Withdraw the target revision: the serving one stays."""
        withdrawn, app.revision = app.revision, app.serving
        app.specs.pop(withdrawn, None)
        app.backoff.revision_withdrawn()
        app.remember(now, f"revision {withdrawn} did not start, revision {app.serving} keeps serving")
        commands: Commands = [m.AnnounceFailure(app.alias, withdrawn, runner.id, error, -1)]
        for unready in list(app.runners.values()):
            if unready.revision == withdrawn:
                commands += self._stops.end_unready(app, unready, f"revision {withdrawn} failed", now)
        return commands

    def timed_out(self, app: FleetApp, runner: Runner, now: int) -> Commands:
        """``setup()`` did not return within ``startup_timeout``."""
        seconds = f"{app.scaling.startup_timeout:g} s"
        killed = self._stops.kill(runner, f"setup() exceeded startup_timeout ({seconds})", now, stacks=True)
        error = f"startup_timeout: setup() did not return within {seconds}"
        return killed + self.failed(app, runner, error, now, status=504, error_type="startup_timeout")

    def exited(self, app: FleetApp, runner: Runner, event: m.RunnerExited, now: int) -> Commands:
        """The process has ended: its requests fail, and it counts as a failed start or as a crash unless it was stopped."""
        detail = f"the runner ended while it had this request ({event.reason})"
        commands: Commands = [
            self._dispatcher.fail(app, app.in_flight[request_id], 503, "runner_disconnected", detail)
            for request_id in sorted(runner.requests)
        ]
        self._state.remove_runner(app, runner, now)
        if runner.state in STARTING and event.lost and app.backoff.start_lost(now):
            app.remember(now, f"{runner.id} {event.reason}; starting another")
        elif runner.state in STARTING:
            commands += self.failed(app, runner, f"the runner ended before it was ready: {event.reason}", now)
        elif runner.state in READY and not app.is_stopping:
            app.remember(now, f"{runner.id} {event.reason}")
            app.backoff.runner_died(now)
        return commands

    def refused(self, app: FleetApp, runner: Runner, event: m.StartRefused, now: int) -> Commands:
        """The machine could not start the runner, or another gateway holds its devices: not a failure of the app."""
        self._state.remove_runner(app, runner, now)
        if event.taken:  # other devices may be free
            for device in event.taken:
                self._state.placement.out_of_reach(device, now + REFUSED_RETRY, event.reason)
            return []
        app.backoff.start_refused(now)
        app.remember(now, f"the machine could not start a runner ({event.reason})")
        commands: Commands = []
        if app.is_launching:
            seconds = REFUSED_RETRY / SECOND
            commands.append(m.AnnounceFailure(app.alias, app.revision, runner.id, event.reason, seconds))
        return commands + self._dispatcher.fail_waiting(
            app, 503, "runner_scheduling_failure", app.reason, 20, arrived_by=now - REFUSED_RETRY
        )
