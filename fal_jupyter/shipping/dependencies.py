"""Finds everything that a class reaches in the notebook (globals, closure cells, defaults and bases) in one walk.

The result is a graph. Its nodes are the objects, by identity; its edges are references, with their kind and line.
Everything else that :func:`fal_jupyter.shipping.pack` needs (captures, digests, source files, imports) is derived
from this graph.
"""

from __future__ import annotations

import asyncio
import builtins
import enum
import functools
import hashlib
import queue
import sys
import threading
import types
import typing
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from fal_jupyter.shipping.classes import is_derived
from fal_jupyter.shipping.components import strongly_connected
from fal_jupyter.shipping.introspection import (
    ATOMS,
    OF_PYTHON,
    TABLES,
    closure_of,
    contents_of,
    defaults_of,
    functions_in,
    is_code,
    is_dunder,
    own_functions,
    references_in,
    wrapped_by,
)
from fal_jupyter.shipping.pickling import resolved
from fal_jupyter.shipping.reducers import is_local, is_open_of_ipython, travels_by_value


class EdgeKind(enum.Enum):
    """How one object refers to another."""

    GLOBAL = "global"
    CLOSURE = "closure"
    DEFAULT = "default"
    ANNOTATION = "annotation"
    BASE = "base"
    METHOD = "method"
    ATTRIBUTE = "attribute"
    WRAPPED = "wrapped"
    CONTENT = "content"


class Edge(typing.NamedTuple):
    """One reference: *source* refers to *target* as *name*.

    ``line`` is that of the first use in the code of *source*, or 0 if the reference is not in its code.
    """

    source: object
    target: object
    kind: EdgeKind
    name: str = ""
    line: int = 0


@dataclass(frozen=True, slots=True)
class Dependency:
    """One object that user code reaches.

    Attributes:
        edge: the first reference found to it.
        via: the function or class of this reference; containers in between are skipped.
        missing: the name is not defined.
        unnamed: the class or function itself holds it (an attribute, a default), and no name in the notebook refers to it.
    """

    name: str
    value: typing.Any
    edge: Edge
    via: str
    missing: bool = False
    unnamed: bool = False

    @property
    def attribute_of(self) -> type | None:
        """The class that has it as an attribute, if it has no other name."""
        source = self.edge.source
        return source if self.unnamed and self.edge.kind is EdgeKind.ATTRIBUTE and isinstance(source, type) else None


@dataclass
class DependencyGraph:
    """Everything that a class reaches.

    Attributes:
        root: the class.
        dependencies: the reached objects, without the class itself, nearest first, without duplicates.
        modules: names of the modules whose classes and functions are reached (bases, annotations, decorators).
    """

    root: type
    dependencies: list[Dependency] = field(default_factory=list)
    modules: set[str] = field(default_factory=set)
    _edges: dict[int, list[Edge]] = field(default_factory=dict)  # by the identity of their source

    def add(self, edge: Edge) -> None:
        """Add an edge. It keeps both ends alive, so that identities stay unique."""
        self._edges.setdefault(id(edge.source), []).append(edge)

    def edges_from(self, value: object) -> Sequence[Edge]:
        """Return the references from *value*."""
        return self._edges.get(id(value), ())

    def path(self, start: object, end: object) -> list[Edge]:
        """Return a shortest chain of references from *start* to *end*, or an empty list if there is none."""
        arrived_by: dict[int, Edge] = {}
        pending = deque([start])
        while pending and id(end) not in arrived_by:
            for edge in self.edges_from(pending.popleft()):
                if id(edge.target) not in arrived_by:
                    arrived_by[id(edge.target)] = edge
                    pending.append(edge.target)
        chain: list[Edge] = []
        while id(end) in arrived_by and (not chain or end is not start):
            edge = arrived_by[id(end)]
            chain.append(edge)
            end = edge.source
        return chain[::-1]

    def components(self) -> list[list[int]]:
        """Return the identities of all objects, grouped by strong connectivity; a group follows the groups that it refers to."""
        return strongly_connected([id(self.root)], self._successors)

    def _successors(self, node: int) -> list[int]:
        return [id(edge.target) for edge in self._edges.get(node, ()) if type(edge.target) not in ATOMS]

    def deep_digests(self, own: Mapping[int, str]) -> dict[int, str]:
        """Return the digest of each object's content and of everything reachable from it, by identity.

        Args:
            own: digests of contents, by identity. An object without one adds only what it refers to. Atoms need none: they are part
                of the referring object, since the identity of equal ones is arbitrary.
        """
        deep: dict[int, str] = {}
        for component in self.components():
            members = set(component)
            inside, outside = {}, set()
            for node in component:
                within = set()
                for edge in self._edges.get(node, ()):
                    target = id(edge.target)
                    if type(edge.target) in ATOMS:
                        within.add((edge.kind.value, edge.name, f"{type(edge.target).__name__} {edge.target!r}"))
                    elif target in members:
                        within.add((edge.kind.value, edge.name, own.get(target, "")))
                    else:
                        outside.add((edge.kind.value, edge.name, deep[target]))
                inside[node] = repr((own.get(node, ""), sorted(within)))
            behind = repr((sorted(inside.values()), sorted(outside)))
            deep |= {node: hashlib.sha256(f"{inside[node]} {behind}".encode()).hexdigest()[:32] for node in component}
        return deep

    @functools.cached_property
    def code(self) -> list[types.CodeType]:
        """The code of the class and of its dependencies, in order; only for classes of the notebook."""
        values = [self.root, *(dependency.value for dependency in self.dependencies)]
        local_values = (value for value in values if not isinstance(value, type) or travels_by_value(value))
        return [function.__code__ for value in local_values for function in own_functions(value)]

    def imports(self) -> Iterator[str]:
        """Yield the top-level modules that ``import`` statements in this code name."""
        for code in self.code:
            yield from (name.split(".")[0] for name in references_in(code).imports)

    def global_names(self) -> Iterator[str]:
        """Yield the names that this code looks up as globals."""
        for code in self.code:
            yield from references_in(code).global_lines


