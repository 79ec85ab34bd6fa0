"""Serves all requests of one runner: frames to ASGI calls, one task per request, by the fast path where possible."""

from __future__ import annotations

import asyncio
import inspect
import sys
from functools import partial
from typing import Any

import anyio.to_thread
import msgspec
from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse

from fal_jupyter.fal import context
from fal_jupyter.fal.app import App
from fal_jupyter.fal.upload_policy import HEADER as POLICY
from fal_jupyter.fal.upload_policy import BadPolicy, read_policy
from fal_jupyter.protocol import frames
from fal_jupyter.protocol.api import H_ENDPOINT, H_HINTS, H_REQUEST_ID, WEBSOCKET, LoadHead
from fal_jupyter.protocol.frames import GO_AWAY, INLINE, Frame, Kind
from fal_jupyter.runner.application import failures
from fal_jupyter.runner.application.endpoints import RequestCancelled, current_call
from fal_jupyter.runner.channel import RunnerChannel
from fal_jupyter.runner.output.capture import OutputCapture, current_stream
from fal_jupyter.runner.process.loop_watch import LoopWatch
from fal_jupyter.runner.requests.fastpath import fast_endpoints, handler_of
from fal_jupyter.runner.requests.request_stream import Stream, decode_head, may_hide_nan

_REQUEST = Kind.REQUEST  # a name of this module: looking a member up in its enum costs ten times as much


class RequestServer:
    """All requests of one runner."""

    def __init__(
        self,
        channel: RunnerChannel,
        capture: OutputCapture,
        app: FastAPI,
        instance: Any,
        head: LoadHead,
        state: dict[str, Any] | None = None,
    ) -> None:
        self.channel, self.capture, self.app, self.instance = channel, capture, app, instance
        self.streams: dict[int, Stream] = {}
        self.tasks: set[asyncio.Task[None]] = set()
        self.exit_requested = _ExitRequest()
        self._multiplex = head["multiplex"]
        self._state = state or {}
        self._hints = type(instance).provide_hints is not _base_hints()
        self._limited = self.leaving = False
        self._fast = {} if self._hints else fast_endpoints(app)
        self._watch: LoopWatch | None = None

    def handle(self, frame: Frame) -> None:
        """Handle a frame of a request."""
        if frame.kind == _REQUEST:
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
        head = decode_head(head_json)
        make: type[Stream] = Stream
        if head.method == WEBSOCKET:
            from fal_jupyter.runner.requests.websockets import WebSocketStream  # most apps have none; start-up

            make = WebSocketStream
        stream = make(frame.stream, self.channel, self.capture, head, body, end)
        stream.state = self._state
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
        """The whole task of one request: it always ends with an answer, whatever happens in user code or ours."""
        try:
            await self._answer(stream)
        except BaseException as error:
            if not self.leaving:
                stream.fail()
                print(
                    f"fal_jupyter: request {stream.head.id}: {failures.describe(error, 'request')['text']}",
                    file=sys.stderr,
                )
        finally:
            self.capture.in_flight.discard(stream.id)
            self.streams.pop(stream.id, None)
            if len(self.streams) == 1 and self._watch is not None:
                self._watch.several(False)
        if stream.call.exit is not None:
            self.exit_requested.set(stream.call.exit)

    async def _answer(self, stream: Stream) -> None:
        head = stream.head
        if not self._limited:
            limiter = anyio.to_thread.current_default_thread_limiter()
            limiter.total_tokens = max(limiter.total_tokens, self._multiplex + 1)  # plus the app's health check
            self._limited = True
        current_stream.set(stream.id)
        current_call.set(stream.call)
        if head.method != WEBSOCKET:  # its context is empty, as in the real package
            stream.context = context.Pending(partial(_request_context, head.headers))
            context.enter_request(stream.context)
        try:
            stream.begin()
            if stream.has_policy() and await self._refuse_policy(stream):
                pass
            elif not await self._short_way(stream):
                send: Any = self._with_hints(stream) if self._hints else stream.send
                await self.app(stream.scope(), stream.receive, send)
        except BaseException as error:
            if issubclass(type(error), asyncio.CancelledError | RequestCancelled) and (
                self.leaving or stream.call.disconnected
            ):
                stream.give_up()
            elif (
                stream.is_complete and head.method != WEBSOCKET and not stream.call.unhandled
            ):  # that one is in the answer
                self._report_late_error(stream, error)
            elif not stream.is_started or not self._answered(stream):
                stream.broke(error)
        else:
            if not stream.is_started:
                stream.broke(RuntimeError("the application sent no answer"))
            elif not stream.is_complete and stream.call.exit is None:  # it stopped sending: its caller disconnected
                self.capture.end_request(stream.id)
                await stream.settle()
                self.channel.send(frames.encode(Kind.END_BODY, stream.id, b'{"aborted":true}'))
        finally:
            self.capture.end_request(stream.id)

    def _report_late_error(self, stream: Stream, error: BaseException) -> None:
        """Log what user code raised when its answer was complete (background tasks): no caller waits for it."""
        described = failures.describe(error, "request", stream.call.endpoint)
        head = f"[fal_jupyter: request {stream.head.id} ({stream.head.method} {stream.head.path}) failed after its answer was sent]"
        self.capture.write_message(0, f"{head}\n{described['text'].rstrip()}\n")

    def _blocked(self, task: asyncio.Task[object] | None, location: str, seconds: float) -> None:
        """Report the request that blocks the loop to its owner (called from the watching thread)."""
        blocker = next((s for s in list(self.streams.values()) if s.task is task), None)
        subject = f"request {blocker.head.id} ({blocker.head.method} {blocker.head.path})" if blocker else "a request"
        where = f" at {location}" if location else ""
        self.capture.write_message(
            blocker.id if blocker else 0,
            f"[fal_jupyter: the event loop has been blocked for {seconds:g} s by {subject}{where}; {len(self.streams) - 1} other"
            " requests wait for it. Await what takes long, or make the endpoint a plain def]\n",
        )

    async def _refuse_policy(self, stream: Stream) -> bool:
        """Answer a request with an invalid upload policy; a WebSocket must not have any (C58)."""
        if stream.head.method == WEBSOCKET:
            await stream.send({"type": "websocket.close", "code": 1008})
            return True
        try:
            read_policy(stream.header(POLICY))
        except BadPolicy as error:
            response = JSONResponse({"detail": str(error)}, 422, {"x-fal-billable-units": "0"})
            await response(stream.scope(), stream.receive, stream.send)
            return True
        return False

    async def _short_way(self, stream: Stream) -> bool:
        """Answer a plain JSON request without ASGI; False if it needs the normal path (then nothing was done)."""
        head = stream.head
        fast = self._fast.get(head.path) if head.method == "POST" else None
        if fast is None:
            return False
        stream.may_be_nan = fast.may_be_nan
        if not fast.may_take(stream.header("content-type"), head.query):
            return False
        if (at_once := stream.body.arrived_at_once()) is not None:
            arguments = fast.arguments(at_once)
        elif (
            fast.reads_body
            and (whole := await stream.body.collect(_length(stream.header("content-length")))) is not None
        ):
            arguments = fast.arguments(whole)
            if arguments is None:
                stream.body.put_back(bytes(whole))
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
            await content(stream.scope(), stream.receive, stream.send)
            return True
        if len(content) <= INLINE and stream.call.exit is None and not stream.new_token():
            if fast.may_be_nan and may_hide_nan(content):
                stream.note_non_finite()
            stream.answer_json(content)
            return True
        length = str(len(content)).encode()
        headers = [(b"content-length", length), (b"content-type", b"application/json")]
        await stream.send({"type": "http.response.start", "status": 200, "headers": headers})
        await stream.send({"type": "http.response.body", "body": content})
        return True

    async def _handled(self, request: Request, error: Exception) -> Response:
        """Return the response of the application's own handlers to *error*."""
        try:
            response: Any = handler_of(self.app, error)(request, error)
            handled: Response = await response if inspect.isawaitable(response) else response
            return handled
        except Exception as second:  # the handler failed: the catch-all one gives no details
            last: Any = self.app.exception_handlers[Exception](request, second)
            fallback: Response = await last
            return fallback

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
                    print(
                        f"Failed to provide hints: {failures.name_of(error)}: {failures.text_of(error)}",
                        file=sys.stderr,
                    )
            await stream.send(message)

        return send

    async def drained(self) -> None:
        """Wait until every request is answered, and every WebSocket closed."""
        for stream in list(self.streams.values()):
            stream.go_away()
        while self.tasks:
            await asyncio.wait(set(self.tasks))


