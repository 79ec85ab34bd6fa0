"""The end of a connection whose peer may still be sending (RFC 9112, 9.6): closing a socket with unread bytes destroys the answer."""

from __future__ import annotations

import asyncio

from fal_jupyter.gateway.http.messages import LINGER, LINGER_BYTES


class LingeringClose:
    """Sends a last answer, discards further data, and closes after a timeout."""

    __slots__ = ("_discarded", "_timer", "_transport")

    def __init__(self, transport: asyncio.Transport, answer: bytes) -> None:
        self._transport = transport
        self._discarded = 0  # bytes
        self._timer = asyncio.get_running_loop().call_later(LINGER, transport.abort)
        transport.write(answer)
        if transport.can_write_eof():
            transport.write_eof()

    def data_received(self, size: int) -> None:
        """Bytes came."""
        self._discarded += size
        if self._discarded > LINGER_BYTES:
            self._transport.abort()

    def abort(self) -> None:
        """Close now."""
        self._transport.abort()

    def connection_lost(self) -> None:
        """The connection has ended."""
        self._timer.cancel()
