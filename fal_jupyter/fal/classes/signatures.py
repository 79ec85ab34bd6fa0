"""Signatures of endpoint methods: as callers see them, and where FastAPI takes each parameter from."""

from __future__ import annotations

import inspect
import logging
import re
import sys
import types
import typing
from collections.abc import Callable
from dataclasses import dataclass, replace
from types import MethodType
from typing import Any

from fal_jupyter.domain.errors import AppRuleBroken


def signature_of(function: Callable[..., Any]) -> inspect.Signature:
    """Return the signature of a method as its callers see it, without ``self``.

    Raises:
        AppRuleBroken: the method takes no argument at all.
    """
    signature = inspect.signature(function)
    parameters = list(signature.parameters.values())
    if not parameters:
        name = getattr(function, "__qualname__", repr(function))
        raise AppRuleBroken(
            f"{name} takes no argument, but a method takes self first", hint=f"def {function.__name__}(self)"
        )
    if parameters[0].kind is not inspect.Parameter.VAR_POSITIONAL:
        del parameters[0]
    return signature.replace(parameters=parameters)


@dataclass(frozen=True, slots=True)
class Field:
    """Where FastAPI takes one parameter from.

    *place* is ``body``, ``path``, ``query``, ``header`` or ``cookie``; *key* its name there. *spread*: it is a model, whose fields
    are there one by one. *inner*: it is a parameter of a dependency, not of the endpoint. *info* is FastAPI's own field, and
    *form* says that the body is a form.
    """

    place: str
    key: str
    spread: bool
    inner: bool
    default: Any
    hyphens: bool
    info: Any
    form: bool


def request_fields(function: Callable[..., Any], path: str) -> dict[str, Field] | None:
    """Return where FastAPI takes the parameters of an endpoint method and of its dependencies from, by name.

    None if it cannot read the signature.
    """
    if (plain := _plain_fields(function, path)) is not None:
        return plain
    from fastapi.dependencies import utils  # start-up

    logger = logging.getLogger("fastapi")
    was, logger.disabled = logger.disabled, True  # it prints what it raises
    # what reads forms is needed in the runner, whose environment may be another one
    check, utils.ensure_multipart_is_installed = utils.ensure_multipart_is_installed, lambda: None
    try:
        dependant = utils.get_dependant(path=path, call=MethodType(function, object()))
    except Exception:  # the runner reports it when it starts
        return None
    finally:
        logger.disabled, utils.ensure_multipart_is_installed = was, check
    fields: dict[str, Field] = {}
    todo, seen = [dependant], {id(dependant)}
    while todo:
        current = todo.pop(0)
        for location in ("path", "query", "header", "cookie", "body"):
            for parameter in getattr(current, f"{location}_params"):
                fields.setdefault(parameter.name, _field(parameter, location, inner=current is not dependant))
        todo += [inner for inner in current.dependencies if id(inner) not in seen]
        seen |= {id(inner) for inner in current.dependencies}
    if any(type(field.info).__name__ in ("Form", "File") for field in fields.values() if field.place == "body"):
        return {name: replace(field, form=field.place == "body") for name, field in fields.items()}
    return fields


_PLAIN = (int, float, str, bool)
_IN_PATH = re.compile(r"{(\w+)")


def _plain_fields(function: Callable[..., Any], path: str) -> dict[str, Field] | None:
    """Return the fields of a method whose parameters are numbers, texts, booleans and models, without asking FastAPI.

    For these its rule is short: what is in the path comes from there, models are the body, the rest is the query. Importing FastAPI
    would make the first call of a kernel wait a third of a second. None for every other signature.
    """
    try:
        signature = inspect.signature(function)
        hints = typing.get_type_hints(function, include_extras=True)
    except Exception:  # FastAPI may read it, or not
        return None
    in_path = set(_IN_PATH.findall(path))
    fields: dict[str, Field] = {}
    for parameter in list(signature.parameters.values())[1:]:
        hint, default = hints.get(parameter.name), parameter.default
        optional = default is not parameter.empty
        if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
            return None
        if _is_plain(hint) and not (optional and not (default is None or type(default) in _PLAIN)):
            place = "path" if parameter.name in in_path else "query"
        elif _is_model(hint) and not optional:
            place = "body"
        else:
            return None
        if parameter.name in in_path and (optional or place == "body"):
            return None  # FastAPI refuses it
        fields[parameter.name] = Field(place, parameter.name, False, False, default, False, None, form=False)
    return fields


def _is_plain(hint: object) -> bool:
    """True for int, float, str and bool, and for one of them or None."""
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        inner = [one for one in typing.get_args(hint) if one is not type(None)]
        return len(inner) == 1 and _is_plain(inner[0])
    return any(hint is kind for kind in _PLAIN)


def _is_model(hint: object) -> bool:
    """True for a pydantic model; without pydantic in this process there is none."""
    model = getattr(sys.modules.get("pydantic"), "BaseModel", None)
    return model is not None and isinstance(hint, type) and issubclass(hint, model)


class _Factory:
    """Placeholder for a default that is created for each call."""

    def __repr__(self) -> str:
        return "<factory>"


FACTORY = _Factory()


def _field(parameter: Any, location: str, *, inner: bool) -> Field:
    from pydantic import BaseModel  # start-up

    info = parameter.field_info
    spread = location != "body" and isinstance(info.annotation, type) and issubclass(info.annotation, BaseModel)
    hyphens = bool(getattr(info, "convert_underscores", False))
    key = parameter.alias.replace("_", "-") if hyphens and parameter.alias == parameter.name else parameter.alias
    default = inspect.Parameter.empty if info.is_required() else info.default
    if getattr(info, "default_factory", None) is not None:  # which may want the other fields' values
        default = FACTORY
    return Field(location, key, spread, inner, default, hyphens, info, form=False)
