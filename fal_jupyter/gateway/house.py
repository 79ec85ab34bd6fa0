"""The gateway put together: listeners, leases, keys, store and engine, and when it all ends."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import sqlite3
import time
from collections.abc import Mapping
from importlib import metadata
from typing import Any

from tornado.httpserver import HTTPServer
from tornado.iostream import IOStream
from tornado.netutil import bind_sockets

from fal_jupyter.domain.errors import PortTaken
from fal_jupyter.gateway import admin_api
from fal_jupyter.gateway.engine import Engine
from fal_jupyter.gateway.http_server import HEAD_BOUND, IDLE_TIME, Connection
from fal_jupyter.gateway.keys import Keys
from fal_jupyter.gateway.leases import Lease, Leases, peer_of
from fal_jupyter.gateway.run_api import Front, Request
from fal_jupyter.gateway.store import Store
from fal_jupyter.processes import start_time
from fal_jupyter.protocol.api import PROTOCOL, AppRecord, Hello
from fal_jupyter.settings import Settings

log = logging.getLogger("fal_jupyter.gateway")
_NO_LIMIT = 1 << 62  # Tornado's own limit answers with a bare 400; ours is checked in run_api


class _OwnUserServer(HTTPServer):
    """Serves connections of our own user only."""

    def handle_stream(self, stream: IOStream, address: Any) -> None:
        _, uid = peer_of(stream.socket)
        if uid != os.getuid():
            stream.close()
            return
        super().handle_stream(stream, address)


class House:
    """One gateway."""

    def __init__(self, settings: Settings, environment: Mapping[str, str], idle_exit: float, files: int) -> None:
        self.settings, self._idle_exit = settings, idle_exit
        self.stopping = asyncio.Event()
        self.store = Store(settings.store)
        self.keys = Keys(self.store)
        self.engine = Engine(settings, environment, files, self._maybe_idle)
        self.leases = Leases(self._lease_ended)
        self._idle_timer: asyncio.TimerHandle | None = None
        self._tcp: asyncio.Server | None = None
        self._opening = asyncio.Lock()
        self._connections: set[Connection] = set()
        self._tcp_front = Front(self.engine, self.keys, settings, None)
        self._unix = self._server(_OwnUserServer, Front(self.engine, self.keys, settings, admin_api.application(self)))
        self._started = start_time(os.getpid())

    @staticmethod
    def _server(kind: type[HTTPServer], front: Front) -> HTTPServer:
        return kind(
            front,
            max_body_size=_NO_LIMIT,
            max_buffer_size=admin_api.MAX_PUBLISH,
            max_header_size=HEAD_BOUND,
            idle_connection_timeout=IDLE_TIME,
        )

    async def open(self, unix: socket.socket) -> None:
        """Begin to serve on the bound Unix socket."""
        await self.keys.forget_former()
        self._unix.add_socket(unix)
        self._maybe_idle()

    # --- the loopback port --------------------------------------------------------------------------------------
    @property
    def base(self) -> str:
        """``http://127.0.0.1:PORT``, or ``""`` while the port is closed."""
        return f"http://127.0.0.1:{self._tcp_front.port}" if self._tcp_front.port else ""

    async def open_port(self, wanted: int) -> int:
        """Open the loopback port if it is closed; gives it.

        Raises:
            PortTaken: *wanted* is in use, or another is open already.
        """
        async with self._opening:
            return await self._open_port(wanted)

    async def _open_port(self, wanted: int) -> int:
        if self._tcp is not None:
            if wanted not in (0, self._tcp_front.port):
                raise PortTaken(
                    f"this gateway serves on port {self._tcp_front.port} already, so it cannot also serve on {wanted}",
                    hint=f"use --port 0 or --port {self._tcp_front.port}, or another FAL_JUPYTER_STATE",
                )
            return self._tcp_front.port
        try:
            sockets = bind_sockets(wanted, "127.0.0.1", family=socket.AF_INET)
        except OSError as error:
            raise PortTaken(
                f"port {wanted} of 127.0.0.1 cannot be used: {error.strerror or error}",
                hint="choose another --port, or 0 for any free one",
            ) from None
        self._tcp_front.port = sockets[0].getsockname()[1]
        loop = asyncio.get_running_loop()
        self._tcp = await loop.create_server(
            lambda: Connection(lambda caller: Request(self._tcp_front, caller), self._connections),
            sock=sockets[0],
            backlog=1024,
        )
        return self._tcp_front.port

    def _close_port(self) -> None:
        if self._tcp is not None:
            self._tcp.close()
            for connection in list(self._connections):
                connection.close_if_idle()
            self._tcp, self._tcp_front.port = None, 0

    # --- leases and idleness ------------------------------------------------------------------------------------
    def _lease_ended(self, lease: Lease) -> None:
        log.info("%s %s (process %s) ended", lease.kind, lease.name, lease.pid)
        self.keys.revoke(lease.id)
        self.engine.lease_ended(lease.id)
        if not self.leases.living:
            self._close_port()
        self._maybe_idle()

    def _maybe_idle(self) -> None:
        if self._idle_timer is not None:
            self._idle_timer.cancel()
            self._idle_timer = None
        if self.leases.living or self.engine.exchanges:
            return
        wait = self._idle_exit if self._idle_exit else (0.0 if self._had_lease else 30.0)
        self._idle_timer = asyncio.get_running_loop().call_later(wait, self._idle)

    @property
    def _had_lease(self) -> bool:
        return self.leases.total > 0

    def _idle(self) -> None:
        if not self.leases.living and not self.engine.exchanges:
            log.info("nobody is here any more")
            self.stop()

    def stop(self) -> None:
        """Begin the end: drain everything, then exit."""
        self.stopping.set()

    async def close(self) -> None:
        """End what is left, in order."""
        self._close_port()
        self._unix.stop()
        await self.engine.close()
        for lease in list(self.leases.living.values()):
            self.leases.end(lease)
        self.store.close()

    # --- listings -----------------------------------------------------------------------------------------------
    def hello(self) -> Hello:
        """Who this is."""
        return Hello(
            protocol=PROTOCOL,
            version=_version(),
            pid=os.getpid(),
            start_time=self._started,
            socket=str(self.settings.socket),
            port=self._tcp_front.port,
            state=str(self.settings.state),
            owner=self.settings.owner,
        )

    def app_records(self) -> list[AppRecord]:
        """All apps, with who holds them."""
        found = []
        for app in self.engine.published.values():
            lease = self.leases.living.get(app.lease)
            holder = {"kind": lease.kind, "name": lease.name, "pid": lease.pid} if lease else {}
            found.append(self.engine.app_record(app, self.base, holder))
        return found

    def remember(self, alias: str, revision: int, class_name: str, verdict: str, reason: str) -> None:
        """Append a publication to the history."""
        now = time.time()

        def work(db: sqlite3.Connection) -> None:
            db.execute(
                "INSERT INTO revisions VALUES (?, ?, ?, ?, ?, ?)", (alias, revision, class_name, verdict, reason, now)
            )

        self.store.transact(work).add_done_callback(_log_failure)


def _log_failure(future: asyncio.Future[None]) -> None:
    if not future.cancelled() and future.exception() is not None:
        log.warning("the history could not be written: %s", future.exception())


def _version() -> str:
    try:
        return metadata.version("fal_jupyter")
    except metadata.PackageNotFoundError:
        return "0"
