"""Watches the state directory for a gateway's socket (inotify, Linux), without polling."""

from __future__ import annotations

import asyncio
import ctypes
import os
import struct

from fal_jupyter.settings import Settings
from fal_jupyter.state import check_state

_IN_ATTRIB, _IN_MOVED_TO, _IN_CREATE, _IN_DELETE_SELF, _IN_MOVE_SELF, _IN_IGNORED = (
    0x4,
    0x80,
    0x100,
    0x400,
    0x800,
    0x8000,
)
_MASK = _IN_ATTRIB | _IN_MOVED_TO | _IN_CREATE | _IN_DELETE_SELF | _IN_MOVE_SELF
_FLAGS = os.O_NONBLOCK | os.O_CLOEXEC
_EVENT = struct.Struct("iIII")


class SocketWatch:
    """Sets ``changed`` whenever the socket may have appeared. ``arm`` starts the watch, also after the directory was removed."""

    def __init__(self, settings: Settings) -> None:
        self.changed = asyncio.Event()
        self._settings = settings
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._fd = -1

    def arm(self) -> None:
        """Watch the directory; it is created if missing.

        Raises:
            StateRefused: the directory is not private to the user.
            OSError: the system's limit of watches is reached.
        """
        if self._fd >= 0:
            return
        check_state(self._settings.state)
        fd = self._libc.inotify_init1(_FLAGS)
        if fd < 0 or self._libc.inotify_add_watch(fd, os.fsencode(self._settings.state), _MASK) < 0:
            error = OSError(ctypes.get_errno(), f"{self._settings.state} cannot be watched")
            if fd >= 0:
                os.close(fd)
            raise error
        self._fd = fd
        asyncio.get_running_loop().add_reader(fd, self._readable)

    def _readable(self) -> None:
        data, at, removed = os.read(self._fd, 65536), 0, False
        name = os.fsencode(self._settings.socket.name)
        while at < len(data):
            _, mask, _, length = _EVENT.unpack_from(data, at)
            at += _EVENT.size
            if data[at : at + length].rstrip(b"\0") == name:
                self.changed.set()
            at += length
            removed = removed or bool(mask & (_IN_DELETE_SELF | _IN_MOVE_SELF | _IN_IGNORED))
        if removed:
            self.close()
            self.changed.set()

    def close(self) -> None:
        """Stop watching."""
        if self._fd >= 0:
            asyncio.get_running_loop().remove_reader(self._fd)
            os.close(self._fd)
            self._fd = -1
