"""Calls that the gateway makes for a panel and whose answers it holds: a page that is opened again still gets its result."""

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
MOST = 30  # answers that are held …
MOST_BYTES = 128 << 20  # … and how much of them
NO_TARGET = "path begins with / and has no '..' in it, and method is one of HTTP's"


def target_of(path: str, method: str, methods: frozenset[str]) -> tuple[str, str, str] | None:
    """Return method, path and query, quoted, of what a panel wants to call; None if it may not be asked so (:data:`NO_TARGET`)."""
    path, _, query = path.partition("?")
    if not path.startswith("/") or is_hostile(path) or method not in methods:
        return None
    return method, quote(path, safe="/%"), quote(query, safe="=&%+,:;@/?-._~")


class BufferedCall:
    """One answer (:class:`fal_jupyter.gateway.http.response_writer.ResponseWriter`), complete or on its way."""

    def __init__(self) -> None:
        self.status, self.content_type = 0, ""
        self.size = 0
        self.over = self.broken = False
        self.error = ""  # what user code raised, as its owner sees it
        self._pieces: list[bytes] = []
        self._changes = Changes()
        self._closed: Callable[[], None] | None = None

    # --- the exchange's side ------------------------------------------------------------------------------------
    def respond(self, status: int, headers: Headers, body: bytes) -> None:
        """The head is here, and the first (or whole) body."""
        self.status = status
        self.content_type = next((value for name, value in headers if name.lower() == "content-type"), "")
        self._keep(body)

    def write(self, data: bytes) -> asyncio.Future[None] | None:
        """More body; what is beyond the bound is let go, and the answer counts as broken off there."""
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
        """Memory always takes more, up to its bound."""
        return False

    def finish(self) -> None:
        """The answer is complete."""
        self.over = True
        self._changes.notify()

    def drop(self) -> None:
        """The answer broke off."""
        self.over = self.broken = True
        self._changes.notify()

    def on_close(self, callback: Callable[[], None]) -> None:
        """Nobody hangs up here: who wants the call's end says so."""

    # --- the readers' side --------------------------------------------------------------------------------------
    async def begun(self) -> None:
        """Wait for the answer's head."""
        while not self.status and not self.over:
            await self._changes.next().wait()

    async def ended(self) -> None:
        """Wait for the whole answer."""
        while not self.over:
            await self._changes.next().wait()

    async def follow(self) -> AsyncIterator[bytes]:
        """Yield the body from its beginning, and go on as it comes."""
        delivered = 0
        while True:
            while delivered < len(self._pieces):
                delivered += 1
                yield self._pieces[delivered - 1]
            if self.over:
                return
            await self._changes.next().wait()

    def body(self) -> bytes:
        """What there is of the body."""
        return b"".join(self._pieces)


class InternalCall:
    """The hub of a request that goes to a runner beside the fleet: it takes nobody's place and calls for no runner."""

    cookies: dict[str, set[str]] = {}  # noqa: RUF012  (nobody looks at them)

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
        """It is complete: off it goes."""
        request.dispatch(self._channel, self._runner_id, self._revision)

    def request_aborted(self, request: ProxiedRequest) -> None:
        """Nobody waits any more."""
        request.cancel("force")

    def request_finished(self, request: ProxiedRequest, *, replace: bool) -> None:
        """The answer is held."""

    def drain_output(self, request: ProxiedRequest) -> None:
        """Whatever is printed is the runner's."""

    def request_printed(self, request: ProxiedRequest, stream: int, text: str) -> None:
        """Pass it to whoever asked for it."""
        if self._on_output is not None:
            self._on_output(stream, text)

    def runner_header(self, request: ProxiedRequest, name: str, value: str) -> None:
        """Of itself: it is asked for something else here."""

    def remark(self, request: ProxiedRequest, text: str) -> None:
        """It is in no log."""

    def without_secrets(self, request: ProxiedRequest, text: str) -> str:
        """It is shown to nobody."""
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
    """Ask *path* of a living runner beside its requests; what does not come within *patience* seconds is broken off.

    *request_id* is a new one where none is given; *on_output* gets what user code prints meanwhile (stream, text).
    """
    call, request_id = BufferedCall(), request_id or new_id()
    head = request_head(
        request_id, method, path, "", [("accept", "*/*"), ("host", "localhost"), ("content-length", "0")]
    )
    hub = InternalCall(channel, runner_id, revision, on_output)
    description = RequestDescription(
        id=request_id, alias=alias, head=head, method=method, path=path, origin="internal", owned=True
    )
    request = ProxiedRequest(hub, call, description)
    request.end_of_body()
    try:
        await asyncio.wait_for(call.ended(), patience)
    except TimeoutError:
        request.disconnect()
        call.drop()
    call.error = request.record.error["text"] if request.record.error is not None else ""
    return call


class BufferedCalls:
    """The calls made for panels; the latest answers are held."""

    def __init__(self, hub: RequestEvents[ProxiedRequest]) -> None:
        self._hub = hub
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
        """Call an endpoint; returns the request's id and its answer at once, before there is one."""
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
        """Call an endpoint whose answer goes to *call* and is not found here afterwards; returns the request's id and the request."""
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
        request = ProxiedRequest(self._hub, call, description)
        if body:
            request.receive(body)
        request.end_of_body()
        return request_id, request

    def find(self, request_id: str) -> BufferedCall | None:
        """The answer to that request, if it is held."""
        return self._calls.get(request_id)

    def _make_room(self) -> None:
        while len(self._calls) >= MOST or sum(call.size for call in self._calls.values()) > MOST_BYTES:
            over = next((name for name, call in self._calls.items() if call.over), None)
            if over is None:
                return  # all of them are on their way
            del self._calls[over]
