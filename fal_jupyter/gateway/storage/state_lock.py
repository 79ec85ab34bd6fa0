"""The gateway's lock and socket in its state directory, and a watch on both."""

from __future__ import annotations

import asyncio
import ctypes
import fcntl
import os
import signal
import socket
import stat
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from fal_jupyter.domain.errors import GatewayError, StateRefused
from fal_jupyter.settings import Settings
from fal_jupyter.state import address_of

_IN_MOVED_FROM, _IN_DELETE, _IN_DELETE_SELF, _IN_MOVE_SELF, _IN_IGNORED = 0x40, 0x200, 0x400, 0x800, 0x8000
_IN_FLAGS = os.O_NONBLOCK | os.O_CLOEXEC
_EVENT = struct.Struct("iIII")


def take_life_lock(settings: Settings, *, wait: float = 0) -> int:
    """Acquire the lock that makes this process the gateway.

    Args:
        wait: seconds for a gateway that is ending to release it. Only in the main thread, and without an event loop.

    Raises:
        GatewayError: another gateway holds it.
        OSError: it cannot be created.
    """
    with _deadline(wait):
        while True:
            fd = os.open(settings.life_lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            except (BlockingIOError, _TimeIsOver):
                holder = os.pread(fd, 32, 0).decode("ascii", "replace").strip()
                os.close(fd)
                who = f" (process {holder})" if holder.isdigit() else ""
                raise GatewayError(
                    f"another gateway{who} holds {settings.life_lock}"
                    + (f" and did not end within {wait:g} s" if wait else ""),
                    hint="end that process, or set FAL_JUPYTER_STATE to another directory" if wait else "",
                ) from None
            if is_current_lock(settings, fd):
                os.ftruncate(fd, 0)
                os.pwrite(fd, str(os.getpid()).encode(), 0)
                return fd
            os.close(fd)  # the directory was removed or recreated while we waited


class _TimeIsOver(BaseException):
    pass


@contextmanager
def _deadline(seconds: float) -> Iterator[None]:
    """Interrupt a blocking system call of the main thread after *seconds* (0: never)."""
    if not seconds:
        yield
        return

    def expire(number: int, frame: object) -> None:
        raise _TimeIsOver

    former = signal.signal(signal.SIGALRM, expire)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, former)


def bind(settings: Settings) -> socket.socket:
    """Bind the Unix socket; a stale one of ours is replaced, anything else is refused."""
    path = settings.socket
    try:
        info = path.lstat()
    except FileNotFoundError:
        pass
    else:
        if not stat.S_ISSOCK(info.st_mode) or info.st_uid != os.getuid():
            raise StateRefused(f"{path} is not our socket", hint="remove it, or set another FAL_JUPYTER_STATE")
        path.unlink()
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    with address_of(path) as address:
        sock.bind(address)
    path.chmod(0o600)
    sock.listen(512)
    sock.setblocking(False)
    return sock


def is_current_lock(settings: Settings, lock: int) -> bool:
    """True while the lock file in the directory is the one that this process holds."""
    try:
        return os.path.samestat(os.fstat(lock), settings.life_lock.stat())
    except FileNotFoundError:
        return False


class StateDirectoryWatch:
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
        """Stop watching."""
        if self._fd >= 0:
            asyncio.get_running_loop().remove_reader(self._fd)
            os.close(self._fd)
            self._fd = -1
