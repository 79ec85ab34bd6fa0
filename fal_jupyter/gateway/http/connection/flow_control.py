"""Back-pressure of one connection, in both directions."""

from __future__ import annotations

import asyncio

from fal_jupyter.gateway.http.connection.send_queue import unsent

WRITE_LIMIT = 1 << 20  # bytes that wait in the transport before a writer is asked to wait


class ReadFlow:
    """Pauses the reading of a connection for as long as anyone asks for it."""

    __slots__ = ("_pauses", "_transport")

    def __init__(self) -> None:
        self._pauses = 0
        self._transport: asyncio.Transport | None = None

    def open(self, transport: asyncio.Transport) -> None:
        """The connection is there."""
        self._transport = transport

    @property
    def is_paused(self) -> bool:
        """True while someone asks for it."""
        return self._pauses > 0

    def pause(self) -> None:
        """Read nothing more until :meth:`resume`, which each pause needs once."""
        self._pauses += 1
        if self._pauses == 1 and self._transport is not None:
            self._transport.pause_reading()

    def resume(self) -> None:
        """End one pause."""
        self._pauses -= 1
        if self._pauses == 0 and self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def release(self) -> None:
        """Read in spite of all pauses, those to come included."""
        if self._pauses and self._transport is not None:
            self._transport.resume_reading()
        self._transport = None

    def close(self) -> None:
        """The connection has ended."""
        self._transport = None


class WriteFlow:
    """Writes to a connection, tells writers when to wait, and hangs up on a peer that takes nothing for *timeout* seconds."""

    __slots__ = ("_loop", "_sent", "_stall_timer", "_timeout", "_writable", "transport")

    def __init__(self, loop: asyncio.AbstractEventLoop, timeout: float) -> None:
        self._loop, self._timeout = loop, timeout
        self.transport: asyncio.Transport | None = None
        self._sent = 0  # bytes given to the transport
        self._writable: asyncio.Future[None] | None = None
        self._stall_timer: asyncio.TimerHandle | None = None

    def open(self, transport: asyncio.Transport) -> None:
        """The connection is there."""
        transport.set_write_buffer_limits(high=WRITE_LIMIT)
        self.transport = transport

    def write(self, data: bytes) -> asyncio.Future[None] | None:
        """Send *data*; a future that is not done yet asks to wait. Nothing is sent where the peer reads nothing more."""
        if self.transport is None:
            return None
        self._sent += len(data)
        self.transport.write(data)
        return None if self._writable is None or self._writable.done() else self._writable

    def backed_up(self) -> bool:
        """True while the peer does not take what it was sent."""
        return self._writable is not None and not self._writable.done()

    def pause(self) -> None:
        """The transport has too much to send."""
        if not self.backed_up():
            self._writable = self._loop.create_future()
        if self._stall_timer is None and self.transport is not None:
            self._watch()

    def resume(self) -> None:
        """The transport has little to send."""
        self._stop_watching()
        if self._writable is not None and not self._writable.done():
            self._writable.set_result(None)

    def close(self) -> None:
        """Nothing more is sent; nobody waits any longer."""
        self.transport = None
        self.resume()

    # --- a peer that takes nothing ------------------------------------------------------------------------------
    def _watch(self) -> None:
        self._stall_timer = self._loop.call_later(self._timeout, self._check_progress, self._bytes_taken())

    def _stop_watching(self) -> None:
        if self._stall_timer is not None:
            self._stall_timer.cancel()
            self._stall_timer = None

    def _bytes_taken(self) -> int:
        """Return the bytes that the peer's side has taken."""
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
