"""Frames between gateway and runner, and from the gateway to the owner's kernel: multiplexed and length-prefixed.

A frame is nine bytes of head and a payload::

    u32 payload length | u8 kind | u32 stream | payload          (big endian)

Stream 0 is the connection itself; every request has its own stream number, chosen by the gateway.

HEAD frames (REQUEST, RESPONSE) carry ``u8 flags | u32 head length | head (JSON) | first bytes of the body``; with
flag ``END`` the body is complete, so that a small request and its answer are one frame each. Longer bodies
follow as BODY frames; the last one has the same effect as END_BODY after it.

Flow control: each direction of each stream starts with ``WINDOW`` bytes of credit for body bytes (inline ones
count); the receiver returns credit with WINDOW frames as it processes bytes. A sender without credit waits. So
neither side buffers more than one window of a body.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from enum import IntEnum
from typing import Final, NamedTuple

_HEAD: Final = struct.Struct("!IBI")
_MESSAGE: Final = struct.Struct("!BI")
HEAD_SIZE: Final = _HEAD.size
WINDOW: Final = 1 << 20
CHUNK: Final = 256 * 1024
INLINE: Final = 64 * 1024
MAX_PAYLOAD: Final = 2 * WINDOW
MAX_LOAD: Final = (1 << 32) - 1
END: Final = 1
GO_AWAY: Final = b"\x02"
PICTURES: Final = ("image/png", "image/jpeg", "image/gif", "image/webp")
MOST_PICTURE: Final = MAX_PAYLOAD - 8 * 1024  # bytes
MOST_PICTURE_TEXT: Final = 1000  # characters


class Kind(IntEnum):
    """The kind of a frame. The comment gives direction (g gateway, r runner, o owner's kernel) and payload."""

    HELLO = 1  # r→g  JSON {"protocol": int, "pid": int}
    LOAD = 2  # g→r  u32 head length | JSON head | opaque payload of the publisher
    READY = 3  # r→g  JSON {"setup_ms": float, "load_ms": float}
    FAILED = 4  # r→g  JSON error description (see api.py, ErrorDescription)
    REQUEST = 5  # g→r  HEAD frame, head {"id", "method", "path", "query", "headers": [[k, v]…], "client"}
    RESPONSE = 6  # r→g→o HEAD frame, head {"status": int, "headers": [[k, v]…]}
    BODY = 7  # both, bytes
    END_BODY = 8  # both, empty; g→o: JSON {"timing": …, "revision": int, "runner": str, "request_id": str}
    ERROR = 9  # r→g→o JSON error description of an exception in user code; precedes the RESPONSE
    CANCEL = (
        10  # g→r  cancel this stream: empty, its caller disconnected; b"\x01", its owner cancelled it;
        # GO_AWAY: the runner is about to exit; a websocket closes and its client reconnects
    )
    WINDOW = 11  # both, u32 credit
    OUTPUT = 12  # r→g→o u8 (1 stdout, 2 stderr) | UTF-8 text; stream 0 outside a request
    SHUTDOWN = 13  # g→r  JSON {"grace_s": float, "reason": str}
    PING = 14  # g→r  8 opaque bytes
    PONG = 15  # r→g  the same bytes
    EXITING = 16  # r→g  JSON {"reason": str}: user code requested the process's exit (SystemExit in an endpoint)
    DISPLAY = 17  # r→g→o HEAD frame, head {"type": one of PICTURES, "text": str}, body: the picture


_MOST_KIND: Final = int(max(Kind))


class Frame(NamedTuple):
    """One complete frame; *payload* is the decoder's own memory, safe to keep."""

    kind: int
    stream: int
    payload: bytes


class FrameError(Exception):
    """The peer sent an invalid frame; the connection is unusable."""


def encode(kind: Kind | int, stream: int, payload: bytes | bytearray | memoryview = b"") -> bytes:
    """Return the bytes of one frame.

    Raises:
        FrameError: the payload is longer than a frame of this kind may be.
    """
    size = len(payload)
    if size > (MAX_LOAD if kind == Kind.LOAD else MAX_PAYLOAD):
        raise FrameError(f"a frame of kind {kind} cannot hold {size} bytes")
    return _HEAD.pack(size, kind, stream) + payload


def head_of(kind: Kind | int, stream: int, payload: bytes | memoryview) -> bytes:
    """Return the bytes that precede *payload*, for a sender that does not join the two."""
    return _HEAD.pack(len(payload), kind, stream)


def encode_message(kind: Kind | int, stream: int, head: bytes, body: bytes = b"", *, end: bool) -> bytes:
    """Return the bytes of a REQUEST or RESPONSE frame: JSON *head* and the first (with *end*: the only) body bytes."""
    size = 5 + len(head) + len(body)
    if size > MAX_PAYLOAD:
        raise FrameError(f"a head of {len(head)} bytes and {len(body)} body bytes are too long for one frame")
    return b"%b%b%b%b" % (
        _HEAD.pack(size, kind, stream),
        _MESSAGE.pack(END if end else 0, len(head)),
        head,
        body,
    )


def decode_message(payload: bytes) -> tuple[bytes, bytes, bool]:
    """Parse a REQUEST or RESPONSE payload: ``(head, body, end)``.

    Raises:
        FrameError: the payload is shorter than declared in its head.
    """
    if len(payload) < 5:
        raise FrameError("a message frame without a head")
    flags, size = _MESSAGE.unpack_from(payload)
    if 5 + size > len(payload):
        raise FrameError("a message frame shorter than its head")
    return payload[5 : 5 + size], payload[5 + size :], bool(flags & END)


def ends_stream(frame: Frame) -> bool:
    """True for the last frame of a runner's answer; False for one that cannot be parsed."""
    if frame.kind == Kind.RESPONSE:
        try:
            return decode_message(frame.payload)[2]
        except FrameError:
            return False
    return frame.kind == Kind.END_BODY


def encode_load(head: bytes, payload: bytes) -> bytes:
    """Return the bytes of a LOAD frame."""
    return encode(Kind.LOAD, 0, b"%b%b%b" % (len(head).to_bytes(4, "big"), head, payload))


def decode_load(payload: bytes) -> tuple[bytes, bytes]:
    """Parse a LOAD payload: ``(head, opaque payload)``.

    Raises:
        FrameError: the payload is shorter than declared in its head.
    """
    size = int.from_bytes(payload[:4], "big")
    if len(payload) < 4 or len(payload) < 4 + size:
        raise FrameError("a load frame shorter than its head")
    return payload[4 : 4 + size], payload[4 + size :]


def encode_window(stream: int, credit: int) -> bytes:
    """Return the bytes of a WINDOW frame."""
    return encode(Kind.WINDOW, stream, credit.to_bytes(4, "big"))


class Decoder:
    """Turn a stream of bytes into frames, however the bytes are split.

    Example:
        >>> decoder = Decoder()
        >>> data = encode(Kind.PING, 0, b"12345678")
        >>> list(decoder.feed(data[:3])), list(decoder.feed(data[3:]))
        ([], [Frame(kind=14, stream=0, payload=b'12345678')])
    """

    __slots__ = ("_buffer",)

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes | bytearray | memoryview) -> Iterator[Frame]:
        """Add *data* and yield every complete frame.

        Raises:
            FrameError: an unknown kind, or a length that no frame of that kind may have.
        """
        frames: list[Frame] = []
        at = self._complete(data, frames) if self._buffer else 0
        end = len(data)
        while end - at >= HEAD_SIZE:
            size, kind, stream = _HEAD.unpack_from(data, at)
            _check(kind, size)
            if end - at - HEAD_SIZE < size:
                break
            begin = at + HEAD_SIZE
            at = begin + size
            frames.append(Frame(kind, stream, bytes(data[begin:at])))
        if at < end:
            self._buffer += data[at:]
        return iter(frames)

    def _complete(self, data: bytes | bytearray | memoryview, frames: list[Frame]) -> int:
        """Complete the frame that had begun; returns how much of *data* was used."""
        buffer, at = self._buffer, 0
        if len(buffer) < HEAD_SIZE:
            at = HEAD_SIZE - len(buffer)
            buffer += data[:at]
            if len(buffer) < HEAD_SIZE:
                return len(data)
        size, kind, stream = _HEAD.unpack_from(buffer)
        _check(kind, size)
        missing: int = HEAD_SIZE + size - len(buffer)
        buffer += data[at : at + missing]
        if len(buffer) == HEAD_SIZE + size:
            with memoryview(buffer) as view:
                frames.append(Frame(kind, stream, bytes(view[HEAD_SIZE:])))
            buffer.clear()
        return min(len(data), at + missing)

    @property
    def pending(self) -> int:
        """Bytes of an incomplete frame."""
        return len(self._buffer)


def _check(kind: int, size: int) -> None:
    if not 1 <= kind <= _MOST_KIND:
        raise FrameError(f"unknown frame kind {kind}")
    if size > MAX_PAYLOAD and kind != Kind.LOAD:
        raise FrameError(f"a frame of kind {kind} declares {size} bytes")
