"""Routing hints of a runner (``provide_hints()``; fal: "Optimize Routing Behavior")."""

from __future__ import annotations

from typing import Final

MOST_HINTS: Final = 100


def hints_of(header: str) -> frozenset[str]:
    """Read a runner's hints, separated by commas; those beyond :data:`MOST_HINTS` are ignored."""
    return frozenset(hint for hint in header.split(",")[:MOST_HINTS] if hint)
