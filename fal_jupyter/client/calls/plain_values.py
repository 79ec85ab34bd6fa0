"""Converts values to plain JSON, and models to dicts by the names under which they accept their fields."""

from __future__ import annotations

import collections
import dataclasses
import datetime
import decimal
import enum
import ipaddress
import itertools
import json
import math
import pathlib
import re
import sys
import typing
import uuid
import weakref
import zoneinfo
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypeGuard

from fal_jupyter.client.calls import hints
from fal_jupyter.client.calls.type_aliases import is_type_alias, unaliased
from fal_jupyter.domain.errors import BadArguments

if TYPE_CHECKING:
    from pydantic import AliasPath, BaseModel, RootModel


_encoder = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def dump(value: object) -> bytes:
    """Write plain values as JSON."""
    return _encoder.encode(value).encode()


def check_alone(value: object, where: str) -> None:
    """Raise the error of an argument that cannot be serialized.

    Raises:
        BadArguments: this argument is the cause.
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


def first(value: object, where: str) -> object:
    """As :func:`plain`, but a model's own dump is not walked again: NaN and infinity are detected when it is serialized."""
    return dump_model(value, where) if is_model(value) else plain(value, where)


def plain(value: object, where: str) -> object:
    """Return *value* as plain JSON values.

    numpy arrays and torch tensors become lists, models and dataclasses dicts; values that JSON cannot hold are reported by location.

    Raises:
        BadArguments: naming the place, as in ``argument 'x'['a'][1] is a socket.socket, which is not JSON serializable``.
    """
    kind = type(value)
    if value is None or kind in (str, bool, int):
        return value
    if isinstance(value, enum.Enum):
        return plain(value.value, where)
    if isinstance(value, float):
        if not math.isfinite(value):
            raise BadArguments(
                f"{where} is {value}, which is not JSON serializable", hint="send None or a finite number"
            )
        return float(value)
    if isinstance(value, str | bool | int):
        return value
    if isinstance(value, Mapping):
        return _object(value, where)
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item, f"{where}[{index}]") for index, item in enumerate(value)]
    return _plain_object(value, where)


def _object(value: Mapping[object, object], where: str) -> dict[str, object]:
    converted = {_key(key, where): plain(item, f"{where}[{key!r}]") for key, item in value.items()}
    if len(converted) != len(value):
        raise BadArguments(f"{where} has keys that are the same text in JSON, such as 1 and '1'")
    return converted


def _key(key: object, where: str) -> str:
    if isinstance(key, enum.Enum):
        return _key(key.value, where)
    if isinstance(key, str):
        return key
    if isinstance(key, int | float):
        return text_of(key)
    if isinstance(key, (*_TEXTS, datetime.date, datetime.time)):
        return str(plain(key, where))
    raise BadArguments(f"{where} has the key {key!r}, but JSON's keys are text")


def is_model(value: object) -> TypeGuard[BaseModel]:
    """True for a pydantic model, not for its class."""
    return hasattr(value, "model_dump") and not isinstance(value, type)


def dump_model(model: BaseModel, where: str, *, by_alias: bool = True) -> object:
    """A model's fields, by the names under which it accepts them, without computed fields."""
    options: dict[str, Any] = {"by_alias": by_alias, "round_trip": True, "warnings": False}
    try:
        try:
            dumped: object = model.model_dump(mode="json", **options)
        except Exception:  # often a default that its own field does not accept, such as token: SecretStr = ""
            options["exclude_unset"] = True
            dumped = model.model_dump(mode="json", **options)
        if _MASK in str(dumped):  # it may contain secrets
            dumped = _revealed(dumped, model.model_dump(**options), where)
    except BadArguments:
        raise
    except Exception as error:
        hint = hints.for_field(model.__dict__)
        raise BadArguments(f"{where} cannot be written as JSON: {error}", hint=hint) from None
    return _as_taken(model, dumped, where, by_alias=by_alias) if _is_special(type(model)) else dumped


