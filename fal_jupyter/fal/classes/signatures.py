"""Signatures of endpoint methods: as callers see them, and where FastAPI takes each parameter from."""

from __future__ import annotations

import inspect
import logging
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
    stand there one by one. *inner*: it is a parameter of a dependency, not of the endpoint. *info* is FastAPI's own field, and
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


class _Factory:
    """Stands for a default that is made anew for each call."""

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
