"""Marked methods and the routes that they are: what each endpoint of a class answers on, and in which order requests are matched."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import FunctionType, MethodType
from typing import Any

from fal_jupyter.fal.classes.realtime_options import Mode, RealtimeOptions, mode_of
from fal_jupyter.fal.classes.remote import RemoteEndpoint
from fal_jupyter.fal.sdk import HealthCheck


@dataclass(frozen=True)
class RouteSignature:
    """Where and how an endpoint is reached. Two methods with equal signatures are one route."""

    path: str
    is_websocket: bool = False
    health_check: HealthCheck | None = None
    billing: Any = field(default=None, compare=False)
    realtime: RealtimeOptions | None = None
    realtime_mode: Mode | None = field(default=None, compare=False)
    input_modal: Any = field(default=None, compare=False)
    output_modal: Any = field(default=None, compare=False)

    def of_method(self, method: Callable[..., Any]) -> RouteSignature:
        """Return the signature with what the annotations of a realtime method say."""
        if self.realtime is None:
            return self
        return replace(
            self,
            realtime_mode=mode_of(method),
            input_modal=self.realtime.input_of(method),
            output_modal=self.realtime.output_of(method),
        )

    emit_timings = False
    content_type = property(lambda self: self.realtime and self.realtime.content_type)
    buffering = property(lambda self: self.realtime and self.realtime.buffering)
    session_timeout = property(lambda self: self.realtime and self.realtime.session_timeout)
    max_batch_size = property(lambda self: self.realtime.max_batch_size if self.realtime else 1)
    encode_message = property(lambda self: self.realtime and self.realtime.encode_message)
    decode_message = property(lambda self: self.realtime and self.realtime.decode_message)


class Endpoint:
    """A method marked as an endpoint.

    Attributes:
        route_signature: its path and kind.
        __wrapped__: the method as written.
        binds_class: True for a class method: its first argument is the class.
    """

    binds_class = False

    @property
    def is_listed(self) -> bool:
        """False if ``App.get_endpoints`` leaves it out: the real package lists functions that it reads from the class."""
        return isinstance(self.__wrapped__, FunctionType) and not self.binds_class

    def __init__(self, function: Callable[..., Any], route: RouteSignature) -> None:
        functools.update_wrapper(
            self, function, assigned=("__module__", "__name__", "__qualname__", "__doc__"), updated=()
        )
        self.__wrapped__: Callable[..., Any] = function
        self.route_signature = route

    def as_class_method(self) -> Endpoint:
        """Return the same endpoint as a class method."""
        bound = Endpoint(self.__wrapped__, self.route_signature)
        bound.__dict__.update(self.__dict__)
        bound.binds_class = True
        return bound

    @property  # the method's own, never a copy that travels beside it
    def __annotations__(self) -> dict[str, Any]:  # type: ignore[override]
        annotations: dict[str, Any] = self.__wrapped__.__annotations__
        return annotations

    def attributes(self) -> dict[str, Any]:
        """The attributes of the method, which are written there."""
        attributes: dict[str, Any] = getattr(self.__wrapped__, "__dict__", {})
        return attributes

    def set_attribute(self, name: str, value: Any) -> None:
        """Set an attribute of the method from outside of its class."""
        if name == "route_signature" or name in self.__dict__:
            self.__dict__[name] = value
        if name not in ("route_signature", "__name__", "__wrapped__"):
            setattr(self.__wrapped__, name, value)

    def delete_attribute(self, name: str) -> None:
        """Delete an attribute of the method.

        Raises:
            AttributeError: it has none of that name.
        """
        delattr(self.__wrapped__, name)

    def __set_name__(self, owner: type, name: str) -> None:
        self.__name__ = name

    def __get__(self, instance: object | None, owner: type | None = None) -> Any:
        if instance is None:
            return RemoteEndpoint(owner if owner is not None else type(None), self)
        if self.binds_class:
            return MethodType(self.__wrapped__, type(instance))
        return self.__wrapped__.__get__(instance, owner)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the method as written: its first argument is the instance."""
        return self.__wrapped__(*args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        """Whatever else is asked of it is asked of the method (``__code__``, ``__defaults__``, a decorator's mark)."""
        __tracebackhide__ = True
        function = self.__dict__.get("__wrapped__")
        if function is None:  # being unpickled or copied
            raise AttributeError(name)
        return getattr(function, name)

    def __repr__(self) -> str:
        return f"<endpoint {self.__qualname__} at {self.route_signature.path!r}>"


def static_attribute(cls: type, name: str) -> Any:
    """Return what the class or its bases hold under *name*, without asking descriptors."""
    for base in cls.__mro__:
        if name in base.__dict__:
            return base.__dict__[name]
    raise AttributeError(name)


def endpoints_of(cls: type) -> dict[str, Endpoint]:
    """Return the endpoints of *cls* and its bases by method name, in alphabetical order.

    A method that a subclass overrides without the decorator is no endpoint of the subclass.
    """
    return dict(_endpoints(cls))


def _endpoints(cls: type) -> Iterator[tuple[str, Endpoint]]:
    for name in sorted({name for base in cls.__mro__ for name in base.__dict__}):
        value = static_attribute(cls, name)
        if isinstance(value, Endpoint):
            yield name, value


def in_source_order(cls: type, endpoints: Mapping[str, Endpoint]) -> dict[str, Endpoint]:
    """Sort *endpoints* of *cls* as they are written: those of the class itself first, then those of its bases.

    For what people read only; requests are matched in the order of :func:`routes_of`.
    """
    written = [(depth, name) for depth, base in enumerate(cls.__mro__) for name in base.__dict__]
    positions: dict[str, tuple[int, int]] = {}
    for at, (depth, name) in enumerate(written):
        positions.setdefault(name, (depth, at))
    return dict(sorted(endpoints.items(), key=lambda item: positions[item[0]]))


def about_of(cls: type) -> str:
    """Return the Markdown that says what the app is: the docstring of its root endpoint, which fal shows as "About", else the class's own."""
    _, root = routes_of(cls).get("/", ("", None))
    docs = [root.__doc__] if root is not None else []  # the docstring of None is Python's own, since 3.13
    bases = [
        base for base in cls.__mro__ if base.__module__.partition(".")[0] not in ("builtins", "fal", "fal_jupyter")
    ]
    docs += [vars(base).get("__doc__") for base in bases]
    return next((text for doc in docs if isinstance(doc, str) and (text := inspect.cleandoc(doc).strip())), "")


def routes_of(cls: type) -> dict[str, tuple[str, Endpoint]]:
    """Give, for each path, the HTTP endpoint that answers on it: ``{path: (method name, endpoint)}``, in path order.

    Equal signatures are one route, and the last name of the alphabet has it; different signatures on one path are
    matched in the order of the names (both as in the real package).
    """
    by_signature: dict[RouteSignature, tuple[str, Endpoint]] = {}
    for name, marked in _endpoints(cls):
        if not marked.route_signature.is_websocket:
            by_signature[marked.route_signature] = (name, marked)
    by_path: dict[str, tuple[str, Endpoint]] = {}
    for route, entry in sorted(by_signature.items(), key=lambda item: (item[0].path, item[1][0])):
        by_path.setdefault(route.path, entry)
    return by_path
