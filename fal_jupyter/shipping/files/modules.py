"""``local_python_modules``: their source is sent with the app, so that runners have them as they were when it was published.

An edit is a change of the app, effective with its next revision. Other files (data, compiled modules) are read from the
package's folder.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from fal_jupyter.protocol.api import ModuleSource


def pack_modules(names: Iterable[str]) -> dict[str, ModuleSource]:
    """Return the source of each named module, and of all modules of its package, by full name.

    Names that cannot be found are skipped; the real package does not check them either (measured on 1.83).
    """
    sources: dict[str, ModuleSource] = {}
    for name in dict.fromkeys(name.partition(".")[0] for name in names):
        sources.update(_pack(name))
    return sources


def missing_modules(names: Iterable[str], modules: Mapping[str, ModuleSource]) -> list[str]:
    """Return those of *names* that are neither in *modules* nor importable."""
    return [name for name in names if name not in modules and not _importable(name)]


def fingerprint_of_modules(names: Iterable[str], modules: Mapping[str, ModuleSource]) -> dict[str, str]:
    """Return a part for each named module: what its sources are now.

    A name that cannot be found has a part too: it appears later, and that is a change.
    """
    return {f"module {name}": _digest(name.partition(".")[0], modules) for name in names}


def _digest(top: str, modules: Mapping[str, ModuleSource]) -> str:
    own = {name: dict(source) for name, source in modules.items() if name == top or name.startswith(f"{top}.")}
    return hashlib.sha256(json.dumps(own, sort_keys=True).encode()).hexdigest()


def _importable(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):  # a parent package that is missing or breaks; a module without a spec
        return False


def _pack(name: str) -> Iterator[tuple[str, ModuleSource]]:
    importlib.invalidate_caches()  # a file that was written a moment ago counts
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        return
    if spec is None:
        return
    if spec.submodule_search_locations is None:
        if spec.origin is not None and spec.origin.endswith(".py") and (text := _source(Path(spec.origin))) is not None:
            yield name, ModuleSource(path=spec.origin, text=text, folders=None)
        return
    folders = [str(folder) for folder in spec.submodule_search_locations]
    if spec.origin is None or not spec.has_location:  # a namespace package: folders without a module of their own
        yield name, ModuleSource(path="", text="", folders=folders)
    for folder in folders:
        for path in sorted(Path(folder).rglob("*.py")):
            parts = path.relative_to(folder).with_suffix("").parts
            package = parts[-1] == "__init__"
            full = ".".join((name, *(parts[:-1] if package else parts)))
            if all(part.isidentifier() for part in parts) and (text := _source(path)) is not None:
                yield full, ModuleSource(path=str(path), text=text, folders=[str(path.parent)] if package else None)


def _source(path: Path) -> str | None:
    try:
        return importlib.util.decode_source(path.read_bytes())
    except (OSError, SyntaxError, UnicodeDecodeError):  # gone meanwhile, or no text: then it is imported where it is
        return None
