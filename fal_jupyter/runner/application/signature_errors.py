"""Explains FastAPI's errors about an endpoint's signature, naming the endpoint and the parameter."""

from __future__ import annotations

import collections.abc
import contextlib
import inspect
import logging
import reprlib
import typing
from collections.abc import Callable, Iterator
from typing import Any

from fal_jupyter.domain.errors import AppRuleBroken

_NEEDED = "python-multipart"


@contextlib.contextmanager
def signature_named(method: Callable[..., object]) -> Iterator[None]:
    """Name *method* and the problem if FastAPI cannot add it as a route.

    FastAPI also treats a bare ``list`` as a form, and prints three lines first.

    Raises:
        AppRuleBroken: instead of an exception of FastAPI or pydantic.
    """
    logger = logging.getLogger("fastapi")
    was, logger.disabled = logger.disabled, True
    try:
        yield
    except Exception as error:
        name = getattr(method, "__qualname__", repr(method))
        if _NEEDED not in str(error):
            raise _about(method, _unreadable(name, method, error)) from None
        hints = getattr(method, "__annotations__", {})
        bare = [parameter for parameter, hint in hints.items() if parameter != "return" and _is_bare(hint)]
        if bare and hasattr(hints[bare[0]], "_fields"):
            message = f"{name}(): {bare[0]!r} is a NamedTuple, which FastAPI treats as a form"
            rule = AppRuleBroken(message, hint="make it a pydantic model or a dataclass, or take a list of it")
            raise _about(method, rule) from None
        if bare:
            message = (
                f"{name}(): the annotation of {bare[0]!r} has no type for its items, so FastAPI treats it as a form"
            )
            rule = AppRuleBroken(message, hint=f"write {bare[0]}: list[str], or another type of items")
            raise _about(method, rule) from None
        message = (
            f"{name}() takes a form or a file, which FastAPI reads with the package {_NEEDED}, and it is not installed"
        )
        rule = AppRuleBroken(message, hint=f"pip install {_NEEDED}, or add it to requirements")
        raise _about(method, rule) from None
    finally:
        logger.disabled = was


def _about(method: Callable[..., object], error: AppRuleBroken) -> AppRuleBroken:
    error.definition = method
    return error


def _unreadable(name: str, method: Callable[..., object], error: Exception) -> AppRuleBroken:
    """Name the annotation that FastAPI cannot read: the one that pydantic rejects, or that FastAPI's message names."""
    reason = str(error).split("\n")[0].split(". Hint")[0].split("! Hint")[0].strip().rstrip(".!")
    kind, hints = type(error).__name__, getattr(method, "__annotations__", {})
    if fields := _field_defaults(method):
        listed = " and ".join(filter(None, [", ".join(map(repr, list(fields)[:-1])), repr(list(fields)[-1])]))
        subject = (
            f"the default of {listed} is a pydantic field"
            if len(fields) == 1
            else f"the defaults of {listed} are pydantic fields"
        )
        message = f"{name}(): {subject}, which FastAPI accepts only in an annotation ({reason})"
        rewritten = [
            f"{field}: Annotated[{_written(hints[field]) if field in hints else 'str'}, Field(…)]{default}"
            for field, default in fields.items()
        ]
        behind = ", with the default behind it" if any(fields.values()) else ""
        return AppRuleBroken(message, hint=f"write {', '.join(rewritten)}: the field in the annotation{behind}")
    at = next((parameter for parameter, hint in hints.items() if not _is_readable(hint)), "")
    at = at or next((parameter for parameter in hints if f"'{parameter}'" in reason or f"`{parameter}`" in reason), "")
    if at == "return":
        message = f"{name}(): FastAPI cannot make a response of {_written(hints[at])}, its return annotation ({kind}: {reason})"
        return AppRuleBroken(message, hint="annotate it with a pydantic model, a dataclass or dict, or leave it out")
    if at:
        message = f"{name}(): FastAPI cannot read the annotation of {at!r}, {_written(hints[at])} ({kind}: {reason})"
        return AppRuleBroken(message, hint=f"annotate {at} with a pydantic model, a dataclass or a type of JSON")
    return AppRuleBroken(f"{name}(): FastAPI cannot make a route of it ({kind}: {reason})")


def _field_defaults(method: Callable[..., object]) -> dict[str, str]:
    """Return the parameters with pydantic's ``Field``, or a subclass from fal, as their default: name → how its own default is written."""
    import fastapi.params  # start-up
    from pydantic.fields import FieldInfo  # start-up

    special = (fastapi.params.Param, fastapi.params.Body)
    try:
        parameters = inspect.signature(method).parameters.values()
    except (TypeError, ValueError):
        return {}
    fields = {p.name: p.default for p in parameters if isinstance(p.default, FieldInfo)}
    return {
        name: "" if field.is_required() or field.default_factory is not None else f" = {reprlib.repr(field.default)}"
        for name, field in fields.items()
        if not isinstance(field, special)
    }


def _written(hint: object) -> str:
    return hint.__qualname__ if isinstance(hint, type) and not typing.get_args(hint) else repr(hint)


def _is_readable(hint: Any) -> bool:
    import pydantic  # start-up
    import starlette.requests  # start-up
    import starlette.responses  # start-up

    special = (starlette.responses.Response, starlette.requests.HTTPConnection)
    if hint is None or (inspect.isclass(hint) and issubclass(hint, special)):
        return True
    try:
        pydantic.TypeAdapter(hint)
    except Exception:
        return False
    return True


def _is_bare(hint: object) -> bool:
    """True for a collection without a type of its items, also in a union."""
    parts = typing.get_args(hint)
    if not parts:
        kind = typing.get_origin(hint) or hint
        return isinstance(kind, type) and kind not in (str, bytes, bytearray) and _is_sequence(kind)
    return typing.get_origin(hint) not in (list, set, tuple, frozenset, dict) and any(map(_is_bare, parts))


def _is_sequence(kind: type) -> bool:
    return issubclass(kind, collections.abc.Sequence | collections.abc.Set) and not hasattr(kind, "model_fields")
