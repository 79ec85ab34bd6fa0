"""The opening handshake of a session, with the rules of every other question to the gateway.

A handshake that an ending gateway refuses, or that a killed one has not read, goes to the next gateway. So does one that was not
answered, where no code of the endpoint runs before the first input. A stopped gateway is waited for as long as for a call.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
from functools import partial
from typing import TYPE_CHECKING, Any

from websockets.asyncio.client import ClientConnection as AsyncSession
from websockets.asyncio.client import connect as connect_async
from websockets.exceptions import InvalidStatus, WebSocketException
from websockets.sync.client import ClientConnection as Session
from websockets.sync.client import connect

from fal_jupyter import forks
from fal_jupyter.client.connection.connect import peer_pid
from fal_jupyter.client.connection.ongoing_calls import lost_session
from fal_jupyter.client.connection.waiting import LOOK, MOST_GATEWAYS, Patience
from fal_jupyter.domain.errors import GatewayStopped
from fal_jupyter.protocol.api import ENDING, H_ERROR_TYPE

if TYPE_CHECKING:
    from fal_jupyter.client.connection.interface import GatewayConnections

# The library's: all that goes wrong is raised; what it says of its own threads besides ("unexpected internal error" of 17.4, when
# both sides close at once) is not for the cell.
_QUIET = logging.getLogger(__name__)
_QUIET.setLevel(logging.CRITICAL)
_BROKEN = (WebSocketException, OSError, EOFError)
_OPTIONS: dict[str, Any] = {
    "max_size": None,
    "compression": None,
    "open_timeout": None,  # an app may have to start; a stopped gateway is found by looking at it
    "proxy": None,
    "logger": _QUIET,
}


def open_session(client: GatewayConnections, address: str, *, repeatable: bool) -> Session:
    """Open a websocket to an endpoint.

    Args:
        repeatable: a handshake that was not answered has begun nothing that must not be repeated.

    Raises:
        InvalidStatus: it was refused.
        RequestError: the gateway ended meanwhile.
        GatewayError: none can be had, or it is stopped.
    """
    for gateways_left in reversed(range(MOST_GATEWAYS)):
        sock = _Socket.of(client.dial())
        gateway = peer_pid(sock)
        opened: Session | None = None
        watch = _Watch(sock, gateway)
        try:
            opened = connect(address, sock=sock, **_OPTIONS)
            opened.__enter__()  # it is itself, and warns (17.1) where this is not called
        except _BROKEN as error:
            again = sock.unread or repeatable
            if not _goes_on(client, gateway, error, watch.stopped, again=again, gateways_left=gateways_left):
                raise
        else:
            return opened
        finally:
            watch.end()
            if opened is None:
                sock.close()
    raise AssertionError("unreachable")


async def open_session_async(client: GatewayConnections, address: str, *, repeatable: bool) -> AsyncSession:
    """The same on asyncio."""
    for gateways_left in reversed(range(MOST_GATEWAYS)):
        sock = await asyncio.to_thread(client.dial)
        gateway = peer_pid(sock)
        patience, made = Patience(gateway), list[_AsyncSession]()
        opening = asyncio.ensure_future(_open(address, sock, made))
        try:
            while not (await asyncio.wait({opening}, timeout=LOOK))[0]:
                patience.look()
            return opening.result()
        except _BROKEN as error:
            again = repeatable or (bool(made) and made[0].unread)
            goes_on = partial(_goes_on, client, gateway, error, None, again=again, gateways_left=gateways_left)
            if not await asyncio.to_thread(goes_on):
                raise
        finally:
            if not opening.done():
                opening.cancel()
                await asyncio.wait({opening})
            if opening.cancelled() or opening.exception() is not None:
                sock.close()
    raise AssertionError("unreachable")


async def _open(address: str, sock: socket.socket, made: list[_AsyncSession]) -> AsyncSession:
    def make(*args: Any, **kwargs: Any) -> AsyncSession:
        made.append(_AsyncSession(*args, **kwargs))
        return made[-1]

    options: dict[str, Any] = {**_OPTIONS, "create_connection": make}  # any callable will do
    return await connect_async(address, sock=sock, **options)


def _goes_on(
    client: GatewayConnections,
    gateway: int,
    error: Exception,
    stopped: GatewayStopped | None,
    *,
    again: bool,
    gateways_left: int,
) -> bool:
    """Decide after a failed handshake: True where the next gateway is asked, False where the endpoint refused it.

    Raises:
        GatewayStopped: the gateway is stopped.
        RequestError: the gateway ended, and the session may have begun.
    """
    if stopped is not None:
        raise stopped from None
    if isinstance(error, InvalidStatus):
        headers, status = error.response.headers, error.response.status_code
        if not gateways_left or status != 503 or headers.get(H_ERROR_TYPE) != ENDING:
            return False
        client.forget(gateway)
        return True
    if not again or not gateways_left:
        raise lost_session() from None
    client.await_end(gateway)
    return True


class _Socket(socket.socket):
    """A connection that notes whether the gateway ended before it read anything (:data:`fal_jupyter.client.connection.waiting.MOST_UNREAD`)."""

    unread = False

    @classmethod
    def of(cls, sock: socket.socket) -> _Socket:
        """Take a socket over."""
        taken = cls(fileno=sock.detach())
        forks.closed_in_child(taken)
        return taken

    def recv(self, *args: Any) -> bytes:
        """As ever."""
        try:
            return super().recv(*args)
        except ConnectionResetError:
            self.unread = True
            raise

    def sendall(self, *args: Any) -> None:
        """As ever."""
        try:
            super().sendall(*args)
        except (BrokenPipeError, ConnectionResetError):
            self.unread = True
            raise


class _AsyncSession(AsyncSession):
    """The same on asyncio, where the event loop reads."""

    unread = False

    def connection_lost(self, exc: Exception | None) -> None:
        """As ever."""
        self.unread = isinstance(exc, BrokenPipeError | ConnectionResetError)
        super().connection_lost(exc)


class _Watch:
    """Looks at a gateway while a handshake waits in another thread, and hangs up where it is stopped."""

    def __init__(self, sock: socket.socket, gateway: int) -> None:
        self.stopped: GatewayStopped | None = None
        self._sock, self._patience, self._over = sock, Patience(gateway), threading.Event()
        threading.Thread(target=self._look, name="fal-jupyter-handshake", daemon=True).start()

    def _look(self) -> None:
        while not self._over.wait(LOOK):
            try:
                self._patience.look()
            except GatewayStopped as error:
                self.stopped = error
                self._sock.shutdown(socket.SHUT_RDWR)
                return

    def end(self) -> None:
        """The handshake is over."""
        self._over.set()