def text_of(value: object) -> str:
    """Return a plain value as text for an address or a header."""
    if isinstance(value, _Seconds):
        return f"{'-' if value < 0 else ''}PT{abs(value):.6f}S"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _revealed(written: object, value: object, where: str) -> object:
    """Return *written*, the JSON form of *value*, with secrets in clear text: pydantic writes asterisks for them."""
    if hasattr(value, "get_secret_value"):
        return _secret(value, where)
    if isinstance(value, dict) and isinstance(written, dict) and len(value) == len(written):
        pairs = zip(written.items(), value.items(), strict=True)
        return {key: _revealed(text, item, f"{where}[{key!r}]") for (key, text), (_, item) in pairs}
    if isinstance(value, list | tuple | set | frozenset) and isinstance(written, list) and len(value) == len(written):
        return [_revealed(*pair, f"{where}[{i}]") for i, pair in enumerate(zip(written, value, strict=True))]
    return written


def _secret(value: Any, where: str) -> object:
    hidden = value.get_secret_value()
    if not isinstance(hidden, bytes):
        return plain(hidden, where)
    try:
        return hidden.decode()
    except UnicodeDecodeError:
        raise BadArguments(f"{where} has secret bytes that are not UTF-8, which are not JSON serializable") from None


class _Seconds(float):
    """A time span: a number in JSON, ISO 8601 in a URL, where pydantic does not accept a number."""


_MASK = "**********"
_special: weakref.WeakKeyDictionary[type[object], bool] = weakref.WeakKeyDictionary()


def _is_special(kind: type) -> bool:
    """True if a model, or a nested one, serializes a field under another name than it accepts, or omits one."""
    if (special := _special.get(kind)) is None:
        special = _special[kind] = any(_differs(cls) for cls in _classes_in(kind, set()))
    return special


def _classes_in(hint: object, seen: set[int]) -> Iterator[type[BaseModel]]:
    """Yield the models and pydantic dataclasses that a type consists of."""
    hint = unaliased(hint)
    if id(hint) in seen:
        return
    seen.add(id(hint))
    for part in (typing.get_origin(hint), *typing.get_args(hint)):
        if is_type_alias(part) or typing.get_args(part) or hasattr(part, "__pydantic_fields__"):
            yield from _classes_in(part, seen)
    if _has_fields(hint):
        yield hint
        for field in hint.__pydantic_fields__.values():
            yield from _classes_in(field.annotation, seen)


def _differs(kind: type[BaseModel]) -> bool:
    return _has_serializers(kind) or any(
        field.exclude
        or getattr(field, "exclude_if", None)
        or taken_name(kind, name) != (field.serialization_alias or name)
        for name, field in kind.__pydantic_fields__.items()
    )


def _has_serializers(kind: type[BaseModel]) -> bool:
    """True if user code writes a model, or a field of it."""
    decorators = getattr(kind, "__pydantic_decorators__", None)
    if decorators is not None and (decorators.model_serializers or decorators.field_serializers):
        return True
    marks = [mark for field in kind.__pydantic_fields__.values() for mark in field.metadata]
    return any(type(mark).__name__ in ("PlainSerializer", "WrapSerializer") for mark in marks)


def taken_name(kind: type[BaseModel], name: str) -> str | AliasPath:
    """Return the name by which a model accepts a field, or the path of one (``AliasPath``)."""
    alias = kind.__pydantic_fields__[name].validation_alias
    config = getattr(kind, "model_config", None) or getattr(kind, "__pydantic_config__", None) or {}
    if alias is None or config.get("validate_by_alias") is False:
        return name
    if isinstance(alias, str):
        return alias
    if config.get("validate_by_name") or config.get("populate_by_name"):
        return name
    choices = getattr(alias, "choices", [alias])
    return next((choice for choice in choices if isinstance(choice, str)), choices[0])


