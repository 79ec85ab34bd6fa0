"""What a call was given, as the JSON that the endpoint takes."""

from __future__ import annotations

import contextlib
import dataclasses
import inspect
import re
import types
import typing
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlencode

from fal_jupyter.client.calls import forms, hints
from fal_jupyter.client.calls.multipart import FormPart
from fal_jupyter.client.calls.plain_values import (
    dump,
    dump_model,
    first,
    is_array,
    is_model,
    plain,
    put_at,
    taken_name,
    text_of,
)
from fal_jupyter.client.calls.sent import Sent
from fal_jupyter.domain.errors import BadArguments
from fal_jupyter.domain.text.nearest import hint_for
from fal_jupyter.fal.classes.signatures import Field, request_fields


class Arguments:
    """How one endpoint takes its arguments; made once, from its signature."""

    def __init__(self, name: str, path: str, function: Callable[..., object]) -> None:
        self.name, self.path = name, path
        signature = inspect.signature(function)
        hints = {n: _unaliased(hint) for n, hint in hints_of(function).items()}
        marks = {n: _mark(hints.get(n), p.default) for n, p in signature.parameters.items()}
        parameters = [
            parameter
            for n, parameter in list(signature.parameters.items())[1:]
            if not _is_injected(hints.get(n)) and type(marks[n]).__name__ not in _DEPENDENCIES
        ]
        self.signature = signature.replace(parameters=parameters)
        self.in_path = dict(re.findall(r"{(\w+)(?::(\w+))?}", path))
        self.aliases = {
            n: alias for n in self.signature.parameters if isinstance(alias := getattr(marks[n], "alias", None), str)
        }
        self._function, self._hints, self._marks = function, hints, marks
        self._settled = False
        self.models: list[str] = []
        self.plain: list[str] = []
        self.query_models: list[str] = []
        self.embedded = False
        self._elsewhere: dict[str, Field] = {}  # beside query, path and body of the endpoint's own
        self._in_head = [n for n in self.signature.parameters if type(marks[n]).__name__ in ("Header", "Cookie")]
        self._form: dict[
            str, Any
        ] = {}  # how each parameter that a form holds is filled: a FormField, or a model's class
        self.form_models: list[str] = []

    def _settle(self) -> None:
        """Find each parameter's place, as FastAPI will in the runner. At the first call: importing FastAPI takes its time."""
        fields = request_fields(self._function, self.path)
        if fields is None:
            names = [n for n in self.signature.parameters if n not in self.in_path and n not in self._in_head]
            self.models = [n for n in names if _is_body(self._hints.get(n), self._marks[n])]
        else:
            self._add_inner(fields)
            self._add_defaults(fields)
            names = [n for n in self.signature.parameters if n not in self.in_path and n not in self._elsewhere]
            self._add_form(fields)
            self.models = [n for n in names if n in fields and fields[n].place == "body" and not fields[n].form]
        self.plain = [n for n in names if n not in self.models and n not in self._form]
        self.query_models = [
            n for n in self.plain if _is_model_class(self._hints.get(n)) and type(self._marks[n]).__name__ == "Query"
        ]
        self.embedded = len(self.models) > 1 or any(getattr(self._marks.get(n), "embed", None) for n in self.models)
        self._settled = True

    def _add_form(self, fields: dict[str, Field]) -> None:
        """Note how the parameters that come from a form are filled."""
        for name, field in fields.items():
            if not field.form or name not in self.signature.parameters:
                continue
            model = _lone_model(field.info.annotation)
            if model is not None and type(field.info).__name__ == "Form" and not field.info.embed:
                self._form[name] = model
                self.form_models.append(name)
            else:
                default = forms.NO_DEFAULT if field.default is inspect.Parameter.empty else field.default
                self._form[name] = forms.FormField.of(field.key, field.info.annotation, field.info, default)

    def _add_inner(self, fields: dict[str, Field]) -> None:
        """Take the parameters of dependencies too, by keyword."""
        inner = {n: f for n, f in fields.items() if f.inner and n not in self.signature.parameters}
        keywords = [inspect.Parameter(n, inspect.Parameter.KEYWORD_ONLY, default=f.default) for n, f in inner.items()]
        self.signature = self.signature.replace(parameters=[*self.signature.parameters.values(), *keywords])
        self.aliases |= {n: f.key for n, f in inner.items() if f.place == "body" and f.key != n}
        in_head = {
            n: f for n, f in fields.items() if n in self.signature.parameters and f.place in ("header", "cookie")
        }
        self._elsewhere = in_head | {n: f for n, f in inner.items() if f.place == "query"}

    def _add_defaults(self, fields: dict[str, Field]) -> None:
        """Take the defaults that are in an annotation (``Field(default_factory=…)``) into the signature."""
        parameters = self.signature.parameters.values()
        with contextlib.suppress(ValueError):  # a parameter without a default follows
            self.signature = self.signature.replace(
                parameters=[
                    p.replace(default=fields[p.name].default) if p.name in fields and p.default is p.empty else p
                    for p in parameters
                ]
            )

    def send(self, args: tuple[object, ...], kwargs: dict[str, object]) -> Sent:
        """Fit a call's arguments to the endpoint.

        Raises:
            BadArguments: they do not fit the signature, or JSON cannot hold one; the message names it.
        """
        if not self._settled:
            self._settle()
        bound = self._bind(args, kwargs)
        if self._form:
            return self._sent_form(bound)
        for name, value in bound.items():
            if is_array(value):
                self._check_array(name, value)
        try:
            return self._sent({name: first(value, f"argument {name!r}") for name, value in bound.items()})
        except (ValueError, RecursionError):
            for name, value in bound.items():
                _check_alone(value, f"argument {name!r}")
            raise

    def _sent_form(self, bound: dict[str, object]) -> Sent:
        rest = {n: first(value, f"argument {n!r}") for n, value in bound.items() if n not in self._form}
        parts: list[FormPart] = []
        for name in [n for n in bound if n in self._form]:
            how, where = self._form[name], f"{self.name}(): argument {name!r}"
            if isinstance(how, forms.FormField):
                parts += forms.parts_of(how, bound[name], where)
            elif bound[name] is not None:
                parts += forms.parts_of_model(how, bound[name], where)
        body, content_type = forms.encoded(parts)
        return dataclasses.replace(self._sent(rest), body=body, content_type=content_type)

    def _check_array(self, name: str, value: object) -> None:
        """An array becomes a list: refuse it where the endpoint takes something else, before its runner does so in other words."""
        hint = self._hints.get(name)
        if typing.get_origin(hint) is typing.Annotated:
            hint = _unaliased(typing.get_args(hint)[0])
        if getattr(value, "ndim", 0) and (meant := hints.for_array(hint)):
            kind = type(value)
            raise BadArguments(
                f"{self.name}(): argument {name!r} is a {kind.__module__}.{kind.__qualname__}, but it takes {getattr(hint, '__name__', hint)}",
                hint=meant,
            )

    def _sent(self, values: dict[str, object]) -> Sent:
        path = self.path
        for name, kind in self.in_path.items():
            text = _path_part(values.pop(name, None), f"argument {name!r}", whole=kind == "path")
            path = re.sub(rf"{{{name}(?::\w+)?}}", text.replace("\\", r"\\"), path)
        headers, beside = self._head({n: values.pop(n) for n in self._elsewhere if n in values})
        spread = {name: _fields(self.name, name, values.pop(name)) for name in self.query_models if name in values}
        if spread:  # FastAPI takes the fields of such a model from the query, one by one
            fields = {key: item for model in spread.values() for key, item in model.items()}
            fields |= {self.aliases.get(n, n): v for n, v in values.items() if n in self.plain}
            query = {n: self._query_value(n, v) for n, v in fields.items()}
            return Sent(path, _encoded(query | beside), self._body(values), headers)
        if not self.models and not self._form:
            named = {self.aliases.get(n, n): v for n, v in values.items()}
            return Sent(path, _encoded(beside), dump(named) if named else b"", headers)
        query = {self.aliases.get(n, n): self._query_value(n, values[n]) for n in self.plain if n in values}
        return Sent(path, _encoded(query | beside), self._body(values), headers)

    def _head(self, values: dict[str, object]) -> tuple[tuple[tuple[str, str], ...], dict[str, Any]]:
        """Give the headers that *values* go into, and those that go into the query."""
        headers: list[tuple[str, str]] = []
        cookies: list[str] = []
        query: dict[str, Any] = {}
        for name, value in values.items():
            field = self._elsewhere[name]
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
                            f"{self.name}(): argument {name!r} goes into the header {key!r}, which the gateway keeps for itself"
                        )
                    headers += [(key, text) for text in self._head_texts(name, item, _HEADER, "a header")]
        return (*headers, *([("cookie", "; ".join(cookies))] if cookies else [])), query

    def _head_texts(self, name: str, value: object, allowed: re.Pattern[str], where: str) -> list[str]:
        if value is None and self._elsewhere[name].default is None:
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
        bodies = {self.aliases.get(n, n): values[n] for n in self.models if n in values}
        body: Any = bodies if self.embedded or not bodies else next(iter(bodies.values()))
        return dump(body) if bodies or self.embedded else b""

    def _query_value(self, name: str, value: object) -> Any:
        """Give what stands in the query for a parameter beside a body, where there is no null and no structure."""
        problem = f"{self.name}(): argument {name!r} goes into the address, beside the body, which holds no"
        if value is None:
            parameter = self.signature.parameters.get(name)
            if parameter is not None and parameter.default is not None:
                raise BadArguments(f"{problem} None", hint="leave it out, or make it part of the body's model")
            return None
        if isinstance(value, dict) or (isinstance(value, list) and any(isinstance(v, list | dict) for v in value)):
            raise BadArguments(f"{problem} structures", hint="make it part of the body's model")
        return [text_of(item) for item in value] if isinstance(value, list) else text_of(value)

    def _bind(self, args: tuple[object, ...], kwargs: dict[str, object]) -> dict[str, Any]:
        lone: Any = args[0] if len(args) == 1 and not kwargs else None
        if isinstance(lone, Mapping) and self._is_whole(lone):
            args, kwargs = (), dict(lone)
        elif not self.models and not self.form_models and is_model(lone):
            fields = dump_model(lone, f"the argument of {self.name}()", by_alias=False)
            if isinstance(fields, dict) and (self._is_whole(fields) or len(self.signature.parameters) > 1):
                args, kwargs = (), fields
        elif (
            kwargs
            and not args
            and len(whole := self.models or self.query_models or self.form_models) == 1
            and whole[0] not in kwargs
            and not _is_array_of(self._hints.get(whole[0]))
        ):
            fields = {n: v for n, v in kwargs.items() if n not in self.signature.parameters}
            kwargs = {n: v for n, v in kwargs.items() if n in self.signature.parameters}
            if fields or self.signature.parameters[whole[0]].default is inspect.Parameter.empty:
                kwargs[whole[0]] = self._named_fields(whole[0], fields)
        try:
            bound = dict(self.signature.bind(*args, **kwargs).arguments)
        except TypeError as error:
            problem, meant = hints.for_arguments(len(args), kwargs, self.signature, error)
            takes = f"it takes {self.name}{self._documented_signature()}"
            raise BadArguments(f"{self.name}(): {problem}", hint=f"{meant}\n{takes}" if meant else takes) from None
        return self._single(bound)

    def _named_fields(self, name: str, fields: dict[str, Any]) -> dict[str, Any]:
        """Give the fields of a model, which a call names as the class does, by the names under which the model takes them.

        Raises:
            BadArguments: the model would leave one out without a word.
        """
        kind = _lone_model(self._hints.get(name))
        if kind is None:
            return fields
        model_fields = kind.model_fields
        accepted = {alias for field in model_fields for alias in _names_taken(kind, field)}
        values = {key: value for key, value in fields.items() if key in accepted or key not in model_fields}
        for key in fields.keys() - values.keys():
            put_at(values, taken_name(kind, key), fields[key], f"argument {key!r}")
        others = [key for key in fields if key not in accepted and key not in model_fields]
        if others and kind.model_config.get("extra") != "allow" and not _rewrites_input(kind):
            hint = hint_for(others[0], model_fields, f"it takes {self.name}{self._documented_signature()}")
            raise BadArguments(f"{self.name}(): {kind.__name__} has no field {others[0]!r}", hint=hint)
        return values

    def _single(self, bound: dict[str, Any]) -> dict[str, Any]:
        """Refuse what ``*args`` and ``**kwargs`` would collect: FastAPI takes each of them for one parameter of that name."""
        for name, value in list(bound.items()):
            kind = self.signature.parameters[name].kind
            if kind is inspect.Parameter.VAR_KEYWORD and set(value) == {name}:
                bound[name] = value[name]
            elif kind in (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL):
                stars = "**" if kind is inspect.Parameter.VAR_KEYWORD else "*"
                which = (
                    ", ".join(map(repr, value)) if stars == "**" else f"more than the named arguments ({len(value)})"
                )
                raise BadArguments(
                    f"{self.name}() is given {which} for {stars}{name}, which FastAPI takes for one parameter of the name {name!r}",
                    hint="declare each parameter by name, or one of the type dict or list; a decorator needs functools.wraps",
                )
        return bound

    def _documented_signature(self) -> inspect.Signature:
        """The signature as a caller would write it: without FastAPI's marks, but with the defaults in them."""
        parameters = []
        for name, parameter in self.signature.parameters.items():
            hint = _unaliased(parameter.annotation)
            if typing.get_origin(hint) is typing.Annotated:
                hint = typing.get_args(hint)[0]
            mark, default = self._marks.get(name), parameter.default
            if mark is not None and default is mark:
                default = inspect.Parameter.empty if mark.is_required() else mark.default
            parameters.append(parameter.replace(annotation=hint, default=default))
        try:
            return self.signature.replace(parameters=parameters)
        except ValueError:  # one without a default after one that has
            return self.signature

    def _is_whole(self, mapping: Mapping[object, object]) -> bool:
        """True when a lone dict is the parameters by name, not the value of one."""
        names = set(self.signature.parameters) - set(self._elsewhere)
        if not mapping:
            takes = self._hints.get(next(iter(self.signature.parameters), ""))
            models = self.models or self.query_models or self.form_models
            return not models and not (names and takes in (None, Any, object))
        if len(self.models or self.query_models or self.form_models) == 1 and len(names) == 1:
            return False
        return all(key in self.signature.parameters for key in mapping)


