"""HTTP/1.1 to the gateway's Unix socket: connections that are used again, answers handed over as their bytes come."""

from __future__ import annotations

import asyncio
import os
import socket
from typing import NamedTuple, Protocol, cast

import httptools

from fal_jupyter.client.connection.connect import dial, peer_pid
from fal_jupyter.client.connection.waiting import LOOK, MOST_GATEWAYS, MOST_UNREAD, Patience
from fal_jupyter.domain.errors import GatewayStopped, GatewayUnreachable
from fal_jupyter.protocol.api import BODILESS
from fal_jupyter.settings import Settings

LONGEST_IDLE = 30.0  # seconds that a connection waits for its next request; at most half of the gateway's own limit
MOST_IDLE = 64
WRITE_HIGH = 1 << 20
ENDING_PATIENCE = 2.0  # seconds
NO_GATEWAY = "no gateway runs; it starts with the first app, or when you start it"


class ResponseReceiver(Protocol):
    """Receives a response. Called from event-loop callbacks, so its methods must not block."""

    def began(self, status: int, headers: list[tuple[str, str]]) -> None:
        """The answer's head, names in lower case. More may follow at once, else :meth:`settled` does."""

    def piece(self, data: bytes) -> None:
        """A piece of the answer's body."""

    def settled(self) -> None:
        """That is all for now: send on what is kept."""

    def ended(self) -> None:
        """The answer is complete."""

    def lost(self, why: ConnectionLost) -> None:
        """The connection ended before the answer did."""


class ConnectionLost(NamedTuple):
    """Why the response ended early.

    Attributes:
        error: what to say.
        unread: the gateway ended before it read anything of the request.
    """

    error: GatewayUnreachable
    unread: bool = False


ENDED = GatewayUnreachable("the gateway ended before it answered")


class Tunnelled(Protocol):
    """Receives the bytes after a 101 response."""

    def raw(self, data: bytes) -> None:
        """Bytes of the other protocol."""

    def hung_up(self) -> None:
        """The gateway closed the connection."""


