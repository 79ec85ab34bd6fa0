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
from fal_jupyter.fal.endpoints import body_parameters


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
        hints = {n: _unaliased(hint) for n, hint in hints_of(function).items()}
        marks = {n: _mark(hints.get(n), p.default) for n, p in signature.parameters.items()}
        parameters = [
            parameter
            for n, parameter in list(signature.parameters.items())[1:]
            if not _is_injected(hints.get(n)) and type(marks[n]).__name__ not in _NOT_SENT
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

        self._in_form = [n for n in hints if type(marks.get(n)).__name__ in _FORMS or _is_upload(hints[n])]

    def _settle(self) -> None:
        """Find each parameter's place, as FastAPI will in the runner. At the first call: importing FastAPI takes its time."""
        if self._in_form:
            raise BadArguments(
                f"{self.name}() takes {', '.join(map(repr, self._in_form))} from a form, which a call from Python does not send",
                hint="post it over HTTP as multipart/form-data to the endpoint's address, with the app's key",
            )
        names = [n for n in self.signature.parameters if n not in self.in_path]
        fields = body_parameters(self._function, self.path)
        if fields is None:
            self.models = [n for n in names if _is_body(self._hints.get(n), self._marks[n])]
        else:
            self.models = [n for n in names if n in fields]
        self.plain = [n for n in names if n not in self.models]
        self.query_models = [
            n for n in self.plain if _is_model_class(self._hints.get(n)) and type(self._marks[n]).__name__ == "Query"
        ]
        self.embedded = len(self.models) > 1 or any(getattr(self._marks[n], "embed", None) for n in self.models)
        self._settled = True

    def send(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Sent:
        """Fit a call's arguments to the endpoint.

        Raises:
            BadArguments: they do not fit the signature, or JSON cannot hold one; the message names it.
        """
        if not self._settled:
            self._settle()
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
        spread = {name: _fields(self.name, name, values.pop(name)) for name in self.query_models if name in values}
        if spread:  # FastAPI takes the fields of such a model from the query, one by one
            fields = {key: item for model in spread.values() for key, item in model.items()}
            fields |= {self.aliases.get(n, n): v for n, v in values.items() if n in self.plain}
            return Sent(path, _encoded({n: self._query_value(n, v) for n, v in fields.items()}), self._body(values))
        if not self.models:
            named = {self.aliases.get(n, n): v for n, v in values.items()}
            return Sent(path, "", _dump(named) if named else b"")
        query = {self.aliases.get(n, n): self._query_value(n, values[n]) for n in self.plain if n in values}
        return Sent(path, _encoded(query), self._body(values))

    def _body(self, values: dict[str, Any]) -> bytes:
        bodies = {self.aliases.get(n, n): values[n] for n in self.models if n in values}
        body: Any = bodies if self.embedded or not bodies else next(iter(bodies.values()))
        return _dump(body) if bodies or self.embedded else b""

    def _query_value(self, name: str, value: Any) -> Any:
        """Give what stands in the query for a parameter beside a body, where there is no null and no structure."""
        told = f"{self.name}(): argument {name!r} goes into the address, beside the body, which holds no"
        if value is None:
            parameter = self.signature.parameters.get(name)
            if parameter is not None and parameter.default is not None:
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
        elif kwargs and not args and len(whole := self.models or self.query_models) == 1 and whole[0] not in kwargs:
            fields = {n: v for n, v in kwargs.items() if n not in self.signature.parameters}
            kwargs = {n: v for n, v in kwargs.items() if n in self.signature.parameters}
            if fields or self.signature.parameters[whole[0]].default is inspect.Parameter.empty:
                kwargs[whole[0]] = fields
        try:
            return dict(self.signature.bind(*args, **kwargs).arguments)
        except TypeError as error:
            raise BadArguments(f"{self.name}(): {error}", hint=f"it takes {self.name}{self.signature}") from None

    def _is_whole(self, given: Mapping[Any, Any]) -> bool:
        """True when a lone dict is the parameters by name, not the value of one."""
        names = set(self.signature.parameters)
        if len(self.models or self.query_models) == 1 and len(names) == 1:
            return False
        return bool(given) and all(key in names for key in given)


def hints_of(function: Callable[..., Any]) -> dict[str, Any]:
    """Give the annotations of a function, each looked up; as it is written where it cannot be found."""
    try:
        return typing.get_type_hints(function, include_extras=True)
    except Exception:
        names = getattr(function, "__globals__", {})
        return {name: _looked_up(hint, names) for name, hint in getattr(function, "__annotations__", {}).items()}


_FORMS = ("Form", "File")


def _is_upload(hint: Any) -> bool:
    hint = _unaliased(hint)
    if isinstance(hint, type) and hint.__name__ == "UploadFile":
        return hint.__module__.startswith(("fastapi", "starlette"))
    return any(map(_is_upload, typing.get_args(hint)))


def _looked_up(hint: Any, names: dict[str, Any]) -> Any:
    alone = types.SimpleNamespace(__annotations__={"hint": hint}, __globals__=names)
    try:
        return typing.get_type_hints(alone, include_extras=True)["hint"]
    except Exception:
        return hint


_NOT_SENT = ("Depends", "Security", "Header", "Cookie")
_MARKS = ("Query", "Path", "Body", "Form", "File", *_NOT_SENT)


def _unaliased(hint: Any) -> Any:
    """Give what a type alias (``type X = …``, ``TypeAliasType``) stands for, as FastAPI reads it."""
    for _ in range(_ALIASES):
        if type(hint).__name__ != "TypeAliasType":
            break
        hint = hint.__value__
    return hint


_ALIASES = 100  # an alias that stands for itself is FastAPI's to refuse


def _mark(hint: Any, default: Any) -> Any:
    """Give FastAPI's mark of a parameter (``Query(...)``), in its annotation or as its default, or None."""
    marks = [*getattr(hint, "__metadata__", ()), default]
    found = [m for m in marks if type(m).__module__ == "fastapi.params" and type(m).__name__ in _MARKS]
    return found[-1] if found else None


def _is_body(hint: Any, mark: Any = None) -> bool:
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


def _is_injected(hint: Any) -> bool:
    return isinstance(hint, type) and hint.__module__.startswith(("fastapi", "starlette"))


def _is_model_class(hint: Any) -> bool:
    hint = _unaliased(hint)
    if typing.get_origin(hint) is typing.Annotated:
        hint = _unaliased(typing.get_args(hint)[0])
    return isinstance(hint, type) and hasattr(hint, "model_fields")


def _fields(endpoint: str, name: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise BadArguments(
            f"{endpoint}(): argument {name!r} goes into the address field by field, so it must be a model or a dict"
        )
    return value


def _encoded(query: dict[str, Any]) -> str:
    return urlencode({n: v for n, v in query.items() if v is not None}, doseq=True)


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
        if _MASK in str(found):  # secrets may be among it
            found = _revealed(found, model.model_dump(by_alias=by_alias, round_trip=True), where)
    except BadArguments:
        raise
    except Exception as error:
        raise BadArguments(f"{where} cannot be written as JSON: {error}") from None
    if by_alias and isinstance(found, dict):
        for written, taken in _renamed(type(model)):
            if written in found:
                found[taken] = found.pop(written)
    return found


def _revealed(written: Any, value: Any, where: str) -> Any:
    """Give *written*, the JSON form of *value*, with secrets as they are: pydantic writes asterisks for them."""
    if hasattr(value, "get_secret_value"):
        return _secret(value, where)
    if isinstance(value, dict) and isinstance(written, dict) and len(value) == len(written):
        pairs = zip(written.items(), value.items(), strict=True)
        return {key: _revealed(text, item, f"{where}[{key!r}]") for (key, text), (_, item) in pairs}
    if isinstance(value, list | tuple | set | frozenset) and isinstance(written, list) and len(value) == len(written):
        return [_revealed(*pair, f"{where}[{i}]") for i, pair in enumerate(zip(written, value, strict=True))]
    return written


def _secret(value: Any, where: str) -> Any:
    hidden = value.get_secret_value()
    if not isinstance(hidden, bytes):
        return plain(hidden, where)
    try:
        return hidden.decode()
    except UnicodeDecodeError:
        raise BadArguments(f"{where} has secret bytes that are not UTF-8, which JSON cannot hold") from None


_MASK = "**********"
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
    if hasattr(value, "get_secret_value") and not isinstance(value, type):
        return _secret(value, where)
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
