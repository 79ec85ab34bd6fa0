"""The states of a request that the Jupyter proxy passes on, and every move between them: how far it has been read, and how far answered."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from fal_jupyter.domain.transitions import transition_table


class ReceiveState(StrEnum):
    """How far the client's request has been read."""

    RECEIVING = "receiving"
    RECEIVED = "received"


class ReceiveEvent(StrEnum):
    """What moves a request that is being read."""

    BODY_ENDED = "body ended"


class AnswerState(StrEnum):
    """How far the request has been answered."""

    PENDING = "pending"
    STREAMING = "streaming"
    COMPLETE = "complete"
    DISCONNECTED = "disconnected"  # the client left, or its connection was closed in the middle of the answer


class AnswerEvent(StrEnum):
    """What moves an answer."""

    HEAD_SENT = "head sent"
    ENDED = "ended"
    CONNECTION_CLOSED = "connection closed"


RECEIVE: Final = transition_table(
    {
        ReceiveState.RECEIVING: {ReceiveEvent.BODY_ENDED: ReceiveState.RECEIVED},
        ReceiveState.RECEIVED: {},
    }
)

ANSWER: Final = transition_table(
    {
        AnswerState.PENDING: {
            AnswerEvent.HEAD_SENT: AnswerState.STREAMING,
            AnswerEvent.CONNECTION_CLOSED: AnswerState.DISCONNECTED,
        },
        AnswerState.STREAMING: {
            AnswerEvent.ENDED: AnswerState.COMPLETE,
            AnswerEvent.CONNECTION_CLOSED: AnswerState.DISCONNECTED,
        },
        # the client may still be sending its request
        AnswerState.COMPLETE: {AnswerEvent.CONNECTION_CLOSED: AnswerState.DISCONNECTED},
        # who answers may not know yet; a connection that we close is reported as closed, too
        AnswerState.DISCONNECTED: {
            AnswerEvent.HEAD_SENT: AnswerState.DISCONNECTED,
            AnswerEvent.ENDED: AnswerState.DISCONNECTED,
            AnswerEvent.CONNECTION_CLOSED: AnswerState.DISCONNECTED,
        },
    }
)
