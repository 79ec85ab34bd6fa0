"""Socket IO with the gateway, as flows: waits as long as a call lasts, but not for a stopped gateway."""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Iterator
from functools import partial

from fal_jupyter.client.connection.connect import peer_pid
from fal_jupyter.client.connection.flows import Flow, Wait, in_thread
from fal_jupyter.client.connection.http import Request
from fal_jupyter.client.connection.waiting import LOOK, MOST_UNREAD, NotSent, Patience

READ = 256 * 1024


def receive(sock: socket.socket, *, deadline: float | None = None, unanswered: int = 0) -> Flow[bytes]:
    """Wait for bytes of the gateway, at most until *deadline* (``time.monotonic()``); ``b""`` at the end.

    Args:
        unanswered: length of the request that was sent on the Unix socket *sock*, until the first byte of its response.

    Raises:
        NotSent: the gateway ended before it read the request.
        OSError: the connection broke.
        GatewayStopped: the gateway is stopped.
        TimeoutError: the deadline has passed.
    """
    patience: Patience | None = None
    while True:
        seconds = LOOK if deadline is None else min(LOOK, max(0.0, deadline - time.monotonic()))
        if (yield Wait(sock, select.POLLIN, seconds)):
            try:
                return sock.recv(READ, socket.MSG_DONTWAIT)
            except BlockingIOError:
                continue
            except (BrokenPipeError, ConnectionResetError) as error:
                if not 0 < unanswered <= MOST_UNREAD:
                    raise
                raise NotSent(*error.args) from None
        if deadline is not None and time.monotonic() >= deadline:
            raise TimeoutError
        patience = patience or Patience(peer_pid(sock))
        patience.look()


def send(sock: socket.socket, data: Request) -> Flow[None]:
    """Send all of *data* to the gateway, however slowly it reads; stops early if it has responded before.

    Raises:
        NotSent: the connection was closed before the first byte was sent, so the request cannot have begun.
        OSError: it was closed later.
        GatewayStopped: the gateway is stopped.
    """
    begun, in_memory = False, isinstance(data, bytes)
    pieces: Iterator[bytes | memoryview] = iter((data,)) if isinstance(data, bytes) else iter(data)
    read = partial(next, pieces, None)
    while (piece := read() if in_memory else (yield from in_thread(read))) is not None:
        view, sent = memoryview(piece), 0
        patience: Patience | None = None
        while sent < len(view):
            try:
                sent += sock.send(view[sent:], socket.MSG_DONTWAIT)
                begun, patience = True, None
            except BlockingIOError:
                if not (yield Wait(sock, select.POLLOUT, LOOK)):
                    patience = patience or Patience(peer_pid(sock))
                    patience.look()
            except (BrokenPipeError, ConnectionResetError) as error:
                if not begun:
                    raise NotSent(*error.args) from None
                if _has_response(sock):
                    return
                raise


def _has_response(sock: socket.socket) -> bool:
    """True if a response is ready to be read: the peer refused a request without reading all of it."""
    try:
        return bool(sock.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT))
    except OSError:
        return False
