"""How the command line reads the values of options: numbers, times, origins.

Each function raises ``argparse.ArgumentTypeError`` with a sentence that says what the value has to be.
"""

from __future__ import annotations

import argparse

from fal_jupyter.domain.access.cors import origin_of
from fal_jupyter.domain.errors import BadSetting


def whole(text: str) -> int:
    """Read a whole number, 0 or more."""
    if not (text.isascii() and text.isdigit()):
        raise argparse.ArgumentTypeError(f"it is a whole number, 0 or more, not {text!r}")
    return int(text)


def seconds(text: str) -> float:
    """Read a number of seconds, 0 or more; whole ones stay whole."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"it is a number of seconds, 0 or more, not {text!r}")
    return int(value) if value.is_integer() else value


def age(text: str) -> float:
    """Read an age: seconds, or a number with ``m``, ``h`` or ``d``."""
    unit = {"s": 1, "m": 60, "h": 3600, "d": 86400}.get(text[-1:].lower(), 0)
    try:
        return float(seconds(text[:-1] if unit else text)) * (unit or 1)
    except argparse.ArgumentTypeError:
        raise argparse.ArgumentTypeError(f"it is an age such as 7d, 12h, 30m or 90 (seconds), not {text!r}") from None


def origin(text: str) -> str:
    """Read an origin of web pages."""
    try:
        return origin_of(text)
    except BadSetting as error:
        raise argparse.ArgumentTypeError(f"{error.message}; {error.hint}") from None
