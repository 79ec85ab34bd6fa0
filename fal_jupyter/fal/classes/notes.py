"""Notes that the owner of a class gets once, when it is served: options with no local effect, and a name that reads badly.

Nothing of it stops the class: it is kept as it is, for fal.ai.
"""

from __future__ import annotations

import inspect
import re
import reprlib
import typing
import warnings
import weakref
from collections.abc import Callable
from typing import Any

from fal_jupyter.domain.spec import derive_app_name
from fal_jupyter.fal.classes.definition import EXPLICIT
from fal_jupyter.fal.classes.routes import endpoints_of
from fal_jupyter.fal.classes.warned import AppWarning

NO_LOCAL_EFFECT = (
    "regions",
    "data_mounts",
    "image",
    "metrics_port",
    "private_logs",
    "setup_function",
    "compile_bytecode",
    "force",
    "force_env_build",
    "_base_image",
    "machine_types",
    "_scheduler",
    "_scheduler_options",
)
"""Options that only fal's platform acts on."""

_notified: weakref.WeakSet[type] = weakref.WeakSet()


class NoLocalEffect(AppWarning):
    """An option is kept for fal.ai and does nothing on this machine."""


class UglyName(AppWarning):
    """A derived app name that reads badly."""


def options_without_effect(cls: type[Any]) -> list[str]:
    """Return the options that *cls* sets, itself or by a base, and that do nothing here."""
    explicit: frozenset[str] = getattr(cls, EXPLICIT, frozenset())
    options = [name for name in NO_LOCAL_EFFECT if name in explicit or (name == "regions" and cls.regions)]
    return [*options, "kind"] if "kind" in explicit and cls.kind not in (None, "virtualenv") else options


def better_name(cls: type[Any]) -> str:
    """Return the name that *cls* is better given, or ``""`` where its own reads well or was chosen.

    fal's rule makes a word of each capital: ``SDXL`` becomes ``s-d-x-l``.
    """
    name: str = cls.app_name
    if name != derive_app_name(cls.__name__) or not re.search(r"(^|-)[a-z]-[a-z](-|$)", name):
        return ""
    words = re.findall(r"[A-Z0-9]+(?![a-z])|[A-Z][a-z0-9]*|[a-z0-9]+", cls.__name__)
    better = "-".join(words).lower()
    return "" if better == name else better


class DroppedDefault(AppWarning):
    """A default in the ``Field`` of an annotation, which FastAPI does not read."""


def dropped_defaults(function: Callable[..., Any]) -> dict[str, object]:
    """Return the parameters of an endpoint whose default is in the ``Field`` of their annotation, where it has no effect."""
    try:
        parameters = inspect.signature(function).parameters.values()
        hints = typing.get_type_hints(function, include_extras=True)
    except Exception:  # what it is made of is reported elsewhere
        return {}
    return {
        parameter.name: data.default
        for parameter in parameters
        if parameter.default is parameter.empty
        for data in getattr(hints.get(parameter.name), "__metadata__", ())
        if _is_field(type(data)) and not data.is_required() and data.default_factory is None
    }


def _is_field(kind: type) -> bool:
    """True for pydantic's ``Field`` and fal's; FastAPI refuses its own (``Query``, ``Body``) by itself. Imports neither."""
    bases = [(base.__module__, base.__name__) for base in kind.__mro__]
    return ("pydantic.fields", "FieldInfo") in bases and all(module != "fastapi.params" for module, _ in bases)


def note_once(cls: type[Any]) -> None:
    """Warn at the class's own source, once for each class."""
    if cls in _notified:
        return
    _notified.add(cls)
    if names := options_without_effect(cls):
        _warn(cls, f"{cls.__name__}: no local effect, kept for fal.ai: {', '.join(names)}", NoLocalEffect)
    if better := better_name(cls):
        _warn(
            cls,
            f'{cls.__name__} is called {cls.app_name!r}, as on fal; app_name = "{better}" in the class reads better',
            UglyName,
        )
    for name, marked in endpoints_of(cls).items():
        for parameter, default in dropped_defaults(marked.__wrapped__).items():
            _warn(
                cls,
                f"{cls.__name__}.{name}(): the default {reprlib.repr(default)} in the Field of {parameter!r} has no effect, as on fal; "
                f"write {parameter}: Annotated[…, Field(…)] = {reprlib.repr(default)}",
                DroppedDefault,
            )


def _warn(cls: type[Any], message: str, category: type[Warning]) -> None:
    for marked in endpoints_of(cls).values():
        code = getattr(marked.__wrapped__, "__code__", None)
        if code is not None:
            warnings.warn_explicit(message, category, code.co_filename, code.co_firstlineno, cls.__module__)
            return
    warnings.warn(message, category, stacklevel=3)
