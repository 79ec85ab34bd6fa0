"""Forwards the body of a request from the caller to the runner, within the runner's credit and with back-pressure."""

from __future__ import annotations

import asyncio
from collections import deque

import msgspec

from fal_jupyter.gateway.requests.request_states import BODY, BodyEvent, BodyState
from fal_jupyter.gateway.requests.runner_stream import RunnerStream
from fal_jupyter.gateway.storage.kept_inputs import KeptInput
from fal_jupyter.protocol.feed import BODY_BOUND
from fal_jupyter.protocol.frames import CHUNK, INLINE, WINDOW

# module names: looking up an enum member costs as much as the rest of a transition
_RECEIVING, _RECEIVED, _SENT = BodyState.RECEIVING, BodyState.RECEIVED, BodyState.SENT
_END_RECEIVED, _END_SENT, _END_IGNORED = BodyEvent.END_RECEIVED, BodyEvent.END_SENT, BodyEvent.END_IGNORED


class RequestBody(msgspec.Struct, eq=False, kw_only=True):
    """Buffers at most about one window of the body.

    Attributes:
        unbounded: the body is one direction of a WebSocket and has no end.
        sample: the beginning that was sent first; a short body is complete.
        kept: what is stored of a large body.
    """

    unbounded: bool
    bytes_received: int = 0
    sample: bytes = b""
    kept: KeptInput | None = None
    _state: BodyState = BodyState.RECEIVING
    _pieces: deque[bytes] = msgspec.field(default_factory=deque)
    _begin: int = 0  # of what is not sent of the first piece
    _buffered: int = 0
    _credit: int = WINDOW
    _stream: RunnerStream | None = None
    _writable: asyncio.Future[None] | None = None

    # --- from the caller ----------------------------------------------------------------------------------------
    def feed(self, data: bytes) -> bool:
        """Add a piece; True if reading should pause until :meth:`writable` is done."""
        self._pieces.append(data)
        self._buffered += len(data)
        self.bytes_received += len(data)
        if self._stream is not None:
            if self.kept is not None:
                self.kept.add(data)
            self.pump()
        return self._buffered >= WINDOW

    def writable(self) -> asyncio.Future[None]:
        """Return a future that is done when there is room again."""
        if self._writable is None or self._writable.done():
            self._writable = asyncio.get_running_loop().create_future()
        return self._writable

    def end(self) -> None:
        """The last piece has arrived."""
        self._state = BODY[self._state][_END_RECEIVED]
        if self.kept is not None:
            self.kept.end()
        if self._stream is not None:
            self.pump()

    def discard_end(self) -> None:
        """The last piece has arrived, after the request had ended."""
        self._state = BODY[self._state][_END_IGNORED]

    @property
    def is_sent(self) -> bool:
        """True if the runner has received all of it."""
        return self._state is _SENT

    @property
    def is_read(self) -> bool:
        """True if no further data of the caller is read."""
        return self.unbounded or self._state is not _RECEIVING

    # --- to the runner ------------------------------------------------------------------------------------------
    def send_first(self, stream: RunnerStream, head: bytes) -> bool:
        """Send the REQUEST frame with the body received so far, up to its limit; False if the runner has received nothing.

        Then the state is unchanged. Otherwise :meth:`pump` sends the rest.
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

    def keep_in(self, kept: KeptInput) -> None:
        """Store the body, of which :meth:`send_first` has just sent the beginning."""
        self.kept = kept
        for piece in (self.sample, *self._pieces):
            kept.add(piece)
        if self._state is not _RECEIVING:
            kept.end()

    def grant(self, credit: int) -> None:
        """The runner accepts *credit* more bytes."""
        self._credit += credit
        self.pump()

    def pump(self) -> None:
        """Send buffered data, within the credit."""
        stream = self._stream
        if stream is None:
            return
        while self._pieces and self._credit > 0:
            data, begin = self._pieces[0], self._begin
            end = min(len(data), begin + min(self._credit, CHUNK))
            if end == len(data):
                self._pieces.popleft()
            self._begin = 0 if end == len(data) else end
            self._credit -= end - begin
            self._buffered -= end - begin
            # a view: a piece of many chunks, as a panel sends it, is not copied
            stream.send_body(data if end - begin == len(data) else memoryview(data)[begin:end])
        if not self._pieces and self._state is _RECEIVED:
            self._state = BODY[self._state][_END_SENT]
            stream.end_body()
        if self._buffered < WINDOW // 2:
            self.release()

    def release(self) -> None:
        """Resume reading from the caller's connection."""
        if self._writable is not None and not self._writable.done():
            self._writable.set_result(None)
