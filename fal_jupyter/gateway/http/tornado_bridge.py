"""Tornado's web applications behind our own HTTP server: the control plane is written as ordinary request handlers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

from tornado.httputil import HTTPConnection, HTTPHeaders, HTTPInputError, HTTPMessageDelegate, RequestStartLine
from tornado.iostream import StreamClosedError
from tornado.web import Application

from fal_jupyter.gateway.http.connection.request_cycle import RequestResponseCycle
from fal_jupyter.gateway.http.messages import LINGER, LINGER_BYTES, RequestHeaders
from fal_jupyter.gateway.http.response_writer import failure


class _Context(NamedTuple):
    """The attributes that Tornado's request objects read from a connection."""

    protocol: str
    remote_ip: str = "127.0.0.1"


class RespondingHandler(HTTPConnection):
    """A connection as Tornado's handlers see one."""

    def __init__(self, connection: RequestResponseCycle) -> None:
        self.connection = connection
        self.context = _Context("https" if connection.encrypted else "http")
        self.begun = self.over = False  # the answer
        self.disconnected = False  # its caller
        self._read_all = False
        self._closed: Callable[[], None] | None = None
        self._linger: asyncio.TimerHandle | None = None

    def write_headers(self, start_line: Any, headers: HTTPHeaders, chunk: bytes | None = None) -> asyncio.Future[None]:
        self.begun = True
        pairs = [(name.lower(), value) for name, value in headers.get_all()]
        self.connection.respond(start_line.code, pairs, chunk or b"")
        return self._written(None)

    def write(self, chunk: bytes) -> asyncio.Future[None]:
        return self._written(self.connection.write(chunk))

    def _written(self, wait: asyncio.Future[None] | None) -> asyncio.Future[None]:
        if wait is not None:
            return wait
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if self.connection.disconnected:
            done.set_exception(StreamClosedError())
            done.exception()  # callers that do not wait for it are notified by the close callback
        else:
            done.set_result(None)
        return done

    def finish(self) -> None:
        self.over = True
        if self._read_all:
            self.connection.finish()
        else:  # closing while the caller still sends would destroy the answer
            self._linger = asyncio.get_running_loop().call_later(LINGER, self.connection.drop)

    def refuse(self, status: int, error_type: str, detail: str) -> None:
        """Answer with a failure instead of the handler; an answer that has begun is cut off."""
        if self.begun:
            self.connection.drop()
            return
        headers, body = failure(status, error_type, detail)
        self.begun = True
        self.connection.respond(status, headers, body)
        self.finish()

    def body_over(self) -> None:
        """The body has been read completely."""
        self._read_all = True
        if self._linger is not None:
            self._linger.cancel()
            self._linger = None
            self.connection.finish()

    def set_close_callback(self, callback: Callable[[], None] | None) -> None:
        """Set the callback for a disconnect of the caller."""
        self._closed = callback

    def hung_up(self) -> None:
        """The caller's connection ended."""
        self.disconnected = True
        if self._linger is not None:
            self._linger.cancel()
        callback, self._closed = self._closed, None
        if callback is not None:
            callback()


class BodyLimit(NamedTuple):
    """The maximum length of a body, and the message (413) for a longer one."""

    most: int
    message: str


class TornadoRequest:
    """One request for a Tornado application (:class:`fal_jupyter.gateway.http.messages.IncomingRequest`).

    *whole* is the limit of buffered bodies, *streamed* that of handlers that process theirs in pieces.
    """

    upgrades = False

    def __init__(
        self,
        application: Application,
        connection: RequestResponseCycle,
        whole: BodyLimit,
        streamed: BodyLimit | None = None,
    ) -> None:
        self._application, self._limit, self._streamed = application, whole, streamed or whole
        self._answering = RespondingHandler(connection)
        self._delegate: HTTPMessageDelegate | None = None
        self._received = 0
        self._early_body: list[bytes] | None = None  # body received before its handler was ready
        self._complete = False

    def begin(self, method: str, target: str, headers: RequestHeaders) -> None:
        """The head has arrived."""
        line = RequestStartLine(method, target, "HTTP/1.1")
        parsed = HTTPHeaders()
        self._answering.connection.on_close(self._answering.hung_up)
        try:
            for name, value in headers.pairs:
                parsed.add(name, value)
            self._delegate = self._application.start_request(None, self._answering)
            ready = self._delegate.headers_received(line, parsed)
        except HTTPInputError as error:  # Tornado is stricter than our parser: two hosts, for example
            self._delegate = HTTPMessageDelegate()
            self._answering.refuse(400, "bad_request", f"invalid HTTP request: {error}"[:300])
            return
        if ready is not None:  # a handler that streams its body: not before its prepare() has ended
            self._limit, self._early_body = self._streamed, []
            asyncio.ensure_future(ready).add_done_callback(self._go_on)

    def _go_on(self, _: object) -> None:
        chunks, self._early_body = self._early_body or [], None
        if self._answering.disconnected:  # before its handler noticed: let it discard what it began to store
            assert self._delegate is not None
            self._delegate.on_connection_close()
            return
        for chunk in chunks:
            self.data_received(chunk)
        if self._complete:
            self.finish()

    def data_received(self, chunk: bytes) -> Awaitable[None] | None:
        """A piece of the body."""
        if self._early_body is not None:
            self._early_body.append(chunk)
            return None
        assert self._delegate is not None
        self._received += len(chunk)
        if self._answering.over:  # the rest is discarded, up to a limit
            if self._received > self._limit.most + LINGER_BYTES:
                self._answering.connection.drop()
            return None
        if self._received > self._limit.most:
            self._delegate.on_connection_close()  # let its handler discard what it began to store
            self._answering.refuse(413, "bad_request", self._limit.message)
            return None
        return self._delegate.data_received(chunk)

    def finish(self) -> None:
        """The body is complete."""
        assert self._delegate is not None
        if self._early_body is not None:
            self._complete = True
            return
        answered = self._answering.over
        self._answering.body_over()
        if not answered:
            self._delegate.finish()

    def on_connection_close(self) -> None:
        """The caller disconnected before the answer."""
        self._answering.hung_up()
