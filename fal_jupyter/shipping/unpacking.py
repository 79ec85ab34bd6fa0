"""Unpacks a class in the runner, and registers its cell's source for tracebacks."""

from __future__ import annotations

import io
import linecache
import operator
import pickle
from collections.abc import Mapping
from typing import Any

from fal_jupyter.shipping.constructors import main_namespace
from fal_jupyter.shipping.skeletons import set_members

_COMPILED = ("__pydantic_core_schema__", "__pydantic_validator__", "__pydantic_serializer__", "__signature__")
_arrived: list[type] = []  # pydantic classes that are loaded but not compiled yet


def unpack(payload: bytes, source: Mapping[str, str]) -> object:
    """Return what :func:`fal_jupyter.shipping.pack` packed.

    The payload comes from the user's own process over the control socket, never from a caller.

    Raises:
        Exception: any exception of importing a module that the class refers to.
    """
    remember_source(source)
    _arrived.clear()
    unpickler = pickle.Unpickler(io.BytesIO(payload))
    value = unpickler.load()
    main_namespace().update(unpickler.load())  # names that user code pickles are looked up there
    _compile(_arrived)
    _arrived.clear()
    return value


def remember_source(source: Mapping[str, str]) -> None:
    """Make the cells' lines available to tracebacks; ``linecache`` never drops an entry without a time stamp."""
    for filename, text in source.items():
        linecache.cache[filename] = (len(text), None, text.splitlines(keepends=True), filename)


def set_pydantic_state(cls: type, state: Any) -> None:
    """Set the members of a class; it is compiled when all are loaded."""
    set_members(cls, state)
    for name in _COMPILED:
        if name in cls.__dict__:  # of the empty skeleton
            delattr(cls, name)
    if "__pydantic_fields__" in cls.__dict__ and not hasattr(cls, "__dataclass_fields__"):
        type.__setattr__(cls, "__pydantic_setattr_handlers__", {})
        type.__setattr__(cls, "__pydantic_parent_namespace__", None)
    type.__setattr__(cls, "__pydantic_complete__", False)
    _arrived.append(cls)


def parametrize(origin: Any, args: tuple[object, ...]) -> object:
    """Rebuild ``Box[int]``, once ``Box`` itself is complete."""
    _compile([cls for cls in _arrived if cls is origin])
    parametrized: type = operator.getitem(origin, args if len(args) > 1 else args[0])
    _arrived.append(parametrized)  # its arguments may still be incomplete
    return parametrized


def _compile(classes: list[Any]) -> None:
    from pydantic import BaseModel  # start-up
    from pydantic.dataclasses import rebuild_dataclass  # start-up

    for cls in classes:
        for name in _COMPILED:  # attributes compiled before all were loaded
            if name in cls.__dict__:
                delattr(cls, name)
    for cls in classes:
        if issubclass(cls, BaseModel):
            cls.model_rebuild(force=True)
        else:
            rebuild_dataclass(cls, force=True)
