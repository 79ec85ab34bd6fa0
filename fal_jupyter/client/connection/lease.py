"""The lease: an open connection that proves its owner is running, and a key that is valid as long."""

from __future__ import annotations

import json
import os
import select
import socket
from collections.abc import Sequence

from fal_jupyter.client.connection import connect, http
from fal_jupyter.client.connection.control_connection import ErrorResponse, decoded
from fal_jupyter.client.connection.flows import run
from fal_jupyter.client.connection.response import read_whole
from fal_jupyter.client.connection.waiting import silent
from fal_jupyter.credentials import id_and_hash
from fal_jupyter.domain.errors import GatewayError, GatewayStopped, GatewayUnreachable, PortTaken, VersionSkew
from fal_jupyter.processes import ends_within
from fal_jupyter.protocol.api import (
    A_APPS,
    A_HELLO,
    A_LEASES,
    ENDING,
    PROTOCOL,
    AppRecord,
    Hello,
    LeaseAsked,
    LeaseGranted,
)
from fal_jupyter.settings import Settings

PATIENCE = 15.0


class NotAGateway(GatewayUnreachable):
    """Another process listens on the socket: a retry will not help."""

    def __init__(self) -> None:
        super().__init__(
            "the process on this socket is not a fal_jupyter gateway",
            hint="end that process, or set FAL_JUPYTER_STATE to a directory of your own",
        )


class GatewayEnding(GatewayUnreachable):
    """The gateway refused the lease, or ended meanwhile: another one can be started."""


class Attachment:
    """A gateway that this process uses.

    Attributes:
        gateway: its process, as this process sees it. base: ``http://127.0.0.1:PORT``.
        owner: first half of its apps' ids.
    """

    def __init__(self, gateway: int, base: str, owner: str, pidfd: int) -> None:
        self.gateway, self.base, self.owner, self._pidfd = gateway, base, owner, pidfd

    def wait_for_gateway(self, seconds: float) -> bool:
        """Wait until the gateway's process has ended; False if it still runs. Call it before :meth:`close`."""
        return self._pidfd < 0 or ends_within(self._pidfd, seconds)

    @property
    def alive(self) -> bool:
        """False once this process cannot use the gateway any more; does not wait."""
        return not self.ends_within(0)

    def ends_within(self, seconds: float) -> bool:
        """True once it can no longer be used; waits that many seconds."""
        return self.wait_for_gateway(seconds)

    def close(self) -> None:
        """Stop using it."""
        if self._pidfd >= 0:
            os.close(self._pidfd)
            self._pidfd = -1


class Lease(Attachment):
    """One open lease of this process: apps published under it are served until it ends."""

    def __init__(self, sock: socket.socket, granted: LeaseGranted) -> None:
        gateway = connect.peer_pid(sock)
        super().__init__(gateway, granted["base"], granted["owner"], _pidfd_of(gateway))
        self.socket, self.granted = sock, granted

    def ends_within(self, seconds: float) -> bool:
        """True once the gateway's end is closed; waits that many seconds."""
        if self.socket.fileno() < 0:
            return True
        poller = select.poll()
        poller.register(self.socket, select.POLLIN | select.POLLRDHUP)
        return bool(poller.poll(1000 * seconds))

    def close(self) -> None:
        """End the lease."""
        self.socket.close()
        super().close()

    def borrowed(self) -> Borrowed:
        """Return a reference to the gateway for a forked child, without anything that keeps its parent's apps alive."""
        self.socket.close()
        pidfd, self._pidfd = self._pidfd, -1
        return Borrowed(self.gateway, self.base, self.owner, pidfd)


class Borrowed(Attachment):
    """The gateway of the process that this one was forked from."""


def borrow(settings: Settings, apps: Sequence[str]) -> Borrowed:
    """Find the running gateway. None is started: only the parent has the *apps* that it would need.

    Raises:
        GatewayUnreachable: none runs, or the parent has not published its apps there yet.
    """
    message = "the gateway has ended, and this process was forked from the one that publishes the apps"
    try:
        with connect.dial(settings) as sock:
            gateway = connect.peer_pid(sock)
            requests = (http.request("GET", target) for target in (A_HELLO, A_APPS))
            hello, published = [run(read_whole(sock, request, PATIENCE))[1] for request in requests]
        if not {*apps} <= {app["alias"] for app in decoded(published, list[AppRecord])}:
            raise GatewayUnreachable(message)
        identity = decoded(hello, Hello)
    except GatewayStopped:
        raise
    except (OSError, ValueError, GatewayError):
        raise GatewayUnreachable(message, hint="call an app in that process: a new gateway is started there") from None
    return Borrowed(gateway, f"http://127.0.0.1:{identity['port']}", identity["owner"], _pidfd_of(gateway))


def _pidfd_of(pid: int) -> int:
    try:
        return os.pidfd_open(pid)
    except OSError:  # already removed
        return -1


def take(sock: socket.socket, *, kind: str, name: str, port: int, key: str) -> Lease:
    """Request a lease on a new connection.

    Raises:
        VersionSkew: the gateway is of another version.
        PortTaken: the port is in use.
        GatewayUnreachable: anything else went wrong.
    """
    key_id, key_hash = id_and_hash(key)
    lease_request = LeaseAsked(
        protocol=PROTOCOL,
        kind=kind,
        name=name,
        pid=os.getpid(),
        port=port,
        key_id=key_id,
        key_hash=key_hash.hex(),
    )
    try:
        return Lease(sock, _granted(sock, lease_request))
    except BaseException:
        sock.close()
        raise


def _granted(sock: socket.socket, lease_request: LeaseAsked) -> LeaseGranted:
    gateway = connect.peer_pid(sock)
    request = http.request("POST", A_LEASES, json.dumps(lease_request).encode())
    try:
        connection, body = run(read_whole(sock, request, PATIENCE, until=lambda body: b"\n" in body))
        if connection.status == 200:
            return decoded(body, LeaseGranted)
        error = decoded(body, ErrorResponse)
    except TimeoutError:
        raise silent(gateway, PATIENCE) from None
    except ConnectionError:
        raise GatewayEnding("the gateway ended while a lease was requested") from None
    except ValueError:
        raise NotAGateway from None
    detail = error.detail
    if error.error_type == ENDING:
        raise GatewayEnding(detail)
    if error.error_type == "port_taken":
        first, _, hint = detail.partition("\n")
        raise PortTaken(first, hint=hint)
    if error.error_type == "version_skew":
        raise VersionSkew(
            f"the gateway (process {gateway}) is of another version of fal_jupyter: {detail}",
            hint=f"end it and the apps that it serves with: kill {gateway}, or set FAL_JUPYTER_STATE to another directory",
        )
    raise GatewayUnreachable(f"the gateway refused the lease: {detail}", hint=error.hint)
