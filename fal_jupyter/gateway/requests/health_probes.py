"""Checks runners' health by the app's own endpoint, outside of the fleet, so that no slot is occupied."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from fal_jupyter.domain.events import HealthCheckCompleted
from fal_jupyter.domain.runners.health import HealthRules
from fal_jupyter.gateway.requests.buffered_calls import BufferedCall, internal_call
from fal_jupyter.gateway.runners.live_runner import LiveRunners

LONGEST_WORD = 200


class HealthProbes:
    """The running checks; each ends with an answer, its time limit, or its runner."""

    def __init__(
        self,
        runners: LiveRunners,
        report: Callable[[HealthCheckCompleted], None],
    ) -> None:
        self._runners, self._report = runners, report
        self._running: set[asyncio.Task[None]] = set()

    def probe(self, runner_id: str, rules: HealthRules) -> None:
        """Check one runner; the result is reported."""
        task = asyncio.get_running_loop().create_task(self._probe(runner_id, rules))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _probe(self, runner_id: str, rules: HealthRules) -> None:
        runner = self._runners.get(runner_id)
        channel = runner.channel if runner is not None else None
        if runner is None or channel is None:
            return  # its end is reported elsewhere
        call = await internal_call(
            channel, runner_id, runner.revision, runner.alias, rules.path, rules.timeout, method=rules.method
        )
        if call.error:
            runner.write_output(2, call.error)
            runner.end_output()
        healthy = 200 <= call.status < 300 and call.over and not call.broken
        self._report(
            HealthCheckCompleted(
                runner_id, healthy, "" if healthy else f"{rules.method} {rules.path} {_problem(call, rules)}"
            )
        )


def _problem(call: BufferedCall, rules: HealthRules) -> str:
    if not call.status:
        return f"did not answer within {rules.timeout:g} s"
    word = call.body()[:LONGEST_WORD].decode("utf-8", "replace")
    return f"answered {call.status} {word}" if call.status >= 300 or call.status < 200 else "cut off its answer"