def _fits_a_header(hint: str) -> bool:
    try:
        hint.encode("latin-1")
    except UnicodeEncodeError:
        print(f"The hint {hint!r} is ignored: a header cannot hold it", file=sys.stderr)
        return False
    return True


def _length(text: str) -> int:
    return int(text) if text.isdigit() else 0


def _request_context(pairs: list[tuple[str, str]]) -> context.RequestContext:
    headers: dict[str, str] = {}
    for name, value in pairs:
        headers.setdefault(name, value)  # the first of repeated ones, as in the real package
    preference = headers.get("x-fal-object-lifecycle-preference")
    parsed = None
    if preference is not None:
        try:
            parsed = msgspec.json.decode(preference)
        except (msgspec.DecodeError, RecursionError) as error:
            print(f"Failed to parse object lifecycle preference: {error}")
    policy = headers.get(POLICY)
    return context.RequestContext(
        headers.get(H_REQUEST_ID), headers.get(H_ENDPOINT), parsed, headers, read_policy(policy) if policy else None
    )


def _base_hints() -> object:
    return App.provide_hints


class _ExitRequest:
    """Why user code asked the process to exit, once it has. May be created before its loop runs."""

    def __init__(self) -> None:
        self._reason = ""
        self._event = asyncio.Event()

    def set(self, reason: str) -> None:
        """Record the first reason."""
        if not self._event.is_set():
            self._reason = reason
            self._event.set()

    async def wait(self) -> str:
        """Wait for the request, and return its reason."""
        await self._event.wait()
        return self._reason
