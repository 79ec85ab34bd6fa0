"""Packing: what a class drags along is named and weighed; what cannot travel is refused with what to do instead."""

from __future__ import annotations

import dis
import importlib.util
import io
import linecache
import logging
import re
import sys
import types
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from fal_jupyter.domain.errors import NotPicklable
from fal_jupyter.local_modules import ModuleFile, loaded, warnings_of
from fal_jupyter.shipping import pickling
from fal_jupyter.shipping.classes import library_of
from fal_jupyter.shipping.dependencies import SHARED, Dependency, functions_in, global_names, name_in_notebook, reach
from fal_jupyter.shipping.fingerprint import code_digest, contents_digest, digest
from fal_jupyter.shipping.generators import is_shared, travels_with_its_state
from fal_jupyter.shipping.local_files import files_used, home_module, imported_names, renamed_names
from fal_jupyter.shipping.loggers import left_behind
from fal_jupyter.shipping.reducers import is_local

HEAVY = 1 << 20
SMALL = 4096
PRELOADABLE = ("numpy", "torch", "PIL")
_ABSENT = object()
_SHELL_NAMES = ("get_ipython", "display", "In", "Out", "_ih", "_oh", "exit", "quit")


@dataclass(frozen=True, slots=True)
class Capture:
    """One thing of the notebook that the class takes along. *size* is in bytes as pickled, 0 for what goes by name.

    ``kind`` is ``variable``, ``function``, ``class`` or ``module``; ``cell`` is ``"cell [3]"`` or ``""``.
    """

    name: str
    kind: str
    size: int
    cell: str
    digest: str


@dataclass(frozen=True, slots=True)
class Shipment:
    """A packed class and what is known of it. *files* are the user's modules that runners import."""

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
    """Pack *cls* by value, with all it reaches in the notebook.

    Args:
        cls: a class defined in the notebook, in a script, or in an importable module.
        namespace: the user's variables; the functions of *cls* know them, so this is for callers without one only.
        cell_of: gives the cell that bound a name, as ``"cell [3]"``, or ``""``.

    Raises:
        NotPicklable: something cannot travel; the message names it, its cell and what to do instead.
    """
    reached, modules = reach(cls)
    captures = _captures(reached, cls, cell_of)
    try:
        payload = pickling.dumps_shipment(cls)
    except Exception as error:
        raise NotPicklable(
            f"{cls.__name__} cannot be sent to a runner: {_why(error)}",
            hint="a class attribute or default value holds it: make it inside setup() instead",
            where=cls.__name__,
        ) from None
    fingerprint = {f"class {cls.__name__}": code_digest(cls)}
    for capture in captures:
        part = f"{capture.kind} {capture.name}"
        if capture.digest:  # two things of one name are one part
            fingerprint[part] = digest((fingerprint.get(part, "") + capture.digest).encode())
    source = _sources([cls, *(r.value for r in reached)])
    files = files_used({*modules, *_modules(cls, reached)}, source.values())
    files += files_used(_origins(reached, files), ())
    fingerprint |= {f"module {file.name}": file.digest for file in files}
    return Shipment(
        payload=payload,
        source=source,
        fingerprint=fingerprint,
        captures=tuple(captures),
        preload=_preload(cls, reached),
        warnings=[
            *(_heavy(c, cls) for c in _heaviest(captures)),
            *_left_behind(reached),
            *_same_numbers(reached, cell_of),
            *warnings_of(files),
        ],
        files=files,
    )


def _modules(cls: type, reached: list[Dependency]) -> Iterator[str]:
    """Give the names of modules that what travels refers to: captured, found by name, or imported in functions."""
    for value in (*cls.__mro__, *(one.value for one in reached)):
        if (home := home_module(value)) is not None:
            yield home.__name__
    for code in _code_objects([cls, *(one.value for one in reached)]):
        yield from _imports(code)


def _origins(reached: list[Dependency], known: list[ModuleFile]) -> set[str]:
    """Give the modules that captured variables were imported from (``from settings import SIZE``), beside those *known*.

    A plain value does not say where it is from: the module of the user's that has it under that name is taken for it. Of several
    ones, those that a cell imports it from; under another name (``from settings import SIZE as N``), the one that a cell names.
    """
    found: set[str] = set()
    renamed = list(_renamed_by_cells())
    for one in reached:
        if one.missing or home_module(one.value) is not None:
            continue
        users = loaded.names()
        of = {name for name in users if vars(sys.modules[name]).get(one.name, _ABSENT) is one.value}
        names = {module: name for as_name, module, name in renamed if as_name == one.name and module in users}
        of |= {module for module, name in names.items() if vars(sys.modules[module]).get(name, _ABSENT) is one.value}
        if len(of) > 1 and not of & names.keys():
            of = {name for name in of if f"{name}.{one.name}" in _imported_by_cells()}
        found |= of
    return found.difference(file.name for file in known)


