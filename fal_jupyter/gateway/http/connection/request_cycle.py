"""One request of a connection and its response, like uvicorn's class of this name."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Protocol

import msgspec

from fal_jupyter.gateway.http.connection.flow_control import WriteFlow
from fal_jupyter.gateway.http.connection.response_framing import ResponseFraming
from fal_jupyter.gateway.http.connection.states import (
    RECEIVE,
    SEND,
    ReceiveEvent,
    ReceiveState,
    SendEvent,
    SendState,
)
from fal_jupyter.gateway.http.messages import IncomingRequest
from fal_jupyter.gateway.http.response_writer import Headers

_RECEIVED, _BODY_ENDED = ReceiveState.RECEIVED, ReceiveEvent.BODY_ENDED
_STREAMING, _HEAD_SENT, _ENDED = SendState.STREAMING, SendEvent.HEAD_SENT, SendEvent.ENDED


class ServerConnection(Protocol):
    """The interface of a connection for its cycles (:class:`fal_jupyter.gateway.http.server.HttpConnection`)."""

    role: str | None

    @property
    def socket(self) -> socket.socket:
        """Its socket."""

    @property
    def encrypted(self) -> bool:
        """True on a TLS port."""

    def cycle_ended(self, *, keep_alive: bool) -> None:
        """The answer of the current request is complete."""


class RequestResponseCycle(msgspec.Struct, eq=False):
    """One request and its response: the :class:`~fal_jupyter.gateway.http.response_writer.ResponseWriter` of its handler.

    Attributes:
        handshake: the request is a WebSocket handshake, according to the headers Connection and Upgrade.
        rewrite: changes the response's headers (CORS).
    """

    _connection: ServerConnection
    _writes: WriteFlow
    _framing: ResponseFraming
    handshake: bool
    handler: IncomingRequest | None = None  # until the cycle has ended
    rewrite: Callable[[Headers], Headers] | None = None
    _close_callback: Callable[[], None] | None = None
    _receive_state: ReceiveState = ReceiveState.RECEIVING
    _send_state: SendState = SendState.PENDING

    # --- about the connection -----------------------------------------------------------------------------------
    @property
    def role(self) -> str:
        """The role of a Jupyter server's connection (``H_ROLE``); ``""`` for the gateway's user."""
        return self._connection.role or ""

    @property
    def socket(self) -> socket.socket:
        """The connection's socket, to identify its peer."""
        return self._connection.socket

    @property
    def encrypted(self) -> bool:
        """True on a TLS port."""
        return self._connection.encrypted

    @property
    def disconnected(self) -> bool:
        """True if the caller no longer reads an answer."""
        return self._writes.transport is None

    # --- the response (ResponseWriter) --------------------------------------------------------------------------
    def respond(self, status: int, headers: Headers, body: bytes) -> None:
        """Send the head and the first body; names of headers are in lower case."""
        self._send_state = SEND[self._send_state][_HEAD_SENT]
        if self.rewrite is not None:
            headers = self.rewrite(headers)
        self._writes.write(self._framing.begin(status, headers, body))

    def write(self, data: bytes) -> asyncio.Future[None] | None:
        """Send more body; wait for the returned future if it is not done."""
        framed = self._framing.body(data)
        return self._writes.write(framed) if framed else None

    def backed_up(self) -> bool:
        """True while the caller does not read the data sent."""
        return self._writes.backed_up()

    def finish(self) -> None:
        """The response is complete: the connection serves the next request, or ends."""
        end = self._framing.end() if self._writes.transport is not None else b""
        self._send_state = SEND[self._send_state][_ENDED]
        self.handler = self._close_callback = None
        if end:
            self._writes.write(end)
        self._connection.cycle_ended(keep_alive=self._framing.keep_alive and self._receive_state is _RECEIVED)

    def drop(self) -> None:
        """Close the connection immediately."""
        if self._writes.transport is not None:
            self._writes.transport.abort()

    def on_close(self, callback: Callable[[], None]) -> None:
        """Call *callback* if the caller disconnects."""
        self._close_callback = callback

    # --- from the connection ------------------------------------------------------------------------------------
    @property
    def is_received(self) -> bool:
        """True if the request has been read completely and its handler is running."""
        return self._receive_state is _RECEIVED

    @property
    def is_answering(self) -> bool:
        """True once the response has begun."""
        return self._send_state is _STREAMING

    @property
    def upgrades(self) -> bool:
        """True if everything after the head is one stream of bytes."""
        return self.handler is not None and self.handler.upgrades

    def end_of_request(self) -> None:
        """The request has been read completely; one that upgrades has no end."""
        handler = self.handler
        if handler is not None and not handler.upgrades:
            self._receive_state = RECEIVE[self._receive_state][_BODY_ENDED]
            handler.finish()

    def fail(self) -> None:
        """The handler raised: there will be no answer."""
        self._receive_state = RECEIVE[self._receive_state][ReceiveEvent.HANDLER_FAILED]

    def disconnect(self) -> None:
        """The caller no longer reads an answer."""
        self._send_state = SEND[self._send_state][SendEvent.CALLER_LEFT]
        handler, callback = self.handler, self._close_callback
        self.handler = self._close_callback = None
        if callback is not None:
            callback()
        elif handler is not None:
            handler.on_connection_close()
