"""Health checks of ready runners, and the replacement of an unhealthy one."""

from __future__ import annotations

from fal_jupyter.domain import events as m
from fal_jupyter.domain.fleet.app import FleetApp
from fal_jupyter.domain.fleet.fleet_state import Commands, FleetState
from fal_jupyter.domain.fleet.stopping import RunnerStops
from fal_jupyter.domain.runners.health import Health, HealthRules
from fal_jupyter.domain.runners.runner import READY, Runner, State


class HealthChecks:
    """Checks runners' health by the rules of their own revision (:class:`fal_jupyter.domain.runners.health.Health`)."""

    def __init__(self, state: FleetState, stops: RunnerStops) -> None:
        self._state, self._stops = state, stops

    def begin(self, app: FleetApp, runner: Runner, now: int) -> None:
        """A runner is ready: start its health checks."""
        rules = _rules(app, runner)
        if rules is not None:
            runner.health = Health(runner.started)
            runner.health.begin(rules, now)

    def demand(self, app: FleetApp, runner: Runner, now: int) -> None:
        """The app requested an immediate check of a ready runner."""
        if runner.health is None or runner.state not in READY:
            return
        runner.health.demand(now)
        if runner.health.due:
            self._state.wake_by(app, runner.health.due)

    def check_due(self, app: FleetApp, now: int) -> Commands:
        """Check the runners whose check is due."""
        commands: Commands = []
        for runner in app.runners.values():
            if runner.health is None or not runner.health.due or now < runner.health.due:
                continue
            rules = _rules(app, runner)
            if rules is None or runner.state not in READY:
                runner.health = None  # it is being replaced, which must not happen twice
                continue
            runner.health.begin_check()
            commands.append(m.CheckRunnerHealth(runner.id, rules))
        return commands

    def is_checked(self, app: FleetApp, runner: Runner) -> bool:
        """True while a runner is checked: it is ready, and its revision has a health check."""
        return runner.health is not None and runner.state in READY and _rules(app, runner) is not None

    def completed(self, app: FleetApp, runner: Runner, event: m.HealthCheckCompleted, now: int) -> Commands:
        """Take the result of a check; a runner that is unhealthy by its rules is replaced."""
        rules = _rules(app, runner)
        if runner.health is None or rules is None or not runner.health.answered(rules, event.healthy, now):
            return []
        reason = f"its health check failed ({event.detail})"
        app.remember(now, f"{runner.id} is replaced: {reason}")
        app.backoff.runner_died(now)
        if runner.state is not State.RUNNING:
            return self._stops.stop(runner, reason, now)
        remark = m.LogRunnerRemark(runner.id, f"{reason}; it gets no new requests")
        return [remark, *self._stops.drain(app, runner, now)]


def _rules(app: FleetApp, runner: Runner) -> HealthRules | None:
    spec = app.specs.get(runner.revision)
    return spec.health if spec is not None else None
