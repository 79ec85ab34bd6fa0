"""Keeps the isolated environments of a state directory: finds, lists and removes them, and has missing ones built (``builder``).

Each is a folder ``STATE/envs/NAME``; *NAME* is a digest of everything that determines what is installed. An environment is complete when its
record (``environment.json``, written last) exists; an incomplete one is created again on the next request. Its lock files are beside it.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from fal_jupyter.domain.errors import AppRuleBroken
from fal_jupyter.environments import builder
from fal_jupyter.environments.builder import RECORD, EnvironmentRequest, Isolated
from fal_jupyter.environments.interpreters import find_python
from fal_jupyter.environments.lines import digest_of, installer_lines, local_places, masked

_FORMAT = 1


def provide(root: Path, request: EnvironmentRequest, report: Callable[[str], None]) -> tuple[Isolated, int]:
    """Return the environment of *request*, made now if it is not there yet. *report* receives the output of the installer, line by line.

    The second is a descriptor: as long as it is open, the environment is not removed. Interrupted, it ends the installer, and
    nothing half made is ever used.

    Raises:
        AppRuleBroken: it cannot be made; one sentence with the installer's own reason.
    """
    try:
        return _provide(root, request, report)
    except OSError as error:
        message = (
            f"no environment can be made for {request.class_name}: {error.strerror or error} ({error.filename or root})"
        )
        raise AppRuleBroken(message, where="requirements") from None


def _provide(root: Path, request: EnvironmentRequest, report: Callable[[str], None]) -> tuple[Isolated, int]:
    lines = installer_lines(request.requirements, request.base)
    for path in local_places(lines):
        if not path.exists():
            raise AppRuleBroken(
                f"there is no {masked(str(path))}, which {request.class_name} requires", where="requirements"
            )
    python, version = find_python(request.python)
    name = _name(lines, version or request.python)
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder = root / name
    with _locked(
        root, name, lambda: report(f"fal_jupyter: another process is making environment {name}; waiting for it")
    ):
        existing = _read(folder)
        if existing is None:
            try:
                existing = builder.build(folder, request, lines, python, version, lambda line: report(masked(line)))
            except BaseException:
                _forget(root, name)
                raise
        os.utime(folder / RECORD)
        users = os.open(root / f"{name}.users", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        fcntl.flock(users, fcntl.LOCK_SH)  # removal holds the lock that is held here
    return existing, users


def all_of(root: Path) -> list[Isolated]:
    """Return every environment, the most recently used first."""
    try:
        records = [_read(folder) for folder in root.iterdir() if folder.is_dir()]
    except FileNotFoundError:
        return []
    return sorted((record for record in records if record is not None), key=lambda record: -record.used)


def unfinished(root: Path) -> list[str]:
    """Return the names of incomplete folders: their installation was killed or is still running."""
    try:
        return sorted(folder.name for folder in root.iterdir() if folder.is_dir() and _read(folder) is None)
    except FileNotFoundError:
        return []


def size_of(folder: Path) -> int:
    """Return the size of its files in bytes, including those that uv shares with its cache."""
    return sum(
        os.lstat(os.path.join(directory, name)).st_size for directory, _, names in os.walk(folder) for name in names
    )  # fmt: skip


def remove(root: Path, name: str) -> bool:
    """Remove an environment, complete or not; False while it is being created or serves an app."""
    try:
        with _locked(root, name, None), _alone(root / f"{name}.users"):
            try:
                (root / name / RECORD).unlink(missing_ok=True)  # first: from now on it is not reused
            except NotADirectoryError:
                pass
            shutil.rmtree(root / name, ignore_errors=True)
            (root / f"{name}.users").unlink(missing_ok=True)
            (root / f"{name}.lock").unlink(missing_ok=True)
    except BlockingIOError:
        return False
    return True


def sweep_locks(root: Path) -> None:
    """Remove the locks of missing environments, whose installation was killed. A lock that is held stays."""
    for path in sorted(root.glob("*.lock")):
        if os.path.lexists(root / path.stem):
            continue
        try:
            with _locked(root, path.stem, None), _alone(root / f"{path.stem}.users"):
                _forget(root, path.stem)
        except OSError:
            continue  # it is about to be created


def _forget(root: Path, name: str) -> None:
    """Remove the lock files of a missing environment. The caller holds its lock; processes that wait for it create a new one."""
    if not os.path.lexists(root / name):
        (root / f"{name}.users").unlink(missing_ok=True)
        (root / f"{name}.lock").unlink(missing_ok=True)


def _name(lines: Sequence[str], version: str) -> str:
    parts = {
        "format": _FORMAT,
        "python": version,
        "machine": os.uname().machine,
        "lines": list(lines),
        "ours": builder.of_runners(),
        "package": builder.package_folder(),
        "places": [digest_of(path) for path in local_places(lines)],
    }
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:12]


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Raise ``BlockingIOError`` if a process has the file's shared lock."""
    users = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(users)


@contextmanager
def _locked(root: Path, name: str, waiting: Callable[[], None] | None) -> Iterator[None]:
    """Hold the lock of an environment; if it is taken, call *waiting* once and wait, or raise ``BlockingIOError`` without *waiting*."""
    path = root / f"{name}.lock"
    while True:
        lock = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if waiting is None:
                    raise
                waiting()
                fcntl.flock(lock, fcntl.LOCK_EX)
            if _is_at(lock, path):
                try:
                    yield
                finally:
                    fcntl.flock(lock, fcntl.LOCK_UN)  # a child that was forked meanwhile has it open, too
                return
        finally:
            os.close(lock)  # it was removed with its environment while we waited: try again


def _is_at(descriptor: int, path: Path) -> bool:
    """True if the open file is still the one at *path*."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _read(folder: Path) -> Isolated | None:
    try:
        record = json.loads((folder / RECORD).read_bytes())
        used = (folder / RECORD).stat().st_mtime
        record["requirements"] = tuple(record["requirements"])
        return Isolated(**{**record, "used": used, "folder": str(folder)})
    except (OSError, ValueError, TypeError, KeyError):
        return None
