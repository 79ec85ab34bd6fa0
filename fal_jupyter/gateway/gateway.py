"""The gateway put together: listeners, leases, keys, store and engine, and when it all ends."""

from __future__ import annotations

import asyncio
import logging
import os
import resource
import socket
import sqlite3
import sys
import time
from collections.abc import Awaitable, Mapping
from pathlib import Path
from typing import Any

from tornado.netutil import bind_sockets
from tornado.web import Application

from fal_jupyter.credentials import id_and_hash, make_key
from fal_jupyter.domain.errors import FalJupyterError, GatewayError, PortTaken
from fal_jupyter.gateway.api import admin as admin_api
from fal_jupyter.gateway.api import public as public_api
from fal_jupyter.gateway.auth.access_tokens import AccessTokens
from fal_jupyter.gateway.auth.api_keys import ApiKeys
from fal_jupyter.gateway.auth.leases import Leases, OwnerLease, peer_of
from fal_jupyter.gateway.changes import Changes
from fal_jupyter.gateway.engine.engine import Engine
from fal_jupyter.gateway.engine.listings import app_record, runner_records
from fal_jupyter.gateway.engine.recorder import FleetRecorder
from fal_jupyter.gateway.feed.feed import Feed
from fal_jupyter.gateway.http.connection.request_cycle import RequestResponseCycle
from fal_jupyter.gateway.http.cors import CorsPolicy, Preflight
from fal_jupyter.gateway.http.messages import IncomingRequest, RequestHeaders
from fal_jupyter.gateway.http.proxy_target import H_TARGET, is_proxied, own_target
from fal_jupyter.gateway.http.proxy_target import refusal as proxy_refusal
from fal_jupyter.gateway.http.server import HttpListener
from fal_jupyter.gateway.http.tls_port import TlsPort
from fal_jupyter.gateway.http.tornado_bridge import BodyLimit, TornadoRequest
from fal_jupyter.gateway.queue.queue import Queue
from fal_jupyter.gateway.queue.webhooks import Webhooks
from fal_jupyter.gateway.requests.buffered_calls import BufferedCalls
from fal_jupyter.gateway.requests.data_plane import (
    DataPlane,
    DataPlaneRequest,
    RefusedRequest,
    file_limit_sentence,
    is_own_host,
    limit_sentence,
)
from fal_jupyter.gateway.runners.frame_dump import FrameDump
from fal_jupyter.gateway.runners.launcher import Launcher
from fal_jupyter.gateway.runners.load_messages import GatewayPorts, LoadMessages, calls_here
from fal_jupyter.gateway.storage.files import Files
from fal_jupyter.gateway.storage.state_lock import StateDirectoryWatch, bind, is_ours, take_life_lock
from fal_jupyter.gateway.storage.store import Store
from fal_jupyter.installed import version
from fal_jupyter.processes import start_time
from fal_jupyter.protocol.api import (
    ADMIN,
    CDN,
    ENDING,
    ENDING_SENTENCE,
    PROTOCOL,
    REST,
    RUN,
    SPEAK,
    AppRecord,
    Hello,
    RunnerRecord,
    TlsOpened,
)
from fal_jupyter.protocol.feed import GatewayState
from fal_jupyter.protocol.panels import admin_target
from fal_jupyter.secret_store import SecretStore
from fal_jupyter.settings import Settings
from fal_jupyter.state import check_state

log = logging.getLogger("fal_jupyter.gateway")
LINGER = 2.0  # seconds without an owner after which a gateway ends whose Jupyter server has ended
SETTLE = 0.2  # seconds for whoever removes the state directory to finish
NO_LEASE = "any"  # of keys that end with the last owner, whoever that is
_PUBLICATION = BodyLimit(admin_api.MAX_PUBLISH, f"a publication has {admin_api.MAX_PUBLISH} bytes at most")
_WHILE_DRAINING = (CDN, REST)  # running requests upload there
MOST_REVISIONS = 1000  # publications that the history keeps
FILES_FOR_OURSELVES = 128  # descriptors that callers' connections leave for runners, logs and the store
# Since Python 3.13 a server removes its socket's path itself: one below /proc/self/fd, which may be another's by then.
_KEEP_SOCKET: dict[str, Any] = {"cleanup_socket": False} if sys.version_info >= (3, 13) else {}


