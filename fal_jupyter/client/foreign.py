"""An app that another notebook or program of this user serves, called by its name: ``fal_jupyter.app("me/painter").paint(prompt="a fox")``.

The call goes over the gateway's own socket, which knows this user by the process's uid, so that no key is needed, shown or
stored. What an endpoint takes is known from its signature's text and the app's OpenAPI document; its code is never loaded here.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote, urlencode

from fal_jupyter.client.arguments import Sent
from fal_jupyter.client.client import Client
from fal_jupyter.client.handle import AppHandle
from fal_jupyter.client.plain_values import dump, first, is_model, text_of
from fal_jupyter.domain.errors import BadArguments, NotServed
from fal_jupyter.domain.nearest import hint_for, nearest
from fal_jupyter.domain.spec import AppSpec, EndpointSpec
from fal_jupyter.protocol.api import A_SCHEMA, RUN, Published
from fal_jupyter.protocol.feed import AppState

Schema = Callable[[], dict[str, Any]]


def open_app(client: Client, which: str) -> AppHandle:
    """Give a handle of a running app of this user, by ``owner/alias`` or alias.

    Raises:
        NotServed: it does not run; the message names what does.
    """
    line = client.snapshot()
    apps = line["apps"] if line is not None else []
    found = next((app for app in apps if which in (app["app"], app["alias"])), None)
    if found is None:
        known = [name for app in apps for name in (app["app"], app["alias"])]
        running = ", ".join(app["app"] for app in apps)
        hint = hint_for(
            which, known, f"running: {running}" if running else "run its cell, or: fal-jupyter serve FILE.py::Class"
        )
        raise NotServed(f"there is no app {which!r}", hint=hint)
    if found["state"] == "Stopped":
        raise NotServed(f"{found['app']} is stopped", hint="start it in its card, or run its cell again")
    return ForeignApp(client, found)


class ForeignApp(AppHandle):
    """The handle of an app that another process of this user owns. Arguments and answers are plain values."""

    def __init__(self, client: Client, state: AppState) -> None:
        endpoints = [EndpointSpec(**one) for one in state["endpoints"]]
        spec = AppSpec(class_name=state["class_name"], alias=state["alias"], endpoints=tuple(endpoints))
        published = Published(
            app=state["app"], alias=state["alias"], revision=state["serving"], verdict=state["verdict"], reason=state["told"],
            url=state["url"], serving=state["serving"], machine=state["machine"], overrides=state["overrides"],
        )  # fmt: skip
        called = [one for one in endpoints if one.protocol == "http"]
        super().__init__(client, spec, published, {one.name: _plain for one in called}, None)
        self._schema: dict[str, Any] | None = None
        self._arguments = {one.name: _Arguments(one, self._described) for one in called}

    def __repr__(self) -> str:
        return (
            f"<app {self.app} of another notebook: {', '.join(f'{e.name}{e.signature}' for e in self.spec.endpoints)}>"
        )

    def _described(self) -> dict[str, Any]:
        """The app's OpenAPI document; where none of its runners is ready, one is started for it."""
        if self._schema is None:
            status, found = self.client.ask("GET", A_SCHEMA.format(alias=quote(self.alias, safe="")))
            if status == 409:
                answer = self.client.exchange("GET", f"{RUN}{self.app}/openapi.json")
                status, found = answer.status, json.loads(b"".join(answer))
            if status != 200 or not isinstance(found, dict):
                raise NotServed(f"{self.app} gave no description of its endpoints (status {status})")
            self._schema = found
        return self._schema


def _plain() -> Any:
    """Stands in for an endpoint whose class is not here: its answers are plain values."""


