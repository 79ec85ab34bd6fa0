"""What the command line writes to a terminal."""

from __future__ import annotations

from fal_jupyter.domain.errors import FalJupyterError

PROGRAM = "fal-jupyter"


def sentence(error: FalJupyterError) -> str:
    """Give the sentence of an error, which begins with the program's name, or with the command that it is about."""
    return str(error) if error.where.startswith(PROGRAM) else f"{PROGRAM}: {error}"
