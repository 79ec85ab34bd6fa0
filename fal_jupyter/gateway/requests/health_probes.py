"""Asks runners for their health: the app's own check, beside its requests, whose places it does not take."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from fal_jupyter.domain.events import HealthCheckCompleted
from fal_jupyter.domain.runners.health import HealthRules
from fal_jupyter.gateway.requests.buffered_calls import BufferedCall, ask_aside
from fal_jupyter.gateway.runners.live_runner import LiveRunners

LONGEST_WORD = 200


class HealthProbes:
    """The checks that are on their way; each ends with an answer, its time limit, or its runner."""

    def __init__(
        self,
        runners: LiveRunners,
        report: Callable[[HealthCheckCompleted], None],
    ) -> None:
        self._runners, self._report = runners, report
        self._running: set[asyncio.Task[None]] = set()

    def ask(self, runner_id: str, rules: HealthRules) -> None:
        """Ask one runner; its result is reported."""
        task = asyncio.get_running_loop().create_task(self._ask(runner_id, rules))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _ask(self, runner_id: str, rules: HealthRules) -> None:
        runner = self._runners.get(runner_id)
        channel = runner.channel if runner is not None else None
        if runner is None or channel is None:
            return  # its end is reported otherwise
        held = await ask_aside(
            channel, runner_id, runner.revision, runner.alias, rules.path, rules.timeout, method=rules.method
        )
        if held.error:
            runner.write_output(2, held.error)
            runner.end_output()
        healthy = 200 <= held.status < 300 and held.over and not held.broken
        self._report(
            HealthCheckCompleted(
                runner_id, healthy, "" if healthy else f"{rules.method} {rules.path} {_told(held, rules)}"
            )
        )


def _told(held: BufferedCall, rules: HealthRules) -> str:
    if not held.status:
        return f"gave no answer within {rules.timeout:g} s"
    word = held.body()[:LONGEST_WORD].decode("utf-8", "replace")
    return f"answered {held.status} {word}" if held.status >= 300 or held.status < 200 else "broke its answer off"
