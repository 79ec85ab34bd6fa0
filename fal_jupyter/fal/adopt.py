"""A class that inherits from an installed real ``fal.App``, as the same class on ours, so that it runs here too.

Everything that the user wrote is kept: methods, options, other bases; of the real package only its marks are read.
"""

from __future__ import annotations

import importlib
import sys
import types
from collections.abc import Mapping
from typing import Any

from fal_jupyter.fal.app import App
from fal_jupyter.fal.classes.endpoints import endpoint
from fal_jupyter.fal.container import ContainerImage
from fal_jupyter.fal.realtime import realtime
from fal_jupyter.fal.sdk import HealthCheck, RetryConfig

# what the real package writes into each class, besides the user's own names
_GENERATED = ("__dict__", "__weakref__", "_explicit_host_kwargs", "host_kwargs", "isolate_channel")
_CHECK = ("start_period_seconds", "timeout_seconds", "failure_threshold", "call_regularly", "method")
_IMAGE = ("dockerfile_str", "build_args", "builder", "compression", "force_compression", "entrypoint", "cmd", "use_isolate")  # fmt: skip
_REALTIME_OPTIONS = ("buffering", "session_timeout", "input_modal", "output_modal", "max_batch_size", "content_type")


def real_app() -> type[Any] | None:
    """Return ``App`` of the real package where that is imported."""
    app = getattr(sys.modules.get("fal"), "App", None)
    return app if isinstance(app, type) and app is not App else None


def is_foreign(cls: type[Any]) -> bool:
    """Tell whether *cls* inherits from the real ``fal.App``."""
    real = real_app()
    return real is not None and issubclass(cls, real) and not issubclass(cls, App)


def adopted(cls: type[Any]) -> type[Any]:
    """Return *cls* itself, or, where it inherits from the real ``fal.App``, the same class on ours.

    Raises:
        AppRuleBroken: it breaks a rule that ours is strict about.
    """
    if not is_foreign(cls):
        return cls
    return _Adoption(real_app()).of(cls)


def foreign_home(value: Any) -> tuple[str, str] | None:
    """Return module and name of what belongs to the real package (a module of it has no name), or None.

    The real package travels by value, but what the runner needs is ours: :func:`ours_of` gives it there.
    """
    if isinstance(value, types.ModuleType):
        home, name = value.__name__, ""
    elif isinstance(value, type) or type(value) is types.FunctionType:
        home, name = value.__module__ or "", value.__qualname__
    else:
        return None
    if home.split(".")[0] != "fal" or "<locals>" in name or real_app() is None:
        return None
    return home, name


def ours_of(home: str, name: str) -> Any:
    """Return our own part of *name* in the real package's module *home*, or our module where *name* is ``""``.

    Raises:
        ImportError: there is none.
    """
    parts = home.split(".")
    while parts:
        try:
            target: Any = importlib.import_module(".".join(("fal_jupyter", *parts)))
        except ModuleNotFoundError:
            target = None
        if target is not None:
            for step in name.split(".") if name else ():
                target = getattr(target, step, None)
            if target is not None:
                return target
        parts.pop()
    raise ImportError(f"fal_jupyter does not have {home}{'.' if name else ''}{name}")


