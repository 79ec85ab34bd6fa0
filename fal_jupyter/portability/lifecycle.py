"""Checks the methods that a runner calls by itself for differences to fal."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence

from fal_jupyter.fal.app import App
from fal_jupyter.portability.code import Piece
from fal_jupyter.portability.findings import Finding
from fal_jupyter.portability.options import line_of
from fal_jupyter.portability.surroundings import Surroundings


def lifecycle_findings(cls: type[App], pieces: Sequence[Piece], surroundings: Surroundings) -> Iterator[Finding]:
    """Report a ``handle_exit`` that never runs in the cloud; async ``setup`` and ``teardown`` are awaited there (C21, C23)."""
    if inspect.iscoroutinefunction(getattr(cls, "handle_exit", None)):
        message = "handle_exit() is async: fal calls it and never awaits it, so that nothing of it runs in the cloud; here it is awaited"
        location = line_of(cls, pieces, "handle_exit")
        yield surroundings.finding(
            "async-handle-exit",
            "differs",
            location,
            message,
            "def handle_exit(self), and what has to be awaited in teardown()",
        )
