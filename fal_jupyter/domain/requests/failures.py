"""Decides what follows when the fleet fails a request: it is answered, with this failure or another one, or queued again."""

from __future__ import annotations

from dataclasses import dataclass, replace

from fal_jupyter.domain.events import FailRequest

NOT_STARTED = "runner_scheduling_failure"
RUNNER_LOST = "runner_disconnected"


@dataclass(frozen=True, slots=True)
class Ending:
    """The answer to a request that is still waiting when the gateway ends."""

    error_type: str
    detail: str
    retry_after: int = 1


def failure_to_send(
    command: FailRequest, *, dispatched: bool, undelivered: bool, ending: Ending | None
) -> FailRequest | None:
    """Return the failure to answer with; None if the request is queued again.

    Args:
        command: the fleet's decision.
        dispatched: a runner has (or had) the request.
        undelivered: its runner had ended before it received any of the request.
        ending: set while the gateway drains.
    """
    if ending is not None and not dispatched and command.error_type == NOT_STARTED:
        return replace(command, error_type=ending.error_type, detail=ending.detail, retry_after=ending.retry_after)
    if undelivered and command.error_type == RUNNER_LOST:
        return None
    return command


def is_caused_by_last_start(command: FailRequest, *, dispatched: bool) -> bool:
    """True if the error of the app's last failed start explains the failure."""
    return not dispatched and command.error_type == NOT_STARTED