def hints_of(function: Callable[..., object]) -> dict[str, Any]:
    """Give the annotations of a function, each looked up; as it is written where it cannot be found."""
    try:
        return typing.get_type_hints(function, include_extras=True)
    except Exception:
        names = getattr(function, "__globals__", {})
        return {name: _looked_up(hint, names) for name, hint in getattr(function, "__annotations__", {}).items()}


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


def _looked_up(hint: object, names: dict[str, Any]) -> Any:
    alone = types.SimpleNamespace(__annotations__={"hint": hint}, __globals__=names)
    try:
        return typing.get_type_hints(alone, include_extras=True)["hint"]
    except Exception:
        return hint


_DEPENDENCIES = ("Depends", "Security")
_MARKS = ("Query", "Path", "Body", "Form", "File", "Header", "Cookie", *_DEPENDENCIES)


def _unaliased(hint: Any) -> Any:
    """Give what a type alias (``type X = …``, ``TypeAliasType``) stands for, as FastAPI reads it."""
    for _ in range(_ALIASES):
        if type(hint).__name__ != "TypeAliasType":
            break
        hint = hint.__value__
    return hint


_ALIASES = 100  # an alias that stands for itself is FastAPI's to refuse


def _mark(hint: object, default: object) -> Any:
    """Give FastAPI's mark of a parameter (``Query(...)``), in its annotation or as its default, or None."""
    marks = [*getattr(hint, "__metadata__", ()), default]
    markers = [m for m in marks if type(m).__module__ == "fastapi.params" and type(m).__name__ in _MARKS]
    return markers[-1] if markers else None


