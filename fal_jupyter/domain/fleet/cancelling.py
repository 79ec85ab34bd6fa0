"""Ending requests that are with a runner, step by step: notify it, force the request to end, replace the runner."""

from __future__ import annotations

from typing import Literal

from fal_jupyter.domain import events as m
from fal_jupyter.domain.cancellation import FORCE_AFTER, KILL_AFTER, Cancellation
from fal_jupyter.domain.fleet.app import FleetApp
from fal_jupyter.domain.fleet.fleet_state import Commands, FleetState
from fal_jupyter.domain.fleet.stopping import RunnerStops
from fal_jupyter.domain.requests.request import FleetRequest, RequestPhase
from fal_jupyter.domain.runners.runner import Runner, State


class RequestCancellations:
    """Ends requests in flight."""

    def __init__(self, state: FleetState, stops: RunnerStops) -> None:
        self._state, self._stops = state, stops

    def abandon(self, request: FleetRequest) -> Commands:
        """The caller disconnected: its runner is notified, once, and the request may continue until its time limit."""
        if request.phase is not RequestPhase.IN_FLIGHT:
            return []
        request.move(RequestPhase.ABANDONED)
        return [m.CancelRequest(request.id, request.runner_id)]

    def begin(
        self, app: FleetApp, request: FleetRequest, how: Literal["tell", "force"], reason: str, now: int
    ) -> Commands:
        """Take the first step, unless it was already taken."""
        if request.id in app.cancellations:
            return []
        request.move(RequestPhase.FORCED if how == "force" else RequestPhase.CANCELLING)
        due = now + (KILL_AFTER if how == "force" else FORCE_AFTER)
        app.cancellations[request.id] = Cancellation(reason, due)
        self._state.wake_by(app, due)
        return [m.CancelRequest(request.id, request.runner_id, how)]

    def take_due_steps(self, app: FleetApp, now: int) -> Commands:
        """Take the next step for each request that did not end in time."""
        commands: Commands = []
        for request_id, cancellation in list(app.cancellations.items()):
            if not cancellation.is_due(now):
                continue
            request = app.in_flight[request_id]
            if request.phase is RequestPhase.CANCELLING:
                request.move(RequestPhase.FORCED)
                cancellation.due = now + KILL_AFTER
                commands.append(m.CancelRequest(request_id, request.runner_id, "force"))
            else:
                request.move(RequestPhase.OVERDUE)
                cancellation.due = None
                commands += self.replace_stuck(app, app.runners[request.runner_id], now)
        return commands

    def replace_stuck(self, app: FleetApp, runner: Runner, now: int) -> Commands:
        """End a runner with an overdue request, as soon as no other request needs it."""
        cancelled = sorted(runner.requests & app.cancellations.keys())
        overdue = [request_id for request_id in cancelled if app.cancellations[request_id].due is None]
        if not overdue or runner.killed:
            return []
        if len(cancelled) == len(runner.requests):
            reason = app.cancellations[overdue[0]].reason
            return self._stops.kill(runner, f"a request that {reason} did not end", now, stacks=True)
        return self._stops.drain(app, runner, now) if runner.state is State.RUNNING else []
