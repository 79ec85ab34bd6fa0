"""Facts of the running app that are read from its class: ``Hello.url``, ``Hello.key``, ``Hello.aio`` …"""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

from fal_jupyter.domain.text.nearest import hint_for
from fal_jupyter.fal.classes.remote import require_handle
from fal_jupyter.fal.classes.routes import Endpoint, endpoints_of
from fal_jupyter.fal.classes.signatures import signature_of


class AsyncEndpoint:
    """``Hello.aio.hi``: calling it gives a coroutine."""

    def __init__(self, owner: type, endpoint: Endpoint) -> None:
        self._owner = owner
        self.__wrapped__ = endpoint.__wrapped__
        self.__name__ = endpoint.__name__
        self.__doc__ = endpoint.__doc__

    def __call__(self, *args: Any, **kwargs: Any) -> Coroutine[Any, Any, Any]:
        """Return the coroutine of one call."""
        handle = require_handle(self._owner, f"{self._owner.__name__}.aio.{self.__name__}")
        coroutine: Coroutine[Any, Any, Any] = handle.acall(self.__name__, args, kwargs)
        return coroutine

    def __getattr__(self, name: str) -> Any:
        if name == "__signature__":
            return signature_of(self.__wrapped__)
        raise AttributeError(name)

    def __repr__(self) -> str:
        return f"<awaitable endpoint {self._owner.__name__}.{self.__name__}>"


class AsyncEndpoints:
    """``Hello.aio``: the endpoints of a class as coroutine functions."""

    def __init__(self, owner: type) -> None:
        self._owner = owner

    def __getattr__(self, name: str) -> AsyncEndpoint:
        if name == "_owner":
            raise AttributeError(name)
        endpoints = endpoints_of(self._owner)
        if name not in endpoints:
            meant = hint_for(name, endpoints, f"its endpoints: {', '.join(endpoints) or 'none'}")
            raise AttributeError(f"{self._owner.__name__} has no endpoint {name!r}; {meant}", name=name, obj=self)
        return AsyncEndpoint(self._owner, endpoints[name])

    def __dir__(self) -> list[str]:
        return list(endpoints_of(self._owner))

    def __repr__(self) -> str:
        return f"<awaitable endpoints of {self._owner.__name__}>"


class ClassFact:
    """A fact of the running app, read from its class.

    No data descriptor: whatever the user calls by the same name wins, on the class or on an instance. On an instance
    that has nothing of that name there is no such attribute.
    """

    def __init__(self, doc: str) -> None:
        self.__doc__ = doc
        self._name = ""

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, instance: object | None, owner: type | None = None) -> Any:
        if instance is not None or owner is None:
            raise AttributeError(f"{type(instance).__name__!r} object has no attribute {self._name!r}")
        if self._name == "aio":
            return AsyncEndpoints(owner)
        handle = require_handle(owner, f"{owner.__name__}.{self._name}")
        return getattr(handle, self._name)
