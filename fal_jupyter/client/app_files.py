"""``app_files``: files that belong to an app, copied into a folder that plays the role of ``/app`` in the cloud.

A folder is never changed after it was written, so runners of a revision see the files as they were when it was
published. It belongs to the process that serves the app, which holds a lock on it; folders whose lock is free are removed
by any other process.
"""

from __future__ import annotations

import atexit
import fcntl
import hashlib
import os
import secrets
import shutil
from pathlib import Path

from fal_jupyter import forks
from fal_jupyter.domain.errors import AppRuleBroken
from fal_jupyter.shipping.files.app_files import AppFiles


class Folders:
    """The folders of this process, below *root*; they are removed when the process ends, or soon after.

    None is removed earlier: an old revision may keep serving or draining for an unlimited time.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._own: Path | None = None
        self._lock = -1
        forks.changes_in_child(self)

    def folder_of(self, alias: str, app_files: AppFiles, fingerprint: dict[str, str]) -> Path:
        """Return a folder with copies of the files.

        Raises:
            AppRuleBroken: a file cannot be read.
        """
        own = self._claimed()
        folder = own / alias / hashlib.sha256(repr(sorted(fingerprint.items())).encode()).hexdigest()[:16]
        if not folder.exists():
            half = folder.with_name(f".{folder.name}")
            shutil.rmtree(half, ignore_errors=True)
            try:
                for name, path in app_files.files.items():
                    target = half / name
                    target.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copy2(path, target)
                (half / app_files.place).mkdir(parents=True, exist_ok=True)
                half.rename(folder)
            except OSError as error:
                shutil.rmtree(half, ignore_errors=True)
                problem = f"{error.filename} cannot be copied: {error.strerror}"
                raise AppRuleBroken(problem, where="app_files") from None
        return folder

    def _claimed(self) -> Path:
        if self._own is None:
            self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
            own = self._root / f"{os.getpid()}-{secrets.token_hex(4)}"
            with open(self._root / "sweeping", "w") as sweeping:  # guards folders whose lock is not held yet
                fcntl.flock(sweeping, fcntl.LOCK_EX)
                self._sweep()
                lock = os.open(f"{own}.lock", os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600)
                fcntl.flock(lock, fcntl.LOCK_EX)
                own.mkdir(mode=0o700)
            self._own, self._lock = own, lock
            atexit.register(self.close)
        return self._own

    def _sweep(self) -> None:
        for path in self._root.glob("*.lock"):
            try:
                lock = os.open(path, os.O_RDWR | os.O_CLOEXEC)
            except OSError:
                continue  # another process removed it
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(path.with_suffix(""), ignore_errors=True)
                path.unlink(missing_ok=True)
            except BlockingIOError:
                pass  # its owner is still running
            finally:
                os.close(lock)

    def forked(self) -> None:
        """Forget the folders: they belong to the parent process."""
        if self._lock < 0:
            return
        os.close(self._lock)  # a forked child must not keep its parent's folders alive
        self._own, self._lock = None, -1
        atexit.unregister(self.close)

    def close(self) -> None:
        """Remove all of them."""
        if self._own is not None:
            own, self._own = self._own, None
            shutil.rmtree(own, ignore_errors=True)
            Path(f"{own}.lock").unlink(missing_ok=True)
            os.close(self._lock)
            self._lock = -1
