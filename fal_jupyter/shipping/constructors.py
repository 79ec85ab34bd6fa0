"""Functions that pickles call to rebuild values: the counterpart of ``reducers`` and ``pickling``."""

from __future__ import annotations

import contextvars
import functools
import importlib
import sys
import types
import typing
from collections.abc import Callable, Mapping
from typing import Any, Generic, NewType

_MAIN = "__main__"


def main_namespace() -> dict[str, object]:
    """The globals of objects from the notebook: those of ``__main__`` here."""
    return vars(sys.modules[_MAIN])


def code(filename: str, make: Callable[..., types.CodeType], arguments: tuple[object, ...]) -> types.CodeType:
    """A code object that knows the cell it was written in."""
    return make(*arguments).replace(co_filename=filename)


def look_up(module: str, name: str) -> object:
    """An object of a library, by module and name."""
    return getattr(importlib.import_module(module), name)


def with_keywords(kind: Any, keywords: dict[str, object]) -> object:
    """An object created from keywords."""
    return kind(**keywords)


def set_attributes(target: object, attributes: Mapping[str, object]) -> None:
    """Fill a skeleton with its contents."""
    for name, value in attributes.items():
        setattr(target, name, value)


def typed_dict(module: str, name: str, parameters: tuple[object, ...]) -> object:
    """A TypedDict without keys yet, by the library of the original."""
    base = importlib.import_module(module).TypedDict
    generic: Any = Generic
    bases = (base, generic[parameters]) if parameters else (base,)
    created = types.new_class(name, bases)
    created.__module__ = _MAIN
    return created


def new_type(name: str, supertype: object) -> object:
    """A ``typing.NewType`` of the notebook."""
    make: Any = NewType  # type checkers would treat it as a declaration
    created = make(name, supertype)
    created.__module__ = _MAIN
    return created


def generic_getitem() -> object:
    """The function that creates ``Pair[int]`` from a generic NamedTuple."""
    generic: Any = Generic
    return generic.__class_getitem__.__func__


def cached(function: object, parameters: dict[str, Any]) -> object:
    """A function under ``functools.lru_cache``, its cache empty."""
    return functools.lru_cache(**parameters)(function)


def cached_property(function: Any, name: str | None) -> object:
    """A ``functools.cached_property``, with its name in the class."""
    created = functools.cached_property(function)
    created.attrname = name
    return created


def dispatcher(function: Any) -> object:
    """A ``functools.singledispatch`` function without implementations yet."""
    return functools.singledispatch(function)


def set_dispatcher(dispatcher: Any, state: tuple[dict[type, object], dict[str, object]]) -> None:
    """Register a dispatcher's implementations."""
    implementations, attributes = state
    for kind, function in implementations.items():
        dispatcher.register(kind, function)
    set_attributes(dispatcher, attributes)


def validated(function: Any, config: Any, validate_return: bool) -> object:
    """A function under ``pydantic.validate_call``, compiled at its first call: its types may still be incomplete."""
    from pydantic import validate_call  # start-up

    deferred: Any = {**config, "defer_build": True}
    return validate_call(config=deferred, validate_return=validate_return)(function)


def context_variable(name: str, default: tuple[object, ...]) -> object:
    """A context variable, with its default if it had one."""
    return contextvars.ContextVar(name, default=default[0]) if default else contextvars.ContextVar(name)


def type_parameter(
    kind: str,
    name: str,
    keywords: dict[str, object],
    bound: object,
    constraints: tuple[object, ...],
    default: tuple[object, ...],
) -> object:
    """A TypeVar, ParamSpec or TypeVarTuple of the notebook."""
    library: object = typing
    if default or "infer_variance" in keywords:  # newer than 3.11
        library = importlib.import_module("typing_extensions")
        keywords = {**keywords, "default": default[0]} if default else keywords
    if bound is not None:
        keywords = {**keywords, "bound": bound}
    created = getattr(library, kind)(name, *constraints, **keywords)
    created.__module__ = _MAIN
    return created


def alias(kind: object, name: str, value: object, parameters: tuple[object, ...]) -> object:
    """A type alias of the notebook, by the library of the original."""
    names = {"__name__": _MAIN, "made": kind, "name": name, "value": value, "parameters": parameters}
    return eval("made(name, value, type_params=parameters)", names)  # its module is that of its caller's globals


_parts: dict[int, dict[str, object]] = {}  # globals of native aliases whose value is not loaded yet


def native_alias(name: str, parameters: tuple[tuple[str, str, int, bool], ...]) -> object:
    """A type alias that may contain itself, created by a ``type`` statement (Python 3.12), which evaluates its value later.

    Args:
        parameters: of each its prefix (``*``, ``**`` or nothing), its name, its number of limits, and whether it has a default.
    """
    namespace: dict[str, object] = {"__name__": _MAIN}
    declared = ", ".join(_declaration(index, *parameter) for index, parameter in enumerate(parameters))
    exec(f"type {name}{f'[{declared}]' if declared else ''} = __value", namespace)
    alias = namespace[name]
    _parts[id(alias)] = namespace
    return alias


def _declaration(index: int, prefix: str, name: str, limits: int, has_default: bool) -> str:
    limit = f": __limits[{index}][0]" if limits == 1 else ""
    if limits > 1:
        limit = f": ({', '.join(f'__limits[{index}][{i}]' for i in range(limits))})"
    return prefix + name + limit + (f" = __limits[{index}][-1]" if has_default else "")


def set_native_alias(alias: object, state: tuple[object, list[tuple[object, ...]]]) -> None:
    """Set the value of an alias, and the bounds, constraints and defaults of its parameters."""
    namespace = _parts.pop(id(alias))
    namespace["__value"], namespace["__limits"] = state


def type_parameter_of(owner: Any, index: int) -> object:
    """A parameter of a type alias."""
    return owner.__type_params__[index]
