"""Routes a request to a part of the gateway, by its target and its listener."""

from __future__ import annotations

import asyncio

from tornado.web import Application

from fal_jupyter.gateway.api.admin import MAX_PUBLISH
from fal_jupyter.gateway.http.connection.request_cycle import RequestResponseCycle
from fal_jupyter.gateway.http.connection.request_parser import ParsedHead
from fal_jupyter.gateway.http.cors import Preflight
from fal_jupyter.gateway.http.messages import IncomingRequest
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

_PUBLICATION = BodyLimit(MAX_PUBLISH, f"a publication is limited to {MAX_PUBLISH} bytes")
_WHILE_DRAINING = (CDN, REST)  # running requests upload there


class RequestRouter:
    """Selects the handler of each request of a listener: the data plane's, the control plane's (on the Unix socket) or the public ones."""

    __slots__ = ("_admin", "_data_plane", "_public", "_stopping")

    def __init__(
        self, data_plane: DataPlane, public: Application, admin: Application | None, stopping: asyncio.Event
    ) -> None:
        self._data_plane, self._public, self._admin, self._stopping = data_plane, public, admin, stopping

    def handler(self, cycle: RequestResponseCycle, head: ParsedHead) -> IncomingRequest:
        """Return the handler of a request with this *head*; the target of a proxy request is replaced by the proxied one."""
        data_plane, target, headers = self._data_plane, head.target, head.headers
        own: str | None = target
        target_header: str | None = None
        if self._stopping.is_set() and not target.startswith(_WHILE_DRAINING):
            return RefusedRequest(data_plane, cycle, 503, ENDING, ENDING_SENTENCE)
        if not target.startswith(RUN) and is_proxied(target):
            target_header = headers.get(H_TARGET)
            own = own_target(target_header or "")
        if data_plane.origins is not None and is_own_host(headers.get("host", ""), data_plane.ports):
            welcome = data_plane.origins.welcome(head.method, own or target, headers)
            if welcome is not None and welcome.preflight is not None:
                return Preflight(cycle, welcome.preflight)
            cycle.rewrite = welcome.headers if welcome is not None else None
        if own is None:
            return RefusedRequest(data_plane, cycle, 400, "bad_request", proxy_refusal(target_header))
        head.target = own
        if own.startswith(RUN):
            return DataPlaneRequest(data_plane, cycle)
        if own.startswith(SPEAK):
            from fal_jupyter.gateway.requests.http_over_websocket import (  # start-up
                HttpOverWebSocket,  # imports a library that is rarely needed
            )

            return HttpOverWebSocket(data_plane, cycle)
        if self._admin is not None and own.startswith(ADMIN) and _has_control(cycle.role, head.method, own):
            return TornadoRequest(self._admin, cycle, _PUBLICATION)
        settings = data_plane.settings
        whole = streamed = BodyLimit(settings.max_body, limit_sentence(settings))
        if own.startswith(CDN):  # files are never in memory
            streamed = BodyLimit(settings.max_file, file_limit_sentence(settings))
        return TornadoRequest(self._public, cycle, whole, streamed)


def _has_control(role: str, method: str, target: str) -> bool:
    """True on the owner's connections, and for the paths that panels may request on theirs."""
    path = target.partition("?")[0]
    return not role or (role == "panel" and admin_target(method, path.removeprefix(ADMIN)) is not None)
