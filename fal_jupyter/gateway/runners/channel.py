"""The gateway's end of a runner's socketpair: frames of many requests over one connection, on the event loop."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections import deque
from collections.abc import Callable
from typing import Protocol

from fal_jupyter.protocol import frames
from fal_jupyter.protocol.frames import Decoder, Frame, FrameError, Kind

log = logging.getLogger("fal_jupyter.gateway")
READ_SIZE = 1 << 20
_arena = bytearray(READ_SIZE)  # shared by all channels: data is split into frames before the next read
_view = memoryview(_arena)


class FrameReceiver(Protocol):
    """Receives the frames of one stream (:class:`fal_jupyter.gateway.requests.proxied_request.ProxiedRequest`)."""

    def on_frame(self, frame: Frame) -> None:
        """A frame of this stream arrived."""

    def on_broken(self, frame: Frame) -> None:
        """A frame could not be processed: an internal error, which must not affect the other streams."""


class GatewayChannel:
    """Frames to and from one runner.

    Args:
        sock: our end, non-blocking.
        on_frame: receives frames of stream 0 and OUTPUT of streams that have ended.
        on_end: called once when the connection has ended.
    """

    def __init__(self, sock: socket.socket, on_frame: Callable[[Frame], None], on_end: Callable[[], None]) -> None:
        sock.setblocking(False)
        self._sock = sock
        self._loop = asyncio.get_running_loop()
        self._on_frame, self._on_end = on_frame, on_end
        self._decoder = Decoder()
        self._pending: deque[memoryview] = deque()
        self._next_stream = 1
        self.streams: dict[int, FrameReceiver] = {}
        self.closed = False
        self._loop.add_reader(sock, self._readable)

    def open(self, listener: FrameReceiver) -> int:
        """Open a stream for *listener*."""
        stream = self._next_stream
        self._next_stream = stream % 0xFFFFFFFF + 1
        self.streams[stream] = listener
        return stream

    def close_stream(self, stream: int) -> None:
        """The stream's last frame has arrived."""
        self.streams.pop(stream, None)

    def send(self, data: bytes, payload: bytes | memoryview = b"") -> bool:
        """Send complete frames (or one frame's head and payload), in order; data that the socket does not accept immediately is queued.

        Returns False if the runner has ended and certainly received none of them.
        """
        if self.closed:
            return False
        sent = 0
        if not self._pending:
            try:
                sent = self._sock.sendmsg((data, payload)) if payload else self._sock.send(data)
            except BlockingIOError:
                pass
            except OSError:
                return False  # the runner is ending; the end of its channel is read next
            if sent == len(data) + len(payload):
                return True
            self._loop.add_writer(self._sock, self._writable)
        for part in (data, payload):
            if sent < len(part):
                self._pending.append(memoryview(part)[sent:])
            sent = max(0, sent - len(part))
        return True

    def _writable(self) -> None:
        while self._pending:
            data = self._pending[0]
            try:
                sent = self._sock.send(data)
            except BlockingIOError:
                return
            except OSError:
                self._pending.clear()
                break
            if sent < len(data):
                self._pending[0] = data[sent:]
                return
            self._pending.popleft()
        self._loop.remove_writer(self._sock)

    def _readable(self) -> None:
        try:
            size = self._sock.recv_into(_arena)
        except BlockingIOError:
            return
        except OSError:
            size = 0
        if not size:
            self.close()
            self._on_end()
            return
        self._take(_view[:size])

    def _take(self, data: bytes | memoryview) -> None:
        try:
            decoded = list(self._decoder.feed(data))
        except FrameError:
            self.close()
            self._on_end()
            return
        for frame in decoded:
            listener = self.streams.get(frame.stream) if frame.stream else None
            if listener is not None:
                try:
                    listener.on_frame(frame)
                except Exception:
                    log.exception("a frame of stream %d could not be processed", frame.stream)
                    listener.on_broken(frame)
            elif frame.stream == 0 or frame.kind == Kind.OUTPUT:
                self._on_frame(frame)

    def drain(self) -> None:
        """Read the remaining frames of an ended runner."""
        while not self.closed:
            try:
                data = self._sock.recv(READ_SIZE)
            except OSError:
                return
            if not data:
                return
            self._take(data)

    def close(self) -> None:
        """Close the gateway's end."""
        if not self.closed:
            self.closed = True
            self._loop.remove_reader(self._sock)
            self._loop.remove_writer(self._sock)
            self._sock.close()


__all__ = ["FrameReceiver", "GatewayChannel", "frames"]
