"""Syntax trees of a class and of what it captures, with their location, their owner and the values of their names."""

from __future__ import annotations

import ast
import linecache
import os
import sys
import types
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path

from fal_jupyter.shipping.dependencies import Dependency
from fal_jupyter.shipping.introspection import own_functions
from fal_jupyter.shipping.reducers import is_local

Function = ast.FunctionDef | ast.AsyncFunctionDef
_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef)


class Piece:
    """One class or function of the user, as a tree with the line numbers of its file or cell."""

    def __init__(self, name: str, node: ast.AST, filename: str, namespace: Mapping[str, object]) -> None:
        self.name = name
        self.node = node
        self.filename = filename
        self._namespace = namespace

    @cached_property
    def _parents(self) -> dict[ast.AST, ast.AST]:
        return {child: parent for parent in ast.walk(self.node) for child in ast.iter_child_nodes(parent)}

    @cached_property
    def _imported(self) -> dict[str, str]:
        """Names bound by imports inside this piece, with their full names."""
        return dict(_imported_names(self.node))

    @cached_property
    def bound(self) -> frozenset[str]:
        """Names that are parameters or variables somewhere inside: a global of such a name may be hidden."""
        names = {n.id for n in self.walk() if isinstance(n, ast.Name) and not isinstance(n.ctx, ast.Load)}
        return frozenset(names | {n.arg for n in self.walk() if isinstance(n, ast.arg)} | set(self._imported))

    def walk(self) -> Iterator[ast.AST]:
        """Every node, outer ones first, in the order of the text."""
        yield from _in_order(self.node)

    def parent(self, node: ast.AST) -> ast.AST | None:
        """The node around *node*."""
        return self._parents.get(node)

    def around(self, node: ast.AST) -> Iterator[ast.AST]:
        """The nodes around *node*, the nearest first."""
        while (parent := self._parents.get(node)) is not None:
            yield parent
            node = parent

    def function_of(self, node: ast.AST) -> Function | None:
        """The nearest function around *node*; where this piece is one, that is the last one asked."""
        return next((outer for outer in (node, *self.around(node)) if isinstance(outer, _SCOPES)), None)

    def place(self, node: ast.AST) -> tuple[str, int]:
        """File name and line of *node*."""
        return self.filename, getattr(node, "lineno", 0)

    def owner(self, node: ast.AST) -> str:
        """The owner of *node*'s code, for a message: ``Hello.setup()``, ``helper()`` or ``Hello``."""
        names = [outer.name for outer in (node, *self.around(node)) if isinstance(outer, _SCOPES)]
        if not names:
            return self.name
        return f"{self.name}.{names[-1]}()" if isinstance(self.node, ast.ClassDef) else f"{names[-1]}()"

    def is_prose(self, node: ast.AST) -> bool:
        """True for text that no code reads: docstrings, and arguments of decorators (an endpoint's path)."""
        parent = self.parent(node)
        if isinstance(parent, ast.Expr):
            return True
        below: ast.AST = node
        for outer in self.around(node):
            if isinstance(outer, (*_SCOPES, ast.ClassDef)) and below in outer.decorator_list:
                return True
            below = outer
        return False

    def is_guarded(self, node: ast.AST, *errors: str) -> bool:
        """True inside a ``try`` that catches one of *errors* (or everything), or below ``if TYPE_CHECKING``."""
        below: ast.AST = node
        for outer in self.around(node):
            if isinstance(outer, ast.Try) and below in outer.body and any(_catches(h, errors) for h in outer.handlers):
                return True
            if isinstance(outer, ast.If) and below in outer.body and "TYPE_CHECKING" in ast.unparse(outer.test):
                return True
            below = outer
        return False

    def is_forgotten(self, node: ast.AST) -> bool:
        """True inside an annotation that is not evaluated, because of ``from __future__ import annotations``."""
        tree = tree_of(self.filename)
        if tree is None or not any(isinstance(n, ast.ImportFrom) and n.module == "__future__" for n in tree.body):
            return False
        below: ast.AST = node
        for outer in self.around(node):
            if below in (getattr(outer, "annotation", None), getattr(outer, "returns", None)):
                return True
            below = outer
        return False

    def full_name(self, node: ast.AST) -> str:
        """Return the full name of a dotted name (``np.load`` → ``numpy.load``), or ``""``; unknown roots stay as written."""
        if isinstance(node, ast.Attribute):
            root = self.full_name(node.value)
            return f"{root}.{node.attr}" if root else ""
        if not isinstance(node, ast.Name):
            return ""
        if node.id in self._imported:
            return self._imported[node.id]
        if node.id in self.bound:
            return node.id
        return name_of(self._namespace[node.id], node.id) if node.id in self._namespace else node.id

    def value_of(self, node: ast.AST) -> object:
        """Return the value of a global name, or ``None``."""
        if isinstance(node, ast.Name) and node.id not in self.bound:
            return self._namespace.get(node.id)
        return None

    def text_of(self, node: ast.AST | None) -> str | None:
        """Return the constant string value of *node*: a literal, a global, or a variable that a function sets once."""
        if isinstance(node, ast.Constant):
            return node.value if isinstance(node.value, str) else None
        if not isinstance(node, ast.Name):
            return None
        value = self.value_of(node)
        if issubclass(type(value), str):  # isinstance would call a proxy's code
            return str(value)
        return self._constants.get((self.function_of(node), node.id))

    @cached_property
    def _constants(self) -> dict[tuple[Function | None, str], str]:
        """Local variables that are bound only once, to a string literal."""
        bound: dict[tuple[Function | None, str], list[str | None]] = {}
        for node in self.walk():
            if isinstance(node, ast.arg):
                bound.setdefault((self.function_of(node), node.arg), []).append(None)
            elif isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
                bound.setdefault((self.function_of(node), node.id), []).append(self._literal_for(node))
        return {key: texts[0] for key, texts in bound.items() if len(texts) == 1 and texts[0] is not None}

    def _literal_for(self, target: ast.Name) -> str | None:
        """The string literal that an assignment binds to *target*."""
        parent = self.parent(target)
        if isinstance(parent, ast.Assign | ast.AnnAssign | ast.NamedExpr) and isinstance(parent.value, ast.Constant):
            return parent.value.value if isinstance(parent.value.value, str) else None
        return None


