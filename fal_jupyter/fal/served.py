"""Functions that are apps: ``fal.function(serve=True)`` and ``fal.function(exposed_port=…)``, as classes of ``fal.App``.

With ``serve=True`` the function is the endpoint ``/``. With ``exposed_port`` the function runs a server of its own on that
port: a runner starts it in a child process, and passes all requests on to the port (:mod:`fal_jupyter.runner.own_server.server`).
"""

from __future__ import annotations

import functools
import importlib
import inspect
import types
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from typing import Any, TypeGuard

from fal_jupyter.domain.spec import derive_app_name
from fal_jupyter.fal.app import App
from fal_jupyter.fal.classes.endpoints import endpoint
from fal_jupyter.fal.classes.function import IsolatedFunction
from fal_jupyter.fal.classes.options import OPTIONS, SET_BY_FAL
from fal_jupyter.fal.classes.warned import warn_user

_ENVIRONMENT = ("requirements", "image", "python_version")
AT_ONCE = 100
"""Requests at once that a function's own server gets, where ``max_multiplexing`` does not say."""

_RUNNERS = ("min_concurrency", "max_concurrency")


def is_served(value: object) -> TypeGuard[IsolatedFunction]:
    """Tell whether *value* is a function that is an app of its own."""
    return isinstance(value, IsolatedFunction) and bool(
        value.options.gateway.get("serve") or value.options.gateway.get("exposed_port") is not None
    )


def served_app(value: IsolatedFunction) -> type[App]:
    """Return the class that serves a function for which :func:`is_served` is true.

    Raises:
        AppRuleBroken: one of its options has no meaning for an app.
    """
    function = value.raw_func
    body = _options(value)
    if value.options.gateway.get("serve"):
        body |= _endpoint_of(function)
    else:
        port = int(value.options.gateway["exposed_port"])
        body |= _server_of(function, port)
        body |= _one_runner(function.__name__, port, body)
    body["__module__"], body["__doc__"] = function.__module__, function.__doc__
    keywords = {name: body.pop(name) for name in list(body) if name in OPTIONS and not OPTIONS[name].variable}
    check = keywords.pop("health_check_config", None)
    keywords["name"] = value.app_name or derive_app_name(function.__name__)
    app: type[App] = types.new_class(function.__name__, (App,), keywords, lambda namespace: namespace.update(body))
    app.host_kwargs["health_check_config"] = check
    return app


def _options(value: IsolatedFunction) -> dict[str, Any]:
    options = {name: value.options.environment[name] for name in _ENVIRONMENT if name in value.options.environment}
    options |= value.options.host
    if value.options.environment.get("kind") == "container" and "image" not in options:
        options["kind"] = "container"
    return {name: option for name, option in options.items() if option is not None and name not in SET_BY_FAL}


def _endpoint_of(function: Callable[..., Any]) -> dict[str, Any]:
    """The function as a method, of the same kind and signature."""
    method: Any = _method_calling(function)
    functools.update_wrapper(method, function)
    del method.__wrapped__  # its signature has no self
    own = _signature(function)
    this = inspect.Parameter("self", inspect.Parameter.POSITIONAL_ONLY)
    method.__signature__ = own.replace(parameters=[this, *own.parameters.values()])
    return {_free_name(function.__name__): endpoint("/")(method)}


def _method_calling(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a method of the same kind that calls *function* without its own ``self``."""

    async def async_generator(self: object, *args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        async for item in function(*args, **kwargs):
            yield item

    async def coroutine(self: object, *args: Any, **kwargs: Any) -> Any:
        return await function(*args, **kwargs)

    def generator(self: object, *args: Any, **kwargs: Any) -> Iterator[Any]:
        yield from function(*args, **kwargs)

    def plain(self: object, *args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    if inspect.isasyncgenfunction(function):
        return async_generator
    if inspect.iscoroutinefunction(function):
        return coroutine
    return generator if inspect.isgeneratorfunction(function) else plain


def _signature(function: Callable[..., Any]) -> inspect.Signature:
    try:
        return inspect.signature(function, eval_str=True)
    except NameError:  # a name that is only there for type checkers: FastAPI says which
        return inspect.signature(function)


def _server_of(function: Callable[..., Any], port: int) -> dict[str, Any]:
    from fastapi import Request, Response  # start-up

    room = "fal_jupyter.runner.own_server.server"  # the runner's, by name: rooms meet by name

    def setup(self: Any) -> None:
        self.own_server = importlib.import_module(room).OwnServer(function, port)
        self.own_server.start()

    def teardown(self: Any) -> None:
        self.own_server.stop()

    async def passed_on(self: Any, request: Request) -> Response:
        answer: Response = await self.own_server.answer(request)
        return answer

    def add_extra_routes(self: Any, app: Any) -> None:
        importlib.import_module(room).add_routes(app, lambda: self.own_server)

    passed_on.__annotations__ = {"request": Request, "return": Response}
    passed_on.__name__ = passed_on.__qualname__ = _free_name(function.__name__)
    return {
        "setup": setup,
        "teardown": teardown,
        passed_on.__name__: endpoint("/")(passed_on),
        "_add_extra_routes": add_extra_routes,
    }


def _one_runner(name: str, port: int, options: Mapping[str, Any]) -> dict[str, Any]:
    """A port of this machine is one server's, so there is one runner, which takes the requests of those that there would be on fal:
    a page with a websocket or an event stream needs others beside it."""
    more = [f"{option} = {options[option]}" for option in _RUNNERS if (options.get(option) or 0) > 1]
    if more:
        warn_user(f"{name} listens on port {port}, so it has one runner here: {', '.join(more)} acts in the cloud")
    return {"max_concurrency": 1, "min_concurrency": min(options.get("min_concurrency") or 0, 1),
            "concurrency_buffer": 0, "concurrency_buffer_perc": 0,
            "max_multiplexing": options.get("max_multiplexing") or AT_ONCE}  # fmt: skip


def _free_name(name: str) -> str:
    """A name for the method that means nothing else in an app."""
    return f"{name}_" if hasattr(App, name) else name
