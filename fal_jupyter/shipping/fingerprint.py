"""Fingerprints: the parts whose change means that an app is another one, each by name and hash."""

from __future__ import annotations

import ast
import enum
import functools
import hashlib
import io
import json
import linecache
import sys
import textwrap
import types
from collections.abc import Callable, Mapping
from typing import Any

from fal_jupyter.domain.environments.runner_variables import LOCAL_KEY, client_hosts
from fal_jupyter.domain.spec import AppSpec
from fal_jupyter.protocol.api import Environment
from fal_jupyter.shipping import pickling
from fal_jupyter.shipping.classes import is_derived
from fal_jupyter.shipping.introspection import OF_PYTHON, TABLES, defaults_of, functions_in, is_dunder, own_functions
from fal_jupyter.shipping.reducers import is_local

_VOLATILE = ("JPY_", "FAL_JUPYTER_", "COLUMNS", "LINES", "PWD", "OLDPWD", "SHLVL", "_", "PYTEST_CURRENT_TEST")
_SCALING = "option "


def digest(data: bytes) -> str:
    """A short hash, for comparing only."""
    return hashlib.sha256(data).hexdigest()[:32]


def fingerprint_of_spec(spec: AppSpec) -> dict[str, str]:
    """One part an option; those of scaling act on live runners, the others need new ones."""
    data = spec.to_json()
    parts = {f"{_SCALING}{name}": str(value) for name, value in data["scaling"].items()}
    parts |= {f"{_SCALING}app_auth": spec.auth, f"{_SCALING}cors": " ".join(spec.cors)}
    parts[f"{_SCALING}retries"] = json.dumps(data["retry"])
    for name in ("machine_type", "num_gpus", "requirements", "secrets"):
        parts[f"{name}"] = json.dumps(data[name])
    return parts


def fingerprint_of_environment(environment: Environment) -> dict[str, str]:
    """One part an environment variable (hashed, never in clear), the working directory, the path, the interpreter."""
    parts = {
        f"%env {name}": digest(value.encode("utf-8", "surrogateescape"))
        for name, value in environment["env"].items()
        if not _is_of_gateway(name, environment["env"])
        and not any(name == v or (v.endswith("_") and len(v) > 1 and name.startswith(v)) for v in _VOLATILE)
    }
    parts["the working directory"] = environment["cwd"]
    parts["sys.path"] = digest(json.dumps(environment["sys_path"]).encode())
    parts["the interpreter"] = environment["python"]
    return parts


def _is_of_gateway(name: str, env: Mapping[str, str]) -> bool:
    """True for a gateway's key and its hosts, as ``fal-jupyter env`` gives them: a runner gets its own in their place."""
    return (name == "FAL_KEY" or name in client_hosts(0)) and env.get("FAL_KEY", "").startswith(LOCAL_KEY)


def code_digest(definition: type | types.FunctionType) -> str:
    """Digest a function or class of the notebook: its source without comments and white space, and the values in it.

    The code objects stand for the source where there is none. What it reaches by name has digests of its own.
    """
    return contents_digest([_source(definition), _Contents.parts(definition)])


def contents_digest(value: object) -> str:
    """Digest what *value* holds: the same in every process and for classes defined anew by the same source."""
    try:
        return _Contents.digest_of(value, (), {})
    except Exception:
        pass  # an object that can be packed only; its bytes may differ where it does not, and then runners are rebuilt
    try:
        return digest(pickling.dumps(value))
    except Exception:  # named where it matters: when it is packed
        return digest(repr(type(value)).encode())


