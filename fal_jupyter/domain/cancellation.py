"""How a request is ended that its caller, or its time limit, wants ended: told, then forced, then its runner is replaced."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from fal_jupyter.domain.scaling.policy import SECOND

FORCE_AFTER = 1 * SECOND  # what user code has to end by itself, once it is told that nobody waits
KILL_AFTER = 5 * SECOND  # what an exception has to get through, before the process is replaced

How = Literal["tell", "force", "politely"]
"""``tell``: nobody waits (a disconnect). ``force``: an exception in it. ``politely``: a websocket shall close."""


@dataclass(slots=True)
class Cancellation:
    """One request's end: the last step, when the next is due (None: overdue, it goes with its runner), and why it is wanted."""

    how: How
    at: int | None
    why: str

    @staticmethod
    def begin(how: How, why: str, now: int) -> Cancellation:
        """The first step is taken now."""
        return Cancellation(how, now + (FORCE_AFTER if how == "tell" else KILL_AFTER), why)

    def is_due(self, now: int) -> bool:
        """True when the next step has to be taken."""
        return self.at is not None and now >= self.at

    def step(self, now: int) -> bool:
        """Take the next step; True where it is to force the request, False where it is overdue now."""
        if self.how == "tell":
            self.how, self.at = "force", now + KILL_AFTER
            return True
        self.at = None
        return False
