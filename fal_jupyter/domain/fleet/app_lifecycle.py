"""Apps between their publication and their end: published, rescaled, adopted, unloaded, stopped."""

from __future__ import annotations

from dataclasses import replace

from fal_jupyter.domain import events as m
from fal_jupyter.domain.fleet.app import FleetApp
from fal_jupyter.domain.fleet.app_phases import AppEvent
from fal_jupyter.domain.fleet.dispatching import RequestDispatcher
from fal_jupyter.domain.fleet.fleet_state import Commands, FleetState
from fal_jupyter.domain.fleet.stopping import RunnerStops
from fal_jupyter.domain.runners.runner import READY, State
from fal_jupyter.domain.scaling.reasons import scaling_changes


class AppLifecycle:
    """Handles requests of users and leases concerning whole apps; the number of runners is decided afterwards."""

    def __init__(self, state: FleetState, dispatcher: RequestDispatcher, stops: RunnerStops) -> None:
        self._state, self._dispatcher, self._stops = state, dispatcher, stops

    def publish(self, event: m.AppPublished, now: int) -> tuple[FleetApp, Commands]:
        """Add an app, or a new revision of it; starts of obsolete revisions are ended."""
        app = self._state.apps.get(event.alias)
        if app is None:
            specs, allotments = {event.revision: event.spec}, {event.revision: event.allotment}
            app = FleetApp(event.alias, event.lease, event.revision, specs, allotments, event.owner)
            self._state.apps[event.alias] = app
            return app, []
        app.lease, app.owner = event.lease, event.owner
        app.publish(event.spec, event.revision, event.allotment)
        commands: Commands = []
        for runner in list(app.runners.values()):
            if runner.revision not in app.specs and not runner.killed:
                reason = f"revision {event.revision} was published"
                commands += self._stops.end_unready(app, runner, reason, now)
        return app, commands

    def rescale(self, app: FleetApp, event: m.AppScaled, now: int) -> Commands:
        """Apply another scaling to every revision; existing runners may then take more requests."""
        changes = scaling_changes(app.scaling, event.scaling)
        app.specs = {revision: replace(spec, scaling=event.scaling) for revision, spec in app.specs.items()}
        if changes:
            app.remember(now, f"the settings were changed: {changes}")
        app.move(AppEvent.NEEDED)
        return self._dispatcher.dispatch_waiting(app, now)

    def unload(self, app: FleetApp, now: int) -> Commands:
        """End the app's runners, busy ones after their requests; a start that a request waits for continues."""
        app.move(AppEvent.UNLOADED)
        reason = "the user unloaded the app; the next request starts a runner"
        app.remember(now, reason, "down", -sum(r.state in READY for r in app.runners.values()))
        commands: Commands = []
        for runner in list(app.runners.values()):
            if runner.state is State.IDLE:
                commands += self._stops.stop(runner, reason, now)
            elif runner.state is State.RUNNING:
                commands += self._stops.drain(app, runner, now)
            elif not app.waiting:
                commands += self._stops.end_unready(app, runner, reason, now)
        return commands

    def stop(self, app: FleetApp, now: int, *, kill: bool) -> Commands:
        """End an app at the user's request; with *kill* its runners get no grace period."""
        app.move(AppEvent.STOPPED)
        return self._end(app, "the app was stopped", now, kill=kill)

    def end_without_owner(self, app: FleetApp, now: int) -> Commands:
        """End an app because its owner has ended."""
        app.move(AppEvent.OWNER_ENDED)
        return self._end(app, "the notebook or program that owned the app has ended", now, kill=False)

    def _end(self, app: FleetApp, reason: str, now: int, *, kill: bool) -> Commands:
        self._state.end_app(app)
        if supply := app.supply():
            app.remember(now, reason, "down", -supply)
        commands = self._dispatcher.fail_waiting(app, 503, "runner_scheduling_failure", reason)
        for runner in list(app.runners.values()):
            commands += self._stops.end(app, runner, reason, now, kill=kill)
        return commands
