"""Pings runners with several requests, and ends those whose event loop is blocked."""

from __future__ import annotations

from fal_jupyter.domain import events as m
from fal_jupyter.domain.durations import SECOND
from fal_jupyter.domain.fleet.app import FleetApp
from fal_jupyter.domain.fleet.dispatching import RequestDispatcher
from fal_jupyter.domain.fleet.fleet_state import Commands
from fal_jupyter.domain.fleet.stopping import RunnerStops
from fal_jupyter.domain.runners.liveness import PING_EVERY, PINGS
from fal_jupyter.domain.runners.runner import Runner


class LivenessChecks:
    """Pings runners (:class:`fal_jupyter.domain.runners.liveness.Liveness`)."""

    def __init__(self, dispatcher: RequestDispatcher, stops: RunnerStops) -> None:
        self._dispatcher, self._stops = dispatcher, stops

    def ping_due(self, app: FleetApp, now: int) -> Commands:
        """Ping the runners whose ping is due; end those that are blocked."""
        commands: Commands = []
        for runner in app.runners.values():
            if not runner.liveness.due or now < runner.liveness.due:
                continue
            if len(runner.requests) < 2 or runner.killed:
                runner.liveness.unwatch()
            elif runner.liveness.ping(now):
                commands.append(m.PingRunner(runner.id))
            else:
                commands += self._end_blocked(app, runner, now)
        return commands

    def _end_blocked(self, app: FleetApp, runner: Runner, now: int) -> Commands:
        seconds = PINGS * PING_EVERY // SECOND
        reason = f"its event loop was blocked for {seconds} s with {len(runner.requests)} requests in it"
        commands: Commands = [
            self._dispatcher.fail(
                app, app.in_flight[request_id], 503, "runner_disconnected", f"the runner was ended: {reason}"
            )
            for request_id in sorted(runner.requests)
        ]
        app.remember(now, f"{runner.id} was ended: {reason}")
        commands += self._stops.kill(runner, reason, now, stacks=True)
        app.backoff.runner_died(now)
        return commands
