"""Packing: serializes a class and everything it reaches in the notebook, with the information for its publication."""

from __future__ import annotations

import importlib.util
import linecache
import logging
import sys
import types
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from fal_jupyter.domain.errors import NotPicklable
from fal_jupyter.local_modules import ModuleFile, loaded, warnings_of
from fal_jupyter.shipping import pickling
from fal_jupyter.shipping.captures import (
    Capture,
    Part,
    has_changed_meanwhile,
    parts_of,
    reason_of,
    separate_parts,
    travels_by_name,
)
from fal_jupyter.shipping.dependencies import Dependency, DependencyGraph, walk
from fal_jupyter.shipping.files.local_files import files_used, home_module, imported_names, renamed_names
from fal_jupyter.shipping.fingerprint import code_digest, contents_digest, digest
from fal_jupyter.shipping.generators import travels_with_its_state
from fal_jupyter.shipping.loggers import left_behind

HEAVY = 1 << 20
PRELOADABLE = ("numpy", "torch", "PIL")
_ABSENT = object()
ATTEMPTS = 5


@dataclass(frozen=True, slots=True)
class Shipment:
    """A packed class and its description. *files* are the user's modules that runners import."""

    payload: bytes
    source: dict[str, str]
    fingerprint: dict[str, str]
    captures: tuple[Capture, ...]
    preload: list[str]
    warnings: list[str]
    files: list[ModuleFile]


def pack(
    cls: type, *, namespace: Mapping[str, object] | None = None, cell_of: Callable[[str], str] = lambda name: ""
) -> Shipment:
    """Pack *cls* by value, with everything it reaches in the notebook.

    Args:
        cls: a class defined in the notebook, in a script, or in an importable module.
        namespace: the user's variables; needed only if the functions of *cls* do not refer to them.
        cell_of: returns the cell that bound a name, as ``"cell [3]"``, or ``""``.

    Objects that another thread changes meanwhile are read again, a few times.

    Raises:
        NotPicklable: an object cannot be sent; the message names it, its cell and what to do instead.
    """
    for _ in range(ATTEMPTS - 1):
        try:
            return _pack(cls, cell_of)
        except (NotPicklable, RuntimeError) as error:
            if not has_changed_meanwhile(error.__context__ if isinstance(error, NotPicklable) else error):
                raise
    return _pack(cls, cell_of)


def _pack(cls: type, cell_of: Callable[[str], str]) -> Shipment:
    graph = walk(cls)
    separate = separate_parts(graph)
    parts = list(parts_of(graph, separate, cell_of))
    try:
        payload = pickling.dumps_shipment(cls)
    except Exception as error:
        raise NotPicklable(
            f"{cls.__name__} cannot be sent to a runner: {reason_of(error)}",
            hint="a class attribute or default value contains it: create it inside setup() instead",
            where=cls.__name__,
        ) from None
    fingerprint = _digests(cls, code_digest(cls, separate), parts)
    for name, value_digest in _names_of_libraries(graph.dependencies):
        fingerprint.setdefault(f"variable {name}", value_digest)
    source = _sources(graph)
    files = files_used({*graph.modules, *_modules(graph)}, source.values())
    files += files_used(_origins(graph.dependencies, files), ())
    fingerprint |= {f"module {file.name}": file.digest for file in files}
    captures = [part.capture for part in parts]
    return Shipment(
        payload=payload,
        source=source,
        fingerprint=fingerprint,
        captures=tuple(captures),
        preload=_preload(graph),
        warnings=[
            *(_warning_of_size(capture, cls) for capture in _heaviest(captures)),
            *_warnings_of_loggers(graph.dependencies),
            *_warnings_of_generators(graph.dependencies, cell_of),
            *warnings_of(files),
        ],
        files=files,
    )


def _digests(cls: type, own: str, parts: Iterable[Part]) -> dict[str, str]:
    """Return the digest of each part by its label; several parts with one label have one digest, independent of order."""
    digests_of: dict[str, list[str]] = {f"class {cls.__name__}": [own]}
    for part in parts:
        if part.capture.digest:
            digests_of.setdefault(part.label, []).append(part.capture.digest)
    return {label: digest("".join(sorted(digests)).encode()) for label, digests in digests_of.items()}


def _names_of_libraries(dependencies: Iterable[Dependency]) -> Iterator[tuple[str, str]]:
    """Yield the names in the notebook that refer to objects of libraries (``Model = AutoModel``), each with an identification."""
    for dependency in dependencies:
        value = dependency.value
        if dependency.missing or dependency.unnamed:
            continue
        if isinstance(value, types.ModuleType):
            yield dependency.name, digest(f"module {value.__name__}".encode())
        elif travels_by_name(value):
            yield dependency.name, contents_digest(value)