class Gateway:
    """One gateway."""

    def __init__(
        self, settings: Settings, environment: Mapping[str, str], idle_exit: float, files: int, lock: int
    ) -> None:
        self.settings, self._idle_exit, self._lock = settings, idle_exit, lock
        self._watch: StateDirectoryWatch | None = None
        self.stopping = asyncio.Event()
        self.store = Store(settings.store)
        secret_store = SecretStore(settings.state)
        self.keys = ApiKeys(self.store, secret_store)
        self.tokens = AccessTokens(lives=self.keys.lives)
        loads = LoadMessages(settings, secret_store, self.keys.of_apps, self._open_ports)
        changes = Changes()
        dump, recorder = _recorders(settings.record)
        self.engine = Engine(
            settings,
            loads,
            lambda events: Launcher(events, environment, files, dump),
            changes,
            self._maybe_idle,
            recorder,
        )
        self.deployments = self.engine.deployments
        self.files = Files(settings, lives=self.keys.lives)
        self.leases = Leases(self._lease_ended)
        self.calls = BufferedCalls(self.engine.requests)
        self.queue = Queue(self.engine.requests, settings)
        self.webhooks = Webhooks(
            settings.webhook_key, settings.owner, allow_private=settings.allow_private, most_bytes=settings.queue_bytes
        )
        self._started = start_time(os.getpid())
        self.feed = Feed(self.engine, changes, settings, self.leases, self._identity)
        self._idle_timer: asyncio.TimerHandle | None = None
        self._unused_from = -1  # how many leases there had been when it was asked to end with the last of them
        self._tcp: asyncio.Server | None = None
        self._port = 0
        self._tls = TlsPort(settings.state / "tls")
        self._unix: asyncio.Server | None = None
        self._opening = asyncio.Lock()
        self._application = admin_api.application(self)
        self._tcp_front = DataPlane(self.engine.requests, self.keys, self.tokens, settings, trusted=False)
        self._unix_front = DataPlane(self.engine.requests, self.keys, self.tokens, settings, trusted=True)
        limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        reserve = FILES_FOR_OURSELVES if limit > 2 * FILES_FOR_OURSELVES else limit // 4
        most, top = limit - reserve, limit - reserve // 2
        public, trusted = public_api.application(self, trusted=False), public_api.application(self, trusted=True)
        self._tcp_listener = HttpListener(
            lambda c: RequestRouter(self._tcp_front, c, public, None, self.stopping),
            settings.read_timeout,
            settings.idle_timeout,
            most,
            send_timeout=settings.send_timeout,
            max_descriptor=top,
        )
        self._unix_listener = HttpListener(
            lambda c: RequestRouter(self._unix_front, c, trusted, self._application, self.stopping),
            settings.read_timeout,
            settings.idle_timeout,
            most,
            admits=_is_own_user,
            send_timeout=settings.send_timeout,
            max_descriptor=top,
        )

    async def open(self, unix: socket.socket) -> None:
        """Begin to serve on the bound Unix socket."""
        await self.keys.forget_former()
        self.keys.read_lasting()
        await self._listen(unix)
        self.files.start()
        self._maybe_idle()

    async def _listen(self, unix: socket.socket) -> None:
        self._unix = await asyncio.get_running_loop().create_unix_server(
            self._unix_listener.connection, sock=unix, backlog=512, **_KEEP_SOCKET
        )
        try:
            self._watch = StateDirectoryWatch(self.settings, self._place_lost)
        except OSError as error:  # a user may have only so many watches; then a lost directory is found by nobody
            log.warning("%s: %s", error, error.strerror)

    # --- the state directory is gone ----------------------------------------------------------------------------
    def _place_lost(self) -> None:
        if not self.stopping.is_set():
            log.warning("%s was removed or moved; it is made again", self.settings.state)
            asyncio.get_running_loop().call_later(SETTLE, lambda: asyncio.ensure_future(self._settle_again()))

    async def _settle_again(self) -> None:
        """Make the state directory again, with lock, socket, store and logs: who serves goes on serving.

        Another gateway that was started in its place meanwhile has it: then this one ends, and its owners go there.
        """
        if self.stopping.is_set():
            return
        if not self.leases.living:  # nobody is here whom it would serve
            self.stop()
            return
        try:
            check_state(self.settings.state)
            if not is_ours(self.settings, self._lock):
                self._lock, former = take_life_lock(self.settings), self._lock
                os.close(former)
            self.settings.logs.mkdir(mode=0o700, exist_ok=True)
            for handler in logging.getLogger().handlers:
                handler.close()  # it opens its file again with its next line
            for app in self.deployments.published.values():
                app.log.reopen()
            await self.store.reopen()
            unix, former_server = bind(self.settings), self._unix
            await self._listen(unix)
            if former_server is not None:
                former_server.close()
        except GatewayError as error:
            log.error("%s; this one ends", error)
            self.stop()
        except (OSError, FalJupyterError, sqlite3.Error):
            log.exception("the state directory could not be made again; callers by port are served on")
        else:
            log.info("%s is there again", self.settings.state)

    # --- the loopback port --------------------------------------------------------------------------------------
    @property
    def base(self) -> str:
        """``http://127.0.0.1:PORT``, or ``""`` while the port is closed."""
        return f"http://127.0.0.1:{self._port}" if self._port else ""

    @property
    def ports(self) -> frozenset[int]:
        """The loopback ports that callers may name."""
        return frozenset(port for port in (self._port, self._tls.port) if port)

    def _open_ports(self) -> GatewayPorts:
        return GatewayPorts(self._port, self._tls.port, str(self._tls.authority) if self._tls.port else "")

    async def open_for_runners(self, env: Mapping[str, str]) -> None:
        """Open the TLS port where an app with these variables calls others through it; without one, the app runs all the same."""
        if self._port and calls_here(env):
            try:
                await self.open_tls()
            except OSError as error:
                log.warning("runners cannot call apps by fal_client: the TLS port cannot be opened: %s", error)

    async def open_tls(self) -> TlsOpened:
        """Open the TLS port beside the plain one, which is open; gives where it is and what to trust.

        Raises:
            OSError: its certificates cannot be written, or the port cannot be had.
        """
        async with self._opening:
            await self._tls.open(self._tcp_listener)
            self._tcp_front.ports = self.ports
        return TlsOpened(port=self._tls.port, authority=str(self._tls.authority), bundle=str(self._tls.bundle))

    async def make_client_key(self) -> str:
        """Make a key that lives until the last owner has left; only its hash stays here."""
        key = make_key()
        await self.keys.add(*id_and_hash(key), NO_LEASE, "fal-jupyter env")
        return key

    async def open_port(self, wanted: int) -> int:
        """Open the loopback port if it is closed; gives it.

        Raises:
            PortTaken: *wanted* is in use, or another is open already.
        """
        async with self._opening:
            return await self._open_port(wanted)

    async def _open_port(self, wanted: int) -> int:
        if self._tcp is not None:
            if wanted not in (0, self._port):
                raise PortTaken(
                    f"this gateway serves on port {self._port} already, so it cannot also serve on {wanted}",
                    hint=f"use --port 0 or --port {self._port}, or another FAL_JUPYTER_STATE",
                )
            return self._port
        try:
            sockets = bind_sockets(wanted, "127.0.0.1", family=socket.AF_INET)
        except OSError as error:
            raise PortTaken(
                f"port {wanted} of 127.0.0.1 cannot be used: {error.strerror or error}",
                hint="choose another --port, or 0 for any free one",
            ) from None
        self._port = sockets[0].getsockname()[1]
        self._tcp_front.ports = self.ports
        loop = asyncio.get_running_loop()
        self._tcp = await loop.create_server(self._tcp_listener.connection, sock=sockets[0], backlog=1024)
        return self._port

    def _close_port(self) -> None:
        if self._tcp is not None:
            self._tcp.close()
            self._tls.close()
            self._tcp_listener.close_idle()
            for speaker in list(self._tcp_front.speakers):
                speaker.leave()
            self._tcp, self._port = None, 0
            self._tcp_front.ports = self.ports

    def _close_port_soon(self) -> None:
        if not self.stopping.is_set():  # else it is closed when all is drained
            self._close_port()

    def open_to_pages(self) -> None:
        """An app is open to pages of other origins: from here on, the port looks where requests come from."""
        self._tcp_front.origins = CorsPolicy(self.deployments.published, self.settings.owner)

    # --- leases and idleness ------------------------------------------------------------------------------------
    def _lease_ended(self, lease: OwnerLease) -> None:
        log.info("%s %s (process %s) ended", lease.kind, lease.name, lease.pid)
        self.keys.revoke(lease.id)
        self.deployments.lease_ended(lease.id)
        if not self.leases.living:
            self.keys.revoke(NO_LEASE)
            self._close_port_soon()
        self._maybe_idle()

    @property
    def is_ending(self) -> bool:
        """True while it drains, and while nothing but requests of apps that have stopped keeps it from that."""
        return self.stopping.is_set() or (not self.leases.living and not self._idle_exit)

    def _maybe_idle(self) -> None:
        if self._idle_timer is not None:
            self._idle_timer.cancel()
            self._idle_timer = None
        if self.leases.living or self.engine.requests.live:
            return
        if not self._idle_exit and self._had_lease:
            self._idle()
            return
        wait = LINGER if self._unused_from == self.leases.total else self._idle_exit or 30.0
        self._idle_timer = asyncio.get_running_loop().call_later(wait, self._idle)

    def stop_when_unused(self) -> None:
        """Do not wait for a new owner when the last one has gone: the Jupyter server whose kernels they were ends. An owner that comes
        before that takes it back."""
        self._unused_from = self.leases.total
        self._maybe_idle()

    @property
    def _had_lease(self) -> bool:
        return self.leases.total > 0

    def _idle(self) -> None:
        if not self.leases.living and not self.engine.requests.live:
            log.info("nobody is here any more")
            self.stop()

    def stop(self) -> None:
        """Begin to drain. From this moment on no lease is granted and no request is taken; a second call does nothing.

        The socket is removed first, so that a client that is refused finds none: it starts the next gateway, which waits for the
        life lock, and so for the end of this one. Owners learn of the end by their leases.
        """
        if self.stopping.is_set():
            return
        self.stopping.set()
        self.engine.requests.begin_ending()
        if self._watch is not None:
            self._watch.close()
        if is_ours(self.settings, self._lock):  # never the socket of a gateway in our place
            self.settings.socket.unlink(missing_ok=True)
        self.leases.announce_end()

    async def close(self) -> None:
        """Drain and end what is left, in order. The port stays open so long: runners upload there, and callers are refused with 503."""
        if self._unix is not None:
            self._unix.close()
        self.feed.close()
        await self.engine.close()
        self._close_port()
        self.webhooks.close()
        self.files.close()
        for lease in list(self.leases.living.values()):
            self.leases.end(lease)
        self.store.close()

    # --- listings -----------------------------------------------------------------------------------------------
    def hello(self) -> Hello:
        """Who this is."""
        return Hello(
            protocol=PROTOCOL,
            version=version(),
            pid=os.getpid(),
            start_time=self._started,
            socket=str(self.settings.socket),
            port=self._port,
            state=str(self.settings.state),
            owner=self.settings.owner,
        )

    def app_records(self) -> list[AppRecord]:
        """All apps, with who holds them."""
        owner, base = self.settings.owner, self.base
        records = [
            app_record(self.engine, app, owner, base, self.leases.holder_of(app.lease))
            for app in self.deployments.published.values()
        ]
        return [record for record in records if record is not None]

    def runner_records(self) -> list[RunnerRecord]:
        """All runners, those that are ending included."""
        return runner_records(self.engine, self.settings.owner)

    def _identity(self) -> GatewayState:
        owner = self.settings.owner
        return GatewayState(pid=os.getpid(), started=self._started, version=version(), owner=owner, base=self.base)

    def remember(self, alias: str, revision: int, class_name: str, verdict: str, reason: str) -> None:
        """Append a publication to the history, which has the last ones."""
        now = time.time()

        def work(db: sqlite3.Connection) -> None:
            db.execute(
                "INSERT INTO revisions VALUES (?, ?, ?, ?, ?, ?)", (alias, revision, class_name, verdict, reason, now)
            )
            db.execute("DELETE FROM revisions WHERE rowid <= (SELECT max(rowid) FROM revisions) - ?", (MOST_REVISIONS,))

        self.store.transact(work).add_done_callback(_log_failure)


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
        given: str | None = None
        if self._stopping.is_set() and not target.startswith(_WHILE_DRAINING):
            self._inner = RefusedRequest(self._front, self._connection, 503, ENDING, ENDING_SENTENCE)
            self._inner.begin(method, target, headers)
            return
        if not target.startswith(RUN) and is_proxied(target):
            given = headers.get(H_TARGET)
            own = own_target(given or "")
        if self._front.origins is not None and is_own_host(headers.get("host", ""), self._front.ports):
            welcome = self._front.origins.welcome(method, own or target, headers)
            if welcome is not None and welcome.preflight is not None:
                self._inner = Preflight(self._connection, welcome.preflight)
                return
            self._connection.rewrite = welcome.headers if welcome is not None else None
        if own is None:
            self._inner = RefusedRequest(self._front, self._connection, 400, "bad_request", proxy_refusal(given))
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


def _recorders(directory: Path | None) -> tuple[FrameDump | None, FleetRecorder | None]:
    """Make what records frames and the fleet's events; none where nothing is to be recorded, or the directory cannot be written."""
    if directory is None:
        return None, None
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        return FrameDump(directory), FleetRecorder(directory, version())
    except OSError as error:
        log.warning("nothing is recorded: %s", error)
        return None, None


def _is_own_user(sock: socket.socket) -> bool:
    return peer_of(sock)[1] == os.getuid()


def _log_failure(future: asyncio.Future[None]) -> None:
    if not future.cancelled() and future.exception() is not None:
        log.warning("the history could not be written: %s", future.exception())
