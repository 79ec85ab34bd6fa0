"""What the real package has and this one does not have yet: one sentence each, wherever the user meets it."""

from __future__ import annotations

import dis
import sys
from types import FrameType, ModuleType
from typing import NoReturn

from fal_jupyter.domain.errors import UserError

_IMPORT_FROM = dis.opmap["IMPORT_FROM"]

LATER = {
    "apps": "the client helpers of fal.apps",
    "workflows": "fal.workflows",
    "wma": "fal.wma",
    "auth": "fal.auth",
    "config": "fal.config",
    "files": "fal.files",
}
"""Public names of the real package that are not here yet, and what they are called in a sentence."""

USED_ONLY = {"distributed": "fal.distributed"}
"""Parts that can be imported, and whose classes say that they are not here yet when one is made."""

ADVICE = (
    "everything else of `fal` that is not here needs the real package: pip install fal, then `%fal config fal real`"
)


class ComesLater(UserError, AttributeError):
    """A part of ``fal`` that a later version of ``fal_jupyter`` brings."""

    status = 501


def sentence_for(name: str) -> str:
    """Say that the public name *name* of the real package comes later."""
    known = LATER | USED_ONLY
    return f"fal_jupyter does not have {known[name]} yet" if name in known else f"fal_jupyter does not have fal.{name}"


def refuse(module: str, name: str, caller: FrameType) -> NoReturn:
    """Say that *module* of ``fal`` has no *name*. *caller* is the frame that asked.

    ``from module import name`` throws the text of an ``AttributeError`` away, so there it is an ``ImportError``.

    Raises:
        ImportError: the caller imports the name.
        ComesLater: the caller reads the attribute.
        AttributeError: it is a name of Python's own protocols.
    """
    if name.startswith("__"):
        raise AttributeError(f"module {module!r} has no attribute {name!r}")
    sentence = sentence_for(f"{module.partition('.')[2]}.{name}".lstrip("."))
    if caller.f_lasti >= 0 and caller.f_code.co_code[caller.f_lasti] == _IMPORT_FROM:
        raise ImportError(sentence, name=module)
    raise ComesLater(sentence)


def explain_missing(module: ModuleType, name: str) -> None:
    """Let *module*, which is imported as *name* (``fal.sdk``), say in a sentence what it does not have, modules below it too."""
    vars(module).setdefault("__getattr__", lambda attribute: refuse(name, attribute, sys._getframe(1)))
    vars(module).setdefault("__path__", [])