def _sources(graph: DependencyGraph) -> dict[str, str]:
    """Return the text of each cell and file that contains the code."""
    texts: dict[str, str] = {}
    for code in graph.code:
        name = code.co_filename
        if name not in texts and (lines := linecache.getlines(name)):
            texts[name] = "".join(lines)
    return texts


def _modules(graph: DependencyGraph) -> Iterator[str]:
    """Yield the names of modules that the sent code refers to: captured, referred to by name, or imported in functions."""
    for value in (*graph.root.__mro__, *(dependency.value for dependency in graph.dependencies)):
        if (home := home_module(value)) is not None:
            yield home.__name__
    yield from graph.imports()


def _origins(dependencies: Iterable[Dependency], listed: Iterable[ModuleFile]) -> set[str]:
    """Return the modules that captured variables were imported from (``from settings import SIZE``), that are not among *listed*.

    A plain value has no origin: the user's module that has it under that name is assumed. If there are several,
    those that a cell imports it from; under another name (``from settings import SIZE as N``), the one that a cell names.
    """
    origins: set[str] = set()
    renamed = list(_renamed_by_cells())
    for dependency in dependencies:
        if dependency.missing or home_module(dependency.value) is not None:
            continue
        name, value, users = dependency.name, dependency.value, loaded.names()
        homes = {user for user in users if vars(sys.modules[user]).get(name, _ABSENT) is value}
        names = {module: original for as_name, module, original in renamed if as_name == name and module in users}
        homes |= {
            module for module, original in names.items() if vars(sys.modules[module]).get(original, _ABSENT) is value
        }
        if len(homes) > 1 and not homes & names.keys():
            homes = {home for home in homes if f"{home}.{name}" in _imported_by_cells()}
        origins |= homes
    return origins.difference(file.name for file in listed)


def _imported_by_cells() -> set[str]:
    return {name for text in _cells() for name in imported_names(text, "")}


def _renamed_by_cells() -> Iterator[tuple[str, str, str]]:
    for text in _cells():
        yield from renamed_names(text)


def _cells() -> list[str]:
    entries = list(linecache.cache.values())
    return ["".join(entry[2]) for entry in entries if len(entry) == 4 and entry[1] is None]


def _preload(graph: DependencyGraph) -> list[str]:
    """Return the libraries that a template imports before it forks runners of this app."""
    values = [dependency.value for dependency in graph.dependencies]
    named = {value.__name__.split(".")[0] for value in values if isinstance(value, types.ModuleType)}
    named |= {type(value).__module__.split(".")[0] for value in values}
    named |= {*graph.imports(), *graph.global_names()}
    if "torch" in named:
        named.add("numpy")
    return [name for name in PRELOADABLE if name in named and (name in sys.modules or _is_installed(name))]


def _is_installed(name: str) -> bool:
    return importlib.util.find_spec(name) is not None


def _heaviest(captures: list[Capture]) -> list[Capture]:
    """Return warnings: about large objects, and about large code only if no object explains it."""
    heavy = [capture for capture in captures if capture.size > HEAVY]
    return [capture for capture in heavy if capture.kind in ("variable", "module")] or heavy


def _warning_of_size(capture: Capture, cls: type) -> str:
    origin = f" ({capture.cell})" if capture.cell else ""
    return (
        f"{cls.__name__} sends the notebook's {capture.kind} {capture.name!r}{origin} to each runner: {capture.size / 1e6:.1f} MB "
        f"({capture.size:,} bytes). Load it inside setup() instead."
    )


def _warnings_of_loggers(dependencies: Iterable[Dependency]) -> list[str]:
    loggers = (dependency.value for dependency in dependencies if isinstance(dependency.value, logging.Logger))
    return list(dict.fromkeys(sentence for logger in loggers for sentence in left_behind(logger)))


def _warnings_of_generators(dependencies: Iterable[Dependency], cell_of: Callable[[str], str]) -> Iterator[str]:
    """Yield a message for each random generator of the notebook: as in the real package, each runner starts with a copy of its state."""
    for dependency in dependencies:
        if travels_with_its_state(dependency.value):
            origin = f" ({cell})" if (cell := cell_of(dependency.name)) else ""
            yield (
                f"{dependency.name}{origin} is a random generator that is sent with its state, so every runner draws the same numbers "
                "from it: create it in setup() to get different numbers in each runner"
            )
