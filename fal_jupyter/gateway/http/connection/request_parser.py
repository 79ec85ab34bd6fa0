"""Parses requests: llhttp (httptools) splits a message; this module builds heads from it, and refuses unacceptable requests."""

from __future__ import annotations

import re
from typing import Final, Protocol

import httptools
import msgspec

from fal_jupyter.gateway.http.connection.refusal import (
    CONNECT,
    HEAD_LIMIT,
    LONG_HEAD,
    TRANSFER_ENCODING_10,
    UNKNOWN_METHOD,
    UPGRADE_WITH_BODY,
    Refusal,
    RequestRefused,
)
from fal_jupyter.gateway.http.connection.states import PARSER, ParserEvent, ParserState
from fal_jupyter.gateway.http.messages import RequestHeaders

_HEAD, _IGNORED_UPGRADE, _REPLAY = ParserState.HEAD, ParserState.IGNORED_UPGRADE, ParserState.REPLAY
_MESSAGE_BEGUN, _MESSAGE_ENDED = ParserEvent.MESSAGE_BEGUN, ParserEvent.MESSAGE_ENDED
_HEAD_ENDED, _UPGRADE_IGNORED = ParserEvent.HEAD_ENDED, ParserEvent.UPGRADE_IGNORED
_FRAMING = frozenset({"content-length", "transfer-encoding"})
_LOWER: Final = {
    written.encode(): name
    for name in (
        "accept",
        "accept-encoding",
        "authorization",
        "connection",
        "content-length",
        "content-type",
        "host",
        "user-agent",
    )
    for written in (name, name.title())
}
_REQUEST_LINE = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+ [\x21-\xff]+ HTTP/1\.[01]\r\n")


class ParsedHead(msgspec.Struct, eq=False, gc=False):
    """The head of a request.

    Attributes:
        keep_alive: the client lets the connection serve another request afterwards.
        http10: its version is HTTP/1.0.
        handshake: it is a WebSocket handshake: no other request follows on its connection, regardless of the answer.
    """

    method: str
    target: str
    headers: RequestHeaders
    keep_alive: bool
    http10: bool
    handshake: bool


class ParsedMessages(Protocol):
    """Receives the parts of requests (:class:`fal_jupyter.gateway.http.server.HttpConnection`)."""

    def head_received(self, head: ParsedHead) -> None:
        """The head is complete."""

    def body_received(self, data: bytes) -> None:
        """A piece of the body arrived."""

    def request_received(self) -> None:
        """The request is complete."""


