"""Ends runners: immediately, with their grace period, or after their last request."""

from __future__ import annotations

from fal_jupyter.domain import events as m
from fal_jupyter.domain.fleet.app import FleetApp
from fal_jupyter.domain.fleet.fleet_state import Commands, FleetState
from fal_jupyter.domain.runners.runner import STARTING, Runner, State


class RunnerStops:
    """Ends runners. A runner that is already being killed gets no second command."""

    def __init__(self, state: FleetState) -> None:
        self._state = state

    def stop(self, runner: Runner, reason: str, now: int) -> Commands:
        """End a runner as fal does, with its grace period."""
        runner.move(State.TERMINATING, now)
        return [m.StopRunner(runner.id, reason)]

    def kill(self, runner: Runner, reason: str, now: int, *, stacks: bool = False) -> Commands:
        """End a runner immediately; with *stacks* its log shows where it was."""
        if runner.killed:
            return []
        if runner.state is not State.TERMINATING:
            runner.move(State.TERMINATING, now)
        runner.killed = True
        return [m.KillRunner(runner.id, reason, stacks)]

    def drain(self, app: FleetApp, runner: Runner, now: int) -> Commands:
        """Let a runner finish its requests; a long-lived one (a WebSocket) is requested to close."""
        runner.move(State.DRAINING, now)
        return [
            m.CancelRequest(request_id, runner.id, "politely")
            for request_id in sorted(runner.requests)
            if app.in_flight[request_id].long_lived
        ]

    def end_unready(self, app: FleetApp, runner: Runner, reason: str, now: int) -> Commands:
        """End a runner that is not ready yet; a ready one is left alone."""
        if runner.state is State.CRASH_BACKOFF:
            self._state.remove_runner(app, runner, now)
        elif runner.state in STARTING:
            return self.kill(runner, reason, now)
        return []

    def end(self, app: FleetApp, runner: Runner, reason: str, now: int, *, kill: bool = False) -> Commands:
        """End a runner in any state: with its grace period if it has begun, with *kill* immediately."""
        if runner.state is State.CRASH_BACKOFF:
            self._state.remove_runner(app, runner, now)
        elif kill or runner.state is State.PENDING:
            return self.kill(runner, reason, now)
        elif runner.state is not State.TERMINATING:
            return self.stop(runner, reason, now)
        return []
