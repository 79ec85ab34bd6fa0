"""Shows an interrupt as one line below the cell, without a traceback of the waiting code."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager


def show_as(error: BaseException, message: str) -> None:
    """Let IPython show *error* as one line: its type and *message*."""
    line = f"{type(error).__name__}: {message}"
    error._render_traceback_ = lambda: [line]  # type: ignore[attr-defined]


def shorten(stop: BaseException, what: str) -> None:
    """Let IPython show *stop* as one line, which says that *what* was cancelled."""
    show_as(stop, f"{what} was cancelled")


@contextmanager
def one_line(what: str) -> Iterator[None]:
    """Show an interrupt of the code inside as one line; in an asynchronous cell it arrives as a ``CancelledError``."""
    try:
        yield
    except (KeyboardInterrupt, asyncio.CancelledError) as stop:
        shorten(stop, what)
        raise