def _as_taken(value: object, written: object, where: str, *, by_alias: bool = True) -> object:
    """Return *written*, the JSON form of *value*, with every field that a model omits, by the names under which models accept them."""
    if isinstance(value, list | tuple | set | frozenset) and isinstance(written, list) and len(value) == len(written):
        return [
            _as_taken(item, text, f"{where}[{i}]") for i, (item, text) in enumerate(zip(value, written, strict=True))
        ]
    if isinstance(value, dict) and isinstance(written, dict) and len(value) == len(written):
        pairs = zip(value.values(), written.items(), strict=True)
        return {key: _as_taken(item, text, f"{where}[{key!r}]") for item, (key, text) in pairs}
    if not _has_fields_of_model(value):
        return written
    if _is_root_model(value):
        return _as_taken(value.root, written, where)
    kind = type(value)
    if not _has_serializers(kind):
        return _fields_of(value, written, where, by_alias=by_alias)
    decorators = getattr(kind, "__pydantic_decorators__", None)
    if decorators is None or not decorators.model_serializers:
        written = _fields_of(value, written, where, by_alias=by_alias)
    return _that_comes_back(value, written, where) if by_alias else written


def _has_fields(hint: object) -> TypeGuard[type[BaseModel]]:
    """True for the class of a model, and for that of a pydantic dataclass, whose fields are in the same attribute."""
    return isinstance(hint, type) and hasattr(hint, "__pydantic_fields__")


def _has_fields_of_model(value: object) -> TypeGuard[BaseModel]:
    return getattr(type(value), "__pydantic_fields__", None) is not None


def _is_root_model(value: object) -> TypeGuard[RootModel[object]]:
    return bool(getattr(type(value), "__pydantic_root_model__", False))


def _fields_of(value: BaseModel, written: object, where: str, *, by_alias: bool) -> object:
    """Return a model's fields by the names under which it accepts them: from *written*, or unchanged if missing there."""
    if not isinstance(written, dict):
        return written
    kind, rest = type(value), dict(written)
    fields: dict[str, object] = {}
    set_fields = getattr(value, "model_fields_set", kind.__pydantic_fields__)
    for name, field in kind.__pydantic_fields__.items():
        key, item = (field.serialization_alias or name) if by_alias else name, getattr(value, name)
        if key in rest:
            text = _as_taken(item, rest.pop(key), f"{where}.{name}")
        elif name in set_fields and not _is_at_its_address(value, name):
            text = first(item, f"{where}.{name}")
        else:
            continue
        put_at(fields, taken_name(kind, name) if by_alias else name, text, f"{where}.{name}")
    return fields | rest


def _is_at_its_address(value: object, name: str) -> bool:
    """True for the bytes of a :class:`fal.toolkit.File`, which the receiver downloads from its URL."""
    files = sys.modules.get("fal_jupyter.fal.toolkit.file.file")
    return name == "file_data" and files is not None and isinstance(value, files.File)


def _that_comes_back(value: BaseModel, written: object, where: str) -> object:
    """Return the form that a model parses back to *value*: its serialized form, or its fields unchanged."""
    forms: tuple[Callable[[], object], ...] = (lambda: written, lambda: _fields_of(value, {}, where, by_alias=True))
    valid = []
    for form in forms:
        try:
            candidate = form()
            back = _validated(type(value), dump(candidate))
        except Exception:
            continue
        try:
            if back == value:
                return candidate
        except Exception:  # comparing arrays does not give a bool
            return candidate
        valid.append(candidate)
    return valid[0] if valid else written


def _validated(kind: type, text: bytes) -> object:
    if hasattr(kind, "model_validate_json"):
        return kind.model_validate_json(text)
    from pydantic import TypeAdapter  # of a pydantic dataclass; start-up

    return TypeAdapter[object](kind).validate_json(text)


