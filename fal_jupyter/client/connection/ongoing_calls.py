"""Groups of running calls, and the errors of calls that are caused by the gateway."""

from __future__ import annotations

import socket
import threading

from fal_jupyter.client.connection.answer import Answer
from fal_jupyter.domain.errors import GatewayError, RequestError
from fal_jupyter.protocol.api import ENDING, H_ERROR_TYPE


class Calls:
    """Running calls that end together: :meth:`cancel` closes their connections, so that their requests are dropped or cancelled."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sockets: set[socket.socket] = set()
        self.cancelled = False

    def begin(self, sock: socket.socket) -> None:
        """Add a call that is sent on *sock*.

        Raises:
            RequestError: the calls have been cancelled.
        """
        with self._lock:
            if self.cancelled:
                raise cancelled()
            self._sockets.add(sock)

    def end(self, sock: socket.socket) -> None:
        """Remove the call on *sock*, which has ended."""
        with self._lock:
            self._sockets.discard(sock)

    def cancel(self) -> None:
        """Close all connections, and refuse new calls. May be called from any thread."""
        with self._lock:
            self.cancelled = True
            for sock in self._sockets:
                try:
                    sock.shutdown(socket.SHUT_RDWR)  # wakes the reading thread, which closes the socket
                except OSError:
                    pass  # it has already ended


def refused_waiting(answer: Answer) -> bool:
    """True if a request was still waiting when the gateway began to drain: it has not begun."""
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
