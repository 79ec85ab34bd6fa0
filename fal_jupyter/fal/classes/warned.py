"""Warnings that point at the user's own line, each time that it runs.

A plain ``warnings.warn`` is shown once per text and line of a module: in a notebook, where all cells are one module,
the second run of a cell would be silent.
"""

from __future__ import annotations

import sys
import warnings
from types import FrameType

_PACKAGE = __name__.removesuffix(".classes.warned")


class AppWarning(UserWarning):
    """Something in an app's class that works, but hardly as meant."""


class MisspeltOption(AppWarning):
    """A class attribute or keyword that is almost the name of an option."""


def warn_user(message: str, category: type[Warning] = AppWarning) -> None:
    """Warn with *message* at the first frame outside of this package."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and str(frame.f_globals.get("__name__", "")).startswith(_PACKAGE):
        frame = frame.f_back
    if frame is None:
        warnings.warn(message, category, stacklevel=2)
        return
    warnings.warn_explicit(
        message, category, frame.f_code.co_filename, frame.f_lineno, frame.f_globals.get("__name__", "<unknown>")
    )
