"""The states of an HTTP connection and every move between them.

Machines run side by side, in the manner of h11 (client, server), since none of them determines another:

* *connection*: what happens to the bytes that arrive;
* *parser*: which part of a request the next byte belongs to;
* *receive* and *send*: how far the current request has been read, and how far it has been answered.

Which deadline applies follows from these (:class:`fal_jupyter.gateway.http.connection.deadlines.Awaited`): timers with states of their own
would have to be kept in step with them.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from fal_jupyter.domain.transitions import transition_table


class ConnectionState(StrEnum):
    """What happens to the bytes that arrive."""

    OPEN = "open"  # they are parsed
    DRAINING = "draining"  # they are not read: what came last was refused, and requests before it are not answered yet
    SWITCHED = "switched"  # a WebSocket's: they go to the handler unparsed
    LINGERING = "lingering"  # refused: they are discarded
    CLOSED = "closed"


class ConnectionEvent(StrEnum):
    """What moves a connection."""

    UPGRADED = "upgraded"
    REFUSAL_DEFERRED = "refusal deferred"
    REFUSED = "refused"
    LOST = "lost"


class ParserState(StrEnum):
    """Which part of a request the next byte belongs to."""

    IDLE = "idle"  # none: no request has begun
    HEAD = "head"
    BODY = "body"  # or its trailers
    IGNORED_UPGRADE = "ignored upgrade"  # its head offers another protocol, so that llhttp stops there
    REPLAY = "replay"  # a new parser reads the framing of that head


class ParserEvent(StrEnum):
    """What moves a parser."""

    MESSAGE_BEGUN = "message begun"
    HEAD_ENDED = "head ended"
    UPGRADE_IGNORED = "upgrade ignored"
    PARSER_REPLACED = "parser replaced"
    MESSAGE_ENDED = "message ended"


class ReceiveState(StrEnum):
    """How far a request has been read."""

    RECEIVING = "receiving"
    RECEIVED = "received"
    FAILED = "failed"  # its handler raised: no answer comes


class ReceiveEvent(StrEnum):
    """What moves a request that is being read."""

    BODY_ENDED = "body ended"
    HANDLER_FAILED = "handler failed"


class SendState(StrEnum):
    """How far a request has been answered."""

    PENDING = "pending"
    STREAMING = "streaming"
    COMPLETE = "complete"
    DISCONNECTED = "disconnected"  # nobody reads the answer


class SendEvent(StrEnum):
    """What moves an answer."""

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
        # the handler may not know yet
        SendState.DISCONNECTED: {
            SendEvent.HEAD_SENT: SendState.DISCONNECTED,
            SendEvent.ENDED: SendState.DISCONNECTED,
        },
    }
)
