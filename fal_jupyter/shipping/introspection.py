"""Reads what functions, classes and values hold, without running user code: code, defaults, closures, contents."""

from __future__ import annotations

import dis
import functools
import inspect
import itertools
import types
import typing
from collections.abc import Iterator

from fal_jupyter.shipping.generators import is_shared
from fal_jupyter.shipping.reducers import is_local

ATOMS = frozenset({type(None), bool, int, float, complex, str, bytes, bytearray})
TABLES = ("__pydantic_fields__", "__dataclass_fields__", "__private_attributes__", "__attrs_attrs__", "model_config")
OF_PYTHON = ("_abc_impl", "_member_map_", "_value2member_map_", "_member_names_")
_WITHOUT_FUNCTIONS = ATOMS | {dict, list, tuple, set, frozenset}
_FIELD_MODULES = ("pydantic", "fastapi", "dataclasses", "annotated_types", "attr.")
_FIELD_ATTRIBUTES = (
    "default",
    "default_factory",
    "func",
    "dependency",
    "metadata",
    "validator",
    "converter",
    "factory",
)
_MOST_ITEMS = 10_000


class CodeReferences:
    """Names that a code object and its nested code refer to, found in one pass over the instructions.

    Attributes:
        global_lines: names looked up as globals, in order, with the line of the first use.
        imports: modules that ``import`` statements in it name, by full name and in order.
    """

    __slots__ = ("global_lines", "imports")

    def __init__(self, code: types.CodeType) -> None:
        self.global_lines: dict[str, int] = {}
        self.imports: list[str] = []
        self._scan(code)

    def _scan(self, code: types.CodeType) -> None:
        for instruction in dis.get_instructions(code):
            name = instruction.argval
            if instruction.opname in ("LOAD_GLOBAL", "LOAD_NAME", "STORE_GLOBAL") and isinstance(name, str):
                if name not in self.global_lines:
                    positions = instruction.positions
                    self.global_lines[name] = (positions.lineno if positions is not None else None) or 0
            elif instruction.opname == "IMPORT_NAME":
                self.imports.append(str(name))
        for constant in code.co_consts:
            if isinstance(constant, types.CodeType):
                self._scan(constant)


@functools.lru_cache(maxsize=1024)
def references_in(code: types.CodeType) -> CodeReferences:
    """Return what *code* refers to by name; results are cached."""
    return CodeReferences(code)


def is_code(value: object) -> typing.TypeGuard[types.FunctionType | type]:
    """True for functions and classes."""
    return type(value) is types.FunctionType or isinstance(value, type)


def is_dunder(name: str) -> bool:
    return name.startswith("__") and name.endswith("__")


def defaults_of(function: types.FunctionType) -> dict[str, object]:
    """Return the default values of a function by their parameters' names."""
    code, values = function.__code__, function.__defaults__ or ()
    names = code.co_varnames[code.co_argcount - len(values) : code.co_argcount]
    return dict(zip(names, values, strict=True)) | (function.__kwdefaults__ or {})


def closure_of(function: types.FunctionType) -> dict[str, object]:
    """Return the captured variables of a function by name; none if one of them is not bound yet."""
    cells = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
    try:
        return {name: cell.cell_contents for name, cell in cells}
    except ValueError:
        return {}


def wrapped_by(function: types.FunctionType) -> Iterator[object]:
    """Yield the functions that a decorated function may call: ``__wrapped__``, and everything in its closure."""
    yield getattr(function, "__wrapped__", None)
    for cell in function.__closure__ or ():
        try:
            yield cell.cell_contents
        except ValueError:  # not bound yet
            pass


def contents_of(value: object) -> Iterator[object]:
    """Yield the contents of a value that may contain user code. It may change meanwhile, as other threads of the kernel are running."""
    yield from typing.get_args(value)
    if isinstance(value, dict):
        yield from list(itertools.islice(value.values(), _MOST_ITEMS))
    elif isinstance(value, list | tuple | set | frozenset):
        yield from list(itertools.islice(value, _MOST_ITEMS))
    elif isinstance(value, functools.partial):
        yield from (value.func, *value.args, *value.keywords.values())
    elif isinstance(value, types.MethodType) and not is_shared(value):
        yield from (value.__func__, value.__self__)
    elif type(value).__module__.startswith(_FIELD_MODULES):
        yield from (getattr(value, name, None) for name in _FIELD_ATTRIBUTES)
    elif is_local(type(value)):
        yield type(value)
        yield from list(getattr(value, "__dict__", {}).values())


def functions_in(member: object) -> Iterator[types.FunctionType]:
    """Yield the functions behind a class member or a value: methods, properties, caches and other wrappers."""
    if type(member) is types.FunctionType:
        yield member
    elif type(member) in _WITHOUT_FUNCTIONS:
        return
    elif isinstance(member, staticmethod | classmethod):
        yield from functions_in(member.__func__)
    elif isinstance(member, property):
        for function in (member.fget, member.fset, member.fdel):
            yield from functions_in(function)
    elif isinstance(member, functools.cached_property):
        yield from functions_in(member.func)
    elif not isinstance(member, type):
        for name in ("function", "__wrapped__"):
            inner = inspect.getattr_static(member, name, None)  # static: a user's attribute may run code
            if type(inner) is types.FunctionType:
                yield inner


def own_functions(value: object) -> list[types.FunctionType]:
    """Return the functions that make up *value*: the methods of a class, including properties and wrapped ones."""
    if not isinstance(value, type):
        return list(functions_in(value))
    return [function for member in vars(value).values() for function in functions_in(member)]
