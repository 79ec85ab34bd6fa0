"""The drop-in: what ``import fal`` gives in a notebook and in a runner, with the real package's import shape.

An independent implementation of the documented class; nothing of fal's own package is in it. The same source
deploys with the real package unchanged.
"""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.util
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType

from fal_jupyter.fal.app import App, MisspeltOption, ServingWarning
from fal_jupyter.fal.endpoint import Endpoint, HealthCheck, RemoteEndpoint, RouteSignature, endpoint

__version__ = "1.83.0"  # the release of the real package whose rules are mirrored
__all__ = ["App", "HealthCheck", "endpoint"]

_LATER = {
    "realtime": "realtime endpoints", "function": "fal.function", "cached": "fal.cached", "isolated": "fal.function",
    "toolkit": "fal.toolkit", "ContainerImage": "container images", "distributed": "fal.distributed",
    "wrap_app": "fal.wrap_app", "sync_dir": "fal.sync_dir", "exceptions": "fal.exceptions",
}  # fmt: skip


def __getattr__(name: str) -> object:
    if name in _LATER:
        raise AttributeError(
            f"{_LATER[name]} is not part of fal_jupyter's drop-in yet; endpoints, models and plain parameters are. "
            "Choose the real package with `pip install fal` and `%fal config fal real` if you need it."
        )
    raise AttributeError(f"module 'fal' has no attribute {name!r}")


class _Alias(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds ``fal.x`` as ``fal_jupyter.fal.x``: the same module object under both names."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if not name.startswith("fal.") or sys.modules.get("fal") is not sys.modules[__name__]:
            return None
        own = f"{__name__}.{name.removeprefix('fal.')}"
        try:
            known = importlib.util.find_spec(own)
        except ModuleNotFoundError:
            known = None
        if known is None:
            part = name.split(".")[1]
            if part in _LATER:
                raise ModuleNotFoundError(f"{_LATER[part]} is not part of fal_jupyter's drop-in yet", name=name)
            return None
        return importlib.util.spec_from_loader(name, self)

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return importlib.import_module(f"{__name__}.{spec.name.removeprefix('fal.')}")

    def exec_module(self, module: ModuleType) -> None:
        """It has been executed under its own name."""


_alias = _Alias()


def install(*, prefer_real: bool = False) -> ModuleType:
    """Make ``import fal`` give this drop-in; gives the module that ``fal`` is now.

    The real package stays when it was imported before, or is wanted (*prefer_real*) and there.
    """
    present = sys.modules.get("fal")
    if present is not None and present is not sys.modules[__name__]:
        return present
    if prefer_real:
        uninstall()
        if importlib.util.find_spec("fal") is not None:
            return importlib.import_module("fal")
    sys.modules["fal"] = sys.modules[__name__]
    if _alias not in sys.meta_path:
        sys.meta_path.insert(0, _alias)
    return sys.modules[__name__]


def uninstall() -> None:
    """Undo :func:`install`."""
    if _alias in sys.meta_path:
        sys.meta_path.remove(_alias)
    if sys.modules.get("fal") is sys.modules[__name__]:
        for name in [n for n in sys.modules if n == "fal" or n.startswith("fal.")]:
            del sys.modules[name]


_ = (Endpoint, MisspeltOption, RemoteEndpoint, RouteSignature, ServingWarning)
