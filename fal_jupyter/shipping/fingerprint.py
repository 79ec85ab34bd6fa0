"""Fingerprints: the parts of an app whose change requires a new revision, each with name and hash."""

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
import weakref
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from cloudpickle import cloudpickle

from fal_jupyter.domain.environments.runner_variables import LOCAL_KEY, client_hosts
from fal_jupyter.domain.spec import AppSpec
from fal_jupyter.protocol.api import Environment
from fal_jupyter.shipping import pickling
from fal_jupyter.shipping.introspection import ATOMS, defaults_of, functions_in, is_code, own_functions, references_in
from fal_jupyter.shipping.reducers import is_open_of_ipython, made_by_library, travels_by_value

_VOLATILE = ("JPY_", "FAL_JUPYTER_", "COLUMNS", "LINES", "PWD", "OLDPWD", "SHLVL", "_", "PYTEST_CURRENT_TEST")
_SCALING = "option "
# Members of classes that Python or a library fills on use, or that hold the location of a class.
_BY_CHANCE = ("__firstlineno__", "__static_attributes__", "__slotnames__", "__attrs_types_resolved__")
# If a model is redefined before a model that it refers to, pydantic resolves the field's type to the former definition.
_OF_FIELD_ALONE = (
    "annotation",
    "_original_annotation",
    "_original_assignment",
    "_attributes_set",
    "_complete",
    "evaluated",
)


def digest(data: bytes) -> str:
    """A short hash, for comparison only."""
    return hashlib.sha256(data).hexdigest()[:32]


def fingerprint_of_spec(spec: AppSpec) -> dict[str, str]:
    """One part per option; scaling options apply to running runners, the others require new ones."""
    data = spec.to_json()
    parts = {f"{_SCALING}{name}": str(value) for name, value in asdict(spec.scaling).items()}
    parts |= {f"{_SCALING}app_auth": spec.auth, f"{_SCALING}cors": " ".join(spec.cors)}
    parts[f"{_SCALING}retries"] = json.dumps(data["retry"])
    for name in ("machine_type", "num_gpus", "requirements", "secrets"):
        parts[f"{name}"] = json.dumps(data[name])
    return parts


def fingerprint_of_environment(environment: Environment) -> dict[str, str]:
    """One part per environment variable (hashed, never in clear text), the working directory, the path, the interpreter."""
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
    """True for a gateway's key and its hosts, as set by ``fal-jupyter env``: a runner gets its own instead."""
    return (name == "FAL_KEY" or name in client_hosts(0)) and env.get("FAL_KEY", "").startswith(LOCAL_KEY)


@dataclass(frozen=True, slots=True)
class Parts:
    """Objects with separate digests, apart from the one being digested.

    Attributes:
        labels: those of classes and functions, by identity; in other digests only their labels are included.
        globals: names and identities of objects that functions of the notebook look up by name.
    """

    labels: Mapping[int, str] = field(default_factory=dict)
    globals: frozenset[tuple[str, int]] = frozenset()


NO_PARTS = Parts()


def code_digest(definition: type | types.FunctionType, parts: Parts = NO_PARTS) -> str:
    """Digest a function or class of the notebook: its source without comments and white space, and the values in it.

    Without a source, the code objects are used. Objects that it reaches by name have separate digests.

    Args:
        parts: objects with separate digests.
    """
    return contents_digest([_source(definition), _Members(definition)], parts)


def contents_digest(value: object, parts: Parts = NO_PARTS) -> str:
    """Digest the contents of *value*: equal in every process and for classes redefined by the same source."""
    try:
        return _Contents.digest_of(value, _Scope(parts))
    except Exception:
        pass  # an object that can only be pickled; its bytes may vary, and then runners are rebuilt
    try:
        return digest(pickling.dumps(value))
    except Exception:  # reported when it is packed
        return digest(repr(type(value)).encode())


class _Members:
    """Wraps the contents of a class or function, which itself would be digested only by name."""

    def __init__(self, definition: type | types.FunctionType) -> None:
        self.definition = definition


class _Scope:
    """State of one digest: other *parts*, the enclosing objects, and the replacements of objects seen so far."""

    def __init__(self, parts: Parts) -> None:
        self.parts = parts
        self.done: dict[int, tuple[object, object]] = {}  # by identity: the object, its replacement
        self.entered: list[object] = []

    def once(self, obj: object, content: Callable[[], object]) -> Any:
        """Return the replacement of *obj*, which may contain itself: a nested occurrence is replaced by its depth."""
        if id(obj) in self.done:
            return self.done[id(obj)][1]
        for depth, other in enumerate(self.entered):
            if obj is other:
                return "entered", len(self.entered) - depth
        self.entered.append(obj)
        try:
            result = content()
        finally:
            self.entered.pop()
        self.done[id(obj)] = obj, result
        return result


