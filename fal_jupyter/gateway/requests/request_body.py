"""The body of a request on its way from the caller to the runner: sent as far as the runner's credit goes, with back-pressure."""

from __future__ import annotations

import asyncio
from collections import deque

import msgspec

from fal_jupyter.gateway.requests.request_states import BODY, BodyEvent, BodyState
from fal_jupyter.gateway.requests.runner_stream import RunnerStream
from fal_jupyter.protocol.feed import BODY_BOUND
from fal_jupyter.protocol.frames import CHUNK, INLINE, WINDOW

# names of this module: looking a member up in its enum costs as much as the rest of a move
_RECEIVING, _RECEIVED, _SENT = BodyState.RECEIVING, BodyState.RECEIVED, BodyState.SENT
_END_RECEIVED, _END_SENT, _END_IGNORED = BodyEvent.END_RECEIVED, BodyEvent.END_SENT, BodyEvent.END_IGNORED


class RequestBody(msgspec.Struct, eq=False, kw_only=True):
    """Holds at most about a window of the body.

    Attributes:
        unbounded: the body is one direction of a websocket and has no end.
        sample: the beginning that was sent first; of a short body, all of it.
    """

    unbounded: bool
    bytes_received: int = 0
    sample: bytes = b""
    _state: BodyState = BodyState.RECEIVING
    _pieces: deque[bytes] = msgspec.field(default_factory=deque)
    _buffered: int = 0
    _credit: int = WINDOW
    _stream: RunnerStream | None = None
    _writable: asyncio.Future[None] | None = None

    # --- from the caller ----------------------------------------------------------------------------------------
    def feed(self, data: bytes) -> bool:
        """Take a piece; True when no more should be read until :meth:`writable` is done."""
        self._pieces.append(data)
        self._buffered += len(data)
        self.bytes_received += len(data)
        if self._stream is not None:
            self.pump()
        return self._buffered >= WINDOW

    def writable(self) -> asyncio.Future[None]:
        """Return the future that is done when there is room again."""
        if self._writable is None or self._writable.done():
            self._writable = asyncio.get_running_loop().create_future()
        return self._writable

    def end(self) -> None:
        """The last piece has come."""
        self._state = BODY[self._state][_END_RECEIVED]
        if self._stream is not None:
            self.pump()

    def discard_end(self) -> None:
        """The last piece has come, after the request was over."""
        self._state = BODY[self._state][_END_IGNORED]

    @property
    def is_sent(self) -> bool:
        """True when the runner has all of it."""
        return self._state is _SENT

    @property
    def is_read(self) -> bool:
        """True when the caller sends nothing more that would be read."""
        return self.unbounded or self._state is not _RECEIVING

    # --- to the runner ------------------------------------------------------------------------------------------
    def send_first(self, stream: RunnerStream, head: bytes) -> bool:
        """Send the REQUEST frame with what is here of the body, up to its limit; False when the runner has got nothing.

        Then nothing has changed. Otherwise :meth:`pump` sends the rest.
        """
        body = b"".join(self._pieces) if len(self._pieces) != 1 else self._pieces[0]
        self.sample = body[:BODY_BOUND]
        first, rest = body[:INLINE], body[INLINE:]
        end = self._state is _RECEIVED and not rest
        if not stream.send_request(head, first, end=end):
            return False
        self._stream = stream
        self._pieces.clear()
        self._buffered = len(rest)
        if rest:
            self._pieces.append(rest)
        self._credit -= len(first)
        if end:
            self._state = BODY[self._state][_END_SENT]
        return True

    def grant(self, credit: int) -> None:
        """The runner takes *credit* bytes more."""
        self._credit += credit
        self.pump()

    def pump(self) -> None:
        """Send what is here, as far as the credit goes."""
        stream = self._stream
        if stream is None:
            return
        while self._pieces and self._credit > 0:
            data = self._pieces.popleft()
            size = min(len(data), self._credit, CHUNK)
            if size < len(data):
                self._pieces.appendleft(data[size:])
                data = data[:size]
            self._credit -= size
            self._buffered -= size
            stream.send_body(data)
        if not self._pieces and self._state is _RECEIVED:
            self._state = BODY[self._state][_END_SENT]
            stream.end_body()
        if self._buffered < WINDOW // 2:
            self.release()

    def release(self) -> None:
        """Let the caller's connection be read again."""
        if self._writable is not None and not self._writable.done():
            self._writable.set_result(None)
