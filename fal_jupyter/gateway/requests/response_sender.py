"""The caller's side of a proxied request: sends its response over HTTP or in frames, once, until it is complete or cut off.

It also forwards what user code prints and displays meanwhile (:class:`UserOutput`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

import msgspec

from fal_jupyter.gateway.http.messages import LINGER
from fal_jupyter.gateway.http.response_head import SortedHeaders
from fal_jupyter.gateway.http.response_validation import InvalidResponse, invalid_response
from fal_jupyter.gateway.http.response_writer import ResponseWriter
from fal_jupyter.gateway.requests.framed_reply import DisplayHead, FramedReply, decode_display_head
from fal_jupyter.gateway.requests.request_body import RequestBody
from fal_jupyter.gateway.requests.request_description import RequestDescription
from fal_jupyter.gateway.requests.request_events import ObserverSlot, RequestEvents
from fal_jupyter.gateway.requests.request_states import RESPONSE, ResponseEvent, ResponseState
from fal_jupyter.gateway.requests.response_record import ResponseRecord
from fal_jupyter.gateway.requests.response_relay import ResponseRelay, failure_headers
from fal_jupyter.protocol import frames
from fal_jupyter.protocol.api import EndRecord, ErrorDescription

# module names: looking up an enum member costs as much as the rest of a transition
_PENDING, _STREAMING, _COMPLETE = ResponseState.PENDING, ResponseState.STREAMING, ResponseState.COMPLETE
_DISCONNECTED, _CLOSED = ResponseState.DISCONNECTED, ResponseState.CLOSED
_HEAD_SENT, _FINISHED, _CALLER_LEFT = ResponseEvent.HEAD_SENT, ResponseEvent.FINISHED, ResponseEvent.CALLER_LEFT

R = TypeVar("R")


class ResponseSender(msgspec.Struct, eq=False):
    """Sends one response.

    Attributes:
        record: the record of the response.
    """

    _writer: ResponseWriter
    _description: RequestDescription
    _body: RequestBody
    _framed: FramedReply | None
    _relay: ResponseRelay
    record: ResponseRecord
    _state: ResponseState = _PENDING
    _linger: asyncio.TimerHandle | None = None

    @property
    def finished(self) -> bool:
        """True when it is complete or cut off."""
        return self._state is _COMPLETE or self._state is _CLOSED

    @property
    def is_framed(self) -> bool:
        """True if it is sent to the owner's kernel in frames."""
        return self._framed is not None

    @property
    def is_open(self) -> bool:
        """True while it can be sent: it is not complete, and its caller is connected."""
        return self._state is _PENDING or self._state is _STREAMING

    # --- the caller ---------------------------------------------------------------------------------------------
    def on_close(self, callback: Callable[[], None]) -> None:
        """Call *callback* if the caller disconnects."""
        self._writer.on_close(callback)

    def disconnect(self) -> bool:
        """The caller has disconnected; False if that was already known."""
        if self._state is _DISCONNECTED or self._state is _CLOSED:
            return False
        self._state = RESPONSE[self._state][_CALLER_LEFT]
        if self._linger is not None:
            self._linger.cancel()
        return True

    def end_of_body(self) -> None:
        """The request is complete, after its response: the connection waited for that."""
        if self._linger is not None:
            self._linger.cancel()
            self._finish_connection()

    def reject_body(self) -> bool:
        """The request's body is too long; False if a response has begun, which is then cut off."""
        pending = self._state is _PENDING
        if not self.finished:
            self.record.status, self.record.detail = 413, "the body was longer than the limit"
        self._state = RESPONSE[self._state][_FINISHED]
        if not pending:
            self._writer.drop()
        return pending

    # --- the app's response -------------------------------------------------------------------------------------
    def set_content_type(self, content_type: str) -> None:
        """Record the content type of the app's body."""
        self.record.content_type = self.record.content_type or content_type
        self._relay.set_content_type(content_type)

    def respond_in_frames(self, head_json: bytes, body: bytes, end_record: EndRecord | None) -> None:
        """Send the head and the first body to the owner's kernel; with *end_record* the complete answer."""
        if (framed := self._open_framed()) is not None:
            framed.respond(head_json, body, end_record)
            if end_record is not None:
                self._finish_connection()

    def respond(
        self,
        status: int,
        headers: SortedHeaders,
        head_size: int,
        added: Sequence[tuple[str, str]],
        body: bytes,
        *,
        end: bool,
    ) -> InvalidResponse | None:
        """Send the head and the first (with *end*: complete) body over HTTP; returns the error if it cannot be sent.

        Args:
            headers: the app's headers; the lists are changed. head_size: bytes of the head as the runner wrote it.
            added: the gateway's headers, which follow the app's.
        """
        invalid = invalid_response(
            status, headers, head_size=head_size, size=len(body), end=end,
            method=self._description.method, websocket=self._description.websocket,
        )  # fmt: skip
        if invalid is None:
            self._state = after = RESPONSE[self._state][_HEAD_SENT]
            if after is _STREAMING:
                headers.for_caller += added
                self._relay.respond(status, headers.for_caller, body, whole=end and not headers.lengths)
        return invalid

    def write(self, data: bytes) -> asyncio.Future[None] | None:
        """Send more body; wait for the returned future if it is not done."""
        if (framed := self._open_framed()) is not None:
            return framed.write(data)
        return self._relay.write(data) if self.is_open else None

    def end(self, end_record: Callable[[], EndRecord], *, broken: bool) -> None:
        """The body has ended. Over HTTP, a complete one is ended by :meth:`end_of_stream`."""
        if (framed := self._open_framed()) is not None:
            framed.end(end_record(), broken=broken)
            self._finish_connection()
        elif broken and self.is_open:
            self._relay.break_off(self._description.id, "", "Internal Server Error")

    def end_of_stream(self) -> None:
        """The runner's stream has ended."""
        before = self._state
        self._state = RESPONSE[before][_FINISHED]
        if self._framed is None and (before is _STREAMING or before is _PENDING):
            self._finish_connection()

    def drop(self) -> None:
        """The response can no longer be completed."""
        self._state = RESPONSE[self._state][_FINISHED]
        self._writer.drop()

    # --- frames for the owner's kernel --------------------------------------------------------------------------
    def error(self, error: ErrorDescription) -> None:
        """User code raised."""
        self.record.error = error
        if (framed := self._open_framed()) is not None:
            framed.error(error)

    def output(self, payload: bytes) -> None:
        """User code printed."""
        if (framed := self._open_framed()) is not None:
            framed.output(payload)

    def display(self, head: DisplayHead, picture: bytes, line: str) -> None:
        """User code displayed a picture; *line* is its text."""
        if (framed := self._open_framed()) is not None:
            framed.display(head, picture, line)

    # --- the gateway's response ---------------------------------------------------------------------------------
    def fail(
        self,
        status: int,
        error_type: str,
        detail: str,
        *,
        end_record: Callable[[], EndRecord],
        retry_after: int = 0,
        error: ErrorDescription | None = None,
        headers: Sequence[tuple[str, str]] = (),
    ) -> None:
        """Send a failure of the gateway, unless the response has begun: then it is cut off."""
        before, record = self._state, self.record
        self._state = RESPONSE[before][_FINISHED]
        record.status, record.detail = status, detail
        if before is _DISCONNECTED:
            return
        if error is not None and record.error is None:
            record.error = error
            if self._framed is not None:
                self._framed.error(error)
        more = failure_headers(error_type, retry_after, headers)
        if self._framed is not None:
            self._framed.fail(status, error_type, detail, more, end_record())
        elif before is _STREAMING:
            self._relay.break_off(self._description.id, error_type, detail)
            return
        else:
            self._relay.fail(self._description.id, status, error_type, detail, more)
        self._finish_connection()

    def _open_framed(self) -> FramedReply | None:
        """Return the framed reply, while it can be sent; this begins the response."""
        if self._framed is None or not self.is_open:
            return None
        if self._state is _PENDING:
            self._state = RESPONSE[self._state][_HEAD_SENT]
        return self._framed

    def _finish_connection(self) -> None:
        if not self._body.is_read:  # closing the connection while the caller still sends would destroy the response
            self._linger = asyncio.get_running_loop().call_later(LINGER, self._writer.drop)
            return
        try:
            self._writer.finish()
        except Exception:  # fewer bytes than the app's own Content-Length
            self._writer.drop()


