"""How a value that JSON cannot hold becomes one that it can: a hint, made of the value's class alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

PICTURE: Final = "fal.toolkit.Image.from_pil(picture)"
_METHODS: Final = ("tolist", "to_list", "to_dicts", "to_pylist", "to_dict")
_EXACT: Final = 2**53  # beyond it a page's numbers have gaps


def json_form(kind: type) -> str:
    """Return what to send or return instead of an instance of *kind* (``its .tolist()``), or ``""`` where nobody knows."""
    package = kind.__module__.partition(".")[0]
    if package == "PIL":
        return PICTURE
    if package == "pandas" and hasattr(kind, "columns"):
        return "its .to_dict('records')"
    method = next((name for name in _METHODS if callable(getattr(kind, name, None))), "")
    return f"its .{method}()" if method else ""


def as_a_page_writes(value: object) -> object:
    """Return plain data with whole floats as integers, as a page writes them: a notebook that is saved there keeps its text."""
    if isinstance(value, float) and value.is_integer() and abs(value) <= _EXACT:
        return int(value)
    if isinstance(value, Mapping):
        return {key: as_a_page_writes(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [as_a_page_writes(item) for item in value]
    return value
