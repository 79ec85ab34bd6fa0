"""What the command line writes to a terminal: nothing of an app's text can command it."""

from __future__ import annotations

import sys

from fal_jupyter.domain.errors import FalJupyterError
from fal_jupyter.domain.text.terminal_text import safe_text

PROGRAM = "fal-jupyter"


def sentence(error: FalJupyterError) -> str:
    """Give the sentence of an error, which begins with the program's name, or with the command that it is about."""
    return str(error) if error.where.startswith(PROGRAM) else f"{PROGRAM}: {error}"


def say(text: str) -> None:
    """Write lines to standard error."""
    print(safe_text(text.rstrip("\n")), file=sys.stderr, flush=True)


def show_output(text: str) -> None:
    """Write what an app prints to standard error, as it comes; a progress bar may rewrite its line."""
    sys.stderr.write(safe_text(text, keep="\r"))
    sys.stderr.flush()
