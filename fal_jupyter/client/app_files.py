"""``app_files``: files that go with an app, copied into a folder that stands for ``/app`` of the cloud.

The folder is of one content and never written to again, so runners of a revision see the files as they were when it was
published. It belongs to the process that serves the app: a lock says that it lives, and whoever finds a folder of a dead
process removes it.
"""

from __future__ import annotations

import atexit
import fcntl
import hashlib
import os
import re
import secrets
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from fal_jupyter.domain.errors import AppRuleBroken


@dataclass(frozen=True, slots=True)
class AppFiles:
    """What an app takes along: files by their place below the context folder, and where the app itself is in there."""

    files: dict[str, Path]
    place: str
    missing: tuple[str, ...]

    def fingerprint(self) -> dict[str, str]:
        """One part a file."""
        return {f"app file {name}": _digest(path) for name, path in sorted(self.files.items())}


def collect(paths: Sequence[str], *, base: Path, context: str | None, ignore: Sequence[str]) -> AppFiles:
    """Find the files of *paths* (fal: C138).

    Args:
        base: folder of the app's file, or where the notebook is. context: ``app_files_context_dir``, relative to it.
        ignore: regular expressions, searched in each file's place below the context folder.

    Raises:
        AppRuleBroken: a path leads out of the context folder.
    """
    patterns = [re.compile(pattern) for pattern in ignore]
    base = base.resolve()
    root = (base / context).resolve() if context else base
    files: dict[str, Path] = {}
    missing = []
    for given in paths:
        path = root / given
        if not path.is_dir() and _ignored(os.path.relpath(path, root), patterns):
            continue
        _name(path, root, given)  # a way out is refused even where nothing is there
        if not path.exists():
            missing.append(given)
        for found in [path] if path.is_file() else _below(path):
            if not _ignored(os.path.relpath(found, root), patterns):
                name = _name(found, root, given)
                if not _ignored(name, patterns):
                    files.setdefault(name, found.resolve())
    return AppFiles(files, os.path.relpath(base, root), tuple(missing))


def _ignored(name: str, patterns: Sequence[re.Pattern[str]]) -> bool:
    return any(pattern.search(name) for pattern in patterns)


def _below(folder: Path) -> Iterator[Path]:
    for place, folders, names in os.walk(folder):
        folders.sort()
        yield from (found for name in sorted(names) if (found := Path(place, name)).is_file())


def _name(path: Path, root: Path, given: str) -> str:
    name = os.path.relpath(path.resolve(), root)
    if name.split(os.sep)[0] == os.pardir:
        raise AppRuleBroken(
            f"Parent directory reference is not allowed: {name} for {given}",
            hint="set app_files_context_dir to a folder above it, or leave it out with app_files_ignore",
            where="app_files",
        )
    return name


def _digest(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class Folders:
    """The folders of this process, below *root*; they are gone when the process is, or soon after.

    None is removed before: an old revision may serve on, or drain, for as long as it likes.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._own: Path | None = None
        self._lock = -1
        os.register_at_fork(after_in_child=self._forked)

    def folder_of(self, alias: str, app_files: AppFiles, fingerprint: dict[str, str]) -> Path:
        """Give a folder with copies of the files.

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
                told = f"{error.filename} cannot be taken along: {error.strerror}"
                raise AppRuleBroken(told, where="app_files") from None
        return folder

    def _claimed(self) -> Path:
        if self._own is None:
            self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
            own = self._root / f"{os.getpid()}-{secrets.token_hex(4)}"
            with open(self._root / "sweeping", "w") as sweeping:  # so that nobody sweeps a lock that is not held yet
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
                continue  # somebody else swept it
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(path.with_suffix(""), ignore_errors=True)
                path.unlink(missing_ok=True)
            except BlockingIOError:
                pass  # its owner lives
            finally:
                os.close(lock)

    def _forked(self) -> None:
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
