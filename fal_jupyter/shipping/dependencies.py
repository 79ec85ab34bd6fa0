"""What a class reaches in the notebook: every global, closure cell, default and base it would drag along."""

from __future__ import annotations

import asyncio
import builtins
import dis
import functools
import inspect
import itertools
import queue
import sys
import threading
import types
import typing
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from fal_jupyter.shipping.classes import is_derived
from fal_jupyter.shipping.generators import is_shared
from fal_jupyter.shipping.pickling import resolved
from fal_jupyter.shipping.reducers import is_local


@dataclass(frozen=True, slots=True)
class Dependency:
    """One thing that user code reaches; *via* is the first function or class that does.

    *held*: the class itself holds it (an attribute, a default), so it has a name of the notebook by chance only.
    *holder*: the class that has it as an attribute.
    """

    name: str
    value: Any
    via: str
    missing: bool = False
    held: bool = False
    holder: type | None = None


def reached_by(cls: type) -> list[Dependency]:
    """Give everything that *cls* reaches in its notebook or script, itself left out, nearest first, each thing once."""
    return reach(cls)[0]


def reach(cls: type) -> tuple[list[Dependency], set[str]]:
    """Give that, and the names of the modules whose classes and functions are met on the way (bases, annotations, decorators)."""
    walk = _Walk()
    walk.visit_class(cls)
    while walk.todo:
        walk.visit(*walk.todo.pop(0))
    return [reached for reached in walk.found.values() if reached.value is not cls], walk.modules


class _Walk:
    def __init__(self) -> None:
        self.found: dict[tuple[str, int], Dependency] = {}
        self.seen: dict[int, Any] = {}  # by identity; kept, so that no identity is used twice
        self.todo: list[tuple[Any, str]] = []
        self.modules: set[str] = set()

    def visit(self, value: Any, via: str) -> None:
        if id(value) in self.seen:
            return
        if isinstance(value, type):
            self.modules.add(_module_of(value))
        if isinstance(value, type) and is_local(value):
            self.visit_class(value)
        elif type(value) is types.FunctionType:
            self.visit_function(value)
        elif type(value) not in _ATOMS and not isinstance(value, type | types.ModuleType):
            self.seen[id(value)] = value
            for function in functions_in(value):
                self.visit_function(function)
            for part in parts_of(value):
                self._meet(part, via)

    def visit_class(self, cls: type) -> None:
        self.seen[id(cls)] = cls
        via = cls.__qualname__
        for base in cls.__bases__:
            self._meet(base, via)
        for hint in resolved(cls).values():
            self._meet(hint, via)
        for name, member in list(vars(cls).items()):
            if name in TABLES:
                self._meet(member, via)
            elif next(functions_in(member), None) is not None:
                for function in functions_in(member):
                    self.visit_function(function)
            elif not (is_dunder(name) or name in OF_PYTHON or isinstance(member, cls) or is_derived(member)):
                self._hold(f"{cls.__name__}.{name}", member, via, cls)

    def visit_function(self, function: types.FunctionType) -> None:
        if id(function) in self.seen:
            return
        self.seen[id(function)] = function
        home = function.__globals__.get("__name__")
        if (
            home != "__main__"
        ):  # library code in the user's class is found by its module on arrival; what it wraps is the user's
            self.modules.add(str(home))
            for value in _wrapped_by(function):
                for inner in functions_in(value):
                    self.visit_function(inner)
            return
        via = function.__qualname__
        for name in global_names(function.__code__):
            if name in function.__globals__:
                self._note(name, function.__globals__[name], via)
            elif not hasattr(builtins, name) or name in ("get_ipython", "display"):
                self._note(name, getattr(builtins, name, None), via, missing=True)
        try:
            captured = inspect.getclosurevars(function).nonlocals
        except ValueError:
            captured = {}
        for name, value in captured.items():
            if _is_code(value):
                self._meet(value, via)
            else:
                self._note(name, value, via)
        for name, value in defaults_of(function).items():
            self._hold(name, value, via)
        for hint in resolved(function).values():
            self._meet(hint, via)
        for wrapped in functions_in(getattr(function, "__wrapped__", None)):
            self.visit_function(wrapped)

    def _meet(self, value: Any, via: str) -> None:
        """Something without a name of its own, or with one that says what it is."""
        if _is_code(value) and is_local(value) and typing.get_origin(value) is None:
            self._note(value.__name__, value, via)
        elif isinstance(value, SHARED) and (known := name_in_notebook(value)):
            self._note(known, value, via)
        else:
            self.todo.append((value, via))

    def _hold(self, name: str, value: Any, via: str, holder: type | None = None) -> None:
        if _is_code(value) or type(value) in _SMALL:
            self.todo.append((value, via))
        elif known := name_in_notebook(value):
            self._note(known, value, via)
        else:
            self._note(name, value, via, held=True, holder=holder)

    def _note(self, name: str, value: Any, via: str, **how: Any) -> None:
        if (name, id(value)) not in self.found:
            self.found[name, id(value)] = Dependency(name, value, via, **how)
            self.todo.append((value, via))


