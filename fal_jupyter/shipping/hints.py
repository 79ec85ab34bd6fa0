"""Annotations that are looked up one by one, where those of a whole definition cannot be."""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping


def hints_one_by_one(definition: object, names: Mapping[str, object]) -> dict[str, object]:
    """Give the annotations of *definition*, each looked up among *names*; as it is written where it cannot be found."""
    return {name: _looked_up(hint, names) for name, hint in getattr(definition, "__annotations__", {}).items()}


def _looked_up(hint: object, names: Mapping[str, object]) -> object:
    alone = types.SimpleNamespace(__annotations__={"hint": hint}, __globals__=names)
    try:
        return typing.get_type_hints(alone, include_extras=True)["hint"]
    except Exception:
        return hint
