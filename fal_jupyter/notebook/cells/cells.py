"""Runs the body of a ``%%fal_app`` cell as IPython does, and finds the classes that it defined.

The body is compiled under the cell's file name, with one empty line for each magic line above it: line numbers in tracebacks,
here and in runners, are the ones that the user sees.
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

from fal_jupyter.notebook.namespace.tracebacks import CellSyntaxError, show_from_cell
from fal_jupyter.notebook.shell import Shell


@dataclass(frozen=True, slots=True)
class CellLocation:
    """A cell's source: its file name for Python, its label for messages, and the number of lines above the body."""

    filename: str
    label: str
    offset: int


def label_of(shell: Shell, filename: str) -> str:
    """Return ``cell [3]`` for the file name of a cell, or ``""``."""
    named = shell.compile.format_code_name(filename)
    return f"cell {named[1].removeprefix('In')}" if named else ""


def locate_cell(shell: Shell, body: str, raw: str) -> CellLocation:
    """Locate the running cell, whose complete text is *raw*, by its frame.

    A body that is not part of *raw* (a magic called from a program) gets its own file name.
    """
    text, trimmed_body = raw.rstrip(), body.rstrip()
    if not trimmed_body or not text.endswith(trimmed_body):
        return _new_location(shell, body)
    offset = text[: -len(trimmed_body)].count("\n")
    frame = inspect.currentframe()
    while frame is not None:
        filename = frame.f_code.co_filename
        if frame.f_globals is shell.user_ns and (label := label_of(shell, filename)):
            return CellLocation(filename, label, offset)
        frame = frame.f_back
    return _new_location(shell, body)


def _new_location(shell: Shell, body: str) -> CellLocation:
    filename = shell.compile.cache(body, max(0, shell.execution_count - 1), raw_code=body)
    return CellLocation(filename, label_of(shell, filename), 0)


def run_body(shell: Shell, body: str, location: CellLocation) -> list[type]:
    """Run *body* in the user's namespace and return the classes that it defined, in source order.

    A final expression is displayed as in any cell. Top-level ``await`` works.

    Raises:
        CellSyntaxError: the body is not valid Python.
        BaseException: whatever the body raises; it is displayed with the cell's frames only.
    """
    __tracebackhide__ = True
    code_objects, line_of_class = _compile(shell, body, location)
    before = classes_in(shell.user_ns)
    try:
        for code in code_objects:
            if inspect.CO_COROUTINE & code.co_flags:
                _drive(eval(code, shell.user_ns))
            else:
                exec(code, shell.user_ns)
    except SystemExit:
        raise
    except BaseException as error:
        show_from_cell(shell, error, location.filename)
        raise
    return sorted(new_classes(shell.user_ns, before), key=lambda cls: line_of_class.get(cls.__name__, sys.maxsize))


def _compile(shell: Shell, body: str, location: CellLocation) -> tuple[list[CodeType], dict[str, int]]:
    """Return the compiled body (its statements, then a final expression) and the line of each class in it."""
    __tracebackhide__ = True
    blank = len(body) - len(body.lstrip())
    try:
        source = "\n" * (location.offset + body[:blank].count("\n")) + shell.transform_cell(body)
        linecache.cache[location.filename] = (
            len(source),
            None,
            [line + "\n" for line in source.splitlines()],
            location.filename,
        )
        tree = shell.transform_ast(shell.compile.ast_parse(source, location.filename))
        line_of_class = {node.name: node.lineno for node in ast.walk(tree) if isinstance(node, ast.ClassDef)}
        last = [tree.body.pop()] if tree.body and isinstance(tree.body[-1], ast.Expr) else []
        with shell.compile.extra_flags(ast.PyCF_ALLOW_TOP_LEVEL_AWAIT):
            code_objects = [shell.compile(tree, location.filename, "exec")] if tree.body else []
            if last:
                code_objects.append(shell.compile(ast.Interactive(last), location.filename, "single"))
    except SyntaxError as error:
        if error.filename is None or error.filename == "<unknown>":
            error.filename = location.filename
        raise CellSyntaxError(shell, error) from None
    except (OverflowError, ValueError, MemoryError) as error:  # null bytes, oversized literals
        raise CellSyntaxError(shell, SyntaxError(str(error), (location.filename, 1, 0, ""))) from None
    return code_objects, line_of_class


def classes_in(namespace: Mapping[str, object]) -> list[type]:
    """Return the classes bound in *namespace*."""
    return [value for value in namespace.values() if isinstance(value, type)]


def new_classes(namespace: dict[str, object], before: list[type]) -> list[type]:
    """Return the classes that the notebook has defined since *before*, an earlier result of :func:`classes_in`."""
    known_ids = {id(value) for value in before}  # *before* keeps them alive, so ids are not reused
    module = namespace.get("__name__")
    candidates = {id(value): value for value in classes_in(namespace) if value.__module__ == module}
    return [value for object_id, value in candidates.items() if object_id not in known_ids]


def _drive(coroutine: Coroutine[object, object, object]) -> None:
    """Run *coroutine* to completion on a separate event loop, in a thread with this cell's context: the kernel's loop is busy.

    ``KeyboardInterrupt`` cancels it and is raised at once.
    """
    __tracebackhide__ = True
    outcome: list[BaseException] = []
    running: list[tuple[asyncio.AbstractEventLoop, asyncio.Task[object] | None]] = []

    async def run_to_completion() -> None:
        running.append((asyncio.get_running_loop(), asyncio.current_task()))
        await coroutine

    def work() -> None:
        try:
            asyncio.run(run_to_completion())
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
