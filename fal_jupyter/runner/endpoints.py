"""The live instance as the ASGI application that fal would build: one FastAPI route an endpoint, built-in ``/health``.

Rules and texts are those of the real package where it was measured (fal 1.83 on FastAPI 0.136); no CORS headers,
since by default no web page may call a local app.
"""

from __future__ import annotations

import ctypes
import functools
import inspect
import sys
import threading
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from fastapi import FastAPI, Request
from fastapi.openapi.utils import get_openapi
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from starlette.requests import ClientDisconnect

from fal_jupyter.protocol.api import ErrorDescription
from fal_jupyter.runner import failures, limits, pictures
from fal_jupyter.runner.error_handlers import add_handlers, is_answer, unhandled
from fal_jupyter.runner.parameters import BodyRoute, show_body_in_openapi
from fal_jupyter.runner.websocket_routes import add_websocket_routes, describe_websockets


class RequestCancelled(BaseException):
    """Raised in a sync endpoint's thread when its owner cancelled the call. Not an Exception: user code lets it pass."""


@dataclass(slots=True)
class Call:
    """What the host learns of one request on its way: the user's exception, the user's result, a wish to exit.

    *unhandled*: nobody meant the exception, so its answer goes out as it is, without hints (C52).
    """

    error: ErrorDescription | None = None
    result: Any = None
    returned: bool = False
    unhandled: bool = False
    exit: str | None = None
    _thread: int = 0
    _cancelled: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def enter_thread(self) -> None:
        """The user's sync code begins in this thread."""
        with self._lock:
            if self._cancelled:
                raise RequestCancelled
            self._thread = threading.get_ident()

    def leave_thread(self) -> None:
        """The user's sync code is over: an exception that is on its way to this thread must not reach its next request."""
        with self._lock:
            if self._cancelled:
                _raise_in(self._thread, None)
            self._thread = 0

    def cancel(self) -> bool:
        """Raise :class:`RequestCancelled` in the thread of a sync endpoint; False when there is none now."""
        with self._lock:
            self._cancelled = True
            if self._thread:
                _raise_in(self._thread, RequestCancelled)
            return self._thread != 0


def _raise_in(thread: int, kind: type[BaseException] | None) -> None:
    """Let CPython raise *kind* in another thread at its next bytecode, or take such a wish back."""
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), ctypes.py_object(kind) if kind else None)


current_call: ContextVar[Call | None] = ContextVar("fal_jupyter_call", default=None)


class UserAbort(Exception):
    """A BaseException of user code as an ordinary one: the real one would end the event loop, not the request."""


def _note(error: BaseException) -> None:
    call = current_call.get()
    if call is None or isinstance(error, ClientDisconnect):  # a caller that hung up is no failure of the endpoint
        return
    call.error = failures.describe(error, "request")
    if told := limits.over_memory(error):
        failures.note_memory(call.error, told)
        call.exit = told
    elif isinstance(error, SystemExit):
        call.exit = f"an endpoint called sys.exit({error.code!r})"


def _returned(result: Any) -> Any:
    if "PIL.Image" in sys.modules:
        result = pictures.as_files(result)
    call = current_call.get()
    if call is not None:
        call.result, call.returned = result, True
    return result


def _watched(endpoint: Callable[..., Any]) -> Callable[..., Any]:
    """The endpoint, with its exception or result noted for the host; generators are watched while they are sent."""
    if inspect.isasyncgenfunction(endpoint) or inspect.isgeneratorfunction(endpoint):
        return endpoint
    if inspect.iscoroutinefunction(endpoint):

        @functools.wraps(endpoint)
        async def watched_async(*args: Any, **kwargs: Any) -> Any:
            try:
                return _returned(await endpoint(*args, **kwargs))
            except Exception as error:
                if not is_answer(error):
                    _note(error)
                raise
            except BaseException as error:
                if type(error).__name__ == "CancelledError":
                    raise
                _note(error)
                raise UserAbort from None

        return watched_async

    @functools.wraps(endpoint)
    def watched(*args: Any, **kwargs: Any) -> Any:
        call = current_call.get()
        try:
            if call is None:
                return endpoint(*args, **kwargs)
            call.enter_thread()
            try:
                return _returned(endpoint(*args, **kwargs))
            finally:
                call.leave_thread()
        except RequestCancelled:
            raise
        except Exception as error:
            if not is_answer(error):
                _note(error)
            raise
        except BaseException as error:
            _note(error)
            raise UserAbort from None

    return watched


async def _unhandled(request: Request, error: Exception) -> JSONResponse:
    call = current_call.get()
    if call is not None and call.error is None and not isinstance(error, ClientDisconnect):
        where = failures.find_unjsonable(call.result) if call.returned else ""
        call.error = failures.sentence("ValueError", where, "request") if where else failures.describe(error, "request")
    if call is not None:
        call.unhandled = True
    return unhandled(error)


def build(instance: Any) -> FastAPI:
    """Build the application of *instance*.

    Raises:
        Exception: whatever FastAPI says of an endpoint's signature (an annotation that is no type, for one).
    """
    app = FastAPI()
    app.add_exception_handler(Exception, _unhandled)
    add_handlers(app)
    routes = instance.collect_routes()
    for signature, method in routes.items():
        if not signature.is_websocket:
            app.router.add_api_route(
                signature.path, _watched(method), methods=["POST"], name=method.__name__, route_class_override=BodyRoute
            )
    add_websocket_routes(app, routes.items(), _note)
    app.add_api_route("/health", _health(instance), methods=["GET"], name="health", response_model=None)
    app.openapi = functools.partial(_openapi, app)  # type: ignore[method-assign]
    return app


def _health(instance: Any) -> Callable[..., Any]:
    method = instance.health
    if inspect.iscoroutinefunction(method):

        async def health_async() -> Any:
            return await method()

        return health_async

    def health() -> Any:
        return method()

    return health


def _openapi(app: FastAPI) -> dict[str, Any]:
    if app.openapi_schema is None:
        document = get_openapi(title=app.title, version=app.version, routes=app.routes)
        for route in app.routes:
            if isinstance(route, BodyRoute) and (operation := document["paths"].get(route.path, {}).get("post")):
                show_body_in_openapi(route, operation)
        paths = [r.path for r in app.routes if isinstance(r, APIRoute) and r.path != "/health"]
        document["x-fal-order-paths"] = [*dict.fromkeys(sorted(paths)), "/health"]
        for schema in document.get("components", {}).get("schemas", {}).values():
            if "properties" in schema:
                schema["x-fal-order-properties"] = list(schema["properties"])
        describe_websockets(app, document)
        app.openapi_schema = document
    return app.openapi_schema
