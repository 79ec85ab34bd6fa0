"""Binds the arguments of a call to the endpoint's parameters: as Python does, or as fields of the endpoint's only model."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from fal_jupyter.client.calls import hints
from fal_jupyter.client.calls.arguments.annotations import is_array_of, names_taken, rewrites_input
from fal_jupyter.client.calls.arguments.parameters import Parameters
from fal_jupyter.client.calls.plain_values import dump_model, is_model, put_at, taken_name
from fal_jupyter.domain.errors import BadArguments
from fal_jupyter.domain.text.nearest import hint_for

if TYPE_CHECKING:
    from pydantic import BaseModel
    from pydantic.fields import FieldInfo


class Binding:
    """Binds calls of one endpoint."""

    def __init__(self, name: str, parameters: Parameters) -> None:
        self._name, self._parameters = name, parameters
        self._known: dict[type[BaseModel], tuple[dict[str, FieldInfo], frozenset[str]]] = {}

    def bind(self, args: tuple[object, ...], kwargs: dict[str, object]) -> dict[str, object]:
        """Return the arguments of a call by the endpoint's parameters.

        Raises:
            BadArguments: they do not fit.
        """
        parameters, signature = self._parameters, self._parameters.signature
        lone: object = args[0] if len(args) == 1 and not kwargs else None
        if isinstance(lone, Mapping) and self._is_whole(lone):
            args, kwargs = (), dict(lone)
        elif not parameters.models and not parameters.form_models and is_model(lone):
            fields = dump_model(lone, f"the argument of {self._name}()", by_alias=False)
            if isinstance(fields, dict) and (self._is_whole(fields) or len(signature.parameters) > 1):
                args, kwargs = (), fields
        elif (
            kwargs
            and not args
            and len(whole := parameters.whole) == 1
            and whole[0] not in kwargs
            and (parameters.lone_models[whole[0]] is not None or not is_array_of(parameters.hints.get(whole[0])))
        ):
            fields = {n: v for n, v in kwargs.items() if n not in signature.parameters}
            kwargs = {n: v for n, v in kwargs.items() if n in signature.parameters}
            if fields or (whole[0] in parameters.required and not hints.is_file(parameters.lone_models[whole[0]])):
                kwargs[whole[0]] = self._named_fields(whole[0], fields)
        names = signature.parameters.keys()
        if not args and parameters.by_name and parameters.required <= kwargs.keys() <= names:
            return {n: kwargs[n] for n in names if n in kwargs}  # as below, in a tenth of the time
        try:
            bound = dict(signature.bind(*args, **kwargs).arguments)
        except TypeError as error:
            problem, meant = hints.for_arguments(len(args), kwargs, signature, error)
            takes = f"it takes {self._name}{parameters.documented_signature()}"
            raise BadArguments(f"{self._name}(): {problem}", hint=f"{meant}\n{takes}" if meant else takes) from None
        return self._single(bound)

    def _named_fields(self, name: str, fields: dict[str, object]) -> dict[str, object]:
        """Return the fields of a model by the names under which it accepts them; the call uses the names of the class.

        Raises:
            BadArguments: the model would ignore one silently.
        """
        kind = self._parameters.lone_models[name]
        if kind is None:
            return fields
        model_fields, accepted = self._fields_of(kind)
        if fields.keys() <= accepted:
            return fields
        values = {key: value for key, value in fields.items() if key in accepted or key not in model_fields}
        for key in fields.keys() - values.keys():
            put_at(values, taken_name(kind, key), fields[key], f"argument {key!r}")
        others = [key for key in fields if key not in accepted and key not in model_fields]
        if others and kind.model_config.get("extra") != "allow" and not rewrites_input(kind):
            hint = hint_for(others[0], model_fields, f"it takes {self._name}{self._parameters.documented_signature()}")
            raise BadArguments(f"{self._name}(): {kind.__name__} has no field {others[0]!r}", hint=hint)
        return values

    def _fields_of(self, kind: type[BaseModel]) -> tuple[dict[str, FieldInfo], frozenset[str]]:
        """Return a model's fields, and every name under which it takes them; found again when the model was rebuilt."""
        model_fields = kind.__pydantic_fields__
        known = self._known.get(kind)
        if known is None or known[0] is not model_fields:
            accepted = frozenset(alias for field in model_fields for alias in names_taken(kind, field))
            known = self._known[kind] = model_fields, accepted
        return known

    def _single(self, bound: dict[str, object]) -> dict[str, object]:
        """Refuse what ``*args`` and ``**kwargs`` would collect: FastAPI takes each of them for one parameter of that name."""
        for name, value in list(bound.items()):
            kind = self._parameters.signature.parameters[name].kind
            if isinstance(value, dict) and kind is inspect.Parameter.VAR_KEYWORD and set(value) == {name}:
                bound[name] = value[name]
            elif isinstance(value, dict | tuple) and kind in (
                inspect.Parameter.VAR_KEYWORD,
                inspect.Parameter.VAR_POSITIONAL,
            ):
                stars = "**" if kind is inspect.Parameter.VAR_KEYWORD else "*"
                which = (
                    ", ".join(map(repr, value)) if stars == "**" else f"more than the named arguments ({len(value)})"
                )
                raise BadArguments(
                    f"{self._name}() is given {which} for {stars}{name}, which FastAPI takes for one parameter of the name {name!r}",
                    hint="declare each parameter by name, or one of the type dict or list; a decorator needs functools.wraps",
                )
        return bound

    def _is_whole(self, mapping: Mapping[object, object]) -> bool:
        """True when a lone dict is the parameters by name, not the value of one."""
        names = set(self._parameters.signature.parameters) - set(self._parameters.elsewhere)
        if not mapping:
            takes = self._parameters.hints.get(next(iter(self._parameters.signature.parameters), ""))
            models = self._parameters.whole
            return not models and not (names and takes in (None, Any, object))
        if len(self._parameters.whole) == 1 and len(names) == 1:
            return False
        return all(key in self._parameters.signature.parameters for key in mapping)
