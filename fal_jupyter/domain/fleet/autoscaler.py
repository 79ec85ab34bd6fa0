"""Carries out the decisions of :mod:`fal_jupyter.domain.scaling.policy` for an app."""

from __future__ import annotations

from fal_jupyter.domain import events as m
from fal_jupyter.domain.fleet.app import FleetApp
from fal_jupyter.domain.fleet.deadlines import next_deadline
from fal_jupyter.domain.fleet.fleet_state import Commands, FleetState
from fal_jupyter.domain.fleet.starting import RunnerStarts
from fal_jupyter.domain.fleet.stopping import RunnerStops
from fal_jupyter.domain.runners.runner import State
from fal_jupyter.domain.scaling import policy


class Autoscaler:
    """Starts and ends an app's runners according to demand and its options."""

    def __init__(self, state: FleetState, starts: RunnerStarts, stops: RunnerStops) -> None:
        self._state, self._starts, self._stops = state, starts, stops

    def decide(self, app: FleetApp, now: int) -> Commands:
        """Decide how many runners the app has, and when to decide again; an ended app without runners is removed."""
        rules = app.rules
        decision = policy.decide(rules, self._observe(app, now))
        if not decision.surplus:
            app.last_no_surplus_at = now
        if decision.actions:
            app.remember_actions(now, decision.reason, decision.actions)
        elif decision.held and decision.held != app.reason:
            app.remember(now, decision.held)
        commands: Commands = []
        for action in decision.actions:
            commands += self._carry_out(app, action, now)
        wakes = [decision.wake_at, None]
        app.starved = decision.short > 0
        if app.starved:
            commands += self._announce_starvation(app, now)
            wakes.append(self._state.placement.look_again_at(app.allotment, now))
        if any(isinstance(action, policy.Kill | policy.Cancel) for action in decision.actions):
            # a failed start changes the back-off and which requests may wait
            wakes = [policy.decide(rules, self._observe(app, now)).wake_at]
        wakes.append(next_deadline(app))
        self._state.timers.set(app, min((at for at in wakes if at is not None), default=None))
        if app.is_stopping and not app.runners:
            self._state.remove_app(app)
            commands.append(m.ForgetApp(app.alias))
        return commands

    def decide_starved(self, now: int) -> Commands:
        """Decide again for the apps that wait for a device, as long as devices are released."""
        commands: Commands = []
        while self._state.device_released:
            self._state.device_released = False
            for app in [app for app in self._state.apps.values() if app.starved]:
                commands += self.decide(app, now)
        return commands

    def _observe(self, app: FleetApp, now: int) -> policy.Observation:
        return app.observe(now, self._state.placement.room(app.allotment, now))

    def _announce_starvation(self, app: FleetApp, now: int) -> Commands:
        """Log who holds the devices that the app waits for, if that changed."""
        holders = self._state.placement.holder_sentences(app.allotment, self._holder_of, now)
        reason = f"waits for a device: {'; '.join(holders)}"
        if reason == app.reason:
            return []
        app.remember(now, reason)
        return [m.AnnounceWaiting(app.alias, app.revision, reason)] if app.is_launching else []

    def _holder_of(self, runner_id: str) -> str:
        app = self._state.app_of_runner.get(runner_id)
        return f"{app.spec.class_name}{f' of {app.owner}' if app.owner else ''}" if app is not None else ""

    def _carry_out(self, app: FleetApp, action: policy.Action, now: int) -> Commands:
        if isinstance(action, policy.Start):
            runner = self._state.add_runner(app, State.CRASH_BACKOFF if action.backoff else State.PENDING, now)
            return [] if action.backoff else [self._starts.start(app, runner, now)]
        runner = app.runners[action.runner_id]
        if isinstance(action, policy.Wake):
            runner.move(State.PENDING, now)
            return [self._starts.start(app, runner, now)]
        if isinstance(action, policy.Cancel):
            return self._stops.end_unready(app, runner, "no longer needed", now)
        if isinstance(action, policy.Terminate):
            return self._stops.stop(runner, action.reason, now)
        if isinstance(action, policy.Drain):
            return self._stops.drain(app, runner, now)
        if action.limit == "grace":
            return self._stops.kill(runner, "it did not end within its grace period", now)
        return self._starts.timed_out(app, runner, now)
