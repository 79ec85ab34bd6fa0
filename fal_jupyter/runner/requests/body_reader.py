"""The body of one request: chunks as they arrive, and credit for the gateway as they are read."""

from __future__ import annotations

import asyncio
import enum
from collections import deque
from collections.abc import MutableMapping
from typing import Any

from fal_jupyter.protocol import frames
from fal_jupyter.protocol.frames import WINDOW
from fal_jupyter.runner.application.endpoints import EndpointCall
from fal_jupyter.runner.channel import RunnerChannel

Message = MutableMapping[str, Any]
"""An ASGI message."""


class BodyReaderState(enum.StrEnum):
    """State of a request body."""

    RECEIVING = "receiving"
    RECEIVED = "received"  # all of it has arrived
    READ = "read"  # the application has read its end


_NEXT = {
    BodyReaderState.RECEIVING: (BodyReaderState.RECEIVED,),
    BodyReaderState.RECEIVED: (BodyReaderState.READ,),
    BodyReaderState.READ: (BodyReaderState.RECEIVED,),  # put back, to be read again
}

# names of this module: looking a member up in its enum costs as much as the rest of a move
_RECEIVING, _RECEIVED, _READ = BodyReaderState.RECEIVING, BodyReaderState.RECEIVED, BodyReaderState.READ


class BodyReader:
    """The body of one request; :meth:`receive` is an ASGI ``receive``."""

    __slots__ = ("_call", "_channel", "_chunks", "_stream", "_unacknowledged", "_waiter", "state")

    def __init__(self, channel: RunnerChannel, stream: int, call: EndpointCall, first: bytes, *, end: bool) -> None:
        self._channel, self._stream, self._call = channel, stream, call
        self._chunks: deque[bytes] = deque((first,))
        self._unacknowledged = 0
        self._waiter: asyncio.Future[None] | None = None
        self.state = _RECEIVED if end else _RECEIVING

    def _move(self, state: BodyReaderState) -> None:
        if state not in _NEXT[self.state]:
            raise RuntimeError(f"a request body cannot be {state.value} after it was {self.state.value}")
        self.state = state

    def push(self, data: bytes, *, end: bool) -> bool:
        """Add a chunk; True when it completes the body."""
        completes = end and self.state is _RECEIVING
        if completes:
            self._move(_RECEIVED)
        if data:
            self._chunks.append(data)
        self.wake()
        return completes

    def wake(self) -> None:
        """Wake a waiting :meth:`receive`."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def arrived_at_once(self) -> bytes | None:
        """Return the body if it arrived in one piece; it can still be read."""
        return self._chunks[0] if self.state is not _RECEIVING and len(self._chunks) == 1 else None

    async def receive(self) -> dict[str, Any]:
        """Return the next ASGI message."""
        while True:
            if self._call.disconnected:
                return {"type": "http.disconnect"}
            if self._chunks:
                data = self._chunks.popleft()
                more = bool(self._chunks) or self.state is _RECEIVING
                self._unacknowledged += len(data)
                if more and self._unacknowledged >= WINDOW // 2:  # before the gateway's credit is used up
                    self._channel.send(frames.encode_window(self._stream, self._unacknowledged))
                    self._unacknowledged = 0
                if not more:
                    self._move(_READ)
                return {"type": "http.request", "body": data, "more_body": more}
            if self.state is _RECEIVED:
                self._move(_READ)
                return {"type": "http.request", "body": b"", "more_body": False}
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter

    async def collect(self, length: int) -> bytearray | None:
        """Read the whole body, of which *length* bytes are announced (0: unknown); None if the caller disconnected."""
        body, at, more = bytearray(length), 0, True  # one buffer: joining chunks would need the memory twice
        while more:
            message = await self.receive()
            if message["type"] != "http.request":
                return None
            data: bytes = message["body"]
            body[at : at + len(data)] = data
            at += len(data)
            more = message["more_body"]
        del body[at:]
        return body

    def put_back(self, body: bytes) -> None:
        """Put a collected body back, as one chunk."""
        self._chunks.append(body)
        self._move(_RECEIVED)
