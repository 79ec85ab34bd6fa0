"""Which classes of the user's are apps."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from fal_jupyter.fal import App
from fal_jupyter.fal.classes.routes import endpoints_of

if TYPE_CHECKING:
    pass


def apps_among(classes: Sequence[type]) -> list[type]:
    """Give the apps among *classes*: not those that only serve as a base of another one and have no endpoint."""
    real = getattr(sys.modules.get("fal"), "App", App)
    apps = [cls for cls in classes if issubclass(cls, (App, real))]
    return [
        cls
        for cls in apps
        if endpoints_of(cls) or not any(other is not cls and issubclass(other, cls) for other in apps)
    ]
