"""The answer to the owner's kernel, in frames (``protocol/api``), together with output, pictures, exceptions and timing."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import msgspec

from fal_jupyter.gateway.http.response_writer import ResponseWriter, failure_body
from fal_jupyter.gateway.requests.response_relay import write_or_drop
from fal_jupyter.protocol import frames
from fal_jupyter.protocol.api import FRAMES_TYPE, H_REQUEST_ID, EndRecord, ErrorDescription
from fal_jupyter.protocol.frames import Kind

_encode = msgspec.json.encode


class DisplayHead(msgspec.Struct):
    """Head of a DISPLAY frame.

    Attributes:
        type: of the picture (MIME).
    """

    type: str
    text: str


decode_display_head = msgspec.json.Decoder(DisplayHead).decode


def dropped_notice(size: int) -> bytes:
    """Return the text that replaces *size* bytes of output that the owner did not read."""
    return f"\n[fal_jupyter: {size:,} bytes of output were dropped, since they were not read]\n".encode()


class FramedReply:
    """Sends the frames of one answer. The first one also sends the head of the HTTP response."""

    __slots__ = ("_begun", "_dropped_output", "_request_id", "_writer")

    def __init__(self, writer: ResponseWriter, request_id: str) -> None:
        self._writer = writer
        self._request_id = request_id
        self._begun = False
        self._dropped_output = 0  # bytes

    def respond(self, head: bytes, body: bytes, end_record: EndRecord | None) -> None:
        """Send the app's head and the first body; with *end_record* the complete answer."""
        data = frames.encode_message(Kind.RESPONSE, 0, head, body, end=end_record is not None)
        if end_record is None:
            self._send(data)
        else:
            self._send(data + _end_frame(end_record), last=True)

    def write(self, data: bytes) -> asyncio.Future[None] | None:
        """Send more body; wait for the returned future if it is not done."""
        return self._send(frames.encode(Kind.BODY, 0, data))

    def end(self, end_record: EndRecord, *, broken: bool) -> None:
        """Send the end of the answer."""
        self._send(_end_frame(end_record, broken=broken), last=True)

    def error(self, error: ErrorDescription) -> None:
        """Send an exception of user code."""
        self._send(frames.encode(Kind.ERROR, 0, _encode(error)))

    def output(self, payload: bytes) -> None:
        """Send output; while the owner does not read, it is dropped and counted instead of being buffered."""
        if self._writer.backed_up():
            self._dropped_output += len(payload) - 1
            return
        if self._dropped_output:
            notice, self._dropped_output = dropped_notice(self._dropped_output), 0
            self._send(frames.encode(Kind.OUTPUT, 0, b"\x02" + notice))
        self._send(frames.encode(Kind.OUTPUT, 0, payload))

    def display(self, head: DisplayHead, picture: bytes, line: str) -> None:
        """Send a picture; *line* is its text, which replaces it while the owner does not read."""
        if self._writer.backed_up():
            self.output(b"\x01" + line.encode("utf-8", "replace"))
        else:
            self._send(frames.encode_message(Kind.DISPLAY, 0, _encode(head), picture, end=True))

    def fail(
        self,
        status: int,
        error_type: str,
        detail: str,
        headers: Sequence[tuple[str, str]],
        end_record: EndRecord,
    ) -> None:
        """Send a failure of the gateway and the end."""
        head = _encode({"status": status, "headers": headers})
        data = failure_body(self._request_id, error_type, detail)
        message = frames.encode_message(Kind.RESPONSE, 0, head, data, end=True)
        self._send(message + _end_frame(end_record), last=True)

    def _send(self, data: bytes, *, last: bool = False) -> asyncio.Future[None] | None:
        if self._begun:
            return write_or_drop(self._writer, data)
        self._begun = True
        headers = [("content-type", FRAMES_TYPE), (H_REQUEST_ID, self._request_id)]
        if last:
            headers.append(("content-length", str(len(data))))
        self._writer.respond(200, headers, data)
        return None


def _end_frame(end_record: EndRecord, *, broken: bool = False) -> bytes:
    record: dict[str, Any] = dict(end_record)
    if broken:
        record["aborted"] = True
    return frames.encode(Kind.END_BODY, 0, _encode(record))
