"""Tracebacks under a cell show the user's frames with the cell's lines, without the frames of this package.

IPython calls an exception's ``_render_traceback_`` if there is one. An error from the body of a ``%%fal_app`` cell gets such a
method for its next display, which starts at the cell's first frame.
"""

from __future__ import annotations

import linecache
import traceback as tracebacks
from pathlib import Path
from types import TracebackType

from fal_jupyter.domain.errors import UserError
from fal_jupyter.notebook.shell import Shell


class CellSyntaxError(UserError):
    """The cell is not valid Python. Displayed exactly as IPython displays a SyntaxError, with that name."""

    def __init__(self, shell: Shell, error: SyntaxError) -> None:
        super().__init__(str(error))
        self._shell = shell
        self._error = error

    def _render_traceback_(self) -> list[str]:
        return self._shell.SyntaxTB.structured_traceback(type(self._error), self._error, [])


CellSyntaxError.__name__ = CellSyntaxError.__qualname__ = "SyntaxError"  # the name that front ends display


def cut_to(traceback: TracebackType | None, filename: str) -> TracebackType | None:
    """Return *traceback* from its first frame in *filename* on, or ``None`` if there is no such frame."""
    while traceback is not None and traceback.tb_frame.f_code.co_filename != filename:
        traceback = traceback.tb_next
    return traceback


def show_from_cell(shell: Shell, error: BaseException, filename: str) -> None:
    """Make the next display of *error* by IPython start at the first frame of the cell *filename*."""
    user_traceback = cut_to(error.__traceback__, filename)

    def render() -> list[str]:
        try:
            del error._render_traceback_  # type: ignore[attr-defined]  # raised again later, it is displayed in full
        except AttributeError:
            pass
        if user_traceback is None:
            return list(shell.InteractiveTB.get_exception_only(type(error), error))
        return shell.InteractiveTB.structured_traceback(type(error), error, user_traceback, tb_offset=0)

    if hasattr(error, "_render_traceback_"):
        return
    try:
        error._render_traceback_ = render  # type: ignore[attr-defined]
    except (AttributeError, TypeError):
        pass  # an exception without settable attributes is displayed by IPython in full


def sentence(error: BaseException) -> list[str]:
    """Return an error's sentence and hint as the lines of a traceback."""
    return [f"{type(error).__name__}: {error}"]


_PACKAGE_FOLDER = f"{Path(__file__).parent.parent.parent}/"
_MAGIC = "get_ipython().run_"


def lines_of_call(shell: Shell, traceback: TracebackType | None) -> list[str]:
    """Return the user's frames that led to a call as lines of a traceback, from the cell to the first frame of this package."""
    frame_lines: list[str] = []
    for frame, number in tracebacks.walk_tb(traceback):
        code = frame.f_code
        cell_name = shell.compile.format_code_name(code.co_filename)
        if code.co_filename.startswith(_PACKAGE_FOLDER):
            if frame_lines:
                break
            continue
        line = linecache.getline(code.co_filename, number, frame.f_globals).strip()
        if not line or line.startswith(_MAGIC) or not (cell_name or frame_lines):
            continue
        location = f"{cell_name[0]} {cell_name[1]}" if cell_name else f'File "{code.co_filename}"'
        inside = "" if code.co_name == "<module>" else f", in {code.co_name}"
        frame_lines += [f"  {location}, line {number}{inside}", f"    {line}"]
    return ["Traceback (most recent call last):", *frame_lines] if frame_lines else []