def put_at(target: dict[str, object], name: str | AliasPath, value: object, where: str) -> None:
    """Store *value* where a model reads it: under a name, or at the end of a path."""
    path = [name] if isinstance(name, str) else list(name.path)
    holder: Any = target
    for step, after in itertools.pairwise([*path, None]):
        if isinstance(step, int) and step < 0:
            raise BadArguments(f"{where} is read from the end of a list ({name}), which a call cannot address")
        if isinstance(step, int):
            holder.extend([None] * (step + 1 - len(holder)))
        if after is None:
            holder[step] = value
            return
        inner = holder[step] if isinstance(step, int) else holder.get(step)
        if inner is None:
            inner = holder[step] = [] if isinstance(after, int) else {}
        holder = inner


_TEXTS = (
    *(uuid.UUID, pathlib.PurePath, decimal.Decimal, zoneinfo.ZoneInfo),
    *(ipaddress.IPv4Address, ipaddress.IPv6Address, ipaddress.IPv4Network, ipaddress.IPv6Network),
    *(ipaddress.IPv4Interface, ipaddress.IPv6Interface),
)
_ORDERED = (collections.deque, range, collections.abc.KeysView, collections.abc.ValuesView)


def _plain_object(value: object, where: str) -> object:
    if hasattr(value, "get_secret_value") and not isinstance(value, type):
        return _secret(value, where)
    if is_model(value):
        return plain(dump_model(value, where), where)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name), f"{where}.{f.name}") for f in dataclasses.fields(value)}
    if is_array(value):
        return _listed(value, where)
    if isinstance(value, datetime.datetime | datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, datetime.timedelta):
        return _Seconds(value.total_seconds())
    if isinstance(value, _TEXTS) or hasattr(value, "unicode_string"):  # pydantic's addresses have that
        return str(value)
    if isinstance(value, bytes | bytearray | memoryview):
        return _text_in(bytes(value), where)
    if isinstance(value, re.Pattern):
        return plain(value.pattern, where)
    if isinstance(value, _ORDERED):
        return plain(list(value), where)
    kind = type(value)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    raise BadArguments(f"{where} is a {name}, which is not JSON serializable", hint=hints.for_value(value))


def _text_in(data: bytes, where: str) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        hint = "send base64 text, base64.b64encode(…).decode(), and decode it in the endpoint; or a file's address"
        raise BadArguments(
            f"{where} has bytes that are not UTF-8 text, so it is not JSON serializable", hint=hint
        ) from None


_NO_ARRAYS = frozenset({str, int, float, bool, dict, list, tuple, type(None)})


def is_array(value: object) -> bool:
    """True for a numpy array or scalar or a torch tensor, without importing either."""
    if type(value) in _NO_ARRAYS:
        return False
    numpy, torch = sys.modules.get("numpy"), sys.modules.get("torch")
    return (numpy is not None and isinstance(value, numpy.ndarray | numpy.generic)) or (
        torch is not None and isinstance(value, getattr(torch, "Tensor", ()))
    )


def _listed(array: Any, where: str) -> Any:
    kind = getattr(getattr(array, "dtype", None), "kind", "")
    try:
        if kind == "M":  # whose tolist() returns bare numbers of nanoseconds
            return sys.modules["numpy"].datetime_as_string(array).tolist()
        if kind == "m":
            array = array.astype("timedelta64[us]")
        elif kind == "f" and array.dtype.itemsize > 8:  # whose tolist() returns numpy's numbers
            array = array.astype("float64")
        listed = array.tolist()
        finite = _is_finite(array)
    except Exception as error:
        name = f"{type(array).__module__}.{type(array).__qualname__}"
        hint = (
            "send its .to_dense().tolist()"
            if getattr(array, "is_sparse", False)
            else "send its .tolist(), of numbers or text"
        )
        raise BadArguments(f"{where} is a {name} that cannot become a list: {error}", hint=hint) from None
    return listed if finite else plain(listed, where)


def _is_finite(array: Any) -> bool:
    """True when an array holds finite real numbers only, so that its items need not be checked one by one."""
    torch: Any = sys.modules.get("torch")
    if hasattr(torch, "Tensor") and isinstance(array, torch.Tensor):
        return not array.is_complex() and bool(array.isfinite().all())
    return array.dtype.kind in "iufb" and bool(sys.modules["numpy"].isfinite(array).all())
