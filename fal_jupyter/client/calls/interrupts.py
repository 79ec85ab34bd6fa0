"""How an interrupt looks under a cell: one line. Where we waited is nothing to the user."""

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
    """An interrupt of what waits inside is one line; in an asynchronous cell it comes as a ``CancelledError``."""
    try:
        yield
    except (KeyboardInterrupt, asyncio.CancelledError) as stop:
        shorten(stop, what)
        raise
