"""Frames to ASGI calls and back: one task a request, one frame a small answer, credit for long bodies."""

from __future__ import annotations

import asyncio
import inspect
import sys
import time
from collections import deque
from functools import partial
from typing import Any
from urllib.parse import unquote

import anyio.to_thread
import msgspec
from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse

from fal_jupyter.fal import context
from fal_jupyter.fal.upload_policy import HEADER as POLICY
from fal_jupyter.fal.upload_policy import BadPolicy, read_policy
from fal_jupyter.protocol import frames
from fal_jupyter.protocol.api import H_ENDPOINT, H_HINTS, H_REQUEST_ID, WEBSOCKET, LoadHead
from fal_jupyter.protocol.frames import CHUNK, GO_AWAY, INLINE, WINDOW, Frame, Kind
from fal_jupyter.runner import failures
from fal_jupyter.runner.capture import Capture, current_stream
from fal_jupyter.runner.channel import Channel
from fal_jupyter.runner.endpoints import Call, RequestCancelled, current_call
from fal_jupyter.runner.fastpath import fast_endpoints, handler_of
from fal_jupyter.runner.watch import LoopWatch

_encode = msgspec.json.encode
CDN_TOKEN = "x-fal-cdn-token"


class RequestHead(msgspec.Struct):
    """Head of a REQUEST frame."""

    id: str
    method: str
    path: str
    query: str
    headers: list[tuple[str, str]]


_head_decoder = msgspec.json.Decoder(RequestHead)


