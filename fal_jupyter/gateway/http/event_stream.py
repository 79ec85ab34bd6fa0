"""Interrupted server-sent events: tracks where an event ends, and builds a final event with the error."""

from __future__ import annotations

from functools import lru_cache

from fal_jupyter.gateway.http.response_writer import failure_body

_BLANK_LINES = (b"\n\n", b"\r\r", b"\r\n\r\n", b"\n\r\n", b"\r\n\n")


class EventStream:
    """The end of the data sent so far of a ``text/event-stream`` body."""

    def __init__(self) -> None:
        self._tail = b"\n\n"  # initially an event may begin

    def feed(self, data: bytes) -> None:
        """Add sent data."""
        if data:
            self._tail = (self._tail + data[-4:])[-4:]

    def error(self, request_id: str, error_type: str, detail: str) -> bytes:
        """Return the ``error`` event, with the body of a failed answer as its data; ``b""`` within an event that is not complete."""
        if not self._tail.endswith(_BLANK_LINES):
            return b""
        return b"event: error\ndata: " + failure_body(request_id, error_type, detail) + b"\n\n"


@lru_cache(maxsize=64)
def is_event_stream(content_type: str) -> bool:
    """True if *content_type* is that of a stream of events."""
    return content_type.partition(";")[0].strip().lower() == "text/event-stream"
