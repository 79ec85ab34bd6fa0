"""The repositories by the modules that have them in the real package."""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn


def refuses(module: str) -> Callable[[str], NoReturn]:
    """Return a module's ``__getattr__`` that raises one sentence about a missing name."""

    def missing(name: str) -> NoReturn:
        if name.startswith("__"):
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        raise ImportError(
            f"fal_jupyter does not have {name} of {module}: files are kept by the repositories of this machine"
        )

    return missing
