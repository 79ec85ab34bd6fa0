"""The opening handshake of a session, with the same rules as every other request to the gateway.

A handshake that a gateway refuses while it shuts down, or that a killed one has not read, is sent to the next gateway. So is an
unanswered one, if no code of the endpoint runs before the first input. A stopped gateway is waited for as long as for a call.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
from abc import ABC, abstractmethod
from functools import partial
from typing import Any

from websockets.asyncio.client import ClientConnection as AsyncSession
from websockets.asyncio.client import connect as connect_async
from websockets.exceptions import InvalidStatus, WebSocketException
from websockets.sync.client import connect

from fal_jupyter import forks
from fal_jupyter.client.connection.connect import peer_pid
from fal_jupyter.client.connection.flows import Flow, in_thread, on_loop
from fal_jupyter.client.connection.framed_call import CallConnections
from fal_jupyter.client.connection.ongoing_calls import lost_session
from fal_jupyter.client.connection.waiting import LOOK, MOST_GATEWAYS, Patience
from fal_jupyter.domain.errors import GatewayStopped
from fal_jupyter.protocol.api import ENDING, H_ERROR_TYPE

# The library raises all errors; its log messages about its own threads ("unexpected internal error" of 17.4, when both sides
# close at once) must not appear in the cell.
_QUIET = logging.getLogger(__name__)
_QUIET.setLevel(logging.CRITICAL)
_BROKEN = (WebSocketException, OSError, EOFError)
_OPTIONS: dict[str, Any] = {
    "max_size": None,
    "compression": None,
    "open_timeout": None,  # an app may have to start; a stopped gateway is detected by a watchdog
    "proxy": None,
    "logger": _QUIET,
}


def open_session(
    connections: CallConnections, address: str, handshake_of: type[Handshake], *, repeatable: bool
) -> Flow[Any]:
    """Open a websocket to an endpoint.

    Args:
        handshake_of: the class for threads, or that for asyncio.
        repeatable: an unanswered handshake may be repeated.

    Raises:
        InvalidStatus: it was refused.
        RequestError: the gateway ended meanwhile.
        GatewayError: none is available, or it is stopped.
    """
    for gateways_left in reversed(range(MOST_GATEWAYS)):
        sock = yield from in_thread(connections.dial, socket.socket.close)
        gateway, handshake = peer_pid(sock), handshake_of(sock, address)
        try:
            return (yield from on_loop(handshake.open))
        except InvalidStatus as error:
            headers, status = error.response.headers, error.response.status_code
            if not gateways_left or status != 503 or headers.get(H_ERROR_TYPE) != ENDING:
                raise
            connections.forget(gateway)
        except _BROKEN:
            if not gateways_left or not (repeatable or handshake.unread):
                raise lost_session() from None
            yield from in_thread(partial(connections.await_end, gateway))
    raise AssertionError("unreachable")


class Handshake(ABC):
    """One attempt to open a WebSocket on *sock*, which is closed on failure."""

    def __init__(self, sock: socket.socket, address: str) -> None:
        self._socket, self._address = sock, address

    @property
    @abstractmethod
    def unread(self) -> bool:
        """True if the gateway ended before it read any of it."""

    @abstractmethod
    def open(self) -> Any:
        """Return the open session, or an awaitable of it.

        Raises:
            GatewayStopped: the gateway is stopped.
        """


class ThreadHandshake(Handshake):
    """Waits in the calling thread, while another one watches the gateway."""

    def __init__(self, sock: socket.socket, address: str) -> None:
        super().__init__(_Socket.of(sock), address)

    @property
    def unread(self) -> bool:
        """As the socket recorded."""
        return isinstance(self._socket, _Socket) and self._socket.unread

    def open(self) -> Any:
        """Wait for the session."""
        watch = _Watch(self._socket, peer_pid(self._socket))
        try:
            try:
                session = connect(self._address, sock=self._socket, **_OPTIONS)
                session.__enter__()  # returns itself, and warns (17.1) if this is not called
                return session
            finally:
                watch.end()
        except BaseException as error:
            self._socket.close()
            if watch.stopped is not None and isinstance(error, _BROKEN):
                raise watch.stopped from None
            raise


class LoopHandshake(Handshake):
    """Waits on the event loop, and checks the gateway in between."""

    _session: _AsyncSession | None = None

    @property
    def unread(self) -> bool:
        """As the session recorded."""
        return self._session is not None and self._session.unread

    async def open(self) -> AsyncSession:
        """Await the session."""
        patience = Patience(peer_pid(self._socket))
        opening = asyncio.ensure_future(self._connect())
        try:
            while not (await asyncio.wait({opening}, timeout=LOOK))[0]:
                patience.look()
            return opening.result()
        finally:
            if not opening.done():
                opening.cancel()
                await asyncio.wait({opening})
            if opening.cancelled() or opening.exception() is not None:
                self._socket.close()

    async def _connect(self) -> AsyncSession:
        options: dict[str, Any] = {**_OPTIONS, "create_connection": self._new_session}  # any callable is accepted
        return await connect_async(self._address, sock=self._socket, **options)

    def _new_session(self, *args: Any, **kwargs: Any) -> _AsyncSession:
        self._session = _AsyncSession(*args, **kwargs)
        return self._session


class _Socket(socket.socket):
    """A connection that records whether the gateway ended before it read anything (:data:`fal_jupyter.client.connection.waiting.MOST_UNREAD`)."""

    unread = False

    @classmethod
    def of(cls, sock: socket.socket) -> _Socket:
        """Take a socket over."""
        wrapped = cls(fileno=sock.detach())
        forks.closed_in_child(wrapped)
        return wrapped

    def recv(self, bufsize: int, flags: int = 0, /) -> bytes:
        """As ever."""
        try:
            return super().recv(bufsize, flags)
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
    """Watches a gateway while a handshake waits in another thread, and closes the connection if the gateway is stopped."""

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
        """The handshake has ended."""
        self._over.set()
