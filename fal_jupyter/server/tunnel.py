"""A websocket, after its handshake: forwards bytes in both directions, so that messages of any size, pings and close codes are unchanged."""

from __future__ import annotations

import asyncio

from tornado.iostream import IOStream, StreamClosedError

from fal_jupyter.server.upstream import UpstreamConnection

PIECE = 64 * 1024


class Tunnel:
    """One websocket between the browser's stream and the gateway's connection. Back-pressure applies in both directions."""

    def __init__(self, stream: IOStream, connection: UpstreamConnection) -> None:
        self._stream, self._connection = stream, connection
        self._last: asyncio.Future[None] | None = None
        stream.set_nodelay(True)
        self._task = asyncio.ensure_future(self._inwards())

    async def _inwards(self) -> None:
        try:
            while True:
                data = await self._stream.read_bytes(PIECE, partial=True)
                wait = self._connection.write(data)
                if wait is not None:
                    await wait
        except StreamClosedError:
            self._connection.close()  # after pending data, which may end with a close frame

    def raw(self, data: bytes) -> None:
        """Bytes for the browser."""
        try:
            sent = self._last = asyncio.ensure_future(self._stream.write(data))
        except StreamClosedError:
            return
        if not sent.done():
            self._connection.pause()
            sent.add_done_callback(self._write_done)

    def _write_done(self, sent: asyncio.Future[None]) -> None:
        if not sent.cancelled() and sent.exception() is None:
            self._connection.resume()

    def hung_up(self) -> None:
        """The gateway closed: close too, once the browser has received everything before."""
        if self._last is None or self._last.done():
            self._stream.close()
        else:
            self._last.add_done_callback(lambda _: self._stream.close())