def _is_body(hint: object, mark: object = None) -> bool:
    """True for what FastAPI takes from the body: models, dataclasses, dicts, lists of them, in unions and Annotated."""
    if mark is not None:
        return type(mark).__name__ == "Body"
    hint = _unaliased(hint)
    origin: Any = typing.get_origin(hint)
    if type(origin).__name__ == "TypeAliasType":  # a generic alias with its arguments
        return _is_body(origin.__value__)
    if origin is typing.Annotated:
        return _is_body(typing.get_args(hint)[0])
    if origin in (typing.Union, types.UnionType):
        return any(_is_body(part) for part in typing.get_args(hint))
    if origin in (dict, list, set, tuple, frozenset):
        return True
    if not isinstance(hint, type):
        return False
    return (
        hasattr(hint, "model_fields")
        or dataclasses.is_dataclass(hint)
        or issubclass(hint, dict | list | set | tuple | frozenset)
        or type(hint).__name__ == "_TypedDictMeta"
    )


def _lone_model(hint: object) -> Any:
    """Give the one model that an annotation stands for, or None; ``Model | None`` is one too."""
    hint = _unaliased(hint)
    if typing.get_origin(hint) is typing.Annotated:
        return _lone_model(typing.get_args(hint)[0])
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        parts = [part for part in typing.get_args(hint) if part is not type(None)]
        return _lone_model(parts[0]) if len(parts) == 1 else None
    is_one = isinstance(hint, type) and hasattr(hint, "model_fields") and hasattr(hint, "model_config")
    return hint if is_one and not getattr(hint, "__pydantic_root_model__", False) else None


