"""One request's stream of a runner's channel."""

from __future__ import annotations

import asyncio
from typing import Final

from fal_jupyter.domain.cancellation import How
from fal_jupyter.gateway.runners.channel import FrameReceiver, GatewayChannel
from fal_jupyter.protocol import frames
from fal_jupyter.protocol.frames import GO_AWAY, WINDOW, Kind

_REQUEST: Final = Kind.REQUEST  # a module name: looking up an enum member costs ten times as much
_CANCEL_PAYLOADS: Final[dict[How, bytes]] = {"tell": b"", "force": b"\x01", "politely": GO_AWAY}


class RunnerStream:
    """Sends the frames of one request to its runner, and returns credit for the part of the answer that the caller has read."""

    __slots__ = ("_channel", "_number", "_unreturned")

    def __init__(self, channel: GatewayChannel, receiver: FrameReceiver) -> None:
        self._channel = channel
        self._number = channel.open(receiver)
        self._unreturned = 0  # bytes read by the caller whose credit was not returned yet

    def send_request(self, head: bytes, body: bytes, *, end: bool) -> bool:
        """Send the head and the first (with *end*: complete) body; False if the runner certainly received nothing."""
        return self._channel.send(frames.encode_message(_REQUEST, self._number, head, body, end=end))

    def send_body(self, data: bytes | memoryview) -> None:
        """Send a piece of the body."""
        self._channel.send(frames.head_of(Kind.BODY, self._number, data), data)

    def end_body(self) -> None:
        """Send the end of the body."""
        self._channel.send(frames.encode(Kind.END_BODY, self._number))

    def cancel(self, how: How) -> None:
        """Send the cancellation of the request."""
        self._channel.send(frames.encode(Kind.CANCEL, self._number, _CANCEL_PAYLOADS[how]))

    def close(self) -> None:
        """Receive nothing more."""
        self._channel.close_stream(self._number)

    def return_credit(self, size: int, written: asyncio.Future[None] | None) -> None:
        """Return *size* bytes of credit once the caller's socket has accepted them, when *written* is done (None: now)."""
        if written is None or written.done():
            self._return(size)
        else:
            written.add_done_callback(lambda future: self._return_after(future, size))

    def _return_after(self, future: asyncio.Future[None], size: int) -> None:
        future.exception()  # the close callback reports a caller that disconnected
        self._return(size)

    def _return(self, size: int) -> None:
        self._unreturned += size
        if self._unreturned >= WINDOW // 2 and self._number in self._channel.streams:
            self._channel.send(frames.encode_window(self._number, self._unreturned))
            self._unreturned = 0
