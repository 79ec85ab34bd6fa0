"""Calls for panels whose answers the gateway buffers, so that a reopened page still gets its result."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Iterable
from urllib.parse import quote

from fal_jupyter.gateway.changes import Changes
from fal_jupyter.gateway.http.response_writer import Headers, new_id
from fal_jupyter.gateway.requests.data_plane import request_head
from fal_jupyter.gateway.requests.proxied_request import ProxiedRequest
from fal_jupyter.gateway.requests.request_description import RequestDescription
from fal_jupyter.gateway.requests.request_events import RequestEvents
from fal_jupyter.gateway.runners.channel import GatewayChannel
from fal_jupyter.protocol.addresses import is_hostile
from fal_jupyter.protocol.feed import MAX_BUFFERED_ANSWER

CONTENT_TYPE = re.compile(r"[\w!#$&^.+-]+/[\w!#$&^.+-]+(;[ \t]*[\w-]+=[\w.\"' -]+)*")
MOST = 30  # buffered answers …
MOST_BYTES = 128 << 20  # … and their total size
NO_TARGET = "path must begin with / and not contain '..', and method must be an HTTP method"


def target_of(path: str, method: str, methods: frozenset[str]) -> tuple[str, str, str] | None:
    """Return method, path and query, quoted, of a panel's call; None if they are invalid (:data:`NO_TARGET`)."""
    path, _, query = path.partition("?")
    if not path.startswith("/") or is_hostile(path) or method not in methods:
        return None
    return method, quote(path, safe="/%"), quote(query, safe="=&%+,:;@/?-._~")


class BufferedCall:
    """One answer (:class:`fal_jupyter.gateway.http.response_writer.ResponseWriter`), complete or incomplete."""

    def __init__(self) -> None:
        self.status, self.content_type = 0, ""
        self.size = 0
        self.over = self.broken = False
        self.error = ""  # the exception of user code, formatted for its owner
        self._pieces: list[bytes] = []
        self._changes = Changes()
        self._closed: Callable[[], None] | None = None

    # --- ResponseWriter -----------------------------------------------------------------------------------------
    def respond(self, status: int, headers: Headers, body: bytes) -> None:
        """Receive the head and the first (or complete) body."""
        self.status = status
        self.content_type = next((value for name, value in headers if name.lower() == "content-type"), "")
        self._keep(body)

    def write(self, data: bytes) -> asyncio.Future[None] | None:
        """Receive more body; data beyond the limit is discarded, and the answer counts as cut off there."""
        self._keep(data)
        return None

    def _keep(self, data: bytes) -> None:
        room = MAX_BUFFERED_ANSWER - self.size
        if len(data) > room:
            self.broken = True
            data = data[: max(0, room)]
        if data:
            self._pieces.append(data)
            self.size += len(data)
        self._changes.notify()

    def backed_up(self) -> bool:
        """Never: memory accepts more, up to its limit."""
        return False

    def finish(self) -> None:
        """The answer is complete."""
        self.over = True
        self._changes.notify()

    def drop(self) -> None:
        """The answer was cut off."""
        self.over = self.broken = True
        self._changes.notify()

    def on_close(self, callback: Callable[[], None]) -> None:
        """Ignored: there is no connection; a call is ended explicitly."""

    # --- readers -----------------------------------------------------------------------------------------------
    async def begun(self) -> None:
        """Wait for the answer's head."""
        while not self.status and not self.over:
            await self._changes.next().wait()

    async def ended(self) -> None:
        """Wait for the complete answer."""
        while not self.over:
            await self._changes.next().wait()

    async def follow(self) -> AsyncIterator[bytes]:
        """Yield the body from its beginning, and further pieces as they arrive."""
        delivered = 0
        while True:
            while delivered < len(self._pieces):
                delivered += 1
                yield self._pieces[delivered - 1]
            if self.over:
                return
            await self._changes.next().wait()

    def body(self) -> bytes:
        """The body received so far."""
        return b"".join(self._pieces)


