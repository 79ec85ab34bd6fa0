"""Turns a call's arguments into the request that the endpoint expects."""

from __future__ import annotations

import dataclasses
import re
import typing
from collections.abc import Callable
from urllib.parse import urlencode

from fal_jupyter.client.calls import forms, hints
from fal_jupyter.client.calls.arguments.binding import Binding
from fal_jupyter.client.calls.arguments.parameters import Parameters
from fal_jupyter.client.calls.multipart import FormPart
from fal_jupyter.client.calls.plain_values import check_alone, dump, first, is_array, text_of
from fal_jupyter.client.calls.request_parts import RequestParts
from fal_jupyter.client.calls.type_aliases import unaliased
from fal_jupyter.domain.errors import BadArguments

_HEADER = re.compile(r"|[!-~](?:[ -~\t]*[!-~])?")
_COOKIE = re.compile(r"[!#-+\--:<-\[\]-~]*")  # RFC 6265
_OF_THE_GATEWAY = frozenset(
    {
        "authorization",
        "connection",
        "content-length",
        "content-type",
        "cookie",
        "expect",
        "host",
        "keep-alive",
        "te",
        "trailer",
    }
    | {"proxy-authenticate", "proxy-authorization", "transfer-encoding", "upgrade", "x-fal-request-id"}
)


