"""Idle connections to the gateway, kept for the next call. Only connections that are certainly open are reused."""

from __future__ import annotations

import socket
import threading
import time

MOST_IDLE = 16
LONGEST_IDLE = 30.0  # seconds; the gateway's own limit is at least twice as long (see `ConnectionPool`)


class ConnectionPool:
    """Idle sockets of completed calls, newest last.

    Args:
        idle_timeout: seconds after which the gateway closes an idle connection. Connections are kept for half of it at most,
            so that none is closed between our check and the request.
    """

    def __init__(self, idle_timeout: float) -> None:
        self._longest = min(LONGEST_IDLE, idle_timeout / 2)
        self._lock = threading.Lock()
        self._idle: list[tuple[float, socket.socket]] = []

    def take(self) -> socket.socket | None:
        """Return an open connection, or None. Connections that are too old or were closed are dropped."""
        with self._lock:
            while self._idle:
                since, sock = self._idle.pop()
                if time.monotonic() - since < self._longest and is_open(sock):
                    return sock
                sock.close()
        return None

    def keep(self, sock: socket.socket) -> None:
        """Keep the connection of a call that is complete."""
        now = time.monotonic()
        with self._lock:
            while self._idle and now - self._idle[0][0] >= self._longest:
                self._idle.pop(0)[1].close()
            if len(self._idle) < MOST_IDLE:
                self._idle.append((now, sock))
                return
        sock.close()

    def clear(self) -> None:
        """Close all of them."""
        with self._lock:
            idle, self._idle = self._idle, []
        for _, sock in idle:
            sock.close()


def is_open(sock: socket.socket) -> bool:
    """False if the other end has closed the connection, or has sent unexpected data."""
    try:
        sock.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    except BlockingIOError:
        return True
    except OSError:
        pass
    return False
