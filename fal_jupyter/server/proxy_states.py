"""The states of a request that the Jupyter proxy passes on, and every move between them: how far it has been read, and how far answered."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from fal_jupyter.domain.transitions import transition_table


class PassedRequestState(StrEnum):
    """How far the client's request has been read."""

    RECEIVING = "receiving"
    RECEIVED = "received"


class PassedRequestEvent(StrEnum):
    """What moves a request that is being read."""

    BODY_ENDED = "body ended"


class PassedAnswerState(StrEnum):
    """How far the request has been answered."""

    PENDING = "pending"
    STREAMING = "streaming"
    COMPLETE = "complete"
    DISCONNECTED = "disconnected"  # the client left, or its connection was closed in the middle of the answer


class PassedAnswerEvent(StrEnum):
    """What moves an answer."""

    HEAD_SENT = "head sent"
    ENDED = "ended"
    CONNECTION_CLOSED = "connection closed"


RECEIVE: Final = transition_table(
    {
        PassedRequestState.RECEIVING: {PassedRequestEvent.BODY_ENDED: PassedRequestState.RECEIVED},
        PassedRequestState.RECEIVED: {},
    }
)

ANSWER: Final = transition_table(
    {
        PassedAnswerState.PENDING: {
            PassedAnswerEvent.HEAD_SENT: PassedAnswerState.STREAMING,
            PassedAnswerEvent.CONNECTION_CLOSED: PassedAnswerState.DISCONNECTED,
        },
        PassedAnswerState.STREAMING: {
            PassedAnswerEvent.ENDED: PassedAnswerState.COMPLETE,
            PassedAnswerEvent.CONNECTION_CLOSED: PassedAnswerState.DISCONNECTED,
        },
        # the client may still be sending its request
        PassedAnswerState.COMPLETE: {PassedAnswerEvent.CONNECTION_CLOSED: PassedAnswerState.DISCONNECTED},
        # who answers may not know yet; a connection that we close is reported as closed, too
        PassedAnswerState.DISCONNECTED: {
            PassedAnswerEvent.HEAD_SENT: PassedAnswerState.DISCONNECTED,
            PassedAnswerEvent.ENDED: PassedAnswerState.DISCONNECTED,
            PassedAnswerEvent.CONNECTION_CLOSED: PassedAnswerState.DISCONNECTED,
        },
    }
)
