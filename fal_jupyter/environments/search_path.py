"""Finds the user's own entries of a kernel's ``sys.path``, which an app keeps in an isolated environment."""

from __future__ import annotations

import importlib.machinery
import os
import site
import sys
import sysconfig
from collections.abc import Iterable
from pathlib import Path


def users_own(path: Iterable[str]) -> list[str]:
    """Return the entries of *path* that belong neither to this interpreter's library nor to its installed packages (including ``.pth`` files)."""
    homes = [*site.getsitepackages(), site.getusersitepackages(), sysconfig.get_path("stdlib")]
    homes += [sysconfig.get_path("platstdlib"), os.path.join(sys.base_prefix, "lib"), sysconfig.get_path("scripts")]
    linked = {entry for home in homes for entry in _linked(Path(home))}
    return [
        entry
        for entry in path
        if os.path.realpath(entry) not in linked
        and not any(
            os.path.abspath(entry).startswith(home.rstrip("/") + "/") or os.path.abspath(entry) == home
            for home in homes
        )
    ]


def shadowed(modules: Iterable[str], path: list[str]) -> set[str]:
    """Return those of *modules* that are found on *path*."""
    return {name for name in modules if importlib.machinery.PathFinder.find_spec(name, path) is not None}


def _linked(home: Path) -> Iterable[str]:
    for file in home.glob("*.pth"):
        try:
            lines = file.read_text().splitlines()
        except (OSError, UnicodeDecodeError):
            continue
        for line in lines:
            text = line.strip()
            if text and not text.startswith(("#", "import ", "import\t")):
                yield os.path.realpath(home / text)
