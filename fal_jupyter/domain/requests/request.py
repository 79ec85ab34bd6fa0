"""One request as the fleet knows it."""

from __future__ import annotations

from dataclasses import dataclass

from fal_jupyter.domain.events import RequestArrived
from fal_jupyter.domain.scaling.policy import nanoseconds

MAX_WAITING = 1000  # requests that may wait for one app; beyond: 503 with Retry-After (reliability row 44)


@dataclass(slots=True)
class FleetRequest:
    """A request that is waiting (*runner_id* empty) or in flight. Times are monotonic nanoseconds; *start_by* is 0 where it
    may wait, *hurried*: its caller set that."""

    id: str
    alias: str
    arrived: int
    runner_id: str = ""
    dispatched: int = 0
    aborted: bool = False
    long_lived: bool = False
    queued: bool = False
    low: bool = False
    start_by: int = 0
    hurried: bool = False
    hint: str = ""

    @staticmethod
    def of(event: RequestArrived, start_within: float, now: int) -> FleetRequest:
        """A request that has just arrived; *start_within* is what its app says (seconds, 0: nothing)."""
        within = event.start_within or start_within
        return FleetRequest(
            event.request_id,
            event.alias,
            now,
            long_lived=event.long_lived,
            queued=event.queued,
            low=event.low,
            start_by=now + nanoseconds(within) if within else 0,
            hurried=event.start_within > 0,
            hint=event.hint,
        )
