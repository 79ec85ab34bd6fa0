"""Tornado's web applications behind our own HTTP server: the control plane is written as ordinary request handlers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

from tornado.httputil import HTTPConnection, HTTPHeaders, HTTPMessageDelegate, RequestStartLine
from tornado.iostream import StreamClosedError
from tornado.web import Application

from fal_jupyter.gateway.http_server import Connection, RequestHeaders


class _Context(NamedTuple):
    """What Tornado's request objects read of a connection."""

    protocol: str
    remote_ip: str = "127.0.0.1"


class Answering(HTTPConnection):
    """A connection as Tornado's handlers see one."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.context = _Context("https" if connection.encrypted else "http")
        self._closed: Callable[[], None] | None = None

    def write_headers(self, start_line: Any, headers: HTTPHeaders, chunk: bytes | None = None) -> asyncio.Future[None]:
        pairs = [(name, value) for name, value in headers.get_all()]
        self.connection.respond(start_line.code, pairs, chunk or b"")
        return self._written(None)

    def write(self, chunk: bytes) -> asyncio.Future[None]:
        return self._written(self.connection.write(chunk))

    def _written(self, wait: asyncio.Future[None] | None) -> asyncio.Future[None]:
        if wait is not None:
            return wait
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if self.connection.gone:
            done.set_exception(StreamClosedError())
            done.exception()  # who does not wait for it is told by the close callback
        else:
            done.set_result(None)
        return done

    def finish(self) -> None:
        self.connection.finish()

    def set_close_callback(self, callback: Callable[[], None] | None) -> None:
        """What to call when the caller hangs up."""
        self._closed = callback

    def hung_up(self) -> None:
        """The caller's connection ended."""
        callback, self._closed = self._closed, None
        if callback is not None:
            callback()


class TornadoRequest:
    """One request for a Tornado application (:class:`fal_jupyter.gateway.http_server.Message`)."""

    upgrades = False

    def __init__(self, application: Application, connection: Connection, max_body: int) -> None:
        self._application, self._max_body = application, max_body
        self._answering = Answering(connection)
        self._delegate: HTTPMessageDelegate | None = None
        self._received = 0
        self._held: list[bytes] | None = None  # body that came before its handler was ready for it
        self._complete = False

    def begin(self, method: str, target: str, headers: RequestHeaders) -> None:
        """The head is here."""
        line = RequestStartLine(method, target, "HTTP/1.1")
        given = HTTPHeaders()
        for name, value in headers.pairs:
            given.add(name, value)
        self._answering.connection.on_close(self._answering.hung_up)
        self._delegate = self._application.start_request(None, self._answering)
        ready = self._delegate.headers_received(line, given)
        if ready is not None:  # a handler that takes its body as it comes: not before its prepare() is over
            self._held = []
            asyncio.ensure_future(ready).add_done_callback(self._go_on)

    def _go_on(self, _: object) -> None:
        held, self._held = self._held or [], None
        for chunk in held:
            self.data_received(chunk)
        if self._complete:
            self.finish()

    def data_received(self, chunk: bytes) -> Awaitable[None] | None:
        """A piece of the body."""
        if self._held is not None:
            self._held.append(chunk)
            return None
        self._received += len(chunk)
        if self._delegate is None or self._received > self._max_body:
            self._answering.connection.drop()
            return None
        return self._delegate.data_received(chunk)

    def finish(self) -> None:
        """The body is complete."""
        assert self._delegate is not None
        if self._held is not None:
            self._complete = True
            return
        self._delegate.finish()

    def on_connection_close(self) -> None:
        """The caller hung up while it was not answered."""
        self._answering.hung_up()