def _names_taken(kind: Any, field: str) -> list[str]:
    """Give every key under which a model looks for a field."""
    alias, config = kind.model_fields[field].validation_alias, kind.model_config
    choices = getattr(alias, "choices", [alias])
    names = [choice if isinstance(choice, str) else choice.path[0] for choice in choices if choice is not None]
    by_name = alias is None or config.get("populate_by_name") or config.get("validate_by_name")
    return [*names, field] if by_name else names


def _rewrites_input(kind: Any) -> bool:
    """True where a validator of the model sees its input first, so that it may take other names."""
    validators = kind.__pydantic_decorators__.model_validators.values()
    return any(validator.info.mode in ("before", "wrap") for validator in validators)


def _is_array_of(hint: object) -> bool:
    """True for a list or the like, which has no fields that a call could give by name."""
    hint = _unaliased(hint)
    if typing.get_origin(hint) is typing.Annotated:
        hint = _unaliased(typing.get_args(hint)[0])
    kind = typing.get_origin(hint) or hint
    return isinstance(kind, type) and issubclass(kind, list | tuple | set | frozenset)


def _is_injected(hint: object) -> bool:
    injected = isinstance(hint, type) and hint.__module__.startswith(("fastapi", "starlette"))
    return injected and not forms.is_upload_class(hint)


