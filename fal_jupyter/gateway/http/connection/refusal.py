"""Answers to bytes that are not an acceptable request; each ends the connection."""

from __future__ import annotations

from http.client import responses
from typing import Final, NamedTuple

from fal_jupyter.gateway.http.response_writer import FAILED, failure

HEAD_LIMIT = 64 * 1024  # bytes
STATUS_LINES: Final = {status: f"HTTP/1.1 {status} {text}" for status, text in responses.items()}


class Refusal(NamedTuple):
    """An answer that refuses a request."""

    status: int
    detail: str

    def to_bytes(self) -> bytes:
        """The response, in fal's shape."""
        headers, body = failure(self.status, "internal_error" if self.status >= 500 else "bad_request", self.detail)
        lines = [STATUS_LINES[self.status], *map(": ".join, headers), "connection: close", "", ""]
        return "\r\n".join(lines).encode() + body


class RequestRefused(Exception):
    """The last parsed bytes are not an acceptable request."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.detail)
        self.refusal = refusal


BUSY: Final = Refusal(503, "too many connections are open")
LONG_HEAD: Final = Refusal(400, f"the head of the request is longer than {HEAD_LIMIT} bytes")
CONNECT: Final = Refusal(400, "CONNECT is not supported")
EARLY_UPGRADE: Final = Refusal(
    400, "a WebSocket handshake must not be pipelined behind requests that are not answered yet"
)
UPGRADE_WITH_BODY: Final = Refusal(400, "a WebSocket handshake must not have a body")
TRANSFER_ENCODING_10: Final = Refusal(400, "an HTTP/1.0 request must not have a Transfer-Encoding")
UNKNOWN_METHOD: Final = Refusal(405, "Method Not Allowed")
HANDLER_FAILED: Final = Refusal(500, FAILED)
