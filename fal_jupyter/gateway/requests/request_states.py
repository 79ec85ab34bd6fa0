"""The states of a proxied request, and all transitions between them.

There are three state machines, as in h11 (client, server, keep-alive), since none of them determines another:

* *delivery*: the progress of sending the request to a runner;
* *response*: the progress of the answer. The caller may disconnect while the runner continues, and a request may be answered
  by the gateway (a timeout) while the runner continues;
* *body*: the progress of reading and sending the request's body.

A pair that is not in a table raises (:mod:`fal_jupyter.domain.transitions`).
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from fal_jupyter.domain.transitions import transition_table


class DeliveryState(StrEnum):
    """Progress of sending the request to a runner."""

    RECEIVING = "receiving"  # too little of it has arrived for a runner to begin
    QUEUED = "queued"
    UNDELIVERED = "undelivered"  # its runner had ended before it received anything; it is not queued again yet
    RUNNING = "running"
    ENDED = "ended"


class DeliveryEvent(StrEnum):
    """Events of the delivery."""

    ARRIVED = "arrived"
    SENT = "sent"
    NOT_SENT = "not sent"
    REQUEUED = "requeued"
    STREAM_ENDED = "stream ended"


class ResponseState(StrEnum):
    """Progress of the answer to the caller."""

    PENDING = "pending"
    STREAMING = "streaming"
    COMPLETE = "complete"  # answered completely or cut off: no further data of the runner is forwarded
    DISCONNECTED = "disconnected"  # the caller disconnected before the end; the runner may still be working
    CLOSED = "closed"  # ended, and the caller disconnected


class ResponseEvent(StrEnum):
    """Events of the answer."""

    HEAD_SENT = "head sent"
    FINISHED = "finished"
    CALLER_LEFT = "caller left"


class BodyState(StrEnum):
    """Progress of the request's body."""

    RECEIVING = "receiving"
    RECEIVED = "received"  # completely, but its end was not sent to the runner yet
    SENT = "sent"
    DISCARDED = "discarded"  # the request ended before its body was complete


class BodyEvent(StrEnum):
    """Events of the body."""

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
        # an invalid last frame ends the stream a second time
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
        # the runner's stream ends after the gateway answered instead
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