class _Arguments:
    """How an endpoint takes its arguments, known by its description alone."""

    def __init__(self, endpoint: EndpointSpec, schema: Schema) -> None:
        self._endpoint, self._schema = endpoint, schema
        self._names = _names_in(endpoint.signature)

    def send(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Sent:
        """Fit a call's arguments to the endpoint.

        Raises:
            BadArguments: they do not fit, or JSON cannot hold one.
        """
        name, signature = self._endpoint.name, self._endpoint.signature
        if len(args) == 1 and not kwargs and (isinstance(args[0], Mapping) or is_model(args[0])):
            given = first(args[0], f"the argument of {name}()")
        elif len(args) > len(self._names):
            raise BadArguments(f"{name}(): too many positional arguments", hint=f"it takes {name}{signature}")
        else:
            by_position = dict(zip(self._names, args, strict=False))
            if twice := by_position.keys() & kwargs.keys():
                raise BadArguments(
                    f"{name}(): multiple values for argument {min(twice)!r}", hint=f"it takes {name}{signature}"
                )
            given = {key: first(value, f"argument {key!r}") for key, value in {**by_position, **kwargs}.items()}
        self._check_names(given)
        return self._placed(dict(given))

    def _check_names(self, given: dict[str, Any]) -> None:
        """Tell of a name that is nearly one of those that the endpoint takes, which FastAPI would leave out without a word."""
        strange = [key for key in given if key not in self._names]
        known = [*self._places(), *self._fields()] if strange else []
        for key in strange:
            near = nearest(key, [name for name in known if name not in given]) if key not in known else ""
            if near:
                raise BadArguments(
                    f"{self._endpoint.name}(): got an unexpected keyword argument {key!r}",
                    hint=f"did you mean {near}?\nit takes {self._endpoint.name}{self._endpoint.signature}",
                )

    def _placed(self, given: dict[str, Any]) -> Sent:
        """Put each argument where the endpoint takes it: in its path, its query, a header, or the body, which has the rest."""
        path, query, headers = self._endpoint.path, {}, []
        places = self._places() if len(self._names) > 1 or "{" in path else {}
        for key in [key for key in given if key in places]:
            value, place = given.pop(key), places[key]
            if isinstance(value, dict) or value is None:
                raise BadArguments(
                    f"{self._endpoint.name}(): argument {key!r} goes into the {place}, which holds no {type(value).__name__}"
                )
            if place == "path":
                path = re.sub(rf"{{{re.escape(key)}(?::\w+)?}}", text_of(value).replace("\\", r"\\"), path)
            elif place == "query":
                query[key] = [text_of(item) for item in value] if isinstance(value, list) else text_of(value)
            elif place == "header":
                headers.append((key, _one_line(key, text_of(value))))
            else:
                raise BadArguments(
                    f"{self._endpoint.name}(): argument {key!r} goes into a {place}", hint="call it in its own notebook"
                )
        if missing := re.search(r"{(\w+)", path):
            raise BadArguments(f"{self._endpoint.name}(): missing a required argument: {missing[1]!r}")
        return Sent(path, urlencode(query, doseq=True), dump(given) if given else b"", tuple(headers))

    def _places(self) -> dict[str, str]:
        """Where each argument goes that does not go into the body: ``path``, ``query``, ``header`` or ``cookie``."""
        return {
            one["name"]: one["in"] for one in self._operation().get("parameters", []) if {"name", "in"} <= one.keys()
        }

    def _fields(self) -> list[str]:
        """The names that the body has."""
        body = self._operation().get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
        if isinstance(reference := body.get("$ref"), str):
            body = self._schema().get("components", {}).get("schemas", {}).get(reference.rpartition("/")[2], {})
        return list(body.get("properties", {}))

    def _operation(self) -> dict[str, Any]:
        path = re.sub(r":\w+}", "}", self._endpoint.path)
        found: dict[str, Any] = self._schema().get("paths", {}).get(path, {}).get("post", {})
        return found


def _one_line(name: str, value: str) -> str:
    if not re.fullmatch(r"|[!-~](?:[ -~\t]*[!-~])?", value):
        raise BadArguments(f"argument {name!r} goes into a header, which holds one line of plain ASCII text")
    return value


def _names_in(signature: str) -> list[str]:
    """The parameters of a signature's text, in order; none where it cannot be read."""
    try:
        function = ast.parse(f"def endpoint{signature}: ...").body[0]
    except (SyntaxError, ValueError):
        return []
    wanted = function.args if isinstance(function, ast.FunctionDef) else None
    return [one.arg for one in (*wanted.posonlyargs, *wanted.args, *wanted.kwonlyargs)] if wanted is not None else []
