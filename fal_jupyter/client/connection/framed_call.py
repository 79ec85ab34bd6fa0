"""A call by the owner: reads its framed answer, from the next gateway if the first one ended before it began the request."""

from __future__ import annotations

import socket
from collections.abc import Callable
from functools import partial
from typing import Protocol, TypeVar

from fal_jupyter.client.connection import connect, http
from fal_jupyter.client.connection.answer import AnswerReader
from fal_jupyter.client.connection.control_connection import ControlConnection
from fal_jupyter.client.connection.flows import Item, Stream, in_thread
from fal_jupyter.client.connection.ongoing_calls import Calls, cancelled, lost, refused_waiting
from fal_jupyter.client.connection.socket_io import receive, send
from fal_jupyter.client.connection.waiting import MOST_GATEWAYS, NotSent
from fal_jupyter.domain.errors import GatewayError, GatewayStopped


class CallConnections(Protocol):
    """Connections to the gateway, as a call uses them (:class:`fal_jupyter.client.connection.connector.GatewayConnector`)."""

    def idle(self) -> socket.socket | None:
        """Return an open connection of an earlier call, if there is one; does not wait."""

    def dial(self) -> socket.socket:
        """Connect to the gateway; if it has ended, another one is started.

        Raises:
            GatewayError: none is available.
        """

    def release(self, sock: socket.socket, *, reusable: bool) -> None:
        """Keep the connection of a completed call, or close it."""

    def forget(self, gateway: int) -> None:
        """Record that the gateway of that process id is shutting down: the next request goes to another one."""

    def await_end(self, gateway: int) -> None:
        """A new connection to *gateway* was closed unread: wait a moment for its end."""


R = TypeVar("R", bound=AnswerReader)


def framed_call(
    gateways: CallConnections, request: http.Request, new_reader: Callable[[], R], *, calls: Calls | None = None
) -> Stream[object, R]:
    """Send *request* and read its answer, yielding the reader's values as they arrive; returns the reader.

    Args:
        new_reader: makes a reader for each gateway that is tried.
        calls: a group of calls that another thread may cancel together.

    Raises:
        RequestError: the gateway ended after it may have begun the request, or the calls were cancelled.
        GatewayError: no gateway is available, or it is stopped.
    """
    for gateways_left in reversed(range(MOST_GATEWAYS)):
        sock = gateways.idle() if gateways_left == MOST_GATEWAYS - 1 else None
        is_new = sock is None
        if sock is None:
            sock = yield from in_thread(gateways.dial, socket.socket.close)
        connection, reader = ControlConnection(request), new_reader()
        unread, gateway = False, 0
        try:
            if calls is not None:
                calls.begin(sock)
            yield from send(sock, request)
            while not connection.done:
                data = yield from receive(sock, unanswered=connection.unanswered)
                reader.feed_from(connection, data)
                for value in reader.values():
                    yield Item(value)
        except (OSError, GatewayError) as error:
            if calls is not None and calls.cancelled:
                raise cancelled() from None
            if isinstance(error, GatewayStopped):
                raise
            unread = isinstance(error, NotSent) and gateways_left > 0
            if not unread:
                raise lost() from None
        finally:
            if calls is not None:
                calls.end(sock)
            refused = connection.refused or refused_waiting(reader.answer)
            if unread or refused:
                gateway = connect.peer_pid(sock)  # before it may be closed
            gateways.release(sock, reusable=connection.reusable)
        if unread:
            if is_new:  # a kept connection may be older than the gateway that runs now
                yield from in_thread(partial(gateways.await_end, gateway))
        elif refused and gateways_left:
            gateways.forget(gateway)
        else:
            return reader
    raise AssertionError("unreachable")
