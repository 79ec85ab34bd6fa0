"""Connects this process to its gateway: holds the lease, opens connections, and starts the next gateway after a crash."""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol

from fal_jupyter.client.connection import connect, http
from fal_jupyter.client.connection import lease as leases
from fal_jupyter.client.connection.flows import Flow, in_thread, run
from fal_jupyter.client.connection.pool import ConnectionPool
from fal_jupyter.client.connection.response import Response, open_response
from fal_jupyter.client.connection.waiting import MOST_GATEWAYS, NotSent
from fal_jupyter.credentials import make_key
from fal_jupyter.domain.errors import GatewayUnreachable
from fal_jupyter.settings import Settings

log = logging.getLogger("fal_jupyter.client")
JOIN_PATIENCE = 60.0  # seconds until some gateway must have granted a lease
SOCKET_PATIENCE = 2.0  # seconds for a running gateway to recreate its removed socket


@dataclass(frozen=True, slots=True)
class Owner:
    """The owner that requests a lease.

    Attributes:
        kind: ``kernel``, ``serve`` or ``script``.
        name: the owner's name in messages.
        port: the requested loopback port, 0 for any.
        idle_exit: seconds that a gateway started here waits for a new owner after the last one has ended.
    """

    kind: str
    name: str
    port: int
    idle_exit: float


class Restorable(Protocol):
    """What a process has published."""

    def restore(self, connector: GatewayConnector, lease: str) -> None:
        """Publish everything again under a new lease, given by its id.

        Raises:
            GatewayEnding: the gateway ended meanwhile.
        """