def walk(cls: type) -> DependencyGraph:
    """Return everything that *cls* reaches in its notebook or script."""
    return _Walk(cls).run()


class _Walk:
    def __init__(self, cls: type) -> None:
        self._graph = DependencyGraph(cls)
        self._dependencies: dict[tuple[str, int], Dependency] = {}
        self._visited: dict[int, object] = {}  # by identity; kept alive, so that identities stay unique
        self._pending: deque[tuple[object, str]] = deque()
        self._notebook_names: dict[int, str] = {}
        for name, value in _variables().copy().items():
            if not name.startswith("_"):
                self._notebook_names.setdefault(id(value), name)

    def run(self) -> DependencyGraph:
        self._visit_class(self._graph.root)
        while self._pending:
            self._visit(*self._pending.popleft())
        self._graph.dependencies = [
            dependency for dependency in self._dependencies.values() if dependency.value is not self._graph.root
        ]
        return self._graph

    def _visit(self, value: object, via: str) -> None:
        if id(value) in self._visited:
            return
        if isinstance(value, type):
            self._graph.modules.add(_module_of(value))
        if isinstance(value, type) and travels_by_value(value):
            self._visit_class(value)
        elif type(value) is types.FunctionType:
            self._visit_function(value)
        elif type(value) not in ATOMS and not isinstance(value, type | types.ModuleType):
            self._visited[id(value)] = value
            for function in functions_in(value):
                self._enter(Edge(value, function, EdgeKind.CONTENT))
            for part in contents_of(value):
                self._meet(Edge(value, part, EdgeKind.CONTENT), via)

    def _visit_class(self, cls: type) -> None:
        self._visited[id(cls)] = cls
        via = cls.__qualname__
        if is_local(type(cls)):
            self._meet(Edge(cls, type(cls), EdgeKind.BASE, type(cls).__name__), via)
        for base in cls.__bases__:
            self._meet(Edge(cls, base, EdgeKind.BASE, base.__name__), via)
        for name, hint in resolved(cls).items():
            self._meet(Edge(cls, hint, EdgeKind.ANNOTATION, name), via)
        for name, member in vars(cls).copy().items():
            if name in TABLES:
                self._meet(Edge(cls, member, EdgeKind.ATTRIBUTE, name), via)
            elif functions := list(functions_in(member)):
                for function in functions:
                    self._enter(Edge(cls, function, EdgeKind.METHOD, name))
            elif not (is_dunder(name) or name in OF_PYTHON or isinstance(member, cls) or is_derived(member)):
                self._hold(Edge(cls, member, EdgeKind.ATTRIBUTE, name), f"{cls.__name__}.{name}", via)

    def _visit_function(self, function: types.FunctionType) -> None:
        if id(function) in self._visited or is_open_of_ipython(function):
            return
        self._visited[id(function)] = function
        home = function.__globals__.get("__name__")
        if home != "__main__":  # imported in the runner; it wraps a user's function
            self._graph.modules.add(str(home))
            for value in wrapped_by(function):
                for inner in functions_in(value):
                    self._enter(Edge(function, inner, EdgeKind.WRAPPED))
            return
        via = function.__qualname__
        for name, line in references_in(function.__code__).global_lines.items():
            if name == "open" and is_open_of_ipython(function.__globals__.get(name)):
                continue  # of IPython, not of the user: in a runner it is the built-in one
            if name in function.__globals__:
                self._note(Edge(function, function.__globals__[name], EdgeKind.GLOBAL, name, line), name, via)
            elif not hasattr(builtins, name) or name in ("get_ipython", "display"):
                value = getattr(builtins, name, None)
                self._note(Edge(function, value, EdgeKind.GLOBAL, name, line), name, via, missing=True)
        for name, value in closure_of(function).items():
            edge = Edge(function, value, EdgeKind.CLOSURE, name)
            if is_code(value):
                self._meet(edge, via)
            else:
                self._note(edge, name, via)
        for name, value in defaults_of(function).items():
            self._hold(Edge(function, value, EdgeKind.DEFAULT, name), name, via)
        for name, hint in resolved(function).items():
            self._meet(Edge(function, hint, EdgeKind.ANNOTATION, name), via)
        for wrapped in functions_in(getattr(function, "__wrapped__", None)):
            self._enter(Edge(function, wrapped, EdgeKind.WRAPPED))

    def _enter(self, edge: Edge) -> None:
        """Follow an edge to a function immediately."""
        self._graph.add(edge)
        if type(edge.target) is types.FunctionType:
            self._visit_function(edge.target)

    def _meet(self, edge: Edge, via: str) -> None:
        """Follow an edge to an unnamed object, or to one with its own name."""
        value = edge.target
        if is_code(value) and travels_by_value(value) and typing.get_origin(value) is None:
            self._note(edge, value.__name__, via)
        elif isinstance(value, SHARED) and (name := self._name_in_notebook(value)):
            self._note(edge, name, via)
        else:
            self._postpone(edge, via)

    def _hold(self, edge: Edge, name: str, via: str) -> None:
        """Follow an edge to an attribute or a default value."""
        if is_code(edge.target) or type(edge.target) in _SMALL:
            self._meet(edge, via)
        elif bound_name := self._name_in_notebook(edge.target):
            self._note(edge, bound_name, via)
        else:
            self._note(edge, name, via, unnamed=True)

    def _note(self, edge: Edge, name: str, via: str, *, missing: bool = False, unnamed: bool = False) -> None:
        key = name, id(edge.target)
        if key in self._dependencies:
            self._graph.add(edge)
        else:
            self._dependencies[key] = Dependency(name, edge.target, edge, via, missing, unnamed)
            self._postpone(edge, via)

    def _postpone(self, edge: Edge, via: str) -> None:
        """Visit the target later; an atom has no references and is part of the referring object, unless it has a name."""
        if edge.name or type(edge.target) not in ATOMS:
            self._graph.add(edge)
            self._pending.append((edge.target, via))

    def _name_in_notebook(self, value: object) -> str:
        return "" if _is_short_text(value) else self._notebook_names.get(id(value), "")


# A copy of these would not act on the original. If no name in the notebook refers to them, they are part of an object that is sent
# as a copy, and are rebuilt with it.
SHARED = (
    *(type(threading.Lock()), type(threading.RLock()), threading.Condition, threading.Semaphore, threading.Event),
    *(threading.Barrier, threading.Thread, threading.local, queue.Queue, queue.SimpleQueue),
    *(asyncio.Lock, asyncio.Event, asyncio.Condition, asyncio.Semaphore, asyncio.Queue, asyncio.Barrier),
)
_SMALL = (type(None), bool, int, float, complex)
_LONG = 4096


def name_in_notebook(value: object) -> str:
    """Return the notebook's name of an object, or ``""``; the identity of equal short strings is arbitrary."""
    if _is_short_text(value):
        return ""
    variables = _variables().copy().items()
    return next((name for name, bound in variables if bound is value and not name.startswith("_")), "")


def _is_short_text(value: object) -> bool:
    return isinstance(value, str | bytes) and len(value) < _LONG


def _variables() -> dict[str, object]:
    return vars(sys.modules.get("__main__", types.ModuleType("none")))


def _module_of(cls: type) -> str:
    try:
        return str(cls.__module__)
    except Exception:  # a user's metaclass
        return ""
