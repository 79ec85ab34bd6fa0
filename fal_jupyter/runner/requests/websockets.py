"""A WebSocket as one stream: its bytes are transferred as bodies, its protocol (RFC 6455) is handled here, the application uses ASGI messages.

Data is processed as it arrives, so that pings are answered and a close is noticed while user code is busy.
"""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import suppress
from enum import StrEnum
from typing import Any, Final

import msgspec
from websockets.exceptions import ProtocolError
from websockets.frames import CloseCode, Opcode
from websockets.frames import Frame as WebSocketFrame
from websockets.protocol import Protocol, Side, State
from websockets.utils import accept_key

from fal_jupyter.domain.text.json_forms import whole_text
from fal_jupyter.domain.transitions import transition_table
from fal_jupyter.protocol import frames
from fal_jupyter.protocol.frames import WINDOW, Kind
from fal_jupyter.runner.requests.body_reader import Message
from fal_jupyter.runner.requests.request_stream import AnswerState, Stream

_encode = msgspec.json.encode
MAX_MESSAGE = 256 << 20  # bytes of one message; beyond: close 1009
CLOSING = 10.0  # seconds that the peer has to answer a close
LEAVING = 2.0  # the same, when the runner is shutting down
GOING_AWAY = 1012  # "service restart": the client should reconnect, to the new revision
MOST_REASON = 123  # bytes of a close frame's reason


class HandshakeState(StrEnum):
    """How far the application is with a websocket. What its two ends have sent is the protocol's own state."""

    CONNECTING = "connecting"  # the application has not decided
    OPEN = "open"
    CLOSING = "closing"  # the application closed it, or the runner is about to leave: messages have no reader any more
    CLOSED_EARLY = "closed early"  # the same, before the application accepted it


class HandshakeEvent(StrEnum):
    """What moves a websocket."""

    ACCEPTED = "accepted"
    CLOSE_BEGUN = "close begun"


HANDSHAKE: Final = transition_table(
    {
        HandshakeState.CONNECTING: {
            HandshakeEvent.ACCEPTED: HandshakeState.OPEN,
            HandshakeEvent.CLOSE_BEGUN: HandshakeState.CLOSED_EARLY,
        },
        HandshakeState.OPEN: {HandshakeEvent.CLOSE_BEGUN: HandshakeState.CLOSING},
        # the application closes it, and the runner leaves
        HandshakeState.CLOSING: {HandshakeEvent.CLOSE_BEGUN: HandshakeState.CLOSING},
        HandshakeState.CLOSED_EARLY: {
            HandshakeEvent.ACCEPTED: HandshakeState.CLOSING,
            HandshakeEvent.CLOSE_BEGUN: HandshakeState.CLOSED_EARLY,
        },
    }
)
_ACCEPTED = frozenset({HandshakeState.OPEN, HandshakeState.CLOSING})
_UNREAD = frozenset({HandshakeState.CLOSING, HandshakeState.CLOSED_EARLY})


