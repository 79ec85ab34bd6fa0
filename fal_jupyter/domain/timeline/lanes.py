"""The state of each runner over time, drawn as a lane of the timeline.

A runner under load changes between IDLE and RUNNING thousands of times a second, too often to store or to see. So a pause
between two calls that is shorter than the resolution at its age is removed: a lane shows a runner busy a little longer than it
was, and never idle while it ran. Every other change keeps its exact time.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

Move = tuple[float, str]
"""When a state was entered (wall clock, milliseconds), and the state."""

IDLE, RUNNING, GONE = "IDLE", "RUNNING", "GONE"
PAUSE: Final = 250.0  # milliseconds; a shorter pause between two calls is not reported
_COARSER: Final = (
    (60_000.0, PAUSE),
    (300_000.0, 1_000.0),
)  # up to this age, pauses of at least this many milliseconds stay
_COARSEST: Final = 6_000.0


def resolution(age: float) -> float:
    """Return the shortest pause that a lane keeps at an age, both in milliseconds: about a pixel of the window that shows that age."""
    return next((pause for limit, pause in _COARSER if age <= limit), _COARSEST)


def coarser(moves: Sequence[Move], now: float, most: int, coarsest: float = math.inf) -> list[Move]:
    """Close short pauses, more of them the older they are, until at most *most* moves are left, or no pause is.

    No pause longer than *coarsest* times the resolution of its age is closed.
    """
    factor, result = 1.0, list(moves)
    while len(result) > most and factor <= coarsest and _has_pauses(result):
        result = _closed(result, now, factor)
        factor *= 2
    return result


def _has_pauses(moves: Sequence[Move]) -> bool:
    states = [state for _, state in moves]
    return any(states[at : at + 3] == [RUNNING, IDLE, RUNNING] for at in range(len(states) - 2))


def _closed(moves: Sequence[Move], now: float, factor: float) -> list[Move]:
    result: list[Move] = []
    for at, state in moves:
        paused = len(result) > 1 and result[-1][1] == IDLE and result[-2][1] == RUNNING
        if state == RUNNING and paused and at - result[-1][0] < factor * resolution(now - at):
            result.pop()
        else:
            result.append((at, state))
    return result


class LaneMoves:
    """One runner's state changes, at most *most* of them. ``fresh`` are those since the last read."""

    def __init__(self, most: int) -> None:
        self.moves: list[Move] = []
        self.fresh: list[Move] = []
        self._most = most
        self._paused: float | None = None  # start of its IDLE state, while the next call may still remove the pause

    @property
    def settled(self) -> bool:
        """False while a pause has not been reported."""
        return self._paused is None

    @property
    def known_until(self) -> float:
        """The moment after which a move may still be added by :meth:`settle`."""
        return math.inf if self._paused is None else self._paused

    def enter(self, state: str, at: float) -> Sequence[Move]:
        """Record that the runner entered *state* at *at*; times never decrease. Returns the added changes."""
        added: list[Move] = []
        if self._paused is not None:
            paused, self._paused = self._paused, None
            if state == RUNNING and at - paused < PAUSE:
                return ()
            added.append(self._keep(IDLE, paused))
        last = self.moves[-1][1] if self.moves else ""
        if state == IDLE and last == RUNNING:
            self._paused = at
        elif state != last:
            added.append(self._keep(state, at))
        return added

    def settle(self, now: float) -> Sequence[Move]:
        """Report a pause that has lasted long enough at *now*. Returns the added changes."""
        if self._paused is not None and now - self._paused >= PAUSE:
            paused, self._paused = self._paused, None
            return (self._keep(IDLE, paused),)
        return ()

    def take(self) -> list[Move]:
        """Return the moves since the last call."""
        fresh, self.fresh = self.fresh, []
        return fresh

    def _keep(self, state: str, at: float) -> Move:
        move = (max(at, self.moves[-1][0]) if self.moves else at, state)
        self.moves.append(move)
        self.fresh.append(move)
        if len(self.moves) > self._most:
            self.moves = coarser(self.moves, at, self._most // 2)
        return move
