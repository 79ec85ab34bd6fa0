"""``fal.ref``: the app of this process, known as soon as its runner has made it (docs/contract.md, C33)."""

from __future__ import annotations

from typing import Any

_current_app: Any = None


def get_current_app() -> Any:
    """Return the app instance of this runner, or None if there is none."""
    return _current_app


def set_current_app(app: Any) -> None:
    """Say which one it is.

    Raises:
        AssertionError: it has been said before.
    """
    global _current_app
    assert _current_app is None, "current_app is already set"
    _current_app = app