class _Contents(pickling.Pickler):
    """A pickler for digests only: code is replaced by name and digest, sets are sorted; its bytes are never loaded."""

    def __init__(self, file: Any, scope: _Scope) -> None:
        super().__init__(file, protocol=5)
        self._scope = scope

    @classmethod
    def digest_of(cls, value: object, scope: _Scope) -> str:
        """Digest *value*."""
        buffer = io.BytesIO()
        cls(buffer, scope).dump(value)
        return digest(buffer.getvalue())

    def _digest(self, value: object) -> str:
        return self.digest_of(value, self._scope)

    def persistent_id(self, obj: Any) -> object:
        kind = type(obj)
        if kind is str:  # as a new object: the identity of equal strings is arbitrary
            return b"text " + obj.encode("utf-8", "surrogatepass")
        if kind is bytes:
            return b"bytes " + obj
        if kind in (int, float, bool, dict, list, tuple):
            return None
        if isinstance(obj, set | frozenset | weakref.WeakSet):
            return self._digest_of_set(obj)
        if kind is _Members:
            return "members", self._scope.once(obj.definition, lambda: self._members(obj.definition))
        if is_code(obj) and travels_by_value(obj):
            if id(obj) in self._scope.parts.labels:
                return "part", self._scope.parts.labels[id(obj)]
            return "code", obj.__qualname__, self._scope.once(obj, lambda: self._members(obj))
        return self._stand_in(obj, kind)

    def _stand_in(self, obj: Any, kind: type) -> object:
        """Return the replacement of a library's object that contains varying data: addresses, counters, locations."""
        match f"{kind.__module__}.{kind.__name__}":
            case "pydantic.type_adapter.TypeAdapter":  # addresses in its schema
                return kind.__name__, self._digest([obj._type, obj._config])
            case "pydantic._internal._decorators.Decorator":  # an address in cls_ref
                return kind.__name__, obj.cls_var_name, self._digest_of_member(obj.info)
            case "pydantic.fields.FieldInfo":  # its type is in the class's own annotations
                names = [name for name in kind.__slots__ if name not in _OF_FIELD_ALONE]  # type: ignore[attr-defined]
                return kind.__name__, self._digest([getattr(obj, name, None) for name in names])
            case "pydantic.fields.ModelPrivateAttr":  # the other attributes are filled on first use
                return kind.__name__, self._digest([obj.default, obj.default_factory])
        torch: Any = sys.modules.get("torch")
        if hasattr(torch, "Tensor") and isinstance(obj, torch.Tensor):
            return _tensor(torch, obj)
        if hasattr(torch, "nn") and isinstance(obj, torch.nn.Module) and _travels_as(kind, torch.nn.Module):
            state = obj.__reduce_ex__(2)[2]
            return "module", self._scope.once(obj, lambda: self._digest([kind, _without_hook_ids(state)]))
        if kind.__name__ in ("TypeVar", "ParamSpec", "TypeVarTuple"):
            return kind.__name__, obj.__name__, getattr(obj, "__bound__", None), getattr(obj, "__constraints__", ())
        return None

    def _digest_of_set(self, items: Any) -> object:
        kind = type(items)
        tokens = self._scope.once(items, lambda: sorted(map(self._token, items)))
        if kind in (set, frozenset, weakref.WeakSet):
            return kind.__name__, tokens
        return kind.__name__, tokens, self._digest([kind, getattr(items, "__dict__", None)])

    def _token(self, item: object) -> str:
        """Return a sort key for an item of a set; optimized for large sets of strings."""
        return f"{type(item).__name__} {item!r}" if type(item) in ATOMS else self._digest(item)

    def _members(self, definition: type | types.FunctionType) -> dict[str, str]:
        """Return a digest of each object that a function or class holds; objects that cannot be pickled are digested by type."""
        if type(definition) is types.FunctionType:
            members = _members_of_function(definition) | self._globals_of(definition)
        else:
            members = _members_of_class(definition)
        return {name: self._digest_of_member(member) for name, member in sorted(members.items())}

    def _globals_of(self, function: types.FunctionType) -> dict[str, object]:
        """Return the globals of a function of the notebook that are not digested elsewhere: one held by a library's object."""
        namespace = function.__globals__
        if namespace.get("__name__") != "__main__":
            return {}
        names = references_in(function.__code__).global_lines
        known = self._scope.parts.globals
        return {
            f"global {name}": namespace[name]
            for name in names
            if name in namespace
            and (name, id(namespace[name])) not in known
            and not is_open_of_ipython(namespace[name])
        }

    def _digest_of_member(self, member: object) -> str:
        if isinstance(member, enum.Enum):
            member = member.value
        try:
            return self._digest(member)
        except Exception:
            functions = list(functions_in(member))
        return contents_digest([type(member).__name__, functions] if functions else member, self._scope.parts)


def _travels_as(kind: type, base: type) -> bool:
    """True if a class inherits the pickling of its instances from *base*."""
    own = ("__reduce__", "__reduce_ex__", "__getstate__")
    return all(getattr(kind, name, None) is getattr(base, name, None) for name in own)


