"""Uploads of ``fal_client`` in a runner go to the local CDN where its calls go to the gateway.

Their addresses follow no variable (wire-protocol W1): the module's two names are set when it is imported (W12).
"""

from __future__ import annotations

import importlib.machinery
import os
import sys
from collections.abc import Sequence
from types import ModuleType

from fal_jupyter.domain.runner_variables import LOCAL_KEY
from fal_jupyter.settings import CDN_VARIABLE

_MODULE = "fal_client.client"


def redirect() -> None:
    """Set the names as soon as the module is imported; nothing is imported for it now."""
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())


class _Finder:
    """Finds one module where it is, and completes it after its import."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname != _MODULE:
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        if spec is not None and isinstance(spec.loader, importlib.machinery.SourceFileLoader):
            spec.loader = _Loader(spec.loader.name, spec.loader.path)
        return spec


class _Loader(importlib.machinery.SourceFileLoader):
    def exec_module(self, module: ModuleType) -> None:
        super().exec_module(module)
        cdn = os.environ.get(CDN_VARIABLE, "")
        if cdn and os.environ.get("FAL_KEY", "").startswith(LOCAL_KEY):
            vars(module).update(CDN_URL=cdn, REST_URL=f"{cdn.removesuffix('/cdn')}/rest")
