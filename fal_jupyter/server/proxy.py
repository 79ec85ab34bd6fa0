"""Forwards requests to the gateway: streams bytes in both directions, without buffering whole bodies.

``prepare`` checks the caller's access; the rest is callbacks: pieces of the body go from Tornado to the gateway's socket, pieces of the
answer from there to Tornado's. Back-pressure applies in both directions.
"""

from __future__ import annotations

import asyncio
from http.client import responses
from typing import Final, cast

from tornado.http1connection import HTTP1Connection
from tornado.httputil import HTTPHeaders, HTTPServerRequest, ResponseStartLine
from tornado.iostream import StreamClosedError
from tornado.web import HTTPError, authenticated, stream_request_body

from fal_jupyter.client.connection.waiting import MOST_GATEWAYS, MOST_UNREAD
from fal_jupyter.domain.errors import GatewayStopped, GatewayUnreachable
from fal_jupyter.protocol.api import QUEUE
from fal_jupyter.protocol.panels import admin_target
from fal_jupyter.server.guard import AccessDenied, GuardedHandler, error_body, explain
from fal_jupyter.server.headers import handshake, inward, outward
from fal_jupyter.server.origin import Origin
from fal_jupyter.server.proxy_states import (
    ANSWER,
    RECEIVE,
    PassedAnswerEvent,
    PassedAnswerState,
    PassedRequestEvent,
    PassedRequestState,
)
from fal_jupyter.server.targets import DATA, is_ambiguous, is_query, without_secrets
from fal_jupyter.server.tunnel import Tunnel
from fal_jupyter.server.upstream import ENDED, ConnectionLost, Upstream, UpstreamConnection, ended

NO_BOUND: Final = 1 << 62
LINGER: Final = 10.0  # seconds for a client that was answered early to send the rest of its body
SMALL: Final = 64 * 1024  # bytes; a body of that size arrives with its head, or soon after
CHUNKED: Final = "chunked"
SOON: Final = 0.005  # seconds that a head waits for such a body


def check_upgrade(headers: HTTPHeaders, role: str) -> None:
    """Refuse a handshake with a body, which a server could read as another request.

    Args:
        role: of the connection to the gateway.

    Raises:
        AccessDenied: the handshake must not be forwarded.
    """
    if "websocket" not in headers.get("Upgrade", "").lower():
        return
    if "Transfer-Encoding" in headers or headers.get("Content-Length", "0").strip("0"):
        raise AccessDenied(400, "bad_request", "a WebSocket handshake must not have a body")
    if role != "data":
        raise AccessDenied(400, "bad_request", "there is no WebSocket at this address")


def body_length(request: HTTPServerRequest) -> str | None:
    """The length of a request's body, for the gateway: digits, :data:`CHUNKED`, or None for a request that has no body."""
    headers = request.headers
    if "Transfer-Encoding" in headers:
        return CHUNKED
    content_length = headers.get("Content-Length")
    if content_length is not None:
        return content_length.partition(",")[0].strip()  # Tornado refuses differing values
    return "0" if request.method in ("POST", "PUT", "PATCH") else None


