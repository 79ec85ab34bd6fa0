"""Frozen records rebuilt from decoded JSON that another process wrote, possibly an older or newer version of this package."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields, is_dataclass
from typing import TypeVar

T = TypeVar("T")


def rebuilt(record: Callable[..., T], data: object, **nested: object) -> T:
    """Create an instance of *record*, a dataclass, from the members of *data* that are its fields.

    Args:
        nested: fields that were read already.

    Raises:
        TypeError: *data* is not a JSON object, or a field without a default is missing.
    """
    names = _field_names(record)
    return record(**{name: value for name, value in members(data).items() if name in names} | nested)


def _field_names(record: object) -> set[str]:
    assert is_dataclass(record)
    return {field.name for field in fields(record)}


def members(data: object) -> Mapping[str, object]:
    """Return *data* as a JSON object.

    Raises:
        TypeError: it is not one.
    """
    if not isinstance(data, Mapping):
        raise TypeError(f"expected a JSON object, got {type(data).__name__}")
    return data


def elements(data: object) -> Iterable[object]:
    """Return *data* as a JSON array.

    Raises:
        TypeError: it is not one.
    """
    if not isinstance(data, list | tuple):
        raise TypeError(f"expected a JSON array, got {type(data).__name__}")
    return data


def texts(data: object) -> tuple[str, ...]:
    """Return *data* as the strings of a JSON array.

    Raises:
        TypeError: it is not one of strings.
    """
    values = tuple(elements(data))
    strings = tuple(value for value in values if isinstance(value, str))
    if len(strings) < len(values):
        raise TypeError("expected a JSON array of strings")
    return strings
