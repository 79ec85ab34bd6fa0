"""One request on its way through the application: frames to ASGI messages and back, one frame a small answer, credit for long bodies."""

from __future__ import annotations

import asyncio
import time
from collections import deque
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


class Stream:
    """One request on its way through the application."""

    __slots__ = (
        "began", "begun", "call", "capture", "channel", "complete", "context", "credit", "ended", "error_sent", "forced", "gone", "head", "id", "inbox", "may_be_nan", "owed", "read", "start", "started",
        "state", "task", "wake", "wake_credit",
    )  # fmt: skip

    def __init__(
        self, stream: int, channel: RunnerChannel, capture: OutputCapture, head: RequestHead, body: bytes, end: bool
    ) -> None:
        self.id, self.channel, self.capture, self.head = stream, channel, capture, head
        self.inbox: deque[bytes] = deque((body,))
        self.ended, self.gone, self.read = end, False, False
        self.wake: asyncio.Future[None] | None = None
        self.credit = WINDOW
        self.owed = 0
        self.wake_credit: asyncio.Future[None] | None = None
        self.start: dict[str, Any] | None = None
        self.started = self.complete = self.error_sent = False
        self.call = EndpointCall()
        self.context: context.Pending | None = None
        self.task: asyncio.Task[None] | None = None
        self.begun = self.forced = False
        self.may_be_nan = True
        self.state: dict[str, Any] = {}
        self.began = (
            time.monotonic() if end else 0.0
        )  # when all of it was here: one clock for all processes of a machine

    def scope(self) -> dict[str, Any]:
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
            "client": (LOOPBACK, 0),  # every caller is on this machine; its port says nothing behind the gateway
            "server": self._server(),
            "state": self.state.copy(),
        }

    def _server(self) -> tuple[str, int]:
        """The address that the caller asked for, as uvicorn gives the one that it is bound to."""
        host, _, port = self.header("host").rpartition(":")
        return (host or LOOPBACK, int(port)) if port.isascii() and port.isdigit() and len(port) < 6 else (LOOPBACK, 80)

    # --- request body -------------------------------------------------------------------------------------------
    def push(self, data: bytes, end: bool) -> None:
        if end and not self.ended:
            self.ended, self.began = True, time.monotonic()
        if data:
            self.inbox.append(data)
        if self.wake is not None and not self.wake.done():
            self.wake.set_result(None)

    def cancel(self) -> None:
        self.gone = self.call.disconnected = True
        for wake in (self.wake, self.wake_credit):
            if wake is not None and not wake.done():
                wake.set_result(None)

    def go_away(self) -> None:
        """The runner is about to leave; an ordinary request is waited for."""

    async def settle(self) -> None:
        """The application is done without an end of its answer: finish what has to be."""

    def end_by_force(self) -> None:
        """The owner cancelled it: its coroutine is cancelled, or its thread gets an exception."""
        self.forced = True
        if not self.call.cancel() and self.task is not None and self.begun:
            self.task.cancel()  # one that has not begun would never reach its own end

    async def receive(self) -> dict[str, Any]:
        while True:
            if self.gone:
                return {"type": "http.disconnect"}
            if self.inbox:
                data = self.inbox.popleft()
                more = bool(self.inbox) or not self.ended
                self.owed += len(data)
                if more and self.owed >= WINDOW // 2:  # seldom, and always before the gateway's credit is used up
                    self.channel.send(frames.encode_window(self.id, self.owed))
                    self.owed = 0
                self.read = not more
                return {"type": "http.request", "body": data, "more_body": more}
            if self.ended and not self.read:
                self.read = True
                return {"type": "http.request", "body": b"", "more_body": False}
            self.wake = asyncio.get_running_loop().create_future()
            await self.wake

    async def collect(self, length: int) -> bytearray | None:
        """Read the whole body, of which *length* bytes are announced (0: unknown); None when the caller hung up."""
        body, at, more = (
            bytearray(length),
            0,
            True,
        )  # one piece of memory: a long body joined of its parts is there twice
        while more:
            message = await self.receive()
            if message["type"] != "http.request":
                return None
            data: bytes = message["body"]
            body[at : at + len(data)] = data
            at += len(data)
            more = message["more_body"]
        del body[at:]
        return body

    def put_back(self, body: bytes) -> None:
        """Leave a body that was collected as if it had come at once."""
        self.inbox.append(body)
        self.read = False

    def header(self, wanted: str) -> str:
        """The first value of that (lower-case) name, or ``""``."""
        return next((value for name, value in self.head.headers if name == wanted), "")

    def has_policy(self) -> bool:
        """True where the caller says where uploads shall go."""
        return any(name == POLICY for name, _ in self.head.headers)

    def new_token(self) -> str:
        """The CDN token that user code put in place of the caller's, or ``""`` (C32)."""
        if self.context is None or (request_context := self.context.made) is None or self.call.unhandled:
            return ""
        token = request_context.headers.get(CDN_TOKEN)
        return token if isinstance(token, str) and token != self.header(CDN_TOKEN) else ""

    # --- answer -------------------------------------------------------------------------------------------------
    async def send(self, message: dict[str, Any]) -> None:
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
            self._tell_exit()
            return
        if not self.started:
            self.started = self.call.answering = True
            assert self.start is not None
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
            self.channel.send(frames.encode_message(Kind.RESPONSE, self.id, head, first, end=whole))
            if whole:
                self.complete = True
                return
            body = body[INLINE:]
        await self._send_body(body)
        if not more:
            self.complete = True
            self.capture.end_request(self.id)  # a last line without an end belongs to the request, too
            self.channel.send(frames.encode(Kind.END_BODY, self.id))

    def answer_json(self, content: bytes) -> None:
        """Send a whole, short and good answer at once: what :meth:`send` makes of it, byte for byte."""
        self.started = self.complete = True
        self._before_answer()
        head = (
            b'{"status":200,"headers":[["content-length","%d"],["content-type","application/json"]],"began":%.6f}'
            % (
                len(content),
                self.began,
            )
        )
        self.channel.send(frames.encode_message(Kind.RESPONSE, self.id, head, content, end=True))

    async def _send_body(self, body: bytes) -> None:
        view = memoryview(body)
        while view:
            while self.credit <= 0:
                if self.gone:
                    return
                self.wake_credit = asyncio.get_running_loop().create_future()
                await self.wake_credit
            piece = view[: min(CHUNK, self.credit)]
            view = view[len(piece) :]
            self.credit -= len(piece)
            if not self.gone:
                self.channel.send(frames.head_of(Kind.BODY, self.id, piece), piece)

    def add_credit(self, credit: int) -> None:
        self.credit += credit
        if self.wake_credit is not None and not self.wake_credit.done():
            self.wake_credit.set_result(None)

    def note_non_finite(self) -> None:
        """Print one line under the owner's cell, once for each place: NaN and the infinities of a result are ``null`` in fal's JSON."""
        if not self.call.returned:
            return
        for path, count in failures.count_non_finite(self.call.result).items():
            values, verb = ("1 value", "is") if count == 1 else (f"{count:,} values", "are")
            text = f"[fal_jupyter: {values} of `{path}` {verb} NaN or infinite; fal sends null]\n"
            self.capture.say_once(self.id, (self.head.path, path), text)

    def _tell_exit(self) -> None:
        """User code asked the process to end: its callers get 503 from the fleet, the owner what happened."""
        if not self.started:
            self.started = True
            self._before_answer()

    def _before_answer(self) -> None:
        self.capture.end_request(self.id)
        if self.call.error is not None and not self.error_sent:
            self.error_sent = True
            self.channel.send(frames.encode(Kind.ERROR, self.id, failures.encode(self.call.error)))

    def broke(self, error: BaseException) -> None:
        """The application raised: after its answer began, the caller can only be told that it broke off."""
        if self.call.exit is not None:
            self._tell_exit()
            return
        if self.call.error is None:
            self.call.error = failures.describe(error, "request", self.call.endpoint)
        self._before_answer()
        self.complete = True
        if not self.started:
            self.started = True
            head = _encode({"status": 500, "headers": [["content-type", "application/json"]], "began": self.began})
            body = b'{"detail":"Internal Server Error"}'
            self.channel.send(frames.encode_message(Kind.RESPONSE, self.id, head, body, end=True))
        else:
            self.capture.end_request(self.id)
            self.channel.send(frames.encode(Kind.END_BODY, self.id, b'{"aborted":true}'))

    def fail(self) -> None:
        """Answer with constants, where something of ours failed and nothing else can be trusted."""
        if self.complete:
            return
        self.complete = True
        if self.started:
            self.channel.send(frames.encode(Kind.END_BODY, self.id, b'{"aborted":true}'))
            return
        self.started = True
        head = b'{"status":500,"headers":[["content-type","application/json"]],"began":0.0}'
        body = b'{"detail":"Internal Server Error"}'
        self.channel.send(frames.encode_message(Kind.RESPONSE, self.id, head, body, end=True))

    def give_up(self) -> None:
        """End the stream of a cancelled request: nobody reads it, the gateway frees its place."""
        self.capture.end_request(self.id)
        if not self.started:
            head = _encode({"status": 499, "headers": [], "began": self.began})
            self.channel.send(frames.encode_message(Kind.RESPONSE, self.id, head, b"", end=True))
        elif not self.complete:
            self.channel.send(frames.encode(Kind.END_BODY, self.id, b'{"aborted":true}'))


def may_hide_nan(body: bytes) -> bool:
    """True where a body has what NaN and the infinities become, or are."""
    return b"null" in body or b"NaN" in body or b"Infinity" in body


def make_relative(headers: list[Any], path: str) -> None:
    """Make the address of a redirection from *path* to the same with (or without) a slash at its end relative.

    The application knows nothing of the address that it is served at, so an absolute one leads nowhere.
    """
    for at, (name, value) in enumerate(headers):
        if name.lower() != b"location":
            continue
        try:
            parts = urlsplit(value.decode("latin-1"))
        except ValueError:
            continue
        other = path[:-1] if path.endswith("/") else f"{path}/"
        if unquote(parts.path) != unquote(other):
            continue
        last = parts.path.rstrip("/").rpartition("/")[2]
        query = f"?{parts.query}" if parts.query else ""
        relative = f"../{last}{query}" if path.endswith("/") else f"./{last}/{query}"
        headers[at] = (name, relative.encode("latin-1"))
