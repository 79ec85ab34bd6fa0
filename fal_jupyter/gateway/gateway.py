"""The gateway, composed of its components."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Mapping
from pathlib import Path

from fal_jupyter.credentials import id_and_hash, make_key
from fal_jupyter.gateway.api import admin as admin_api
from fal_jupyter.gateway.api import public as public_api
from fal_jupyter.gateway.auth.access_tokens import AccessTokens
from fal_jupyter.gateway.auth.api_keys import ApiKeys
from fal_jupyter.gateway.auth.leases import Leases, OwnerLease
from fal_jupyter.gateway.changes import Changes
from fal_jupyter.gateway.engine.engine import Engine
from fal_jupyter.gateway.engine.listings import app_record, runner_records
from fal_jupyter.gateway.engine.recorder import FleetRecorder
from fal_jupyter.gateway.feed.feed import Feed
from fal_jupyter.gateway.http.cors import CorsPolicy
from fal_jupyter.gateway.lifetime import Lifetime
from fal_jupyter.gateway.listeners.listeners import Listeners, Routes
from fal_jupyter.gateway.queue.queue import Queue
from fal_jupyter.gateway.queue.webhooks import Webhooks
from fal_jupyter.gateway.requests.buffered_calls import BufferedCalls
from fal_jupyter.gateway.requests.data_plane import DataPlane
from fal_jupyter.gateway.runners.frame_dump import FrameDump
from fal_jupyter.gateway.runners.launcher import Launcher
from fal_jupyter.gateway.runners.load_messages import GatewayPorts, LoadMessages, calls_here
from fal_jupyter.gateway.state_recovery import StateRecovery
from fal_jupyter.gateway.storage.files import Files
from fal_jupyter.gateway.storage.revision_history import RevisionHistory
from fal_jupyter.gateway.storage.store import Store
from fal_jupyter.installed import version
from fal_jupyter.processes import start_time
from fal_jupyter.protocol.api import PROTOCOL, AppRecord, Hello, RunnerRecord, TlsOpened
from fal_jupyter.protocol.feed import GatewayState
from fal_jupyter.secret_store import SecretStore
from fal_jupyter.settings import Settings

log = logging.getLogger("fal_jupyter.gateway")
NO_LEASE = "any"  # lease of keys that end with the last owner


class Gateway:
    """The services of one gateway (:class:`fal_jupyter.gateway.api.services.GatewayServices`), from opening to drained.

    Args:
        environment: its variables.
        idle_exit: seconds without an owner after which it ends; 0: immediately.
        files: soft limit of open files of a runner.
        lock: descriptor of the life lock.
    """

    def __init__(
        self, settings: Settings, environment: Mapping[str, str], idle_exit: float, files: int, lock: int
    ) -> None:
        self.settings, self._started = settings, start_time(os.getpid())
        self._store, secret_store, changes = Store(settings.store), SecretStore(settings.state), Changes()
        self.history = RevisionHistory(self._store)
        self.keys = ApiKeys(self._store, secret_store)
        self.tokens = AccessTokens(lives=self.keys.lives)
        self.files = Files(settings, lives=self.keys.lives)
        self.leases = Leases(self._lease_ended)
        self._lifetime = Lifetime(self.leases, lambda: bool(self.engine.requests.live), self._begin_ending, idle_exit)
        self.stopping = self._lifetime.stopping
        dump, recorder = _recorders(settings.record)
        self.engine = Engine(
            settings,
            LoadMessages(settings, secret_store, self.keys.of_apps, self._runner_ports),
            lambda events: Launcher(events, environment, files, dump),
            changes,
            self._lifetime.reconsider,
            recorder,
        )
        self.deployments, requests = self.engine.deployments, self.engine.requests
        self.calls = BufferedCalls(requests)
        self.queue = Queue(requests, settings)
        self.webhooks = Webhooks(
            settings.webhook_key, settings.owner, allow_private=settings.allow_private, most_bytes=settings.queue_bytes
        )
        self.feed = Feed(self.engine, changes, settings, self.leases, self._identity)
        routes = Routes(
            tcp=DataPlane(requests, self.keys, self.tokens, settings, trusted=False),
            unix=DataPlane(requests, self.keys, self.tokens, settings, trusted=True),
            public=public_api.application(self, trusted=False),
            trusted=public_api.application(self, trusted=True),
            control=admin_api.application(self),
        )
        self._listeners = Listeners(settings, routes, self.stopping)
        self._recovery = StateRecovery(
            settings,
            lock,
            store=self._store,
            listeners=self._listeners,
            deployments=self.deployments,
            leases=self.leases,
            lifetime=self._lifetime,
        )

    # --- from opening to drained --------------------------------------------------------------------------------
    async def open(self, unix: socket.socket) -> None:
        """Begin to serve on the bound Unix socket."""
        await self.keys.forget_former()
        self.keys.read_persistent()
        await self._listeners.listen(unix)
        self._recovery.watch()
        self.files.start()
        self._lifetime.reconsider()

    def stop(self) -> None:
        """Begin to drain. From now on no lease is granted and no request is accepted; a second call does nothing."""
        self._lifetime.stop()

    def _begin_ending(self) -> None:
        """Remove the socket first, so that a refused client does not find it again.

        The client then starts the next gateway, which waits for the life lock, and so for the end of this one. Owners are notified
        by their leases.
        """
        self.engine.requests.begin_ending()
        self._recovery.close()
        self.leases.announce_end()

    async def close(self) -> None:
        """Drain and end everything, in order. The port stays open until all is drained: runners upload there, and callers get a 503."""
        self._listeners.close_unix()
        self.feed.close()
        await self.engine.close()
        self._listeners.close_ports()
        self.webhooks.close()
        self.files.close()
        for lease in list(self.leases.living.values()):
            self.leases.end(lease)
        self._store.close()

    def _lease_ended(self, lease: OwnerLease) -> None:
        log.info("%s %s (process %s) ended", lease.kind, lease.name, lease.pid)
        self.keys.revoke(lease.id)
        self.deployments.lease_ended(lease.id)
        if not self.leases.living:
            self.keys.revoke(NO_LEASE)
            if not self.stopping.is_set():  # otherwise the ports are closed after draining
                self._listeners.close_ports()
        self._lifetime.reconsider()

    @property
    def is_ending(self) -> bool:
        """True while it drains, and while only requests of stopped apps keep it from draining."""
        return self._lifetime.is_ending

    def stop_when_unused(self) -> None:
        """Do not wait for another owner once the last one has ended."""
        self._lifetime.stop_when_unused()

    # --- ports --------------------------------------------------------------------------------------------------
    @property
    def base(self) -> str:
        """``http://127.0.0.1:PORT``, or ``""`` while the port is closed."""
        return self._listeners.base

    @property
    def ports(self) -> frozenset[int]:
        """The loopback ports that callers may name."""
        return self._listeners.ports

    def _runner_ports(self) -> GatewayPorts:
        return self._listeners.runner_ports()

    async def open_port(self, requested: int) -> int:
        """Open the loopback port if it is closed; returns it.

        Raises:
            PortTaken: *requested* is in use, or another port is already open.
        """
        return await self._listeners.open_port(requested)

    async def open_for_runners(self, env: Mapping[str, str]) -> None:
        """Open the TLS port if an app with these variables calls others through it; the app also runs without one."""
        if self._listeners.port and calls_here(env):
            try:
                await self.open_tls()
            except OSError as error:
                log.warning("runners cannot call apps by fal_client: the TLS port cannot be opened: %s", error)

    async def open_tls(self) -> TlsOpened:
        """Open the TLS port beside the plain one, which is open; returns its URL and the certificates to trust.

        Raises:
            OSError: its certificates cannot be written, or no port is free.
        """
        return await self._listeners.open_tls()

    def open_to_pages(self) -> None:
        """An app accepts pages of other origins: check the origin of requests to the port from now on."""
        self._listeners.check_origins(CorsPolicy(self.deployments.published, self.settings.owner))

    async def make_client_key(self) -> str:
        """Create a key that is valid until the last owner has ended; the gateway stores only its hash."""
        key = make_key()
        await self.keys.add(*id_and_hash(key), NO_LEASE, "fal-jupyter env")
        return key

    # --- listings -----------------------------------------------------------------------------------------------
    def hello(self) -> Hello:
        """The identity of this gateway."""
        return Hello(
            protocol=PROTOCOL,
            version=version(),
            pid=os.getpid(),
            start_time=self._started,
            socket=str(self.settings.socket),
            port=self._listeners.port,
            state=str(self.settings.state),
            owner=self.settings.owner,
        )

    def _identity(self) -> GatewayState:
        owner = self.settings.owner
        return GatewayState(pid=os.getpid(), started=self._started, version=version(), owner=owner, base=self.base)

    def app_records(self) -> list[AppRecord]:
        """All apps, with their owners."""
        owner, base = self.settings.owner, self.base
        records = [
            app_record(self.engine, app, owner, base, self.leases.holder_of(app.lease))
            for app in self.deployments.published.values()
        ]
        return [record for record in records if record is not None]

    def runner_records(self) -> list[RunnerRecord]:
        """All runners, including those that are ending."""
        return runner_records(self.engine, self.settings.owner)


def _recorders(directory: Path | None) -> tuple[FrameDump | None, FleetRecorder | None]:
    """Create the recorders of frames and fleet events; none if recording is off, or the directory cannot be written."""
    if directory is None:
        return None, None
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        return FrameDump(directory), FleetRecorder(directory, version())
    except OSError as error:
        log.warning("nothing is recorded: %s", error)
        return None, None
