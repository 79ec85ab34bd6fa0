"""The states of an attempt of a queued request, and every move between them.

Another attempt begins when two things have happened, in either order: the attempt failed so that it is retried, and its runner has
let go of the request.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from fal_jupyter.domain.transitions import transition_table


class AttemptState(StrEnum):
    """How far the present attempt is."""

    RUNNING = "running"
    RELEASED = "released"  # its runner has let go of it; whether it is retried is not decided yet
    FAILED = "failed"  # it is retried once its runner has let go of it
    DUE = "due"  # the timer of the next attempt runs
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
        # a job that is cancelled ends before its runner lets go
        AttemptState.OVER: {
            AttemptEvent.RELEASED: AttemptState.OVER,
            AttemptEvent.ENDED: AttemptState.OVER,
        },
    }
)