def _imported_by_cells() -> set[str]:
    return {name for text in _cells() for name in imported_names(text, "")}


def _renamed_by_cells() -> Iterator[tuple[str, str, str]]:
    for text in _cells():
        yield from renamed_names(text)


def _cells() -> list[str]:
    entries = list(linecache.cache.values())
    return ["".join(entry[2]) for entry in entries if len(entry) == 4 and entry[1] is None]


def _left_behind(reached: list[Dependency]) -> list[str]:
    told = (told for one in reached if isinstance(one.value, logging.Logger) for told in left_behind(one.value))
    return list(dict.fromkeys(told))


def _same_numbers(reached: list[Dependency], cell_of: Callable[[str], str]) -> Iterator[str]:
    """Give a sentence for each random generator of the notebook: as in the real package, each runner starts with a copy of its state."""
    for one in reached:
        if travels_with_its_state(one.value):
            place = f" ({cell})" if (cell := cell_of(one.name)) else ""
            yield (
                f"{one.name}{place} is a random generator and travels with its state, so every runner draws the same numbers from it: "
                "make it in setup() for numbers of each runner's own"
            )


def _captures(reached: list[Dependency], cls: type, cell_of: Callable[[str], str]) -> list[Capture]:
    found, refused = [], None
    for one in reached:
        try:
            capture = capture_of(one, cls, cell_of)
        except NotPicklable as error:
            refused = error  # the last one: what was reached before may only hold it
            continue
        if capture is not None:
            found.append(capture)
    if refused is not None:
        raise refused
    return found


def capture_of(one: Dependency, cls: type, cell_of: Callable[[str], str]) -> Capture | None:
    """Weigh one thing that *cls* reaches; ``None`` for what is no thing of the notebook, or part of another.

    Raises:
        NotPicklable: it cannot travel.
    """
    value, cell = one.value, cell_of(one.name)
    imported = one.name == "display" and not one.missing  # a runner shows its pictures
    if one.name in _SHELL_NAMES and not imported and (one.missing or _of_the_shell(value)):
        instead = (
            "write from IPython.display import display"
            if one.name == "display"
            else f"take {one.name} out of {one.via}()"
        )
        raise NotPicklable(
            f"{one.via}() uses {one.name}, which exists in the notebook only",
            hint=f"{instead}; or return what you want to see and show it in the notebook",
            where=cls.__name__,
        )
    if one.missing:
        return None
    if isinstance(value, types.ModuleType) and value.__name__ in sys.modules:
        return Capture(one.name, "module", 0, cell, "")
    if type(value) is types.FunctionType or isinstance(value, type):
        if not is_local(value):
            return None
        kind = "class" if isinstance(value, type) else "function"
        return Capture(one.name, kind, _size(value), cell, code_digest(value))
    if next(functions_in(value), None) is not None:  # a function under a cache
        return Capture(one.name, "function", _size(value), cell, contents_digest(value))
    if _by_reference(value):
        return None
    return _weigh(one, cls, cell)


def _weigh(one: Dependency, cls: type, cell: str) -> Capture | None:
    place = f", {cell}" if cell else ""
    uses = f"{one.via}() uses the notebook variable {one.name!r}{place}"
    instead = f"make it inside setup() and keep it as self.{one.name.rpartition('.')[2]}"
    library = "" if one.holder is None else library_of(one.holder)
    if one.holder is not None and library:
        uses = f"{one.holder.__name__} is a class of {library}, whose record of it is"
        instead = f"put {one.holder.__name__} into a module of its own (a .py file beside the notebook) and import it"
    elif one.held and "." in one.name:
        uses = f"the class attribute {one.name} is"
    elif one.held:
        uses = f"{one.via}() has {one.name!r} as a default value"
    uses = uses if uses.endswith(" is") else f"{uses},"
    if (advice := _refused(one)) is not None:
        what, how = advice
        raise NotPicklable(
            f"{uses} {what}, which cannot be sent to a runner",
            hint=instead if library else f"{how} as self.{one.name.rpartition('.')[2]}",
            where=cls.__name__,
        )
    try:
        size = len(pickling.dumps(one.value))
    except Exception as error:
        raise NotPicklable(
            f"{uses} a {type(one.value).__name__}, which cannot be sent to a runner: {_why(error)}",
            hint=instead,
            where=cls.__name__,
        ) from None
    if one.held and size < SMALL:
        return None  # part of its class or function, and of their fingerprints
    kind = "module" if isinstance(one.value, types.ModuleType) else "variable"
    return Capture(one.name, kind, size, cell, contents_digest(one.value))


