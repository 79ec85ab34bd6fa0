"""HTTP/1.1 for the loopback port and the Unix socket: llhttp's parser (httptools) on the event loop's own transports.

Tornado's server spends three quarters of a small request's time in its own Python (measured: decision 3 in docs/explanation/decisions);
here a request is one parser call and a response is one write. A connection answers one request at a time; pipelined ones wait, and
reading with them. Running out of file descriptors must not busy-loop: the loop's acceptor pauses, and connections get 503 while
there are some descriptors left.

The parts are modules of :mod:`fal_jupyter.gateway.http.connection`: ``request_parser`` (bytes → requests), ``request_cycle`` and
``response_framing`` (responses → bytes), ``flow_control`` (back-pressure), ``deadlines`` (timeouts), ``lingering_close`` (the end of a
refused connection), and ``states`` with the states of all of them.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import cast

import msgspec

from fal_jupyter.gateway.http.connection.deadlines import Awaited, ReadDeadlines
from fal_jupyter.gateway.http.connection.flow_control import ReadFlow, WriteFlow
from fal_jupyter.gateway.http.connection.lingering_close import LingeringClose
from fal_jupyter.gateway.http.connection.refusal import BUSY, EARLY_UPGRADE, HANDLER_FAILED, Refusal, RequestRefused
from fal_jupyter.gateway.http.connection.request_cycle import RequestResponseCycle
from fal_jupyter.gateway.http.connection.request_parser import ParsedHead, RequestParser
from fal_jupyter.gateway.http.connection.response_framing import ResponseFraming
from fal_jupyter.gateway.http.connection.states import CONNECTION, ConnectionEvent, ConnectionState
from fal_jupyter.gateway.http.messages import IncomingRequest
from fal_jupyter.protocol.api import H_ROLE

log = logging.getLogger("fal_jupyter.gateway")
SHORTEST_CHECK = 0.05  # minimum seconds between two checks of the deadlines
_OPEN, _SWITCHED, _LINGERING = ConnectionState.OPEN, ConnectionState.SWITCHED, ConnectionState.LINGERING


class PipelinedRequest(msgspec.Struct, eq=False):
    """A request that was read before an earlier one was answered."""

    head: ParsedHead
    body: list[bytes]
    complete: bool = False


@dataclass(eq=False)
class HttpListener:
    """Shared state of the connections of one port or socket.

    Attributes:
        new_handler: creates the handler of a connection's next request, by its head.
        read_timeout: seconds for completing a head, and between two pieces of a body.
        idle_timeout: seconds for a connection without a request.
        max_connections: maximum open connections; beyond it, 503.
        max_descriptor: a connection whose descriptor number is not below this gets 503, too (new descriptors get the lowest free number).
        send_timeout: seconds in which a caller must read some of the data sent.
        admits: returns whether the peer of a new connection's socket may connect.
    """

    new_handler: Callable[[RequestResponseCycle, ParsedHead], IncomingRequest]
    read_timeout: float
    idle_timeout: float
    max_connections: int
    admits: Callable[[socket.socket], bool] = lambda _: True
    send_timeout: float = 60.0
    max_descriptor: int = 1 << 30
    connections: set[HttpConnection] = field(default_factory=set)

    def connection(self) -> HttpConnection:
        """The protocol of a new connection."""
        return HttpConnection(self)

    def close_idle(self) -> None:
        """The port closes: end the connections that have no request."""
        for connection in list(self.connections):
            connection.close_if_idle()


class HttpConnection(asyncio.Protocol):
    """One caller's connection.

    Attributes:
        role: that of a Jupyter server's connection (``H_ROLE``), ``""`` for the gateway's user; fixed by the first head.
    """

    def __init__(self, listener: HttpListener) -> None:
        loop = asyncio.get_running_loop()
        self._listener, self._loop = listener, loop
        self._state = _OPEN
        self._transport: asyncio.Transport | None = None
        self._parser = RequestParser(self)
        self._reads = ReadFlow()
        self._writes = WriteFlow(loop, listener.send_timeout)
        self._deadlines = ReadDeadlines(listener.read_timeout, listener.idle_timeout)
        self._deadline_timer: asyncio.TimerHandle | None = None
        self._cycle: RequestResponseCycle | None = None  # of the request to be answered next
        self._pipeline: deque[PipelinedRequest] = deque()
        self._deferred_refusal: Refusal | None = None
        self._lingering_close: LingeringClose | None = None
        self.role: str | None = None

    # --- the transport ------------------------------------------------------------------------------------------
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport = cast(asyncio.Transport, transport)  # uvloop's does not inherit from it
        sock, listener = self.socket, self._listener
        listener.connections.add(self)
        if not listener.admits(sock):
            transport.abort()
            return
        if len(listener.connections) > listener.max_connections or sock.fileno() >= listener.max_descriptor:
            transport.write(BUSY.to_bytes())
            transport.close()
            return
        if sock.family == socket.AF_INET:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._reads.open(transport)
        self._writes.open(transport)
        self._deadlines.bytes_received(0, self._loop.time())
        self._deadline_timer = self._loop.call_later(listener.read_timeout, self._check_deadline)

    def connection_lost(self, exc: Exception | None) -> None:
        self._state = CONNECTION[self._state][ConnectionEvent.LOST]
        self._listener.connections.discard(self)
        if self._deadline_timer is not None:
            self._deadline_timer.cancel()
        if self._lingering_close is not None:
            self._lingering_close.connection_lost()
        self._transport = self._deadline_timer = self._lingering_close = None
        self._reads.close()
        self._abandon()
        self._parser.close()

    def data_received(self, data: bytes) -> None:
        state = self._state
        if state is _OPEN:
            self._deadlines.bytes_received(len(data), self._loop.time())
            try:
                rest = self._parser.feed(data)
            except RequestRefused as error:
                self._refuse(error.refusal)
            except Exception as error:
                self._handler_failed(error)
            else:
                if self._parser.has_new_head:
                    self._deadlines.begin_head()
                elif rest is not None:
                    self._upgrade(rest)
        elif state is _SWITCHED:  # never parsed again, even if the handshake was refused
            if self._cycle is not None and self._cycle.upgrades:
                self._deliver(self._cycle, data)
        elif self._lingering_close is not None:
            self._lingering_close.data_received(len(data))

    def pause_writing(self) -> None:
        self._writes.pause()

    def resume_writing(self) -> None:
        self._writes.resume()

    @property
    def socket(self) -> socket.socket:
        """The connection's socket, to identify its peer."""
        assert self._transport is not None
        sock: socket.socket = self._transport.get_extra_info("socket")
        return sock

    @property
    def encrypted(self) -> bool:
        """True on a TLS port."""
        return self._transport is not None and self._transport.get_extra_info("sslcontext") is not None

    def close_if_idle(self) -> None:
        """The port closes: end the connection if it has no request."""
        if self._lingering_close is not None:
            self._lingering_close.abort()
        elif self._cycle is None and self._transport is not None:
            self._transport.close()

    # --- deadlines ----------------------------------------------------------------------------------------------
    def _awaited(self) -> Awaited:
        cycle = self._cycle
        if self._reads.is_paused or (cycle is not None and cycle.is_received):
            return Awaited.NOTHING
        if self._parser.in_head:
            return Awaited.HEAD
        return Awaited.REQUEST if cycle is None else Awaited.BODY

    def _check_deadline(self) -> None:
        """Close the connection after a missed deadline of a head or a body, or when it is idle."""
        if self._state is _SWITCHED or self._transport is None:
            return
        awaited, timeout = self._awaited(), self._deadlines.read_timeout
        remaining = self._deadlines.seconds_left(awaited, self._loop.time())
        if remaining > 0:
            self._deadline_timer = self._loop.call_later(
                max(min(remaining, timeout), SHORTEST_CHECK), self._check_deadline
            )
        elif awaited is Awaited.REQUEST:
            self._transport.close()
        else:
            self._refuse(Refusal(408, f"timed out waiting for the rest of the request ({timeout:g} s)"))

    # --- requests -----------------------------------------------------------------------------------------------
    def head_received(self, head: ParsedHead) -> None:
        """A request's head is complete: it begins, or waits for earlier requests."""
        if self._cycle is None and not self._pipeline:
            self._begin(head)
        else:
            self._pipeline.append(PipelinedRequest(head, []))
            self._reads.pause()

    def body_received(self, data: bytes) -> None:
        """A piece of a body arrived."""
        if self._pipeline:
            self._pipeline[-1].body.append(data)
        elif self._cycle is not None:
            self._deliver(self._cycle, data)

    def request_received(self) -> None:
        """A request is complete."""
        if self._pipeline:
            self._pipeline[-1].complete = True
        elif self._cycle is not None:
            self._cycle.end_of_request()

    def _begin(self, head: ParsedHead) -> RequestResponseCycle:
        headers = head.headers
        if self.role is None:
            self.role = headers.get(H_ROLE, "")
        framing = ResponseFraming(head.keep_alive, head.http10, head.method == "HEAD")
        cycle = RequestResponseCycle(self, self._writes, framing, head.handshake)
        handler = cycle.handler = self._listener.new_handler(cycle, head)
        self._deadlines.begin_body()
        self._cycle = cycle
        try:
            handler.begin(head.method, head.target, headers)
        except Exception:
            self._cycle = None  # its handler has not received it
            raise
        if "expect" in headers and headers["expect"].lower() == "100-continue" and not head.http10:
            self._loop.call_soon(self._continue, cycle)  # after a handler that may respond by the head alone
        return cycle

    def _continue(self, cycle: RequestResponseCycle) -> None:
        """Request the body that the caller holds back, unless the request is already answered."""
        if self._cycle is cycle and not cycle.is_answering:
            self._writes.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def _deliver(self, cycle: RequestResponseCycle, data: bytes) -> None:
        handler = cycle.handler
        wait = handler.data_received(data) if handler is not None else None
        if isinstance(wait, asyncio.Future) and not wait.done():
            self._reads.pause()
            wait.add_done_callback(self._resume_reading)

    def _resume_reading(self, _: object = None) -> None:
        self._deadlines.resume(self._loop.time())
        self._reads.resume()

    def _upgrade(self, rest: bytes) -> None:
        """The connection continues as a WebSocket, its last request."""
        if self._pipeline:
            self._pipeline.pop()
            self._refuse(EARLY_UPGRADE)
            return
        self._state = CONNECTION[self._state][ConnectionEvent.UPGRADED]
        if rest:
            self.data_received(rest)

    def cycle_ended(self, *, keep_alive: bool) -> None:
        """The current request is answered."""
        self._cycle = None
        transport = self._writes.transport
        if transport is None:
            return
        if not keep_alive:
            transport.close()
        elif self._pipeline:
            self._loop.call_soon(self._next)  # not recursively: a thousand pipelined requests would overflow the stack
        elif self._deferred_refusal is not None:
            self._refuse(self._deferred_refusal)

    def _next(self) -> None:
        """Begin the next pipelined request."""
        if not self._pipeline or self._cycle is not None or self._writes.transport is None:
            return
        request = self._pipeline.popleft()
        try:
            cycle = self._begin(request.head)
            for data in request.body:
                self._deliver(cycle, data)
            if request.complete:
                cycle.end_of_request()
        except Exception as error:
            self._handler_failed(error)
            return
        if self._deferred_refusal is not None and not request.complete:
            self._refuse(self._deferred_refusal)  # the refusal concerns what follows
        else:
            self._resume_reading()

    # --- the end ------------------------------------------------------------------------------------------------
    def _handler_failed(self, error: Exception) -> None:
        """The handler of the current request raised, an internal error: neither it nor a pipelined request gets another answer."""
        log.error("a request could not be handled", exc_info=error)
        self._pipeline.clear()
        if self._cycle is not None:
            self._cycle.fail()
        self._refuse(HANDLER_FAILED)

    def _refuse(self, refusal: Refusal) -> None:
        """Send the refusal once all earlier requests are answered, and close the connection."""
        transport, cycle = self._writes.transport, self._cycle
        if transport is None or transport.is_closing():
            return
        if self._pipeline or (cycle is not None and cycle.is_received):
            self._state = CONNECTION[self._state][ConnectionEvent.REFUSAL_DEFERRED]
            self._deferred_refusal = refusal
            self._reads.pause()
        elif cycle is not None and cycle.is_answering:
            transport.close()
        else:
            self._state = CONNECTION[self._state][ConnectionEvent.REFUSED]
            self._reads.release()
            if self._deadline_timer is not None:
                self._deadline_timer.cancel()
            self._writes.close()
            self._lingering_close = LingeringClose(transport, refusal.to_bytes())
            self._abandon()

    def _abandon(self) -> None:
        """The caller no longer reads an answer."""
        self._pipeline.clear()
        self._writes.close()
        cycle, self._cycle = self._cycle, None
        if cycle is not None:
            cycle.disconnect()
