"""How errors look under a cell: the user's own frames with the cell's lines, and none of ours.

IPython asks an exception for ``_render_traceback_`` before it draws its own traceback. An error that came out of the
body of a ``%%fal_app`` cell gets such a method for the one time it is shown, cut to the frames of the cell and below.
"""

from __future__ import annotations

import linecache
import traceback as tracebacks
from pathlib import Path
from types import TracebackType
from typing import Any

from fal_jupyter.domain.errors import UserError


class CellSyntaxError(UserError):
    """The cell is not Python. Shown exactly as IPython shows a syntax error, under the name of one."""

    def __init__(self, shell: Any, error: SyntaxError) -> None:
        super().__init__(str(error))
        self._shell = shell
        self._error = error

    def _render_traceback_(self) -> list[str]:
        lines: list[str] = self._shell.SyntaxTB.structured_traceback(type(self._error), self._error, [])
        return lines


CellSyntaxError.__name__ = CellSyntaxError.__qualname__ = "SyntaxError"  # what the front end shows as its name


def cut_to(traceback: TracebackType | None, filename: str) -> TracebackType | None:
    """Give the part of *traceback* that begins with the first frame of *filename*, or ``None`` if there is none."""
    while traceback is not None and traceback.tb_frame.f_code.co_filename != filename:
        traceback = traceback.tb_next
    return traceback


def show_from_cell(shell: Any, error: BaseException, filename: str) -> None:
    """Let IPython show *error* from the first frame of the cell *filename* on, the next time it shows it."""
    users = cut_to(error.__traceback__, filename)

    def render() -> list[str]:
        try:
            del error._render_traceback_  # type: ignore[attr-defined]  # raised again, it shows where that was
        except AttributeError:
            pass
        if users is None:
            return list(shell.InteractiveTB.get_exception_only(type(error), error))
        lines: list[str] = shell.InteractiveTB.structured_traceback(type(error), error, users, tb_offset=0)
        return lines

    if hasattr(error, "_render_traceback_"):
        return
    try:
        error._render_traceback_ = render  # type: ignore[attr-defined]
    except (AttributeError, TypeError):
        pass  # an exception that forbids attributes is shown with IPython's own frames


def sentence(error: BaseException) -> list[str]:
    """One sentence with its hint, as the lines of a traceback."""
    return [f"{type(error).__name__}: {error}"]


_OURS = f"{Path(__file__).parent.parent.parent}/"
_MAGIC = "get_ipython().run_"


def lines_of_call(shell: Any, traceback: TracebackType | None) -> list[str]:
    """Give the lines of the user's code that led to a call, as a traceback has them: from the cell on, to the first frame of ours."""
    found: list[str] = []
    for frame, number in tracebacks.walk_tb(traceback):
        code = frame.f_code
        named = shell.compile.format_code_name(code.co_filename)
        if code.co_filename.startswith(_OURS):
            if found:
                break
            continue
        line = linecache.getline(code.co_filename, number, frame.f_globals).strip()
        if not line or line.startswith(_MAGIC) or not (named or found):
            continue
        place = f"{named[0]} {named[1]}" if named else f'File "{code.co_filename}"'
        inside = "" if code.co_name == "<module>" else f", in {code.co_name}"
        found += [f"  {place}, line {number}{inside}", f"    {line}"]
    return ["Traceback (most recent call last):", *found] if found else []
