"""What the real package has and this one does not have yet: one sentence each, wherever the user meets it."""

from __future__ import annotations

import dis
import sys
from types import FrameType, ModuleType
from typing import Any, NoReturn

from fal_jupyter.domain.errors import UserError

_IMPORT_FROM = dis.opmap["IMPORT_FROM"]

LATER = {
    "workflows": "fal.workflows",
    "wma": "fal.wma",
    "auth": "fal.auth",
    "config": "fal.config",
    "files": "fal.files",
}
"""Modules of the real package that are not here yet, and what they are called in a sentence: they and their names can be imported."""

USED_ONLY = {"distributed": "fal.distributed", **LATER}
"""Parts that can be imported, and say that they are not here yet when they are used."""

ADVICE = (
    "everything else of `fal` that is not here needs the real package: pip install fal, then `%fal config fal real`"
)


class ComesLater(UserError, AttributeError):
    """A part of ``fal`` that a later version of ``fal_jupyter`` brings."""

    status = 501


def sentence_for(name: str) -> str:
    """Say that the public name *name* of the real package comes later."""
    if name.partition(".")[0] in USED_ONLY:
        return f"fal_jupyter does not have {USED_ONLY.get(name, f'fal.{name}')} yet"
    return f"fal_jupyter does not have fal.{name}"


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


class _Absent(type):
    """Makes the names of a :class:`Part`: each can be imported, annotated with and inherited from, and says at any other use that it is not here."""

    def __call__(cls, *_: Any, **__: Any) -> NoReturn:
        raise ComesLater(_sentence_of(cls))

    def __getattr__(cls, name: str) -> NoReturn:
        if name.startswith("__"):
            raise AttributeError(name)
        raise ComesLater(_sentence_of(cls))


def _sentence_of(cls: type) -> str:
    part = next(base for base in cls.__mro__ if isinstance(sys.modules.get(base.__module__), Part))
    return sentence_for(f"{part.__module__.partition('.')[2]}.{part.__name__}")


class Part(ModuleType):
    """A module of :data:`LATER`, or one below it, for files that import it at their top."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        kind = Exception if name.endswith(("Error", "Exception")) else object  # to stand behind "except"
        absent = _Absent(name, (kind,), {"__module__": self.__name__})
        setattr(self, name, absent)
        return absent


def explain_missing(module: ModuleType, name: str) -> None:
    """Let *module*, which is imported as *name* (``fal.sdk``), say in a sentence what it does not have, modules below it too."""
    vars(module).setdefault("__getattr__", lambda attribute: refuse(name, attribute, sys._getframe(1)))
    vars(module).setdefault("__path__", [])
