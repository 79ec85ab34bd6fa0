"""Output of the command line to a terminal, without control sequences from apps."""

from __future__ import annotations

import sys

from fal_jupyter.domain.errors import FalJupyterError
from fal_jupyter.domain.text.terminal_text import safe_text

PROGRAM = "fal-jupyter"


def sentence(error: FalJupyterError) -> str:
    """Return the sentence of an error, prefixed by the program's name or the command."""
    return str(error) if error.where.startswith(PROGRAM) else f"{PROGRAM}: {error}"


def print_message(text: str) -> None:
    """Write lines to standard error."""
    print(safe_text(text.rstrip("\n")), file=sys.stderr, flush=True)


def show_output(text: str) -> None:
    """Write an app's output to standard error; a progress bar may rewrite its line."""
    sys.stderr.write(safe_text(text, keep="\r"))
    sys.stderr.flush()
