"""Finds the files of ``app_files``, by their path below the app's context folder."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fal_jupyter.domain.errors import AppRuleBroken


@dataclass(frozen=True, slots=True)
class AppFiles:
    """The files of an app by their path below the context folder, and the app's own path in it."""

    files: dict[str, Path]
    place: str
    missing: tuple[str, ...]

    def fingerprint(self) -> dict[str, str]:
        """One part per file."""
        return {f"app file {name}": _digest(path) for name, path in sorted(self.files.items())}


def collect_for(hosted: Mapping[str, Any], base: Path) -> AppFiles:
    """Find the files that a class's ``host_kwargs`` name; *base* and errors are those of :func:`collect`."""
    context, ignore = hosted.get("app_files_context_dir"), hosted.get("app_files_ignore") or ()
    return collect(hosted.get("app_files") or (), base=base, context=context, ignore=ignore)


def collect(paths: Sequence[str], *, base: Path, context: str | None, ignore: Sequence[str]) -> AppFiles:
    """Find the files of *paths* (fal: C138).

    Args:
        base: folder of the app's file or of the notebook. context: ``app_files_context_dir``, relative to it.
        ignore: regular expressions, searched in each file's path below the context folder.

    Raises:
        AppRuleBroken: a path leads out of the context folder.
    """
    patterns = [re.compile(pattern) for pattern in ignore]
    base = base.resolve()
    root = (base / context).resolve() if context else base
    files: dict[str, Path] = {}
    missing = []
    for listed in paths:
        path = root / listed
        if not path.is_dir() and _ignored(os.path.relpath(path, root), patterns):
            continue
        _name(path, root, listed)  # a path outside is refused even if it does not exist
        if not path.exists():
            missing.append(listed)
        for file in [path] if path.is_file() else _below(path):
            if not _ignored(os.path.relpath(file, root), patterns):
                name = _name(file, root, listed)
                if not _ignored(name, patterns):
                    files.setdefault(name, file.resolve())
    return AppFiles(files, os.path.relpath(base, root) if base.is_relative_to(root) else ".", tuple(missing))


def _ignored(name: str, patterns: Sequence[re.Pattern[str]]) -> bool:
    return any(pattern.search(name) for pattern in patterns)


def _below(folder: Path) -> Iterator[Path]:
    for directory, folders, names in os.walk(folder):
        folders.sort()
        yield from (path for name in sorted(names) if (path := Path(directory, name)).is_file())


def _name(path: Path, root: Path, pattern: str) -> str:
    name = os.path.relpath(path.resolve(), root)
    if name.split(os.sep)[0] == os.pardir:
        raise AppRuleBroken(
            f"Parent directory reference is not allowed: {name} for {pattern}",
            hint="set app_files_context_dir to a folder above it, or exclude it with app_files_ignore",
            where="app_files",
        )
    return name


def _digest(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
