"""How a request in flight is ended: its runner is notified, then forces it, then is replaced."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from fal_jupyter.domain.durations import SECOND

FORCE_AFTER: Final = 1 * SECOND  # for user code to end by itself, after it is notified of the disconnect
KILL_AFTER: Final = 5 * SECOND  # for an exception to take effect, before the process is replaced

How = Literal["tell", "force", "politely"]
"""``tell``: notify it of a disconnect. ``force``: raise an exception in it. ``politely``: request that a WebSocket closes."""


@dataclass(slots=True)
class Cancellation:
    """Why a request has to end, and when the next step is due (None: the last was taken)."""

    reason: str
    due: int | None

    def is_due(self, now: int) -> bool:
        """True when the next step has to be taken."""
        return self.due is not None and now >= self.due
