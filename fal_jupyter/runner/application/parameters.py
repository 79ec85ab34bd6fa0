"""Plain parameters from a JSON body: required by fal's own examples, but not supported by a plain FastAPI application.

``generate(self, prompt: str, steps: int = 30)`` reads its parameters from the query in FastAPI (and so in fal's
package, measured: 422 for a JSON body), while fal's clients send JSON bodies. So an endpoint without body parameters
takes parameters missing in the query from a JSON object body, by name, with the same validation; the query takes precedence. A single
parameter without annotation gets the whole JSON body when the body has no key of its name.
"""

from __future__ import annotations

import functools
import inspect
import json
from collections.abc import Callable, Coroutine, Iterator
from copy import deepcopy
from typing import Any, TypeVar

from fastapi import Request, Response
from fastapi._compat import ModelField, get_missing_field_error
from fastapi.dependencies.models import Dependant
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.datastructures import QueryParams

C = TypeVar("C", bound=Callable[..., object])

_MISSING = object()


class _Validated:
    """Wraps a value of the body for FastAPI, which treats None, or an empty list, as a missing parameter,
    and takes the length of any value for a list parameter."""

    def __init__(self, value: object) -> None:
        self.value = value

    def __len__(self) -> int:
        return 1


class _FromBody(ModelField):
    """A query parameter's field that validates a value of the body unchanged."""

    def validate(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        return super().validate(value.value if isinstance(value, _Validated) else value, *args, **kwargs)


class _BodyField(ModelField):
    """A body parameter's field that treats ``null`` as "not given", with any version of FastAPI.

    The FastAPI that fal 1.83.0 requires (0.136) does so; later ones validate it as a value.
    """

    def validate(self, value: Any, values: Any = None, *, loc: Any = ()) -> Any:
        if value is not None:
            return super().validate(value, values, loc=loc)
        if self.field_info.is_required():
            return None, [get_missing_field_error(loc)]
        return deepcopy(self.default), []


def _body_fields(dependant: Dependant) -> Iterator[ModelField]:
    yield from dependant.body_params
    for inner in dependant.dependencies:
        yield from _body_fields(inner)


class BodyRoute(APIRoute):
    """A route whose query parameters may come from a JSON body; otherwise an ordinary FastAPI route."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[object, object, Response]]:
        handler = super().get_route_handler()
        for field in _body_fields(self.dependant):
            field.__class__ = _BodyField
        names = {field.alias for field in self.dependant.query_params}
        if self.body_field is not None or not names:
            return handler
        for field in self.dependant.query_params:
            field.__class__ = _FromBody
        whole = _whole_body_parameter(self.endpoint, names)

        async def from_query_and_body(request: Request) -> Response:
            query = request.query_params
            lacking = {name for name in names if name not in query}
            if not lacking:
                return await handler(request)
            body, broken = await _json_body(request)
            values = _by_name(body, lacking, whole)
            if values:
                request._query_params = _Merged(query, values)
            try:
                return await handler(request)
            except RequestValidationError as error:
                if broken is not None and not values:
                    raise broken from None
                raise _relocated(error, values) from None

        return from_query_and_body


def takes_whole_body(route: APIRoute) -> bool:
    """True if the endpoint's only parameter may get the whole body."""
    return _whole_body_parameter(route.endpoint, {field.alias for field in route.dependant.query_params}) is not None


class _Merged(QueryParams):
    """Query parameters, completed by the body's JSON values."""

    def __init__(self, query: QueryParams, values: dict[str, object]) -> None:
        super().__init__(query)
        self._values = values

    def __contains__(self, key: object) -> bool:
        return super().__contains__(key) or key in self._values

    def get(self, key: str, default: object = None) -> Any:
        return super().get(key, self._values.get(key, default))

    def getlist(self, key: str) -> Any:
        return super().getlist(key) or self._values.get(key, [])


def _whole_body_parameter(endpoint: Callable[..., object], names: set[str]) -> str | None:
    parameters = [p for p in inspect.signature(endpoint).parameters.values() if p.name in names]
    if len(parameters) == 1 and parameters[0].annotation is inspect.Parameter.empty:
        return parameters[0].name
    return None


async def _json_body(request: Request) -> tuple[object, RequestValidationError | None]:
    """Return the JSON value of the body (or _MISSING), and the error to raise if it turns out to be needed."""
    kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if not (kind == "application/json" or (kind.startswith("application/") and kind.endswith("+json"))):
        return _MISSING, None
    raw = await request.body()
    if not raw:
        return _MISSING, None
    try:
        return json.loads(raw), None
    except json.JSONDecodeError as error:
        detail = {
            "type": "json_invalid",
            "loc": ("body", error.pos),
            "msg": "JSON decode error",
            "input": {},
            "ctx": {"error": error.msg},
        }
        return _MISSING, RequestValidationError([detail], body=error.doc)
    except (ValueError, RecursionError) as error:  # bad UTF-8, a huge integer, too deep
        detail = {"type": "json_invalid", "loc": ("body",), "msg": "JSON decode error", "input": {}}
        return _MISSING, RequestValidationError([detail | {"ctx": {"error": str(error)}}])


def _by_name(body: object, lacking: set[str], whole: str | None) -> dict[str, object]:
    values = {name: body[name] for name in lacking if name in body} if isinstance(body, dict) else {}
    if whole in lacking and whole not in values and body is not _MISSING:
        values = {whole: body}
    return {name: _Validated(value) for name, value in values.items()}


def _relocated(error: RequestValidationError, values: dict[str, object]) -> RequestValidationError:
    details = [
        {**detail, "loc": ("body", *detail["loc"][1:])}
        if len(detail["loc"]) > 1 and detail["loc"][0] == "query" and detail["loc"][1] in values
        else detail
        for detail in error.errors()
    ]
    return RequestValidationError(details, body=error.body)


def show_body_in_openapi(route: APIRoute, operation: dict[str, Any]) -> None:
    """Add the optional JSON body to an operation whose plain parameters may be in it."""
    parameters = [p for p in operation.get("parameters", ()) if p.get("in") == "query"]
    if route.body_field is not None or not parameters:
        return
    schema: dict[str, Any] = {
        "type": "object",
        "title": f"Body_{operation.get('operationId', route.name)}",
        "properties": {p["name"]: p.get("schema", {}) for p in parameters},
    }
    if required := [p["name"] for p in parameters if p.get("required")]:
        schema["required"] = required
    for parameter in parameters:
        parameter["required"] = False  # it may be in the body instead
    operation["requestBody"] = {
        "description": "The same parameters as a JSON object; the query wins.",
        "content": {"application/json": {"schema": schema}},
    }


def wraps_bound(endpoint: Callable[..., object]) -> Callable[[C], C]:
    """``functools.wraps`` without a ``__signature__`` of the method's function, which has ``self``: the bound method's signature is used."""

    def decorate(wrapper: C) -> C:
        functools.update_wrapper(wrapper, endpoint)
        vars(wrapper).pop("__signature__", None)
        return wrapper

    return decorate
