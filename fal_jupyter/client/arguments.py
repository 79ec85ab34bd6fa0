"""What a call was given, as the JSON that the endpoint takes."""

from __future__ import annotations

import dataclasses
import datetime
import enum
import inspect
import json
import math
import pathlib
import re
import sys
import types
import typing
import uuid
import weakref
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlencode

from fal_jupyter.domain.errors import BadArguments


@dataclasses.dataclass(frozen=True, slots=True)
class Sent:
    """The pieces of a request: path parameters filled in, query string, body."""

    path: str
    query: str
    body: bytes


class Arguments:
    """How one endpoint takes its arguments; made once, from its signature."""

    def __init__(self, name: str, path: str, function: Callable[..., Any]) -> None:
        self.name, self.path = name, path
        signature = inspect.signature(function)
        hints = hints_of(function)
        marks = {n: _mark(hints.get(n), p.default) for n, p in signature.parameters.items()}
        parameters = [
            parameter
            for n, parameter in list(signature.parameters.items())[1:]
            if not _is_injected(hints.get(n)) and type(marks[n]).__name__ not in _NOT_SENT
        ]
        self.signature = signature.replace(parameters=parameters)
        self.in_path = dict(re.findall(r"{(\w+)(?::(\w+))?}", path))
        names = [n for n in self.signature.parameters if n not in self.in_path]
        self.models = [n for n in names if _is_body(hints.get(n), marks[n])]
        self.plain = [n for n in names if n not in self.models]
        self.aliases = {n: alias for n in names if isinstance(alias := getattr(marks[n], "alias", None), str)}
        self.embedded = len(self.models) > 1 or any(getattr(marks[n], "embed", None) for n in self.models)

    def send(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Sent:
        """Fit a call's arguments to the endpoint.

        Raises:
            BadArguments: they do not fit the signature, or JSON cannot hold one; the message names it.
        """
        given = self._bind(args, kwargs)
        try:
            return self._sent({name: _first(value, f"argument {name!r}") for name, value in given.items()})
        except (ValueError, RecursionError):
            for name, value in given.items():
                _check_alone(value, f"argument {name!r}")
            raise

    def _sent(self, values: dict[str, Any]) -> Sent:
        path = self.path
        for name, kind in self.in_path.items():
            text = _path_part(values.pop(name, None), f"argument {name!r}", whole=kind == "path")
            path = re.sub(rf"{{{name}(?::\w+)?}}", text.replace("\\", r"\\"), path)
        if not self.models:
            named = {self.aliases.get(n, n): v for n, v in values.items()}
            return Sent(path, "", _dump(named) if named else b"")
        query = {self.aliases.get(n, n): self._query_value(n, values[n]) for n in self.plain if n in values}
        bodies = {self.aliases.get(n, n): values[n] for n in self.models if n in values}
        body: Any = bodies if self.embedded or not bodies else next(iter(bodies.values()))
        return Sent(
            path,
            urlencode({n: v for n, v in query.items() if v is not None}, doseq=True),
            _dump(body) if bodies or self.embedded else b"",
        )

    def _query_value(self, name: str, value: Any) -> Any:
        """Give what stands in the query for a parameter beside a body, where there is no null and no structure."""
        told = f"{self.name}(): argument {name!r} goes into the address, beside the body, which holds no"
        if value is None:
            if self.signature.parameters[name].default is not None:
                raise BadArguments(f"{told} None", hint="leave it out, or make it part of the body's model")
            return None
        if isinstance(value, dict) or (isinstance(value, list) and any(isinstance(v, list | dict) for v in value)):
            raise BadArguments(f"{told} structures", hint="make it part of the body's model")
        return [_query_text(item) for item in value] if isinstance(value, list) else _query_text(value)

    def _bind(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        lone: Any = args[0] if len(args) == 1 and not kwargs else None
        if isinstance(lone, Mapping) and self._is_whole(lone):
            args, kwargs = (), dict(lone)
        elif not self.models and _is_model(lone):
            fields = _dump_model(lone, f"the argument of {self.name}()", by_alias=False)
            if isinstance(fields, dict) and (self._is_whole(fields) or len(self.signature.parameters) > 1):
                args, kwargs = (), fields
        elif kwargs and not args and len(self.models) == 1 and self.models[0] not in kwargs:
            fields = {n: v for n, v in kwargs.items() if n not in self.signature.parameters}
            kwargs = {n: v for n, v in kwargs.items() if n in self.signature.parameters}
            if fields or self.signature.parameters[self.models[0]].default is inspect.Parameter.empty:
                kwargs[self.models[0]] = fields
        try:
            return dict(self.signature.bind(*args, **kwargs).arguments)
        except TypeError as error:
            raise BadArguments(f"{self.name}(): {error}", hint=f"it takes {self.name}{self.signature}") from None

    def _is_whole(self, given: Mapping[Any, Any]) -> bool:
        """True when a lone dict is the parameters by name, not the value of one."""
        names = set(self.signature.parameters)
        if len(self.models) == 1 and len(names) == 1:
            return False
        return bool(given) and all(key in names for key in given)


def hints_of(function: Callable[..., Any]) -> dict[str, Any]:
    """Give the annotations of a function, each looked up; as it is written where it cannot be found."""
    try:
        return typing.get_type_hints(function, include_extras=True)
    except Exception:
        names = getattr(function, "__globals__", {})
        return {name: _looked_up(hint, names) for name, hint in getattr(function, "__annotations__", {}).items()}


def _looked_up(hint: Any, names: dict[str, Any]) -> Any:
    alone = types.SimpleNamespace(__annotations__={"hint": hint}, __globals__=names)
    try:
        return typing.get_type_hints(alone, include_extras=True)["hint"]
    except Exception:
        return hint


_NOT_SENT = ("Depends", "Security", "Header", "Cookie")
_MARKS = ("Query", "Path", "Body", "Form", "File", *_NOT_SENT)


def _mark(hint: Any, default: Any) -> Any:
    """Give FastAPI's mark of a parameter (``Query(...)``), in its annotation or as its default, or None."""
    marks = [*getattr(hint, "__metadata__", ()), default]
    found = [m for m in marks if type(m).__module__ == "fastapi.params" and type(m).__name__ in _MARKS]
    return found[-1] if found else None


def _is_body(hint: Any, mark: Any = None) -> bool:
    """True for what FastAPI takes from the body: models, dataclasses, dicts, lists of them, in unions and Annotated."""
    if mark is not None:
        return type(mark).__name__ == "Body"
    origin: Any = typing.get_origin(hint)
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


def _is_injected(hint: Any) -> bool:
    return isinstance(hint, type) and hint.__module__.startswith(("fastapi", "starlette"))


def _path_part(value: Any, where: str, *, whole: bool) -> str:
    """Give what stands in the path for a parameter; FastAPI cuts paths at every slash, even a quoted one."""
    text = _query_text(value)
    if isinstance(value, dict | list) or value is None or text == "" or ("/" in text and not whole):
        raise BadArguments(f"{where} is part of the path, so it cannot be {value!r:.60}", hint="text without a slash")
    return str(text)


def _query_text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _check_alone(value: Any, where: str) -> None:
    """Say of one argument what only shows when it is written.

    Raises:
        BadArguments: it is this one.
    """
    try:
        _dump(plain(value, where))
    except RecursionError:
        raise BadArguments(f"{where} contains itself, or is nested too deeply for JSON") from None
    except UnicodeEncodeError:
        raise BadArguments(
            f"{where} has text with half a character (a lone surrogate), which JSON cannot hold"
        ) from None
    except ValueError as error:
        raise BadArguments(f"{where} cannot be written as JSON: {error}") from None


def _dump(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()


def _first(value: Any, where: str) -> Any:
    """As :func:`plain`, but a model's own dump is not walked again: numbers that JSON lacks show when it is written."""
    return _dump_model(value, where) if _is_model(value) else plain(value, where)


def plain(value: Any, where: str) -> Any:
    """Give *value* as plain JSON values.

    numpy arrays and torch tensors become lists, models and dataclasses dicts; what JSON cannot hold is named.

    Raises:
        BadArguments: naming the place, as in ``argument 'x'['a'][1] is a socket.socket, which JSON cannot hold``.
    """
    kind = type(value)
    if value is None or kind in (str, bool, int):
        return value
    if isinstance(value, enum.Enum):
        return plain(value.value, where)
    if isinstance(value, float):
        if not math.isfinite(value):
            raise BadArguments(f"{where} is {value}, which JSON cannot hold", hint="send None or a finite number")
        return float(value)
    if isinstance(value, str | bool | int):
        return value
    if isinstance(value, Mapping):
        return _object(value, where)
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item, f"{where}[{index}]") for index, item in enumerate(value)]
    return _other(value, where)


def _object(value: Mapping[Any, Any], where: str) -> dict[str, Any]:
    found = {_key(key, where): plain(item, f"{where}[{key!r}]") for key, item in value.items()}
    if len(found) != len(value):
        raise BadArguments(f"{where} has keys that are the same text in JSON, such as 1 and '1'")
    return found


def _key(key: Any, where: str) -> str:
    if isinstance(key, enum.Enum):
        return _key(key.value, where)
    if isinstance(key, str):
        return key
    if isinstance(key, int | float | uuid.UUID):
        return _query_text(key)
    raise BadArguments(f"{where} has the key {key!r}, but JSON's keys are text")


def _is_model(value: Any) -> bool:
    return hasattr(value, "model_dump") and not isinstance(value, type)


def _dump_model(model: Any, where: str, *, by_alias: bool = True) -> Any:
    """A model's fields, by the names under which it takes them and without what it computes."""
    try:
        found = model.model_dump(mode="json", by_alias=by_alias, round_trip=True)
    except Exception as error:
        raise BadArguments(f"{where} cannot be written as JSON: {error}") from None
    if by_alias and isinstance(found, dict):
        for written, taken in _renamed(type(model)):
            if written in found:
                found[taken] = found.pop(written)
    return found


_renamed_fields: weakref.WeakKeyDictionary[type[Any], list[tuple[str, str]]] = weakref.WeakKeyDictionary()


def _renamed(kind: type[Any]) -> list[tuple[str, str]]:
    """The fields that a model writes by another name than it takes them."""
    if (known := _renamed_fields.get(kind)) is not None:
        return known
    names = _renamed_fields[kind] = []
    for name, field in getattr(kind, "model_fields", {}).items():
        written, taken = field.serialization_alias or name, field.validation_alias or name
        if isinstance(taken, str) and taken != written:
            names.append((written, taken))
    return names


def _other(value: Any, where: str) -> Any:
    if _is_model(value):
        return plain(_dump_model(value, where), where)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name), f"{where}.{f.name}") for f in dataclasses.fields(value)}
    if _is_array(value):
        return _listed(value, where)
    if isinstance(value, datetime.datetime | datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, datetime.timedelta):
        return value.total_seconds()
    if isinstance(value, uuid.UUID | pathlib.PurePath):
        return str(value)
    kind = type(value)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    raise BadArguments(f"{where} is a {name}, which JSON cannot hold", hint="send text, numbers, lists or dicts")


