"""The states of an HTTP connection, and all transitions between them.

There are separate state machines, as in h11 (client, server), since none of them determines another:

* *connection*: how received bytes are handled;
* *parser*: the part of a request that the next byte belongs to;
* *receive* and *send*: the progress of reading and of answering the current request.

Which deadline applies follows from these (:class:`fal_jupyter.gateway.http.connection.deadlines.Awaited`): separate timer states
would have to be kept consistent with them.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from fal_jupyter.domain.transitions import transition_table


class ConnectionState(StrEnum):
    """How received bytes are handled."""

    OPEN = "open"  # they are parsed
    DRAINING = "draining"  # they are not read: the last request was refused, and earlier ones are not answered yet
    SWITCHED = "switched"  # a WebSocket: they are passed to the handler unparsed
    LINGERING = "lingering"  # refused: they are discarded
    CLOSED = "closed"


class ConnectionEvent(StrEnum):
    """Events of a connection."""

    UPGRADED = "upgraded"
    REFUSAL_DEFERRED = "refusal deferred"
    REFUSED = "refused"
    LOST = "lost"


class ParserState(StrEnum):
    """The part of a request that the next byte belongs to."""

    IDLE = "idle"  # none: no request has begun
    HEAD = "head"
    BODY = "body"  # or its trailers
    IGNORED_UPGRADE = "ignored upgrade"  # its head offers another protocol, where llhttp stops
    REPLAY = "replay"  # a new parser reads the framing of that head


class ParserEvent(StrEnum):
    """Events of a parser."""

    MESSAGE_BEGUN = "message begun"
    HEAD_ENDED = "head ended"
    UPGRADE_IGNORED = "upgrade ignored"
    PARSER_REPLACED = "parser replaced"
    MESSAGE_ENDED = "message ended"


class ReceiveState(StrEnum):
    """Progress of reading a request."""

    RECEIVING = "receiving"
    RECEIVED = "received"
    FAILED = "failed"  # its handler raised: there will be no answer


class ReceiveEvent(StrEnum):
    """Events of reading a request."""

    BODY_ENDED = "body ended"
    HANDLER_FAILED = "handler failed"


class SendState(StrEnum):
    """Progress of answering a request."""

    PENDING = "pending"
    STREAMING = "streaming"
    COMPLETE = "complete"
    DISCONNECTED = "disconnected"  # the caller no longer reads the answer


class SendEvent(StrEnum):
    """Events of an answer."""

    HEAD_SENT = "head sent"
    ENDED = "ended"
    CALLER_LEFT = "caller left"


CONNECTION: Final = transition_table(
    {
        ConnectionState.OPEN: {
            ConnectionEvent.UPGRADED: ConnectionState.SWITCHED,
            ConnectionEvent.REFUSAL_DEFERRED: ConnectionState.DRAINING,
            ConnectionEvent.REFUSED: ConnectionState.LINGERING,
            ConnectionEvent.LOST: ConnectionState.CLOSED,
        },
        ConnectionState.DRAINING: {
            ConnectionEvent.REFUSED: ConnectionState.LINGERING,
            ConnectionEvent.LOST: ConnectionState.CLOSED,
        },
        ConnectionState.SWITCHED: {ConnectionEvent.LOST: ConnectionState.CLOSED},
        ConnectionState.LINGERING: {ConnectionEvent.LOST: ConnectionState.CLOSED},
        ConnectionState.CLOSED: {},
    }
)

PARSER: Final = transition_table(
    {
        ParserState.IDLE: {ParserEvent.MESSAGE_BEGUN: ParserState.HEAD},
        ParserState.HEAD: {
            ParserEvent.HEAD_ENDED: ParserState.BODY,
            ParserEvent.UPGRADE_IGNORED: ParserState.IGNORED_UPGRADE,
        },
        ParserState.BODY: {ParserEvent.MESSAGE_ENDED: ParserState.IDLE},
        ParserState.IGNORED_UPGRADE: {ParserEvent.PARSER_REPLACED: ParserState.REPLAY},
        ParserState.REPLAY: {ParserEvent.HEAD_ENDED: ParserState.BODY},
    }
)

RECEIVE: Final = transition_table(
    {
        ReceiveState.RECEIVING: {
            ReceiveEvent.BODY_ENDED: ReceiveState.RECEIVED,
            ReceiveEvent.HANDLER_FAILED: ReceiveState.FAILED,
        },
        ReceiveState.RECEIVED: {ReceiveEvent.HANDLER_FAILED: ReceiveState.FAILED},
        ReceiveState.FAILED: {},
    }
)

SEND: Final = transition_table(
    {
        SendState.PENDING: {
            SendEvent.HEAD_SENT: SendState.STREAMING,
            SendEvent.CALLER_LEFT: SendState.DISCONNECTED,
        },
        SendState.STREAMING: {
            SendEvent.ENDED: SendState.COMPLETE,
            SendEvent.CALLER_LEFT: SendState.DISCONNECTED,
        },
        SendState.COMPLETE: {},
        # the handler may not have noticed yet
        SendState.DISCONNECTED: {
            SendEvent.HEAD_SENT: SendState.DISCONNECTED,
            SendEvent.ENDED: SendState.DISCONNECTED,
        },
    }
)
