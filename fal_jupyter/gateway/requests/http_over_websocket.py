"""HTTP over a WebSocket: ``/ws/{owner}/{alias}/{path}``, as on fal's platform (fal's page "HTTP over WebSockets").

Each message of the caller is the body of a POST request to the endpoint. It is answered by a start message (status and headers), the
body, and an end message; then the next one is processed. Start and end are JSON texts with ``type`` and ``request_id``. A body is
text if its type is text, JSON in one piece up to 1 MiB, and never a text that could be mistaken for a start or an end.

An answer that is cut off ends the WebSocket with 1011, so that it does not look complete.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from websockets.frames import Frame, Opcode
from websockets.protocol import Protocol, Side, State
from websockets.utils import accept_key

from fal_jupyter.domain.text.json_forms import encode_json
from fal_jupyter.gateway.http.connection.request_cycle import RequestResponseCycle
from fal_jupyter.gateway.http.messages import RequestHeaders
from fal_jupyter.gateway.http.response_writer import Headers, failure, new_id
from fal_jupyter.gateway.requests.data_plane import DataPlane, DataPlaneRequest, absent_sentence, request_head
from fal_jupyter.gateway.requests.proxied_request import ProxiedRequest
from fal_jupyter.gateway.requests.request_description import RequestDescription
from fal_jupyter.protocol.api import RUN, SPEAK
from fal_jupyter.protocol.frames import WINDOW

LONGEST_JSON = 1 << 20  # bytes of a JSON body that is one message
BROKEN, BROKEN_OFF = 1011, "the app's answer was cut off"
CLOSING = 10.0  # seconds for the caller to answer our close
FAILED = 1.0  # seconds for a caller that violated the protocol to read the reason: its further data would cause a reset
RESTART, NOT_SERVED = 1012, "the app is no longer served"
_OF_A_HANDSHAKE = "sec-websocket-"
_OF_A_BODY = frozenset({"content-type", "content-length"})


class ResponseOverWebSocket:
    """Sends one request's response (:class:`fal_jupyter.gateway.http.response_writer.ResponseWriter`): as messages of the WebSocket."""

    def __init__(self, websocket: HttpOverWebSocket, request_id: str) -> None:
        self._websocket, self._id = websocket, request_id
        self._status = 0
        self._began, self._first = time.monotonic(), 0.0
        self._text, self._json = False, False
        self._buffered: list[bytes] = []  # JSON, until it is complete or too long
        self._size = 0

    def respond(self, status: int, headers: Headers, body: bytes) -> None:
        """Send the start message, and the first body."""
        self._status, self._first = status, time.monotonic() - self._began
        kind = next((value for name, value in headers if name == "content-type"), "").partition(";")[0].strip().lower()
        self._json = kind == "application/json" or kind.endswith("+json")
        self._text = self._json or kind.startswith("text/")
        self._websocket.send_notice(
            "start", self._id, status=status, headers={name.title(): value for name, value in headers}
        )
        self.write(body)

    def write(self, data: bytes) -> asyncio.Future[None] | None:
        """Send more body."""
        self._size += len(data)
        if self._json and self._size <= LONGEST_JSON:
            self._buffered.append(data)
            return None
        self._json = False
        piece = b"".join([*self._buffered, data])
        self._buffered.clear()
        return self._websocket.send(piece, text=self._text)

    def backed_up(self) -> bool:
        """True while the caller does not read the data sent."""
        return self._websocket.cycle.backed_up()

    def finish(self) -> None:
        """Send the end message."""
        if self._buffered:
            self._websocket.send(b"".join(self._buffered), text=True)
        self._websocket.send_notice(
            "end", self._id, status=self._status, time_to_first_byte_seconds=round(self._first, 6)
        )
        self._websocket.answered()

    def drop(self) -> None:
        """The answer was cut off."""
        self._websocket.close(BROKEN, BROKEN_OFF)

    def on_close(self, callback: Callable[[], None]) -> None:
        """Nothing to do: the WebSocket reports the end to the request."""


