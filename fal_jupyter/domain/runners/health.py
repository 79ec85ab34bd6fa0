"""Health checks of runners (fal: "Add Health Check Endpoint"; C107 to C109): when one is due, and when a runner is unhealthy.

A check is due every 15 s. Failures in the start period do not count; as many in a row as the threshold replace the runner.
An answer with the header ``x-fal-runner-health-check`` requests an immediate check, of which one failure is enough.
"""

from __future__ import annotations

from dataclasses import dataclass

from fal_jupyter.domain.durations import SECOND, nanoseconds
from fal_jupyter.domain.json_fields import rebuilt

EVERY = 15 * SECOND


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthRules:
    """An app's health check settings, with defaults. Times are in seconds.

    *path* is the endpoint's, *method* its HTTP method. *start_period* counts from the start of the runner's process.
    """

    path: str
    method: str = "POST"
    start_period: float = 30
    timeout: float = 5
    threshold: int = 3
    regularly: bool = True

    @staticmethod
    def from_json(data: object) -> HealthRules:
        """Rebuild from plain JSON values; unknown fields are ignored.

        Raises:
            TypeError: the path is missing.
        """
        return rebuilt(HealthRules, data)


@dataclass(slots=True)
class Health:
    """The health of one runner. Times are monotonic nanoseconds.

    *due* is the time of the next check (0: none), *asking*: an answer is awaited, *urgent*: one failure is enough, *again*: a check was
    requested while another was running.
    """

    started: int
    due: int = 0
    failures: int = 0
    asking: bool = False
    urgent: bool = False
    again: bool = False

    def begin(self, rules: HealthRules, now: int) -> None:
        """The runner is ready."""
        self.due = now + EVERY if rules.regularly else 0

    def demand(self, now: int) -> None:
        """The app itself requested a check."""
        if self.asking:
            self.again = True
        else:
            self.due, self.urgent = now, True

    def begin_check(self) -> None:
        """The due check has begun."""
        self.due, self.asking = 0, True

    def answered(self, rules: HealthRules, healthy: bool, now: int) -> bool:
        """Record the answer; True if the runner is to be replaced."""
        urgent, self.asking, self.urgent = self.urgent, False, False
        self.due = now + EVERY if rules.regularly else 0
        if self.again:
            self.again = False
            self.demand(now)
        if healthy:
            self.failures = 0
            return False
        if urgent:
            return True
        if now >= self.started + nanoseconds(rules.start_period):
            self.failures += 1
        return self.failures >= max(1, rules.threshold)