def _is_model_class(hint: object) -> bool:
    hint = _unaliased(hint)
    if typing.get_origin(hint) is typing.Annotated:
        hint = _unaliased(typing.get_args(hint)[0])
    return isinstance(hint, type) and hasattr(hint, "model_fields")


def _fields(endpoint: str, name: str, value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise BadArguments(
            f"{endpoint}(): argument {name!r} goes into the address field by field, so it must be a model or a dict"
        )
    return value


def _encoded(query: dict[str, Any]) -> str:
    return urlencode({n: v for n, v in query.items() if v is not None}, doseq=True)


def _path_part(value: object, where: str, *, whole: bool) -> str:
    """Give what stands in the path for a parameter; FastAPI cuts paths at every slash, even a quoted one."""
    text = text_of(value)
    if isinstance(value, dict | list) or value is None or text == "" or ("/" in text and not whole):
        raise BadArguments(f"{where} is part of the path, so it cannot be {value!r:.60}", hint="text without a slash")
    return str(text)


def _check_alone(value: object, where: str) -> None:
    """Say of one argument what only shows when it is written.

    Raises:
        BadArguments: it is this one.
    """
    try:
        dump(plain(value, where))
    except RecursionError:
        raise BadArguments(f"{where} contains itself, or is nested too deeply for JSON") from None
    except UnicodeEncodeError:
        raise BadArguments(
            f"{where} has text with half a character (a lone surrogate), which is not JSON serializable"
        ) from None
    except ValueError as error:
        raise BadArguments(f"{where} cannot be written as JSON: {error}") from None
