"""Calls an app that another notebook or program of this user serves, by its name: ``fal_jupyter.app("me/painter").paint(prompt="a fox")``.

The call uses the gateway's Unix socket, which identifies the user by uid, so no key is needed, shown or
stored. An endpoint's parameters are read from its signature's text and the app's OpenAPI document; its code is never loaded here.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import quote, urlencode

from fal_jupyter.client.calls.forms import FormField, encoded, parts_of
from fal_jupyter.client.calls.multipart import FormPart
from fal_jupyter.client.calls.plain_values import check_alone, dump, first, is_model, text_of
from fal_jupyter.client.calls.request_parts import RequestParts
from fal_jupyter.client.client import Client
from fal_jupyter.client.handle import AppHandle
from fal_jupyter.client.json_object import JsonObject
from fal_jupyter.domain.errors import BadArguments, NotServed
from fal_jupyter.domain.spec import AppSpec, EndpointSpec
from fal_jupyter.domain.text.nearest import hint_for, nearest
from fal_jupyter.protocol.api import A_SCHEMA, RUN, Published
from fal_jupyter.protocol.feed import AppState

Schema = Callable[[], JsonObject]


def open_app(client: Client, which: str) -> AppHandle:
    """Return a handle of a running app of this user, by ``owner/alias`` or alias.

    Raises:
        NotServed: it does not run; the message lists the running apps.
    """
    line = client.control.snapshot()
    apps = line["apps"] if line is not None else []
    app = next((app for app in apps if which in (app["app"], app["alias"])), None)
    if app is None:
        names = [name for app in apps for name in (app["app"], app["alias"])]
        running = ", ".join(app["app"] for app in apps)
        hint = hint_for(
            which, names, f"running: {running}" if running else "run its cell, or: fal-jupyter serve FILE.py::Class"
        )
        raise NotServed(f"there is no app {which!r}", hint=hint)
    if app["state"] == "Stopped":
        raise NotServed(f"{app['app']} is stopped", hint="start it in its card, or run its cell again")
    return ForeignApp(client, app)


class ForeignApp(AppHandle):
    """The handle of an app that another process of this user owns. Arguments and answers are plain values."""

    def __init__(self, client: Client, state: AppState) -> None:
        endpoints = [EndpointSpec(**endpoint) for endpoint in state["endpoints"]]
        spec = AppSpec(class_name=state["class_name"], alias=state["alias"], endpoints=tuple(endpoints))
        published = Published(
            app=state["app"], alias=state["alias"], revision=state["serving"], verdict=state["verdict"], reason=state["verdict_reason"],
            url=state["url"], serving=state["serving"], machine=state["machine"], overrides=state["overrides"],
        )  # fmt: skip
        called = [endpoint for endpoint in endpoints if endpoint.protocol == "http"]
        super().__init__(client, spec, published, {endpoint.name: _plain for endpoint in called}, None)
        self._schema: JsonObject | None = None
        self._arguments = {endpoint.name: _Arguments(endpoint, self._described) for endpoint in called}

    def __repr__(self) -> str:
        return (
            f"<app {self.app} of another notebook: {', '.join(f'{e.name}{e.signature}' for e in self.spec.endpoints)}>"
        )

    def _described(self) -> JsonObject:
        """The app's OpenAPI document; if no runner is ready, one is started for it."""
        if self._schema is None:
            status, schema = self.client.control.ask("GET", A_SCHEMA.format(alias=quote(self.alias, safe="")))
            if status == 409:
                answer = self.client.connections.open("GET", f"{RUN}{self.app}/openapi.json")
                status, schema = answer.status, json.loads(b"".join(answer))
            if status != 200 or not isinstance(schema, dict):
                raise NotServed(f"{self.app} gave no description of its endpoints (status {status})")
            self._schema = JsonObject(schema)
        return self._schema


def _plain() -> Any:
    """Placeholder for an endpoint whose class is not available here: its answers are plain values."""