# A copy of these would not act on the first one. Where the notebook has no name for them, they are part of an object that travels
# as a copy, and made anew with it.
SHARED = (
    *(type(threading.Lock()), type(threading.RLock()), threading.Condition, threading.Semaphore, threading.Event),
    *(threading.Barrier, threading.Thread, threading.local, queue.Queue, queue.SimpleQueue),
    *(asyncio.Lock, asyncio.Event, asyncio.Condition, asyncio.Semaphore, asyncio.Queue, asyncio.Barrier),
)
_ATOMS = (type(None), bool, int, float, complex, str, bytes, bytearray)
_SMALL = (type(None), bool, int, float, complex)
TABLES = ("__pydantic_fields__", "__dataclass_fields__", "__private_attributes__")
OF_PYTHON = ("_abc_impl", "_member_map_", "_value2member_map_", "_member_names_", "model_config")
_HOLDERS = ("pydantic", "fastapi", "dataclasses", "annotated_types")
_HELD = ("default", "default_factory", "func", "dependency", "metadata")
_MANY = 10_000
_LONG = 4096


def _module_of(cls: type) -> str:
    try:
        return str(cls.__module__)
    except Exception:  # a metaclass of the user's
        return ""


def _wrapped_by(function: types.FunctionType) -> Iterator[Any]:
    yield getattr(function, "__wrapped__", None)
    for cell in function.__closure__ or ():
        try:
            yield cell.cell_contents
        except ValueError:  # it is empty
            pass


def _is_code(value: Any) -> bool:
    return type(value) is types.FunctionType or isinstance(value, type)


def name_in_notebook(value: Any) -> str:
    """Give the notebook's own name of a thing, or ``""``; small texts are shared by chance."""
    if isinstance(value, str | bytes) and len(value) < _LONG:
        return ""
    variables = vars(sys.modules.get("__main__", types.ModuleType("none")))
    return next((name for name, known in list(variables.items()) if known is value and not name.startswith("_")), "")


def is_dunder(name: str) -> bool:
    return name.startswith("__") and name.endswith("__")


def defaults_of(function: types.FunctionType) -> dict[str, Any]:
    """Give the default values of a function by their parameters' names."""
    code, values = function.__code__, function.__defaults__ or ()
    names = code.co_varnames[code.co_argcount - len(values) : code.co_argcount]
    return dict(zip(names, values, strict=True)) | (function.__kwdefaults__ or {})


def parts_of(value: Any) -> Iterator[Any]:
    """Give what a value holds, as far as user code may be in it."""
    yield from typing.get_args(value)
    if isinstance(value, dict):
        yield from itertools.islice(value.values(), _MANY)
    elif isinstance(value, list | tuple | set | frozenset):
        yield from itertools.islice(value, _MANY)
    elif isinstance(value, functools.partial):
        yield from (value.func, *value.args, *value.keywords.values())
    elif isinstance(value, types.MethodType) and not is_shared(value):
        yield from (value.__func__, value.__self__)
    elif type(value).__module__.startswith(_HOLDERS):
        yield from (getattr(value, name, None) for name in _HELD)
    elif is_local(type(value)):
        yield type(value)
        yield from getattr(value, "__dict__", {}).values()


def functions_in(member: Any) -> Iterator[types.FunctionType]:
    if type(member) is types.FunctionType:
        yield member
    elif isinstance(member, staticmethod | classmethod):
        yield from functions_in(member.__func__)
    elif isinstance(member, property):
        for function in (member.fget, member.fset, member.fdel):
            yield from functions_in(function)
    elif isinstance(member, functools.cached_property):
        yield from functions_in(member.func)
    elif member is not None and not isinstance(member, type):
        for inner in (_static(member, "function"), _static(member, "__wrapped__")):
            if type(inner) is types.FunctionType:
                yield from functions_in(inner)


def _static(thing: Any, name: str) -> Any:
    """An attribute, without running code of the user's that answers for it."""
    return inspect.getattr_static(thing, name, None)


def global_names(code: types.CodeType) -> list[str]:
    """Names that *code* and the code inside it look up as globals, in order, each once."""
    names: dict[str, None] = {}
    for instruction in dis.get_instructions(code):
        if instruction.opname in ("LOAD_GLOBAL", "LOAD_NAME", "STORE_GLOBAL") and isinstance(instruction.argval, str):
            names[instruction.argval] = None
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            names.update(dict.fromkeys(global_names(constant)))
    return list(names)
