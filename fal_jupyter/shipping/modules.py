"""``local_python_modules``: the runners import them from where the notebook does; a change in them is a change of the app."""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Iterable, Iterator
from pathlib import Path


def fingerprint_of_modules(names: Iterable[str]) -> dict[str, str]:
    """Give a part for each named module: what its files (of a package, all its Python files) hold on disk now.

    A name that cannot be found has a part too: it appears later, and that is a change. In the real package such names
    are not checked either (measured on 1.83).
    """
    return {f"module {name}": _digest(name) for name in names}


def missing_modules(names: Iterable[str]) -> list[str]:
    """Give the names that nothing can be imported by."""
    return [name for name in names if not list(_files(name))]


def _digest(name: str) -> str:
    found = hashlib.sha256()
    for path in _files(name):
        try:
            found.update(f"{path}\0".encode() + path.read_bytes() + b"\0")
        except OSError:
            continue  # gone between the two looks
    return found.hexdigest()


def _files(name: str) -> Iterator[Path]:
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError):  # a parent package that is missing or breaks; a module without a spec
        return
    if spec is None:
        return
    if spec.origin is not None and spec.has_location:
        yield Path(spec.origin)
    for folder in spec.submodule_search_locations or ():
        yield from sorted(path for path in Path(folder).rglob("*.py") if str(path) != spec.origin)
