"""Streams a request's output separately from its answer, since a WebSocket has no message for it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from tornado.iostream import StreamClosedError

from fal_jupyter.gateway.api.handlers import Handler
from fal_jupyter.gateway.requests.framed_reply import dropped_notice
from fal_jupyter.protocol import frames
from fal_jupyter.protocol.api import FRAMES_TYPE
from fal_jupyter.protocol.frames import Kind

BOUND = 256 << 10  # bytes buffered for a slow reader; more are dropped and counted


class OutputTail:
    """The observer of one request (:class:`fal_jupyter.gateway.requests.request_events.RequestObserver`), until it or its reader ends."""

    def __init__(self) -> None:
        self._waiting: list[bytes] = []
        self._size = self._dropped = 0
        self._over = False
        self._changed = asyncio.Event()

    def dispatched(self) -> None:
        """Ignored."""

    def taken_back(self) -> None:
        """Ignored."""

    def printed(self, which: int, text: str) -> None:
        """User code printed."""
        data = text.encode("utf-8", "replace")
        if self._size + len(data) > BOUND:
            self._dropped += len(data)
            return
        if self._dropped:
            notice, self._dropped = dropped_notice(self._dropped), 0
            self._keep(2, notice)
        self._keep(which, data)

    def _keep(self, which: int, data: bytes) -> None:
        self._waiting.append(frames.encode(Kind.OUTPUT, 0, bytes((which,)) + data))
        self._size += len(data)
        self._changed.set()

    def ended(self) -> None:
        """The request is over."""
        self._over = True
        self._changed.set()

    async def follow(self) -> AsyncIterator[bytes]:
        """Yield the output as OUTPUT frames, until the request ends."""
        while True:
            self._changed.clear()
            pieces, self._waiting, self._size = self._waiting, [], 0
            if pieces:
                yield b"".join(pieces)
            elif self._over:
                return
            else:
                await self._changed.wait()


class OutputTailHandler(Handler):
    """A request's output: the text so far, and further text as it is printed."""

    _reader: asyncio.Task[None] | None = None

    async def get(self, request_id: str) -> None:
        live = self.gateway.engine.live_request(request_id)
        request = live if live is not None else self.gateway.engine.ended_request(request_id)
        if request is None:
            self.fail(404, "not_kept", "that request is not known here, or no longer stored")
            return
        if live is not None and live.observer.taken:
            self.fail(409, "followed", "the output of that request is already being followed")
            return
        tail = self._begin(request_id, request.alias)
        if live is not None:
            live.observer.attach(tail)
        else:
            tail.ended()
        self._reader = asyncio.current_task()
        self.set_header("content-type", FRAMES_TYPE)
        try:
            await self.flush()
            async for piece in tail.follow():
                self.write(piece)
                await self.flush()
        except (StreamClosedError, asyncio.CancelledError):
            if live is not None:
                live.observer.detach()

    def _begin(self, request_id: str, alias: str) -> OutputTail:
        tail, published = OutputTail(), self.gateway.deployments.published.get(alias)
        for stream, text in published.log.printed_by(request_id) if published is not None else ():
            tail.printed(stream, text)
        return tail

    def on_connection_close(self) -> None:
        if self._reader is not None:
            self._reader.cancel()
