"""The states of an attempt of a queued request, and all transitions between them.

Another attempt begins after two events, in either order: the attempt failed and is retried, and its runner has
released the request.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from fal_jupyter.domain.transitions import transition_table


class AttemptState(StrEnum):
    """The state of the current attempt."""

    RUNNING = "running"
    RELEASED = "released"  # its runner has released it; whether it is retried is undecided
    FAILED = "failed"  # it is retried once its runner has released it
    DUE = "due"  # the timer of the next attempt is running
    OVER = "over"  # there is no further attempt


class AttemptEvent(StrEnum):
    """What moves an attempt."""

    FAILED = "failed"
    RELEASED = "released"
    STARTED = "started"
    ENDED = "ended"


ATTEMPT: Final = transition_table(
    {
        AttemptState.RUNNING: {
            AttemptEvent.FAILED: AttemptState.FAILED,
            AttemptEvent.RELEASED: AttemptState.RELEASED,
            AttemptEvent.ENDED: AttemptState.OVER,
        },
        AttemptState.RELEASED: {
            AttemptEvent.FAILED: AttemptState.DUE,
            AttemptEvent.ENDED: AttemptState.OVER,
        },
        AttemptState.FAILED: {
            AttemptEvent.RELEASED: AttemptState.DUE,
            AttemptEvent.ENDED: AttemptState.OVER,
        },
        AttemptState.DUE: {
            AttemptEvent.STARTED: AttemptState.RUNNING,
            AttemptEvent.ENDED: AttemptState.OVER,
        },
        # a cancelled job ends before its runner releases it
        AttemptState.OVER: {
            AttemptEvent.RELEASED: AttemptState.OVER,
            AttemptEvent.ENDED: AttemptState.OVER,
        },
    }
)
