"""A clean-room ``fal``: the import shape and the class rules of the real package, for apps that run on this machine.

Put under the name ``fal`` by :func:`install`; ``import fal`` then gives this very module.
"""

from __future__ import annotations

import importlib
import sys
from typing import Any

from fal_jupyter.fal.app import App
from fal_jupyter.fal.app import describe as describe
from fal_jupyter.fal.billing import BillingComponents, BillingDeclaration
from fal_jupyter.fal.classes.endpoints import endpoint
from fal_jupyter.fal.classes.function import cached, function, wrap_app
from fal_jupyter.fal.classes.function import function as isolated
from fal_jupyter.fal.classes.remote import bind as bind
from fal_jupyter.fal.classes.remote import bind_refusal as bind_refusal
from fal_jupyter.fal.classes.remote import handle_of as handle_of
from fal_jupyter.fal.classes.remote import refusal_of as refusal_of
from fal_jupyter.fal.classes.remote import unbind as unbind
from fal_jupyter.fal.classes.warned import AppWarning, MisspeltOption
from fal_jupyter.fal.container import ContainerImage
from fal_jupyter.fal.context import RequestContext
from fal_jupyter.fal.hosts import FalServerlessHost, FalServerlessKeyCredentials, LocalHost
from fal_jupyter.fal.import_hook import install as install
from fal_jupyter.fal.import_hook import is_installed as is_installed
from fal_jupyter.fal.import_hook import uninstall as uninstall
from fal_jupyter.fal.realtime import realtime
from fal_jupyter.fal.sdk import HealthCheck
from fal_jupyter.fal.unsupported import LATER, explain_missing, refuse

__all__ = [
    "App",
    "AppWarning",
    "BillingComponents",
    "BillingDeclaration",
    "ContainerImage",
    "FalServerlessHost",
    "FalServerlessKeyCredentials",
    "HealthCheck",
    "LocalHost",
    "MisspeltOption",
    "RequestContext",
    "__version__",
    "cached",
    "cloud",
    "endpoint",
    "function",
    "isolated",
    "local",
    "realtime",
    "serverless",
    "version_tuple",
    "wrap_app",
]

__version__ = "1.83.0+fal.jupyter"
"""The version of the real package whose behaviour this follows."""

version_tuple = (1, 83, 0)

local = LocalHost()
serverless = cloud = FalServerlessHost()


def __getattr__(name: str) -> Any:
    if name in ("check_requirements", "unknown_requirements"):
        from fal_jupyter.fal.classes import requirements  # start-up

        return getattr(requirements, name)
    if name in ("is_served", "served_app"):
        from fal_jupyter.fal import served  # start-up

        return getattr(served, name)
    if name == "sync_dir":
        from fal_jupyter.fal.sync import sync_dir  # start-up

        return sync_dir
    if name in ("api", "apps", "flags", "toolkit"):  # what takes a while, when it is asked for
        module = importlib.import_module(f"fal_jupyter.fal.{name}")
        explain_missing(module, f"fal.{name}")
        return module
    if name in LATER and is_installed():
        return importlib.import_module(f"fal.{name}")
    return refuse("fal", name, sys._getframe(1))
