"""Where each parameter of an endpoint goes: into the path, the query, a header, a cookie, a form or the body."""

from __future__ import annotations

import contextlib
import inspect
import re
import typing
from collections.abc import Callable
from typing import TYPE_CHECKING

from fal_jupyter.client.calls import forms
from fal_jupyter.client.calls.arguments.annotations import (
    DEPENDENCIES,
    hints_of,
    is_body,
    is_injected,
    is_model_class,
    lone_model,
    mark_of,
)
from fal_jupyter.client.calls.type_aliases import unaliased
from fal_jupyter.fal.classes.signatures import Field, request_fields

if TYPE_CHECKING:
    from pydantic import BaseModel


class Parameters:
    """The parameters of one endpoint, by where they go.

    Attributes:
        signature: the endpoint's, without ``self`` and what FastAPI injects.
        in_path: path parameters, with their converters.
        aliases: names in the request, where they differ from those of the signature.
        models: parameters in the body. plain: those in the query, or in the body if there are no models.
        query_models: models whose fields go into the query one by one.
        form: how each form parameter is filled. form_models: those of them that are models.
        elsewhere: parameters of headers and cookies, and those of dependencies.
        embedded: True if the body is an object of models by name.
        whole: the models that a call may give as a whole, or by their fields.
        lone_models: the model that each of them takes, or None.
        required: parameters without a default. by_name: True if each parameter may be given by name.
    """

    def __init__(self, path: str, function: Callable[..., object]) -> None:
        self.path = path
        signature = inspect.signature(function)
        hints = {n: unaliased(hint) for n, hint in hints_of(function).items()}
        marks = {n: mark_of(hints.get(n), p.default) for n, p in signature.parameters.items()}
        parameters = [
            parameter
            for n, parameter in list(signature.parameters.items())[1:]
            if not is_injected(hints.get(n)) and type(marks[n]).__name__ not in DEPENDENCIES
        ]
        self.signature = signature.replace(parameters=parameters)
        self.in_path = dict(re.findall(r"{(\w+)(?::(\w+))?}", path))
        self.aliases = {
            n: alias for n in self.signature.parameters if isinstance(alias := getattr(marks[n], "alias", None), str)
        }
        self._function, self.hints, self.marks = function, hints, marks
        self._settled = False
        self.models: list[str] = []
        self.plain: list[str] = []
        self.query_models: list[str] = []
        self.embedded = False
        self.elsewhere: dict[str, Field] = {}  # not in the endpoint's own query, path or body
        self._in_head = [n for n in self.signature.parameters if type(marks[n]).__name__ in ("Header", "Cookie")]
        self.form: dict[str, forms.FormField | type[BaseModel]] = {}
        self.form_models: list[str] = []
        self.whole: list[str] = []
        self.lone_models: dict[str, type[BaseModel] | None] = {}
        self.required: frozenset[str] = frozenset()
        self.by_name = False

    def settle(self) -> None:
        """Find where each parameter is sent, as FastAPI does in the runner. Done at the first call: importing FastAPI is slow."""
        if self._settled:
            return
        fields = request_fields(self._function, self.path)
        if fields is None:
            names = [n for n in self.signature.parameters if n not in self.in_path and n not in self._in_head]
            self.models = [n for n in names if is_body(self.hints.get(n), self.marks[n])]
        else:
            self._add_inner(fields)
            self._add_defaults(fields)
            names = [n for n in self.signature.parameters if n not in self.in_path and n not in self.elsewhere]
            self._add_form(fields)
            self.models = [n for n in names if n in fields and fields[n].place == "body" and not fields[n].form]
        self.plain = [n for n in names if n not in self.models and n not in self.form]
        self.query_models = [
            n for n in self.plain if is_model_class(self.hints.get(n)) and type(self.marks[n]).__name__ == "Query"
        ]
        self.embedded = len(self.models) > 1 or any(getattr(self.marks.get(n), "embed", None) for n in self.models)
        self.whole = self.models or self.query_models or self.form_models
        self.lone_models = {n: lone_model(self.hints.get(n)) for n in self.whole}
        parameters = self.signature.parameters.values()
        self.required = frozenset(p.name for p in parameters if p.default is p.empty)
        self.by_name = all(p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY) for p in parameters)
        self._settled = True

    def _add_form(self, fields: dict[str, Field]) -> None:
        """Record how form parameters are filled."""
        for name, field in fields.items():
            if not field.form or name not in self.signature.parameters:
                continue
            model = lone_model(field.info.annotation)
            if model is not None and type(field.info).__name__ == "Form" and not field.info.embed:
                self.form[name] = model
                self.form_models.append(name)
            else:
                default = forms.NO_DEFAULT if field.default is inspect.Parameter.empty else field.default
                self.form[name] = forms.FormField.of(field.key, field.info.annotation, field.info, default)

    def _add_inner(self, fields: dict[str, Field]) -> None:
        """Add the parameters of dependencies, as keyword-only parameters."""
        inner = {n: f for n, f in fields.items() if f.inner and n not in self.signature.parameters}
        keywords = [inspect.Parameter(n, inspect.Parameter.KEYWORD_ONLY, default=f.default) for n, f in inner.items()]
        self.signature = self.signature.replace(parameters=[*self.signature.parameters.values(), *keywords])
        self.aliases |= {n: f.key for n, f in inner.items() if f.place == "body" and f.key != n}
        in_head = {
            n: f for n, f in fields.items() if n in self.signature.parameters and f.place in ("header", "cookie")
        }
        self.elsewhere = in_head | {n: f for n, f in inner.items() if f.place == "query"}

    def _add_defaults(self, fields: dict[str, Field]) -> None:
        """Copy defaults from annotations (``Field(default_factory=…)``) into the signature."""
        parameters = self.signature.parameters.values()
        with contextlib.suppress(ValueError):  # a parameter without a default follows
            self.signature = self.signature.replace(
                parameters=[
                    p.replace(default=fields[p.name].default) if p.name in fields and p.default is p.empty else p
                    for p in parameters
                ]
            )

    def documented_signature(self) -> inspect.Signature:
        """The signature as a caller would write it: without FastAPI's markers, but with their defaults."""
        parameters = []
        for name, parameter in self.signature.parameters.items():
            hint = unaliased(parameter.annotation)
            if typing.get_origin(hint) is typing.Annotated:
                hint = typing.get_args(hint)[0]
            mark, default = self.marks.get(name), parameter.default
            if mark is not None and default is mark:
                default = inspect.Parameter.empty if mark.is_required() else mark.default
            parameters.append(parameter.replace(annotation=hint, default=default))
        try:
            return self.signature.replace(parameters=parameters)
        except ValueError:  # one without a default after one that has
            return self.signature
