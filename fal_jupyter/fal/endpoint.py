"""``@fal.endpoint``: a descriptor, remote when read from the class, the plain method on an instance.

So the class stays a class: ``isinstance``, ``super()``, subclassing and pickling work as ever, which a proxy object in
its place breaks.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from fal_jupyter.domain.errors import AppRuleBroken
from fal_jupyter.fal import remote


@dataclass(frozen=True)
class HealthCheck:
    """How fal probes a runner; accepted and kept, acted on by a later issue. Seconds, and a count."""

    start_period_seconds: int | None = None
    timeout_seconds: int | None = None
    failure_threshold: int | None = None
    call_regularly: bool | None = None


@dataclass(frozen=True)
class RouteSignature:
    """Where an endpoint is served; two methods with equal signatures collapse into one route."""

    path: str
    is_websocket: bool = False
    health_check: HealthCheck | None = None


class Endpoint:
    """What the decorator leaves in the class body."""

    def __init__(self, function: Callable[..., Any], route_signature: RouteSignature) -> None:
        self.function = function
        self.route_signature = route_signature
        functools.update_wrapper(self, function)
        self.__name__: str = getattr(function, "__name__", "endpoint")

    def __set_name__(self, owner: type, name: str) -> None:
        self.__name__ = name

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        if instance is not None:
            return self.function.__get__(instance, owner)
        return RemoteEndpoint(owner or type(instance), self)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.function(*args, **kwargs)

    def __reduce__(self) -> tuple[Any, ...]:
        return Endpoint, (self.function, self.route_signature)


class RemoteEndpoint:
    """``Hello.hi``: calling it calls the running app. It has the method's signature (without ``self``) and docstring."""

    def __init__(self, owner: type, endpoint: Endpoint) -> None:
        self.owner = owner
        self.endpoint = endpoint
        self.route_signature = endpoint.route_signature
        self.__name__ = endpoint.__name__
        self.__qualname__ = f"{owner.__qualname__}.{endpoint.__name__}"
        self.__doc__ = endpoint.function.__doc__
        self.__module__ = owner.__module__
        self.__wrapped__ = endpoint.function

    @property
    def __signature__(self) -> inspect.Signature:
        signature = inspect.signature(self.endpoint.function)
        return signature.replace(parameters=list(signature.parameters.values())[1:])

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return remote.handle_for_call(self.owner).call(self.__name__, args, kwargs)

    def map(self, items: Iterable[Any], *, concurrency: int = 8) -> list[Any]:
        """Call the endpoint once for each of *items*, *concurrency* at a time; the answers come in the items' order.

        An item is what a call takes: one positional argument, or a dict of parameters. The first call that fails
        raises its error, with the item named; calls not begun are dropped.
        """
        return remote.handle_for_call(self.owner).map(self.__name__, items, concurrency=concurrency)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RemoteEndpoint) and self.owner is other.owner and self.endpoint is other.endpoint

    def __hash__(self) -> int:
        return hash((self.owner, self.__name__))

    def __repr__(self) -> str:
        return f"<endpoint {self.__qualname__}{self.__signature__} at {self.route_signature.path!r}>"

    def __reduce__(self) -> tuple[Any, ...]:
        return getattr, (self.owner, self.__name__)


def endpoint(
    path: str,
    *,
    is_websocket: bool = False,
    health_check: HealthCheck | None = None,
    billing: Any = None,
) -> Callable[[Callable[..., Any]], Any]:
    """Serve the decorated method at *path*.

    Args:
        path: begins with ``/``; may hold parameters (``/item/{item_id}``).
        is_websocket: accepted; websockets are served by a later issue.
        health_check: this endpoint tells fal whether the runner is well.
        billing: an object with ``declaration()``, as fal has it; kept, without local effect.

    Raises:
        AppRuleBroken: *path* is no text, or the method has a route already.
    """
    if not isinstance(path, str):
        if callable(path):
            raise AppRuleBroken(
                f"@fal.endpoint above {getattr(path, '__name__', 'a method')} needs its path",
                hint='write @fal.endpoint("/")',
            )
        raise AppRuleBroken(f"an endpoint's path is text, not {path!r}", hint='write @fal.endpoint("/")')
    if billing is not None and (isinstance(billing, type) or not callable(getattr(billing, "declaration", None))):
        raise TypeError("billing must be an object with a declaration() method")

    def mark(function: Callable[..., Any]) -> Any:
        if hasattr(function, "route_signature"):
            raise AppRuleBroken(f"Can't set multiple routes for the same function: {function.__name__}")
        return Endpoint(function, RouteSignature(path, is_websocket, health_check))

    return mark
