"""Serializes one response: its head, and the framing of its body (RFC 9112, 6)."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from fal_jupyter.gateway.http.connection.refusal import STATUS_LINES
from fal_jupyter.gateway.http.response_writer import Headers, is_number
from fal_jupyter.protocol.api import BODILESS


class BodyFraming(StrEnum):
    """How a response's body is delimited."""

    NONE = "none"  # there is no body, regardless of the length in the head
    LENGTH = "length"
    CHUNKED = "chunked"
    UNTIL_CLOSE = "until close"


_NONE, _LENGTH, _CHUNKED = BodyFraming.NONE, BodyFraming.LENGTH, BodyFraming.CHUNKED
_UNTIL_CLOSE = BodyFraming.UNTIL_CLOSE
_END_OF_HEAD = ("", "")


class ResponseFraming(msgspec.Struct, eq=False, gc=False):
    """Frames one response.

    Attributes:
        keep_alive: the connection may serve another request afterwards.
        http10: the request's version is HTTP/1.0.
        without_body: the request's method is HEAD.
    """

    keep_alive: bool
    http10: bool
    without_body: bool
    _body: BodyFraming = BodyFraming.UNTIL_CLOSE
    _remaining: int = 0  # bytes of a body with a length

    def begin(self, status: int, headers: Headers, first: bytes) -> bytes:
        """Return the bytes of the head and of the first (or complete) body; names of headers are in lower case.

        Raises:
            ValueError: the body is longer than the declared length.
        """
        values = dict(headers)
        if "connection" in values and ("connection", "close") in headers:
            self.keep_alive = False
            headers = [pair for pair in headers if pair != ("connection", "close")]
        lines = [STATUS_LINES.get(status) or f"HTTP/1.1 {status} Unknown", *map(": ".join, headers)]
        body, length = _UNTIL_CLOSE, values.get("content-length", "")
        if is_number(length):
            body, self._remaining = _LENGTH, int(length)
        if self.without_body or status in BODILESS:
            body = _NONE
        elif body is not _LENGTH and status >= 200:
            if self.http10:
                self.keep_alive = False
            else:
                body = _CHUNKED
                lines.append("transfer-encoding: chunked")
        self._body = body
        if not self.keep_alive and status != 101:
            lines.append("connection: close")
        elif self.http10:
            lines.append("connection: keep-alive")
        lines += _END_OF_HEAD
        head = "\r\n".join(lines).encode("latin-1", "replace")
        return head + self.body(first) if first else head

    def body(self, data: bytes) -> bytes:
        """Return the bytes of a piece of the body.

        Raises:
            ValueError: more than the declared length.
        """
        if self._body is _NONE or not data:  # an empty chunk would be the last one
            return b""
        if self._body is _CHUNKED:
            return b"%x\r\n%b\r\n" % (len(data), data)
        if self._body is _LENGTH:
            self._remaining -= len(data)
            if self._remaining < 0:
                raise ValueError("more body than the declared length")
        return data

    def end(self) -> bytes:
        """Return the bytes of the body's end.

        Raises:
            ValueError: less than the declared length.
        """
        if self._body is _LENGTH and self._remaining:
            raise ValueError("less body than the declared length")
        return b"0\r\n\r\n" if self._body is _CHUNKED else b""
