"""The Unix socket, the loopback port and the TLS port of one gateway."""

from __future__ import annotations

import asyncio
import os
import resource
import socket
import sys
from dataclasses import dataclass
from typing import Any

from tornado.netutil import bind_sockets
from tornado.web import Application

from fal_jupyter.domain.errors import PortTaken
from fal_jupyter.gateway.http.cors import CorsPolicy
from fal_jupyter.gateway.http.server import HttpListener
from fal_jupyter.gateway.http.tls_port import TlsPort
from fal_jupyter.gateway.listeners.request_router import RequestRouter
from fal_jupyter.gateway.requests.data_plane import DataPlane
from fal_jupyter.gateway.runners.load_messages import GatewayPorts
from fal_jupyter.processes import peer_of
from fal_jupyter.protocol.api import TlsOpened
from fal_jupyter.settings import Settings

RESERVED_DESCRIPTORS = 128  # not available to callers' connections: for runners, logs and the store
# Since Python 3.13 a server removes its socket's path itself: here one below /proc/self/fd, which may have been reused by then.
_KEEP_SOCKET: dict[str, Any] = {"cleanup_socket": False} if sys.version_info >= (3, 13) else {}


@dataclass(frozen=True, slots=True)
class Routes:
    """The handlers of incoming requests.

    Attributes:
        tcp, unix: the data plane for callers with keys, and for processes of the user.
        public, trusted: the queue, the CDN and the other public routes, for the same two.
        control: the control plane, on the Unix socket only.
    """

    tcp: DataPlane
    unix: DataPlane
    public: Application
    trusted: Application
    control: Application


class Listeners:
    """Opens and closes the gateway's socket and ports. *stopping* is set once the gateway drains."""

    def __init__(self, settings: Settings, routes: Routes, stopping: asyncio.Event) -> None:
        self._tcp_data_plane = routes.tcp
        self._port = 0
        self._tcp: asyncio.Server | None = None
        self._unix: asyncio.Server | None = None
        self._tls = TlsPort(settings.state / "tls")
        self._opening = asyncio.Lock()
        limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        reserve = RESERVED_DESCRIPTORS if limit > 2 * RESERVED_DESCRIPTORS else limit // 4
        most, top = limit - reserve, limit - reserve // 2
        self._tcp_listener = HttpListener(
            RequestRouter(routes.tcp, routes.public, None, stopping).handler,
            settings.read_timeout,
            settings.idle_timeout,
            most,
            send_timeout=settings.send_timeout,
            max_descriptor=top,
        )
        self._unix_listener = HttpListener(
            RequestRouter(routes.unix, routes.trusted, routes.control, stopping).handler,
            settings.read_timeout,
            settings.idle_timeout,
            most,
            admits=_is_own_user,
            send_timeout=settings.send_timeout,
            max_descriptor=top,
        )

    # --- the Unix socket ----------------------------------------------------------------------------------------
    async def listen(self, unix: socket.socket) -> None:
        """Serve on a bound Unix socket, instead of the previous one."""
        former, self._unix = (
            self._unix,
            await asyncio.get_running_loop().create_unix_server(
                self._unix_listener.connection, sock=unix, backlog=512, **_KEEP_SOCKET
            ),
        )
        if former is not None:
            former.close()

    def close_unix(self) -> None:
        """Accept no more connections on the Unix socket."""
        if self._unix is not None:
            self._unix.close()

    # --- the ports ----------------------------------------------------------------------------------------------
    @property
    def port(self) -> int:
        """The loopback port, 0 while it is closed."""
        return self._port

    @property
    def base(self) -> str:
        """``http://127.0.0.1:PORT``, or ``""`` while the port is closed."""
        return f"http://127.0.0.1:{self._port}" if self._port else ""

    @property
    def ports(self) -> frozenset[int]:
        """The loopback ports that callers may name."""
        return frozenset(port for port in (self._port, self._tls.port) if port)

    def runner_ports(self) -> GatewayPorts:
        """The open ports, for runners."""
        return GatewayPorts(self._port, self._tls.port, str(self._tls.authority) if self._tls.port else "")

    def check_origins(self, policy: CorsPolicy) -> None:
        """Check the origin of requests on the ports from now on."""
        self._tcp_data_plane.origins = policy

    async def open_port(self, requested: int) -> int:
        """Open the loopback port if it is closed; returns it.

        Raises:
            PortTaken: *requested* is in use, or another port is already open.
        """
        async with self._opening:
            if self._tcp is None:
                await self._open_port(requested)
            elif requested not in (0, self._port):
                raise PortTaken(
                    f"this gateway already serves on port {self._port}, so it cannot also serve on {requested}",
                    hint=f"use --port 0 or --port {self._port}, or another FAL_JUPYTER_STATE",
                )
            return self._port

    async def _open_port(self, requested: int) -> None:
        try:
            sockets = bind_sockets(requested, "127.0.0.1", family=socket.AF_INET)
        except OSError as error:
            raise PortTaken(
                f"port {requested} of 127.0.0.1 cannot be used: {error.strerror or error}",
                hint="choose another --port, or 0 for any free one",
            ) from None
        self._port = sockets[0].getsockname()[1]
        self._tcp_data_plane.ports = self.ports
        loop = asyncio.get_running_loop()
        self._tcp = await loop.create_server(self._tcp_listener.connection, sock=sockets[0], backlog=1024)

    async def open_tls(self) -> TlsOpened:
        """Open the TLS port beside the plain one, which is open; returns its URL and the certificates to trust.

        Raises:
            OSError: its certificates cannot be written, or no port is free.
        """
        async with self._opening:
            await self._tls.open(self._tcp_listener)
            self._tcp_data_plane.ports = self.ports
        return TlsOpened(port=self._tls.port, authority=str(self._tls.authority), bundle=str(self._tls.bundle))

    def close_ports(self) -> None:
        """Close both ports, and the connections without a request."""
        if self._tcp is not None:
            self._tcp.close()
            self._tls.close()
            self._tcp_listener.close_idle()
            for websocket in list(self._tcp_data_plane.websockets):
                websocket.close_when_idle()
            self._tcp, self._port = None, 0
            self._tcp_data_plane.ports = self.ports


def _is_own_user(sock: socket.socket) -> bool:
    return peer_of(sock)[1] == os.getuid()
