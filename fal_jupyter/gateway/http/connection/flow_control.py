"""Back-pressure of one connection, in both directions."""

from __future__ import annotations

import asyncio

from fal_jupyter.gateway.http.connection.send_queue import unsent

WRITE_LIMIT = 1 << 20  # bytes buffered in the transport before writers must wait


class ReadFlow:
    """Pauses reading from a connection while any pause is active."""

    __slots__ = ("_pauses", "_transport")

    def __init__(self) -> None:
        self._pauses = 0
        self._transport: asyncio.Transport | None = None

    def open(self, transport: asyncio.Transport) -> None:
        """Set the connection's transport."""
        self._transport = transport

    @property
    def is_paused(self) -> bool:
        """True while reading is paused."""
        return self._pauses > 0

    def pause(self) -> None:
        """Pause reading; each call must be matched by one of :meth:`resume`."""
        self._pauses += 1
        if self._pauses == 1 and self._transport is not None:
            self._transport.pause_reading()

    def resume(self) -> None:
        """End one pause."""
        self._pauses -= 1
        if self._pauses == 0 and self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def release(self) -> None:
        """Read regardless of all present and future pauses."""
        if self._pauses and self._transport is not None:
            self._transport.resume_reading()
        self._transport = None

    def close(self) -> None:
        """The connection has ended."""
        self._transport = None


class WriteFlow:
    """Writes to a connection, with back-pressure, and disconnects a peer that reads nothing for *timeout* seconds."""

    __slots__ = ("_loop", "_sent", "_stall_timer", "_timeout", "_writable", "transport")

    def __init__(self, loop: asyncio.AbstractEventLoop, timeout: float) -> None:
        self._loop, self._timeout = loop, timeout
        self.transport: asyncio.Transport | None = None
        self._sent = 0  # bytes passed to the transport
        self._writable: asyncio.Future[None] | None = None
        self._stall_timer: asyncio.TimerHandle | None = None

    def open(self, transport: asyncio.Transport) -> None:
        """Set the connection's transport."""
        transport.set_write_buffer_limits(high=WRITE_LIMIT)
        self.transport = transport

    def write(self, data: bytes) -> asyncio.Future[None] | None:
        """Send *data*; wait for the returned future if it is not done. Nothing is sent if the peer has stopped reading."""
        if self.transport is None:
            return None
        self._sent += len(data)
        self.transport.write(data)
        return None if self._writable is None or self._writable.done() else self._writable

    def backed_up(self) -> bool:
        """True while the peer does not read the data sent."""
        return self._writable is not None and not self._writable.done()

    def pause(self) -> None:
        """The transport's buffer is full."""
        if not self.backed_up():
            self._writable = self._loop.create_future()
        if self._stall_timer is None and self.transport is not None:
            self._watch()

    def resume(self) -> None:
        """The transport's buffer has drained."""
        self._stop_watching()
        if self._writable is not None and not self._writable.done():
            self._writable.set_result(None)

    def close(self) -> None:
        """Send nothing more, and release waiting writers."""
        self.transport = None
        self.resume()

    # --- peers that stop reading --------------------------------------------------------------------------------
    def _watch(self) -> None:
        self._stall_timer = self._loop.call_later(self._timeout, self._check_progress, self._bytes_taken())

    def _stop_watching(self) -> None:
        if self._stall_timer is not None:
            self._stall_timer.cancel()
            self._stall_timer = None

    def _bytes_taken(self) -> int:
        """Return the number of bytes that the peer has received."""
        if self.transport is None:
            return self._sent
        fd = self.transport.get_extra_info("socket").fileno()
        return self._sent - self.transport.get_write_buffer_size() - unsent(fd)

    def _check_progress(self, before: int) -> None:
        self._stall_timer = None
        if self.transport is None or not self.backed_up():
            return
        if self._bytes_taken() <= before:
            self.transport.abort()
        else:
            self._watch()
