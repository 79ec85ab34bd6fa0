"""Run ``fal.App`` classes from a notebook cell, on your own machine.

Everything here is resolved when it is first used (PEP 562), so that ``import fal_jupyter`` costs nothing.
"""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import TYPE_CHECKING, Final

from fal_jupyter import gateway_offer

if TYPE_CHECKING:
    from fal_jupyter import fal
    from fal_jupyter.domain.errors import (
        AppError,
        AppRuleBroken,
        AppTaken,
        BadArguments,
        BadSetting,
        FalJupyterError,
        GatewayError,
        GatewayUnreachable,
        NoSuchMachine,
        NotPicklable,
        NotServed,
        PortTaken,
        RequestError,
        SetupFailed,
        StateRefused,
        UserError,
        VersionSkew,
    )
    from fal_jupyter.notebook import load_ipython_extension, unload_ipython_extension
    from fal_jupyter.notebook.cells.clients import fal_client, fal_client_async, redirect_fal_client
    from fal_jupyter.notebook.cells.serving import app, serve
    from fal_jupyter.notebook.panels import dashboard, panel, widget

    __version__: str

__all__ = [
    "AppError",
    "AppRuleBroken",
    "AppTaken",
    "BadArguments",
    "BadSetting",
    "FalJupyterError",
    "GatewayError",
    "GatewayUnreachable",
    "NoSuchMachine",
    "NotPicklable",
    "NotServed",
    "PortTaken",
    "RequestError",
    "SetupFailed",
    "StateRefused",
    "UserError",
    "VersionSkew",
    "__version__",
    "app",
    "dashboard",
    "fal",
    "fal_client",
    "fal_client_async",
    "load_ipython_extension",
    "panel",
    "redirect_fal_client",
    "serve",
    "unload_ipython_extension",
    "widget",
]

_HOMES: Final = {
    "app": "fal_jupyter.notebook.cells.serving",
    "dashboard": "fal_jupyter.notebook.panels",
    "fal_client": "fal_jupyter.notebook.cells.clients",
    "fal_client_async": "fal_jupyter.notebook.cells.clients",
    "panel": "fal_jupyter.notebook.panels",
    "redirect_fal_client": "fal_jupyter.notebook.cells.clients",
    "serve": "fal_jupyter.notebook.cells.serving",
    "widget": "fal_jupyter.notebook.panels",
    "load_ipython_extension": "fal_jupyter.notebook",
    "unload_ipython_extension": "fal_jupyter.notebook",
}


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module 'fal_jupyter' has no attribute {name!r}")
    if name == "fal":
        return importlib.import_module("fal_jupyter.fal")
    value = _version() if name == "__version__" else getattr(_home(name), name)
    globals()[name] = value
    return value


def _home(name: str) -> ModuleType:
    return importlib.import_module(_HOMES.get(name, "fal_jupyter.domain.errors"))


def _reach() -> tuple[str, str]:
    client = importlib.import_module("fal_jupyter.notebook.session").current_session().client
    return client.base, client.key


def _serve_quietly(cls: type) -> gateway_offer.ServedApp:
    handle: gateway_offer.ServedApp = _home("serve").serve(cls, quiet=True)
    return handle


gateway_offer.offer(gateway_offer.GatewayOffer(_reach, _serve_quietly))


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version  # start-up

    try:
        return version("fal_jupyter")
    except PackageNotFoundError:  # run from a source tree that is not installed
        return "0+unknown"


def _jupyter_server_extension_points() -> list[dict[str, object]]:
    """Tell Jupyter Server where the extension is; only then is it imported."""
    from fal_jupyter.server.extension import extension_points  # start-up

    return extension_points()


def __dir__() -> list[str]:
    return sorted(__all__)
