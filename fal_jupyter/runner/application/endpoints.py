"""Builds the ASGI application that fal would build for an instance: one FastAPI route per endpoint, built-in ``/health``.

Rules and messages are those of the real package as measured (fal 1.83 on FastAPI 0.136), without CORS headers,
since by default no web page may call a local app.
"""

from __future__ import annotations

import asyncio
import ctypes
import functools
import inspect
import json
import sys
import threading
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ParamSpec, TypeGuard

from fastapi import FastAPI, Request
from fastapi.openapi.utils import get_openapi
from fastapi.responses import JSONResponse, Response, StreamingResponse
from starlette.requests import ClientDisconnect

from fal_jupyter.domain.text.json_forms import encode_json
from fal_jupyter.fal.classes.routes import about_of
from fal_jupyter.protocol.api import ErrorDescription
from fal_jupyter.runner.application import body_streams, failures, pictures, worker_threads
from fal_jupyter.runner.application.error_handlers import add_handlers, is_answer, unhandled
from fal_jupyter.runner.application.parameters import BodyRoute, show_body_in_openapi, wraps_bound
from fal_jupyter.runner.application.signature_errors import signature_named
from fal_jupyter.runner.application.websocket_routes import add_websocket_routes, describe_websockets
from fal_jupyter.runner.process import data_mount, limits
from fal_jupyter.runner.process.children import end_returned_child

if TYPE_CHECKING:
    from fal_jupyter.fal.app import App

P = ParamSpec("P")


class RequestCancelled(BaseException):
    """Raised in a sync endpoint's thread when its owner cancelled the call. Not an Exception, so that user code does not catch it."""


@dataclass(slots=True)
class EndpointCall:
    """State of one call, read by the request server: the user's exception or result, and a requested exit.

    *unhandled*: the exception is unexpected, so its answer is sent without hints (C52). *answering*: the answer has begun. *endpoint* is the user's
    function, *disconnected* whether the caller has disconnected.
    """

    error: ErrorDescription | None = None
    result: object = None
    returned: bool = False
    unhandled: bool = False
    answering: bool = False
    exit: str | None = None
    endpoint: object = None
    disconnected: bool = False
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
        """The user's sync code has ended: an exception pending for this thread must not reach its next request."""
        with self._lock:
            if self._cancelled:
                _raise_in(self._thread, None)
            self._thread = 0

    def is_cancelled(self) -> bool:
        """True if a CancelledError may be ours: the call was cancelled, or its caller disconnected. Any other was raised by user code."""
        return self._cancelled or self.disconnected

    def cancel(self) -> bool:
        """Raise :class:`RequestCancelled` in the thread of a sync endpoint; False if there is none at the moment."""
        with self._lock:
            self._cancelled = True
            if self._thread:
                _raise_in(self._thread, RequestCancelled)
            return self._thread != 0


def _raise_in(thread: int, kind: type[BaseException] | None) -> None:
    """Make CPython raise *kind* in another thread at its next bytecode, or cancel that."""
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), ctypes.py_object(kind) if kind else None)


current_call: ContextVar[EndpointCall | None] = ContextVar("fal_jupyter_call", default=None)


class UserAbort(Exception):
    """A BaseException of user code as an ordinary exception: the original would end the event loop, not the request."""


def note(error: BaseException) -> None:
    """Describe an exception of the current request's user code for its owner. Never raises.

    Classes are compared with ``type``: ``isinstance`` reads the exception's own ``__class__``.
    """
    call = current_call.get()
    kind = type(error)
    if call is None or issubclass(kind, ClientDisconnect):  # a disconnect is not a failure of the endpoint
        return
    call.error = failures.describe(error, "request", call.endpoint)
    if message := limits.over_memory(error):
        failures.note(call.error, message)
        call.exit = message
    elif issubclass(kind, SystemExit):
        call.exit = f"an endpoint called sys.exit({failures.code_of(error)})"
    elif message := data_mount.missing(error):
        failures.note(call.error, message)


def _is_honest(error: BaseException) -> bool:
    """False if the exception's ``__class__`` is not its class: an ``isinstance`` of a library on the event loop could raise."""
    try:
        return error.__class__ is type(error)
    except BaseException:
        return False


def _carried(error: BaseException) -> BaseException:
    """Return the exception that leaves a worker thread for user code's *error*: itself, unless its ``__class__`` is not its class."""
    if _is_honest(error):
        return error
    note(error)
    return UserAbort()


def as_failure(error: BaseException) -> BaseException:
    """Return the exception to raise for user code's *error*: itself if it is an ordinary Exception or our own cancellation.

    A CancelledError that we did not cause (a task that user code cancelled and awaits) is an ordinary error: otherwise
    it would end the request's task, or a task group's, without an answer.
    """
    if issubclass(type(error), Exception) and _is_honest(error):
        return error  # described when it arrives
    call = current_call.get()
    if issubclass(type(error), asyncio.CancelledError):
        if call is not None and call.is_cancelled():
            return error
        if (task := asyncio.current_task()) is not None:
            while task.cancelling():  # user code cancelled its own task
                task.uncancel()
    note(error)
    return UserAbort()


def _returned(result: object, endpoint: object) -> object:
    if "PIL.Image" in sys.modules:
        result = pictures.as_files(result)
    call = current_call.get()
    if call is not None:
        call.result, call.returned, call.endpoint = result, True, endpoint
    if _is_stream(result):
        plain = type(result).stream_response is StreamingResponse.stream_response
        result.body_iterator = body_streams.guarded(result.body_iterator, as_failure, result.charset if plain else "")
    return result


