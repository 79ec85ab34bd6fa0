"""``fal.api``: the names of it that user code imports."""

from __future__ import annotations

from fal_jupyter.fal.app import App
from fal_jupyter.fal.classes.function import SERVE_REQUIREMENTS, IsolatedFunction, Options, cached, function
from fal_jupyter.fal.classes.routes import RouteSignature
from fal_jupyter.fal.container import ContainerImage
from fal_jupyter.fal.exceptions import FalServerlessException
from fal_jupyter.fal.hosts import FalMissingDependencyError, FalServerlessError, FalServerlessHost, Host, LocalHost
from fal_jupyter.fal.sdk import HealthCheck

__all__ = [
    "SERVE_REQUIREMENTS",
    "App",
    "ContainerImage",
    "FalMissingDependencyError",
    "FalServerlessError",
    "FalServerlessException",
    "FalServerlessHost",
    "HealthCheck",
    "Host",
    "IsolatedFunction",
    "LocalHost",
    "Options",
    "RouteSignature",
    "cached",
    "function",
]
