"""What a class is from outside: calls to its running app. Its facts (``Hello.url``) are in :mod:`fal_jupyter.fal.classes.class_facts`.

Who serves a class is bound to that very class object, not to its name or its subclasses: running a cell again makes
a new class, and a subclass is an app of its own.
"""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Callable, Coroutine, Iterable
from types import FunctionType
from typing import TYPE_CHECKING, Any, Protocol
from weakref import WeakKeyDictionary

from fal_jupyter.domain.errors import NotServed
from fal_jupyter.domain.text.nearest import nearest
from fal_jupyter.fal.classes.alias import alias_of
from fal_jupyter.fal.classes.signatures import signature_of
from fal_jupyter.fal.ref import get_current_app


class MarkedMethod(Protocol):
    """What a remote endpoint needs of the marked method (:class:`fal_jupyter.fal.classes.routes.Endpoint`)."""

    __name__: str
    __qualname__: str
    __wrapped__: Callable[..., Any]
    binds_class: bool
    route_signature: Any

    def attributes(self) -> dict[str, Any]:
        """The attributes of the method, which are written there."""

    def set_attribute(self, name: str, value: Any) -> None:
        """Set an attribute of the method."""

    def delete_attribute(self, name: str) -> None:
        """Delete an attribute of the method."""


class Handle(Protocol):
    """What serves a class, as far as the class needs to know it.

    It must not keep the class alive for ever: hold it weakly, or not at all.
    """

    def call(self, endpoint_name: str, args: tuple[Any, ...], kwargs: dict[str, Any], /) -> Any:
        """Call an endpoint by its method's name and give its answer."""

    def acall(self, endpoint_name: str, args: tuple[Any, ...], kwargs: dict[str, Any], /) -> Coroutine[Any, Any, Any]:
        """The same, as a coroutine."""

    def map(self, endpoint_name: str, items: Iterable[Any], /, *, concurrency: int = 8) -> Any:
        """Call an endpoint once for each item, several at once, and give the answers in order."""


_handles: WeakKeyDictionary[type, Any] = WeakKeyDictionary()
_refusals: WeakKeyDictionary[type, tuple[str, str]] = WeakKeyDictionary()
"""Why a class could not be served, and what to do."""
_imported_in = os.getpid()


class NotServedHere(NotServed, AttributeError):
    """The class is not served. An ``AttributeError`` too, so that ``hasattr(Hello, "url")`` is False."""

    def __reduce__(self) -> tuple[Any, ...]:
        return _not_served, (self.message,), vars(self)  # its name is another class's, and pools pickle what is raised


def _not_served(message: str) -> NotServedHere:
    return NotServedHere(message)


NotServedHere.__name__ = NotServedHere.__qualname__ = "NotServed"


def bind(cls: type, handle: Any) -> None:
    """From now on *handle* answers for exactly *cls*."""
    _handles[cls] = handle
    _refusals.pop(cls, None)


def bind_refusal(cls: type, reason: str, hint: str) -> None:
    """The serving of *cls* was refused: as long as nothing answers for it, its calls say why and what to do."""
    _refusals[cls] = reason, hint


def refusal_of(cls: type) -> NotServedHere | None:
    """Return the error of a call of *cls* whose serving was refused, or ``None``."""
    if cls not in _refusals:
        return None
    reason, hint = _refusals[cls]
    return NotServedHere(f"{cls.__name__} is not served from here: {reason}", hint=hint)


def unbind(cls: type) -> None:
    """*cls* is no longer served."""
    _handles.pop(cls, None)


def handle_of(cls: type) -> Any | None:
    """Return what answers for exactly *cls*, or ``None``."""
    return _handles.get(cls)


def require_handle(cls: type, expression: str) -> Any:
    """Return what answers for *cls*; *expression* is what the user wrote (``Hello.hi``).

    Raises:
        NotServed: it is not served; the hint says what to type.
    """
    handle = _handles.get(cls)
    if handle is not None:
        return handle
    name = cls.__name__
    if (refusal := refusal_of(cls)) is not None:
        raise refusal
    served = next((base.__name__ for base in cls.__mro__[1:] if base in _handles), "")
    message = f"{name} is not served, so {expression} has nothing to reach"
    if served:
        message += f" ({served}, its base, is served, but {name} is an app of its own)"
    if os.environ.get("IS_ISOLATE_AGENT"):
        hint = _hint_in_a_runner(cls, expression)
    elif _is_spawned():
        hint = f"this process was spawned, so it has only the class; call from threads, as {expression}.map(...) does, or fork it"
    else:
        hint = f"define it under %%fal_app, or call fal_jupyter.serve({name})"
    raise NotServedHere(message, hint=hint)


def _hint_in_a_runner(cls: type, name: str) -> str:
    running = get_current_app()
    if running is None or isinstance(running, cls):
        return "inside the app, call the method on the instance: self." + name.rpartition(".")[2] + "(...)"
    owner = os.environ.get("FAL_USER_NICKNAME", "local")
    return (
        f"it is another app than {type(running).__name__}, so call it by its address: fal_client.run("
        f'"{owner}/{alias_of(cls)}", arguments={{...}})'
    )


def _is_spawned() -> bool:
    """True in a child process of ``multiprocessing`` (or of a package built on it) that was not forked."""
    multiprocessing = sys.modules.get("multiprocessing.process")
    return multiprocessing is not None and multiprocessing.parent_process() is not None and os.getpid() == _imported_in