def _refused(one: Dependency) -> tuple[str, str] | None:
    value = one.value
    if isinstance(value, io.IOBase) and not isinstance(value, io.BytesIO | io.StringIO):
        name = getattr(value, "name", "?")
        return f"an open file ({name})", f"open({name!r}) inside setup() and keep it"
    if isinstance(value, types.GeneratorType | types.AsyncGeneratorType | types.CoroutineType):
        kind = type(value).__name__.replace("_", " ")
        return f"a {kind}", "make it inside setup() (or list() it first) and keep it"
    if isinstance(value, SHARED) and (one.held or name_in_notebook(value)):
        return (
            f"a {type(value).__qualname__}, a copy of which would not act on this one",
            "make it inside setup() and keep it",
        )
    return None


def _of_the_shell(value: Any) -> bool:
    return type(value).__module__.startswith(("IPython", "ipykernel")) or (
        getattr(value, "__module__", None) or ""
    ).startswith(("IPython.core", "ipykernel"))


def _by_reference(value: Any) -> bool:
    """True for what is found by its module and name on arrival: builtins, functions and objects of libraries."""
    if is_shared(value):
        return True
    try:
        name, module = getattr(value, "__qualname__", None), getattr(value, "__module__", None)
    except Exception:  # a proxy of the user's that has nothing to stand for
        return False
    if not isinstance(name, str) or not isinstance(module, str) or module == "__main__":
        return False
    found: Any = sys.modules.get(module)
    for part in name.split("."):
        found = getattr(found, part, None)
    return found is value


def _size(value: Any) -> int:
    try:
        return len(pickling.dumps(value))
    except Exception:
        return 0  # what it holds is refused by its own name


def _why(error: BaseException) -> str:
    text = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    return re.sub(r"^cannot pickle ", "cannot pickle ", text)


def _heaviest(captures: list[Capture]) -> list[Capture]:
    """What to warn of: the things that are heavy, and code only where none of them says why it is."""
    heavy = [capture for capture in captures if capture.size > HEAVY]
    return [capture for capture in heavy if capture.kind in ("variable", "module")] or heavy


def _heavy(capture: Capture, cls: type) -> str:
    place = f" ({capture.cell})" if capture.cell else ""
    return (
        f"{cls.__name__} takes the notebook's {capture.kind} {capture.name!r}{place} along: {capture.size / 1e6:.1f} MB "
        f"({capture.size:,} bytes) in every runner. Load it inside setup() instead."
    )


def _code_objects(values: list[Any]) -> Iterator[types.CodeType]:
    for value in values:
        members = list(functions_in(value))
        if isinstance(value, type) and is_local(value):
            members = [f for member in vars(value).values() for f in functions_in(member)]
        for function in members:
            yield function.__code__


def _sources(values: list[Any]) -> dict[str, str]:
    found = {}
    for code in _code_objects(values):
        name = code.co_filename
        if name not in found and (lines := linecache.getlines(name)):
            found[name] = "".join(lines)
    return found


def _preload(cls: type, reached: list[Dependency]) -> list[str]:
    named = {r.value.__name__.split(".")[0] for r in reached if isinstance(r.value, types.ModuleType)}
    for r in reached:
        named.add(type(r.value).__module__.split(".")[0])
    for code in _code_objects([cls, *(r.value for r in reached)]):
        named |= set(_imports(code))
        named |= {n for n in global_names(code) if n in PRELOADABLE}
    if "torch" in named:
        named.add("numpy")
    return [name for name in PRELOADABLE if name in named and (name in sys.modules or _there(name))]


def _imports(code: types.CodeType) -> Iterator[str]:
    for instruction in dis.get_instructions(code):
        if instruction.opname == "IMPORT_NAME":
            yield str(instruction.argval).split(".")[0]
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _imports(constant)


def _there(name: str) -> bool:
    return importlib.util.find_spec(name) is not None
