"""One runner as the fleet knows it: its state, and which moves are legal."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from fal_jupyter.domain.health import Health


class State(StrEnum):
    """fal's runner states (documentation, "Runners"); DOCKER_PULL has no local meaning."""

    PENDING = "PENDING"
    SETUP = "SETUP"
    IDLE = "IDLE"
    RUNNING = "RUNNING"
    DRAINING = "DRAINING"
    TERMINATING = "TERMINATING"
    CRASH_BACKOFF = "CRASH_BACKOFF"


SUPPLY = frozenset({State.CRASH_BACKOFF, State.PENDING, State.SETUP, State.IDLE, State.RUNNING})
READY = frozenset({State.IDLE, State.RUNNING})
STARTING = frozenset({State.PENDING, State.SETUP})

MOVES: dict[State, frozenset[State]] = {
    State.CRASH_BACKOFF: frozenset({State.PENDING}),
    State.PENDING: frozenset({State.SETUP, State.TERMINATING}),
    State.SETUP: frozenset({State.IDLE, State.TERMINATING}),
    State.IDLE: frozenset({State.RUNNING, State.TERMINATING}),
    State.RUNNING: frozenset({State.IDLE, State.DRAINING, State.TERMINATING}),
    State.DRAINING: frozenset({State.TERMINATING}),
    State.TERMINATING: frozenset(),
}


class IllegalMove(Exception):
    """The fleet tried a move that no runner makes: a defect of ours, never of the user's."""


@dataclass(slots=True)
class Runner:
    """A runner's record. Times are monotonic nanoseconds; *since* is when it entered its state, *started*
    when its process was wanted.

    *health* is None where nothing checks it, *hints* are what it said last that it is good for. *ping_at* is when its event loop is asked for a sign of life next (0: not watched), *unanswered* how often it gave none.
    """

    id: str
    alias: str
    revision: int
    state: State
    since: int
    started: int = 0
    used: int = 0
    served: int = 0
    requests: set[str] = field(default_factory=set)
    killed: bool = False
    failed: bool = False
    devices: tuple[str, ...] = ()
    ping_at: int = 0
    unanswered: int = 0
    health: Health | None = None
    hints: frozenset[str] = frozenset()

    @property
    def in_flight(self) -> int:
        """Requests that this runner has and has not answered."""
        return len(self.requests)

    def move(self, state: State, now: int) -> None:
        """Enter *state*.

        Raises:
            IllegalMove: no runner moves so; nothing is changed then.
        """
        if state not in MOVES[self.state]:
            raise IllegalMove(f"{self.id} cannot go from {self.state} to {state}")
        self.state = state
        self.since = now
