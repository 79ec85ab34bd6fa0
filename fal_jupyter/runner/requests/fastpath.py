"""The fast path of plain JSON endpoints: from the frame's bytes to the method and back, without ASGI in between.

It performs the same steps as FastAPI, with FastAPI's own fields (the same parser, validation and serialiser),
and skips what such an endpoint does not use: routing, request objects, dependency solving, exit stacks. Any other
request, or one with an invalid body, takes the normal path from its beginning, so every
refusal is FastAPI's own. ``tests/runner/test_fastpath.py`` compares the two paths byte for byte.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Iterator
from copy import deepcopy
from typing import Any

import anyio.to_thread
from fastapi import FastAPI
from fastapi.datastructures import DefaultPlaceholder
from fastapi.encoders import jsonable_encoder
from fastapi.exceptions import ResponseValidationError
from fastapi.responses import JSONResponse, Response
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException

from fal_jupyter.runner.application.parameters import BodyRoute, takes_whole_body

_JSON = frozenset({"application/json", "application/json; charset=utf-8", "application/json;charset=utf-8"})
_NOT_PLAIN = (
    "path_params", "header_params", "cookie_params", "dependencies", "request_param_name", "http_connection_param_name",
    "response_param_name", "background_tasks_param_name", "security_scopes_param_name", "websocket_param_name",
)  # fmt: skip
_MISSING = object()


class FastEndpoint:
    """One endpoint that supports the fast path."""

    def __init__(self, route: APIRoute) -> None:
        self.route = route
        dependant = route.dependant
        assert dependant.call is not None
        self._call: Callable[..., Any] = dependant.call
        self._is_coroutine = inspect.iscoroutinefunction(self._call)
        self._body = dependant.body_params[0] if dependant.body_params else None
        self._plain = list(dependant.query_params)
        self.reads_body = bool(dependant.body_params or dependant.query_params)
        self._validate_json: Callable[[bytes | bytearray], object] | None = None
        if self._body is not None and validates_json_identically(self._body):
            self._validate_json = self._body._type_adapter.validate_json
        self._field: Any = route.response_field
        self.may_be_nan = self._field is None or may_hold_floats(self._field)
        self._options = {
            "include": route.response_model_include,
            "exclude": route.response_model_exclude,
            "by_alias": route.response_model_by_alias,
            "exclude_unset": route.response_model_exclude_unset,
            "exclude_defaults": route.response_model_exclude_defaults,
            "exclude_none": route.response_model_exclude_none,
        }

    def may_take(self, content_type: str, query: str) -> bool:
        """False if the request needs the normal path, regardless of its body."""
        if not self.reads_body:
            return True
        return content_type.lower() in _JSON and not (self._plain and query)

    def arguments(self, body: bytes | bytearray) -> dict[str, Any] | None:
        """Return the method's arguments, or None if the normal path has to decide: a validator may raise anything, including an HTTPException."""
        try:
            return self._arguments(body)
        except Exception:
            return None

    def _arguments(self, body: bytes | bytearray) -> dict[str, object] | None:
        if not self.reads_body:
            return {}
        if not body:
            return None
        if self._validate_json is not None and self._body is not None:
            valid = self._validate_json(body)
            return None if valid is None else {self._body.name: valid}  # null means a missing body
        # such a body is UTF-8: json.loads would detect that, more slowly
        plain = body[0] == 0x7B and body[1:2] not in (b"", b"\0")
        value = json.loads(body.decode("utf-8", "surrogatepass") if plain else body)
        if self._body is not None:
            if value is None:
                return None
            valid, errors = self._body.validate(value, {}, loc=("body",))
            return None if errors else {self._body.name: valid}
        return self._by_name(value) if isinstance(value, dict) else None

    def _by_name(self, value: dict[str, object]) -> dict[str, object] | None:
        arguments = {}
        for field in self._plain:
            text = value.get(field.alias, _MISSING)
            if text is _MISSING:
                if field.field_info.is_required() or field.field_info.validate_default:
                    return None
                arguments[field.name] = deepcopy(field.default)
                continue
            valid, errors = field.validate(text, {}, loc=("query", field.alias))
            if errors:
                return None
            arguments[field.name] = valid
        return arguments

    async def answer(self, arguments: dict[str, Any]) -> bytes | Response:
        """Call the method; returns the JSON of its result, or the response that it made itself.

        Raises:
            Exception: any exception of the method, or of serializing its result.
        """
        if self._is_coroutine:
            return self._content(await self._call(**arguments))
        return await anyio.to_thread.run_sync(lambda: self._content(self._call(**arguments)))

    def _content(self, result: object) -> bytes | Response:
        if isinstance(result, Response):
            return result
        if self._field is None:
            return bytes(JSONResponse(jsonable_encoder(result)).body)
        valid, errors = self._field.validate(result, {}, loc=("response",))
        if errors:
            raise ResponseValidationError(errors, body=result)
        if hasattr(self._field, "serialize_json"):
            content: bytes = self._field.serialize_json(valid, **self._options)
            return content
        return bytes(JSONResponse(self._field.serialize(valid, **self._options)).body)


def fast_endpoints(app: FastAPI) -> dict[str, FastEndpoint]:
    """Return the endpoints of *app* that support the fast path, by path."""
    if app.user_middleware or app.dependency_overrides or app.router.dependencies:
        return {}
    return {
        route.path: FastEndpoint(route) for route in app.routes if isinstance(route, BodyRoute) and _is_plain(route)
    }


