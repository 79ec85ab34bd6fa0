"""The client of the gateway, one per process: holds the lease, publishes apps, calls them, and reconnects after a gateway crash."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from urllib.parse import quote

from fal_jupyter import forks, process_logging
from fal_jupyter import settings as settings_module
from fal_jupyter.client.app_files import Folders
from fal_jupyter.client.calls.request_parts import RequestParts
from fal_jupyter.client.connection import http
from fal_jupyter.client.connection import lease as leases
from fal_jupyter.client.connection.answer import Answer, AnswerReader, OnOutput
from fal_jupyter.client.connection.connector import GatewayConnector, Owner
from fal_jupyter.client.connection.control_client import ControlClient
from fal_jupyter.client.connection.control_connection import ErrorResponse
from fal_jupyter.client.connection.flows import run, run_async
from fal_jupyter.client.connection.framed_call import framed_call
from fal_jupyter.client.connection.ongoing_calls import Calls
from fal_jupyter.client.publication import Publications
from fal_jupyter.domain.errors import FalJupyterError, GatewayError, GatewayStopped
from fal_jupyter.domain.text.json_forms import whole_text
from fal_jupyter.protocol.api import (
    A_LEASE,
    H_CELL,
    H_OWNER,
    RUN,
    Event,
    OwnerName,
    Published,
    PublishHead,
    ScalingRecord,
)
from fal_jupyter.secret_store import SecretStore
from fal_jupyter.settings import Settings

_CALL_HEADERS = ((H_OWNER, "frames"),)


class Client:
    """The gateway, as one process sees it.

    Args:
        settings: of the state directory; read from the environment if absent.
        kind: ``kernel``, ``serve`` or ``script``.
        name: the owner's name in messages.
        port: the requested loopback port, 0 for any.
        idle_exit: seconds that a gateway started here waits for a new owner after the last one has ended.

    Attributes:
        connections: the lease, and connections to the gateway that grants it.
        control: requests to the control plane.
        publications: the apps of this process.
        cell: number and id of the running notebook cell.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        kind: str = "script",
        name: str | None = None,
        port: int = 0,
        idle_exit: float = 600.0,
    ) -> None:
        self.settings = settings or settings_module.read()
        process_logging.log_to_stderr(self.settings)
        self.kind = kind
        self.secret_store = SecretStore(self.settings.state)
        self.app_files = Folders(self.settings.state / "app_files")
        self.cell = ""
        self._environments: dict[str, list[int]] = {}
        owner = Owner(kind, whole_text(name or kind), port, idle_exit)
        self.publications = Publications()
        self.connections = GatewayConnector(self.settings, owner, self.publications)
        self.control = ControlClient(self.connections, self.publications)
        forks.changes_in_child(self)

    def forked(self) -> None:
        """In a forked child: use the parent's gateway and key, without keeping the parent's apps alive or publishing them again."""
        self.connections.forked(self.publications.aliases)
        self.publications.forked()
        for alias in list(self._environments):
            self._release_environments(alias)

    def hold_environment(self, alias: str, users: int) -> None:
        """Keep an isolated environment from being removed while the app may run in it; *users* is a descriptor that does so."""
        self._environments.setdefault(alias, []).append(users)

    def _release_environments(self, alias: str) -> None:
        for users in self._environments.pop(alias, []):
            os.close(users)

    # --- the lease ----------------------------------------------------------------------------------------------
    @property
    def lease(self) -> leases.Lease | None:
        """The lease of this process, None until it publishes something."""
        return self.connections.lease

    @property
    def key(self) -> str:
        """The key that lives as long as the lease."""
        return self.connections.key

    @property
    def base(self) -> str:
        """``http://127.0.0.1:PORT``."""
        return self.ensure().base

    def ensure(self) -> leases.Attachment:
        """Hold a lease of a running gateway; if the gateway has ended, start another one and publish again.

        Raises:
            GatewayError: no gateway is available.
        """
        return self.connections.ensure()

    async def aensure(self) -> None:
        """:meth:`ensure` in a thread, unless it returns at once."""
        if not self.connections.is_ready:
            await asyncio.to_thread(self.ensure)

    def rename(self, name: str) -> None:
        """Name this process otherwise in messages: its notebook was renamed. Without a gateway, the next lease has the name."""
        name = whole_text(name)
        lease = self.connections.name_owner(name)
        if lease:
            body = json.dumps(OwnerName(name=name)).encode()
            with suppress(OSError, GatewayError):  # it has ended; the next one learns the name with the lease
                self.control.ask_bounded("PATCH", A_LEASE.format(id=lease), OwnerName, body)

    def leave(self) -> bool:
        """End the lease; returns True if the gateway ends with it. :meth:`close` has to follow."""
        lease = self.lease
        if lease is None:
            return False
        try:
            ended = self.control.ask_bounded("DELETE", A_LEASE.format(id=lease.granted["lease"]), dict[str, object])
        except (OSError, GatewayError):
            return not lease.alive
        return not isinstance(ended, ErrorResponse) and bool(ended.get("ending"))

    def close(self) -> None:
        """End the lease: the apps of this process stop. Those of a forked child's parent do not."""
        with self.connections.lock:
            self.publications.clear()
            self.connections.close()
        self.app_files.close()
        for alias in list(self._environments):
            self._release_environments(alias)

    # --- apps ---------------------------------------------------------------------------------------------------
    def publish(self, alias: str, head: PublishHead, payload: bytes) -> Published:
        """Publish an app.

        Raises:
            AppTaken: another running owner has it.
        """
        return self.publications.publish(self.connections, alias, head, payload)

    def events(self, alias: str, published: Published) -> Iterator[Event]:
        """Follow the start of a publication, from its beginning, until it is ready, has failed or was removed.

        Raises:
            GatewayError: no gateway stays up long enough.
            NotServed: the revision no longer exists.
        """
        return self.publications.events(self.connections, alias, published)

    def stop(self, alias: str, *, kill: bool = False, wait: bool = False, own: bool = False) -> None:
        """Stop an app; with *wait*, return when its last runner has ended.

        Args:
            own: only if this process has it.

        Raises:
            AppTaken: another process has it, with *own*.
            NotServed: there is no gateway, or no such app.
        """
        lease = self._lease_of(alias) if own else ""
        self.publications.discard(alias)
        self._release_environments(alias)
        self.control.stop_app(alias, kill=kill, wait=wait, lease=lease)

    def scale(self, alias: str, changes: Mapping[str, float] | None) -> ScalingRecord:
        """Change the scaling of an app of this process; None takes every change back.

        Raises:
            AppRuleBroken: an option does not exist, or the values do not go together.
            AppTaken: another process has it. NotServed: there is no such app.
        """
        if alias in self.publications:
            self.ensure()  # first: it may publish the app again, under another lease
        return self.control.scale(alias, changes, lease=self._lease_of(alias))

    def _lease_of(self, alias: str) -> str:
        """The id of the lease under which this process published an app; ``""`` for an app of the parent of a forked child."""
        lease = self.lease
        return lease.granted["lease"] if lease is not None and self.publications.is_own(alias) else ""

    def stop_all(self) -> None:
        """Stop the apps of this process in order, each within its grace period; one that was already stopped is not an error.

        Raises:
            GatewayStopped: the gateway's process is stopped.
        """
        for alias in self.publications.aliases:
            try:
                self.stop(alias, wait=True, own=True)
            except GatewayStopped:
                raise
            except (OSError, FalJupyterError):
                pass  # the gateway has ended, or another process stopped the app or took it over

    # --- calls --------------------------------------------------------------------------------------------------
    def request_for(self, app: str, parts: RequestParts) -> http.Request:
        """Return the request of a call of *app* (``owner/alias``), for :func:`~fal_jupyter.client.connection.framed_call.framed_call`."""
        query = f"?{parts.query}" if parts.query else ""
        target = f"{RUN}{app}{quote(parts.path, safe='/')}{query}"
        cell = ((H_CELL, self.cell),) if self.cell else ()
        content_type = ("content-type", parts.content_type)
        return http.request("POST", target, parts.body, (*_CALL_HEADERS, content_type, *cell, *parts.headers))

    def call(
        self, app: str, parts: RequestParts, *, on_output: OnOutput | None = None, calls: Calls | None = None
    ) -> Answer:
        """Call an endpoint and wait; the calling thread reads its own connection and passes output on as it arrives.

        Args:
            calls: a group of calls that another thread may cancel together.

        Raises:
            GatewayError: the gateway ended during the call, or none is available.
            KeyboardInterrupt: passed on immediately; the request is dropped or cancelled.
        """
        request = self.request_for(app, parts)
        return run(framed_call(self.connections, request, _readers(app, on_output), calls=calls)).finish()

    async def acall(self, app: str, parts: RequestParts, *, on_output: OnOutput | None = None) -> Answer:
        """The same on asyncio; being cancelled closes the connection."""
        request = self.request_for(app, parts)
        return (await run_async(framed_call(self.connections, request, _readers(app, on_output)))).finish()


def _readers(app: str, on_output: OnOutput | None) -> Callable[[], AnswerReader]:
    alias = app.partition("/")[2]
    return lambda: AnswerReader(on_output, f"%fal logs {alias} has the last of them")