class RequestParser:
    """Parses the bytes of one connection. llhttp calls its ``on_`` methods.

    Attributes:
        has_new_head: a head began in the last bytes, and is incomplete.
    """

    __slots__ = (
        "_head_ended", "_head_size", "_llhttp", "_messages", "_pairs", "_state", "_target", "_unparsed", "has_new_head", "on_body",
    )  # fmt: skip

    def __init__(self, messages: ParsedMessages) -> None:
        self._messages = messages
        self.on_body = messages.body_received
        self._llhttp = httptools.HttpRequestParser(self)
        self._state = ParserState.IDLE
        self._target = b""
        self._pairs: list[tuple[str, str]] = []
        self._head_size = 0  # bytes reported by llhttp, including trailers
        self._unparsed = 0  # bytes of a head after its first packet, possibly not yet reported by llhttp
        self._head_ended = False  # a head ended in the last bytes
        self.has_new_head = False

    @property
    def in_head(self) -> bool:
        """True while a head is incomplete."""
        return self._state is _HEAD

    def feed(self, data: bytes) -> bytes | None:
        """Parse bytes. Returns the bytes after a WebSocket handshake (then parsing stops), else None.

        Raises:
            RequestRefused: they are not an acceptable request.
            Exception: any exception of a method of *messages*.
        """
        if self._state is _HEAD:
            self._unparsed += len(data)
        self.has_new_head = self._head_ended = False
        while True:
            try:
                self._llhttp.feed_data(data)
            except httptools.HttpParserUpgrade as upgrade:
                data = data[upgrade.args[0] :]
                if self._state is not _IGNORED_UPGRADE:
                    return data
                data = self._without_upgrade() + data
            except httptools.HttpParserCallbackError as error:
                raise error.__context__ or error from None
            except httptools.HttpParserError as error:
                raise RequestRefused(self._refusal_of(error, data)) from None
            else:
                break
        if self._head_size > HEAD_LIMIT or self._unparsed > HEAD_LIMIT:
            raise RequestRefused(LONG_HEAD)
        return None

    def close(self) -> None:
        """Release llhttp's parser: it and this object refer to each other, a cycle that only garbage collection would free."""
        del self._llhttp, self._messages, self.on_body

    def _without_upgrade(self) -> bytes:
        """Continue with a new parser after an unsupported upgrade offer (h2c); returns the bytes to feed first.

        llhttp treats a request with an offer as complete, even if a body follows. A head with the same framing restores its state.
        """
        self._state = PARSER[self._state][ParserEvent.PARSER_REPLACED]
        self._llhttp = httptools.HttpRequestParser(self)
        framing = [f"{name}: {value}\r\n" for name, value in self._pairs if name in _FRAMING]
        return f"POST / HTTP/1.1\r\n{''.join(framing)}\r\n".encode("latin-1")

    def _refusal_of(self, error: httptools.HttpParserError, data: bytes) -> Refusal:
        unknown = isinstance(error, httptools.HttpParserInvalidMethodError) and not self._head_ended
        if unknown and _REQUEST_LINE.match(data):  # a well-formed request line with a method unknown to llhttp
            return UNKNOWN_METHOD
        return Refusal(400, f"invalid HTTP request: {error}")

    # --- called by llhttp ---------------------------------------------------------------------------------------
    def on_message_begin(self) -> None:
        if self._state is _REPLAY:
            return
        self._state = PARSER[self._state][_MESSAGE_BEGUN]
        self._target, self._pairs = b"", []
        self._head_size = self._unparsed = 0
        self.has_new_head = True

    def on_url(self, url: bytes) -> None:
        if self._state is _HEAD:
            self._target += url
            self._head_size += len(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._state is _HEAD:
            self._head_size += len(name) + len(value)
            self._pairs.append(
                (_LOWER.get(name) or name.decode("latin-1").lower(), value.decode("latin-1").strip(" \t"))
            )
        elif self._state is not _REPLAY:  # a trailer: it must not become part of the head (RFC 9110, 6.5.1)
            self._head_size += len(name) + len(value)

    def on_headers_complete(self) -> None:
        if self._state is _REPLAY:
            self._state = PARSER[self._state][_HEAD_ENDED]
            return
        self._unparsed, self._head_ended, self.has_new_head = 0, True, False
        if self._head_size > HEAD_LIMIT:
            raise RequestRefused(LONG_HEAD)
        llhttp, headers = self._llhttp, RequestHeaders(self._pairs)
        method, keep_alive = llhttp.get_method().decode("ascii"), llhttp.should_keep_alive()
        if method == "CONNECT":
            raise RequestRefused(CONNECT)
        http10, upgrade, handshake = llhttp.get_http_version() == "1.0", llhttp.should_upgrade(), False
        if http10 and "transfer-encoding" in headers:  # RFC 9112, 6.1
            raise RequestRefused(TRANSFER_ENCODING_10)
        if upgrade and not http10 and headers.get("upgrade", "").lower() == "websocket":
            if "transfer-encoding" in headers or headers.get("content-length", "0").strip("0"):
                raise RequestRefused(UPGRADE_WITH_BODY)
            upgrade, handshake, keep_alive = False, True, False
        self._state = PARSER[self._state][_UPGRADE_IGNORED if upgrade else _HEAD_ENDED]
        target = self._target.decode("latin-1")
        self._messages.head_received(ParsedHead(method, target, headers, keep_alive, http10, handshake))

    def on_message_complete(self) -> None:
        if self._state is not _IGNORED_UPGRADE:
            self._state = PARSER[self._state][_MESSAGE_ENDED]
            self._messages.request_received()
