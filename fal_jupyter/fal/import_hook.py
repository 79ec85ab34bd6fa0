"""Puts this package where user code looks for ``fal``: ``import fal`` gives it, and ``fal.x`` its parts."""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import sys
from collections.abc import Sequence
from types import ModuleType

from fal_jupyter.fal.unsupported import LATER, REST_CLIENT, Part, explain_missing, sentence_for

PACKAGE = __name__.rpartition(".")[0]
_NAME = "fal"


class _Loader(importlib.abc.Loader):
    """Returns the module that is already there (or imports it) under its other name."""

    def __init__(self, target: str, name: str) -> None:
        self._target, self._name = target, name
        self._spec: importlib.machinery.ModuleSpec | None = None

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        module = importlib.import_module(self._target)
        self._spec = module.__spec__
        explain_missing(module, self._name)
        return module

    def exec_module(self, module: ModuleType) -> None:
        module.__spec__ = self._spec  # the machinery has just put the other name's there


class _PartLoader(importlib.abc.Loader):
    """Makes a module that is not here yet."""

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        return Part(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        pass


class _Finder:
    """Finds ``fal`` and ``fal.x`` in this package."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        top, _, rest = fullname.partition(".")
        if top not in (_NAME, REST_CLIENT) or (top == REST_CLIENT and _is_installed_beside()):
            return None
        if rest.rpartition(".")[2].startswith(
            "_"
        ):  # a name, of which "from … import" asks first whether it is a module
            raise ModuleNotFoundError(sentence_for(rest), name=fullname)
        if top == REST_CLIENT or any(rest == part or rest.startswith(f"{part}.") for part in LATER):
            return importlib.util.spec_from_loader(fullname, _PartLoader(), is_package=True)
        own_name = PACKAGE + fullname[len(_NAME) :]
        if importlib.util.find_spec(own_name) is None:
            raise ModuleNotFoundError(sentence_for(fullname[len(_NAME) + 1 :]), name=fullname)
        return importlib.util.spec_from_loader(fullname, _Loader(own_name, fullname))


def _is_installed_beside() -> bool:
    """Tell whether the real package's client of the REST API is here."""
    spec = importlib.machinery.PathFinder.find_spec(REST_CLIENT)
    return spec is not None and spec.origin is not None


_finder = _Finder()


def is_installed() -> bool:
    """Tell whether ``import fal`` gives this package."""
    return sys.modules.get(_NAME) is sys.modules[PACKAGE]


def install(*, prefer_real: bool = False) -> ModuleType:
    """Let ``import fal`` give this package; return what it gives now.

    The real package stays where it is if it was imported already, or if *prefer_real* is asked and it is installed.
    """
    present = sys.modules.get(_NAME)
    if present is not None and present is not sys.modules[PACKAGE]:
        return present
    if prefer_real:
        uninstall()
        try:
            return importlib.import_module(_NAME)
        except ModuleNotFoundError as error:
            if error.name != _NAME:
                raise
    if _finder not in sys.meta_path:
        sys.meta_path.insert(0, _finder)
    sys.modules[_NAME] = sys.modules[PACKAGE]
    for name, module in sys.modules.copy().items():
        if name.startswith(f"{PACKAGE}."):
            explain_missing(module, _NAME + name[len(PACKAGE) :])
    return sys.modules[PACKAGE]


def uninstall() -> None:
    """Remove this package from ``sys.modules``; a real ``fal`` stays."""
    if _finder in sys.meta_path:
        sys.meta_path.remove(_finder)
    for name, module in sys.modules.copy().items():
        if name.split(".")[0] in (_NAME, REST_CLIENT) and (
            isinstance(module, Part) or getattr(module, "__name__", "").startswith(PACKAGE)
        ):
            del sys.modules[name]
