"""Runs the body of a ``%%fal_app`` cell as IPython would have, and finds the apps that it defined.

The body is compiled under the cell's own name, with as many empty lines before it as there are magic lines above it:
so every line number, in a traceback here or in a runner, is the one that the user sees.
"""

from __future__ import annotations

import ast
import asyncio
import contextvars
import inspect
import linecache
import sys
import threading
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass
from types import CodeType
from typing import Any

from fal_jupyter.notebook.namespace.tracebacks import CellSyntaxError, show_from_cell


@dataclass(frozen=True, slots=True)
class CellLocation:
    """Where a cell's code lives: its file name for Python, its label for people, and the lines above the body."""

    filename: str
    label: str
    offset: int


def label_of(shell: Any, filename: str) -> str:
    """Give ``cell [3]`` for the file name of a cell, or ``""``."""
    named = shell.compile.format_code_name(filename)
    return f"cell {named[1].removeprefix('In')}" if named else ""


def find_place(shell: Any, body: str, raw: str) -> CellLocation:
    """Find the running cell, whose whole text is *raw*, by the frame that runs it.

    A body that is not part of *raw* (a magic called from a program) gets a name of its own.
    """
    text, inside = raw.rstrip(), body.rstrip()
    if not inside or not text.endswith(inside):
        return _new_place(shell, body)
    offset = text[: -len(inside)].count("\n")
    frame = inspect.currentframe()
    while frame is not None:
        filename = frame.f_code.co_filename
        if frame.f_globals is shell.user_ns and (label := label_of(shell, filename)):
            return CellLocation(filename, label, offset)
        frame = frame.f_back
    return _new_place(shell, body)


def _new_place(shell: Any, body: str) -> CellLocation:
    filename = shell.compile.cache(body, max(0, shell.execution_count - 1), raw_code=body)
    return CellLocation(filename, label_of(shell, filename), 0)


def run_body(shell: Any, body: str, place: CellLocation) -> list[type]:
    """Run *body* in the user's namespace and give the classes that it defined, in the order of their definition.

    The value of a last expression is shown as in any cell. Top-level ``await`` works.

    Raises:
        CellSyntaxError: it is not Python.
        BaseException: whatever the body raises, to be shown with the cell's frames only.
    """
    __tracebackhide__ = True
    parts, order = _compile(shell, body, place)
    before = classes_in(shell.user_ns)
    try:
        for code in parts:
            if inspect.CO_COROUTINE & code.co_flags:
                _drive(eval(code, shell.user_ns))
            else:
                exec(code, shell.user_ns)
    except SystemExit:
        raise
    except BaseException as error:
        show_from_cell(shell, error, place.filename)
        raise
    return sorted(new_classes(shell.user_ns, before), key=lambda cls: order.get(cls.__name__, sys.maxsize))


def _compile(shell: Any, body: str, place: CellLocation) -> tuple[list[CodeType], dict[str, int]]:
    """Give the code of the body (all but a last expression, then that), and the line of each class in it."""
    __tracebackhide__ = True
    blank = len(body) - len(body.lstrip())
    try:
        source = "\n" * (place.offset + body[:blank].count("\n")) + shell.transform_cell(body)
        linecache.cache[place.filename] = (
            len(source),
            None,
            [line + "\n" for line in source.splitlines()],
            place.filename,
        )
        tree = shell.transform_ast(shell.compile.ast_parse(source, place.filename))
        order = {node.name: node.lineno for node in ast.walk(tree) if isinstance(node, ast.ClassDef)}
        last = [tree.body.pop()] if tree.body and isinstance(tree.body[-1], ast.Expr) else []
        with shell.compile.extra_flags(ast.PyCF_ALLOW_TOP_LEVEL_AWAIT):
            parts = [shell.compile(tree, place.filename, "exec")] if tree.body else []
            if last:
                parts.append(shell.compile(ast.Interactive(last), place.filename, "single"))
    except SyntaxError as error:
        if error.filename is None or error.filename == "<unknown>":
            error.filename = place.filename
        raise CellSyntaxError(shell, error) from None
    except (OverflowError, ValueError, MemoryError) as error:  # null bytes, literals beyond all bounds
        raise CellSyntaxError(shell, SyntaxError(str(error), (place.filename, 1, 0, ""))) from None
    return parts, order


def classes_in(namespace: Mapping[str, Any]) -> list[type]:
    """Give the classes that have a name there."""
    return [value for value in namespace.values() if isinstance(value, type)]


def new_classes(namespace: dict[str, Any], before: list[type]) -> list[type]:
    """Give the classes that the notebook defined since *before*, which was :func:`classes_in`."""
    known = {id(value) for value in before}  # *before* keeps them alive, so no id is used twice
    home = namespace.get("__name__")
    found = {id(value): value for value in classes_in(namespace) if value.__module__ == home}
    return [value for number, value in found.items() if number not in known]


def _drive(coroutine: Coroutine[Any, Any, object]) -> None:
    """Run *coroutine* to its end on a loop of its own, in a thread with this cell's context (the kernel's is busy).

    ``KeyboardInterrupt`` cancels it and returns at once.
    """
    __tracebackhide__ = True
    outcome: list[BaseException] = []
    running: list[tuple[asyncio.AbstractEventLoop, asyncio.Task[object] | None]] = []

    async def to_end() -> None:
        running.append((asyncio.get_running_loop(), asyncio.current_task()))
        await coroutine

    def work() -> None:
        try:
            asyncio.run(to_end())
        except BaseException as error:
            outcome.append(error)

    thread = threading.Thread(target=contextvars.copy_context().run, args=(work,), name="fal_jupyter cell", daemon=True)
    thread.start()
    try:
        thread.join()
    except KeyboardInterrupt:
        for loop, task in running:
            if task is not None and not loop.is_closed():
                loop.call_soon_threadsafe(task.cancel)
        raise
    if outcome:
        raise outcome[0]