class Passing(GuardedHandler):
    """One request and its answer (a :class:`fal_jupyter.server.upstream.ResponseReceiver`)."""

    def initialize(self, upstream: Upstream, max_body: int, origin: Origin) -> None:
        """Set the objects that all requests share."""
        self._auto_finish = False  # the answer's last byte ends it
        self._upstream, self._max_body, self._origin = upstream, max_body, origin
        self._connection: UpstreamConnection | None = None
        self._unsent_head = b""
        self._head_timer: asyncio.TimerHandle | None = None
        self._answer: tuple[ResponseStartLine, HTTPHeaders] | None = None
        self._receive_state, self._answer_state = PassedRequestState.RECEIVING, PassedAnswerState.PENDING
        self._chunked = False
        self._linger: asyncio.TimerHandle | None = None
        self._target = ""
        self._replay_buffer: bytearray | None = (
            bytearray()
        )  # the request so far, while it may still be sent to another gateway
        self._gateways_left = MOST_GATEWAYS - 1
        self._again: asyncio.Task[None] | None = None

    role = "panel"  # of the connection to the gateway: data connections have no control plane there

    @property
    def is_websocket(self) -> bool:
        """True if the client requests a WebSocket upgrade."""
        return self.request.method == "GET" and self.request.headers.get("Upgrade", "").lower() == "websocket"

    def target(self) -> str:
        """Return the gateway's path for this request.

        Raises:
            AccessDenied: the path is refused.
            HTTPError: there is none.
        """
        raise NotImplementedError

    # --- inwards ------------------------------------------------------------------------------------------------
    async def prepare(self) -> None:  # type: ignore[override]
        """Check the caller's access and connect to the gateway."""
        try:
            await super().prepare()
            self._wire.set_max_body_size(self._max_body or NO_BOUND)
            self._target = self.target()
            check_upgrade(self.request.headers, self.role)
            await self._open()
        except HTTPError as error:
            headers = self.request.headers
            if "Expect" in headers or not ("Transfer-Encoding" in headers or headers.get("Content-Length", "0") != "0"):
                raise
            self._respond(error.status_code, error_body(*explain(error)))  # while its body is still coming

    async def _open(self) -> None:
        length = None if self.is_websocket else body_length(self.request)
        head = self._head(length)  # may refuse the request: before it takes a connection
        try:
            idle = None if self.is_websocket else self._upstream.idle()  # a handshake gets its own connection
            connection = self._connection = idle or await self._upstream.connect()
        except GatewayUnreachable as error:
            raise AccessDenied(503, "no_gateway", error.message) from None
        connection.begin(self, self.request.method or "", last=self.is_websocket)
        self._gateway = connection.gateway
        self._chunked = length == CHUNKED
        expected = "Expect" in self.request.headers
        if length is None or (
            length.isascii() and length.isdigit() and len(length) < 19 and int(length) <= SMALL and not expected
        ):
            self._unsent_head = head  # one packet with the body
            if length not in (None, "0"):
                self._head_timer = asyncio.get_running_loop().call_later(SOON, self._send_head)
        else:
            self._pass(head)

    def _pass(self, data: bytes) -> asyncio.Future[None] | None:
        """Send a piece of the request."""
        if self._replay_buffer is not None:
            self._replay_buffer += data
            if len(self._replay_buffer) > MOST_UNREAD:
                self._replay_buffer = None
        return self._connection.write(data) if self._connection is not None else None

    def _head(self, length: str | None) -> bytes:
        query = without_secrets(self.request.query)
        if not is_query(query):
            raise AccessDenied(400, "bad_request", "the query has a character in it that no address has")
        target = f"{self._target}?{query}" if query else self._target
        base = ""
        if self._target.startswith(QUEUE) and (origin := self._origin.of(self.request)):
            base = f"{origin}{self.base_url}fal"
        lines = [f"{self.request.method} {target} HTTP/1.1", *inward(self.request.headers, length, base, self.role)]
        if self.is_websocket:
            lines += ["connection: Upgrade", "upgrade: websocket"]
        return "\r\n".join([*lines, "", ""]).encode("latin-1")

    def _send_head(self) -> None:
        """Send the head alone: the body is late, or there is none."""
        self._forget_timer()
        head, self._unsent_head = self._unsent_head, b""
        if head:
            self._pass(head)

    def _forget_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def data_received(self, chunk: bytes) -> asyncio.Future[None] | None:
        """A piece of the body; returns a future to wait for if the gateway is slower than the caller."""
        if self._connection is None and self._again is None:
            return None  # it was answered early; the rest of the body is discarded
        data = b"%x\r\n%b\r\n" % (len(chunk), chunk) if self._chunked else chunk
        if self._unsent_head:
            data, self._unsent_head = self._unsent_head + data, b""
            self._forget_timer()
        return self._pass(data)

    def _body_complete(self) -> None:
        """The request has been read to its end."""
        self._receive_state = RECEIVE[self._receive_state][PassedRequestEvent.BODY_ENDED]
        if self._connection is not None or self._again is not None:
            self._send_head()
            if self._chunked:
                self._pass(b"0\r\n\r\n")
            if self._connection is not None:
                self._connection.complete()
        elif self._answer_state is PassedAnswerState.COMPLETE:
            self._finish()

    # --- outwards -----------------------------------------------------------------------------------------------
    @property
    def _is_received(self) -> bool:
        return self._receive_state is PassedRequestState.RECEIVED

    @property
    def _is_disconnected(self) -> bool:
        return self._answer_state is PassedAnswerState.DISCONNECTED

    def _move(self, event: PassedAnswerEvent) -> None:
        self._answer_state = ANSWER[self._answer_state][event]

    @property
    def _wire(self) -> HTTP1Connection:
        return cast(HTTP1Connection, self.request.connection)

    def began(self, status: int, headers: list[tuple[str, str]]) -> None:
        """The answer's head."""
        if status == 101:
            if self.is_websocket and self._is_received:
                self._switch(headers)
            elif self._connection is not None:  # no upgrade was requested
                self._connection.drop()
                self.lost(ConnectionLost(ENDED))
            return
        reason = responses.get(status, "Unknown")
        self.set_status(status, reason)
        cleaned = outward(headers, f"{self.base_url}fal", self._target)
        for name in ("Access-Control-Allow-Origin", "Access-Control-Allow-Credentials"):
            if self._headers.get(name):  # Jupyter's own configuration allows another origin
                cleaned[name] = self._headers[name]
        self._answer = ResponseStartLine("HTTP/1.1", status, reason), cleaned

    def piece(self, data: bytes) -> None:
        """A piece of the answer's body."""
        if self._answer is not None:
            (start, headers), self._answer = self._answer, None
            self._move(PassedAnswerEvent.HEAD_SENT)
            sent = self._wire.write_headers(start, headers, data)
        else:
            sent = self._wire.write(data)
        if self._connection is None:
            return
        if sent.done():  # Tornado drops the future of the previous write, which may have paused
            self._connection.resume()
        else:
            self._connection.pause()
            sent.add_done_callback(self._write_done)

    def _write_done(self, _: asyncio.Future[None]) -> None:
        if self._connection is not None:
            self._connection.resume()

    def settled(self) -> None:
        """No more data for now: send a head that has no body yet."""
        if self._answer is not None:
            (start, headers), self._answer = self._answer, None
            self._move(PassedAnswerEvent.HEAD_SENT)
            self._wire.write_headers(start, headers)

    def ended(self) -> None:
        """The answer is complete."""
        self.settled()
        self._connection = None
        self._move(PassedAnswerEvent.ENDED)
        if self._is_received:
            self._finish()
        elif not self._is_disconnected:  # closing the connection while the client still sends would destroy its answer
            self._linger = asyncio.get_running_loop().call_later(LINGER, self._cut)

    def lost(self, why: ConnectionLost) -> None:
        """The gateway disconnected mid-response, or is stopped."""
        self._connection, self._answer = None, None
        if self._answer_state is not PassedAnswerState.PENDING:
            self._cut()
        elif why.unread and self._replay_buffer is not None and self._gateways_left:
            self._gateways_left -= 1
            self._again = asyncio.ensure_future(self._retry(why.error))
        else:
            self._refuse(why.error)

    def _refuse(self, error: GatewayUnreachable) -> None:
        if isinstance(error, GatewayStopped):
            self._respond(504, error_body("gateway_stopped", f"{error.message}; {error.hint}"))
        else:
            self._respond(502, error_body("gateway_ended", error.message))

    async def _retry(self, error: GatewayUnreachable) -> None:
        """Send the request again to the next gateway; the one that ended has not read it."""
        await ended(self._gateway)
        try:
            connection = await self._upstream.connect()
        except GatewayUnreachable:
            self._again = None
            if not self._is_disconnected:
                self._refuse(error)
            return
        self._again = None
        if (
            self._is_disconnected or self._replay_buffer is None
        ):  # the caller left, or has sent more than can be sent twice
            connection.drop()
            if not self._is_disconnected:
                self._refuse(error)
            return
        self._connection, self._gateway = connection, connection.gateway
        connection.begin(self, self.request.method or "", last=self.is_websocket)
        connection.write(bytes(self._replay_buffer))
        if self._is_received:
            connection.complete()

    def _respond(self, status: int, data: bytes) -> None:
        """Send a response of the proxy itself."""
        self.set_status(status)
        headers = HTTPHeaders({"Content-Type": "application/json", "Content-Length": str(len(data))})
        headers["X-Content-Type-Options"] = "nosniff"
        headers["Cache-Control"] = "no-store"
        self._move(PassedAnswerEvent.HEAD_SENT)
        self._wire.write_headers(ResponseStartLine("HTTP/1.1", status, responses.get(status, "Unknown")), headers, data)
        self.ended()

    def _finish(self) -> None:
        if self._linger is not None:
            self._linger.cancel()
        if self._finished or self._is_disconnected:
            return
        self._headers_written = True
        try:
            self.finish()
        except (ValueError, StreamClosedError):  # fewer bytes than the announced length
            self._cut()

    def _cut(self) -> None:
        """Close the connection, so that the client sees an incomplete response."""
        self._move(PassedAnswerEvent.CONNECTION_CLOSED)
        stream = self._wire.stream
        if stream is not None:
            stream.close()

    def _switch(self, headers: list[tuple[str, str]]) -> None:
        """The gateway accepted the upgrade: hand over the client's stream."""
        assert self._connection is not None
        connection, self._connection = self._connection, None
        self.set_status(101)
        self._finished = True
        self._log()
        self.on_finish()
        stream = self._wire.detach()
        tunnel = Tunnel(stream, connection)
        connection.tunnel(tunnel)
        tunnel.raw(handshake(headers))

    def on_connection_close(self) -> None:
        """The client disconnected: cancel its request."""
        super().on_connection_close()
        self._move(PassedAnswerEvent.CONNECTION_CLOSED)
        self._forget_timer()
        if self._linger is not None:
            self._linger.cancel()
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.drop()

    # --- verbs: called at the end of the request's body ------------------------------------------------
    @authenticated
    def get(self, *_: object) -> None:
        """Pass on."""
        self._body_complete()

    head = post = put = patch = delete = options = get


