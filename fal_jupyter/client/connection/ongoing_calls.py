"""Calls under way, and the failures that a call to the gateway can have for the gateway's sake."""

from __future__ import annotations

import socket
import threading

from fal_jupyter.client.connection.answer import Answer
from fal_jupyter.domain.errors import GatewayError, RequestError
from fal_jupyter.protocol.api import ENDING, H_ERROR_TYPE


class Calls:
    """Calls under way that end together: :meth:`cancel` hangs up, so that their requests are dropped or cancelled."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sockets: set[socket.socket] = set()
        self.cancelled = False

    def begin(self, sock: socket.socket) -> None:
        """A call goes out on *sock*.

        Raises:
            RequestError: the calls have been cancelled.
        """
        with self._lock:
            if self.cancelled:
                raise cancelled()
            self._sockets.add(sock)

    def end(self, sock: socket.socket) -> None:
        """The call on *sock* is over."""
        with self._lock:
            self._sockets.discard(sock)

    def cancel(self) -> None:
        """Hang up on all of them, and refuse new ones. From any thread."""
        with self._lock:
            self.cancelled = True
            for sock in self._sockets:
                try:
                    sock.shutdown(socket.SHUT_RDWR)  # wakes the thread that reads; closing is that thread's
                except OSError:
                    pass  # it has ended by itself


def refused_waiting(answer: Answer) -> bool:
    """True if a request waited at the gateway when that began to drain: it has not begun either."""
    return answer.status == 503 and answer.header(H_ERROR_TYPE) == ENDING


def ended_starting() -> GatewayError:
    """The error of a start whose gateway ended."""
    return GatewayError("the gateway ended while the app was starting", hint="run the cell again")


def lost() -> RequestError:
    """The error of a call that its gateway may have begun."""
    return RequestError(
        "the gateway ended while it had the request; the request was not repeated",
        status=503,
        error_type="internal_error",
        hint="call again: a new gateway is started for it",
    )


def lost_session() -> RequestError:
    """The error of a session whose gateway ended while it was opened, and may have begun it."""
    return RequestError(
        "the gateway ended while the session was opened; it was not opened again",
        status=503,
        error_type="internal_error",
        hint="open it again: a new gateway is started for it",
    )


def cancelled() -> RequestError:
    """The error of a call that was cancelled here."""
    return RequestError("the call was cancelled", status=499, error_type="client_disconnected")
