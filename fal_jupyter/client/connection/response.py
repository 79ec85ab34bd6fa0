"""A streamed response of the gateway, for plain and asynchronous loops."""

from __future__ import annotations

import socket
import time
from collections.abc import AsyncGenerator, Callable, Generator, Iterator
from typing import TypeVar

from fal_jupyter.client.connection import connect, http
from fal_jupyter.client.connection.control_connection import ControlConnection, ErrorResponse, record_or_error
from fal_jupyter.client.connection.flows import Flow, Item, Stream, in_thread, iterate, iterate_async, run
from fal_jupyter.client.connection.socket_io import receive, send
from fal_jupyter.client.connection.waiting import MOST_GATEWAYS, NotSent
from fal_jupyter.domain.errors import GatewayError

T = TypeVar("T")


class Response:
    """A response whose head has arrived. Iterate over its body once, with ``for`` or ``async for``, which closes the connection.

    Attributes:
        gateway: id of the responding process. status, headers: from the head, names in lower case.
    """

    def __init__(self, sock: socket.socket, connection: ControlConnection, gateway: int, first: bytes) -> None:
        self._socket, self._connection, self._first = sock, connection, first
        self.gateway, self.status, self.headers = gateway, connection.status, connection.headers

    @property
    def refused(self) -> bool:
        """True if the gateway refused because it is shutting down: nothing has begun."""
        return self._connection.refused

    def receive(self) -> Flow[bytes]:
        """Wait for the next piece of the body; ``b""`` when it is complete.

        Raises:
            GatewayError: the connection was lost.
        """
        if self._first:
            piece, self._first = self._first, b""
            return piece
        while not self._connection.done:
            try:
                data = yield from receive(self._socket)
            except OSError as error:
                raise GatewayError(f"the gateway's response broke off: {error}") from None
            if piece := self._connection.receive_data(data):
                return piece
        return b""

    def receive_all(self) -> Flow[bytes]:
        """Wait for the whole body, and close the connection.

        Raises:
            GatewayError: the connection was lost.
        """
        body = bytearray()
        try:
            while piece := (yield from self.receive()):
                body += piece
        finally:
            self._socket.close()
        return bytes(body)

    def _pieces(self) -> Stream[bytes, None]:
        try:
            while piece := (yield from self.receive()):
                yield Item(piece)
        finally:
            self._socket.close()

    def __iter__(self) -> Generator[bytes, None, None]:
        """The body's pieces as they arrive.

        Raises:
            GatewayError: the connection was lost.
        """
        return iterate(self._pieces())

    def __aiter__(self) -> AsyncGenerator[bytes, None]:
        """The same on asyncio."""
        return iterate_async(self._pieces())

    def read(self) -> bytes:
        """Wait for the whole body.

        Raises:
            GatewayError: the connection was lost.
        """
        return run(self.receive_all())

    def record(self, kind: type[T]) -> T | ErrorResponse:
        """Wait for the whole body and decode it.

        Raises:
            GatewayError: the connection was lost, the gateway failed, or the body is not a *kind*.
            ValueError: the body is not JSON.
        """
        return record_or_error(self.status, self.read(), kind)

    def lines(self) -> Iterator[bytes]:
        """The lines of the body as they arrive; an unfinished last line is omitted.

        Raises:
            GatewayError: the connection was lost.
        """
        rest = b""
        for piece in self:
            *lines, rest = (rest + piece).split(b"\n")
            yield from lines

    def drop(self) -> None:
        """Close the connection; only the thread that reads may call it."""
        self._socket.close()

    def close(self) -> None:
        """Close the connection from any thread; a thread that is reading gets a GatewayError."""
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # it has already ended


def open_response(sock: socket.socket, request: http.Request) -> Flow[Response]:
    """Send *request* on a new connection, which the response closes; returns the response once its head has arrived.

    Raises:
        NotSent: the gateway ended before it read any of the request.
        OSError, GatewayError: it ended later.
    """
    connection, first = ControlConnection(request), b""
    try:
        yield from send(sock, request)
        while not connection.status:
            first += connection.receive_data((yield from receive(sock, unanswered=connection.unanswered)))
        return Response(sock, connection, connect.peer_pid(sock), first)
    except BaseException:
        sock.close()
        raise


def read_whole(
    sock: socket.socket, request: http.Request, patience: float, until: Callable[[bytearray], bool] = lambda body: False
) -> Flow[tuple[ControlConnection, bytes]]:
    """Send *request* and return its complete response, which must arrive within *patience* seconds. *sock* stays open.

    Args:
        until: returns True once the body received so far is enough.

    Raises:
        NotSent: the gateway ended before it read any of the request.
        OSError: the gateway ended later.
        TimeoutError: the response took too long.
        ValueError: it is not HTTP.
    """
    connection, body = ControlConnection(request), bytearray()
    deadline = time.monotonic() + patience
    yield from send(sock, request)
    while not (connection.done or until(body)):
        data = yield from receive(sock, deadline=deadline, unanswered=connection.unanswered)
        if not data:
            raise ConnectionResetError("the gateway ended")
        body += connection.receive_data(data)
    return connection, bytes(body)


def request_next(dial: Callable[[], socket.socket], request: http.Request) -> Flow[Response]:
    """Send *request* on a connection of *dial*; a request that an ended gateway has not read is sent to the next one.

    Raises:
        OSError: no gateway runs, or it ended later.
    """
    for gateways_left in reversed(range(MOST_GATEWAYS)):
        sock = yield from in_thread(dial, socket.socket.close)
        try:
            return (yield from open_response(sock, request))
        except NotSent:
            if not gateways_left:
                raise
    raise AssertionError("unreachable")