class GatewayConnector:
    """Holds a lease of the gateway and connects to it. If it has ended, another one is started.

    A forked child uses its parent's gateway without a lease, until it publishes an app of its own.

    Attributes:
        key: that of the lease. lock: guards all state that depends on the current gateway.
    """

    def __init__(self, settings: Settings, owner: Owner, publications: Restorable) -> None:
        self._settings, self._owner, self._publications = settings, owner, publications
        self.key = make_key()
        self.lock = threading.RLock()
        self.lease: leases.Lease | None = None
        self._parents: leases.Borrowed | None = None
        self._parents_apps: Sequence[str] = ()
        self._pool = ConnectionPool(settings.idle_timeout)

    def forked(self, apps: Sequence[str]) -> None:
        """In a forked child: use the parent's gateway and key. *apps* are those that the parent had published."""
        self.lock = threading.RLock()
        self._pool = ConnectionPool(self._settings.idle_timeout)
        self._parents_apps = apps or self._parents_apps
        if self.lease is not None:
            self._parents, self.lease = self.lease.borrowed(), None
        elif self._parents is None:
            self.key = make_key()

    # --- the gateway and the lease ------------------------------------------------------------------------------
    @property
    def attached(self) -> leases.Attachment | None:
        """The gateway that was used last."""
        return self._parents or self.lease

    @property
    def app_owner(self) -> str:
        """First half of the apps' ids: the owner of who started the gateway, or the own one before it is known."""
        attached = self.attached
        return self._settings.owner if attached is None else attached.owner

    @property
    def alive(self) -> bool:
        """True while that gateway can be used; does not wait."""
        attached = self.attached
        return attached is not None and attached.alive

    @property
    def is_ready(self) -> bool:
        """True if :meth:`ensure` returns at once: nothing needs to be started, and no other thread is at it."""
        if not self.lock.acquire(blocking=False):
            return False
        try:
            return self.alive
        finally:
            self.lock.release()

    def ensure(self) -> leases.Attachment:
        """Hold a lease of a running gateway; if the gateway has ended, start another one and publish again.

        Raises:
            GatewayError: no gateway is available.
        """
        with self.lock:
            if self._parents is None:
                return self.own_lease()
            if not self._parents.alive:
                self._parents.close()
                self._pool.clear()
                self._parents = leases.borrow(self._settings, self._parents_apps)
            return self._parents

    def own_lease(self) -> leases.Lease:
        """Hold a lease of this very process, also in a forked child.

        Raises:
            GatewayError: no gateway is available.
        """
        with self.lock:
            if self._parents is not None:
                self._parents.close()
                self._parents, self.key = None, make_key()
            for gateways_left in reversed(range(MOST_GATEWAYS)):
                if self.lease is not None and self.lease.alive:
                    return self.lease
                self.drop_lease()
                self._pool.clear()
                self.lease = self._new_lease()
                log.debug("lease %s of the gateway (process %s)", self.lease.granted["lease"], self.lease.gateway)
                try:
                    self._publications.restore(self, self.lease.granted["lease"])
                except leases.GatewayEnding:
                    if not gateways_left:
                        raise
                    continue
                return self.lease
            raise AssertionError("unreachable")

    def _new_lease(self) -> leases.Lease:
        """Join the gateway, or start one. A gateway that is shutting down refuses, and the next one waits for its end."""
        deadline = time.monotonic() + JOIN_PATIENCE
        owner = self._owner
        while True:
            try:
                connect.ensure_gateway(self._settings, idle_exit=owner.idle_exit)
                sock = connect.dial(self._settings)
                return leases.take(sock, kind=owner.kind, name=owner.name, port=owner.port, key=self.key)
            except (leases.GatewayEnding, ConnectionError, FileNotFoundError) as error:
                if time.monotonic() > deadline:
                    raise GatewayUnreachable(
                        f"no gateway stays alive here: {error}",
                        hint=f"why they end is in {self._settings.logs / 'gateway.log'}",
                    ) from None
            except OSError as error:
                raise GatewayUnreachable(f"the gateway cannot be reached: {error.strerror or error}") from None

    def name_owner(self, name: str) -> str:
        """Name this process in messages from now on; returns the id of its lease, ``""`` before it has one."""
        with self.lock:
            self._owner = replace(self._owner, name=name)
            return self.lease.granted["lease"] if self.lease is not None else ""

    def drop_lease(self) -> None:
        """End the lease, if there is one."""
        if self.lease is not None:
            self.lease.close()
            self.lease = None

    def forget(self, gateway: int) -> None:
        """Record that a gateway is shutting down: the next request goes to another one."""
        with self.lock:
            self._pool.clear()
            if self.lease is not None and self.lease.gateway == gateway:
                self.drop_lease()
            elif self._parents is not None and self._parents.gateway == gateway:
                self._parents.close()

    def await_end(self, gateway: int) -> None:
        """A new connection to *gateway* was closed unread: it is shutting down. Wait a moment, as it would close the next one too."""
        attached = self.attached
        if attached is not None and attached.gateway == gateway:
            attached.wait_for_gateway(SOCKET_PATIENCE)

    def close(self) -> None:
        """End the lease, and close the connections."""
        self._pool.clear()
        self.drop_lease()
        if self._parents is not None:
            self._parents.close()

    # --- connections --------------------------------------------------------------------------------------------
    def dial(self) -> socket.socket:
        """Connect to the gateway that holds this process's lease; nothing is sent yet.

        If the gateway has ended, another one is started (:meth:`ensure`). If it runs but its socket is missing (the state
        directory was removed), it soon creates a new one.

        Raises:
            GatewayError: no gateway is available.
        """
        while True:
            attached = self.ensure()
            try:
                return self._dial_of(attached)
            except OSError as error:
                if not attached.ends_within(0):
                    raise GatewayUnreachable(f"the gateway cannot be reached: {error.strerror or error}") from None

    def dial_running(self) -> socket.socket:
        """As :meth:`dial`, but without starting a gateway if there is none.

        Raises:
            OSError: none runs.
        """
        attached = self.attached
        return self._dial_of(attached) if attached is not None and attached.alive else connect.dial(self._settings)

    def _dial_of(self, attached: leases.Attachment) -> socket.socket:
        """Connect to this gateway and no other.

        Raises:
            OSError: it has ended, or its socket is missing.
            GatewayUnreachable: another one has taken its place.
        """
        deadline = time.monotonic() + SOCKET_PATIENCE
        while True:
            try:
                sock = connect.dial(self._settings)
            except OSError:
                if attached.ends_within(0.05) or time.monotonic() > deadline:
                    raise
                continue
            if connect.peer_pid(sock) == attached.gateway:
                return sock
            sock.close()  # another gateway has replaced ours, which has ended or is about to
            if attached.ends_within(SOCKET_PATIENCE):
                raise ConnectionRefusedError(f"gateway {attached.gateway} has ended")
            raise GatewayUnreachable(
                "another gateway has taken the place of the one that runs this process's apps",
                hint="call again in a moment: the former gateway is ending, and its apps are published again",
            )

    def idle(self) -> socket.socket | None:
        """Return an open connection of an earlier call, if there is one; does not wait. Each is checked, and none is kept of a gateway that ended."""
        return self._pool.take()

    def release(self, sock: socket.socket, *, reusable: bool) -> None:
        """Keep the connection of a completed call, or close it."""
        if reusable:
            self._pool.keep(sock)
        else:
            sock.close()

    def open(
        self, method: str, target: str, headers: Iterable[tuple[str, str]] = (), body: http.Body = b""
    ) -> Response:
        """Send a request to the gateway that holds this process's lease; returns the response as soon as its head has arrived.

        If it has ended, another one is started and this process's apps are published there; a request that may have begun is never repeated.

        Raises:
            OSError, GatewayError: it ended during the request, or none is available.
        """
        return run(self.opening(method, target, headers, body))

    def opening(
        self, method: str, target: str, headers: Iterable[tuple[str, str]] = (), body: http.Body = b""
    ) -> Flow[Response]:
        """:meth:`open` as a flow."""
        request = http.request(method, target, body, headers)
        for gateways_left in reversed(range(MOST_GATEWAYS)):
            sock = yield from in_thread(self.dial, socket.socket.close)
            gateway = connect.peer_pid(sock)
            try:
                response = yield from open_response(sock, request)
            except NotSent:
                if not gateways_left:
                    raise
                yield from in_thread(partial(self.await_end, gateway))
                continue
            if not response.refused or not gateways_left:
                return response
            response.drop()
            self.forget(gateway)
        raise AssertionError("unreachable")