class _Contents(pickling.Pickler):
    """Code stands for itself by name and digest, sets are put in order; nothing is ever loaded from its bytes."""

    def __init__(
        self, file: Any, entered: tuple[Any, ...] = (), done: dict[int, tuple[Any, Any]] | None = None
    ) -> None:
        super().__init__(file, protocol=5)
        self._entered = entered  # sets and functions that this is inside of
        self._done: dict[int, tuple[Any, Any]] = (
            {} if done is None else done
        )  # by identity: the object, what stands for it

    @classmethod
    def digest_of(cls, value: object, entered: tuple[object, ...], done: dict[int, tuple[Any, Any]]) -> str:
        """Digest *value*, which is inside of what was *entered*."""
        buffer = io.BytesIO()
        cls(buffer, entered, done).dump(value)
        return digest(buffer.getvalue())

    def _once(self, obj: object, parts: Callable[[tuple[object, ...]], object]) -> Any:
        """Give what stands for *obj*, which may hold itself."""
        if id(obj) in self._done:
            return self._done[id(obj)][1]
        if any(obj is other for other in self._entered):
            return None
        result = parts((*self._entered, obj))
        self._done[id(obj)] = obj, result
        return result

    def persistent_id(self, obj: Any) -> Any:
        kind = type(obj)
        if kind is str:  # as a new object: whether equal texts are one object is chance
            return b"text " + obj.encode("utf-8", "surrogatepass")
        if kind is bytes:
            return b"bytes " + obj
        if kind in (int, float, bool, dict, list, tuple):
            return None
        if kind in (set, frozenset):
            return kind.__name__, self._once(obj, lambda e: sorted(self.digest_of(i, e, self._done) for i in obj))
        if isinstance(obj, type) and is_local(obj):
            return "class", obj.__qualname__
        if kind is types.FunctionType and is_local(obj):
            inside = self._once(obj, lambda e: self.digest_of([_code(obj.__code__), self.parts(obj)], e, self._done))
            return ("function", obj.__qualname__) if inside is None else ("function", obj.__qualname__, inside)
        torch: Any = sys.modules.get("torch")
        if hasattr(torch, "Tensor") and isinstance(obj, torch.Tensor):
            flat = obj.detach().cpu().contiguous().reshape(-1)
            return (
                "tensor",
                str(obj.dtype),
                tuple(obj.shape),
                obj.requires_grad,
                flat.view(torch.uint8).numpy().tobytes(),
            )
        if kind.__name__ in ("TypeVar", "ParamSpec", "TypeVarTuple"):
            return kind.__name__, obj.__name__, getattr(obj, "__bound__", None), getattr(obj, "__constraints__", ())
        return None

    @staticmethod
    def parts(definition: type | types.FunctionType) -> dict[str, Any]:
        """Give the values that a function or class holds, those of its methods among them."""
        if type(definition) is types.FunctionType:
            return {"defaults": defaults_of(definition), "closure": _closure(definition)}
        own = {name: member for name, member in vars(definition).items() if _counts(name, member)}
        return {
            "members": {name: _digest_of_member(member) for name, member in sorted(own.items())},
            "annotations": contents_digest(pickling.own_annotations(definition)),
            "bases": [base.__qualname__ for base in definition.__bases__],
            "doc": definition.__doc__,
        }


def _counts(name: str, member: object) -> bool:
    if is_derived(member):
        return False
    return name in TABLES or not (is_dunder(name) or name in OF_PYTHON)


def _digest_of_member(member: object) -> str:
    if isinstance(member, enum.Enum):
        return contents_digest(member.value)
    functions = list(functions_in(member))
    if functions and type(member) is not types.FunctionType:
        return contents_digest([type(member).__name__, functions])
    return contents_digest(member)


def _closure(function: types.FunctionType) -> list[Any]:
    values = []
    for cell in function.__closure__ or ():
        try:
            values.append(cell.cell_contents)
        except ValueError:  # not bound yet
            values.append(None)
    return values


def _source(definition: type | types.FunctionType) -> Any:
    functions = own_functions(definition)
    for function in functions:
        text = "".join(linecache.getlines(function.__code__.co_filename))
        if text and (node := _find(text, definition, function.__code__.co_firstlineno)) is not None:
            return ast.dump(node)
    return [_code(f.__code__) for f in functions]


def _find(text: str, definition: Any, line: int) -> ast.AST | None:
    """Give the definition of that name that *line* is in, the innermost of them."""
    innermost = None
    for node, first in _definitions(text):
        here = first <= line <= (node.end_lineno or first) and (isinstance(definition, type) or first == line)
        if here and node.name == definition.__name__:
            innermost = node
    return innermost


@functools.lru_cache(maxsize=32)
def _definitions(text: str) -> list[tuple[ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef, int]]:
    """Give the definitions in a cell, outer ones first, and the first line of each, decorators included."""
    try:
        tree = ast.parse(textwrap.dedent(text))
    except SyntaxError:
        return []
    return [
        (node, min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)]))
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
    ]


def _code(code: types.CodeType) -> Any:
    return (
        code.co_code,
        code.co_names,
        code.co_varnames,
        (code.co_flags, code.co_argcount, code.co_kwonlyargcount, code.co_posonlyargcount),
        [_code(c) if isinstance(c, types.CodeType) else c for c in code.co_consts],
    )