def _is_plain(route: APIRoute) -> bool:
    dependant = route.dependant
    call = dependant.call
    if (
        "{" in route.path
        or any(getattr(dependant, name, None) for name in _NOT_PLAIN)
        or route.status_code is not None
        or not isinstance(route.response_class, DefaultPlaceholder)
        or route.response_class.value is not JSONResponse
        or inspect.isgeneratorfunction(call)
        or inspect.isasyncgenfunction(call)
    ):
        return False
    if route.body_field is not None:
        return not dependant.query_params and len(dependant.body_params) == 1 and _is_whole_body(route)
    return not takes_whole_body(route) and all(_is_simple(field) for field in dependant.query_params)


def _is_whole_body(route: APIRoute) -> bool:
    kind = type(route.dependant.body_params[0].field_info).__name__
    return not getattr(route, "_embed_body_fields", True) and kind == "Body"


def _is_simple(field: Any) -> bool:
    info = field.field_info
    alias = getattr(info, "validation_alias", None)
    return field.alias == field.name and alias in (None, field.name) and not _holds_sequence(info.annotation)


_IDENTICAL_TYPES = frozenset(
    {"model", "model-fields", "model-field", "str", "int", "bool", "none", "nullable", "list", "default", "definitions", "definition-ref"}
)  # fmt: skip
_NEUTRAL_CONFIG = frozenset(
    {"title", "extra_fields_behavior", "str_strip_whitespace", "str_to_lower", "str_to_upper", "str_min_length", "str_max_length",
     "populate_by_name", "validate_by_name", "validate_by_alias", "frozen", "validate_default", "from_attributes"}
)  # fmt: skip
_DIVERGING_KEYS = (
    "strict",
    "coerce_numbers_to_str",
    "custom_init",
    "root_model",
    "extras_schema",
    "extras_keys_schema",
)


def validates_json_identically(field: Any) -> bool:
    """True if pydantic gives the same result for JSON bytes as for the value of ``json.loads``.

    This holds for strings, integers, booleans, and lists and plain models of them. Floats, unions, sets and types with
    custom validators may differ, so they are parsed as in FastAPI.
    """
    try:
        return not field.field_info.discriminator and _is_identical(field._type_adapter.core_schema)
    except (AttributeError, RecursionError):
        return False


def _is_identical(schema: object) -> bool:
    for node in _nodes(schema, skip=(*_NO_SCHEMAS, "serialization", "computed_fields")):
        config = node.get("config") or {}
        if not _NEUTRAL_CONFIG.issuperset(config) or config.get("extra_fields_behavior") == "allow":
            return False
        if node.get("extra_behavior") == "allow" or any(node.get(name) for name in _DIVERGING_KEYS):
            return False
        if node.get("type", "default") not in _IDENTICAL_TYPES:
            return False
    return True


_NO_SCHEMAS = ("metadata", "config", "cls", "expected", "members", "default")


def _nodes(schema: object, skip: tuple[str, ...] = _NO_SCHEMAS) -> Iterator[dict[str, Any]]:
    """Every node of a pydantic core schema. Fields and choices are keyed by the user's names, which are ignored."""
    if isinstance(schema, list | tuple):
        for part in schema:
            yield from _nodes(part, skip)
    elif isinstance(schema, dict):
        yield schema
        for name, part in schema.items():
            if name not in skip:
                is_by_name = name in ("fields", "choices") and isinstance(part, dict)
                yield from _nodes(list(part.values()) if is_by_name else part, skip)


_NO_FLOATS = frozenset(
    {
        "model", "model-field", "model-fields", "typed-dict", "typed-dict-field", "dataclass", "dataclass-args", "dataclass-field",
        "str", "int", "bool", "none", "literal", "enum", "date", "datetime", "time", "uuid", "url", "multi-host-url",
        "list", "tuple", "set", "frozenset", "dict", "nullable", "default", "union", "tagged-union", "definitions", "definition-ref",
    }
)  # fmt: skip


def may_hold_floats(field: Any) -> bool:
    """False if a response of this type cannot contain NaN or infinity."""
    try:
        return _has_floats(field._type_adapter.core_schema)
    except (AttributeError, RecursionError):
        return True


def _has_floats(schema: object) -> bool:
    for node in _nodes(schema):
        if "serialization" in node or node.get("extra_behavior") == "allow":
            return True
        if (node.get("config") or {}).get("extra_fields_behavior") == "allow":
            return True
        if node.get("type", "default") not in _NO_FLOATS:
            return True
    return False


def _holds_sequence(annotation: object) -> bool:
    origin = getattr(annotation, "__origin__", annotation)
    if isinstance(origin, type) and issubclass(origin, list | tuple | set | frozenset | dict):
        return True
    return hasattr(annotation, "model_fields") or any(
        _holds_sequence(part) for part in getattr(annotation, "__args__", ())
    )


def handler_of(app: FastAPI, error: Exception) -> Callable[..., Any]:
    """Return the handler that Starlette would choose for *error*: by status, by class, else the catch-all one."""
    handlers: dict[Any, Callable[..., Any]] = app.exception_handlers
    if issubclass(type(error), HTTPException) and (status := getattr(error, "status_code", None)) in handlers:
        return handlers[status]
    kinds = [kind for kind in type(error).__mro__ if kind in handlers and kind is not Exception]
    return handlers[kinds[0] if kinds else Exception]