class Stream:
    """One request on its way through the application."""

    __slots__ = (
        "began", "begun", "call", "capture", "channel", "complete", "context", "credit", "ended", "forced", "gone", "head", "id", "inbox", "may_be_nan", "owed", "read", "start", "started",
        "task", "wake", "wake_credit",
    )  # fmt: skip

    def __init__(
        self, stream: int, channel: Channel, capture: Capture, head: RequestHead, body: bytes, end: bool
    ) -> None:
        self.id, self.channel, self.capture, self.head = stream, channel, capture, head
        self.inbox: deque[bytes] = deque((body,))
        self.ended, self.gone, self.read = end, False, False
        self.wake: asyncio.Future[None] | None = None
        self.credit = WINDOW
        self.owed = 0
        self.wake_credit: asyncio.Future[None] | None = None
        self.start: dict[str, Any] | None = None
        self.started = self.complete = False
        self.call = Call()
        self.context: context.Pending | None = None
        self.task: asyncio.Task[None] | None = None
        self.begun = self.forced = False
        self.may_be_nan = True
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
            "client": None,
            "server": None,
        }

    # --- request body -------------------------------------------------------------------------------------------
    def push(self, data: bytes, end: bool) -> None:
        if end and not self.ended:
            self.ended, self.began = True, time.monotonic()
        if data:
            self.inbox.append(data)
        if self.wake is not None and not self.wake.done():
            self.wake.set_result(None)

    def cancel(self) -> None:
        self.gone = True
        for wake in (self.wake, self.wake_credit):
            if wake is not None and not wake.done():
                wake.set_result(None)

    def go_away(self) -> None:
        """The runner is about to leave; an ordinary request is waited for."""

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
        if self.context is None or (made := self.context.made) is None or self.call.unhandled:
            return ""
        token = made.headers.get(CDN_TOKEN)
        return token if isinstance(token, str) and token != self.header(CDN_TOKEN) else ""

    # --- answer -------------------------------------------------------------------------------------------------
    async def send(self, message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            self.start = message
            return
        if message["type"] != "http.response.body":
            return
        body: bytes = message.get("body", b"")
        more: bool = message.get("more_body", False)
        if self.call.exit is not None:
            self._tell_exit()
            return
        if not self.started:
            self.started = True
            assert self.start is not None
            if token := self.new_token():
                self.start["headers"] = [
                    *self.start["headers"],
                    (CDN_TOKEN.encode(), token.encode("latin-1", "replace")),
                ]
            if not more and not self._serialisable(body):
                body = b'{"detail":"Internal Server Error"}'
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

    def _serialisable(self, body: bytes) -> bool:
        """False when the user's result holds NaN or an infinity, which became ``null`` or invalid JSON on the way."""
        if not self.call.returned or not self.may_be_nan or not _may_hide_nan(body):
            return True
        where = failures.find_unjsonable(self.call.result)
        if not where or (
            not isinstance(self.call.result, float | dict | list | tuple)
            and not hasattr(self.call.result, "model_fields_set")
        ):
            return True
        assert self.start is not None
        self.call.error = failures.sentence("ValueError", where, "request")
        length = str(len(b'{"detail":"Internal Server Error"}')).encode()
        self.start = {"status": 500, "headers": [(b"content-length", length), (b"content-type", b"application/json")]}
        return False

    def _tell_exit(self) -> None:
        """User code asked the process to end: its callers get 503 from the fleet, the owner what happened."""
        if not self.started:
            self.started = True
            self._before_answer()

    def _before_answer(self) -> None:
        self.capture.end_request(self.id)
        if self.call.error is not None:
            self.channel.send(frames.encode(Kind.ERROR, self.id, _encode(self.call.error)[: frames.MAX_PAYLOAD]))

    def broke(self, error: BaseException) -> None:
        """The application raised: after its answer began, the caller can only be told that it broke off."""
        if self.call.exit is not None:
            self._tell_exit()
            return
        if self.call.error is None:
            self.call.error = failures.describe(error, "request")
            self._before_answer()
        self.complete = True
        if not self.started:
            self.started = True
            head = _encode({"status": 500, "headers": [["content-type", "application/json"]], "began": self.began})
            body = b'{"detail":"Internal Server Error"}'
            self.channel.send(frames.encode_message(Kind.RESPONSE, self.id, head, body, end=True))
        else:
            self.channel.send(frames.encode(Kind.END_BODY, self.id, b'{"aborted":true}'))

    def give_up(self) -> None:
        """End the stream of a cancelled request: nobody reads it, the gateway frees its place."""
        self.capture.end_request(self.id)
        if not self.started:
            head = _encode({"status": 499, "headers": [], "began": self.began})
            self.channel.send(frames.encode_message(Kind.RESPONSE, self.id, head, b"", end=True))
        elif not self.complete:
            self.channel.send(frames.encode(Kind.END_BODY, self.id, b'{"aborted":true}'))


class Server:
    """All requests of one runner."""

    def __init__(self, channel: Channel, capture: Capture, app: FastAPI, instance: Any, head: LoadHead) -> None:
        self.channel, self.capture, self.app, self.instance = channel, capture, app, instance
        self.streams: dict[int, Stream] = {}
        self.tasks: set[asyncio.Task[None]] = set()
        self.exit_asked = _Later()
        self._multiplex = head["multiplex"]
        self._hints = type(instance).provide_hints is not _base_hints()
        self._limited = False
        self._fast = {} if self._hints else fast_endpoints(app)
        self._watch: LoopWatch | None = None

    def handle(self, frame: Frame) -> None:
        """Take a frame of a request."""
        if frame.kind == Kind.REQUEST:
            self._begin(frame)
            return
        stream = self.streams.get(frame.stream)
        if stream is None:
            return  # it has ended meanwhile
        if frame.kind == Kind.BODY:
            stream.push(frame.payload, False)
        elif frame.kind == Kind.END_BODY:
            stream.push(b"", True)
        elif frame.kind == Kind.CANCEL and frame.payload == GO_AWAY:
            stream.go_away()
        elif frame.kind == Kind.CANCEL:
            stream.cancel()
            if frame.payload:
                stream.end_by_force()
        elif frame.kind == Kind.WINDOW:
            stream.add_credit(int.from_bytes(frame.payload, "big"))

    def _begin(self, frame: Frame) -> None:
        head_json, body, end = frames.decode_message(frame.payload)
        head = _head_decoder.decode(head_json)
        make: type[Stream] = Stream
        if head.method == WEBSOCKET:
            from fal_jupyter.runner.websockets import WebSocketStream  # most apps have none

            make = WebSocketStream
        stream = make(frame.stream, self.channel, self.capture, head, body, end)
        self.streams[frame.stream] = stream
        self.capture.in_flight.add(frame.stream)
        if len(self.streams) == 2:
            self._watch = self._watch or LoopWatch(self._blocked)
            self._watch.several(True)
        task = asyncio.get_running_loop().create_task(self._run(stream))
        stream.task = task
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def _run(self, stream: Stream) -> None:
        head = stream.head
        if not self._limited:
            limiter = anyio.to_thread.current_default_thread_limiter()
            limiter.total_tokens = max(limiter.total_tokens, self._multiplex + 1)  # and the app's health check
            self._limited = True
        current_stream.set(stream.id)
        current_call.set(stream.call)
        if head.method != WEBSOCKET:  # there the context is the empty one, as in the real package
            stream.context = context.Pending(partial(_request_context, head.headers))
            context.enter_request(stream.context)
        stream.begun = True
        try:
            if stream.forced:  # cancelled before it began
                raise asyncio.CancelledError
            if stream.has_policy() and await self._refuse_policy(stream):
                pass
            elif not await self._short_way(stream):
                send: Any = self._with_hints(stream) if self._hints else stream.send
                await self.app(stream.scope(), stream.receive, send)
        except (asyncio.CancelledError, RequestCancelled):
            if not stream.gone:
                raise
            stream.give_up()
        except BaseException as error:
            if not stream.started or not self._answered(stream):
                stream.broke(error)
        else:
            if not stream.started:
                stream.broke(RuntimeError("the application gave no answer"))
            elif not stream.complete and stream.call.exit is None:  # it stopped sending: its caller hung up
                self.channel.send(frames.encode(Kind.END_BODY, stream.id, b'{"aborted":true}'))
        finally:
            self.capture.end_request(stream.id)
            self.capture.in_flight.discard(stream.id)
            del self.streams[stream.id]
            if len(self.streams) == 1 and self._watch is not None:
                self._watch.several(False)
        if stream.call.exit is not None:
            self.exit_asked.set(stream.call.exit)

    def _blocked(self, task: asyncio.Task[Any] | None, place: str, seconds: float) -> None:
        """Tell the owner which request stops the loop (called from the watching thread)."""
        blocker = next((s for s in list(self.streams.values()) if s.task is task), None)
        who = f"request {blocker.head.id} ({blocker.head.method} {blocker.head.path})" if blocker else "a request"
        where = f" at {place}" if place else ""
        self.capture.say(
            blocker.id if blocker else 0,
            f"[fal_jupyter: the event loop has been blocked for {seconds:g} s by {who}{where}; {len(self.streams) - 1} other"
            " requests wait for it. Await what takes long, or make the endpoint a plain def]\n",
        )

    async def _refuse_policy(self, stream: Stream) -> bool:
        """Answer a request whose upload policy cannot be used; a websocket may have none at all (C58)."""
        if stream.head.method == WEBSOCKET:
            await stream.send({"type": "websocket.close", "code": 1008})
            return True
        try:
            read_policy(stream.header(POLICY))
        except BadPolicy as error:
            response = JSONResponse({"detail": str(error)}, 422, {"x-fal-billable-units": "0"})
            await response(stream.scope(), stream.receive, stream.send)  # type: ignore[arg-type]
            return True
        return False

    async def _short_way(self, stream: Stream) -> bool:
        """Answer a plain JSON request without ASGI; False where it has to go the long way (nothing has been done then)."""
        head = stream.head
        fast = self._fast.get(head.path) if head.method == "POST" else None
        if fast is None:
            return False
        stream.may_be_nan = fast.may_be_nan
        kind = next((value for name, value in head.headers if name == "content-type"), "")
        if not fast.may_take(kind, head.query):
            return False
        if stream.ended and len(stream.inbox) == 1:
            arguments = fast.arguments(stream.inbox[0])
        elif fast.reads_body and (whole := await stream.collect(_length(head.headers))) is not None:
            arguments = fast.arguments(whole)
            if arguments is None:
                stream.put_back(bytes(whole))
        else:
            return False
        if arguments is None:
            return False
        try:
            content = await fast.answer(arguments)
        except Exception as error:
            scope = {**stream.scope(), "app": self.app, "route": fast.route, "path_params": {}}
            content = await self._handled(Request(scope, stream.receive), error)
        if isinstance(content, Response):
            await content(stream.scope(), stream.receive, stream.send)  # type: ignore[arg-type]
            return True
        if (
            len(content) <= INLINE
            and stream.call.exit is None
            and not ((fast.may_be_nan and _may_hide_nan(content)) or stream.new_token())
        ):
            stream.answer_json(content)
            return True
        length = str(len(content)).encode()
        headers = [(b"content-length", length), (b"content-type", b"application/json")]
        await stream.send({"type": "http.response.start", "status": 200, "headers": headers})
        await stream.send({"type": "http.response.body", "body": content})
        return True

    async def _handled(self, request: Request, error: Exception) -> Response:
        """Give the response that the application's own handlers make of *error*."""
        try:
            response: Any = handler_of(self.app, error)(request, error)
            made: Response = await response if inspect.isawaitable(response) else response
            return made
        except Exception as second:  # the handler failed: the one of all the rest tells its caller nothing
            last: Any = self.app.exception_handlers[Exception](request, second)
            told: Response = await last
            return told

    @staticmethod
    def _answered(stream: Stream) -> bool:
        return stream.start is not None and stream.start["status"] == 500 and stream.call.error is not None

    def _with_hints(self, stream: Stream) -> Any:
        async def send(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.start" and not stream.call.unhandled:
                try:
                    value = ",".join(filter(_fits_a_header, self.instance.provide_hints()))
                    headers = [*message["headers"], (H_HINTS.encode(), value.encode("latin-1"))]
                    message = {**message, "headers": headers}
                except NotImplementedError:
                    pass
                except Exception as error:
                    print(f"Failed to provide hints: {type(error).__name__}: {error}", file=sys.stderr)
            await stream.send(message)

        return send

    async def drained(self) -> None:
        """Wait until every request is answered, and every websocket closed."""
        for stream in list(self.streams.values()):
            stream.go_away()
        while self.tasks:
            await asyncio.wait(set(self.tasks))


def _fits_a_header(hint: str) -> bool:
    try:
        hint.encode("latin-1")
    except UnicodeEncodeError:
        print(f"The hint {hint!r} is left out: a header cannot carry it", file=sys.stderr)
        return False
    return True


def _length(headers: list[tuple[str, str]]) -> int:
    given = next((value for name, value in headers if name == "content-length"), "")
    return int(given) if given.isdigit() else 0


def _may_hide_nan(body: bytes) -> bool:
    return b"null" in body or b"NaN" in body or b"Infinity" in body


def _request_context(pairs: list[tuple[str, str]]) -> context.RequestContext:
    headers: dict[str, str] = {}
    for name, value in pairs:
        headers.setdefault(name, value)  # the first of repeated ones, as in the real package
    preference = headers.get("x-fal-object-lifecycle-preference")
    parsed = None
    if preference is not None:
        try:
            parsed = msgspec.json.decode(preference)
        except msgspec.DecodeError as error:
            print(f"Failed to parse object lifecycle preference: {error}")
    policy = headers.get(POLICY)
    return context.RequestContext(
        headers.get(H_REQUEST_ID), headers.get(H_ENDPOINT), parsed, headers, read_policy(policy) if policy else None
    )


def _base_hints() -> Any:
    from fal_jupyter.fal.app import App

    return App.provide_hints


class _Later:
    """A future that may be made before its loop runs."""

    def __init__(self) -> None:
        self._value: str | None = None
        self._event = asyncio.Event()

    def set(self, value: str) -> None:
        if self._value is None:
            self._value = value
            self._event.set()

    async def wait(self) -> str:
        await self._event.wait()
        assert self._value is not None
        return self._value