class HttpOverWebSocket(DataPlaneRequest):
    """One such WebSocket. It is opened by the rules of the endpoint; the request for that is the template of the later ones."""

    __slots__ = (
        "_closing",
        "_current",
        "_leaving",
        "_opcode",
        "_over",
        "_parts",
        "_protocol",
        "_query",
        "_room",
        "_size",
        "_waiting",
    )

    def __init__(self, plane: DataPlane, cycle: RequestResponseCycle) -> None:
        super().__init__(plane, cycle)
        self._protocol = Protocol(Side.SERVER, state=State.OPEN, max_size=plane.settings.max_body)
        self._query = ""  # of the handshake; may contain the token
        self._parts: list[bytes] = []
        self._opcode = Opcode.TEXT
        self._waiting: deque[tuple[Opcode, bytes]] = deque()  # waiting messages
        self._size = 0  # their total size
        self._room: asyncio.Future[None] | None = None
        self._current: ProxiedRequest | None = None
        self._over = self._leaving = False
        self._closing: asyncio.TimerHandle | None = None

    def begin(self, method: str, target: str, headers: RequestHeaders) -> None:
        """The handshake has arrived."""
        if not self.cycle.handshake and (self.plane.trusted or self.plane.accepts_host(headers.get("host", ""))):
            self.headers = headers
            self._refuse(426, "bad_request", f"{SPEAK} is for WebSockets; use {RUN} for ordinary requests")
            return
        self._query = target.partition("?")[2]
        super().begin(method, RUN + target.removeprefix(SPEAK), headers)

    def open(self) -> None:
        """Accept the handshake."""
        assert self.headers is not None
        accepted = accept_key(self.headers.get("sec-websocket-key", ""))
        head = [("upgrade", "websocket"), ("connection", "Upgrade"), ("sec-websocket-accept", accepted)]
        self.cycle.respond(101, head, b"")
        self.plane.websockets.add(self)

    def close_when_idle(self) -> None:
        """The port closes."""
        self._leaving = True
        self._next()

    # --- from the caller ----------------------------------------------------------------------------------------
    def data_received(self, chunk: bytes) -> Awaitable[None] | None:
        """Handle bytes of the WebSocket; wait for the returned future if it is not done, until earlier messages are answered."""
        if self.request is None:  # it is refused, and has a body
            return super().data_received(chunk)
        self._protocol.receive_data(chunk)
        for event in self._protocol.events_received():
            if isinstance(event, Frame) and not self._over:
                self._take(event)
        flushed = self._flush()
        if self._protocol.close_rcvd:
            self._end()
            self._hang_up()
            return None
        if self._protocol.eof_sent:  # it sent an invalid frame
            self._end(FAILED)
        if self._over:
            return None
        self._next()
        if self._size <= WINDOW:
            return flushed  # a caller that does not read answers and pongs is not read either
        if self._room is None or self._room.done():
            self._room = asyncio.get_running_loop().create_future()
        return self._room

    def _take(self, frame: Frame) -> None:
        if frame.opcode in (Opcode.TEXT, Opcode.BINARY):
            self._opcode, self._parts = frame.opcode, [bytes(frame.data)]
        elif frame.opcode is Opcode.CONT:
            self._parts.append(bytes(frame.data))
        else:
            return
        if frame.fin:
            message, self._parts = b"".join(self._parts), []
            self._waiting.append((self._opcode, message))
            self._size += len(message)

    def on_connection_close(self) -> None:
        """The caller disconnected."""
        if self.request is None:
            super().on_connection_close()
        else:
            self._end()
            if self._closing is not None:
                self._closing.cancel()

    def _end(self, patience: float = 0.0) -> None:
        """Stop reading and sending; close after *patience* seconds, unless it is 0."""
        if self._over:
            return
        self._over = True
        self.plane.websockets.discard(self)
        self._waiting.clear()
        self._make_room()
        request, self._current = self._current, None
        if request is not None:  # later, as this request may be the one that was just cut off
            asyncio.get_running_loop().call_soon(request.disconnect)
        if patience:
            self._closing = asyncio.get_running_loop().call_later(patience, self._hang_up)

    def _hang_up(self) -> None:
        if self._closing is not None:
            self._closing.cancel()
        self.cycle.finish()

    # --- requests -----------------------------------------------------------------------------------------------
    def _next(self) -> None:
        """Begin the next message's request, if none is running."""
        if self._over or self._current is not None:
            return
        if not self._waiting:
            if self._leaving:
                self.close(RESTART, NOT_SERVED)
            return
        assert self.request is not None
        pattern = self.request.description
        opcode, body = self._waiting.popleft()
        self._size -= len(body)
        if self._size <= WINDOW:
            self._make_room()
        request_id = new_id()
        response = ResponseOverWebSocket(self, request_id)
        if (refusal := self._refusal(pattern.alias)) is not None:
            status, reason = refusal
            response.respond(status, *failure(status, "", reason))
            response.finish()
            return
        kind = "application/json" if opcode is Opcode.TEXT else "application/octet-stream"
        head = _head(pattern.head, request_id, kind, len(body))
        description = RequestDescription(
            id=request_id,
            alias=pattern.alias,
            head=head,
            path=pattern.path,
            content_type=kind,
            hint=pattern.hint,
            start_within=pattern.start_within,
        )
        request = self._current = ProxiedRequest(self.plane.apps, response, description)
        request.receive(body)
        request.end_of_body()

    def _refusal(self, alias: str) -> tuple[int, str] | None:
        """Return status and reason if the app was stopped, or the caller's key revoked, since the handshake; else None."""
        assert self.headers is not None
        spec, authorization = self.plane.apps.spec_of(alias), self.headers.get("authorization", "")
        if spec is None:
            return 404, absent_sentence(self.plane.apps, self.plane.settings.owner, alias)
        if self.plane.trusted or spec.auth == "public" or self.plane.admits(authorization, alias, self._query):
            return None
        return self.plane.key_refusal(authorization)

    def _make_room(self) -> None:
        if self._room is not None and not self._room.done():
            self._room.set_result(None)

    # --- to the caller ------------------------------------------------------------------------------------------
    def answered(self) -> None:
        """A request's end message was sent: begin the next one, after this one has ended in its runner."""
        self._current = None
        asyncio.get_running_loop().call_soon(self._next)

    def send_notice(self, kind: str, request_id: str, **more: Any) -> None:
        """Send a start or an end message."""
        if not self._over:
            self._protocol.send_text(encode_json({"type": kind, "request_id": request_id, **more}))
            self._flush()

    def send(self, data: bytes, *, text: bool) -> asyncio.Future[None] | None:
        """Send a piece of a body; wait for the returned future if it is not done."""
        if self._over or not data:
            return None
        if text and not _looks_like_notice(data) and _is_utf8(data):
            self._protocol.send_text(data)
        else:
            self._protocol.send_binary(data)
        return self._flush()

    def close(self, code: int, reason: str) -> None:
        """End the WebSocket."""
        if not self._over:
            self._protocol.send_close(code, reason)
            self._flush()
            self._end(CLOSING)

    def _flush(self) -> asyncio.Future[None] | None:
        """Write pending data of the protocol."""
        data = b"".join(self._protocol.data_to_send())
        return self.cycle.write(data) if data else None


def _head(pattern: bytes, request_id: str, kind: str, size: int) -> bytes:
    """Return the head of one request, based on that of the handshake."""
    handshake = msgspec.json.decode(pattern)
    pairs = [
        (name, value)
        for name, value in handshake["headers"]
        if name not in _OF_A_BODY and not name.startswith(_OF_A_HANDSHAKE)
    ]
    headers = [*pairs, ("content-type", kind), ("content-length", str(size))]
    return request_head(request_id, "POST", handshake["path"], handshake["query"], headers)


def _looks_like_notice(data: bytes) -> bool:
    return b'"type"' in data and b'"request_id"' in data


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True
