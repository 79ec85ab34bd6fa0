"""Parsers of option values: numbers, durations, origins.

Each function raises ``argparse.ArgumentTypeError`` with a sentence that says what is expected.
"""

from __future__ import annotations

import argparse

from fal_jupyter.domain.access.cors import origin_of
from fal_jupyter.domain.errors import BadSetting


def whole(text: str) -> int:
    """Parse a non-negative integer."""
    if not (text.isascii() and text.isdigit()):
        raise argparse.ArgumentTypeError(f"expected a non-negative integer, got {text!r}")
    return int(text)


def seconds(text: str) -> float:
    """Parse a non-negative number of seconds; integral values become ``int``."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"expected a non-negative number of seconds, got {text!r}")
    return int(value) if value.is_integer() else value


def age(text: str) -> float:
    """Parse an age in seconds, or with the unit ``m``, ``h`` or ``d``."""
    unit = {"s": 1, "m": 60, "h": 3600, "d": 86400}.get(text[-1:].lower(), 0)
    try:
        return float(seconds(text[:-1] if unit else text)) * (unit or 1)
    except argparse.ArgumentTypeError:
        raise argparse.ArgumentTypeError(
            f"expected an age such as 7d, 12h, 30m or 90 (seconds), got {text!r}"
        ) from None


def origin(text: str) -> str:
    """Parse a web origin."""
    try:
        return origin_of(text)
    except BadSetting as error:
        raise argparse.ArgumentTypeError(f"{error.message}; {error.hint}") from None