class Arguments:
    """How one endpoint takes its arguments; built once, from its signature."""

    def __init__(self, name: str, path: str, function: Callable[..., object]) -> None:
        self.name, self.path = name, path
        self._parameters = Parameters(path, function)
        self._binding = Binding(name, self._parameters)

    def place(self, args: tuple[object, ...], kwargs: dict[str, object]) -> RequestParts:
        """Fit a call's arguments to the endpoint.

        Raises:
            BadArguments: they do not fit the signature, or JSON cannot hold one; the message names it.
        """
        self._parameters.settle()
        bound = self._binding.bind(args, kwargs)
        if self._parameters.form:
            return self._form_parts(bound)
        for name, value in bound.items():
            if is_array(value):
                self._check_array(name, value)
        try:
            return self._parts({name: first(value, f"argument {name!r}") for name, value in bound.items()})
        except (ValueError, RecursionError):
            for name, value in bound.items():
                check_alone(value, f"argument {name!r}")
            raise

    def _form_parts(self, bound: dict[str, object]) -> RequestParts:
        rest = {n: first(value, f"argument {n!r}") for n, value in bound.items() if n not in self._parameters.form}
        parts: list[FormPart] = []
        for name in [n for n in bound if n in self._parameters.form]:
            how, where = self._parameters.form[name], f"{self.name}(): argument {name!r}"
            if isinstance(how, forms.FormField):
                parts += forms.parts_of(how, bound[name], where)
            elif bound[name] is not None:
                parts += forms.parts_of_model(how, bound[name], where)
        body, content_type = forms.encoded(parts)
        return dataclasses.replace(self._parts(rest), body=body, content_type=content_type)

    def _check_array(self, name: str, value: object) -> None:
        """Refuse an array, which becomes a list, if the endpoint takes something else: the runner's own error would be less clear."""
        hint = self._parameters.hints.get(name)
        if typing.get_origin(hint) is typing.Annotated:
            hint = unaliased(typing.get_args(hint)[0])
        if getattr(value, "ndim", 0) and (meant := hints.for_array(hint)):
            kind = type(value)
            raise BadArguments(
                f"{self.name}(): argument {name!r} is a {kind.__module__}.{kind.__qualname__}, but it takes {getattr(hint, '__name__', hint)}",
                hint=meant,
            )

    def _parts(self, values: dict[str, object]) -> RequestParts:
        path = self.path
        for name, kind in self._parameters.in_path.items():
            text = _path_part(values.pop(name, None), f"argument {name!r}", whole=kind == "path")
            path = re.sub(rf"{{{name}(?::\w+)?}}", text.replace("\\", r"\\"), path)
        headers: tuple[tuple[str, str], ...] = ()
        beside: dict[str, object] = {}
        if self._parameters.elsewhere:
            headers, beside = self._head({n: values.pop(n) for n in self._parameters.elsewhere if n in values})
        spread = {
            name: _fields(self.name, name, values.pop(name)) for name in self._parameters.query_models if name in values
        }
        if spread:  # FastAPI takes the fields of such a model from the query, one by one
            fields = {key: item for model in spread.values() for key, item in model.items()}
            fields |= {self._parameters.aliases.get(n, n): v for n, v in values.items() if n in self._parameters.plain}
            query = {n: self._query_value(n, v) for n, v in fields.items()}
            return RequestParts(path, _encoded(query | beside), self._body(values), headers)
        if not self._parameters.models and not self._parameters.form:
            named = {self._parameters.aliases.get(n, n): v for n, v in values.items()}
            return RequestParts(path, _encoded(beside), dump(named) if named else b"", headers)
        query = {
            self._parameters.aliases.get(n, n): self._query_value(n, values[n])
            for n in self._parameters.plain
            if n in values
        }
        return RequestParts(path, _encoded(query | beside), self._body(values), headers)

    def _head(self, values: dict[str, object]) -> tuple[tuple[tuple[str, str], ...], dict[str, object]]:
        """Return the values that are sent as headers, and those that are sent in the query."""
        headers: list[tuple[str, str]] = []
        cookies: list[str] = []
        query: dict[str, object] = {}
        for name, value in values.items():
            field = self._parameters.elsewhere[name]
            pairs = _fields(self.name, name, value) if field.spread else {field.key: value}
            for key, item in pairs.items():
                if field.place == "query":
                    query[key] = self._query_value(name, item)
                elif field.place == "cookie":
                    cookies += [f"{key}={text}" for text in self._head_texts(name, item, _COOKIE, "a cookie")]
                else:
                    key = key.replace("_", "-") if field.spread and field.hyphens else key
                    if key.lower() in _OF_THE_GATEWAY or key.lower().startswith("x-fal-jupyter-"):
                        raise BadArguments(
                            f"{self.name}(): argument {name!r} goes into the header {key!r}, which is reserved for the gateway"
                        )
                    headers += [(key, text) for text in self._head_texts(name, item, _HEADER, "a header")]
        return (*headers, *([("cookie", "; ".join(cookies))] if cookies else [])), query

    def _head_texts(self, name: str, value: object, allowed: re.Pattern[str], where: str) -> list[str]:
        if value is None and self._parameters.elsewhere[name].default is None:
            return []
        items = value if isinstance(value, list) and where == "a header" else [value]
        texts = [text_of(item) for item in items]
        if any(i is None or isinstance(i, dict | list) for i in items) or not all(map(allowed.fullmatch, texts)):
            raise BadArguments(
                f"{self.name}(): argument {name!r} goes into {where}, which cannot hold {value!r:.60}",
                hint=f"{where} holds one line of plain ASCII text",
            )
        return texts

    def _body(self, values: dict[str, object]) -> bytes:
        bodies = {self._parameters.aliases.get(n, n): values[n] for n in self._parameters.models if n in values}
        body: object = bodies if self._parameters.embedded or not bodies else next(iter(bodies.values()))
        return dump(body) if bodies or self._parameters.embedded else b""

    def _query_value(self, name: str, value: object) -> list[str] | str | None:
        """Return the query value of a parameter beside a body; a query has neither null nor structures."""
        problem = f"{self.name}(): argument {name!r} is sent in the URL, beside the body, which cannot hold"
        if value is None:
            parameter = self._parameters.signature.parameters.get(name)
            if parameter is not None and parameter.default is not None:
                raise BadArguments(f"{problem} None", hint="leave it out, or make it part of the body's model")
            return None
        if isinstance(value, dict) or (isinstance(value, list) and any(isinstance(v, list | dict) for v in value)):
            raise BadArguments(f"{problem} structures", hint="make it part of the body's model")
        return [text_of(item) for item in value] if isinstance(value, list) else text_of(value)


def _fields(endpoint: str, name: str, value: object) -> dict[str, object]:
    if not isinstance(value, dict):
        raise BadArguments(
            f"{endpoint}(): argument {name!r} is sent in the URL field by field, so it must be a model or a dict"
        )
    return value


def _encoded(query: dict[str, object]) -> str:
    return urlencode({n: v for n, v in query.items() if v is not None}, doseq=True) if query else ""


def _path_part(value: object, where: str, *, whole: bool) -> str:
    """Return the path segment of a parameter; FastAPI splits paths at every slash, even a quoted one."""
    text = text_of(value)
    if isinstance(value, dict | list) or value is None or text == "" or ("/" in text and not whole):
        raise BadArguments(f"{where} is part of the path, so it cannot be {value!r:.60}", hint="text without a slash")
    return str(text)
