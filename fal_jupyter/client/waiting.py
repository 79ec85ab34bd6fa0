"""Waiting for a gateway: as long as a call lasts, but not for a process that is stopped."""

from __future__ import annotations

import asyncio
import select
import socket
import time

from fal_jupyter.domain.errors import GatewayStopped, GatewayUnreachable
from fal_jupyter.processes import is_stopped

LOOK = 5.0  # seconds without an answer after which the gateway's process is looked at
STOPPED_LOOKS = 3  # so many times in a row it has to be stopped: a debugger stops it for a moment


class Patience:
    """Who waits for the gateway *pid* calls :meth:`look` every ``LOOK`` seconds in which nothing came."""

    def __init__(self, pid: int) -> None:
        self._pid, self._stopped = pid, 0

    def look(self) -> None:
        """Look at the process.

        Raises:
            GatewayStopped: it is stopped, and was at the last looks.
        """
        self._stopped = self._stopped + 1 if is_stopped(self._pid) else 0
        if self._stopped >= STOPPED_LOOKS:
            raise silent(self._pid, STOPPED_LOOKS * LOOK)


def silent(pid: int, seconds: float, who: str = "the gateway") -> GatewayUnreachable:
    """Give the error of a process that did not answer; *pid* is 0 where it is not known."""
    if is_stopped(pid):
        return GatewayStopped(
            f"{who} (process {pid}) is stopped and has not answered for {seconds:g} s",
            hint=f"continue it with: kill -CONT {pid}, or end it with: kill -KILL {pid}",
        )
    named = f"{who} (process {pid})" if pid else who
    return GatewayUnreachable(
        f"{named} has not answered for {seconds:g} s", hint=f"end it with: kill -KILL {pid}" if pid else ""
    )


def receive(sock: socket.socket, size: int, pid: int, *, deadline: float | None = None) -> bytes:
    """Wait for bytes of the gateway *pid*, at most until *deadline* (``time.monotonic()``).

    Raises:
        OSError: the connection broke.
        GatewayStopped: the gateway is stopped.
        TimeoutError: the deadline has passed.
    """
    poller, patience = select.poll(), Patience(pid)
    poller.register(sock, select.POLLIN)
    while True:
        left = LOOK if deadline is None else min(LOOK, max(0.0, deadline - time.monotonic()))
        if poller.poll(1000 * left):
            return sock.recv(size)
        if deadline is not None and time.monotonic() >= deadline:
            raise TimeoutError
        patience.look()


def send(sock: socket.socket, data: bytes, pid: int) -> None:
    """Send all of *data* to the gateway *pid*, however slowly it takes them.

    Raises:
        NotSent: the connection was closed before it took the first byte, so the request cannot have begun.
        OSError: it was closed later.
        GatewayStopped: the gateway is stopped.
    """
    view, sent = memoryview(data), 0
    while sent < len(data):
        try:
            sent += sock.send(view[sent:], socket.MSG_DONTWAIT)
        except BlockingIOError:
            poller, patience = select.poll(), Patience(pid)
            poller.register(sock, select.POLLOUT)
            while not poller.poll(1000 * LOOK):
                patience.look()
        except (BrokenPipeError, ConnectionResetError) as error:
            if sent:
                raise
            raise NotSent(*error.args) from None


async def areceive(reader: asyncio.StreamReader, size: int, pid: int) -> bytes:
    """The same as :func:`receive` on asyncio, without a deadline."""
    patience = Patience(pid)
    while True:
        try:
            async with asyncio.timeout(LOOK):
                return await reader.read(size)
        except TimeoutError:
            patience.look()


class NotSent(ConnectionError):
    """Nothing of a request was sent."""