class InternalCall:
    """The events of a request sent to a runner outside of the fleet: it occupies no slot and starts no runner."""

    def __init__(
        self,
        channel: GatewayChannel,
        runner_id: str,
        revision: int,
        on_output: Callable[[int, str], None] | None = None,
    ) -> None:
        self._channel, self._runner_id, self._revision = channel, runner_id, revision
        self._on_output = on_output

    def request_arrived(self, request: ProxiedRequest) -> None:
        """It is complete: dispatch it."""
        request.dispatch(self._channel, self._runner_id, self._revision)

    def keep_input(self, request: ProxiedRequest) -> None:
        """Ignored: it is not recorded."""

    def request_aborted(self, request: ProxiedRequest) -> None:
        """The caller no longer waits."""
        request.cancel("force")

    def response_began(self, request: ProxiedRequest) -> None:
        """Ignored: no panel shows such a request."""

    def request_finished(self, request: ProxiedRequest, *, replace: bool) -> None:
        """The answer is buffered."""

    def drain_output(self, request: ProxiedRequest) -> None:
        """Ignored: output of child processes is the runner's."""

    def request_printed(self, request: ProxiedRequest, stream: int, text: str) -> None:
        """Pass output to the caller's callback."""
        if self._on_output is not None:
            self._on_output(stream, text)

    def cookie_set(self, request: ProxiedRequest, name: str) -> None:
        """Ignored: no browser gets the answer."""

    def runner_header(self, request: ProxiedRequest, name: str, value: str) -> None:
        """Ignored: such a request is not about the runner."""

    def remark(self, request: ProxiedRequest, text: str) -> None:
        """Ignored: it is not logged."""

    def without_secrets(self, request: ProxiedRequest, text: str) -> str:
        """Its output is not shown."""
        return text


async def internal_call(
    channel: GatewayChannel,
    runner_id: str,
    revision: int,
    alias: str,
    path: str,
    patience: float,
    *,
    method: str = "GET",
    request_id: str = "",
    on_output: Callable[[int, str], None] | None = None,
) -> BufferedCall:
    """Call *path* of a runner outside of the fleet; the call is cut off after *patience* seconds.

    *request_id* is a new one by default; *on_output* receives the output of user code (stream, text).
    """
    call, request_id = BufferedCall(), request_id or new_id()
    head = request_head(
        request_id, method, path, "", [("accept", "*/*"), ("host", "localhost"), ("content-length", "0")]
    )
    events = InternalCall(channel, runner_id, revision, on_output)
    description = RequestDescription(
        id=request_id, alias=alias, head=head, method=method, path=path, origin="internal", owned=True
    )
    request = ProxiedRequest(events, call, description)
    request.end_of_body()
    try:
        await asyncio.wait_for(call.ended(), patience)
    except TimeoutError:
        request.disconnect()
        call.drop()
    call.error = request.record.error["text"] if request.record.error is not None else ""
    return call


class BufferedCalls:
    """The calls made for panels; the latest answers are buffered."""

    def __init__(self, events: RequestEvents[ProxiedRequest]) -> None:
        self._events = events
        self._calls: dict[str, BufferedCall] = {}

    def call(
        self,
        alias: str,
        method: str,
        path: str,
        query: str,
        headers: Iterable[tuple[str, str]],
        body: bytes,
    ) -> tuple[str, BufferedCall]:
        """Call an endpoint; returns the request's id and an empty answer immediately."""
        self._make_room()
        call = BufferedCall()
        request_id, _ = self.begin(call, alias, method, path, query, headers, body)
        self._calls[request_id] = call
        return request_id, call

    def begin(
        self,
        call: BufferedCall,
        alias: str,
        method: str,
        path: str,
        query: str,
        headers: Iterable[tuple[str, str]],
        body: bytes,
        *,
        origin: str = "panel",
    ) -> tuple[str, ProxiedRequest]:
        """Call an endpoint whose answer is sent to *call* and not buffered here; returns the request's id and the request."""
        request_id, pairs = new_id(), list(headers)
        head = request_head(request_id, method, path, query, [*pairs, ("content-length", str(len(body)))])
        kind = next((value for name, value in pairs if name == "content-type"), "")
        description = RequestDescription(
            id=request_id,
            alias=alias,
            head=head,
            method=method,
            path=path,
            origin=origin,
            content_type=kind,
            owned=True,
        )
        request = ProxiedRequest(self._events, call, description)
        if body:
            request.receive(body)
        request.end_of_body()
        return request_id, request

    def find(self, request_id: str) -> BufferedCall | None:
        """The answer to that request, if it is buffered."""
        return self._calls.get(request_id)

    def _make_room(self) -> None:
        while len(self._calls) >= MOST or sum(call.size for call in self._calls.values()) > MOST_BYTES:
            over = next((name for name, call in self._calls.items() if call.over), None)
            if over is None:
                return  # all of them are incomplete
            del self._calls[over]
