"""Reads from parameters' annotations where FastAPI takes their values from."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Callable
from typing import TYPE_CHECKING

from fal_jupyter.client.calls import forms
from fal_jupyter.client.calls.type_aliases import is_type_alias, unaliased
from fal_jupyter.shipping.hints import hints_one_by_one

if TYPE_CHECKING:
    from pydantic import BaseModel
    from pydantic.fields import FieldInfo

DEPENDENCIES = ("Depends", "Security")
_MARKS = ("Query", "Path", "Body", "Form", "File", "Header", "Cookie", *DEPENDENCIES)


def hints_of(function: Callable[..., object]) -> dict[str, object]:
    """Return the annotations of a function, each resolved; left as written if it cannot be resolved."""
    try:
        return typing.get_type_hints(function, include_extras=True)
    except Exception:
        return hints_one_by_one(function, getattr(function, "__globals__", {}))


def _is_mark(value: object) -> typing.TypeGuard[FieldInfo]:
    return type(value).__module__ == "fastapi.params" and type(value).__name__ in _MARKS


def mark_of(hint: object, default: object) -> FieldInfo | None:
    """Return FastAPI's marker of a parameter (``Query(...)``), in its annotation or as its default, or None."""
    marks = [*getattr(hint, "__metadata__", ()), default]
    markers = [mark for mark in marks if _is_mark(mark)]
    return markers[-1] if markers else None


def is_body(hint: object, mark: object = None) -> bool:
    """True for types that FastAPI reads from the body: models, dataclasses, dicts, lists of them, in unions and Annotated."""
    if mark is not None:
        return type(mark).__name__ == "Body"
    hint = unaliased(hint)
    origin: object = typing.get_origin(hint)
    if is_type_alias(origin):  # a generic alias with its arguments
        return is_body(origin.__value__)
    if origin is typing.Annotated:
        return is_body(typing.get_args(hint)[0])
    if origin in (typing.Union, types.UnionType):
        return any(is_body(part) for part in typing.get_args(hint))
    if origin in (dict, list, set, tuple, frozenset):
        return True
    if not isinstance(hint, type):
        return False
    return (
        hasattr(hint, "model_fields")
        or dataclasses.is_dataclass(hint)
        or issubclass(hint, dict | list | set | tuple | frozenset)
        or type(hint).__name__ == "_TypedDictMeta"
    )


def lone_model(hint: object) -> type[BaseModel] | None:
    """Return the one model that an annotation means, or None; ``Model | None`` is one too."""
    hint = unaliased(hint)
    if typing.get_origin(hint) is typing.Annotated:
        return lone_model(typing.get_args(hint)[0])
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        parts = [part for part in typing.get_args(hint) if part is not type(None)]
        return lone_model(parts[0]) if len(parts) == 1 else None
    return hint if _is_model(hint) else None


def _is_model(hint: object) -> typing.TypeGuard[type[BaseModel]]:
    is_one = isinstance(hint, type) and hasattr(hint, "model_fields") and hasattr(hint, "model_config")
    return is_one and not getattr(hint, "__pydantic_root_model__", False)


def names_taken(kind: type[BaseModel], field: str) -> list[str]:
    """Return every key under which a model looks for a field."""
    alias, config = kind.model_fields[field].validation_alias, kind.model_config
    choices = getattr(alias, "choices", [alias])
    names = [choice if isinstance(choice, str) else choice.path[0] for choice in choices if choice is not None]
    by_name = alias is None or config.get("populate_by_name") or config.get("validate_by_name")
    return [*names, field] if by_name else names


def rewrites_input(kind: type[BaseModel]) -> bool:
    """True if the model has a validator that runs before its fields are read, so that it may accept other names."""
    validators = kind.__pydantic_decorators__.model_validators.values()
    return any(validator.info.mode in ("before", "wrap") for validator in validators)


def is_array_of(hint: object) -> bool:
    """True for a list or the like, which has no fields that a call could give by name."""
    hint = unaliased(hint)
    if typing.get_origin(hint) is typing.Annotated:
        hint = unaliased(typing.get_args(hint)[0])
    kind = typing.get_origin(hint) or hint
    return isinstance(kind, type) and issubclass(kind, list | tuple | set | frozenset)


def is_injected(hint: object) -> bool:
    injected = isinstance(hint, type) and hint.__module__.startswith(("fastapi", "starlette"))
    return injected and not forms.is_upload_class(hint)


def is_model_class(hint: object) -> bool:
    hint = unaliased(hint)
    if typing.get_origin(hint) is typing.Annotated:
        hint = unaliased(typing.get_args(hint)[0])
    return isinstance(hint, type) and hasattr(hint, "model_fields")
