"""Locks on devices, shared by all gateways of this machine's user: one file lock per device, released with its holder."""

from __future__ import annotations

import asyncio
import fcntl
import json
import logging
import os
import stat
import threading
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from fal_jupyter.domain.errors import StateRefused
from fal_jupyter.state import check_state

log = logging.getLogger("fal_jupyter.gateway")
MOST_SQUATTED = 10_000  # names that other users may have taken


def choose_place(runtime: Sequence[Path]) -> Path:
    """Create and return the directory of the lock files, private to the user and shared by the user's gateways.

    It is in the first of the *runtime* directories that is private to the user. Otherwise it is in the last one, where other users can take names:
    then it is the existing directory of this user, or the first free name.

    Raises:
        StateRefused: there is no such directory.
    """
    *private, shared = runtime
    name = f"fal_jupyter-{os.getuid()}-devices"
    for base in private:
        if _is_private(base, 0o022):
            directory = base / name
            check_state(directory)
            return directory
    try:
        entries = [entry for entry in os.listdir(shared) if entry == name or entry.startswith(f"{name}.")]
        usable = [entry for entry in entries if _is_private(shared / entry, 0o077)]
        if usable:
            return shared / min(usable, key=lambda entry: (len(entry), entry))
        for number in range(MOST_SQUATTED):
            directory = shared / (f"{name}.{number}" if number else name)
            try:
                directory.mkdir(mode=0o700)
            except FileExistsError:
                if not _is_private(directory, 0o077):  # another gateway of this user may have created it at this moment
                    continue
            if number:
                log.warning("%s belongs to another user, so device locks are in %s", shared / name, directory)
            return directory
    except OSError as error:
        raise StateRefused(f"device locks cannot be created in {shared}: {error.strerror}", hint=_RUNTIME) from None
    raise StateRefused(f"other users have taken all names for device locks in {shared}", hint=_RUNTIME)


_RUNTIME = "set XDG_RUNTIME_DIR to a directory of your own"


def _is_private(directory: Path, not_for_others: int) -> bool:
    try:
        info = directory.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(info.st_mode) and info.st_uid == os.getuid() and not info.st_mode & not_for_others


class DeviceLocks:
    """The devices that this gateway has claimed, in a directory below one of *runtime* (:func:`choose_place`)."""

    def __init__(self, runtime: Sequence[Path], state: Path) -> None:
        self._runtime, self._state = runtime, state
        self._directory: Path | None = None  # None before the first lock
        self._locks: dict[str, int] = {}
        self._awaited: set[str] = set()

    def claim(self, devices: Iterable[str]) -> tuple[list[str], str]:
        """Lock all of *devices*; returns those held by other gateways, with their holders: then nothing is locked.

        Raises:
            StateRefused: there is no private directory for locks.
        """
        directory = choose_place(self._runtime)
        if directory != self._directory:
            log.info("device locks are in %s", directory)
        self._directory = directory
        mine: list[str] = []
        for device in devices:
            path = directory / f"{device}.lock"
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                holder = _holder(fd)
                os.close(fd)
                self.release(mine)
                return [device], holder
            os.truncate(fd, 0)
            os.pwrite(fd, json.dumps({"pid": os.getpid(), "state": str(self._state)}).encode(), 0)
            self._locks[device] = fd
            mine.append(device)
        return [], ""

    def notify_when_free(self, device: str, notify: Callable[[str], None]) -> None:
        """Call *notify* on this loop when the holder of *device* has released it; one wait per device."""
        if device in self._awaited or self._directory is None:
            return
        self._awaited.add(device)
        loop, path = asyncio.get_running_loop(), self._directory / f"{device}.lock"

        def freed() -> None:
            self._awaited.discard(device)
            notify(device)

        def wait() -> None:  # a thread, since a lock cannot be polled by a loop; it ends with the process at the latest
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX)
            finally:
                os.close(fd)
            try:
                loop.call_soon_threadsafe(freed)
            except RuntimeError:
                pass  # the gateway has ended meanwhile

        threading.Thread(target=wait, name=f"waits for {device}", daemon=True).start()

    def release(self, devices: Iterable[str]) -> None:
        """Release devices; those that were not locked are ignored."""
        for device in devices:
            fd = self._locks.pop(device, -1)
            if fd >= 0:
                os.close(fd)


def _holder(fd: int) -> str:
    try:
        holder = json.loads(os.pread(fd, 4096, 0))
        return f"the gateway of {holder['state']} (process {holder['pid']})"
    except (ValueError, KeyError, TypeError):  # it is being written at this moment
        return "another gateway"