class UpstreamConnection(asyncio.Protocol):
    """One connection to the gateway; one request at a time."""

    def __init__(self, upstream: Upstream, sock: socket.socket) -> None:
        self._upstream, self._socket = upstream, sock
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._taker: ResponseReceiver | None = None
        self._tunnelled: Tunnelled | None = None
        self._headers: list[tuple[str, str]] = []
        self._bodiless = self._to_end = False
        self._sent = False  # the request is complete
        self._last = False  # no other request follows
        self._writable: asyncio.Future[None] | None = None
        self._written = 0  # bytes of the request
        self._answering = False
        self._patience: asyncio.TimerHandle | None = None
        self.gateway = peer_pid(sock)
        self.idle_since = 0.0

    # --- the request ------------------------------------------------------------------------------------------
    def begin(self, taker: ResponseReceiver, method: str, *, last: bool = False, bounded: bool = True) -> None:
        """Start a request; *taker* gets its answer. What is written next are the request's bytes.

        Args:
            last: the connection is not used again, whatever the answer says (a WebSocket handshake).
            bounded: the request is lost where the gateway is stopped for longer than a moment.
        """
        self._last = last
        self._taker, self._bodiless = taker, method == "HEAD"
        self._headers, self._sent, self._to_end = [], False, False
        self._written, self._answering = 0, False
        self._forget_patience()
        if bounded:
            self._patience = self._loop.call_later(LOOK, self._look, Patience(self.gateway))

    def _look(self, patience: Patience) -> None:
        """Look whether the gateway is stopped, as long as a request is under way."""
        self._patience = None
        if self._taker is None or self._tunnelled is not None:
            return
        try:
            patience.look()
        except GatewayStopped as error:
            self._lose(ConnectionLost(error))
        else:
            self._patience = self._loop.call_later(LOOK, self._look, patience)

    def _forget_patience(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

    def write(self, data: bytes) -> asyncio.Future[None] | None:
        """Send bytes; returns a future to wait for where the gateway does not take them as fast as they come."""
        if self._transport is None:
            return None
        self._written += len(data)
        self._transport.write(data)
        return self._writable if self._writable is not None and not self._writable.done() else None

    def complete(self) -> None:
        """The request has been written to its end."""
        self._sent = True

    def is_good(self) -> bool:
        """True if the gateway has neither closed the connection nor sent unrequested bytes; looks at the socket, not at the event loop."""
        try:
            self._socket.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except BlockingIOError:
            return self._transport is not None and not self._transport.is_closing()
        except OSError:
            pass
        return False

    def pause(self) -> None:
        """Take no more of the answer for now."""
        if self._transport is not None:
            self._transport.pause_reading()

    def resume(self) -> None:
        """Take the rest of the answer."""
        if self._transport is not None and not self._transport.is_closing() and not self._transport.is_reading():
            self._transport.resume_reading()

    def drop(self) -> None:
        """Close now: the client disconnected, so the gateway must cancel the request."""
        self._taker = self._tunnelled = None
        if self._transport is not None:
            self._transport.abort()

    def close(self) -> None:
        """Close when everything written has been sent."""
        self._taker = self._tunnelled = None
        if self._transport is not None:
            self._transport.close()

    def tunnel(self, taker: Tunnelled) -> None:
        """Stop parsing HTTP from here on (called by the receiver of a 101 response)."""
        self._tunnelled = taker

    # --- the transport ----------------------------------------------------------------------------------------
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(high=WRITE_HIGH)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._upstream.forget(self)
        self._forget_patience()
        self.resume_writing()
        taker, self._taker = self._taker, None
        tunnelled, self._tunnelled = self._tunnelled, None
        if tunnelled is not None:
            tunnelled.hung_up()
        elif taker is not None and self._to_end and exc is None:
            taker.ended()
        elif taker is not None:
            reset = isinstance(exc, BrokenPipeError | ConnectionResetError)
            taker.lost(ConnectionLost(ENDED, unread=reset and not self._answering and self._written <= MOST_UNREAD))

    def pause_writing(self) -> None:
        if self._writable is None or self._writable.done():
            self._writable = self._loop.create_future()

    def resume_writing(self) -> None:
        if self._writable is not None and not self._writable.done():
            self._writable.set_result(None)

    def data_received(self, data: bytes) -> None:
        self._answering = True
        if self._tunnelled is not None:
            self._tunnelled.raw(data)
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._upgraded(data[upgrade.args[0] :])
            return
        except (httptools.HttpParserError, httptools.HttpParserCallbackError):
            self._broken()
            return
        if self._taker is not None:
            self._taker.settled()

    def _upgraded(self, rest: bytes) -> None:
        """The answer was 101, and *rest* came right behind it."""
        if self._tunnelled is None:
            self._broken()
        elif rest:
            self._tunnelled.raw(rest)

    def _broken(self) -> None:
        """What arrived is not an HTTP response."""
        self._lose(ConnectionLost(ENDED))

    def _lose(self, why: ConnectionLost) -> None:
        """Close a connection whose response does not arrive."""
        taker, self._taker = self._taker, None
        self.drop()
        if taker is not None:
            taker.lost(why)

    # --- the parser -------------------------------------------------------------------------------------------
    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.append((name.decode("latin-1").lower(), value.decode("latin-1").strip(" \t")))

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if 100 <= status < 200 and status != 101:
            return
        headers, self._headers = self._headers, []
        if self._taker is None:
            self.drop()  # an unsolicited response
            return
        names = {name for name, _ in headers}
        self._to_end = status not in BODILESS and not names & {"content-length", "transfer-encoding"}
        self._taker.began(status, headers)
        if self._bodiless:
            self._answered(reusable=False)  # the parser would wait for a body

    def on_body(self, body: bytes) -> None:
        if self._taker is not None:
            self._taker.piece(body)

    def on_message_complete(self) -> None:
        if 100 <= self._parser.get_status_code() < 200:
            self._headers = []
        elif self._taker is not None:
            self._answered(reusable=self._parser.should_keep_alive())

    def _answered(self, *, reusable: bool) -> None:
        taker, self._taker = self._taker, None
        if reusable and self._sent and not self._last:
            self.resume()  # the end of the answer may have paused it, and its client resumes it no more
            self._upstream.keep(self)
        else:
            self.drop()
        if taker is not None:
            taker.ended()


class Upstream:
    """The gateway of one state directory, as a client sees it."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._longest_idle = min(LONGEST_IDLE, settings.idle_timeout / 2)
        self._idle: list[UpstreamConnection] = []
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False

    def idle(self) -> UpstreamConnection | None:
        """Return a connection that waits for a request, if there is one."""
        while self._idle:
            connection = self._idle.pop()
            if connection.is_good():
                return connection
            connection.drop()
        return None

    async def connect(self) -> UpstreamConnection:
        """Return a new connection.

        Raises:
            GatewayUnreachable: there is no answer; the message says why.
        """
        try:
            sock = dial(self.settings, wait=False)
        except BlockingIOError:
            raise GatewayUnreachable("the gateway accepts no more connections at the moment") from None
        except OSError:
            raise GatewayUnreachable(NO_GATEWAY) from None
        try:
            loop = asyncio.get_running_loop()
            _, connection = await loop.create_unix_connection(lambda: UpstreamConnection(self, sock), sock=sock)
        except BaseException:
            sock.close()
            raise
        return connection

    def keep(self, connection: UpstreamConnection) -> None:
        """Keep a connection for the next request."""
        if self._closed or len(self._idle) >= MOST_IDLE:
            connection.close()
            return
        loop = asyncio.get_running_loop()
        connection.idle_since = loop.time()
        self._idle.append(connection)
        if self._timer is None:
            self._timer = loop.call_later(self._longest_idle, self._sweep)

    def forget(self, connection: UpstreamConnection) -> None:
        """A connection ended."""
        if connection in self._idle:
            self._idle.remove(connection)

    def _sweep(self) -> None:
        loop = asyncio.get_running_loop()
        old = loop.time() - self._longest_idle
        for connection in [c for c in self._idle if c.idle_since <= old]:
            self._idle.remove(connection)
            connection.close()
        first = min((c.idle_since for c in self._idle), default=None)
        self._timer = None if first is None else loop.call_at(first + self._longest_idle + 0.001, self._sweep)

    def close(self) -> None:
        """Close all idle connections."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        for connection in list(self._idle):
            connection.close()
        self._idle.clear()


class _Whole:
    """A taker that collects a small answer."""

    def __init__(self) -> None:
        self.status = 0
        self.data: list[bytes] = []
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def began(self, status: int, headers: list[tuple[str, str]]) -> None:
        self.status = status

    def piece(self, data: bytes) -> None:
        self.data.append(data)

    def settled(self) -> None:
        pass

    def ended(self) -> None:
        if not self.over.done():
            self.over.set_result(None)

    def lost(self, why: ConnectionLost) -> None:
        if not self.over.done():
            self.over.set_exception(_Unanswered(why) if why.unread else why.error)


class _Unanswered(GatewayUnreachable):
    """A question that the gateway has not read."""

    def __init__(self, why: ConnectionLost) -> None:
        super().__init__(why.error.message)


async def get(upstream: Upstream, target: str, method: str = "GET") -> tuple[int, bytes]:
    """Ask the gateway for something small, without a body; returns status and body. What one that ended has not read is asked of the next one.

    Raises:
        GatewayUnreachable: there is no answer.
    """
    for gateways_left in reversed(range(MOST_GATEWAYS)):
        connection = upstream.idle() or await upstream.connect()
        taker = _Whole()
        length = "" if method == "GET" else "content-length: 0\r\n"
        connection.begin(taker, method)
        connection.write(f"{method} {target} HTTP/1.1\r\nhost: localhost\r\n{length}\r\n".encode())
        connection.complete()
        try:
            await taker.over
        except asyncio.CancelledError:
            connection.drop()
            raise
        except _Unanswered:
            if not gateways_left:
                raise
            await ended(connection.gateway)
        else:
            return taker.status, b"".join(taker.data)
    raise AssertionError("unreachable")


async def ended(gateway: int) -> None:
    """Wait for the end of a gateway that broke a connection off: a moment, in which it would break the next one too."""
    try:
        pidfd = os.pidfd_open(gateway)
    except OSError:
        return
    loop, over = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(pidfd, over.set)
    try:
        async with asyncio.timeout(ENDING_PATIENCE):
            await over.wait()
    except TimeoutError:
        pass
    finally:
        loop.remove_reader(pidfd)
        os.close(pidfd)
