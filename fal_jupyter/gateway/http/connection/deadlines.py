"""Deadlines of a connection: pure arithmetic on times from the connection."""

from __future__ import annotations

from enum import StrEnum

import msgspec

LEAST_RATE = 1024  # minimum average bytes per second of a body


class Awaited(StrEnum):
    """What the connection is waiting for."""

    REQUEST = "request"
    HEAD = "head"  # the rest of it
    BODY = "body"  # the rest of it
    NOTHING = "nothing"  # the gateway has to respond


class ReadDeadlines(msgspec.Struct, eq=False, gc=False):
    """The deadlines of one connection, in the event loop's seconds.

    Attributes:
        read_timeout: for completing a head, and between two pieces of a body.
        idle_timeout: for a connection without a request.
    """

    read_timeout: float
    idle_timeout: float
    _last_read: float = 0.0
    _head_began: float = 0.0
    _body_due: float = 0.0

    def bytes_received(self, size: int, now: float) -> None:
        """Bytes arrived: each byte of a body extends the deadline a little."""
        self._last_read = now
        due, latest = self._body_due + size / LEAST_RATE, now + self.read_timeout
        self._body_due = due if due < latest else latest

    def begin_head(self) -> None:
        """A head begins in the last bytes; its deadline is fixed, regardless of further bytes."""
        self._head_began = self._last_read

    def begin_body(self) -> None:
        """A body begins in the last bytes."""
        self._body_due = self._last_read + self.read_timeout

    def resume(self, now: float) -> None:
        """The peer could not send until now: restart the deadline."""
        self._last_read, self._body_due = now, now + self.read_timeout

    def seconds_left(self, awaited: Awaited, now: float) -> float:
        """Return the seconds until the deadline; the read timeout if nothing is awaited."""
        if awaited is Awaited.REQUEST:
            return self._last_read + self.idle_timeout - now
        if awaited is Awaited.HEAD:
            return self._head_began + self.read_timeout - now
        if awaited is Awaited.BODY:
            return self._body_due - now
        return self.read_timeout
