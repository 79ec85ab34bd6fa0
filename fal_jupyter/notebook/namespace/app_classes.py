"""Selects the app classes among a user's classes."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TypeGuard

from fal_jupyter.fal import App
from fal_jupyter.fal.classes.routes import endpoints_of


def is_class(value: object) -> TypeGuard[type]:
    """Whether *value* is a class, whatever it says of its own class."""
    return issubclass(type(value), type)


def apps_among(classes: Sequence[type]) -> list[type[App]]:
    """Return the app classes among *classes*, except base classes without endpoints."""
    real = getattr(sys.modules.get("fal"), "App", App)
    apps = [cls for cls in classes if issubclass(cls, (App, real))]
    return [
        cls
        for cls in apps
        if endpoints_of(cls) or not any(other is not cls and issubclass(other, cls) for other in apps)
    ]
