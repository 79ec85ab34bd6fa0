"""How a value that JSON cannot hold becomes one that it can: a hint, made of the value's class alone."""

from __future__ import annotations

from typing import Final

PICTURE: Final = "fal.toolkit.Image.from_pil(…) of it, which is the address of a file"
_METHODS: Final = ("tolist", "to_list", "to_dicts", "to_pylist", "to_dict")


def json_form(kind: type) -> str:
    """Give what to send or return instead of an instance of *kind* (``.tolist() of it``), or ``""`` where nobody knows."""
    package = kind.__module__.partition(".")[0]
    if package == "PIL":
        return PICTURE
    if package == "pandas" and hasattr(kind, "columns"):
        return ".to_dict('records') of it"
    method = next((name for name in _METHODS if callable(getattr(kind, name, None))), "")
    return f".{method}() of it" if method else ""
