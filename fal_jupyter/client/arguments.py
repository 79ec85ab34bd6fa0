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
        self.signature = signature.replace(parameters=list(signature.parameters.values())[1:])
        self.in_path = set(re.findall(r"{(\w+)(?::\w+)?}", path))
        hints = _hints(function)
        names = [n for n in self.signature.parameters if n not in self.in_path]
        self.models = [n for n in names if _is_body(hints.get(n))]
        self.injected = {n for n in names if _is_injected(hints.get(n))}
        self.plain = [n for n in names if n not in self.models and n not in self.injected]

    def send(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Sent:
        """Fit a call's arguments to the endpoint.

        Raises:
            BadArguments: they do not fit the signature, or JSON cannot hold one; the message names it.
        """
        given = self._bind(args, kwargs)
        path = self.path
        for name in self.in_path:
            path = re.sub(rf"{{{name}(?::\w+)?}}", str(given.pop(name, "")), path)
        values = {name: plain(value, f"argument {name!r}") for name, value in given.items()}
        if not self.models:
            return Sent(path, "", _dump(values) if values else b"")
        query = {n: v for n, v in values.items() if n in self.plain and v is not None}
        bodies = {n: v for n, v in values.items() if n in self.models}
        body: Any = bodies
        if len(self.models) == 1:
            body = bodies.get(self.models[0])
        return Sent(path, urlencode(query, doseq=True), b"" if body is None and not bodies else _dump(body))

    def _bind(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        lone: Any = args[0] if len(args) == 1 and not kwargs else None
        if isinstance(lone, Mapping) and self._is_whole(lone):
            args, kwargs = (), dict(lone)
        elif lone is not None and not self.models and hasattr(lone, "model_dump"):
            args, kwargs = (), lone.model_dump(mode="json")
        elif kwargs and not args and len(self.models) == 1 and self.models[0] not in kwargs:
            fields = {n: v for n, v in kwargs.items() if n not in self.signature.parameters}
            kwargs = {n: v for n, v in kwargs.items() if n in self.signature.parameters}
            kwargs[self.models[0]] = fields
        try:
            return dict(self.signature.bind(*args, **kwargs).arguments)
        except TypeError as error:
            raise BadArguments(f"{self.name}(): {error}", hint=f"it takes {self.name}{self.signature}") from None

    def _is_whole(self, given: Mapping[Any, Any]) -> bool:
        """True when a lone dict is the parameters by name, not the value of one."""
        names = set(self.signature.parameters)
        if len(self.models) == 1 and len(names - self.injected) == 1:
            return False
        return bool(given) and all(key in names for key in given)


def _hints(function: Callable[..., Any]) -> dict[str, Any]:
    try:
        return typing.get_type_hints(function, include_extras=True)
    except Exception:
        return dict(getattr(function, "__annotations__", {}))


def _is_body(hint: Any) -> bool:
    """True for what FastAPI takes from the body: models, dataclasses, dicts, lists of them, in unions and Annotated."""
    origin: Any = typing.get_origin(hint)
    parts: Any = typing.get_args(hint)
    if origin is typing.Annotated:
        marks = [type(mark).__name__ for mark in parts[1:]]
        if any(mark in ("Query", "Header", "Path", "Cookie") for mark in marks):
            return False
        return "Body" in marks or _is_body(parts[0])
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


def _dump(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()


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
        return {_key(key, where): plain(item, f"{where}[{key!r}]") for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item, f"{where}[{index}]") for index, item in enumerate(value)]
    return _other(value, where)


def _key(key: Any, where: str) -> str:
    if isinstance(key, str):
        return key
    if isinstance(key, int | float | uuid.UUID):
        return str(key)
    raise BadArguments(f"{where} has the key {key!r}, but JSON's keys are text")


def _other(value: Any, where: str) -> Any:
    if hasattr(value, "model_dump"):
        return plain(value.model_dump(mode="json"), where)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name), f"{where}.{f.name}") for f in dataclasses.fields(value)}
    if _is_array(value):
        listed = value.tolist()
        return listed if _is_finite(value) else plain(listed, where)
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
        torch is not None and isinstance(value, torch.Tensor)
    )


def _is_finite(array: Any) -> bool:
    """True when an array holds finite real numbers only, so that its items need not be looked at one by one."""
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(array, torch.Tensor):
        return not array.is_complex() and bool(array.isfinite().all())
    return array.dtype.kind in "iufb" and bool(sys.modules["numpy"].isfinite(array).all())
