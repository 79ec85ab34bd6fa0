"""A runner in the fleet: its state, and the legal transitions."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from fal_jupyter.domain.runners.health import Health
from fal_jupyter.domain.runners.liveness import Liveness
from fal_jupyter.domain.timeline.lanes import GONE, PAUSE


class State(StrEnum):
    """fal's runner states (documentation, "Runners"); DOCKER_PULL does not occur locally."""

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


_RUNNING: Final = State.RUNNING  # a name of this module: looking a member up in its enum costs ten times as much
_PAUSE: Final = int(PAUSE * 1_000_000)  # nanoseconds
MAX_UNREAD_MOVES: Final = 65536  # limit of unread ones


class IllegalRunnerTransition(Exception):
    """An illegal transition of a runner: an internal error."""


@dataclass(slots=True)
class Runner:
    """A runner's record. Times are monotonic nanoseconds; *since* is when it entered its state, *started*
    when its process was requested.

    *requested*: its owner started it, by a publication or manually, which counts as its first use.
    *killed*: it is TERMINATING and was killed, so only its exit is awaited. *health* is None if its health is not checked, *hints*
    are the latest ones. Each state that it enters is recorded in *moved*.
    """

    id: str
    alias: str
    revision: int
    state: State
    since: int
    started: int = 0
    used: int = 0
    served: int = 0
    requested: bool = False
    requests: set[str] = field(default_factory=set)
    killed: bool = False
    devices: tuple[str, ...] = ()
    liveness: Liveness = field(default_factory=Liveness)
    health: Health | None = None
    hints: frozenset[str] = frozenset()
    moved: deque[Moved] = field(default_factory=deque, repr=False)

    def __post_init__(self) -> None:
        self.moved.append((self.since, self, self.state))

    @property
    def in_flight(self) -> int:
        """Requests that this runner has and has not answered."""
        return len(self.requests)

    def move(self, state: State, now: int) -> None:
        """Enter *state*.

        Raises:
            IllegalRunnerTransition: the transition is illegal; nothing is changed then.
        """
        if state not in MOVES[self.state]:
            raise IllegalRunnerTransition(f"{self.id} cannot go from {self.state} to {state}")
        self.enter(state, now)

    def enter(self, state: State, now: int) -> None:
        """Enter *state* by a transition known to be legal: used for the two of each request, on the hot path."""
        self.state, self.since = state, now
        self.moved.append((now, self, state))

    def resume(self, now: int) -> None:
        """Enter RUNNING from IDLE.

        A pause between two requests that is too short for a timeline (:mod:`fal_jupyter.domain.timeline.lanes`) is removed here if it was not
        read yet: under load there are thousands per second.
        """
        moved = self.moved
        if self.served and moved and moved[-1][1] is self and now - self.since < _PAUSE:
            self.state, self.since = _RUNNING, now
            moved.pop()
        else:
            self.enter(_RUNNING, now)

    def mark_ended(self, now: int) -> None:
        """Its process has ended."""
        self.moved.append((now, self, GONE))


Moved = tuple[int, Runner, str]
"""When (monotonic nanoseconds) which runner entered which state, :data:`~fal_jupyter.domain.timeline.lanes.GONE` at last."""
