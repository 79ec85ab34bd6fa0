"""Finds the user's module files that an app uses: those of its code, and what these import, also within functions.

Nothing is imported to find them. Runners import a module from its current file.
"""

from __future__ import annotations

import importlib.machinery
import importlib.util
import re
import sys
from collections.abc import Iterable, Iterator
from types import ModuleType
from typing import Any

from fal_jupyter.local_modules import MOST_FILES, ModuleFile, file_of, is_users, read_module

_IMPORT = re.compile(
    r"(?:^|[;:])[ \t]*(?:from[ \t]+(\.*[\w.]*)[ \t]+import[ \t]+(\([^)]*\)|[^\n;]+)|import[ \t]+([\w., \t]+))",
    re.MULTILINE,
)
_COMMENT = re.compile("#.*")
_AS = re.compile(r"(\w+)\s+as\s+(\w+)")
_NAME = re.compile(r"(?:^|[(,])\s*([\w.]+)")


def files_used(modules: Iterable[str], sources: Iterable[str]) -> list[ModuleFile]:
    """Return the files of the user's *modules*, of the imports in *sources*, and of their imports in turn.

    Installed packages and Python's own modules are not included: a template depends on their state anyway.
    """
    finder = _Finder()
    todo = [*modules, *(name for text in sources for name in imported_names(text, ""))]
    files: dict[str, ModuleFile] = {}
    seen: set[str] = set()
    while todo and len(files) < MOST_FILES:
        name = todo.pop()
        if name in seen or not name:
            continue
        seen.add(name)
        path, folders = finder.find(name)
        if path is None or (read := read_module(name, path)) is None:
            continue
        files[name], data = read
        package = name if folders is not None else name.rpartition(".")[0]
        todo += imported_names(data.decode("utf-8", "replace"), package)
        if (module := sys.modules.get(name)) is not None:
            todo += (home.__name__ for value in list(vars(module).values()) if (home := home_module(value)) is not None)
    return list(files.values())


def imported_names(text: str, package: str) -> Iterator[str]:
    """Yield the modules that a source may import, by full name, with the packages around them.

    Matched by line, so a docstring can add a false one, and ``from a import b`` yields both ``a`` and ``a.b``.
    """
    for origin, names, plain in _IMPORT.findall(text):
        if plain:
            for name in _NAME.findall(plain):
                yield from _with_parents(name)
            continue
        base = origin.lstrip(".")
        if level := len(origin) - len(base):
            above = package.split(".")[: 1 - level or None] if package else []
            base = ".".join([*above, *([base] if base else [])])
        if base:
            yield from _with_parents(base)
            yield from (f"{base}.{name}" for name in _NAME.findall(_COMMENT.sub("", names)))


def renamed_names(text: str) -> Iterator[tuple[str, str, str]]:
    """Yield ``(c, a, b)`` for each ``from a import b as c`` of a source."""
    for origin, names, _ in _IMPORT.findall(text):
        if origin and not origin.startswith("."):
            yield from ((new, origin, name) for name, new in _AS.findall(_COMMENT.sub("", names)))


def _with_parents(name: str) -> Iterator[str]:
    parts = name.split(".")
    yield from (".".join(parts[:end]) for end in range(1, len(parts) + 1))


def home_module(value: object) -> ModuleType | None:
    """Return *value* if it is a module, or else the module named in its ``__module__``."""
    if isinstance(value, ModuleType):
        return value
    try:
        return sys.modules.get(value.__module__)
    except Exception:  # it has none, or is a user's proxy without a target
        return None


class _Finder:
    """Finds modules by name, without importing them or their packages."""

    def __init__(self) -> None:
        self._cache: dict[str, tuple[str | None, list[str] | None]] = {}

    def find(self, name: str) -> tuple[str | None, list[str] | None]:
        """Return the module's file (None if it is not the user's), and the folders of its submodules if it is a package."""
        if name not in self._cache:
            self._cache[name] = self._loaded(sys.modules[name]) if name in sys.modules else self._located(name)
        return self._cache[name]

    @staticmethod
    def _loaded(module: Any) -> tuple[str | None, list[str] | None]:
        path = file_of(module)
        try:
            folders = list(module.__path__)
        except Exception:
            folders = None
        is_of_user = path is not None or getattr(module, "__file__", None) is None  # a namespace package has no file
        return path, folders if is_of_user else None

    def _located(self, name: str) -> tuple[str | None, list[str] | None]:
        parent = name.rpartition(".")[0]
        if name in sys.stdlib_module_names:
            return None, None
        try:
            if not parent:
                spec = importlib.util.find_spec(name)
            elif (folders := self.find(parent)[1]) is not None:
                spec = importlib.machinery.PathFinder.find_spec(name, folders)
            else:
                return None, None
        except Exception:  # a user's finder may raise anything
            return None, None
        if spec is None:
            return None, None
        inside = spec.submodule_search_locations
        if spec.origin is None or not spec.has_location:
            return None, list(inside) if inside is not None else None
        return (spec.origin, list(inside) if inside is not None else None) if is_users(spec.origin) else (None, None)