WAYS = {
    "map": "{0}.map(items, concurrency=8) calls it once for each item, several at once, and gives the answers in order",
    "stream": "for value in {0}.stream(...) gives the pieces of its answer as they come",
    "submit": "job = {0}.submit(...) puts the call into the queue, job.get() waits for its answer",
    "aio": "await {0}.aio(...) is the call in asynchronous code",
}
SOCKET_WAYS = {"realtime": "with {0}.realtime() as session: session.send(...), session.recv()"}


class RemoteEndpoint:
    """An endpoint read from its class: calling it calls the running app.

    ``Hello.hi.stream(...)`` is ``Hello.stream.hi(...)``, and so with ``submit``, ``aio`` and ``realtime``. An attribute of that
    name that the method has itself comes first.

    To everything else it is the function of its method, as in the real package: ``inspect`` takes it for one, and attributes
    that are set or deleted are the method's (``Hello.hi.cost = 3``, ``Hello.hi.__annotations__ = {...}``).

    Attributes:
        __wrapped__: the method as written.
        __signature__: its signature without ``self``.
    """

    def __init__(self, owner: type, endpoint: MarkedMethod) -> None:
        own = {
            "_owner": owner,
            "_endpoint": endpoint,
            "__wrapped__": endpoint.__wrapped__,
            "__name__": endpoint.__name__,
            "__qualname__": f"{owner.__qualname__}.{endpoint.__name__}",
            "__module__": owner.__module__,
            "__doc__": endpoint.__doc__,
        }
        for name, value in own.items():
            object.__setattr__(self, name, value)

    if not TYPE_CHECKING:
        __class__ = property(lambda self: FunctionType)
        __dict__ = property(lambda self: self._endpoint.attributes())

    @property  # the method's own, never a copy that travels beside it
    def __annotations__(self) -> dict[str, Any]:  # type: ignore[override]
        annotations: dict[str, Any] = self.__wrapped__.__annotations__
        return annotations

    def __setattr__(self, name: str, value: Any) -> None:
        self._endpoint.set_attribute(name, value)

    def __delattr__(self, name: str) -> None:
        self._endpoint.delete_attribute(name)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the running app and give the endpoint's answer."""
        __tracebackhide__ = True
        if self._endpoint.binds_class:  # it needs no instance, so that in a runner, or unserved, it runs here
            if handle_of(self._owner) is None:
                return self.__wrapped__(self._owner, *args, **kwargs)
        elif args and isinstance(args[0], self._owner):  # Base.hi(self, …): the ordinary call of a method by its class
            return self.__wrapped__(*args, **kwargs)
        return require_handle(self._owner, self._expression).call(self.__name__, args, kwargs)

    def map(self, items: Iterable[Any], concurrency: int = 8) -> Any:
        """Call the endpoint once for each item, *concurrency* at a time, and give the answers in the items' order."""
        __tracebackhide__ = True
        handle = require_handle(self._owner, f"{self._expression}.map")
        return handle.map(self.__name__, items, concurrency=concurrency)

    @property
    def _expression(self) -> str:
        return f"{self._owner.__name__}.{self.__name__}"

    def __getattr__(self, name: str) -> Any:
        __tracebackhide__ = True
        if name == "__signature__":
            return signature_of(self.__wrapped__)
        if name == "_endpoint":  # not made by __init__
            raise AttributeError(name)
        try:
            return getattr(self._endpoint, name)
        except AttributeError as error:
            if name in self._ways:
                return self._way(name)
            if name == "getdoc":  # IPython's hook for ``?``
                return self._help
            near = "" if name.startswith("_") else nearest(name, self._ways)
            if not near:
                raise
            meant = f"{error}; did you mean {self._expression}.{near}?"
        raise AttributeError(meant, name=name, obj=self)

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *self._ways})

    @property
    def _ways(self) -> dict[str, str]:
        return SOCKET_WAYS if self._endpoint.route_signature.is_websocket else WAYS

    def _way(self, way: str) -> Callable[..., Any]:
        """Return ``Hello.stream.hi`` for ``Hello.hi.stream``."""

        def reach(*args: Any, **kwargs: Any) -> Any:
            __tracebackhide__ = True
            handle = require_handle(self._owner, f"{self._expression}.{way}")
            return getattr(getattr(handle, way), self.__name__)(*args, **kwargs)

        reach.__name__, reach.__qualname__ = way, f"{self.__qualname__}.{way}"
        reach.__doc__ = f"{self._ways[way].format(self._expression)}."
        reach.__signature__ = signature_of(self.__wrapped__)  # type: ignore[attr-defined]
        return reach

    def _help(self) -> str:
        """The method's own docstring, and the ways to call it."""
        own = inspect.cleandoc(self.__doc__ or "")
        ways = "\n".join(f"* {template.format(self._expression)}" for template in self._ways.values())
        head = (
            "It is a session"
            if self._ways is SOCKET_WAYS
            else f"{self._expression}(...) calls the running app. Besides"
        )
        return f"{own}\n\n{head}:\n\n{ways}".strip()

    def __eq__(self, other: object) -> bool:
        if type(other) is not RemoteEndpoint:
            return NotImplemented
        return self._owner is other._owner and self._endpoint is other._endpoint

    def __hash__(self) -> int:
        return hash((self._owner, id(self._endpoint)))

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        return getattr, (self._owner, self.__name__)

    def __repr__(self) -> str:
        try:
            signature = str(inspect.signature(self))
        except (TypeError, ValueError):
            signature = "(...)"
        handle = _handles.get(self._owner)
        where = f" at {handle.url}" if handle is not None and isinstance(getattr(handle, "url", None), str) else ""
        return f"<endpoint {self._expression}{signature}, path {self._endpoint.route_signature.path!r}{where}>"
