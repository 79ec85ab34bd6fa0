"""Claims on devices that every gateway of this machine's user respects: a lock on a file a device, gone with its holder."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import threading
from collections.abc import Callable, Iterable
from pathlib import Path

from fal_jupyter.state import check_state


class Claims:
    """The devices that this gateway has claimed. *place* is the same directory for every gateway of the user."""

    def __init__(self, place: Path, state: Path) -> None:
        self._place, self._state = place, state
        self._locks: dict[str, int] = {}
        self._awaited: set[str] = set()

    def claim(self, devices: Iterable[str]) -> tuple[list[str], str]:
        """Claim all of *devices*; gives those that somebody else holds, and who: then nothing is claimed.

        Raises:
            StateRefused: the directory of the claims is not ours alone.
        """
        check_state(self._place)
        mine: list[str] = []
        for device in devices:
            path = self._place / f"{device}.lock"
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

    def tell_when_free(self, device: str, tell: Callable[[str], None]) -> None:
        """Call *tell* on this loop when the holder of *device* has let go; one wait a device."""
        if device in self._awaited:
            return
        self._awaited.add(device)
        loop = asyncio.get_running_loop()

        def freed() -> None:
            self._awaited.discard(device)
            tell(device)

        def wait() -> None:  # a thread, since a lock cannot be polled by a loop; it ends with the process at the latest
            fd = os.open(self._place / f"{device}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
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
        """Give devices back; those that were not claimed are ignored."""
        for device in devices:
            fd = self._locks.pop(device, -1)
            if fd >= 0:
                os.close(fd)


def _holder(fd: int) -> str:
    try:
        told = json.loads(os.pread(fd, 4096, 0))
        return f"the gateway of {told['state']} (process {told['pid']})"
    except (ValueError, KeyError, TypeError):  # it is writing this very moment
        return "another gateway"
