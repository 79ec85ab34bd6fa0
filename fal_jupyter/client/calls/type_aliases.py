"""Resolves type aliases."""

from __future__ import annotations

from typing import Protocol, TypeGuard

_MAX_ALIASES = 100  # FastAPI refuses an alias of itself


class _TypeAlias(Protocol):
    __value__: object


def is_type_alias(hint: object) -> TypeGuard[_TypeAlias]:
    """True for ``type X = …`` and ``TypeAliasType``, of the standard library or of typing_extensions."""
    return type(hint).__name__ == "TypeAliasType"


def unaliased(hint: object) -> object:
    """Return what an alias means, as FastAPI reads it; anything else as it is."""
    for _ in range(_MAX_ALIASES):
        if not is_type_alias(hint):
            break
        hint = hint.__value__
    return hint