class _Arguments:
    """How an endpoint takes its arguments, according to its description."""

    def __init__(self, endpoint: EndpointSpec, schema: Schema) -> None:
        self._endpoint, self._schema = endpoint, schema
        self._names = _names_in(endpoint.signature)

    def place(self, args: tuple[object, ...], kwargs: dict[str, object]) -> RequestParts:
        """Fit a call's arguments to the endpoint.

        Raises:
            BadArguments: they do not fit, or JSON cannot hold one.
        """
        try:
            return self._fitted(args, kwargs)
        except (ValueError, RecursionError):  # where it is, dumps does not say
            for key, value in {**dict(zip(self._names, args, strict=False)), **kwargs}.items():
                check_alone(value, f"argument {key!r}")
            raise

    def _fitted(self, args: tuple[object, ...], kwargs: dict[str, object]) -> RequestParts:
        name, signature = self._endpoint.name, self._endpoint.signature
        form = self._form() if args or kwargs else None
        if form is not None and len(args) == 1 and not kwargs and isinstance(args[0], Mapping):
            values = dict(args[0])
        elif form is None and len(args) == 1 and not kwargs and (isinstance(args[0], Mapping) or is_model(args[0])):
            whole = first(args[0], f"the argument of {name}()")
            if not isinstance(whole, dict):
                raise BadArguments(f"{name}(): the argument has no fields", hint=f"it takes {name}{signature}")
            values = whole
        elif len(args) > len(self._names):
            raise BadArguments(f"{name}(): too many positional arguments", hint=f"it takes {name}{signature}")
        else:
            by_position = dict(zip(self._names, args, strict=False))
            if twice := by_position.keys() & kwargs.keys():
                raise BadArguments(
                    f"{name}(): multiple values for argument {min(twice)!r}", hint=f"it takes {name}{signature}"
                )
            values = {**by_position, **kwargs}
        if form is None:
            values = {key: first(value, f"argument {key!r}") for key, value in values.items()}
        self._check_names(values)
        return self._placed(dict(values)) if form is None else self._placed_form(dict(values), form)

    def _placed_form(self, values: dict[str, object], form: dict[str, FormField]) -> RequestParts:
        """Put the arguments that are not in the path, the query or a header into a form; *form* are its known fields."""
        places = self._places()
        parts: list[FormPart] = []
        for key in [key for key in values if key not in places]:
            field = form.get(key) or FormField.unknown(key, values[key])
            parts += parts_of(field, values.pop(key), f"{self._endpoint.name}(): argument {key!r}")
        request = self._placed({key: first(value, f"argument {key!r}") for key, value in values.items()})
        body, content_type = encoded(parts)
        return replace(request, body=body, content_type=content_type)

    def _form(self) -> dict[str, FormField] | None:
        """The fields of the form that the endpoint takes; None if it takes JSON."""
        content = self._operation().at("requestBody", "content")
        if not content.fields or "application/json" in content.fields:
            return None
        body = self._followed(content.at(next(iter(content.fields)), "schema"))
        needed = body.items("required")
        properties = body.at("properties")
        return {
            name: FormField.of_schema(name, self._followed(properties.at(name)), needed=name in needed)
            for name in properties.fields
        }

    def _check_names(self, values: dict[str, object]) -> None:
        """Refuse a name that is similar to a parameter's: FastAPI would ignore it silently."""
        strange = [key for key in values if key not in self._names]
        names = [*self._places(), *self._fields()] if strange else []
        for key in strange:
            near = nearest(key, [name for name in names if name not in values]) if key not in names else ""
            if near:
                raise BadArguments(
                    f"{self._endpoint.name}(): got an unexpected keyword argument {key!r}",
                    hint=f"did you mean {near}?\nit takes {self._endpoint.name}{self._endpoint.signature}",
                )

    def _placed(self, values: dict[str, object]) -> RequestParts:
        """Put each argument where the endpoint reads it: into the path, the query, a header, or otherwise the body."""
        path, query, headers = self._endpoint.path, {}, []
        places = self._places() if len(self._names) > 1 or "{" in path else {}
        for key in [key for key in values if key in places]:
            value, location = values.pop(key), places[key]
            if isinstance(value, dict) or value is None:
                raise BadArguments(
                    f"{self._endpoint.name}(): argument {key!r} is sent in the {location}, which cannot hold a value of type {type(value).__name__}"
                )
            if location == "path":
                path = re.sub(rf"{{{re.escape(key)}(?::\w+)?}}", text_of(value).replace("\\", r"\\"), path)
            elif location == "query":
                query[key] = [text_of(item) for item in value] if isinstance(value, list) else text_of(value)
            elif location == "header":
                headers.append((self._header(key), _one_line(key, text_of(value))))
            else:
                raise BadArguments(
                    f"{self._endpoint.name}(): argument {key!r} goes into a {location}",
                    hint="call it in its own notebook",
                )
        if missing := re.search(r"{(\w+)", path):
            raise BadArguments(f"{self._endpoint.name}(): missing a required argument: {missing[1]!r}")
        return RequestParts(path, urlencode(query, doseq=True), dump(values) if values else b"", tuple(headers))

    def _places(self) -> dict[str, str]:
        """Where each argument outside the body is sent: ``path``, ``query``, ``header`` or ``cookie``."""
        places = self._parameters()
        headers = {name.replace("-", "_"): place for name, place in places.items() if place == "header"}
        return headers | places

    def _parameters(self) -> dict[str, str]:
        """Where each parameter is sent, by its own name."""
        parameters = self._operation().objects("parameters")
        return {parameter.text("name"): parameter.text("in") for parameter in parameters if parameter.text("in")}

    def _header(self, key: str) -> str:
        """The header of a parameter, which FastAPI writes with hyphens."""
        return key if self._parameters().get(key) == "header" else key.replace("_", "-")

    def _fields(self) -> list[str]:
        """The names that the body has."""
        content = self._operation().at("requestBody", "content")
        media = "application/json" if content.fields.get("application/json") else next(iter(content.fields), "")
        return list(self._followed(content.at(media, "schema")).at("properties").fields)

    def _followed(self, schema: JsonObject) -> JsonObject:
        """Resolve a reference."""
        name = schema.text("$ref").rpartition("/")[2]
        schemas = self._schema().at("components", "schemas")
        return schemas.at(name) if name in schemas.fields else schema

    def _operation(self) -> JsonObject:
        path = re.sub(r":\w+}", "}", self._endpoint.path)
        return self._schema().at("paths", path, "post")


def _one_line(name: str, value: str) -> str:
    if not re.fullmatch(r"|[!-~](?:[ -~\t]*[!-~])?", value):
        raise BadArguments(f"argument {name!r} goes into a header, which holds one line of plain ASCII text")
    return value


def _names_in(signature: str) -> list[str]:
    """The parameters of a signature's text, in order; none if it cannot be parsed."""
    try:
        function = ast.parse(f"def endpoint{signature}: ...").body[0]
    except (SyntaxError, ValueError):
        return []
    arguments = function.args if isinstance(function, ast.FunctionDef) else None
    return (
        [argument.arg for argument in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)]
        if arguments is not None
        else []
    )
