"""An exception of user code as strings: the user's traceback, none of our frames. Nothing is ever pickled here."""

from __future__ import annotations

import asyncio
import concurrent.futures
import math
import os
import sysconfig
import traceback
from collections.abc import Mapping
from typing import Any

import anyio
import fastapi
import starlette

import fal_jupyter
from fal_jupyter.protocol.api import ErrorDescription, ErrorFrame

_LIBRARIES = (fal_jupyter, fastapi, starlette, anyio, asyncio, concurrent.futures)
_PLUMBING = (
    *(os.path.dirname(str(module.__file__)) + os.sep for module in _LIBRARIES),
    os.path.join(sysconfig.get_paths()["stdlib"], "contextlib.py"),
)
MAX_FRAMES = 60


def describe(error: BaseException, phase: str) -> ErrorDescription:
    """Describe *error* as Python would print it, from the first frame that is the user's on."""
    told = traceback.TracebackException.from_exception(error, capture_locals=False)
    _trim(told, set())
    return ErrorDescription(
        type=_name(error),
        message=_text(error),
        text="".join(told.format()),
        frames=[
            ErrorFrame(filename=f.filename, lineno=f.lineno or 0, function=f.name, line=f.line or "")
            for f in told.stack[-MAX_FRAMES:]
        ],
        phase=phase,
    )


def note_memory(error: ErrorDescription, told: str) -> None:
    """Add what is known of a machine type's memory to the description of an error that it caused."""
    error["message"] = f"{error['message']} ({told})" if error["message"] else told
    error["text"] = f"{error['text'].rstrip()}\n{told[0].upper()}{told[1:]}."


def sentence(kind: str, message: str, phase: str) -> ErrorDescription:
    """A description without a traceback, for what went wrong after the user's code returned."""
    return ErrorDescription(type=kind, message=message, text=f"{kind}: {message}\n", frames=[], phase=phase)


def _name(error: BaseException) -> str:
    kind = type(error)
    return (
        kind.__qualname__ if kind.__module__ in ("builtins", "__main__") else f"{kind.__module__}.{kind.__qualname__}"
    )


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except BaseException:
        return "<its str() failed>"


def _trim(told: traceback.TracebackException | None, seen: set[int]) -> None:
    if told is None or id(told) in seen:
        return
    seen.add(id(told))
    first = next((i for i, frame in enumerate(told.stack) if not frame.filename.startswith(_PLUMBING)), 0)
    kept = [frame for frame in told.stack[first:] if not frame.filename.startswith(_PLUMBING[0])]
    told.stack = traceback.StackSummary.from_list(kept)
    _trim(told.__cause__, seen)
    _trim(told.__context__, seen)
    for inner in getattr(told, "exceptions", None) or ():
        _trim(inner, seen)


def find_unjsonable(value: Any, path: str = "result") -> str:
    """Say where *value* holds what JSON cannot, or ``""``: ``"result['x'] is NaN"``."""
    if value is None or isinstance(value, str | bool | int):
        return ""
    if isinstance(value, float):
        return (
            "" if math.isfinite(value) else f"{path} is {'NaN' if math.isnan(value) else value}, which JSON cannot hold"
        )
    if isinstance(value, Mapping):
        parts = ((f"{path}[{key!r}]", item) for key, item in value.items())
    elif isinstance(value, list | tuple | set | frozenset):
        parts = ((f"{path}[{index}]", item) for index, item in enumerate(value))
    elif hasattr(value, "model_fields_set") and hasattr(value, "__dict__"):
        parts = ((f"{path}.{key}", item) for key, item in vars(value).items())
    elif hasattr(value, "__dataclass_fields__"):
        parts = ((f"{path}.{key}", getattr(value, key)) for key in value.__dataclass_fields__)
    else:
        return _odd(value, path)
    for where, item in parts:
        if found := find_unjsonable(item, where):
            return found
    return ""


def _odd(value: Any, path: str) -> str:
    from fastapi.encoders import jsonable_encoder

    try:
        encoded = jsonable_encoder(value)
    except Exception:
        return f"{path} is a {type(value).__module__}.{type(value).__qualname__}, which JSON cannot hold"
    return find_unjsonable(encoded, path) if encoded is not value else ""