def name_of(value: object, otherwise: str = "") -> str:
    """Return the full name of a module, or of a function or class of a library. The user's objects are not accessed."""
    if value is os.environ:
        return "os.environ"
    kind = type(value)  # isinstance would call a proxy's code
    if issubclass(kind, types.ModuleType):
        return str(getattr(value, "__name__", ""))
    if not issubclass(kind, (type, types.FunctionType, types.BuiltinFunctionType)) or is_local(value):
        return otherwise
    home, name = getattr(value, "__module__", None), getattr(value, "__qualname__", None)
    if not isinstance(home, str) or not isinstance(name, str):
        return otherwise
    return name if home == "builtins" else f"{_public(home, name)}.{name}"


def _public(home: str, name: str) -> str:
    """Return the public module: ``pathlib.Path`` may report ``pathlib._local`` where ``os.getenv`` reports ``os``."""
    outer = sys.modules.get(home.split(".")[0])
    return home.split(".")[0] if "._" in home and hasattr(outer, name) else home


def pieces_of(
    cls: type, dependencies: list[Dependency], namespace: Mapping[str, object], *, also: Sequence[str] = ()
) -> list[Piece]:
    """Return the source of *cls*, then of every local class and function that it reaches, if available.

    A class without a method has no code with a location: it is searched in the files of the others, and in *also*.
    """
    values = [cls, *(dependency.value for dependency in dependencies)]
    codes = {id(value): _codes_of(value) for value in values}
    filenames = dict.fromkeys([*(code.co_filename for group in codes.values() for code in group), *also])
    pieces_by_node: dict[int, Piece] = {}
    for value in values:
        locations = [(code.co_filename, code.co_firstlineno) for code in codes[id(value)]]
        if not locations and isinstance(value, type) and is_local(value):
            locations = [(filename, 0) for filename in filenames]
        for filename, line in locations:
            node = _node_of(value, filename, line)
            if node is not None:
                name = value.__name__ if isinstance(value, type) else getattr(node, "name", "a lambda")
                pieces_by_node.setdefault(id(node), Piece(name, node, filename, namespace))
                break
    pieces = list(pieces_by_node.values())
    inside = {id(part) for piece in pieces for part in ast.walk(piece.node) if part is not piece.node}
    return [piece for piece in pieces if id(piece.node) not in inside]


def pieces_of_module(name: str, file: Path) -> list[Piece]:
    """Return the functions and classes of a module's file."""
    tree, module = tree_of(str(file)), sys.modules.get(name)
    kinds = (*_SCOPES, ast.ClassDef)
    nodes = [node for node in tree.body if isinstance(node, kinds)] if tree is not None else []
    return [Piece(node.name, node, str(file), vars(module) if module is not None else {}) for node in nodes]


def _codes_of(value: object) -> list[types.CodeType]:
    functions = own_functions(value)
    if not isinstance(value, type):
        return [function.__code__ for function in functions if is_local(function)]
    codes = [function.__code__ for function in functions] if is_local(value) else []
    return [code for code in codes if code.co_qualname.startswith(f"{value.__qualname__}.")]


def _node_of(value: object, filename: str, line: int) -> ast.AST | None:
    """The node of a class around *line* (0: the last of its name), or of a function that begins there."""
    tree, innermost = tree_of(filename), None
    for node in _in_order(tree) if tree is not None else ():
        if isinstance(value, type):
            around = not line or (isinstance(node, ast.ClassDef) and _begins(node) <= line <= (node.end_lineno or 0))
            innermost = node if isinstance(node, ast.ClassDef) and node.name == value.__name__ and around else innermost
        elif isinstance(node, (*_SCOPES, ast.Lambda)) and _begins(node) == line:
            return node
    return innermost


_trees: dict[str, tuple[str, ast.Module | None]] = {}


def tree_of(filename: str) -> ast.Module | None:
    """Return the tree of a file or cell, or ``None`` where there is no source; each text is parsed once."""
    text = "".join(linecache.getlines(filename))
    cached = _trees.get(filename)
    if cached is None or cached[0] != text:
        try:
            tree = ast.parse(text) if text else None
        except (SyntaxError, ValueError, RecursionError):
            tree = None
        cached = _trees[filename] = (text, tree)
    return cached[1]


def _begins(node: object) -> int:
    decorators = getattr(node, "decorator_list", [])
    return min(int(first.lineno) for first in (node, *decorators))


def _in_order(node: ast.AST) -> Iterator[ast.AST]:
    yield node
    for child in ast.iter_child_nodes(node):
        yield from _in_order(child)


def _imported_names(tree: ast.AST) -> Iterator[tuple[str, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield (alias.asname, alias.name) if alias.asname else (alias.name.split(".")[0],) * 2
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                yield alias.asname or alias.name, f"{node.module}.{alias.name}"


def _catches(handler: ast.ExceptHandler, errors: tuple[str, ...]) -> bool:
    if handler.type is None:
        return True
    names = {n.id for n in ast.walk(handler.type) if isinstance(n, ast.Name)}
    return bool(names & {*errors, "Exception", "BaseException"})
