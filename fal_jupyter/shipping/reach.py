"""What a class reaches in the notebook: every global, closure cell, default and base it would drag along."""

from __future__ import annotations

import builtins
import dis
import functools
import inspect
import types
import typing
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from fal_jupyter.shipping.pickling import is_local, resolved


@dataclass(frozen=True, slots=True)
class Reached:
    """One name that user code looks up outside itself; *via* is the first function or class that does."""

    name: str
    value: Any
    via: str
    missing: bool = False


def reached_by(cls: type) -> list[Reached]:
    """Give everything that *cls* reaches in its notebook or script, itself left out, nearest first, each name once."""
    walk = _Walk()
    walk.visit_class(cls)
    while walk.todo:
        walk.visit(*walk.todo.pop(0))
    return [reached for reached in walk.found.values() if reached.value is not cls]


class _Walk:
    def __init__(self) -> None:
        self.found: dict[str, Reached] = {}
        self.seen: set[int] = set()
        self.todo: list[tuple[Any, str]] = []

    def visit(self, value: Any, via: str) -> None:
        if id(value) in self.seen:
            return
        if isinstance(value, type) and is_local(value):
            self.visit_class(value)
        elif isinstance(value, types.FunctionType) and is_local(value):
            self.visit_function(value)
        elif isinstance(value, functools.partial):
            self.visit(value.func, via)
        else:
            self.visit_annotation(value, via)

    def visit_class(self, cls: type) -> None:
        self.seen.add(id(cls))
        for base in cls.__bases__:
            if is_local(base):
                self._note(base.__name__, base, cls.__qualname__)
        for hint in resolved(cls).values():
            self.visit_annotation(hint, cls.__qualname__)
        for member in list(vars(cls).values()):
            for function in _functions_in(member):
                self.visit_function(function)

    def visit_function(self, function: types.FunctionType) -> None:
        if id(function) in self.seen or function.__globals__.get("__name__") != "__main__":
            return  # generated or library code in the user's class: it is found by its module on arrival
        self.seen.add(id(function))
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
            self.todo.append((value, via))
            if not _is_code(value):
                self._note(name, value, via)
        for hint in resolved(function).values():
            self.visit_annotation(hint, via)
        wrapped = getattr(function, "__wrapped__", None)
        if isinstance(wrapped, types.FunctionType):
            self.visit_function(wrapped)

    def visit_annotation(self, hint: Any, via: str) -> None:
        if isinstance(hint, type) and is_local(hint) and typing.get_origin(hint) is None:
            self._note(hint.__name__, hint, via)
        for part in typing.get_args(hint):
            self.visit_annotation(part, via)

    def _note(self, name: str, value: Any, via: str, *, missing: bool = False) -> None:
        if name not in self.found:
            self.found[name] = Reached(name, value, via, missing)
            self.todo.append((value, via))


def _is_code(value: Any) -> bool:
    return isinstance(value, types.FunctionType | type)


def _functions_in(member: Any) -> Iterator[types.FunctionType]:
    if isinstance(member, types.FunctionType):
        yield member
    elif isinstance(member, staticmethod | classmethod):
        yield from _functions_in(member.__func__)
    elif isinstance(member, property):
        for function in (member.fget, member.fset, member.fdel):
            yield from _functions_in(function)
    elif isinstance(member, functools.cached_property):
        yield from _functions_in(member.func)
    elif member is not None and not isinstance(member, type):
        inner = getattr(member, "function", None) or getattr(member, "__wrapped__", None)
        if isinstance(inner, types.FunctionType):
            yield from _functions_in(inner)


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
