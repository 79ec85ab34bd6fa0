"""Waiting for a gateway: as long as a call lasts, but not for a process that is stopped."""

from __future__ import annotations

import asyncio
import contextlib
import select
import socket
import time

from fal_jupyter.client.connection.http import Request
from fal_jupyter.domain.errors import GatewayStopped, GatewayUnreachable
from fal_jupyter.processes import is_stopped

LOOK = 5.0  # seconds without an answer after which the gateway's process is looked at
MOST_GATEWAYS = 5  # in which the same question is asked, where they end before it has begun
MOST_UNREAD = 16 * 1024
"""Bytes of a request that the kernel keeps in one piece, so that the gateway reads all of them or none.

unix(7) resets a connection whose other end is closed with unread data, or before it was accepted (a process that is killed listens
for a moment longer); one whose data was read just ends. A reset of a short request thus says that it was not read.
"""
STOPPED_LOOKS = 3  # it has to be stopped at so many looks in a row: a debugger may stop it for a moment


class Patience:
    """Patience with the gateway *pid*: call :meth:`look` after every ``LOOK`` seconds without data."""

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


def receive(sock: socket.socket, size: int, pid: int, *, deadline: float | None = None, unanswered: int = 0) -> bytes:
    """Wait for bytes of the gateway *pid*, at most until *deadline* (``time.monotonic()``).

    Args:
        unanswered: length of the request that was sent on the Unix socket *sock*, while nothing of its answer has come.

    Raises:
        NotSent: the gateway ended before it read the request.
        OSError: the connection broke.
        GatewayStopped: the gateway is stopped.
        TimeoutError: the deadline has passed.
    """
    poller, patience = select.poll(), Patience(pid)
    poller.register(sock, select.POLLIN)
    while True:
        left = LOOK if deadline is None else min(LOOK, max(0.0, deadline - time.monotonic()))
        if poller.poll(1000 * left):
            try:
                return sock.recv(size)
            except ConnectionResetError as error:
                if not 0 < unanswered <= MOST_UNREAD:
                    raise
                raise NotSent(*error.args) from None
        if deadline is not None and time.monotonic() >= deadline:
            raise TimeoutError
        patience.look()


def send(sock: socket.socket, data: Request, pid: int) -> None:
    """Send all of *data* to the gateway *pid*, however slowly it takes them; less where it has answered before.

    Raises:
        NotSent: the connection was closed before it took the first byte, so the request cannot have begun.
        OSError: it was closed later.
        GatewayStopped: the gateway is stopped.
    """
    begun = False
    for piece in (data,) if isinstance(data, bytes) else data:
        view, sent = memoryview(piece), 0
        while sent < len(view):
            try:
                sent += sock.send(view[sent:], socket.MSG_DONTWAIT)
                begun = True
            except BlockingIOError:
                poller, patience = select.poll(), Patience(pid)
                poller.register(sock, select.POLLOUT)
                while not poller.poll(1000 * LOOK):
                    patience.look()
            except (BrokenPipeError, ConnectionResetError) as error:
                if not begun:
                    raise NotSent(*error.args) from None
                if _has_answered(sock):
                    return
                raise


def _has_answered(sock: socket.socket) -> bool:
    """True where an answer waits to be read: the other side refused a request without reading all of it."""
    try:
        return bool(sock.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT))
    except OSError:
        return False


async def aopen(sock: socket.socket, data: Request, pid: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Send all of *data* on a new connection, which asyncio has then. A body that is read from files is sent by a thread.

    Raises:
        NotSent: the gateway ended before it read anything.
        OSError: it ended later.
    """
    if not isinstance(data, bytes):
        try:
            await asyncio.to_thread(send, sock, data, pid)
        except BaseException:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)  # wakes the thread where the caller was cancelled
            sock.close()
            raise
    reader, writer = await asyncio.open_unix_connection(sock=sock)
    if isinstance(data, bytes):
        try:
            await asend(writer, data)
        except BaseException:
            writer.close()
            raise
    return reader, writer


async def asend(writer: asyncio.StreamWriter, data: bytes) -> None:
    """Send all of *data* on a new connection.

    Raises:
        NotSent: the gateway ended before it read anything.
        OSError: it ended later.
    """
    try:
        writer.write(data)
        await writer.drain()
    except (BrokenPipeError, ConnectionResetError) as error:
        if len(data) > MOST_UNREAD:
            raise
        raise NotSent(*error.args) from None


async def areceive(reader: asyncio.StreamReader, size: int, pid: int, *, unanswered: int = 0) -> bytes:
    """The same as :func:`receive` on asyncio, without a deadline."""
    patience = Patience(pid)
    while True:
        try:
            async with asyncio.timeout(LOOK):
                return await reader.read(size)
        except TimeoutError:
            patience.look()
        except (BrokenPipeError, ConnectionResetError) as error:
            if not 0 < unanswered <= MOST_UNREAD:
                raise
            raise NotSent(*error.args) from None


class NotSent(ConnectionError):
    """Nothing of a request was read by the gateway, so it has not begun."""
