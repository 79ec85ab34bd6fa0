"""HTTP/1.1 with our own gateway, without IO: serializes requests and parses responses."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol, overload

from fal_jupyter.domain.errors import GatewayError

MAX_HEAD = 64 * 1024


Pairs = tuple[tuple[str, str], ...]
WHOLE = 64 * 1024  # pieces are sent together up to this size


class Pieces(Protocol):
    """A body that is read while it is sent, and again where it is sent again."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[bytes | memoryview]: ...


Body = bytes | Pieces


class Outgoing:
    """A request whose body is read while it is sent."""

    def __init__(self, head: bytes, body: Pieces) -> None:
        self._head, self._body = head, body

    def __len__(self) -> int:
        return len(self._head) + len(self._body)

    def __iter__(self) -> Iterator[bytes | memoryview]:
        small = bytearray(self._head)
        for piece in self._body:
            if len(small) + len(piece) <= WHOLE:
                small += piece
                continue
            if small:
                yield bytes(small)
                small.clear()
            if len(piece) < WHOLE:
                small += piece
            else:
                yield piece
        if small:
            yield bytes(small)


Request = bytes | Outgoing


@overload
def request(method: str, target: str, body: bytes = b"", headers: Iterable[tuple[str, str]] = ()) -> bytes: ...
@overload
def request(method: str, target: str, body: Body, headers: Iterable[tuple[str, str]] = ()) -> Request: ...


def request(method: str, target: str, body: Body = b"", headers: Iterable[tuple[str, str]] = ()) -> Request:
    """Return the bytes of a complete request, or an object to read them from."""
    if not target.isprintable() or " " in target:
        raise ValueError(f"{target!r} is not a valid request target")
    more = [f"{name}: {value}" for name, value in headers]
    if any(sign in line for line in more for sign in "\r\n\0"):
        raise ValueError("a header contains a line break")
    lines = [f"{method} {target} HTTP/1.1", "Host: localhost", f"Content-Length: {len(body)}", *more]
    head = ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
    return head + body if isinstance(body, bytes) else Outgoing(head, body)


class ResponseParser:
    """Parses one response, however its bytes are split. ``feed`` returns body bytes; ``done`` is True when it is complete.

    ``feed`` raises ValueError for anything that is not an HTTP response.
    """

    def __init__(self) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.done = False
        self._buffer = bytearray()
        self._remaining: int | None = None
        self._chunked = self._ending = False
        self._to_end = False

    @property
    def begun(self) -> bool:
        """True once the head has arrived."""
        return self.status != 0

    @property
    def reusable(self) -> bool:
        """True when another request may follow on the connection."""
        whole = self.done and not self._to_end and not self._buffer
        return whole and self.headers.get("connection", "").lower() != "close"

    def feed(self, data: bytes) -> bytes:
        """Take bytes; return those of the body among them."""
        self._buffer += data
        if not self.status and not self._head():
            return b""
        if self._chunked:
            return self._take_chunks()
        if self._remaining is None:
            piece = bytes(self._buffer)
            self._buffer.clear()
            return piece
        piece = bytes(self._buffer[: self._remaining])
        del self._buffer[: self._remaining]
        self._remaining -= len(piece)
        self.done = self._remaining == 0
        return piece

    def end(self) -> None:
        """The connection ended.

        Raises:
            GatewayError: within a response.
        """
        if self._to_end and self.status:
            self.done = True
        if not self.done:
            raise GatewayError("the gateway's connection ended within a response")

    def _head(self) -> bool:
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            if len(self._buffer) > MAX_HEAD or not b"HTTP/1.1 ".startswith(bytes(self._buffer[:9])):
                raise ValueError("not an HTTP response")
            return False
        first, *lines = bytes(self._buffer[:end]).decode("latin-1").split("\r\n")
        del self._buffer[: end + 4]
        if not first.startswith("HTTP/1.1 "):
            raise ValueError("not an HTTP response")
        self.status = _number(first.split(" ", 2)[1], "0123456789", 10)
        if self.status < 100:
            raise ValueError("not an HTTP response")
        for line in lines:
            name, _, value = line.partition(":")
            self.headers[name.strip().lower()] = value.strip()
        if self.headers.get("transfer-encoding", "").lower() == "chunked":
            self._chunked = True
        elif "content-length" in self.headers:
            self._remaining = _number(self.headers["content-length"], "0123456789", 10)
        else:
            self._to_end = True
        return True

    def _take_chunks(self) -> bytes:
        body = bytearray()
        while not self.done:
            if self._ending:  # the trailers, up to an empty line
                line = self._line()
                self.done = line == b""
                if line is None:
                    break
            elif self._remaining is None:
                line = self._line()
                if line is None:
                    break
                self._remaining = _number(line.split(b";")[0].decode("latin-1").strip(), "0123456789abcdefABCDEF", 16)
                if self._remaining == 0:
                    self._ending = True
            elif self._remaining:
                piece = self._buffer[: self._remaining]
                if not piece:
                    break
                body += piece
                del self._buffer[: len(piece)]
                self._remaining -= len(piece)
            else:
                line = self._line()
                if line is None:
                    break
                if line:
                    raise ValueError("a chunk of the response is longer than its declared size")
                self._remaining = None
        return bytes(body)

    def _line(self) -> bytes | None:
        """Take a line, or None if it is incomplete."""
        end = self._buffer.find(b"\r\n")
        if end < 0 and len(self._buffer) <= MAX_HEAD:
            return None
        if end < 0:
            raise ValueError("a line of the response has no end")
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 2]
        return line


def _number(text: str, digits: str, base: int) -> int:
    """A number as HTTP writes it, not as Python reads it (``-1``, ``1_000``)."""
    if not text or text.strip(digits):
        raise ValueError(f"{text[:20]!r} is not a number")
    return int(text, base)
