"""A request in the fleet, and its phases."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from fal_jupyter.domain.durations import nanoseconds
from fal_jupyter.domain.events import RequestArrived

MAX_WAITING = 1000  # requests that may wait for one app; beyond: 503 with Retry-After (reliability row 44)


class RequestPhase(StrEnum):
    """The phase of a request. There is no phase for its end: the fleet removes it then."""

    WAITING = "waiting"
    IN_FLIGHT = "in flight"
    ABANDONED = "abandoned"  # its caller disconnected; it may continue until its time limit
    CANCELLING = "cancelling"  # the runner was notified, and user code may still end it by itself
    FORCED = "forced"  # the runner raises an exception in it
    OVERDUE = "overdue"  # it did not end: its runner is replaced


REQUEST_MOVES: Final[dict[RequestPhase, frozenset[RequestPhase]]] = {
    RequestPhase.WAITING: frozenset({RequestPhase.IN_FLIGHT}),
    RequestPhase.IN_FLIGHT: frozenset({RequestPhase.ABANDONED, RequestPhase.CANCELLING, RequestPhase.FORCED}),
    RequestPhase.ABANDONED: frozenset({RequestPhase.CANCELLING, RequestPhase.FORCED}),
    RequestPhase.CANCELLING: frozenset({RequestPhase.FORCED}),
    RequestPhase.FORCED: frozenset({RequestPhase.OVERDUE}),
    RequestPhase.OVERDUE: frozenset(),
}


class IllegalFleetRequestTransition(Exception):
    """An illegal transition of a request: an internal error."""


@dataclass(slots=True)
class FleetRequest:
    """A request that is waiting (*runner_id* empty) or with a runner. Times are monotonic nanoseconds.

    Attributes:
        start_by: deadline for its dispatch, 0 if it may wait; *limited_by_caller*: its caller set that limit.
        long_lived: a WebSocket: request_timeout does not apply.
        queued: submitted through the queue, no caller waits on a connection.
        low: it is dispatched after all requests of normal priority.
        hint: a runner with this hint is preferred.
    """

    id: str
    alias: str
    arrived: int
    long_lived: bool = False
    queued: bool = False
    low: bool = False
    start_by: int = 0
    limited_by_caller: bool = False
    hint: str = ""
    phase: RequestPhase = RequestPhase.WAITING
    runner_id: str = ""
    dispatched: int = 0

    @staticmethod
    def of(event: RequestArrived, start_within: float, now: int) -> FleetRequest:
        """A request that has just arrived; *start_within* is its app's limit (seconds, 0: none)."""
        within = event.start_within or start_within
        return FleetRequest(
            event.request_id,
            event.alias,
            now,
            event.long_lived,
            event.queued,
            event.low,
            now + nanoseconds(within) if within else 0,
            event.start_within > 0,
            event.hint,
        )

    def move(self, phase: RequestPhase) -> None:
        """Enter *phase*.

        Raises:
            IllegalFleetRequestTransition: the transition is illegal; nothing is changed then.
        """
        if phase not in REQUEST_MOVES[self.phase]:
            raise IllegalFleetRequestTransition(f"{self.id} cannot go from {self.phase} to {phase}")
        self.phase = phase
