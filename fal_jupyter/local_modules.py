"""The user's own modules: finds them, and detects whether a file was edited since an app or this process read it.

One ``stat`` per file detects a change; only then is the file read.
"""

from __future__ import annotations

import hashlib
import os
import sys
import sysconfig
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import ModuleType

Stamp = tuple[int, int]  # time of the last change in nanoseconds, size
MOST_FILES = 300  # files of one app that are checked
LOOK_EVERY = 1.0  # seconds within one cell
_INSTALLED = (f"{os.sep}site-packages{os.sep}", f"{os.sep}dist-packages{os.sep}")
_OWN = tuple(
    os.path.join(folder, "")
    for folder in (sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib"), os.path.dirname(__file__))
)


def is_users(path: str) -> bool:
    """True for a Python source file that is not installed, not part of Python and not of this package."""
    return path.endswith(".py") and not path.startswith(_OWN) and not any(part in path for part in _INSTALLED)


def file_of(module: ModuleType | None) -> str | None:
    """Return the file of a user's module, or None."""
    try:
        path, name = (module.__file__, module.__name__) if module is not None else (None, "")
    except Exception:  # it has none, or is a proxy that may raise anything
        return None
    return path if isinstance(path, str) and name != "__main__" and is_users(path) else None


def stamp_of(path: str) -> Stamp | None:
    """Return the modification time and size of a file; None if it does not exist."""
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return None
    return status.st_mtime_ns, status.st_size


@dataclass(frozen=True, slots=True)
class ModuleFile:
    """A module's file as it was when it was read."""

    name: str
    path: str
    stamp: Stamp | None
    digest: str

    @property
    def label(self) -> str:
        """Its path from the folder that its package is in: ``helpers.py``, ``package/part.py``."""
        parts = self.path.split(os.sep)
        depth = self.name.count(".") + 1 + (parts[-1] == "__init__.py")
        return "/".join(parts[-depth:])


def read_module(name: str, path: str) -> tuple[ModuleFile, bytes] | None:
    """Read the file of the module *name*; None if it cannot be read."""
    stamp = stamp_of(path)  # first: an edit in between is detected by its digest
    try:
        with open(path, "rb") as file:
            data = file.read()
    except (OSError, ValueError):
        return None
    return ModuleFile(name, path, stamp, hashlib.sha256(data).hexdigest()), data


class EditWatch:
    """Detects edits of an app's module files since the app was published, each edit once. Thread-safe."""

    def __init__(self, files: Iterable[ModuleFile] = ()) -> None:
        self._files = {file.path: file for file in list(files)[:MOST_FILES]}
        self._stamps = {path: file.stamp for path, file in self._files.items()}
        self._lock = threading.Lock()
        self._next, self._cell = 0.0, -1

    def __bool__(self) -> bool:
        return bool(self._files)

    def news(self, app: str, again: str, cell: int = 0) -> list[str]:
        """Return a message about edited files, one about removed files, or none.

        Checks once a second, and immediately in a new *cell*. *again* describes how to serve the app again: ``run its cell again``.
        """
        if not self._files or (cell == self._cell and time.monotonic() < self._next):
            return []
        if not self._lock.acquire(blocking=False):
            return []  # another thread is checking, and reports
        try:
            self._next, self._cell = time.monotonic() + LOOK_EVERY, cell
            changed, removed = self._look()
        finally:
            self._lock.release()
        sentences = []
        if changed:
            sentences.append(f"{_listed(changed)} changed after {app} was served; {again} to use {_it(changed)}")
        if removed:
            sentences.append(
                f"{_listed(removed)} {'was' if len(removed) == 1 else 'were'} removed after {app} was served"
            )
        return sentences

    def _look(self) -> tuple[list[str], list[str]]:
        changed, removed = [], []
        for path, file in self._files.items():
            stamp = stamp_of(path)
            if stamp == self._stamps[path]:
                continue
            self._stamps[path] = stamp
            now = read_module(file.name, path)
            if now is None:
                removed.append(file.label)
            elif now[0].digest != file.digest:
                changed.append(file.label)
        return changed, removed


def _it(names: list[str]) -> str:
    return "it" if len(names) == 1 else "them"


def _listed(names: list[str]) -> str:
    items = names if len(names) < 4 else [*names[:2], f"{len(names) - 2} more files"]
    return ", ".join(items[:-1]) + " and " + items[-1] if len(items) > 1 else items[0]


@dataclass(slots=True)
class _Loaded:
    """A user's module in ``sys.modules``. *spec* is another object after ``importlib.reload``."""

    path: str
    spec: object
    stamp: Stamp | None


class LoadedModules:
    """The user's modules that this process has imported, each with its file's stamp at that time.

    Python does not record that, so :meth:`look` must be called soon after an import: when a cell ends.
    """

    def __init__(self) -> None:
        self._checked: set[str] = set()
        self._loaded: dict[str, _Loaded] = {}

    def look(self, reloaded: Mapping[str, float] | None = None) -> None:
        """Record what was imported and reloaded since the last call.

        Args:
            reloaded: modification times (``st_mtime``) of the files that IPython's autoreload has read, by module.
        """
        for name in sys.modules.keys() - self._checked:
            self._checked.add(name)
            module = sys.modules.get(name)
            if (path := file_of(module)) is not None:
                self._loaded[name] = _Loaded(path, getattr(module, "__spec__", None), stamp_of(path))
        for name, entry in list(self._loaded.items()):
            module = sys.modules.get(name)
            if module is None:
                del self._loaded[name]
                self._checked.discard(name)
                continue
            spec = getattr(module, "__spec__", None)
            patched = entry.stamp is not None and (reloaded or {}).get(name, 0.0) > entry.stamp[0] / 1e9 + 1e-6
            if spec is not entry.spec or patched:
                entry.spec, entry.stamp = spec, stamp_of(entry.path)

    def names(self) -> list[str]:
        """Return the names of the modules."""
        return [name for name in self._loaded if name in sys.modules]

    def is_outdated(self, name: str) -> bool:
        """True if the module's file was edited after this process read it."""
        entry = self._loaded.get(name)
        return entry is not None and stamp_of(entry.path) not in (entry.stamp, None)


loaded = LoadedModules()
"""This process's."""


def warnings_of(files: Iterable[ModuleFile]) -> list[str]:
    """Return a message for each module of *files* whose copy in this process is older than its file."""
    return [
        f"{file.label} changed after this kernel imported it. Runners use the new version; constants, base classes and decorators"
        f" that a cell imported from it are the old ones: run importlib.reload({file.name}) and the cells that import from it"
        " again, or use %autoreload 2"
        for file in files
        if loaded.is_outdated(file.name)
    ]