def _without_hook_ids(state: Mapping[str, object]) -> dict[str, object]:
    """Return the attributes of a torch module with its hooks as lists: their keys count all hooks of the process."""
    return {
        name: list(value.values()) if "_hooks" in name and isinstance(value, OrderedDict) else value
        for name, value in state.items()
    }


def _tensor(torch: Any, tensor: Any) -> tuple[Any, ...]:
    """Return the replacement of a tensor, independent of its storage: kind, shape and bytes."""
    kind = ("tensor", str(tensor.dtype), tuple(tensor.shape), tensor.requires_grad)
    if tensor.is_meta:
        return (*kind, "meta")
    if tensor.layout is not torch.strided:
        dense = tensor.detach().coalesce() if tensor.layout is torch.sparse_coo else tensor.detach()
        names = ("indices", "crow_indices", "ccol_indices", "col_indices", "row_indices", "values")
        held = [getattr(dense, name)() for name in names if _has_table(dense, name)]
        return (*kind, str(tensor.layout), *(_tensor(torch, table) for table in held))
    flat = tensor.detach().cpu().contiguous().reshape(-1)
    return (*kind, flat.view(torch.uint8).numpy().tobytes())


def _has_table(tensor: object, name: str) -> bool:
    try:
        getattr(tensor, name)()
    except (AttributeError, RuntimeError):  # a table of another layout
        return False
    return True


def _members_of_function(function: types.FunctionType) -> dict[str, object]:
    if (made := made_by_library(function)) is not None:
        return {"made of": made[1:3]}  # its closure holds compiled objects of the library, including addresses
    return vars(function) | {
        "__code__": _code(function.__code__),
        "__doc__": function.__doc__,
        "__defaults__": defaults_of(function),
        "__closure__": _closure(function),
        "__annotations__": pickling.resolved(function),
    }


def _members_of_class(cls: type) -> dict[str, object]:
    """Return what is sent of a class, without parts that vary without a change."""
    reduced = pickling.Pickler(io.BytesIO()).reducer_override(cls)
    if not isinstance(reduced, tuple):
        return {}
    _, arguments, *rest = reduced
    tracker = cloudpickle._get_or_create_tracker_id(cls)
    states = rest[0] if rest and isinstance(rest[0], tuple) else rest[:1]
    members = {name: member for state in states if isinstance(state, dict) for name, member in state.items()}
    members = {name: member for name, member in members.items() if not (name in _BY_CHANCE or _is_generated(member))}
    if "_abc_impl" in members:  # registered classes, ordered by address
        members["_abc_impl"] = frozenset(members["_abc_impl"]) - {None}
    if "__attrs_attrs__" in vars(cls):
        members["__attrs_attrs__"] = [
            [getattr(attribute, name, None) for name in attribute.__slots__]
            for attribute in vars(cls)["__attrs_attrs__"]
        ]
    return members | {"": [one for one in arguments if not (isinstance(one, str) and one == tracker)]}


def _is_generated(member: object) -> bool:
    """True for a method generated by attrs: its hash contains a random number, and its list of fields has the same information."""
    return type(member) is types.FunctionType and member.__code__.co_filename.startswith("<attrs generated")


def _closure(function: types.FunctionType) -> list[object]:
    values = []
    for cell in function.__closure__ or ():
        try:
            values.append(cell.cell_contents)
        except ValueError:  # not bound yet
            values.append(None)
    return values


def _source(definition: type | types.FunctionType) -> object:
    functions = own_functions(definition)
    for function in functions:
        text = "".join(linecache.getlines(function.__code__.co_filename))
        if text and (node := _find(text, definition, function.__code__.co_firstlineno)) is not None:
            return ast.dump(node)
    return [_code(f.__code__) for f in functions if not _is_generated(f)]


def _find(text: str, definition: Any, line: int) -> ast.AST | None:
    """Return the innermost definition of that name around *line*."""
    innermost = None
    for node, first in _definitions(text):
        here = first <= line <= (node.end_lineno or first) and (isinstance(definition, type) or first == line)
        if here and node.name == definition.__name__:
            innermost = node
    return innermost


@functools.lru_cache(maxsize=32)
def _definitions(text: str) -> list[tuple[ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef, int]]:
    """Return the definitions in a cell, outer ones first, with the first line of each, including decorators."""
    try:
        tree = ast.parse(textwrap.dedent(text))
    except SyntaxError:
        return []
    return [
        (node, min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)]))
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
    ]


def _code(code: types.CodeType) -> object:
    return (
        code.co_code,
        code.co_names,
        code.co_varnames,
        code.co_exceptiontable,
        (code.co_flags, code.co_argcount, code.co_kwonlyargcount, code.co_posonlyargcount),
        [_code(c) if isinstance(c, types.CodeType) else c for c in code.co_consts],
    )
