"""HTTP over a websocket: ``/ws/{owner}/{alias}/{path}``, as fal's platform speaks it at its host for websockets (fal's page "HTTP over WebSockets").

Each message of the caller is the body of a POST request to the endpoint. It is answered by a start message (status and headers), the
body, and an end message; then the next one is taken. Start and end are JSON texts with ``type`` and ``request_id``. A body is
text where its type says so, JSON in one piece if it is no longer than 1 MiB, and never a text that could be taken for a start or an end.

An answer that breaks off ends the websocket with 1011, so that it does not look complete.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from websockets.frames import Frame, Opcode
from websockets.protocol import Protocol, Side, State
from websockets.utils import accept_key

from fal_jupyter.gateway.http.connection.request_cycle import RequestResponseCycle
from fal_jupyter.gateway.http.messages import RequestHeaders
from fal_jupyter.gateway.http.response_writer import Headers, failure, new_id
from fal_jupyter.gateway.requests.data_plane import DataPlane, DataPlaneRequest, absent_sentence, request_head
from fal_jupyter.gateway.requests.proxied_request import ProxiedRequest
from fal_jupyter.gateway.requests.request_description import RequestDescription
from fal_jupyter.protocol.api import RUN, SPEAK
from fal_jupyter.protocol.frames import WINDOW

LONGEST_JSON = 1 << 20  # bytes of a JSON body that is one message
BROKEN, BROKEN_OFF = 1011, "the answer of the app broke off"
CLOSING = 10.0  # seconds that the caller has to answer our close
FAILED = 1.0  # seconds for a caller that broke the protocol to read so: what it still sends would make the end a reset
RESTART, NOBODY_SERVES = 1012, "nobody serves an app here any more"
_OF_A_HANDSHAKE = "sec-websocket-"
_OF_A_BODY = frozenset({"content-type", "content-length"})


class BridgedResponse:
    """One request's way back (:class:`fal_jupyter.gateway.http.response_writer.ResponseWriter`): messages of the websocket."""

    def __init__(self, speaker: WebSocketBridge, request_id: str) -> None:
        self._speaker, self._id = speaker, request_id
        self._status = 0
        self._began, self._first = time.monotonic(), 0.0
        self._text, self._json = False, False
        self._held: list[bytes] = []  # JSON, until it is complete or too long
        self._size = 0

    def respond(self, status: int, headers: Headers, body: bytes) -> None:
        """Send the start message, and the first body."""
        self._status, self._first = status, time.monotonic() - self._began
        kind = next((value for name, value in headers if name == "content-type"), "").partition(";")[0].strip().lower()
        self._json = kind == "application/json" or kind.endswith("+json")
        self._text = self._json or kind.startswith("text/")
        self._speaker.tell("start", self._id, status=status, headers={name.title(): value for name, value in headers})
        self.write(body)

    def write(self, data: bytes) -> asyncio.Future[None] | None:
        """Send more body."""
        self._size += len(data)
        if self._json and self._size <= LONGEST_JSON:
            self._held.append(data)
            return None
        self._json = False
        piece = b"".join([*self._held, data])
        self._held.clear()
        return self._speaker.send(piece, text=self._text)

    def backed_up(self) -> bool:
        """True while the caller does not take what it was sent."""
        return self._speaker.caller.backed_up()

    def finish(self) -> None:
        """Send the end message."""
        if self._held:
            self._speaker.send(b"".join(self._held), text=True)
        self._speaker.tell("end", self._id, status=self._status, time_to_first_byte_seconds=round(self._first, 6))
        self._speaker.answered()

    def drop(self) -> None:
        """The answer broke off."""
        self._speaker.close(BROKEN, BROKEN_OFF)

    def on_close(self, callback: Callable[[], None]) -> None:
        """Nothing to do: the speaker reports the end to the exchange."""


