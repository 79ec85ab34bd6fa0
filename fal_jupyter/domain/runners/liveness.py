"""Liveness of a runner: one request can block the event loop for all others in it.

A runner with several requests is pinged; one that answers none of several pings in a row is blocked. A request that is alone
blocks nobody else: its own request_timeout is its limit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from fal_jupyter.domain.durations import SECOND

PING_EVERY: Final = 5 * SECOND  # fal's health check: 5 s, three times (reliability row 5) …
PINGS: Final = 3  # … here counted in pings, so that a gateway that was suspended itself blames no runner


@dataclass(slots=True)
class Liveness:
    """One runner's pings: *due* is when the next is sent (0: none is), *unanswered* how many in a row got no answer."""

    due: int = 0
    unanswered: int = 0

    def watch(self, now: int) -> None:
        """Ping from now on, with a pause before each ping."""
        self.due = now + PING_EVERY

    def unwatch(self) -> None:
        """Send no more pings."""
        self.due = self.unanswered = 0

    def answered(self) -> None:
        """The event loop runs."""
        self.unanswered = 0

    def ping(self, now: int) -> bool:
        """Take the due ping; False if too many got no answer: the event loop is blocked."""
        if self.unanswered >= PINGS:
            self.due = 0
            return False
        self.unanswered += 1
        self.watch(now)
        return True
