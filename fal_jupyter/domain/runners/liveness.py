"""Liveness of a runner: one request can block the event loop for all others in it.

A runner with several requests is pinged; one that answers none of several pings in a row is blocked. A single request
blocks no other one: its own request_timeout is its limit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from fal_jupyter.domain.durations import SECOND

PING_EVERY: Final = 5 * SECOND  # fal's health check: 5 s, three times (reliability row 5) …
PINGS: Final = 3  # … here counted in pings, so that a suspended gateway does not blame its runners


@dataclass(slots=True)
class Liveness:
    """One runner's pings: *due* is when the next is sent (0: none is), *unanswered* the number of consecutive unanswered ones."""

    due: int = 0
    unanswered: int = 0

    def watch(self, now: int) -> None:
        """Ping from now on, with a pause before each ping."""
        self.due = now + PING_EVERY

    def unwatch(self) -> None:
        """Send no more pings."""
        self.due = self.unanswered = 0

    def answered(self) -> None:
        """A ping was answered: the event loop runs."""
        self.unanswered = 0

    def ping(self, now: int) -> bool:
        """Count the due ping; False if too many are unanswered: the event loop is blocked."""
        if self.unanswered >= PINGS:
            self.due = 0
            return False
        self.unanswered += 1
        self.watch(now)
        return True
