"""Forwards an app's answer to an HTTP caller: validated, with our headers; a cut off answer never looks complete."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import msgspec

from fal_jupyter.gateway.http.event_stream import EventStream, is_event_stream
from fal_jupyter.gateway.http.response_writer import ResponseWriter, failure_body
from fal_jupyter.protocol.api import BODILESS, H_ERROR_TYPE, H_REQUEST_ID, H_REVISION, H_RUNNER


def write_or_drop(writer: ResponseWriter, data: bytes) -> asyncio.Future[None] | None:
    """Send more body; wait for the returned future if it is not done. The connection is closed if the body cannot be sent."""
    try:
        return writer.write(data)
    except Exception:  # longer than the app's own Content-Length, or the caller disconnected
        writer.drop()
        return None


class ResponseRelay(msgspec.Struct, eq=False):
    """Forwards one answer."""

    _writer: ResponseWriter
    _events: EventStream | None = None  # if the body is one

    def set_content_type(self, content_type: str) -> None:
        """Record the content type of the app's body."""
        self._events = EventStream() if is_event_stream(content_type) else None

    def respond(self, status: int, headers: list[tuple[str, str]], body: bytes, *, whole: bool) -> None:
        """Send the head and the first body (with *whole*: the complete one, whose length is not in *headers*); *headers* is changed."""
        if whole and status >= 200 and status not in BODILESS:
            headers.append(("content-length", str(len(body))))
        if self._events is not None:
            self._events.feed(body)
        self._writer.respond(status, headers, body)

    def write(self, data: bytes) -> asyncio.Future[None] | None:
        """Send more body; wait for the returned future if it is not done."""
        if self._events is not None:
            self._events.feed(data)
        return write_or_drop(self._writer, data)

    def break_off(self, request_id: str, error_type: str, detail: str) -> None:
        """End an answer that has begun: it must not look complete, and a stream of events gets an error event."""
        if self._events is not None and (event := self._events.error(request_id, error_type, detail)):
            self.write(event)
        self._writer.drop()

    def fail(
        self, request_id: str, status: int, error_type: str, detail: str, headers: Sequence[tuple[str, str]]
    ) -> None:
        """Send a failure of the gateway; *headers* are those of :func:`failure_headers`."""
        data = failure_body(request_id, error_type, detail)
        self._writer.respond(status, [*headers, (H_REQUEST_ID, request_id), ("content-length", str(len(data)))], data)


def failure_headers(error_type: str, retry_after: int, more: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return the headers of a failure of the gateway; without Retry-After if *retry_after* is 0 seconds."""
    headers = [("content-type", "application/json"), *more]
    if error_type:
        headers.append((H_ERROR_TYPE, error_type))
    if retry_after:
        headers.append(("retry-after", str(retry_after)))
    return headers


def gateway_headers(status: int, request_id: str, revision: int, runner_id: str) -> list[tuple[str, str]]:
    """Return the gateway's own headers for an app's answer."""
    headers = [(H_REQUEST_ID, request_id), (H_REVISION, str(revision)), (H_RUNNER, runner_id)]
    if status == 101:
        headers += (("connection", "Upgrade"), ("upgrade", "websocket"))
    return headers
