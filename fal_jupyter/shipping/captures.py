"""The parts of an app: the objects that its class captures, each with digest and size. Objects that cannot be sent are refused with
a hint."""

from __future__ import annotations

import io
import sys
import types
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from fal_jupyter.domain.errors import NotPicklable
from fal_jupyter.shipping import pickling
from fal_jupyter.shipping.classes import library_of
from fal_jupyter.shipping.dependencies import SHARED, Dependency, DependencyGraph, Edge, name_in_notebook
from fal_jupyter.shipping.fingerprint import NO_PARTS, Parts, code_digest, contents_digest
from fal_jupyter.shipping.generators import is_shared
from fal_jupyter.shipping.introspection import functions_in, is_code
from fal_jupyter.shipping.reducers import travels_by_value

_SMALL = 4096  # bytes; an unnamed value below that is not listed
_SHELL_NAMES = ("get_ipython", "display", "In", "Out", "_ih", "_oh", "_dh", "exit", "quit")


@dataclass(frozen=True, slots=True)
class Capture:
    """One object of the notebook that the class captures. *size* is in bytes as pickled, 0 for objects pickled by reference.

    ``kind`` is ``variable``, ``function``, ``class`` or ``module``; ``cell`` is ``"cell [3]"`` or ``""``.
    """

    name: str
    kind: str
    size: int
    cell: str
    digest: str


@dataclass(frozen=True, slots=True)
class Part:
    """One object of an app, and the reference by which the walk reached it."""

    value: object
    capture: Capture
    edge: Edge

    @property
    def label(self) -> str:
        """Its name in fingerprints: ``function greet``. Two objects with the same name have the same label."""
        return f"{self.capture.kind} {self.capture.name}"


def parts_of(graph: DependencyGraph, separate: Parts, cell_of: Callable[[str], str]) -> Iterator[Part]:
    """Yield the parts of a class except itself, nearest first.

    *separate* are those with digests of their own (:func:`separate_parts`).

    Raises:
        NotPicklable: after the last part, if an object cannot be sent. Of several, the last one is named: earlier ones may only
            contain it.
    """
    refused = None
    for dependency in graph.dependencies:
        try:
            capture = capture_of(dependency, graph.root, cell_of, separate)
        except NotPicklable as error:
            refused = error
            continue
        if capture is not None:
            yield Part(dependency.value, capture, dependency.edge)
    if refused is not None:
        raise refused


def separate_parts(graph: DependencyGraph) -> Parts:
    """Return the objects with separate digests. Definitions that share a label are included in every digest that reaches them."""
    labels = {id(graph.root): f"class {graph.root.__name__}"}
    for dependency in graph.dependencies:
        value = dependency.value
        if is_code(value) and travels_by_value(value):
            labels[id(value)] = f"{'class' if isinstance(value, type) else 'function'} {dependency.name}"
    counts = Counter(labels.values())
    labels = {key: label for key, label in labels.items() if counts[label] == 1}
    return Parts(labels, frozenset((dependency.name, id(dependency.value)) for dependency in graph.dependencies))


def capture_of(
    dependency: Dependency, cls: type, cell_of: Callable[[str], str], parts: Parts = NO_PARTS
) -> Capture | None:
    """Measure one object that *cls* reaches; ``None`` if it is not of the notebook, or part of another object.

    *parts* are those with separate digests (:func:`separate_parts`).

    Raises:
        NotPicklable: it cannot be sent.
    """
    name, value, cell = dependency.name, dependency.value, cell_of(dependency.name)
    imported = name == "display" and not dependency.missing  # a runner shows its pictures
    if name in _SHELL_NAMES and not imported and (dependency.missing or _is_of_the_shell(name, value)):
        instead = (
            "write from IPython.display import display"
            if name == "display"
            else f"take {name} out of {dependency.via}()"
        )
        raise NotPicklable(
            f"{dependency.via}() uses {name}, which exists only in the notebook",
            hint=f"{instead}; or return what you want to see and show it in the notebook",
            where=cls.__name__,
        )
    if dependency.missing:
        return None
    if isinstance(value, types.ModuleType) and value.__name__ in sys.modules:
        return Capture(name, "module", 0, cell, "")
    if type(value) is types.FunctionType or isinstance(value, type):
        if not travels_by_value(value):
            return None
        kind = "class" if isinstance(value, type) else "function"
        return Capture(name, kind, _size(value), cell, code_digest(value, parts))
    if next(functions_in(value), None) is not None:  # a function under a cache
        return Capture(name, "function", _size(value), cell, contents_digest(value, parts))
    if travels_by_name(value):
        return None
    return _capture_of_value(dependency, cls, cell, parts)


