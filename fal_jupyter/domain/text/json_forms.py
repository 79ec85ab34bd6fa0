"""Hints for converting values that JSON cannot hold, based on the value's class, and text that every JSON parser reads."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Final

PICTURE: Final = "fal.toolkit.Image.from_pil(picture)"
_METHODS: Final = ("tolist", "to_list", "to_dicts", "to_pylist", "to_dict")
_EXACT: Final = 2**53  # beyond it JavaScript's numbers are inexact
_HALF_ESCAPED: Final = re.compile(  # a lone surrogate, not one of a pair, in text without escaped backslashes
    r"\\u[dD](?:[89abAB]..(?!\\u[dD][c-fC-F])|(?<!\\u[dD][89abAB]..\\u[dD])[c-fC-F]..)"
)


def json_form(kind: type) -> str:
    """Return what to send or return instead of an instance of *kind* (``its .tolist()``), or ``""`` if unknown."""
    package = kind.__module__.partition(".")[0]
    if package == "PIL":
        return PICTURE
    if package == "pandas" and hasattr(kind, "columns"):
        return "its .to_dict('records')"
    method = next((name for name in _METHODS if callable(getattr(kind, name, None))), "")
    return f"its .{method}()" if method else ""


def as_a_page_writes(value: object) -> object:
    """Return plain data as it can be saved in a notebook, and as a page saves it again unchanged.

    Integral floats become integers, as JavaScript writes them, and text has no lone surrogates (:func:`whole_text`).
    """
    if isinstance(value, str):
        return whole_text(value)
    if isinstance(value, float) and value.is_integer() and abs(value) <= _EXACT:
        return int(value)
    if isinstance(value, Mapping):
        return {as_a_page_writes(key): as_a_page_writes(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [as_a_page_writes(item) for item in value]
    return value


def whole_text(text: str) -> str:
    """Return text without lone surrogates, which UTF-8 cannot hold: U+FFFD stands in their place; pairs become one character."""
    if text.isascii():
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def encode_json(value: object) -> bytes:
    """Encode plain data as ASCII JSON that every parser reads: strict ones refuse a lone surrogate (:func:`whole_text`).

    Raises:
        ValueError: it has NaN or an infinite number.
        RecursionError: it is nested too deeply.
    """
    return whole_json(json.dumps(value, separators=(",", ":"), allow_nan=False)).encode()


def whole_json(text: str) -> str:
    """Return JSON text without lone surrogates (:func:`whole_text`), written as characters or as escapes."""
    text = whole_text(text)
    if "\\u" in text and _HALF_ESCAPED.search(text.replace("\\\\", "//")):
        # an escaped backslash is spelled otherwise, so that what follows it does not look like an escape
        text = _HALF_ESCAPED.sub(r"\\ufffd", text.replace("\\\\", r"\u005c"))
    return text