class WebSocketBridge(DataPlaneRequest):
    """One such websocket. The rules for opening it are those of the endpoint; the exchange that is made for that is the pattern of the later ones."""

    __slots__ = (
        "_at_work",
        "_closing",
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

    def __init__(self, front: DataPlane, caller: RequestResponseCycle) -> None:
        super().__init__(front, caller)
        self._protocol = Protocol(Side.SERVER, state=State.OPEN, max_size=front.settings.max_body)
        self._query = ""  # of the handshake; it may have the token
        self._parts: list[bytes] = []
        self._opcode = Opcode.TEXT
        self._waiting: deque[tuple[Opcode, bytes]] = deque()  # messages whose turn comes
        self._size = 0  # bytes of them
        self._room: asyncio.Future[None] | None = None
        self._at_work: ProxiedRequest | None = None
        self._over = self._leaving = False
        self._closing: asyncio.TimerHandle | None = None

    def begin(self, method: str, target: str, headers: RequestHeaders) -> None:
        """The handshake is here."""
        if not self.caller.handshake and (self.front.trusted or self.front.is_meant(headers.get("host", ""))):
            self.headers = headers
            self._refuse(426, "bad_request", f"{SPEAK} is for websockets; an ordinary request goes to {RUN}")
            return
        self._query = target.partition("?")[2]
        super().begin(method, RUN + target.removeprefix(SPEAK), headers)

    def open(self) -> None:
        """The caller may speak."""
        assert self.headers is not None
        accepted = accept_key(self.headers.get("sec-websocket-key", ""))
        head = [("upgrade", "websocket"), ("connection", "Upgrade"), ("sec-websocket-accept", accepted)]
        self.caller.respond(101, head, b"")
        self.front.speakers.add(self)

    def leave(self) -> None:
        """The port closes."""
        self._leaving = True
        self._next()

    # --- from the caller ----------------------------------------------------------------------------------------
    def data_received(self, chunk: bytes) -> Awaitable[None] | None:
        """Bytes of the websocket; a future that is not done yet asks to wait until earlier messages are answered."""
        if self.exchange is None:  # it is refused, and has a body
            return super().data_received(chunk)
        self._protocol.receive_data(chunk)
        for event in self._protocol.events_received():
            if isinstance(event, Frame) and not self._over:
                self._take(event)
        taken = self._flush()
        if self._protocol.close_rcvd:
            self._end()
            self._hang_up()
            return None
        if self._protocol.eof_sent:  # what came was no websocket's
            self._end(FAILED)
        if self._over:
            return None
        self._next()
        if self._size <= WINDOW:
            return taken  # a caller that does not take answers and pongs is not read any further
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
        """The caller hung up."""
        if self.exchange is None:
            super().on_connection_close()
        else:
            self._end()
            if self._closing is not None:
                self._closing.cancel()

    def _end(self, patience: float = 0.0) -> None:
        """Take and send nothing more; after *patience* hang up, unless it is 0."""
        if self._over:
            return
        self._over = True
        self.front.speakers.discard(self)
        self._waiting.clear()
        self._make_room()
        exchange, self._at_work = self._at_work, None
        if exchange is not None:  # later, as it may be this exchange that broke off just now
            asyncio.get_running_loop().call_soon(exchange.disconnect)
        if patience:
            self._closing = asyncio.get_running_loop().call_later(patience, self._hang_up)

    def _hang_up(self) -> None:
        if self._closing is not None:
            self._closing.cancel()
        self.caller.finish()

    # --- requests -----------------------------------------------------------------------------------------------
    def _next(self) -> None:
        """Begin with the next message's request, if none is at work."""
        if self._over or self._at_work is not None:
            return
        if not self._waiting:
            if self._leaving:
                self.close(RESTART, NOBODY_SERVES)
            return
        assert self.exchange is not None
        pattern = self.exchange.description
        opcode, body = self._waiting.popleft()
        self._size -= len(body)
        if self._size <= WINDOW:
            self._make_room()
        request_id = new_id()
        spoken = BridgedResponse(self, request_id)
        if (refused := self._refusal(pattern.alias)) is not None:
            status, why = refused
            spoken.respond(status, *failure(status, "", why))
            spoken.finish()
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
        exchange = self._at_work = ProxiedRequest(self.front.apps, spoken, description)
        exchange.receive(body)
        exchange.end_of_body()

    def _refusal(self, alias: str) -> tuple[int, str] | None:
        """Say why a message is not answered by the app: it was stopped, or its caller's key revoked, since the handshake."""
        assert self.headers is not None
        spec, authorization = self.front.apps.spec_of(alias), self.headers.get("authorization", "")
        if spec is None:
            return 404, absent_sentence(self.front.apps, self.front.settings.owner, alias)
        if self.front.trusted or spec.auth == "public" or self.front.admits(authorization, alias, self._query):
            return None
        return self.front.key_refusal(authorization)

    def _make_room(self) -> None:
        if self._room is not None and not self._room.done():
            self._room.set_result(None)

    # --- to the caller ------------------------------------------------------------------------------------------
    def answered(self) -> None:
        """A request has its end message: begin the next one, after this one has ended in its runner."""
        self._at_work = None
        asyncio.get_running_loop().call_soon(self._next)

    def tell(self, kind: str, request_id: str, **more: Any) -> None:
        """Send a start or an end."""
        if not self._over:
            self._protocol.send_text(json.dumps({"type": kind, "request_id": request_id, **more}).encode())
            self._flush()

    def send(self, data: bytes, *, text: bool) -> asyncio.Future[None] | None:
        """Send a piece of a body; a future that is not done yet asks to wait."""
        if self._over or not data:
            return None
        if text and not _is_like_a_notice(data) and _is_utf8(data):
            self._protocol.send_text(data)
        else:
            self._protocol.send_binary(data)
        return self._flush()

    def close(self, code: int, reason: str) -> None:
        """End the websocket."""
        if not self._over:
            self._protocol.send_close(code, reason)
            self._flush()
            self._end(CLOSING)

    def _flush(self) -> asyncio.Future[None] | None:
        """Write what the protocol has to say."""
        data = b"".join(self._protocol.data_to_send())
        return self.caller.write(data) if data else None


def _head(pattern: bytes, request_id: str, kind: str, size: int) -> bytes:
    """Give the head of one request, from that of the handshake."""
    told = msgspec.json.decode(pattern)
    kept = [
        (name, value)
        for name, value in told["headers"]
        if name not in _OF_A_BODY and not name.startswith(_OF_A_HANDSHAKE)
    ]
    headers = [*kept, ("content-type", kind), ("content-length", str(size))]
    return request_head(request_id, "POST", told["path"], told["query"], headers)


def _is_like_a_notice(data: bytes) -> bool:
    return b'"type"' in data and b'"request_id"' in data


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True
