"""``@fal.endpoint``: marks a method of an app as answering on a path.

The mark is a descriptor, so that the class stays a class: read from an instance it is the local bound method
(``self.hi()``, ``super().hi()``), read from the class it is the remote call (``Hello.hi()``).
"""

from __future__ import annotations

import functools
import inspect
import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import FunctionType, MethodType
from typing import Any

from fal_jupyter.domain.errors import AppRuleBroken
from fal_jupyter.fal.realtime import Mode, RealtimeOptions, mode_of
from fal_jupyter.fal.remote import RemoteEndpoint
from fal_jupyter.fal.sdk import HealthCheck
from fal_jupyter.fal.warned import warn_user


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
        """Give the signature with what the annotations of a realtime method say."""
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
        """False where ``App.get_endpoints`` leaves it out: the real package lists functions that it reads from the class."""
        return isinstance(self.__wrapped__, FunctionType) and not self.binds_class

    def __init__(self, function: Callable[..., Any], route: RouteSignature) -> None:
        functools.update_wrapper(
            self, function, assigned=("__module__", "__name__", "__qualname__", "__doc__"), updated=()
        )
        self.__wrapped__: Callable[..., Any] = function
        self.route_signature = route

    def as_class_method(self) -> Endpoint:
        """Give the same endpoint as a class method."""
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
        found: dict[str, Any] = getattr(self.__wrapped__, "__dict__", {})
        return found

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
        function = self.__dict__.get("__wrapped__")
        if function is None:  # being unpickled or copied
            raise AttributeError(name)
        return getattr(function, name)

    def __repr__(self) -> str:
        return f"<endpoint {self.__qualname__} at {self.route_signature.path!r}>"


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
        billing: checked, and otherwise of no use here.

    Raises:
        AppRuleBroken: *path* is no text, the method is marked twice, a health check is a websocket.
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
    """Give the decorator that :func:`endpoint` and ``fal.realtime`` are."""
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


def _no_path(given: object) -> str:
    if callable(given):
        name = getattr(given, "__name__", "the method")
        return f'@fal.endpoint needs a path: write @fal.endpoint("/") above def {name}'
    return f'the path of an endpoint must be text such as "/generate", but it is {given!r} ({type(given).__name__})'


def _becomes_method(value: object) -> bool:
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


def static_attribute(cls: type, name: str) -> Any:
    """Give what the class or its bases hold under *name*, without asking descriptors."""
    for base in cls.__mro__:
        if name in base.__dict__:
            return base.__dict__[name]
    raise AttributeError(name)


def adopt_marked_functions(cls: type) -> None:
    """Turn functions that carry a route into endpoints: a decorator above ``@fal.endpoint`` that uses
    ``functools.wraps`` copies the mark onto a plain function, and so does the real package read it. A class method of
    such a function, or of an endpoint, is one too; a static method never is (fal 1.83.0, measured)."""
    for base in cls.__mro__:
        for name, value in list(base.__dict__.items()):
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
    """Give *function* as an endpoint, or None where it carries no route."""
    if isinstance(function, Endpoint):
        return function
    if not _becomes_method(function):
        return None
    route = getattr(function, "__dict__", {}).get("route_signature")
    return Endpoint(function, route) if isinstance(route, RouteSignature) else None  # type: ignore[arg-type]


def endpoints_of(cls: type) -> dict[str, Endpoint]:
    """Give the endpoints of *cls* and its bases by method name, in alphabetical order.

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
    places: dict[str, tuple[int, int]] = {}
    for at, (depth, name) in enumerate(written):
        places.setdefault(name, (depth, at))
    return dict(sorted(endpoints.items(), key=lambda item: places[item[0]]))


def about_of(cls: type) -> str:
    """Give the Markdown that says what the app is: the docstring of its root endpoint, which fal shows as "About", else the class's own."""
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


def signature_of(function: Callable[..., Any]) -> inspect.Signature:
    """Give the signature of a method as its callers see it, without ``self``.

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
    """Give where FastAPI takes the parameters of an endpoint method and of its dependencies from, by name.

    None where it cannot read the signature.
    """
    from fastapi.dependencies import utils

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
    found: dict[str, Field] = {}
    todo, seen = [dependant], {id(dependant)}
    while todo:
        current = todo.pop(0)
        for place in ("path", "query", "header", "cookie", "body"):
            for asked in getattr(current, f"{place}_params"):
                found.setdefault(asked.name, _field(asked, place, inner=current is not dependant))
        todo += [inner for inner in current.dependencies if id(inner) not in seen]
        seen |= {id(inner) for inner in current.dependencies}
    if any(type(field.info).__name__ in ("Form", "File") for field in found.values() if field.place == "body"):
        return {name: replace(field, form=field.place == "body") for name, field in found.items()}
    return found


class _Factory:
    """Stands for a default that is made anew for each call."""

    def __repr__(self) -> str:
        return "<factory>"


FACTORY = _Factory()


def _field(asked: Any, place: str, *, inner: bool) -> Field:
    from pydantic import BaseModel

    info = asked.field_info
    spread = place != "body" and isinstance(info.annotation, type) and issubclass(info.annotation, BaseModel)
    hyphens = bool(getattr(info, "convert_underscores", False))
    key = asked.alias.replace("_", "-") if hyphens and asked.alias == asked.name else asked.alias
    default = inspect.Parameter.empty if info.is_required() else info.default
    if getattr(info, "default_factory", None) is not None:  # which may want the other fields' values
        default = FACTORY
    return Field(place, key, spread, inner, default, hyphens, info, form=False)
