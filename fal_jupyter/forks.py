"""What a forked child must not share with its parent: one at-fork hook, however many objects there are and were."""

from __future__ import annotations

import os
import socket
from typing import Protocol
from weakref import WeakSet


class Forked(Protocol):
    """An object that has to change in a forked child."""

    def forked(self) -> None:
        """Called in the child, where this is the only thread. Must not raise, and must not touch what the parent goes on using."""


_objects: WeakSet[Forked] = WeakSet()
_sockets: WeakSet[socket.socket] = WeakSet()


def changes_in_child(forked: Forked) -> None:
    """Call ``one.forked()`` in every child process as long as *forked* exists."""
    _objects.add(forked)


def closed_in_child(sock: socket.socket) -> None:
    """Close the child's copy of *sock*, so that the peer sees the parent's end close, whatever the children do."""
    _sockets.add(sock)


def _in_child() -> None:
    for sock in list(_sockets):
        sock.close()
    for forked in list(_objects):
        forked.forked()


os.register_at_fork(after_in_child=_in_child)