def _is_stream(result: object) -> TypeGuard[StreamingResponse]:
    return issubclass(type(result), StreamingResponse)  # an object may lie about its class


def _watched(endpoint: Callable[..., object]) -> Callable[..., object]:
    """The endpoint, with its exception or result recorded in the call; generators are observed while they are sent."""
    if inspect.isasyncgenfunction(endpoint):
        return _watched_async_generator(endpoint)
    if inspect.isgeneratorfunction(endpoint):
        return endpoint
    return _watched_coroutine(endpoint) if inspect.iscoroutinefunction(endpoint) else _watched_function(endpoint)


def _watched_async_generator(endpoint: Callable[P, AsyncIterable[object]]) -> Callable[P, AsyncIterable[object]]:
    @wraps_bound(endpoint)
    async def watched(*args: P.args, **kwargs: P.kwargs) -> AsyncIterator[object]:
        async for value in body_streams.guarded(endpoint(*args, **kwargs), as_failure):
            yield value

    return watched


def _watched_coroutine(endpoint: Callable[P, Awaitable[object]]) -> Callable[P, Awaitable[object]]:
    @wraps_bound(endpoint)
    async def watched(*args: P.args, **kwargs: P.kwargs) -> object:
        try:
            result = await endpoint(*args, **kwargs)
            end_returned_child()
            return _returned(result, endpoint)
        except Exception as error:
            end_returned_child(error)
            if not is_answer(error):
                note(error)
            if not _is_honest(error):
                raise UserAbort from None
            raise
        except BaseException as error:
            end_returned_child(error)
            raise as_failure(error) from None

    return watched


def _watched_function(endpoint: Callable[..., object]) -> Callable[..., object]:
    @wraps_bound(endpoint)
    def watched(*args: object, **kwargs: object) -> object:
        call = current_call.get()
        try:
            if call is None:
                return endpoint(*args, **kwargs)
            call.enter_thread()
            try:
                result = endpoint(*args, **kwargs)
                end_returned_child()
                return _returned(result, endpoint)
            except BaseException as error:
                end_returned_child(error)
                raise
            finally:
                call.leave_thread()
        except RequestCancelled:
            raise
        except Exception as error:
            if not is_answer(error):
                note(error)
            if not _is_honest(error):
                raise UserAbort from None
            raise
        except BaseException as error:
            note(error)
            raise UserAbort from None

    return watched


async def _unhandled(request: Request, error: Exception) -> JSONResponse:
    call = current_call.get()
    if call is not None and call.error is None and not issubclass(type(error), ClientDisconnect):
        call.error = _of_answer(call, error)
    if call is not None:
        call.unhandled = not call.answering
    return unhandled(error)


def _of_answer(call: EndpointCall, error: Exception) -> ErrorDescription:
    """Describe an error outside of the endpoint: usually in serializing its result."""
    if not call.returned or isinstance(call.result, Response):
        return failures.describe(error, "request", call.endpoint)
    if failures.is_wrong_answer(error):
        return failures.describe_wrong_answer(error, call.endpoint, call.result)
    where = failures.find_unjsonable(call.result)
    if where:
        return failures.sentence("ValueError", where, "request")
    return failures.describe(error, "request", call.endpoint)


def build(instance: Any) -> FastAPI:
    """Build the application of *instance*.

    Raises:
        Exception: any error of FastAPI about an endpoint's signature (for example, an annotation that is not a type).
    """
    worker_threads.guard(_carried)
    app = FastAPI(lifespan=instance.lifespan)
    instance._add_extra_middlewares(app)
    app.add_exception_handler(Exception, _unhandled)
    add_handlers(app)
    routes = instance.collect_routes()
    for signature, method in routes.items():
        if not signature.is_websocket:
            with signature_named(method):
                app.router.add_api_route(
                    *(signature.path, _watched(method)),
                    methods=["POST"], name=method.__name__, route_class_override=BodyRoute,
                )  # fmt: skip
    add_websocket_routes(app, routes.items(), as_failure, note)
    instance._add_extra_routes(app)
    app.openapi = functools.partial(_openapi, app, about_of(type(instance)))  # type: ignore[method-assign]
    return app


def add_health(app: FastAPI, instance: App) -> None:
    """Add ``GET /health``: the answer of ``instance.health()``."""
    app.add_api_route("/health", _health(instance), methods=["GET"], name="health", response_model=None)


def _health(instance: App) -> Callable[[], object]:
    method = instance.health
    if inspect.iscoroutinefunction(method):

        async def health_async() -> object:
            return await method()

        return health_async

    def health() -> object:
        return method()

    return health


def _openapi(app: FastAPI, about: str) -> dict[str, object]:
    if app.openapi_schema is None:
        document = get_openapi(title=app.title, version=app.version, description=about, routes=app.routes)
        for route in app.routes:
            if isinstance(route, BodyRoute) and (operation := document["paths"].get(route.path, {}).get("post")):
                show_body_in_openapi(route, operation)
        document["x-fal-order-paths"] = list(document["paths"])
        for schema in document.get("components", {}).get("schemas", {}).values():
            if "properties" in schema:
                schema["x-fal-order-properties"] = list(schema["properties"])
        describe_websockets(app, document)
        # a default may have half a character, which UTF-8 cannot hold
        app.openapi_schema = json.loads(encode_json(document))
    return app.openapi_schema