class WebSocketStream(Stream):
    """One WebSocket in the application."""

    __slots__ = ("_handshake", "_late", "_left", "_messages", "_opcode", "_parts", "_protocol", "_response_start", "_turn", "_unacknowledged", "_waiter")  # fmt: skip

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._protocol = Protocol(Side.SERVER, state=State.OPEN, max_size=MAX_MESSAGE)
        self._messages: deque[dict[str, Any]] = deque(({"type": "websocket.connect"},))
        self._parts: list[bytes] = []
        self._opcode: Opcode | None = None
        self._turn = asyncio.Lock()
        self._late: list[bytes] = []
        self._left = asyncio.Event()  # the peer has closed or disconnected
        self._handshake = HandshakeState.CONNECTING
        self._unacknowledged = 0
        self._waiter: asyncio.Future[None] | None = None
        self._response_start: Message | None = None

    def scope(self) -> dict[str, object]:
        """The ASGI scope of this websocket."""
        offered = next((value for name, value in self.head.headers if name == "sec-websocket-protocol"), "")
        return {
            **super().scope(),
            "type": "websocket",
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "scheme": "ws",
            "subprotocols": [name.strip() for name in offered.split(",") if name.strip()],
            "extensions": {"websocket.http.response": {}},
        }

    # --- from the caller ----------------------------------------------------------------------------------------
    def push(self, data: bytes, end: bool) -> None:
        """Bytes came."""
        self._unacknowledged += len(data)
        self._protocol.receive_data(data)
        for event in self._protocol.events_received():
            if isinstance(event, WebSocketFrame):
                self._take(event)
        if self._handshake in _ACCEPTED:
            self._answer_control()
        if not self._messages:
            self._acknowledge()
        if (self._protocol.close_rcvd or self._protocol.eof_sent) and not self._left.is_set():
            self._left.set()  # or it sent an invalid frame, and nothing more is read
            self._put_message({"type": "websocket.disconnect", **self._closed_with()})
        self._wake_reader()

    def _take(self, frame: WebSocketFrame) -> None:
        if frame.opcode in (Opcode.TEXT, Opcode.BINARY):
            self._opcode, self._parts = frame.opcode, [bytes(frame.data)]
        elif frame.opcode is Opcode.CONT and self._opcode is not None:
            self._parts.append(bytes(frame.data))
        else:
            return
        if not frame.fin or self._handshake in _UNREAD:  # nothing reads what arrives after our close
            return
        data, text, self._opcode = b"".join(self._parts), self._opcode is Opcode.TEXT, None
        self._parts = []
        if not text:
            self._put_message({"type": "websocket.receive", "bytes": data})
            return
        try:
            self._put_message({"type": "websocket.receive", "text": data.decode()})
        except UnicodeDecodeError:
            self._protocol.fail(1007, "a text message was not UTF-8")

    def _put_message(self, message: dict[str, object]) -> None:
        self._messages.append(message)

    def _closed_with(self) -> dict[str, object]:
        close = self._protocol.close_rcvd or self._protocol.close_sent
        return {"code": close.code, "reason": close.reason} if close else {"code": 1006, "reason": ""}

    def _acknowledge(self) -> None:
        """Let the gateway send more: no data is waiting for user code."""
        if self._unacknowledged >= WINDOW // 4:
            self.channel.send(frames.encode_window(self.id, self._unacknowledged))
            self._unacknowledged = 0

    def _wake_reader(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def cancel(self) -> None:
        """The caller's connection was lost."""
        if not self._left.is_set():
            self._put_message({"type": "websocket.disconnect", "code": 1006, "reason": ""})
        self._left.set()
        super().cancel()

    def go_away(self) -> None:
        """The runner is shutting down: notify both ends."""
        if self._handshake in _ACCEPTED and self._protocol.state is State.OPEN:
            self._protocol.send_close(GOING_AWAY, "the app is restarting")
            self._answer_control()
        self._put_message({"type": "websocket.disconnect", "code": GOING_AWAY, "reason": "the app is restarting"})
        self._wake_reader()

    async def receive(self) -> dict[str, object]:
        """Return the next ASGI message."""
        while not self._messages:
            self._acknowledge()
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        return self._messages.popleft()

    # --- from the application -----------------------------------------------------------------------------------
    async def send(self, message: Message) -> None:
        """Carry out an ASGI message."""
        kind = message["type"]
        if not self.is_started:
            await self._respond(kind, message)
        elif kind == "websocket.send":
            self._send_message(message)
            await self._transmit()
        elif kind == "websocket.close":
            await self._close(message.get("code", 1000), message.get("reason") or "")
        elif kind == "websocket.http.response.body":
            await super().send({**message, "type": "http.response.body"})

    async def _respond(self, kind: str, message: Message) -> None:
        if kind == "websocket.accept":
            self._accept(message)
        elif kind == "websocket.close":
            self._refuse(403)
        elif kind == "websocket.http.response.start":
            self._response_start = {**message, "type": "http.response.start"}
        elif kind == "websocket.http.response.body":
            if self._response_start is None:
                raise RuntimeError(f"{kind} came before websocket.http.response.start")
            await super().send(self._response_start)
            await super().send({**message, "type": "http.response.body"})
        else:
            raise RuntimeError(f"{kind} came before the websocket was accepted")

    def _accept(self, message: Message) -> None:
        self._move(AnswerState.STARTED)
        self._handshake = HANDSHAKE[self._handshake][HandshakeEvent.ACCEPTED]
        request_headers = dict(self.head.headers)
        headers = [["sec-websocket-accept", accept_key(request_headers.get("sec-websocket-key", ""))]]
        if message.get("subprotocol"):
            headers.append(["sec-websocket-protocol", message["subprotocol"]])
        headers += [[k.decode("latin-1"), v.decode("latin-1")] for k, v in message.get("headers") or ()]
        head = _encode({"status": 101, "headers": headers, "began": self.began})
        self.channel.send(frames.encode_message(Kind.RESPONSE, self.id, head, b"", end=False))
        self._answer_control()

    def _refuse(self, status: int) -> None:
        self._move(AnswerState.COMPLETE)
        self._before_answer()
        head = _encode({"status": status, "headers": [["content-length", "0"]], "began": self.began})
        self.channel.send(frames.encode_message(Kind.RESPONSE, self.id, head, b"", end=True))

    def _send_message(self, message: Message) -> None:
        if self._protocol.state is not State.OPEN:
            return  # the caller has disconnected; the application notices when it reads
        if (data := message.get("bytes")) is not None:
            self._protocol.send_binary(bytes(data))
        else:
            self._protocol.send_text((message.get("text") or "").encode())

    async def _close(self, code: int, reason: str) -> None:
        """The closing handshake: send our close, wait for the peer's."""
        self._before_answer()
        if self._protocol.state is State.OPEN:
            try:
                self._protocol.send_close(code if code != CloseCode.NO_STATUS_RCVD else None, _short_reason(reason))
            except ProtocolError:  # a code that may not be sent (1006, one out of range)
                self._protocol.send_close(1000)
            await self._transmit()
        await self._until_left(CLOSING)
        self._move(AnswerState.COMPLETE)
        self.capture.end_request(self.id)
        self.channel.send(frames.encode(Kind.END_BODY, self.id))

    async def settle(self) -> None:
        """The caller was notified of the shutdown: deliver that close, whatever it sends meanwhile."""
        if self._protocol.close_sent:
            await self._until_left(LEAVING)

    async def _until_left(self, seconds: float) -> None:
        """Wait for the peer's close; data until then is discarded."""
        self._handshake = HANDSHAKE[self._handshake][HandshakeEvent.CLOSE_BEGUN]
        self._messages = deque(one for one in self._messages if one["type"] == "websocket.disconnect")
        self._acknowledge()
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._left.wait()

    async def _transmit(self) -> None:
        data = b"".join(self._protocol.data_to_send())
        async with self._turn:
            await self._send_body(memoryview(data))
            while self._late:  # answers to pings received meanwhile: never within a message
                self._put(self._late.pop(0))

    def _answer_control(self) -> None:
        data = b"".join(self._protocol.data_to_send())
        if not data:
            return
        if self._turn.locked():
            self._late.append(data)
        else:
            self._put(data)

    def _put(self, data: bytes) -> None:
        self.credit -= len(data)
        self.channel.send(frames.encode(Kind.BODY, self.id, data))


def _short_reason(reason: str) -> str:
    """Return as much of a reason as a close frame holds, which counts bytes; without lone surrogates."""
    return whole_text(reason).encode()[:MOST_REASON].decode("utf-8", "ignore")
