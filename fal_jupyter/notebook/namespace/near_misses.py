"""The endpoint that was meant by a name that an app class does not have: ``Shop.prise`` → ``did you mean Shop.price?``.

A class of the user's has no metaclass of ours, as in the real package, so that the error is Python's own; the hint follows it.
"""

from __future__ import annotations

from fal_jupyter.domain.text.nearest import nearest
from fal_jupyter.fal.classes.routes import endpoints_of
from fal_jupyter.notebook.namespace.app_classes import apps_among


def meant(error: object) -> str:
    """Give the hint for an error that ended a cell, or ``""`` where it is about something else."""
    if not isinstance(error, AttributeError):
        return ""
    cls, name = getattr(error, "obj", None), getattr(error, "name", None)
    if not isinstance(cls, type) or not isinstance(name, str) or name.startswith("_"):
        return ""
    if not apps_among([cls]):
        return ""

    endpoints = list(endpoints_of(cls))
    near = nearest(name, [*endpoints, *(word for word in dir(cls) if not word.startswith("_"))])
    if near:
        return f"did you mean {cls.__name__}.{near}?"
    return f"{cls.__name__} has the endpoints: {', '.join(endpoints)}" if endpoints else ""
