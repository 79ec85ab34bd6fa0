"""The runner's half: bytes to a class, with its cell's source known to tracebacks."""

from __future__ import annotations

import functools
import importlib
import io
import linecache
import operator
import pickle
import sys
import types
from collections.abc import Callable, Mapping
from typing import Any, Generic, NewType

from cloudpickle import cloudpickle

_COMPILED = ("__pydantic_core_schema__", "__pydantic_validator__", "__pydantic_serializer__", "__signature__")
_arrived: list[type] = []  # pydantic classes whose state has arrived and that are not compiled yet


def unpack(payload: bytes, source: Mapping[str, str]) -> Any:
    """Give back what :func:`fal_jupyter.shipping.pack` packed.

    The payload comes from the user's own process over the control socket, never from a caller.

    Raises:
        Exception: what importing a module that the class refers to raises.
    """
    remember_source(source)
    _arrived.clear()
    unpickler = pickle.Unpickler(io.BytesIO(payload))
    thing = unpickler.load()
    main_namespace().update(unpickler.load())  # what user code pickles by name is looked up there
    _compile(_arrived)
    _arrived.clear()
    return thing


def main_namespace() -> dict[str, Any]:
    """The globals of what comes from the notebook: those of ``__main__`` here."""
    return vars(sys.modules["__main__"])


def remember_source(source: Mapping[str, str]) -> None:
    """Let tracebacks find the cells' lines; without a time stamp ``linecache`` keeps an entry for ever."""
    for filename, text in source.items():
        linecache.cache[filename] = (len(text), None, text.splitlines(keepends=True), filename)


def set_pydantic_state(cls: type, state: Any) -> None:
    """Give a class its members; it is compiled when all have arrived."""
    cloudpickle._class_setstate(cls, state)
    for name in _COMPILED:
        if name in cls.__dict__:  # of the empty skeleton
            delattr(cls, name)
    if "__pydantic_fields__" in cls.__dict__ and not hasattr(cls, "__dataclass_fields__"):
        type.__setattr__(cls, "__pydantic_setattr_handlers__", {})
        type.__setattr__(cls, "__pydantic_parent_namespace__", None)
    type.__setattr__(cls, "__pydantic_complete__", False)
    _arrived.append(cls)


def make_code(filename: str, make: Callable[..., types.CodeType], arguments: tuple[Any, ...]) -> types.CodeType:
    """A code object that knows the cell it was written in."""
    return make(*arguments).replace(co_filename=filename)


def look_up(module: str, name: str) -> Any:
    """A thing of a library, by where it is."""
    return getattr(importlib.import_module(module), name)


def parametrize(origin: Any, args: tuple[Any, ...]) -> Any:
    """``Box[int]`` anew, once ``Box`` itself can be."""
    _compile([cls for cls in _arrived if cls is origin])
    made: type = operator.getitem(origin, args if len(args) > 1 else args[0])
    _arrived.append(made)  # its arguments may not be whole yet
    return made


def make_typed_dict(module: str, name: str, parameters: tuple[Any, ...]) -> Any:
    """A TypedDict without keys yet, by the library that made the first."""
    typed_dict = importlib.import_module(module).TypedDict
    bases = (typed_dict, Generic[parameters]) if parameters else (typed_dict,)  # type: ignore[index]
    made = types.new_class(name, bases)
    made.__module__ = "__main__"
    return made


def set_members(thing: Any, members: Mapping[str, Any]) -> None:
    """Give a skeleton what it is made of."""
    for name, value in members.items():
        setattr(thing, name, value)


def make_cached(function: Any, parameters: dict[str, Any]) -> Any:
    """A function under ``functools.lru_cache``, its cache empty."""
    return functools.lru_cache(**parameters)(function)


def make_cached_property(function: Any, name: str | None) -> Any:
    """A ``functools.cached_property``, under the name that its class had given it."""
    made = functools.cached_property(function)
    made.attrname = name
    return made


def make_alias(kind: Any, name: str, value: Any, parameters: tuple[Any, ...]) -> Any:
    """A type alias of the notebook, by the library that made the first."""
    return kind(name, value, type_params=parameters)


def make_new_type(name: str, supertype: Any) -> Any:
    """A ``typing.NewType`` of the notebook."""
    made = NewType(name, supertype)  # type: ignore[valid-newtype, misc]
    made.__module__ = "__main__"
    return made


def _compile(classes: list[type]) -> None:
    from pydantic import BaseModel
    from pydantic.dataclasses import rebuild_dataclass

    for cls in classes:
        for name in _COMPILED:  # what was compiled before all had arrived
            if name in cls.__dict__:
                delattr(cls, name)
    for cls in classes:
        if issubclass(cls, BaseModel):
            cls.model_rebuild(force=True)
        else:
            rebuild_dataclass(cls, force=True)  # type: ignore[arg-type]  # it is one: only those are collected