class _Adoption:
    """One class with its bases, each made once."""

    def __init__(self, real: type[Any] | None) -> None:
        self._real = real
        self._converted_classes: dict[type, type] = {}

    def of(self, cls: type[Any]) -> type[Any]:
        if cls is self._real:
            return App
        if self._real is None or not issubclass(cls, self._real):
            return cls
        if cls not in self._converted_classes:
            self._converted_classes[cls] = self._make(cls)
        return self._converted_classes[cls]

    def _make(self, cls: type[Any]) -> type[Any]:
        cell = types.CellType()
        body = {
            name: _converted(name, value, cell, cls) for name, value in cls.__dict__.items() if name not in _GENERATED
        } | {"__qualname__": cls.__qualname__}
        bases = tuple(self.of(base) for base in cls.__bases__)
        adopted: type[Any] = types.new_class(cls.__name__, bases, self._keywords(cls), lambda names: names.update(body))
        cell.cell_contents = adopted
        return adopted

    def _keywords(self, cls: type[Any]) -> dict[str, Any]:
        """The class keywords that were written, seen by what they changed in ``host_kwargs``."""
        inherited: dict[str, Any] = {}
        for base in reversed(cls.__mro__[1:]):
            inherited |= base.__dict__.get("host_kwargs", {})
        keywords = ("health_check_config", *(() if cls.__dict__.get("image") is None else ("kind",)))
        return {
            name: value
            for name, value in getattr(cls, "host_kwargs", {}).items()
            if name not in keywords
            and name not in cls.__dict__
            and (name not in inherited or inherited[name] != value)
            and not _is_variable(cls, name)
        }


def _is_variable(cls: type[Any], name: str) -> bool:
    """A class variable of the same value is where the option comes from: it is inherited as such."""
    return getattr(cls, name, None) is not None


def _converted(name: str, value: Any, cell: types.CellType, cls: type[Any]) -> Any:
    if name == "image" and value is not None:
        return ContainerImage(**{field: getattr(value, field) for field in _IMAGE})
    if name == "retry_config" and not isinstance(value, Mapping) and value is not None:
        return RetryConfig(
            **{field: getattr(value, field) for field in ("timeout", "server_error", "connection_error")}
        )
    if isinstance(value, staticmethod | classmethod):
        return type(value)(_converted(name, value.__func__, cell, cls))
    if isinstance(value, property):
        get, put, drop = (part and _rebound(part, cell, cls) for part in (value.fget, value.fset, value.fdel))
        return property(get, put, drop, value.__doc__)
    route = getattr(value, "route_signature", None)
    if route is None:
        return _rebound(value, cell, cls)
    written = _written(value)
    function = _rebound(written, cell, cls)
    if written is not value:
        codecs = {key: getattr(route, key) for key in ("encode_message", "decode_message") if _own(route, key)}
        options = {key: getattr(route, key) for key in _REALTIME_OPTIONS}
        return realtime(route.path, **options, **codecs)(function)
    check = route.health_check
    return endpoint(
        route.path,
        is_websocket=route.is_websocket,
        health_check=None if check is None else HealthCheck(**{field: getattr(check, field) for field in _CHECK}),
    )(function)


def _own(route: Any, key: str) -> bool:
    """A codec of the real package itself is left out, for ours to be used."""
    codec = getattr(route, key, None)
    return codec is not None and not str(getattr(codec, "__module__", "")).startswith("fal.")


def _written(marked: Any) -> Any:
    """The method as the user wrote it: the real package wraps realtime ones."""
    code = getattr(marked, "__code__", None)
    if code is None or "func" not in code.co_freevars or not str(marked.__module__).startswith("fal."):
        return marked
    return marked.__closure__[code.co_freevars.index("func")].cell_contents


def _rebound(value: Any, cell: types.CellType, cls: type[Any]) -> Any:
    """A function without the real package's mark, whose ``super()`` and ``__class__`` mean the new class."""
    if type(value) is not types.FunctionType:
        return value
    closure = value.__closure__
    if closure is not None and "__class__" in value.__code__.co_freevars:
        at = value.__code__.co_freevars.index("__class__")
        if closure[at].cell_contents is cls:
            closure = (*closure[:at], cell, *closure[at + 1 :])
    copied = types.FunctionType(value.__code__, value.__globals__, value.__name__, value.__defaults__, closure)
    copied.__kwdefaults__, copied.__annotations__ = value.__kwdefaults__, value.__annotations__
    copied.__qualname__, copied.__module__, copied.__doc__ = value.__qualname__, value.__module__, value.__doc__
    copied.__dict__.update(
        {name: value_of_name for name, value_of_name in value.__dict__.items() if name != "route_signature"}
    )
    return copied
