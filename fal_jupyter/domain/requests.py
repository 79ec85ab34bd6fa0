"""One request as the fleet knows it."""

from __future__ import annotations

from dataclasses import dataclass

from fal_jupyter.domain.messages import RequestArrived

MAX_WAITING = 1000  # requests that may wait for one app; beyond: 503 with Retry-After (reliability row 44)


@dataclass(slots=True)
class Request:
    """A request that is waiting (*runner_id* empty) or in flight. Times are monotonic nanoseconds."""

    id: str
    alias: str
    arrived: int
    runner_id: str = ""
    dispatched: int = 0
    aborted: bool = False
    lasting: bool = False
    queued: bool = False
    low: bool = False

    @staticmethod
    def of(fact: RequestArrived, now: int) -> Request:
        """A request that has just arrived."""
        return Request(fact.request_id, fact.alias, now, lasting=fact.lasting, queued=fact.queued, low=fact.low)