def _capture_of_value(dependency: Dependency, cls: type, cell: str, parts: Parts) -> Capture | None:
    value, attribute = dependency.value, dependency.name.rpartition(".")[2]
    owner = dependency.attribute_of
    library = "" if owner is None else library_of(owner)
    instead = f"make it inside setup() and keep it as self.{attribute}"
    if owner is not None and library:
        subject = f"{owner.__name__} is a class of {library}, whose record of it is"
        instead = f"move {owner.__name__} to a module (a .py file beside the notebook) and import it"
    elif dependency.unnamed and "." in dependency.name:
        subject = f"the class attribute {dependency.name} is"
    elif dependency.unnamed:
        subject = f"{dependency.via}() has {dependency.name!r} as a default value,"
    else:
        origin = f", {cell}" if cell else ""
        subject = f"{dependency.via}() uses the notebook variable {dependency.name!r}{origin},"
    if (refusal := _refusal_of(dependency)) is not None:
        what, advice = refusal
        raise NotPicklable(
            f"{subject} {what}, which cannot be sent to a runner",
            hint=instead if library else f"{advice} as self.{attribute}",
            where=cls.__name__,
        )
    try:
        size = len(pickling.dumps(value))
    except Exception as error:
        raise NotPicklable(
            f"{subject} a {type(value).__name__}, which cannot be sent to a runner: {reason_of(error)}",
            hint=instead,
            where=cls.__name__,
        ) from None
    if dependency.unnamed and size < _SMALL:
        return None  # part of its class or function, and of their fingerprints
    kind = "module" if isinstance(value, types.ModuleType) else "variable"
    return Capture(dependency.name, kind, size, cell, contents_digest(value, parts))


def _refusal_of(dependency: Dependency) -> tuple[str, str] | None:
    """Describe a value that pickle accepts although it cannot be sent, and what to do instead."""
    value = dependency.value
    if isinstance(value, io.IOBase) and not isinstance(value, io.BytesIO | io.StringIO):
        name = getattr(value, "name", "?")
        return f"an open file ({name})", f"open({name!r}) inside setup() and keep it"
    if isinstance(value, types.GeneratorType | types.AsyncGeneratorType | types.CoroutineType):
        kind = type(value).__name__.replace("_", " ")
        return f"a {kind}", "make it inside setup() (or list() it first) and keep it"
    if isinstance(value, SHARED) and (dependency.unnamed or name_in_notebook(value)):
        return (
            f"a {type(value).__qualname__}, a copy of which would not act on this one",
            "make it inside setup() and keep it",
        )
    return None


def _is_of_the_shell(name: str, value: object) -> bool:
    """True if IPython bound *name*, not the user: its histories are plain lists and dicts, which IPython hides by name and identity."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    if shell is not None and shell.user_ns_hidden.get(name) is value:
        return True
    return type(value).__module__.startswith(("IPython", "ipykernel")) or (
        getattr(value, "__module__", None) or ""
    ).startswith(("IPython.core", "ipykernel"))


def travels_by_name(value: object) -> bool:
    """True for objects that a runner imports by module and name: builtins, functions and objects of libraries."""
    if is_shared(value):
        return True
    try:
        name, module = getattr(value, "__qualname__", None), getattr(value, "__module__", None)
    except Exception:  # a user's proxy without a target
        return False
    if not isinstance(name, str) or not isinstance(module, str) or module == "__main__":
        return False
    target: object = sys.modules.get(module)
    for attribute in name.split("."):
        target = getattr(target, attribute, None)
    return target is value


def _size(value: object) -> int:
    try:
        return len(pickling.dumps(value))
    except Exception:
        return 0  # its contents are refused under their own names


def reason_of(error: BaseException) -> str:
    """Return the first line of an error's text."""
    text = str(error).strip()
    if has_changed_meanwhile(error):
        return f"another thread changes it all the time ({text})"
    return text.splitlines()[0] if text else type(error).__name__


def has_changed_meanwhile(error: BaseException | None) -> bool:
    """Whether a dict, set or deque was written to while it was read (in CPython's words)."""
    return isinstance(error, RuntimeError) and str(error).endswith("during iteration")
