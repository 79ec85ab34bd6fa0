"""One request in the application: frames to ASGI messages and back, one frame for a small answer, credit for long bodies."""

from __future__ import annotations

import asyncio
import enum
import time
from collections.abc import Awaitable
from typing import Any
from urllib.parse import unquote, urlsplit

import msgspec

from fal_jupyter.fal import context
from fal_jupyter.fal.upload_policy import HEADER as POLICY
from fal_jupyter.protocol import frames
from fal_jupyter.protocol.frames import CHUNK, INLINE, WINDOW, Kind
from fal_jupyter.runner.application import failures
from fal_jupyter.runner.application.endpoints import EndpointCall
from fal_jupyter.runner.channel import RunnerChannel
from fal_jupyter.runner.output.capture import OutputCapture
from fal_jupyter.runner.requests.body_reader import BodyReader, Message

_encode = msgspec.json.encode
CDN_TOKEN = "x-fal-cdn-token"
LOOPBACK = "127.0.0.1"


class RequestHead(msgspec.Struct):
    """Head of a REQUEST frame."""

    id: str
    method: str
    path: str
    query: str
    headers: list[tuple[str, str]]


decode_head = msgspec.json.Decoder(RequestHead).decode


class RunState(enum.StrEnum):
    """State of a request's task."""

    CREATED = "created"
    RUNNING = "running"
    CANCELLED = "cancelled"  # before it ran


class AnswerState(enum.StrEnum):
    """State of a request's answer."""

    PENDING = "pending"
    STARTED = "started"  # its head is sent
    COMPLETE = "complete"


_NEXT = {
    AnswerState.PENDING: (AnswerState.STARTED, AnswerState.COMPLETE),
    AnswerState.STARTED: (AnswerState.COMPLETE,),
    AnswerState.COMPLETE: (AnswerState.COMPLETE,),  # user code may fail after its answer
}

# names of this module: looking a member up in its enum costs as much as the rest of a move
_PENDING, _STARTED, _COMPLETE = AnswerState.PENDING, AnswerState.STARTED, AnswerState.COMPLETE
_CREATED, _RUNNING, _CANCELLED = RunState.CREATED, RunState.RUNNING, RunState.CANCELLED
_RESPONSE = Kind.RESPONSE


