"""Finds the cell that assigned a variable, from IPython's history, on demand."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from fal_jupyter.notebook.shell import Shell

_CELL_MAGIC = "run_cell_magic"


class CellHistory:
    """Index of the names that cells bind; each cell is parsed once."""

    def __init__(self, shell: Shell) -> None:
        self._shell = shell
        self._names: dict[int, tuple[str, frozenset[str]]] = {}

    def cell_of(self, name: str) -> str:
        """Return ``cell [7]`` for the latest cell that bound *name* at its top level, or ``""``."""
        cells = self._shell.history_manager.input_hist_parsed
        for number in range(len(cells) - 1, 0, -1):
            if name in self._bound(number, cells[number]):
                return f"cell [{number}]"
        return ""

    def _bound(self, number: int, source: str) -> frozenset[str]:
        cached = self._names.get(number)
        if cached is None or cached[0] != source:
            cached = self._names[number] = (source, frozenset(self._names_in(source)))
        return cached[1]

    def _names_in(self, source: str) -> Iterator[str]:
        try:
            tree = ast.parse(source)
        except (SyntaxError, ValueError):
            return
        for body in _magic_bodies(tree):
            yield from self._names_in(self._shell.transform_cell(body))
        yield from bound_names(tree)


def _magic_bodies(tree: ast.Module) -> Iterator[str]:
    for statement in tree.body:
        match statement:
            case ast.Expr(
                value=ast.Call(func=ast.Attribute(attr=attribute), args=[_, _, ast.Constant(value=str(body))])
            ) if attribute == _CELL_MAGIC:
                yield body
            case _:
                continue


def bound_names(tree: ast.AST) -> Iterator[str]:
    """Yield the names that *tree* binds in its own scope, without the scopes of functions and classes."""
    for node in ast.iter_child_nodes(tree):
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                yield name
            case ast.Import(names=aliases) | ast.ImportFrom(names=aliases):
                yield from ((alias.asname or alias.name).split(".")[0] for alias in aliases)
            case ast.Name(id=name, ctx=ast.Store()):
                yield name
            case ast.Lambda() | ast.ListComp() | ast.SetComp() | ast.DictComp() | ast.GeneratorExp():
                continue
            case _:
                yield from bound_names(node)