@stream_request_body
class DataHandler(Passing):
    """``fal/run/…``, ``fal/queue/…``, ``fal/cdn/…`` and ``fal/ws/…``: every method runs user code."""

    role = "data"

    def action(self) -> str:
        """What is done, for Jupyter's authorizer."""
        return "execute"

    def target(self) -> str:
        """Return the path on the gateway's socket: ours without the base URL and ``fal``."""
        path = self.request.path[len(self.base_url) + len("fal") :]
        if is_ambiguous(path):
            raise AccessDenied(400, "bad_request", "the path has '..', a hidden slash or a control character in it")
        if path.split("/")[1] not in DATA:
            raise HTTPError(404)
        return path


@stream_request_body
class AdminHandler(Passing):
    """``fal/api/…``: the control-plane paths that panels may request, and nothing else."""

    def action(self) -> str:
        """What is done, for Jupyter's authorizer: calling an app runs user code."""
        return "execute" if self.request.path.endswith("/calls") else super().action()

    def target(self) -> str:
        """Return the control plane's path."""
        path = self.request.path[len(self.base_url) + len("fal/api/") :]
        target = None if is_ambiguous(path) else admin_target(self.request.method or "", path)
        if target is None:
            raise AccessDenied(404, "not_found", "panels cannot request this path of the gateway")
        return target