class Stream:
    """One request in the application.

    Attributes:
        began: when the request was complete, by the system-wide monotonic clock; 0 before.
        start: the application's ``http.response.start``, which waits for the first piece of the body.
        credit: bytes of the answer that the gateway currently accepts.
        state: the state that the application's lifespan yielded, for ASGI's ``state``.
    """

    __slots__ = (
        "_answer", "_credit_waiter", "_error_sent", "_first_values", "_run", "began", "body", "call", "capture", "channel", "context", "credit", "head", "id", "may_be_nan", "start", "state", "task",
    )  # fmt: skip

    def __init__(
        self, stream: int, channel: RunnerChannel, capture: OutputCapture, head: RequestHead, body: bytes, end: bool
    ) -> None:
        self.id, self.channel, self.capture, self.head = stream, channel, capture, head
        self._first_values = dict(reversed(head.headers))
        self.call = EndpointCall()
        self.body = BodyReader(channel, stream, self.call, body, end=end)
        self.credit = WINDOW
        self._credit_waiter: asyncio.Future[None] | None = None
        self._answer = _PENDING
        self._error_sent = False
        self._run = _CREATED
        self.start: Message | None = None
        self.context: context.Pending | None = None
        self.task: asyncio.Task[None] | None = None
        self.may_be_nan = True
        self.state: dict[str, Any] = {}
        self.began = time.monotonic() if end else 0.0

    @property
    def is_started(self) -> bool:
        """True once the head of the answer is sent."""
        return self._answer is not _PENDING

    @property
    def is_complete(self) -> bool:
        """True once all of the answer is sent."""
        return self._answer is _COMPLETE

    def _move(self, state: AnswerState) -> None:
        if state not in _NEXT[self._answer]:
            raise RuntimeError(f"an answer cannot be {state.value} after it was {self._answer.value}")
        self._answer = state

    def scope(self) -> dict[str, object]:
        """The ASGI scope of this request."""
        head = self.head
        return {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": head.method,
            "scheme": "http",
            "path": unquote(head.path),
            "raw_path": head.path.encode("latin-1", "replace"),
            "query_string": head.query.encode("latin-1", "replace"),
            "root_path": "",
            "headers": [(k.encode("latin-1"), v.encode("latin-1")) for k, v in head.headers],
            "client": (LOOPBACK, 0),  # every caller is on this machine; its port is meaningless behind the gateway
            "server": self._server(),
            "state": self.state.copy(),
        }

    def _server(self) -> tuple[str, int]:
        """The address that the caller used, where uvicorn has the one that it is bound to."""
        host, _, port = self.header("host").rpartition(":")
        return (host or LOOPBACK, int(port)) if port.isascii() and port.isdigit() and len(port) < 6 else (LOOPBACK, 80)

    # --- the request --------------------------------------------------------------------------------------------
    def push(self, data: bytes, end: bool) -> None:
        """Add a piece of the request's body."""
        if self.body.push(data, end=end):
            self.began = time.monotonic()

    def receive(self) -> Awaitable[dict[str, object]]:
        """Return the next ASGI message."""
        return self.body.receive()

    def begin(self) -> None:
        """The task runs.

        Raises:
            asyncio.CancelledError: the owner cancelled the request before.
        """
        if self._run is _CANCELLED:
            raise asyncio.CancelledError
        self._run = _RUNNING

    def cancel(self) -> None:
        """The caller disconnected."""
        self.call.disconnected = True
        self._wake_reader()
        self._wake_writer()

    def _wake_reader(self) -> None:
        self.body.wake()

    def _wake_writer(self) -> None:
        if self._credit_waiter is not None and not self._credit_waiter.done():
            self._credit_waiter.set_result(None)

    def go_away(self) -> None:
        """The runner is shutting down; an ordinary request is allowed to finish."""

    async def settle(self) -> None:
        """The application returned without completing its answer: complete it."""

    def end_by_force(self) -> None:
        """The owner cancelled it: its coroutine is cancelled, or its thread gets an exception."""
        in_thread = self.call.cancel()
        if self._run is _CREATED:
            self._run = _CANCELLED  # a task that is cancelled before it runs would never end its stream
        elif self._run is _RUNNING and not in_thread and self.task is not None:
            self.task.cancel()

    def header(self, name: str) -> str:
        """The first value of that (lower-case) name, or ``""``."""
        return self._first_values.get(name, "")

    def has_policy(self) -> bool:
        """True if the caller sets the destination of uploads."""
        return POLICY in self._first_values

    def new_token(self) -> str:
        """The CDN token with which user code replaced the caller's, or ``""`` (C32)."""
        if self.context is None or (request_context := self.context.current) is None or self.call.unhandled:
            return ""
        token = request_context.headers.get(CDN_TOKEN)
        return token if isinstance(token, str) and token != self.header(CDN_TOKEN) else ""

    # --- answer -------------------------------------------------------------------------------------------------
    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.start = message
            if message["status"] == 307:
                make_relative(message["headers"], self.head.path)
            return
        if message["type"] != "http.response.body":
            return
        body: bytes = message.get("body", b"")
        more: bool = message.get("more_body", False)
        if self.call.exit is not None:
            self._report_exit()
            return
        if self._answer is _PENDING:
            if self.start is None:
                raise RuntimeError("http.response.body came before http.response.start")
            self._move(_STARTED)
            self.call.answering = True
            if token := self.new_token():
                self.start["headers"] = [
                    *self.start["headers"],
                    (CDN_TOKEN.encode(), token.encode("latin-1", "replace")),
                ]
            if not more and self.may_be_nan and may_hide_nan(body):
                self.note_non_finite()
            self._before_answer()
            first = body[:INLINE]
            head = _encode(
                {
                    "status": self.start["status"],
                    "headers": [[k.decode("latin-1"), v.decode("latin-1")] for k, v in self.start["headers"]],
                    "began": self.began,
                }
            )
            whole = not more and len(first) == len(body)
            self.credit -= len(first)
            self.channel.send(frames.encode_message(_RESPONSE, self.id, head, first, end=whole))
            if whole:
                self._move(_COMPLETE)
                return
            await self._send_body(memoryview(body)[INLINE:])  # a view: a large answer is not copied
        else:
            await self._send_body(memoryview(body))
        if not more:
            self._move(_COMPLETE)
            self.capture.end_request(self.id)  # an unfinished last line belongs to the request, too
            self.channel.send(frames.encode(Kind.END_BODY, self.id))

    def answer_json(self, content: bytes) -> None:
        """Send a complete, short and successful answer in one frame, byte for byte as :meth:`send` would."""
        self._move(_COMPLETE)
        self._before_answer()
        head = (
            b'{"status":200,"headers":[["content-length","%d"],["content-type","application/json"]],"began":%.6f}'
            % (
                len(content),
                self.began,
            )
        )
        self.channel.send(frames.encode_message(_RESPONSE, self.id, head, content, end=True))

    async def _send_body(self, view: memoryview) -> None:
        while view:
            while self.credit <= 0:
                if self.call.disconnected:
                    return
                self._credit_waiter = asyncio.get_running_loop().create_future()
                await self._credit_waiter
            piece = view[: min(CHUNK, self.credit)]
            view = view[len(piece) :]
            self.credit -= len(piece)
            if not self.call.disconnected:
                self.channel.send(frames.head_of(Kind.BODY, self.id, piece), piece)

    def add_credit(self, credit: int) -> None:
        """The gateway accepts *credit* more bytes."""
        self.credit += credit
        self._wake_writer()

    def note_non_finite(self) -> None:
        """Print one line below the owner's cell, once per location: NaN and the infinities of a result are ``null`` in fal's JSON."""
        if not self.call.returned:
            return
        for path, count in failures.count_non_finite(self.call.result).items():
            values, verb = ("1 value", "is") if count == 1 else (f"{count:,} values", "are")
            text = f"[fal_jupyter: {values} of `{path}` {verb} NaN or infinite; fal sends null]\n"
            self.capture.write_message_once(self.id, (self.head.path, path), text)

    def _report_exit(self) -> None:
        """User code requested the process's exit: its callers get 503 from the fleet, the owner the reason."""
        if self._answer is _PENDING:
            self._move(_STARTED)
            self._before_answer()

    def _before_answer(self) -> None:
        self.capture.end_request(self.id)
        if self.call.error is not None and not self._error_sent:
            self._error_sent = True
            self.channel.send(frames.encode(Kind.ERROR, self.id, failures.encode(self.call.error)))

    def broke(self, error: BaseException) -> None:
        """The application raised: if its answer has begun, the caller can only be notified that it was cut off."""
        if self.call.exit is not None:
            self._report_exit()
            return
        if self.call.error is None:
            self.call.error = failures.describe(error, "request", self.call.endpoint)
        self._before_answer()
        is_first = self._answer is _PENDING
        self._move(_COMPLETE)
        if is_first:
            head = _encode({"status": 500, "headers": [["content-type", "application/json"]], "began": self.began})
            body = b'{"detail":"Internal Server Error"}'
            self.channel.send(frames.encode_message(_RESPONSE, self.id, head, body, end=True))
        else:
            self.capture.end_request(self.id)
            self.channel.send(frames.encode(Kind.END_BODY, self.id, b'{"aborted":true}'))

    def fail(self) -> None:
        """Answer with constants after an internal error, when nothing else can be relied on."""
        if self.is_complete:
            return
        is_first = self._answer is _PENDING
        self._move(_COMPLETE)
        if not is_first:
            self.channel.send(frames.encode(Kind.END_BODY, self.id, b'{"aborted":true}'))
            return
        head = b'{"status":500,"headers":[["content-type","application/json"]],"began":0.0}'
        body = b'{"detail":"Internal Server Error"}'
        self.channel.send(frames.encode_message(_RESPONSE, self.id, head, body, end=True))

    def give_up(self) -> None:
        """End the stream of a cancelled request: nothing reads it, and the gateway frees its slot."""
        self.capture.end_request(self.id)
        if self._answer is _PENDING:
            head = _encode({"status": 499, "headers": [], "began": self.began})
            self.channel.send(frames.encode_message(_RESPONSE, self.id, head, b"", end=True))
        elif self._answer is _STARTED:
            self.channel.send(frames.encode(Kind.END_BODY, self.id, b'{"aborted":true}'))


def may_hide_nan(body: bytes) -> bool:
    """True if a body may contain NaN or infinity, or ``null`` in place of them."""
    return b"null" in body or b"NaN" in body or b"Infinity" in body


def make_relative(headers: list[Any], path: str) -> None:
    """Make a redirect from *path* to the same path with (or without) a trailing slash relative.

    The application does not know its public URL, so an absolute one would be wrong.
    """
    for at, (name, value) in enumerate(headers):
        if name.lower() != b"location":
            continue
        try:
            parts = urlsplit(value.decode("latin-1"))
        except ValueError:
            continue
        toggled = path[:-1] if path.endswith("/") else f"{path}/"
        if unquote(parts.path) != unquote(toggled):
            continue
        last = parts.path.rstrip("/").rpartition("/")[2]
        query = f"?{parts.query}" if parts.query else ""
        relative = f"../{last}{query}" if path.endswith("/") else f"./{last}/{query}"
        headers[at] = (name, relative.encode("latin-1"))
