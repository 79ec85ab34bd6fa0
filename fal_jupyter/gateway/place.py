"""The gateway's place in its state directory: the lock that it lives by, its socket, and a watch over both."""

from __future__ import annotations

import asyncio
import ctypes
import fcntl
import os
import socket
import stat
import struct
from collections.abc import Callable

from fal_jupyter.domain.errors import GatewayError, StateRefused
from fal_jupyter.settings import Settings
from fal_jupyter.state import address_of

_IN_MOVED_FROM, _IN_DELETE, _IN_DELETE_SELF, _IN_MOVE_SELF, _IN_IGNORED = 0x40, 0x200, 0x400, 0x800, 0x8000
_IN_FLAGS = os.O_NONBLOCK | os.O_CLOEXEC
_EVENT = struct.Struct("iIII")


def take_life_lock(settings: Settings) -> int:
    """Take the lock that says "I am the gateway".

    Raises:
        GatewayError: another gateway holds it.
        OSError: it cannot be made.
    """
    fd = os.open(settings.life_lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise GatewayError(f"another gateway holds {settings.life_lock}") from None
    return fd


def bind(settings: Settings) -> socket.socket:
    """Bind the Unix socket; a stale one of ours is replaced, anything else is refused."""
    path = settings.socket
    try:
        found = path.lstat()
    except FileNotFoundError:
        pass
    else:
        if not stat.S_ISSOCK(found.st_mode) or found.st_uid != os.getuid():
            raise StateRefused(f"{path} is not our socket", hint="remove it, or set another FAL_JUPYTER_STATE")
        path.unlink()
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    with address_of(path) as address:
        sock.bind(address)
    path.chmod(0o600)
    sock.listen(512)
    sock.setblocking(False)
    return sock


def is_ours(settings: Settings, lock: int) -> bool:
    """True while the lock file of the directory is the one that we hold."""
    try:
        return os.path.samestat(os.fstat(lock), settings.life_lock.stat())
    except FileNotFoundError:
        return False


class PlaceWatch:
    """Calls *on_lost* when the state directory, the lock or the socket is removed or moved away (inotify, Linux)."""

    def __init__(self, settings: Settings, on_lost: Callable[[], None]) -> None:
        self._names = {settings.socket.name, settings.life_lock.name}
        self._on_lost = on_lost
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._fd: int = self._libc.inotify_init1(_IN_FLAGS)
        mask = _IN_MOVED_FROM | _IN_DELETE | _IN_DELETE_SELF | _IN_MOVE_SELF
        if self._fd < 0 or self._libc.inotify_add_watch(self._fd, os.fsencode(settings.state), mask) < 0:
            error = OSError(ctypes.get_errno(), "the state directory cannot be watched")
            self.close()
            raise error
        asyncio.get_running_loop().add_reader(self._fd, self._readable)

    def _readable(self) -> None:
        data, at, lost = os.read(self._fd, 65536), 0, False
        while at < len(data):
            _, mask, _, length = _EVENT.unpack_from(data, at)
            at += _EVENT.size
            name = data[at : at + length].rstrip(b"\0").decode("utf-8", "surrogateescape")
            at += length
            lost = lost or name in self._names or bool(mask & (_IN_DELETE_SELF | _IN_MOVE_SELF | _IN_IGNORED))
        if lost:
            self.close()
            self._on_lost()

    def close(self) -> None:
        """Watch no more."""
        if self._fd >= 0:
            asyncio.get_running_loop().remove_reader(self._fd)
            os.close(self._fd)
            self._fd = -1
