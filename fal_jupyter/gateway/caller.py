"""Who waits for an answer: what an exchange needs of a connection, and Tornado's connections seen so."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Sequence
from http.client import responses
from typing import Any, Protocol

from tornado.httputil import HTTPConnection, HTTPHeaders, ResponseStartLine

Headers = Sequence[tuple[str, str]]
_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_NOT_IN_VALUE = re.compile(r"[\x00\r\n]")


class Caller(Protocol):
    """One request's way back. After ``respond`` come any number of ``write`` and one ``finish``, or ``drop``."""

    def respond(self, status: int, headers: Headers, body: bytes) -> None:
        """Send the head and the first (or whole) body; without a length among *headers*, the body goes in chunks."""

    def write(self, data: bytes) -> asyncio.Future[None] | None:
        """Send more body; a future that is not done yet asks to wait.

        Raises:
            ValueError: more than the length that was announced.
        """

    def finish(self) -> None:
        """The answer is complete.

        Raises:
            ValueError: less than the length that was announced.
        """

    def drop(self) -> None:
        """Hang up, now."""

    def on_close(self, callback: Callable[[], None]) -> None:
        """Call *callback* if the caller hangs up before the answer is complete."""


def can_be_sent(headers: Headers) -> bool:
    """False where HTTP cannot carry a name or a value: a line break in it would be another header."""
    return all(_NAME.fullmatch(name) and not _NOT_IN_VALUE.search(value) for name, value in headers)


class TornadoCaller:
    """A connection of Tornado's server (the Unix socket's)."""

    def __init__(self, conn: HTTPConnection) -> None:
        self._conn: Any = conn  # HTTP1Connection; the base class does not name all of it

    def respond(self, status: int, headers: Headers, body: bytes) -> None:
        sent = HTTPHeaders()
        for name, value in headers:
            sent.add(name, value)
        self._conn.write_headers(ResponseStartLine("", status, responses.get(status, "Unknown")), sent, body or None)

    def write(self, data: bytes) -> asyncio.Future[None] | None:
        future: asyncio.Future[None] = self._conn.write(data)
        return future

    def finish(self) -> None:
        self._conn.finish()

    def drop(self) -> None:
        if self._conn.stream is not None:
            self._conn.stream.close()

    def on_close(self, callback: Callable[[], None]) -> None:
        self._conn.set_close_callback(callback)