def _is_array(value: Any) -> bool:
    """A numpy array or scalar, or a torch tensor, told without importing either."""
    numpy, torch = sys.modules.get("numpy"), sys.modules.get("torch")
    return (numpy is not None and isinstance(value, numpy.ndarray | numpy.generic)) or (
        torch is not None and isinstance(value, getattr(torch, "Tensor", ()))
    )


def _listed(array: Any, where: str) -> Any:
    kind = getattr(getattr(array, "dtype", None), "kind", "")
    try:
        if kind == "M":  # whose tolist() gives bare numbers of nanoseconds
            return sys.modules["numpy"].datetime_as_string(array).tolist()
        if kind == "m":
            array = array.astype("timedelta64[us]")
        elif kind == "f" and array.dtype.itemsize > 8:  # whose tolist() gives numpy's numbers
            array = array.astype("float64")
        listed = array.tolist()
        finite = _is_finite(array)
    except Exception as error:
        name = f"{type(array).__module__}.{type(array).__qualname__}"
        raise BadArguments(f"{where} is a {name} that cannot become a list: {error}") from None
    return listed if finite else plain(listed, where)


def _is_finite(array: Any) -> bool:
    """True when an array holds finite real numbers only, so that its items need not be looked at one by one."""
    torch: Any = sys.modules.get("torch")
    if hasattr(torch, "Tensor") and isinstance(array, torch.Tensor):
        return not array.is_complex() and bool(array.isfinite().all())
    return array.dtype.kind in "iufb" and bool(sys.modules["numpy"].isfinite(array).all())
