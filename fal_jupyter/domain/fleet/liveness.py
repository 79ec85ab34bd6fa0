"""The fleet's half that looks after runners which are ready: signs of life, health checks, and what they say they are good for."""

from __future__ import annotations

from fal_jupyter.domain import events as m
from fal_jupyter.domain.durations import SECOND
from fal_jupyter.domain.fleet.app import FleetApp
from fal_jupyter.domain.requests.request import FleetRequest
from fal_jupyter.domain.runners.health import Health
from fal_jupyter.domain.runners.runner import READY, Runner, State

PING_EVERY = 5 * SECOND  # fal's health check: 5 s, three times (reliability row 5) …
PINGS = 3  # … here counted by pings, so that a gateway that was stopped itself finds no runner guilty


class Liveness:
    """What :class:`fal_jupyter.domain.fleet.fleet.Fleet` does of it; the attributes and methods without a body are the fleet's."""

    _runners: dict[str, FleetApp]
    _commands: list[m.FleetCommand]

    def _fail_request(
        self, app: FleetApp, request: FleetRequest, status: int, error_type: str, detail: str, retry_after: int = 0
    ) -> None:
        """Answer a request's caller with a failure."""

    def _kill(self, runner: Runner, why: str, now: int, *, stacks: bool = False) -> None:
        """End a runner at once."""

    def _stop(self, runner: Runner, why: str, now: int) -> None:
        """End a runner in command."""

    def _drain(self, app: FleetApp, runner: Runner, now: int) -> None:
        """Let a runner finish what it has."""

    def _wake_by(self, app: FleetApp, at: int) -> None:
        """Look at the app at that moment, or before."""

    def _decide(self, app: FleetApp, now: int) -> None:
        """Decide how many runners the app has."""

    # --- signs of life ------------------------------------------------------------------------------------------
    def _answered(self, event: m.RunnerAnswered, now: int) -> None:
        app = self._runners.get(event.runner_id)
        if app is not None:
            app.runners[event.runner_id].unanswered = 0

    def _ping(self, app: FleetApp, now: int) -> None:
        """Ask runners with several requests whether their event loop still turns: one request can stop it for all.

        A request that is alone stops nobody else: its own request_timeout is its limit.
        """
        for runner in list(app.runners.values()):
            if not runner.ping_at or now < runner.ping_at:
                continue
            if len(runner.requests) < 2 or runner.killed:
                runner.ping_at = runner.unanswered = 0
            elif runner.unanswered >= PINGS:
                runner.ping_at = 0
                why = f"its event loop did not turn for {PINGS * PING_EVERY // SECOND} s with {len(runner.requests)} requests in it"
                for request_id in sorted(runner.requests):
                    self._fail_request(
                        app, app.in_flight[request_id], 503, "runner_disconnected", f"the runner was ended: {why}"
                    )
                app.remember(now, f"{runner.id} was ended: {why}")
                self._kill(runner, why, now, stacks=True)
                app.died(now)
            else:
                runner.unanswered += 1
                runner.ping_at = now + PING_EVERY
                self._commands.append(m.PingRunner(runner.id))

    # --- health -------------------------------------------------------------------------------------------------
    def _begin_checks(self, app: FleetApp, runner: Runner, now: int) -> None:
        """A runner is ready: from now on its health counts."""
        spec = app.specs.get(runner.revision)
        if spec is not None and spec.health is not None:
            runner.health = Health(runner.started)
            runner.health.begin(spec.health, now)

    def _check_asked(self, event: m.RunnerCheckAsked, now: int) -> None:
        app = self._runners.get(event.runner_id)
        runner = app.runners[event.runner_id] if app is not None else None
        if app is None or runner is None or runner.health is None or runner.state not in READY:
            return
        runner.health.demand(now)
        if runner.health.due:
            self._wake_by(app, runner.health.due)

    def _check_health(self, app: FleetApp, now: int) -> None:
        """Ask those whose check is due."""
        for runner in app.runners.values():
            spec = app.specs.get(runner.revision)
            if runner.health is None or not runner.health.due or now < runner.health.due:
                continue
            if spec is None or spec.health is None or runner.state not in READY:
                runner.health = None  # it is leaving: nobody replaces it once more
                continue
            runner.health.ask()
            self._commands.append(m.CheckRunner(runner.id, spec.health))

    def _checked(self, event: m.RunnerChecked, now: int) -> None:
        app = self._runners.get(event.runner_id)
        runner = app.runners[event.runner_id] if app is not None else None
        if app is None or runner is None or runner.health is None or runner.state not in READY:
            return
        spec = app.specs.get(runner.revision)
        if spec is None or spec.health is None:
            return
        if runner.health.answered(spec.health, event.healthy, now):
            why = f"its health check failed ({event.told})"
            app.remember(now, f"{runner.id} is replaced: {why}")
            if runner.state is State.RUNNING:
                self._commands.append(m.RemarkRunner(runner.id, f"{why}; it gets no new requests"))
                self._drain(app, runner, now)
            else:
                self._stop(runner, why, now)
            app.died(now)
        self._decide(app, now)

    # --- hints --------------------------------------------------------------------------------------------------
    def _hinted(self, event: m.RunnerHinted, now: int) -> None:
        app = self._runners.get(event.runner_id)
        if app is not None:
            app.runners[event.runner_id].hints = event.hints
