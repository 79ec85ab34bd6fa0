"""How long a connection waits for its peer: pure arithmetic on times that the connection gives."""

from __future__ import annotations

from enum import StrEnum

import msgspec

LEAST_RATE = 1024  # bytes per second that a body has to bring on average


class Awaited(StrEnum):
    """What the next bytes are awaited for."""

    REQUEST = "request"
    HEAD = "head"  # its rest
    BODY = "body"  # its rest
    NOTHING = "nothing"  # it is the gateway's turn


class ReadDeadlines(msgspec.Struct, eq=False, gc=False):
    """The deadlines of one connection, in the event loop's seconds.

    Attributes:
        read_timeout: in which a head has to be complete, and a body has to continue.
        idle_timeout: for which a connection may be open without a request.
    """

    read_timeout: float
    idle_timeout: float
    _last_read: float = 0.0
    _head_began: float = 0.0
    _body_due: float = 0.0

    def bytes_received(self, size: int, now: float) -> None:
        """Bytes came: each byte of a body buys a little time."""
        self._last_read = now
        due, latest = self._body_due + size / LEAST_RATE, now + self.read_timeout
        self._body_due = due if due < latest else latest

    def begin_head(self) -> None:
        """A head begins in the bytes that came last; it has to be complete in time, however often a byte of it comes."""
        self._head_began = self._last_read

    def begin_body(self) -> None:
        """A body begins in the bytes that came last."""
        self._body_due = self._last_read + self.read_timeout

    def resume(self, now: float) -> None:
        """The peer could not send until now."""
        self._last_read, self._body_due = now, now + self.read_timeout

    def seconds_left(self, awaited: Awaited, now: float) -> float:
        """Return the seconds until the peer is late, at most the read timeout's where nothing is awaited."""
        if awaited is Awaited.REQUEST:
            return self._last_read + self.idle_timeout - now
        if awaited is Awaited.HEAD:
            return self._head_began + self.read_timeout - now
        if awaited is Awaited.BODY:
            return self._body_due - now
        return self.read_timeout
