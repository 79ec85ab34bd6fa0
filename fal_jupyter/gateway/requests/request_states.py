"""The states of a proxied request and every move between them.

Three machines run side by side, in the manner of h11 (client, server, keep-alive), since none of them determines another:

* *delivery*: how far the request is on its way to a runner;
* *response*: what the caller has of the answer. The caller may leave while the runner works on, and a request may be answered
  by the gateway (a timeout) while the runner works on;
* *body*: how far the request's body has been read and sent.

A pair that is not in a table raises (:mod:`fal_jupyter.domain.transitions`).
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from fal_jupyter.domain.transitions import transition_table


class DeliveryState(StrEnum):
    """How far the request is on its way to a runner."""

    RECEIVING = "receiving"  # too little of it is here for a runner to begin
    QUEUED = "queued"
    UNDELIVERED = "undelivered"  # its runner had ended before it got anything; it is not queued again yet
    RUNNING = "running"
    ENDED = "ended"


class DeliveryEvent(StrEnum):
    """What moves a request on its way to a runner."""

    ARRIVED = "arrived"
    SENT = "sent"
    NOT_SENT = "not sent"
    REQUEUED = "requeued"
    STREAM_ENDED = "stream ended"


class ResponseState(StrEnum):
    """What the caller has of the answer."""

    PENDING = "pending"
    STREAMING = "streaming"
    COMPLETE = "complete"  # answered in full or broken off: nothing more of the runner is passed on
    DISCONNECTED = "disconnected"  # the caller left before the end; the runner may still be at work
    CLOSED = "closed"  # over, and the caller left


class ResponseEvent(StrEnum):
    """What moves an answer."""

    HEAD_SENT = "head sent"
    FINISHED = "finished"
    CALLER_LEFT = "caller left"


class BodyState(StrEnum):
    """How far the request's body is."""

    RECEIVING = "receiving"
    RECEIVED = "received"  # to its end, which the runner does not know yet
    SENT = "sent"
    DISCARDED = "discarded"  # the request was over before the end of its body came


class BodyEvent(StrEnum):
    """What moves a request's body."""

    END_RECEIVED = "end received"
    END_SENT = "end sent"
    END_IGNORED = "end ignored"


DELIVERY: Final = transition_table(
    {
        DeliveryState.RECEIVING: {DeliveryEvent.ARRIVED: DeliveryState.QUEUED},
        DeliveryState.QUEUED: {
            DeliveryEvent.SENT: DeliveryState.RUNNING,
            DeliveryEvent.NOT_SENT: DeliveryState.UNDELIVERED,
        },
        DeliveryState.UNDELIVERED: {DeliveryEvent.REQUEUED: DeliveryState.QUEUED},
        DeliveryState.RUNNING: {DeliveryEvent.STREAM_ENDED: DeliveryState.ENDED},
        # a last frame that could not be processed ends the stream once more
        DeliveryState.ENDED: {DeliveryEvent.STREAM_ENDED: DeliveryState.ENDED},
    }
)

RESPONSE: Final = transition_table(
    {
        ResponseState.PENDING: {
            ResponseEvent.HEAD_SENT: ResponseState.STREAMING,
            ResponseEvent.FINISHED: ResponseState.COMPLETE,
            ResponseEvent.CALLER_LEFT: ResponseState.DISCONNECTED,
        },
        ResponseState.STREAMING: {
            ResponseEvent.FINISHED: ResponseState.COMPLETE,
            ResponseEvent.CALLER_LEFT: ResponseState.DISCONNECTED,
        },
        # the runner's stream ends after the gateway answered in its place
        ResponseState.COMPLETE: {
            ResponseEvent.FINISHED: ResponseState.COMPLETE,
            ResponseEvent.CALLER_LEFT: ResponseState.CLOSED,
        },
        ResponseState.DISCONNECTED: {
            ResponseEvent.HEAD_SENT: ResponseState.DISCONNECTED,
            ResponseEvent.FINISHED: ResponseState.CLOSED,
        },
        ResponseState.CLOSED: {ResponseEvent.FINISHED: ResponseState.CLOSED},
    }
)

BODY: Final = transition_table(
    {
        BodyState.RECEIVING: {
            BodyEvent.END_RECEIVED: BodyState.RECEIVED,
            BodyEvent.END_IGNORED: BodyState.DISCARDED,
        },
        BodyState.RECEIVED: {BodyEvent.END_SENT: BodyState.SENT},
        BodyState.SENT: {},
        BodyState.DISCARDED: {},
    }
)
