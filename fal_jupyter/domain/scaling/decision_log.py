"""The latest decisions about one app's runners, for listings and the timeline."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from fal_jupyter.domain.scaling.policy import Action, Cancel, Drain, Start, Terminate, Wake

REMEMBERED_DECISIONS = 50


@dataclass(frozen=True, slots=True)
class LoggedDecision:
    """One decision: its time (monotonic nanoseconds), the state before, and what was done by which rule.

    *kind* is ``up``, ``down``, ``retry`` or ``note``; *before* and *after* count running and starting runners.
    """

    at: int
    seen: str
    reason: str
    kind: str = "note"
    before: int = 0
    after: int = 0


@dataclass(slots=True)
class DecisionLog:
    """The latest decisions: *recent* for listings, *undrawn* for the timeline, which reads each once."""

    recent: deque[LoggedDecision] = field(default_factory=lambda: deque(maxlen=REMEMBERED_DECISIONS))
    undrawn: deque[LoggedDecision] = field(default_factory=lambda: deque(maxlen=REMEMBERED_DECISIONS))

    @property
    def reason(self) -> str:
        """The latest decision's sentence, or ``""``."""
        return self.recent[-1].reason if self.recent else ""

    def add(self, decision: LoggedDecision) -> None:
        """Log one decision."""
        self.recent.append(decision)
        self.undrawn.append(decision)


def direction(actions: Sequence[Action]) -> tuple[str, int]:
    """Return the kind of a decision with these actions, and by how many runners it changes their number."""
    started = sum(isinstance(action, Start) for action in actions)
    ended = sum(isinstance(action, Cancel | Terminate | Drain) for action in actions)
    retries = any(isinstance(action, Wake) for action in actions)
    kind = "up" if started > ended else "down" if ended > started else "retry" if retries else "note"
    return kind, started - ended
