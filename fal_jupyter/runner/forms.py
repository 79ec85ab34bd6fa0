"""What FastAPI says of endpoints that take forms, with the endpoint and the parameter in it."""

from __future__ import annotations

import contextlib
import logging
import typing
from collections.abc import Callable, Iterator
from typing import Any

from fal_jupyter.domain.errors import AppRuleBroken

_NEEDED = "python-multipart"


@contextlib.contextmanager
def forms_named(method: Callable[..., Any]) -> Iterator[None]:
    """Name *method* where adding it as a route needs ``python-multipart``, which is not here.

    FastAPI takes a bare ``list`` for a form, too, and prints three lines of its own first.

    Raises:
        AppRuleBroken: in place of FastAPI's RuntimeError.
    """
    logger = logging.getLogger("fastapi")
    was, logger.disabled = logger.disabled, True
    try:
        yield
    except RuntimeError as error:
        if _NEEDED not in str(error):
            raise
        name = getattr(method, "__qualname__", repr(method))
        hints = getattr(method, "__annotations__", {})
        bare = [parameter for parameter, hint in hints.items() if parameter != "return" and _is_bare(hint)]
        if bare and hasattr(hints[bare[0]], "_fields"):
            told = f"{name}(): {bare[0]!r} is a NamedTuple, which FastAPI takes for a form"
            raise AppRuleBroken(told, hint="make it a pydantic model or a dataclass, or take a list of it") from None
        if bare:
            told = f"{name}(): the annotation of {bare[0]!r} does not say what its items are, so FastAPI takes it for a form"
            raise AppRuleBroken(told, hint=f"write {bare[0]}: list[str], or another type of items") from None
        told = (
            f"{name}() takes a form or a file, which FastAPI reads with the package {_NEEDED}, and it is not installed"
        )
        raise AppRuleBroken(told, hint=f"pip install {_NEEDED}, or add it to requirements") from None
    finally:
        logger.disabled = was


def _is_bare(hint: Any) -> bool:
    """True for a collection without a type of its items, also in a union."""
    parts = typing.get_args(hint)
    if not parts:
        kind = typing.get_origin(hint) or hint
        return isinstance(kind, type) and kind not in (str, bytes, bytearray) and _is_sequence(kind)
    return typing.get_origin(hint) not in (list, set, tuple, frozenset, dict) and any(map(_is_bare, parts))


def _is_sequence(kind: type) -> bool:
    import collections.abc

    return issubclass(kind, collections.abc.Sequence | collections.abc.Set) and not hasattr(kind, "model_fields")
