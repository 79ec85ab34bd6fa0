"""Websocket endpoints of an app: raw ones and realtime ones, as routes and in the OpenAPI document (C55, C57)."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, ParamSpec

from fastapi import FastAPI, WebSocket
from fastapi.params import Param
from pydantic import TypeAdapter
from starlette.websockets import WebSocketDisconnect

from fal_jupyter.fal.classes.realtime_options import mode_of
from fal_jupyter.fal.classes.routes import RouteSignature
from fal_jupyter.runner.application import realtime
from fal_jupyter.runner.application.parameters import wraps_bound

P = ParamSpec("P")

_BY_VALUE = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
Noted = Callable[[BaseException], None]
AsFailure = Callable[[BaseException], BaseException]


def add_websocket_routes(
    app: FastAPI, routes: Iterable[tuple[RouteSignature, Callable[..., object]]], as_failure: AsFailure, note: Noted
) -> None:
    """Add the websocket routes among *routes* to *app*; *as_failure* and *note* describe what they raise for the owner.

    Raises:
        ValueError: a raw endpoint is not a coroutine function, or has no WebSocket parameter.
    """
    added = []
    for signature, method in routes:
        if not signature.is_websocket:
            continue
        if signature.realtime is not None:
            endpoint = realtime.route_of(method, signature.realtime, as_failure, note)
        else:
            _check(signature.path, method)
            endpoint = _watched(method, as_failure, note)
        app.router.add_api_websocket_route(signature.path, endpoint, name=method.__name__)
        added.append((signature, method))
    app.state.websocket_routes = added


def _watched(method: Callable[P, Any], as_failure: AsFailure, note: Noted) -> Callable[P, Awaitable[object]]:
    """The endpoint, with its exception recorded for the owner."""

    @wraps_bound(method)
    async def watched(*args: P.args, **kwargs: P.kwargs) -> object:
        try:
            return await method(*args, **kwargs)
        except WebSocketDisconnect:  # the caller disconnected: not a failure of the endpoint
            return None
        except Exception as error:
            note(error)
            raise
        except BaseException as error:
            raise as_failure(error) from None

    return watched


def _check(path: str, method: Any) -> None:
    raw = method.__func__ if inspect.ismethod(method) else method
    signature = inspect.signature(raw)
    names = [
        name
        for name, parameter in signature.parameters.items()
        if parameter.kind not in _BY_VALUE and not isinstance(parameter.default, Param)
    ]
    try:
        hints: dict[str, object] = typing.get_type_hints(raw)
    except Exception:  # an unresolvable name: use the annotations as written
        hints = dict(getattr(raw, "__annotations__", {}))
    missing = [] if inspect.iscoroutinefunction(raw) else ["be defined with async def"]
    if not any(_is_websocket(hints.get(name)) for name in names):
        missing.append("declare a parameter annotated as fastapi.WebSocket")
    if missing:
        parameter = next((name for name in names if name not in ("self", "cls")), "websocket")
        raise ValueError(
            f"Websocket endpoint {raw.__qualname__!r} at {path!r} must {' and '.join(missing)}. Got signature {signature}. "
            f"For example: `async def {raw.__name__}(self, {parameter}: WebSocket): ...`"
        )


def _is_websocket(annotation: object) -> bool:
    if isinstance(annotation, str):
        return annotation.rpartition(".")[2] == "WebSocket"
    return inspect.isclass(annotation) and issubclass(annotation, WebSocket)


def describe_websockets(app: FastAPI, document: dict[str, Any]) -> None:
    """Add the websocket routes to an OpenAPI document: ``x-fal-protocol``, and a POST that shows the messages' models."""
    for signature, method in getattr(app.state, "websocket_routes", ()):
        options = signature.realtime
        schemas = document.setdefault("components", {}).setdefault("schemas", {})
        takes = _schema_name(schemas, options.input_of(method)) if options else ""
        gives = _schema_name(schemas, options.output_of(method)) if options else ""
        item = document["paths"].setdefault(signature.path, {})
        item["x-fal-protocol"] = _protocol(signature, method)
        if "post" not in item and (takes or gives):
            item["post"] = _as_post(signature, method, takes, gives)
        order = document.setdefault("x-fal-order-paths", [])
        if signature.path not in order:
            order.append(signature.path)


def _protocol(signature: RouteSignature, method: Any) -> dict[str, Any]:
    options = signature.realtime
    protocol: dict[str, Any] = {
        "type": "realtime" if options else "websocket",
        "operationId": method.__name__,
        "config": {
            "buffering": options.buffering if options else None,
            "sessionTimeout": options.session_timeout if options else None,
            "maxBatchSize": options.max_batch_size if options else 1,
        },
    }
    if options:
        protocol |= {"contentType": options.content_type, "realtimeMode": mode_of(method)}
    return protocol


def _as_post(signature: RouteSignature, method: Any, takes: str, gives: str) -> dict[str, Any]:
    kind = "Realtime" if signature.realtime else "WebSocket"
    operation: dict[str, Any] = {
        "operationId": f"{method.__name__}_post",
        "summary": f"{kind} endpoint: {method.__name__}",
        "description": method.__doc__ or "",
    }
    if takes:
        operation["requestBody"] = {"content": {"application/json": {"schema": _reference(takes)}}}
    content = {"content": {"application/json": {"schema": _reference(gives)}}} if gives else {}
    operation["responses"] = {"200" if gives else "204": {"description": "WebSocket message response", **content}}
    return operation


def _reference(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


def _schema_name(schemas: dict[str, Any], model: Any) -> str:
    """Register the schema of a message's type under the type's own name, as fal does; returns the name, or ``""`` where there is no type.

    Raises:
        TypeError: the type has no name (``A | B``), or pydantic has no schema for it: fal cannot build such an app either.
    """
    if model is None:
        return ""
    name = getattr(model, "__name__", None)
    if not isinstance(name, str):
        raise TypeError(
            f"{model} has no name, so fal cannot describe it in the OpenAPI document: make it one pydantic model"
        )
    schema = TypeAdapter(model).json_schema(ref_template="#/components/schemas/{model}")
    schemas.update(schema.pop("$defs", {}))
    schemas[name] = schema
    return name
