"""One request between its caller's connection and a runner's stream: bytes in both directions, with back-pressure.

The engine hands it to a runner or fails it; everything else here is bytes. For the owner's kernel the answer is
framed (``protocol/api``): output, the user's exception and the timing travel with it.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec

from fal_jupyter.domain.cancellation import How
from fal_jupyter.domain.events import RequestArrived
from fal_jupyter.domain.queue.retries import ends_runner, flag
from fal_jupyter.gateway.http.event_stream import EventStream
from fal_jupyter.gateway.http.messages import LINGER
from fal_jupyter.gateway.http.response_head import FOR_GATEWAY, ResponseHead, decode_head
from fal_jupyter.gateway.http.response_validation import objection
from fal_jupyter.gateway.http.response_writer import ResponseWriter, failure_body
from fal_jupyter.gateway.requests.request_events import RequestEvents, RequestObserver
from fal_jupyter.gateway.requests.request_timestamps import RequestTimestamps
from fal_jupyter.gateway.runners.channel import GatewayChannel
from fal_jupyter.gateway.storage.redaction import error_without_secrets
from fal_jupyter.protocol import frames
from fal_jupyter.protocol.api import (
    BODILESS,
    FRAMES_TYPE,
    H_ERROR_TYPE,
    H_REQUEST_ID,
    H_REVISION,
    H_RUNNER,
    H_STOP_RUNNER,
    EndRecord,
    ErrorDescription,
    Timing,
)
from fal_jupyter.protocol.feed import BODY_BOUND, DISPLAYS_BOUND
from fal_jupyter.protocol.frames import CHUNK, GO_AWAY, INLINE, WINDOW, Frame, Kind

if TYPE_CHECKING:
    from collections.abc import Awaitable, Sequence

_encode = msgspec.json.encode
_CANCELS: dict[How, bytes] = {"tell": b"", "force": b"\x01", "politely": GO_AWAY}
SAID = "x-fal-runner-h"  # what runners say of themselves: hints, and that their health be checked
MOST_COOKIES = 200  # names that are remembered of an app


def unread(size: int) -> bytes:
    """What is printed in place of *size* bytes of output that their owner did not take."""
    return f"\n[fal_jupyter: {size:,} bytes of output were dropped, since they were not read]\n".encode()


class ProxiedRequest:
    """One request and its answer."""

    __slots__ = (
        "_answered", "_body_done", "_buffer", "_buffered", "_channel", "_credit", "_ending", "_events", "_first", "_got_room", "_linger", "_owed", "_paused",
        "_ran_from", "_read_all", "_stream", "_unprinted", "alias", "arrived", "began", "bytes_in", "bytes_out", "caller", "cell", "cold",
        "content_type", "dispatched", "error", "finished", "framed", "gone", "got", "head", "hint", "hub", "id", "low", "method", "needs_retry", "origin", "owned", "path",
        "revision", "runner_id", "sent", "sent_type", "shown", "shown_size", "start_within", "starting", "status", "stop_runner", "told", "undelivered", "watcher", "websocket",
    )  # fmt: skip

    def __init__(
        self,
        hub: RequestEvents[ProxiedRequest],
        caller: ResponseWriter,
        request_id: str,
        alias: str,
        head: bytes,
        *,
        framed: bool,
        method: str = "POST",
        path: str = "/",
        origin: str = "http",
        sent_type: str = "",
        websocket: bool = False,
    ) -> None:
        self.websocket = websocket  # its body and its answer's are the two directions of a websocket, without an end
        self.watcher: RequestObserver | None = None
        self.low = self._ending = False
        self.start_within, self.hint = 0.0, ""
        self.cell = (0, "")  # number and id of the cell that asked, where that is known
        self.hub, self.caller, self.id, self.alias = hub, caller, request_id, alias
        self.head, self.framed = head, framed
        self.method, self.path, self.origin, self.sent_type = method, path, origin, sent_type
        self.began = time.monotonic()
        self.arrived = self.dispatched = self.starting = self._first = self._ran_from = 0.0
        self.content_type = self.told = ""
        self._events: EventStream | None = None
        self.owned = framed  # its owner asked: who cancels it means it
        self.cold = self.gone = self.finished = self.undelivered = False
        self.runner_id, self.revision = "", 0
        self.error: ErrorDescription | None = None
        self.stop_runner: bool | None = None  # what the answer's headers ask for; None: they do not say
        self.needs_retry: bool | None = None
        self._channel: GatewayChannel | None = None
        self._stream = 0
        self._buffer: deque[bytes] = deque()
        self._buffered = 0
        self._body_done = False
        self._credit = WINDOW
        self._owed = 0
        self._paused: asyncio.Future[None] | None = None
        self._answered = False
        self.status = self._unprinted = self.bytes_in = self.bytes_out = 0
        self.sent = b""
        self.got: bytes | list[bytes] = b""
        self._got_room = 0 if websocket else BODY_BOUND
        self.shown: list[tuple[str, bytes, str]] = []  # pictures that were displayed: type, bytes, text
        self.shown_size = 0
        self._read_all = websocket
        self._linger: asyncio.TimerHandle | None = None

    # --- from the caller ----------------------------------------------------------------------------------------
    def take(self, data: bytes) -> Awaitable[None] | None:
        """Body bytes came; a future that is not done yet asks the connection to wait."""
        if self.finished or self.gone:
            return None
        self._buffer.append(data)
        self._buffered += len(data)
        self.bytes_in += len(data)
        if self._channel is not None:
            self._pump()
        if self._buffered < WINDOW:
            return None
        if not self.arrived:
            self.arrive()
        if self._paused is None or self._paused.done():
            self._paused = asyncio.get_running_loop().create_future()
        return self._paused

    def complete(self) -> None:
        """The whole body is here."""
        self._read_all = True
        if self.finished:
            if self._linger is not None:
                self._linger.cancel()
                self._finish_connection()
            return
        self._body_done = True
        if self._channel is not None:
            self._pump()
        elif not self.arrived:
            self.arrive()

    def withdraw(self) -> bool:
        """The caller broke a rule while its body came: forget the request. False when its answer has begun already."""
        self.finished, self.status, self.told = True, 413, "the body was longer than the limit"
        if self._answered:
            self._drop_connection()
        if self.arrived:
            self.hub.request_aborted(self)
        return not self._answered

    def arrive(self) -> None:
        """Enough of the request is here for a runner to begin with."""
        self.arrived = time.monotonic()
        self.caller.on_close(self.hung_up)
        self.hub.request_arrived(self)

    def arrival(self) -> RequestArrived:
        """What the fleet is told of it."""
        return RequestArrived(
            self.alias,
            self.id,
            self.websocket,
            queued=self.origin == "queue",
            low=self.low,
            start_within=self.start_within,
            hint=self.hint,
        )

    def end(self) -> None:
        """Its caller wants its end, wherever it is."""
        self._ending = True
        self.hung_up()

    def hung_up(self) -> None:
        """The caller's connection ended."""
        if self.gone:
            return
        self.gone = True
        if self._linger is not None:
            self._linger.cancel()
        self._resume()
        if not self.finished and self.arrived:
            self.hub.request_aborted(self)

    # --- to the runner ------------------------------------------------------------------------------------------
    def begin(self, channel: GatewayChannel, runner_id: str, revision: int, starting_since: float = 0.0) -> None:
        """Send the request to a runner. One that has just started was *starting_since* that moment; else 0.

        Only a request that such a runner takes at once waited for its start; later ones waited for a busy runner.
        """
        self.dispatched = time.monotonic()
        self.runner_id, self.revision = runner_id, revision
        if starting_since:
            self.starting = self.dispatched - max(starting_since, self.arrived)
        self._channel = channel
        self._stream = channel.open(self)
        body = b"".join(self._buffer) if len(self._buffer) != 1 else self._buffer[0]
        self._buffer.clear()
        self.sent = body[:BODY_BOUND]  # of a short body: the body itself, no copy
        first, rest = body[:INLINE], body[INLINE:]
        self._buffered = len(rest)
        if rest:
            self._buffer.append(rest)
        end = self._body_done and not rest
        self._credit -= len(first)
        if not channel.send(frames.encode_message(Kind.REQUEST, self._stream, self.head, first, end=end)):
            self._take_back(channel, body)
            return
        if self.watcher is not None:
            self.watcher.dispatched()
        if end:
            self._body_done = False  # the end has been sent
        else:
            self._pump()

    def start_ended(self, began: float) -> None:
        """The first runner is ready, which was starting since *began*; from here on it waits for a free one."""
        if self.cold and not self.dispatched:
            self.cold, self.starting = False, time.monotonic() - max(began, self.arrived)

    def _take_back(self, channel: GatewayChannel, body: bytes) -> None:
        """The runner was dead already: as if the request had never been sent."""
        channel.close_stream(self._stream)
        self._channel, self.undelivered = None, True
        self.dispatched, self.starting, self.runner_id, self._credit = 0.0, 0.0, "", WINDOW
        self._buffer.clear()
        self._buffer.append(body)
        self._buffered = len(body)
        if self.watcher is not None:
            self.watcher.taken_back()

    def _pump(self) -> None:
        channel = self._channel
        assert channel is not None
        while self._buffer and self._credit > 0:
            data = self._buffer.popleft()
            size = min(len(data), self._credit, CHUNK)
            if size < len(data):
                self._buffer.appendleft(data[size:])
                data = data[:size]
            self._credit -= size
            self._buffered -= size
            channel.send(frames.head_of(Kind.BODY, self._stream, data), data)
        if not self._buffer and self._body_done:
            self._body_done = False
            channel.send(frames.encode(Kind.END_BODY, self._stream))
        if self._buffered < WINDOW // 2:
            self._resume()

    def _resume(self) -> None:
        if self._paused is not None and not self._paused.done():
            self._paused.set_result(None)

    def cancel(self, how: How = "tell") -> None:
        """Tell the runner how the request shall end."""
        if self._channel is not None:
            self._channel.send(frames.encode(Kind.CANCEL, self._stream, _CANCELS[how]))

    @property
    def insists(self) -> bool:
        """True where who wants the request's end means it: its owner, or who cancelled it."""
        return self.owned or self._ending

    # --- from the runner ----------------------------------------------------------------------------------------
    def on_frame(self, frame: Frame) -> None:
        """Take a frame of this request's stream."""
        kind = frame.kind
        if kind == Kind.RESPONSE:
            self._respond(frame.payload)
        elif kind == Kind.BODY:
            self._body(frame.payload)
        elif kind == Kind.END_BODY:
            self._end(broken=bool(frame.payload))
        elif kind == Kind.WINDOW:
            self._credit += int.from_bytes(frame.payload, "big")
            self._pump()
        elif kind == Kind.OUTPUT:
            text = frame.payload[1:].decode("utf-8", "replace")
            self.hub.request_printed(self, frame.payload[0], text)
            if self.framed or self.watcher is not None:
                self._show(frame.payload, text)
        elif kind == Kind.DISPLAY:
            self._display(frame.payload)
        elif kind == Kind.ERROR:
            self.error = error_without_secrets(
                msgspec.json.decode(frame.payload), partial(self.hub.without_secrets, self)
            )
            if self.framed:
                self._frame(Kind.ERROR, _encode(self.error))

    def on_broken(self, frame: Frame) -> None:
        """A frame of this stream could not be taken: the answer cannot be made whole any more."""
        self.finished = True
        self._drop_connection()
        if frames.ends_stream(frame):
            self._finish_stream()  # nothing more comes that would give the runner's place back
        else:
            self.cancel()

    def _respond(self, payload: bytes) -> None:
        head_json, body, end = frames.decode_message(payload)
        head = decode_head(head_json)
        self._ran_from, self._first = head.began, time.monotonic()
        if not self.finished:
            self.status = head.status
        self.bytes_out = len(body)
        if self.websocket and head.status == 101:
            pass  # its frames are for nobody's eyes
        elif len(body) <= BODY_BOUND:
            self.got, self._got_room = body, BODY_BOUND - len(body)
        else:
            self.got, self._got_room = body[:BODY_BOUND], 0
        for name, value in head.headers:
            lower = name.lower()
            if lower == "content-type":
                self.content_type = self.content_type or value
                self._events = EventStream() if EventStream.is_one(value) else None
            elif lower == "set-cookie":
                names = self.hub.cookies.setdefault(self.alias, set())
                if len(names) < MOST_COOKIES:
                    names.add(value.partition("=")[0].strip())
            elif lower.startswith(SAID):
                self.hub.runner_said(self, lower, value)
            elif lower in FOR_GATEWAY:
                head_json = self._take_in(head, lower, value)
        if end and (self.framed or self.watcher is not None):
            self.hub.drain_output(self)
        if self.finished:
            pass  # it was answered for the runner (a timeout); the bytes are let go
        elif self.framed:
            data = frames.encode_message(Kind.RESPONSE, 0, head_json, body, end=end)
            if end:
                data += self._end_frame()
                self._send_framed(data, last=True)
            else:
                self._send_framed(data)
        else:
            headers, size = self._headers(head), len(body)
            why = objection(
                head.status, headers, head_size=len(head_json), size=size, end=end, method=self.method, websocket=self.websocket
            )  # fmt: skip
            if why is None:
                self._send_head(head.status, headers, body, end=end)
            else:
                self.reply(*why)
        if end:
            self._finish_stream()
        elif body:
            self._return_credit(len(body), None)

    def _take_in(self, head: ResponseHead, name: str, value: str) -> bytes:
        """Note a header that is for the gateway; gives the head without any of them."""
        if name == H_STOP_RUNNER:
            self.stop_runner = flag(value)
        elif not self.finished:
            self.needs_retry = flag(value)
        return head.without_gateways()

    def _send_head(self, status: int, headers: list[tuple[str, str]], body: bytes, *, end: bool) -> None:
        self._answered = True
        if self.gone:
            return
        if end and status >= 200 and status not in BODILESS and not any(n == "content-length" for n, _ in headers):
            headers.append(("content-length", str(len(body))))
        if self._events is not None:
            self._events.feed(body)
        self.caller.respond(status, headers, body)

    def _headers(self, head: ResponseHead) -> list[tuple[str, str]]:
        headers = head.for_caller()
        headers += ((H_REQUEST_ID, self.id), (H_REVISION, str(self.revision)), (H_RUNNER, self.runner_id))
        if head.status == 101:
            headers += (("connection", "Upgrade"), ("upgrade", "websocket"))
        return headers

    def _body(self, data: bytes) -> None:
        self.bytes_out += len(data)
        if self._got_room > 0:
            if not isinstance(self.got, list):
                self.got = [self.got]
            self.got.append(data[: self._got_room])
            self._got_room -= len(data)
        if self.gone or self.finished:
            self._return_credit(len(data), None)
        elif self.framed:
            self._send_framed(frames.encode(Kind.BODY, 0, data), credit=len(data))
        else:
            self._write(data, len(data))

    def _write(self, data: bytes, credit: int) -> None:
        if self._events is not None:
            self._events.feed(data)
        try:
            written = self.caller.write(data)
        except Exception:  # the app sent more than its own Content-Length, or the caller is gone
            self._drop_connection()
            written = None
        self._return_credit(credit, written)

    def _return_credit(self, size: int, written: asyncio.Future[None] | None) -> None:
        """Give the runner credit back once the caller's socket has taken the bytes."""
        if written is None or written.done():
            self._credit_back(size)
            return

        def done(future: asyncio.Future[None]) -> None:
            future.exception()  # a caller that hung up is told by the close callback
            self._credit_back(size)

        written.add_done_callback(done)

    def _credit_back(self, size: int) -> None:
        self._owed += size
        if self._owed >= WINDOW // 2 and self._channel is not None and self._stream in self._channel.streams:
            self._channel.send(frames.encode_window(self._stream, self._owed))
            self._owed = 0

    def _drop_connection(self) -> None:
        self.caller.drop()

    def _break_off(self, error_type: str, detail: str) -> None:
        """End an answer that has begun: it must not look complete, and a stream of events says why."""
        if self._events is not None and (event := self._events.error(self.id, error_type, detail)):
            self._write(event, 0)
        self._drop_connection()

    def _end(self, *, broken: bool) -> None:
        if self.watcher is not None:
            self.hub.drain_output(self)
        if not self.finished and not self.gone:
            if self.framed:
                self._send_framed(self._end_frame(broken=broken), last=True)
            elif broken:
                self._break_off("", "Internal Server Error")
        self._finish_stream()

    def _finish_stream(self) -> None:
        if self._channel is not None:
            self._channel.close_stream(self._stream)
        self._resume()
        already = self.finished
        self.finished = True
        if not already and not self.gone and not self.framed:
            self._finish_connection()
        self.hub.request_finished(self, replace=ends_runner(self.status, self.stop_runner))

    def _finish_connection(self) -> None:
        if not self._read_all:  # hanging up on a caller that still sends would destroy the answer on its way
            self._linger = asyncio.get_running_loop().call_later(LINGER, self._drop_connection)
            return
        try:
            self.caller.finish()
        except Exception:  # fewer bytes than the app's own Content-Length said
            self._drop_connection()

    def _show(self, payload: bytes, text: str) -> None:
        """Pass what was printed to the watcher and the owner; the log has it already."""
        shown = self.hub.without_secrets(self, text)
        if self.watcher is not None:
            self.watcher.printed(payload[0], shown)
        if self.framed:
            self._print(payload if shown == text else payload[:1] + shown.encode("utf-8", "replace"))

    def _display(self, payload: bytes) -> None:
        """Pass a picture to the owner, and its text to the log and to the watcher of the request."""
        head_json, picture, _ = frames.decode_message(payload)
        head = msgspec.json.decode(head_json)
        text = head["text"] = self.hub.without_secrets(self, head["text"])[: frames.MOST_PICTURE_TEXT]
        line = f"{text}\n"
        if self.origin == "panel":  # a cell shows them itself, and a program over HTTP sees none
            fits = self.shown_size + len(picture) <= DISPLAYS_BOUND
            self.shown.append((str(head["type"]), picture if fits else b"", text))
            self.shown_size += len(picture) if fits else 0
        self.hub.request_printed(self, 1, line)
        if self.watcher is not None:
            self.watcher.printed(1, line)
        if self.framed and self.caller.backed_up():
            self._print(b"\x01" + line.encode("utf-8", "replace"))
        elif self.framed and not self.finished:
            self._send_framed(frames.encode_message(Kind.DISPLAY, 0, _encode(head), picture, end=True))

    # --- the framed answer --------------------------------------------------------------------------------------
    def _print(self, payload: bytes) -> None:
        """Send output on; what an owner that does not read would pile up here is dropped and counted."""
        if self.caller.backed_up():
            self._unprinted += len(payload) - 1
            return
        if self._unprinted:
            told, self._unprinted = unread(self._unprinted), 0
            self._frame(Kind.OUTPUT, b"\x02" + told)
        self._frame(Kind.OUTPUT, payload)

    def _frame(self, kind: Kind, payload: bytes) -> None:
        if not self.finished:
            self._send_framed(frames.encode(kind, 0, payload))

    def _send_framed(self, data: bytes, *, last: bool = False, credit: int = 0) -> None:
        if self.gone:
            return
        if not self._answered:
            self._answered = True
            headers = [("content-type", FRAMES_TYPE), (H_REQUEST_ID, self.id)]
            if last:
                headers.append(("content-length", str(len(data))))
            self.caller.respond(200, headers, data)
        else:
            self._write(data, credit)
        if last:
            self._finish_connection()

    def _end_frame(self, *, broken: bool = False) -> bytes:
        record: dict[str, Any] = dict(
            EndRecord(
                request_id=self.id,
                status=self.status,
                revision=self.revision,
                runner=self.runner_id,
                timing=self.timing(),
            )
        )
        if broken:
            record["aborted"] = True
        return frames.encode(Kind.END_BODY, 0, _encode(record))

    def moments(self, now: float) -> RequestTimestamps:
        """The moments of this request so far."""
        return RequestTimestamps(
            self.began, self.arrived, self.dispatched, self.starting, self.cold, self._ran_from, self._first, now
        )

    def timing(self) -> Timing:
        """Where the time went so far."""
        return self.moments(time.monotonic()).timing()

    # --- answers of ours ----------------------------------------------------------------------------------------
    def reply(
        self,
        status: int,
        error_type: str,
        detail: str,
        *,
        retry_after: int = 0,
        error: ErrorDescription | None = None,
        headers: Sequence[tuple[str, str]] = (),
    ) -> None:
        """Answer with a failure made by us, unless the answer has begun: then it can only break off."""
        if self.finished:
            return
        self.finished, self.status, self.told = True, status, detail
        self._resume()
        if self.gone:
            return
        if error is not None and self.error is None:
            self.error = error
            if self.framed:
                self._send_framed(frames.encode(Kind.ERROR, 0, _encode(error)))
        if self._answered and not self.framed:
            self._break_off(error_type, detail)
            return
        told = [("content-type", "application/json"), *headers]
        if error_type:
            told.append((H_ERROR_TYPE, error_type))
        if retry_after:
            told.append(("retry-after", str(retry_after)))
        data = failure_body(self.id, error_type, detail)
        if self.framed:
            head = _encode({"status": status, "headers": told})
            self._send_framed(
                frames.encode_message(Kind.RESPONSE, 0, head, data, end=True) + self._end_frame(), last=True
            )
            return
        told += ((H_REQUEST_ID, self.id), ("content-length", str(len(data))))
        self.caller.respond(status, told, data)
        self._finish_connection()
