"""Which part of the gateway gets a request, by its target and by where it came in."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

from tornado.web import Application

from fal_jupyter.gateway.api.admin import MAX_PUBLISH
from fal_jupyter.gateway.http.connection.request_cycle import RequestResponseCycle
from fal_jupyter.gateway.http.cors import Preflight
from fal_jupyter.gateway.http.messages import IncomingRequest, RequestHeaders
from fal_jupyter.gateway.http.proxy_target import H_TARGET, is_proxied, own_target
from fal_jupyter.gateway.http.proxy_target import refusal as proxy_refusal
from fal_jupyter.gateway.http.tornado_bridge import BodyLimit, TornadoRequest
from fal_jupyter.gateway.requests.data_plane import (
    DataPlane,
    DataPlaneRequest,
    RefusedRequest,
    file_limit_sentence,
    is_own_host,
    limit_sentence,
)
from fal_jupyter.protocol.api import ADMIN, CDN, ENDING, ENDING_SENTENCE, REST, RUN, SPEAK
from fal_jupyter.protocol.panels import admin_target

_PUBLICATION = BodyLimit(MAX_PUBLISH, f"a publication has {MAX_PUBLISH} bytes at most")
_WHILE_DRAINING = (CDN, REST)  # running requests upload there


class RequestRouter:
    """A request of a listener: the data plane's, the control plane's (on the Unix socket) or the public handlers'."""

    __slots__ = ("_admin", "_connection", "_front", "_inner", "_public", "_stopping")

    def __init__(
        self,
        front: DataPlane,
        connection: RequestResponseCycle,
        public: Application,
        admin: Application | None,
        stopping: asyncio.Event,
    ) -> None:
        self._front, self._connection, self._public, self._admin = front, connection, public, admin
        self._stopping = stopping
        self._inner: IncomingRequest

    def begin(self, method: str, target: str, headers: RequestHeaders) -> None:
        own: str | None = target
        target_header: str | None = None
        if self._stopping.is_set() and not target.startswith(_WHILE_DRAINING):
            self._inner = RefusedRequest(self._front, self._connection, 503, ENDING, ENDING_SENTENCE)
            self._inner.begin(method, target, headers)
            return
        if not target.startswith(RUN) and is_proxied(target):
            target_header = headers.get(H_TARGET)
            own = own_target(target_header or "")
        if self._front.origins is not None and is_own_host(headers.get("host", ""), self._front.ports):
            welcome = self._front.origins.welcome(method, own or target, headers)
            if welcome is not None and welcome.preflight is not None:
                self._inner = Preflight(self._connection, welcome.preflight)
                return
            self._connection.rewrite = welcome.headers if welcome is not None else None
        if own is None:
            self._inner = RefusedRequest(
                self._front, self._connection, 400, "bad_request", proxy_refusal(target_header)
            )
            self._inner.begin(method, target, headers)
            return
        target = own
        if target.startswith(RUN):
            self._inner = DataPlaneRequest(self._front, self._connection)
        elif target.startswith(SPEAK):
            from fal_jupyter.gateway.requests.websocket_bridge import (  # start-up
                WebSocketBridge,  # with a library of its own, which hardly any gateway needs
            )

            self._inner = WebSocketBridge(self._front, self._connection)
        elif self._admin is not None and target.startswith(ADMIN) and self._has_control(method, target):
            self._inner = TornadoRequest(self._admin, self._connection, _PUBLICATION)
        else:
            self._inner = self._handled(target)
        self._inner.begin(method, target, headers)

    def _has_control(self, method: str, target: str) -> bool:
        """True on the owner's own connections, and for what panels may ask on theirs."""
        role, path = self._connection.role, target.partition("?")[0]
        return not role or (role == "panel" and admin_target(method, path.removeprefix(ADMIN)) is not None)

    def _handled(self, target: str) -> IncomingRequest:
        settings = self._front.settings
        whole = streamed = BodyLimit(settings.max_body, limit_sentence(settings))
        if target.startswith(CDN):  # files are never in memory
            streamed = BodyLimit(settings.max_file, file_limit_sentence(settings))
        return TornadoRequest(self._public, self._connection, whole, streamed)

    @property
    def upgrades(self) -> bool:
        return self._inner.upgrades

    def data_received(self, chunk: bytes) -> Awaitable[None] | None:
        return self._inner.data_received(chunk)

    def finish(self) -> None:
        self._inner.finish()

    def on_connection_close(self) -> None:
        self._inner.on_connection_close()
