"""``@fal.endpoint``: marks a method of an app as answering on a path.

The mark is a descriptor, so that the class stays a class: read from an instance it is the local bound method
(``self.hi()``, ``super().hi()``), read from the class it is the remote call (``Hello.hi()``).
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from types import MethodType
from typing import Any, TypeGuard

from fal_jupyter.domain.errors import AppRuleBroken
from fal_jupyter.fal.classes.realtime_options import RealtimeOptions
from fal_jupyter.fal.classes.routes import Endpoint, RouteSignature, static_attribute
from fal_jupyter.fal.classes.warned import warn_user
from fal_jupyter.fal.sdk import HealthCheck


def endpoint(
    path: str,
    *,
    is_websocket: bool = False,
    health_check: HealthCheck | None = None,
    billing: Any = None,
) -> Callable[[Callable[..., Any]], Any]:
    """Mark a method of a ``fal.App`` as an endpoint that answers on *path* (``"/"``, ``"/generate"``).

    Args:
        path: below the app's address, beginning with ``/``; ``{name}`` parts are parameters.
        is_websocket: the method handles a raw websocket.
        health_check: this endpoint tells whether its runner is healthy.
        billing: checked, and otherwise without effect here.

    Raises:
        AppRuleBroken: *path* is not a string, the method is marked twice, a health check is a websocket.
    """
    return marker(path, is_websocket=is_websocket, health_check=health_check, billing=billing)


def marker(
    path: str,
    *,
    is_websocket: bool = False,
    health_check: HealthCheck | None = None,
    billing: Any = None,
    realtime: RealtimeOptions | None = None,
) -> Callable[[Callable[..., Any]], Any]:
    """Return the decorator that :func:`endpoint` and ``fal.realtime`` are."""
    if not isinstance(path, str):
        raise AppRuleBroken(_no_path(path))
    if not path.startswith("/"):
        warn_user(f"the path {path!r} has no leading slash, so no request ever matches it: write {'/' + path!r}")
    if health_check is not None and not isinstance(health_check, HealthCheck):
        raise AppRuleBroken(f"health_check must be a fal.HealthCheck(...), but it is {health_check!r}")
    if billing is not None:
        if isinstance(billing, type) or not callable(getattr(billing, "declaration", None)):
            raise TypeError("billing must be an object with a declaration() method")
        if is_websocket:
            raise AppRuleBroken("Websocket endpoints cannot declare billing components")
    route = RouteSignature(path, bool(is_websocket), health_check, billing, realtime)

    def mark(method: Callable[..., Any]) -> Any:
        if hasattr(method, "route_signature"):
            former = method.route_signature
            name = getattr(method, "__name__", method)
            if realtime is None and isinstance(former, RouteSignature) and former.realtime is not None:
                name = "websocket_template"  # what the real package calls it by then
            raise AppRuleBroken(f"Can't set multiple routes for the same function: {name}")
        decorator = "@fal.endpoint" if realtime is None else "@fal.realtime"
        if isinstance(method, MethodType) or not hasattr(method, "__dict__"):  # fal fails to set an attribute on it
            raise AppRuleBroken(f"{decorator}({path!r}) marks methods, but this is {method!r}")
        if not _becomes_method(method):
            if realtime is not None:
                raise AppRuleBroken(
                    f"{decorator}({path!r}) marks methods, but this is {method!r}", hint=_remedy(method, decorator)
                )
            _warn_never_routed(method, f"fal never routes a {type(method).__name__} below {decorator}({path!r})")
            return method
        _warn_never_passed(method, decorator, batched=route.realtime is not None and route.realtime.max_batch_size > 1)
        return Endpoint(method, route.of_method(method))

    return mark


def _warn_never_passed(method: Callable[..., Any], decorator: str, *, batched: bool) -> None:
    """Warn of parameters that FastAPI, which passes each one by its name, cannot pass as they are declared. The further inputs of a
    *batched* realtime endpoint are passed by position."""
    try:
        parameters = list(inspect.signature(method).parameters.values())[1:]
    except (TypeError, ValueError):
        return
    for parameter in parameters:
        name = getattr(method, "__name__", "the method")
        if parameter.kind is parameter.POSITIONAL_ONLY:
            warn_user(
                f"no request can call {name}: {parameter.name!r} is positional only, and FastAPI passes it by name"
            )
        elif parameter.kind is parameter.VAR_KEYWORD or (parameter.kind is parameter.VAR_POSITIONAL and not batched):
            warn_user(
                f"{name} needs a parameter {parameter.name!r} in each request: FastAPI takes {str(parameter).partition(':')[0]} for one. "
                f"Name the parameters; a decorator below {decorator} needs functools.wraps"
            )


def _no_path(path: object) -> str:
    if callable(path):
        name = getattr(path, "__name__", "the method")
        return f'@fal.endpoint needs a path: write @fal.endpoint("/") above def {name}'
    return f'the path of an endpoint must be text such as "/generate", but it is {path!r} ({type(path).__name__})'


def _becomes_method(value: object) -> TypeGuard[Callable[..., Any]]:
    """Tell whether *value*, read from an instance, is a bound method: fal routes nothing else (fal 1.83.0, measured)."""
    return (
        callable(value)
        and hasattr(type(value), "__get__")  # a function, one of functools.lru_cache, one that Cython compiled
        and not isinstance(
            value, (type, staticmethod, classmethod, functools.partial)
        )  # 3.13: it has one that binds nothing
    )


def _remedy(method: object, decorator: str) -> str:
    if isinstance(method, classmethod):
        return f"write @classmethod above {decorator}"
    return "write a method that takes self"


def _warn_never_routed(method: object, reason: str) -> None:
    function = getattr(method, "__func__", getattr(method, "func", method))
    name = getattr(function, "__name__", "the method")
    warn_user(f"{name} is not served: {reason}. To serve it, {_remedy(method, '@fal.endpoint')}")


def adopt_marked_functions(cls: type) -> None:
    """Turn functions that carry a route into endpoints: a decorator above ``@fal.endpoint`` that uses
    ``functools.wraps`` copies the mark onto a plain function, and so does the real package read it. A class method of
    such a function, or of an endpoint, is one too; a static method never is (fal 1.83.0, measured)."""
    for base in cls.__mro__:
        for name, value in base.__dict__.copy().items():
            if static_attribute(cls, name) is not value:
                continue
            marked = _marked(value.__func__ if isinstance(value, classmethod | staticmethod) else value)
            if marked is None or marked is value:
                continue
            if isinstance(value, staticmethod):
                if base is cls:
                    _warn_never_routed(value, "fal never routes a static method")
                continue
            adopted = marked.as_class_method() if isinstance(value, classmethod) else marked
            adopted.__name__ = name
            setattr(cls, name, adopted)


def _marked(function: object) -> Endpoint | None:
    """Return *function* as an endpoint, or None if it carries no route."""
    if isinstance(function, Endpoint):
        return function
    if not _becomes_method(function):
        return None
    route = getattr(function, "__dict__", {}).get("route_signature")
    return Endpoint(function, route) if isinstance(route, RouteSignature) else None