class UserOutput(Generic[R]):
    """Output and displays of user code during one request: for the app's log, an observer, and the owner's kernel.

    It is created with the first output, since most requests print nothing.
    """

    __slots__ = ("_events", "_observer", "_request", "_response")

    def __init__(self, request: R, events: RequestEvents[R], response: ResponseSender, observer: ObserverSlot) -> None:
        self._request, self._events, self._response, self._observer = request, events, response, observer

    def printed(self, payload: bytes) -> None:
        """Pass on the payload of an OUTPUT frame."""
        text = payload[1:].decode("utf-8", "replace")
        self._events.request_printed(self._request, payload[0], text)  # the app's log removes the secrets itself
        if not self._observer.taken and not self._response.is_framed:
            return
        redacted = self._events.without_secrets(self._request, text)
        self._observer.printed(payload[0], redacted)
        self._response.output(payload if redacted == text else payload[:1] + redacted.encode("utf-8", "replace"))

    def displayed(self, payload: bytes, *, keep: bool) -> None:
        """Pass on the payload of a DISPLAY frame: the picture to the owner, its text to the log and to the observer.

        Args:
            keep: store the picture in the response's record, for a caller that would not get it otherwise.
        """
        head_json, picture, _ = frames.decode_message(payload)
        head = decode_display_head(head_json)
        text = head.text = self._events.without_secrets(self._request, head.text)[: frames.MOST_PICTURE_TEXT]
        line = f"{text}\n"
        if keep:
            self._response.record.add_display(head.type, picture, text)
        self._events.request_printed(self._request, 1, line)
        self._observer.printed(1, line)
        self._response.display(head, picture, line)

    def printed_aside(self, stream: int, text: str) -> None:
        """Pass on the output of the request's cancel endpoint."""
        self._events.request_printed(self._request, stream, text)
        if self._observer.taken and not self._response.finished:
            self._observer.printed(stream, self._events.without_secrets(self._request, text))
