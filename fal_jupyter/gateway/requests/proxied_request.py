"""One request between its caller's connection and a runner's stream: coordinates the parts below.

:mod:`request_states` has the states and all transitions, :mod:`request_body` sends the body to the runner, :mod:`response_sender` the response to
the caller. The engine dispatches a request or fails it. Other modules change it by methods only.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Sequence
from functools import partial

import msgspec

from fal_jupyter.domain.cancellation import How
from fal_jupyter.domain.queue.retries import ends_runner
from fal_jupyter.gateway.http.response_head import ABOUT_RUNNER, ResponseHead, decode_head
from fal_jupyter.gateway.http.response_writer import ResponseWriter
from fal_jupyter.gateway.requests.framed_reply import FramedReply
from fal_jupyter.gateway.requests.request_body import RequestBody
from fal_jupyter.gateway.requests.request_description import RequestDescription
from fal_jupyter.gateway.requests.request_events import ObserverSlot, RequestEvents, RequestObserver
from fal_jupyter.gateway.requests.request_states import DELIVERY, DeliveryEvent, DeliveryState
from fal_jupyter.gateway.requests.request_timestamps import RequestClock
from fal_jupyter.gateway.requests.response_record import ResponseRecord
from fal_jupyter.gateway.requests.response_relay import ResponseRelay, gateway_headers
from fal_jupyter.gateway.requests.response_sender import ResponseSender, UserOutput
from fal_jupyter.gateway.requests.runner_stream import RunnerStream
from fal_jupyter.gateway.runners.channel import GatewayChannel
from fal_jupyter.gateway.storage.redaction import error_without_secrets
from fal_jupyter.protocol import frames
from fal_jupyter.protocol.api import EndRecord, ErrorDescription, Timing
from fal_jupyter.protocol.frames import Frame, Kind

# module names: looking up an enum member costs as much as the rest of a transition
_RECEIVING, _RUNNING, _ENDED = DeliveryState.RECEIVING, DeliveryState.RUNNING, DeliveryState.ENDED
_UNDELIVERED = DeliveryState.UNDELIVERED
_ARRIVED, _SENT, _NOT_SENT = DeliveryEvent.ARRIVED, DeliveryEvent.SENT, DeliveryEvent.NOT_SENT
_REQUEUED, _STREAM_ENDED = DeliveryEvent.REQUEUED, DeliveryEvent.STREAM_ENDED
_RESPONSE = Kind.RESPONSE


class ProxiedRequest:
    """One request and its answer.

    Attributes:
        observer: receives its events, in addition to the caller.
        runner_id: id of its runner, ``""`` before the dispatch.
        revision: the app's revision that the runner serves.
    """

    __slots__ = (
        "_abort_requested", "_cancelled_by_owner", "_delivery", "_events", "_response", "_stream", "_user_output",
        "alias", "body", "clock", "description", "id", "observer", "record", "revision", "runner_id",
    )  # fmt: skip

    def __init__(
        self,
        events: RequestEvents[ProxiedRequest],
        writer: ResponseWriter,
        description: RequestDescription,
        observer: RequestObserver | None = None,
    ) -> None:
        self.description = description
        self.id, self.alias = description.id, description.alias
        self.clock = RequestClock(time.monotonic())
        self.body = body = RequestBody(unbounded=description.websocket)
        self.record = record = ResponseRecord()
        self.runner_id, self.revision = "", 0
        framed = FramedReply(writer, description.id) if description.framed else None
        self._response = ResponseSender(writer, description, body, framed, ResponseRelay(writer), record)
        self._events, self.observer = events, ObserverSlot(observer)
        self._delivery = _RECEIVING
        self._stream: RunnerStream | None = None
        self._user_output: UserOutput[ProxiedRequest] | None = None
        self._abort_requested = self._cancelled_by_owner = False

    # --- states -------------------------------------------------------------------------------------------------
    @property
    def dispatched(self) -> bool:
        """True once it was dispatched to a runner."""
        return self._delivery is _RUNNING or self._delivery is _ENDED

    @property
    def undelivered(self) -> bool:
        """True if its runner had ended before it received the request: it may be sent to another one."""
        return self._delivery is _UNDELIVERED

    @property
    def finished(self) -> bool:
        """True when it was answered or cut off."""
        return self._response.finished

    @property
    def is_open(self) -> bool:
        """True while an answer can be sent: it is not complete, and its caller is connected."""
        return self._response.is_open

    @property
    def cancellation_requested(self) -> bool:
        """True if its end was requested by its owner or by a cancellation, and not only by a disconnect."""
        return self._abort_requested or self.owned

    @property
    def owned(self) -> bool:
        """True if it was made by its owner."""
        return self._cancelled_by_owner or self.description.owned

    # --- from the caller ----------------------------------------------------------------------------------------
    def receive(self, data: bytes) -> Awaitable[None] | None:
        """Receive a piece of the body; the connection waits for the returned future if it is not done."""
        if not self._response.is_open or not self.body.feed(data):
            return None
        if self._delivery is _RECEIVING:
            self.arrive()
        return self.body.writable()

    def end_of_body(self) -> None:
        """The complete body has arrived."""
        if self._response.finished:
            self.body.discard_end()
            self._response.end_of_body()
            return
        self.body.end()
        if self._delivery is _RECEIVING:
            self.arrive()

    def reject_body(self) -> bool:
        """The body is longer than the limit: end the request. False if its response has already begun."""
        pending = self._response.reject_body()
        if self._delivery is not _RECEIVING:
            self._events.request_aborted(self)
        return pending

    def arrive(self) -> None:
        """Enough of the request has arrived for a runner to begin."""
        self._delivery = DELIVERY[self._delivery][_ARRIVED]
        self.clock.arrived = time.monotonic()
        self._response.on_close(self.disconnect)
        self._events.request_arrived(self)

    def cancel_by_owner(self) -> None:
        """The owner cancels it, in any state."""
        self._cancelled_by_owner = True
        self.fail(499, "client_disconnected", "the owner cancelled the request")
        self._events.request_aborted(self)

    def abort(self) -> None:
        """Its caller cancels it, in any state."""
        self._abort_requested = True
        self.disconnect()

    def disconnect(self) -> None:
        """The caller's connection ended."""
        was_open = self._response.is_open
        if not self._response.disconnect():
            return
        self.clock.end()
        self.body.release()
        if was_open and self._delivery is not _RECEIVING:
            self._events.request_aborted(self)

    # --- from the engine ----------------------------------------------------------------------------------------
    def dispatch(self, channel: GatewayChannel, runner_id: str, revision: int, starting_since: float = 0.0) -> None:
        """Send the request to a runner. For one that has just started, *starting_since* is the time when its start began; else 0.

        Only a request dispatched to such a runner immediately waited for its start; later ones waited for a busy runner.
        """
        stream = RunnerStream(channel, self)
        self.runner_id, self.revision = runner_id, revision
        self.clock.dispatch(starting_since)
        if not self.body.send_first(stream, self.description.head):
            stream.close()
            self.runner_id = ""
            self.clock.undo_dispatch()
            self.not_delivered()
            self.observer.taken_back()
            return
        self._delivery, self._stream = DELIVERY[self._delivery][_SENT], stream
        self.observer.dispatched()
        if not self.body.is_sent:
            self._events.keep_input(self)
            self.body.pump()

    def not_delivered(self) -> None:
        """Its runner had already ended: it waits, as if it had never been sent."""
        self._delivery = DELIVERY[self._delivery][_NOT_SENT]

    def requeue(self) -> None:
        """An undelivered request waits for another runner."""
        self._delivery = DELIVERY[self._delivery][_REQUEUED]

    def expect_start(self, *, cold: bool) -> None:
        """Record whether it waits for the start of a runner."""
        self.clock.cold = cold

    def start_ended(self, began: float) -> None:
        """The first runner is ready, whose start began at *began*; from now on it waits for a free one."""
        if not self.dispatched:
            self.clock.end_start(began)

    def printed_aside(self, stream: int, text: str) -> None:
        """Its cancel endpoint printed, whose output belongs to this request."""
        self._output.printed_aside(stream, text)

    def remark(self, text: str) -> None:
        """Write a line about the request into the app's log."""
        self._events.remark(self, text)

    def cancel(self, how: How = "tell") -> None:
        """Notify the runner how to end the request."""
        if self._stream is not None:
            self._stream.cancel(how)

    # --- from the runner ----------------------------------------------------------------------------------------
    def on_frame(self, frame: Frame) -> None:
        """Process a frame of this request's stream."""
        kind = frame.kind
        if kind == _RESPONSE:
            self._on_response(frame.payload)
        elif kind == Kind.BODY:
            self._on_body(frame.payload)
        elif kind == Kind.END_BODY:
            self._on_end(broken=bool(frame.payload))
        elif kind == Kind.WINDOW:
            self.body.grant(int.from_bytes(frame.payload, "big"))
        elif kind == Kind.OUTPUT:
            self._output.printed(frame.payload)
        elif kind == Kind.DISPLAY:
            # a cell displays pictures itself, and a program over HTTP gets none
            self._output.displayed(frame.payload, keep=self.description.origin == "panel")
        elif kind == Kind.ERROR:
            error = msgspec.json.decode(frame.payload)
            self._response.error(error_without_secrets(error, partial(self._events.without_secrets, self)))

    def on_broken(self, frame: Frame) -> None:
        """A frame of this stream could not be processed."""
        self._response.drop()
        if frames.ends_stream(frame):
            self._end_stream()  # no further frame would release the runner's slot
        else:
            self.cancel()

    def _on_response(self, payload: bytes) -> None:
        head_json, body, end = frames.decode_message(payload)
        head = decode_head(head_json)
        clock, record, description, response = self.clock, self.record, self.description, self._response
        clock.ran_from, clock.first_byte = head.began, time.monotonic()
        finished = response.finished
        record.status = record.status if finished else head.status
        record.begin(body, keep=not description.websocket or head.status != 101)  # WebSocket frames are not stored
        headers = head.sorted()
        if headers.for_gateway:
            head_json = self._note_headers(headers.for_gateway, head, head_json)
        if end and (description.framed or self.observer.taken):
            self._events.drain_output(self)
        if finished:
            pass  # the gateway responded instead of the runner (a timeout): the bytes are dropped
        elif description.framed:
            response.respond_in_frames(head_json, body, self._end_record() if end else None)
        else:
            added = gateway_headers(head.status, self.id, self.revision, self.runner_id)
            if (invalid := response.respond(head.status, headers, len(head_json), added, body, end=end)) is not None:
                self.fail(*invalid)
        if end:
            self._end_stream()
            return
        if body and self._stream is not None:
            self._stream.return_credit(len(body), None)
        self._events.response_began(self)

    def _note_headers(self, headers: Sequence[tuple[str, str]], head: ResponseHead, head_json: bytes) -> bytes:
        """Process the headers for the gateway; returns the head without those that are for it only."""
        for name, value in headers:
            if name == "content-type":
                self._response.set_content_type(value)
            elif name == "set-cookie":
                self._events.cookie_set(self, value.partition("=")[0].strip())
            elif name in ABOUT_RUNNER:
                self._events.runner_header(self, name, value)
            else:
                self.record.read_switch(name, value, finished=self.finished)
                head_json = head.without_gateways()
        return head_json

    def _on_body(self, data: bytes) -> None:
        self.record.add(data)
        written = self._response.write(data)
        if self._stream is not None:
            self._stream.return_credit(len(data), written)

    def _on_end(self, *, broken: bool) -> None:
        if self.observer.taken:
            self._events.drain_output(self)
        self._response.end(self._end_record, broken=broken)
        self._end_stream()

    @property
    def _output(self) -> UserOutput[ProxiedRequest]:
        if self._user_output is None:
            self._user_output = UserOutput(self, self._events, self._response, self.observer)
        return self._user_output

    def _end_stream(self) -> None:
        if self._stream is not None:
            self._stream.close()
        self._delivery = DELIVERY[self._delivery][_STREAM_ENDED]
        self.body.release()
        self._response.end_of_stream()
        self._events.request_finished(self, replace=ends_runner(self.record.status, self.record.stop_runner))

    def timing(self) -> Timing:
        """Return the timings so far."""
        return self.clock.at(time.monotonic()).timing()

    def _end_record(self) -> EndRecord:
        self.clock.end()
        timing = self.timing()
        return EndRecord(
            request_id=self.id, status=self.record.status, revision=self.revision, runner=self.runner_id, timing=timing
        )

    # --- responses of the gateway --------------------------------------------------------------------------------
    def fail(
        self,
        status: int,
        error_type: str,
        detail: str,
        *,
        retry_after: int = 0,
        error: ErrorDescription | None = None,
        headers: Sequence[tuple[str, str]] = (),
    ) -> None:
        """Respond with a failure of the gateway, unless the response has begun: then it is cut off."""
        if self._response.finished:
            return
        self.clock.end()
        self.body.release()
        self._response.fail(
            status, error_type, detail,
            end_record=self._end_record, retry_after=retry_after, error=error, headers=headers,
        )  # fmt: skip
