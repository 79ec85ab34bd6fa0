"""Suggests an endpoint for a misspelt attribute of an app class: ``Shop.prise`` → ``did you mean Shop.price?``.

As in the real package, app classes have no metaclass, so the error is Python's own; the hint is printed after it.
"""

from __future__ import annotations

from fal_jupyter.domain.text.nearest import nearest
from fal_jupyter.fal.classes.routes import endpoints_of
from fal_jupyter.notebook.namespace.app_classes import apps_among


def near_miss_hint(error: object) -> str:
    """Return the hint for an error that ended a cell, or ``""`` if there is none."""
    if not isinstance(error, AttributeError):
        return ""
    cls, name = getattr(error, "obj", None), getattr(error, "name", None)
    if not isinstance(cls, type) or not isinstance(name, str) or name.startswith("_"):
        return ""
    if not apps_among([cls]):
        return ""

    endpoints = list(endpoints_of(cls))
    suggestion = nearest(name, [*endpoints, *(word for word in dir(cls) if not word.startswith("_"))])
    if suggestion:
        return f"did you mean {cls.__name__}.{suggestion}?"
    return f"{cls.__name__} has the endpoints: {', '.join(endpoints)}" if endpoints else ""
