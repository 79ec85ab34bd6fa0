"""HTTP/1.1 for the loopback port and the Unix socket: llhttp's parser (httptools) on the event loop's own transports.

Tornado's server spends three quarters of a small request's time in its own Python (measured: decision 3 in docs/explanation/decisions); here a request is
one parser call and an answer is one write. One request at a time is answered on a connection; pipelined ones wait, and
with them the reading. Who runs out of descriptors is no reason to spin: the loop's acceptor pauses, and connections are
refused with 503 while there are some left.
"""

from __future__ import annotations

import asyncio
import logging
import re
import socket
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from http.client import responses
from typing import NamedTuple, NoReturn, cast

import httptools

from fal_jupyter.gateway.http.messages import LINGER, LINGER_BYTES, IncomingRequest, RequestHeaders
from fal_jupyter.gateway.http.response_writer import FAILED, Headers, failure, is_number
from fal_jupyter.gateway.http.send_queue import unsent
from fal_jupyter.protocol.api import BODILESS, H_ROLE

log = logging.getLogger("fal_jupyter.gateway")
HEAD_BOUND = 64 * 1024
LEAST_RATE = 1024  # bytes a second that a body has to bring on average
SHORTEST_LOOK = 0.05
WRITE_HIGH = 1 << 20
_NAMES = {
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
_STATUS = {status: f"HTTP/1.1 {status} {text}\r\n" for status, text in responses.items()}


class Refusal(NamedTuple):
    """What is answered to bytes that are no request, before the connection ends."""

    status: int
    detail: str
    headers: tuple[tuple[str, str], ...] = ()

    def to_bytes(self) -> bytes:
        """The answer, in fal's shape."""
        headers, body = failure(self.status, "internal_error" if self.status >= 500 else "bad_request", self.detail)
        lines = [f"{name}: {value}\r\n" for name, value in (*headers, *self.headers, ("connection", "close"))]
        return f"{_STATUS[self.status]}{''.join(lines)}\r\n".encode() + body


_BUSY = Refusal(503, "too many connections are open")
_LONG_HEAD = Refusal(400, f"the head of the request is longer than {HEAD_BOUND} bytes")
_CONNECT = Refusal(400, "this is no proxy: CONNECT leads nowhere")
_UPGRADE = Refusal(400, "a websocket cannot begin before the requests ahead of it are answered")
_UPGRADE_BODY = Refusal(400, "a WebSocket handshake must not have a body")
_FRAMING_10 = Refusal(400, "an HTTP/1.0 request must not have a Transfer-Encoding")
_METHOD = Refusal(405, "Method Not Allowed")
_REQUEST_LINE = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+ [\x21-\xff]+ HTTP/1\.[01]\r\n")
_FAILED = Refusal(500, FAILED)


class _Incoming:
    """A request that has not been begun, since the one before it is not answered."""

    __slots__ = ("chunks", "complete", "handshake", "headers", "keep_alive", "method", "old", "target")

    def __init__(self, method: str, target: str, headers: RequestHeaders, keep_alive: bool) -> None:
        self.method, self.target, self.headers, self.keep_alive = method, target, headers, keep_alive
        self.old = False  # HTTP/1.0
        self.handshake = False  # a WebSocket's: whatever becomes of it, no other request follows on its connection
        self.chunks: list[bytes] = []
        self.complete = False


@dataclass(eq=False)
class HttpListener:
    """What the connections of one port or socket share.

    Attributes:
        make: gives who takes the next request of a connection.
        read_timeout: seconds in which a head has to be complete, and a body has to go on.
        idle_timeout: seconds that a connection may be open without a request.
        most: maximum open connections; beyond it, 503.
        top: a connection whose descriptor has this number or a higher one is refused too: a new one gets the lowest that is free.
        send_timeout: seconds in which a caller has to take something of what waits for it.
        admits: says of a new connection's socket whether it may speak to us at all.
    """

    make: Callable[[HttpConnection], IncomingRequest]
    read_timeout: float
    idle_timeout: float
    most: int
    admits: Callable[[socket.socket], bool] = lambda _: True
    send_timeout: float = 60.0
    top: int = 1 << 30
    connections: set[HttpConnection] = field(default_factory=set)

    def connection(self) -> HttpConnection:
        """The protocol of a new connection."""
        return HttpConnection(self)

    def close_idle(self) -> None:
        """Nobody is listened to any more: hang up on whoever waits for nothing."""
        for connection in list(self.connections):
            connection.close_if_idle()


class HttpConnection(asyncio.Protocol):
    """One caller's connection, and the :class:`~fal_jupyter.gateway.http.response_writer.ResponseWriter` of its requests."""

    def __init__(self, listener: HttpListener) -> None:
        self._listener = listener
        self._make, self._connections = listener.make, listener.connections
        self._loop = asyncio.get_running_loop()
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport | None = None
        self._refused: asyncio.Transport | None = None  # the same, once nothing that comes is listened to any more
        self._refusal: Refusal | None = None  # the next answer, when the requests before it have theirs
        self._message: IncomingRequest | None = None
        self._incoming: _Incoming | None = None
        self._queue: deque[_Incoming] = deque()
        self._url: list[bytes] = []
        self._pairs: list[tuple[str, str]] = []
        self._head_size = self._unparsed = 0
        self._in_head = False
        self._begun = False  # a head was complete in the bytes that came last
        self._ready = False  # the request at work has been read to its end
        self._offered = False  # the request that comes would go on in another protocol, but no websocket
        self._told_anew = False  # the next head is of the request that is being read
        self._raw = False  # a websocket: no more HTTP on this connection
        self.handshake = False  # the request at work is a WebSocket's handshake, by its head's Connection and Upgrade
        self.role: str | None = (
            None  # what Jupyter passes on here (H_ROLE), "" for our own user: by the first head, for good
        )
        self._answering = self._chunked = False
        self._bodiless = False  # a HEAD is asked: its answer is a head alone, whatever length that tells
        self._length: int | None = None
        self.rewrite: Callable[[Headers], Headers] | None = None  # what the answer at work says of origins
        self._keep_alive = True
        self._closed_callback: Callable[[], None] | None = None
        self._paused = 0
        self._writable: asyncio.Future[None] | None = None
        self._seen = self._began = self._due = 0.0
        self._queued = 0  # bytes written so far
        self._old = False  # HTTP/1.0
        self._stall: asyncio.TimerHandle | None = None
        self._timer: asyncio.TimerHandle | None = None

    # --- the transport ------------------------------------------------------------------------------------------
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one, but does not inherit from it
        sock = self.socket
        self._connections.add(self)
        if not self._listener.admits(sock):
            self._transport.abort()
            return
        if len(self._connections) > self._listener.most or sock.fileno() >= self._listener.top:
            self._transport.write(_BUSY.to_bytes())
            self._transport.close()
            return
        if sock.family == socket.AF_INET:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._transport.set_write_buffer_limits(high=WRITE_HIGH)
        self._seen = self._began = self._loop.time()
        self._timer = self._loop.call_later(self._listener.read_timeout, self._look)

    @property
    def socket(self) -> socket.socket:
        """The connection's socket, for questions about its other end."""
        assert self._transport is not None
        found: socket.socket = self._transport.get_extra_info("socket")
        return found

    @property
    def encrypted(self) -> bool:
        """True on a TLS port."""
        return self._transport is not None and self._transport.get_extra_info("sslcontext") is not None

    def connection_lost(self, exc: Exception | None) -> None:
        self._connections.discard(self)
        if self._timer is not None:
            self._timer.cancel()
        if self._stall is not None:
            self._stall.cancel()
        self._transport = self._refused = None
        self._gone()
        self._timer = self._stall = None
        del self._parser  # it and the timers refer to this connection: the cycle would last until a garbage collection

    def _gone(self) -> None:
        """Nobody reads an answer any more."""
        self._queue.clear()
        if self._writable is not None and not self._writable.done():
            self._writable.set_result(None)
        message, self._message = self._message, None
        if message is not None:
            callback, self._closed_callback = self._closed_callback, None
            (callback or message.on_connection_close)()

    def _look(self) -> None:
        """Hang up on a head or a body that does not come, and on a connection that nobody uses."""
        if self._transport is None or self._raw:
            return
        now, patience = self._loop.time(), self._listener.read_timeout
        if self._paused or (self._message is not None and self._ready):
            left = patience  # it waits for us
        elif self._in_head:
            left = self._began + patience - now  # however often a byte of it comes
        elif self._message is not None:
            left = self._due - now  # each byte of a body buys a little time
        else:
            left = self._seen + self._listener.idle_timeout - now
        if left <= 0:
            if self._in_head or self._message is not None:
                self._refuse(Refusal(408, f"the request did not go on for {patience:g} s"))
            else:
                self._transport.close()
            return
        self._timer = self._loop.call_later(max(min(left, patience), SHORTEST_LOOK), self._look)

    def data_received(self, data: bytes) -> None:
        if self._raw:  # never parsed again, also where the handshake was refused
            if self._message is not None and self._message.upgrades:
                self._hand_over(self._message, data)
            return
        if self._refused is not None:
            self._unparsed += len(data)
            if self._unparsed > LINGER_BYTES:
                self._refused.abort()
            return
        self._seen = self._loop.time()
        if self._message is not None:
            self._due = min(self._due + len(data) / LEAST_RATE, self._seen + self._listener.read_timeout)
        if self._in_head:  # one that has not ended in its first packet
            self._unparsed += len(data)
        refusal = self._parse(data)
        if refusal is None and max(self._unparsed, self._head_size) > HEAD_BOUND:
            refusal = _LONG_HEAD
        if refusal is not None:
            self._refuse(refusal)

    def _parse(self, data: bytes) -> Refusal | None:
        """Give the bytes to the parser; says what is wrong with them."""
        self._begun = False
        while True:
            try:
                self._parser.feed_data(data)
            except httptools.HttpParserUpgrade as upgrade:
                data = data[upgrade.args[0] :]
                if not self._offered:
                    return self._upgrade(data)
                data = self._without_upgrade() + data
            except httptools.HttpParserCallbackError as error:
                return self._refusal or self._failed(error)
            except httptools.HttpParserError as error:
                unknown = isinstance(error, httptools.HttpParserInvalidMethodError) and not self._begun
                if unknown and _REQUEST_LINE.match(
                    data
                ):  # a good request line, but of a method that llhttp does not know
                    return _METHOD
                return Refusal(400, f"this is no HTTP request: {error}")
            else:
                return None

    def _failed(self, error: Exception) -> Refusal:
        """Whoever takes the request failed, which is our fault."""
        log.error("a request could not be taken", exc_info=error)
        self._ready = False  # no answer comes
        return _FAILED

    def _without_upgrade(self) -> bytes:
        """Begin with a new parser, where the other protocol that was offered (h2c) is none of ours; gives what it shall read first.

        A parser takes a request with an offer for complete, whatever body comes: the new one is told of that in a head of its own.
        """
        self._parser = httptools.HttpRequestParser(self)
        self._offered, self._told_anew = False, True
        kept = [
            f"{name}: {value}\r\n" for name, value in self._pairs if name in ("content-length", "transfer-encoding")
        ]
        return f"POST / HTTP/1.1\r\n{''.join(kept)}\r\n".encode("latin-1")

    def _upgrade(self, rest: bytes) -> Refusal | None:
        """The caller goes on in another protocol, which is the connection's last."""
        if self._queue:
            self._queue.pop()
            return _UPGRADE
        self._raw = True
        if rest and self._message is not None and self._message.upgrades:
            self._hand_over(self._message, rest)
        return None

    def pause_writing(self) -> None:
        if self._writable is None or self._writable.done():
            self._writable = self._loop.create_future()
        if self._stall is None and self._transport is not None:
            self._stall = self._loop.call_later(self._listener.send_timeout, self._check_progress, self._taken)

    @property
    def _taken(self) -> int:
        """Bytes that the caller's side has taken."""
        if self._transport is None:
            return self._queued
        fd = self._transport.get_extra_info("socket").fileno()
        return self._queued - self._transport.get_write_buffer_size() - unsent(fd)

    def _check_progress(self, before: int) -> None:
        """Hang up on a caller that has taken nothing for the whole time."""
        self._stall = None
        if self._transport is None or not self.backed_up():
            return
        if self._taken <= before:
            self._transport.abort()
            return
        self._stall = self._loop.call_later(self._listener.send_timeout, self._check_progress, self._taken)

    def resume_writing(self) -> None:
        if self._stall is not None:
            self._stall.cancel()
            self._stall = None
        if self._writable is not None and not self._writable.done():
            self._writable.set_result(None)

    def _refuse(self, refusal: Refusal) -> None:
        """What came is no request that we take: say so when all before it is answered, and hang up.

        What goes on coming is read and let go for a while: closing a socket with unread bytes in it destroys the answer.
        """
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        if self._queue or (self._message is not None and self._ready):
            self._refusal = refusal
            self._pause()
            return
        if self._message is not None and self._answering:
            transport.close()
            return
        self._transport, self._refused, self._unparsed = None, transport, 0
        if self._paused:
            transport.resume_reading()
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(LINGER, transport.abort)
        transport.write(refusal.to_bytes())
        if transport.can_write_eof():
            transport.write_eof()
        self._gone()

    # --- the parser ---------------------------------------------------------------------------------------------
    def on_message_begin(self) -> None:
        if self._told_anew:
            return
        self._url, self._pairs, self._head_size, self._unparsed, self._in_head = [], [], 0, 0, True
        self._began = self._seen

    def on_url(self, url: bytes) -> None:
        if self._told_anew:
            return
        self._url.append(url)
        self._head_size += len(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._told_anew:
            return
        self._head_size += len(name) + len(value)
        if not self._in_head:
            return  # a trailer: it must not become part of the head (RFC 9110, 6.5.1)
        self._pairs.append((_NAMES.get(name) or name.decode("latin-1").lower(), value.decode("latin-1").strip(" \t")))

    def on_headers_complete(self) -> None:
        if self._told_anew:
            self._told_anew = False
            return
        self._in_head, self._unparsed, self._begun = False, 0, True
        if self._head_size > HEAD_BOUND:
            self._stop(_LONG_HEAD)
        target = b"".join(self._url).decode("latin-1")
        method = self._parser.get_method().decode("ascii")
        if method == "CONNECT":
            self._stop(_CONNECT)
        request = _Incoming(method, target, RequestHeaders(self._pairs), self._parser.should_keep_alive())
        self._incoming = request
        old = request.old = self._parser.get_http_version() == "1.0"
        if old and "transfer-encoding" in request.headers:  # RFC 9112, 6.1
            self._stop(_FRAMING_10)
        offered = self._parser.should_upgrade()
        request.handshake = offered and not old and str(request.headers.get("upgrade", "")).lower() == "websocket"
        if request.handshake:
            length = request.headers.get("content-length", "0")
            if "transfer-encoding" in request.headers or length.strip("0"):
                self._stop(_UPGRADE_BODY)
            request.keep_alive = False
        self._offered = offered and not request.handshake
        if self._message is None and not self._queue:
            self._begin(request)
        else:
            self._queue.append(request)
            self._pause()

    def _stop(self, refusal: Refusal) -> NoReturn:
        """Let the parser go no further."""
        self._refusal, self._incoming = refusal, None
        raise ValueError(refusal.detail)

    def on_body(self, body: bytes) -> None:
        if self._incoming is None:
            return  # its head was refused
        if self._queue:
            self._incoming.chunks.append(body)
        elif self._message is not None:
            self._hand_over(self._message, body)

    def on_message_complete(self) -> None:
        if self._incoming is None or self._offered:
            return
        if self._queue:
            self._incoming.complete = True
        elif self._message is not None and not self._message.upgrades:
            self._ready = True
            self._message.finish()

    # --- requests -----------------------------------------------------------------------------------------------
    def _begin(self, request: _Incoming) -> IncomingRequest:
        if self.role is None:
            self.role = request.headers.get(H_ROLE, "")
        message = self._make(self)
        self._keep_alive, self._ready = request.keep_alive, False
        self._answering = self._chunked = False
        self._bodiless = request.method == "HEAD"
        self._length = self.rewrite = None
        self.handshake, self._old = request.handshake, request.old
        self._due = self._loop.time() + self._listener.read_timeout
        self._message = message
        try:
            message.begin(request.method, request.target, request.headers)
        except Exception:
            self._message = None  # it is nobody's
            raise
        if request.headers.get("expect", "").lower() == "100-continue" and not request.old:
            self._loop.call_soon(self._continue, message)  # after whoever decides by the head alone
        return message

    def _continue(self, message: IncomingRequest) -> None:
        """Ask for the body that the caller holds back, unless it is refused already."""
        if self._message is message and not self._answering and self._transport is not None:
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def _hand_over(self, message: IncomingRequest, body: bytes) -> None:
        wait = message.data_received(body)
        if isinstance(wait, asyncio.Future) and not wait.done():
            self._pause()
            wait.add_done_callback(lambda _: self._go_on())

    def _pause(self) -> None:
        self._paused += 1
        if self._paused == 1 and self._transport is not None:
            self._transport.pause_reading()

    def _go_on(self) -> None:
        self._paused -= 1
        self._seen = self._loop.time()
        self._due = self._seen + self._listener.read_timeout
        if self._paused == 0 and self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def _next(self) -> None:
        """Begin the next request that came meanwhile."""
        if not self._queue or self._message is not None or self._transport is None:
            return
        request = self._queue.popleft()
        try:
            message = self._begin(request)
            for chunk in request.chunks:
                self._hand_over(message, chunk)
            if request.complete:
                self._ready = True
                message.finish()
        except Exception as error:
            self._refuse(self._failed(error))
            return
        if self._refusal is not None and not request.complete:
            self._refuse(self._refusal)  # the rest of it is what was refused
            return
        self._go_on()

    # --- the answer (Caller) ------------------------------------------------------------------------------------
    def respond(self, status: int, headers: Headers, body: bytes) -> None:
        """Send the head and the first body; names of headers are in lower case."""
        self._answering = True
        if self.rewrite is not None:
            headers = self.rewrite(headers)
        lines = [_STATUS.get(status) or f"HTTP/1.1 {status} Unknown\r\n"]
        for name, value in headers:
            if name == "content-length":
                self._length = int(value) if is_number(value) else None
            elif name == "connection" and value == "close":
                self._keep_alive = False
                continue
            lines.append(f"{name}: {value}\r\n")
        self._bodiless = self._bodiless or status in BODILESS
        if self._length is None and status >= 200 and not self._bodiless:
            if self._old:
                self._keep_alive = False  # its body ends with the connection
            else:
                self._chunked = True
                lines.append("transfer-encoding: chunked\r\n")
        if not self._keep_alive and status != 101:
            lines.append("connection: close\r\n")
        elif self._old:
            lines.append("connection: keep-alive\r\n")
        lines.append("\r\n")
        head = "".join(lines).encode("latin-1", "replace")
        if self._transport is None:
            return
        data = head if not body or self._bodiless else head + self._framed(body)
        self._queued += len(data)
        self._transport.write(data)

    def _framed(self, data: bytes) -> bytes:
        if self._bodiless or not data:  # an empty chunk would be the last one
            return b""
        if self._chunked:
            return b"%x\r\n%b\r\n" % (len(data), data)
        if self._length is not None:
            self._length -= len(data)
            if self._length < 0:
                raise ValueError("more body than the length that was announced")
        return data

    def write(self, data: bytes) -> asyncio.Future[None] | None:
        """Send more body."""
        framed = self._framed(data)
        if self._transport is None or not framed:
            return None
        self._queued += len(framed)
        self._transport.write(framed)
        return self._writable if self.backed_up() else None

    def backed_up(self) -> bool:
        """True while the caller does not take what it was sent."""
        return self._writable is not None and not self._writable.done()

    def finish(self) -> None:
        """The answer is complete: the connection serves the next request, or ends."""
        if not self._chunked and not self._bodiless and self._length and self._transport is not None:
            raise ValueError("less body than the length that was announced")
        self._message = self._closed_callback = None
        if self._transport is None:
            return
        if self._chunked:
            self._queued += 5
            self._transport.write(b"0\r\n\r\n")
        if self._keep_alive and self._ready:
            if self._queue:
                self._loop.call_soon(self._next)  # never deeper: a thousand pipelined requests are no stack
            elif self._refusal is not None:
                self._refuse(self._refusal)
        else:
            self._transport.close()

    @property
    def gone(self) -> bool:
        """True when the caller has hung up."""
        return self._transport is None

    def drop(self) -> None:
        """Hang up, now."""
        if self._transport is not None:
            self._transport.abort()

    def on_close(self, callback: Callable[[], None]) -> None:
        """Call *callback* if the caller hangs up."""
        self._closed_callback = callback

    def close_if_idle(self) -> None:
        """The port closes: whoever waits for nothing is hung up on."""
        if self._refused is not None:
            self._refused.abort()
        elif self._message is None and self._transport is not None:
            self._transport.close()
