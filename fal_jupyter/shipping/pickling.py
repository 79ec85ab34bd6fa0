"""cloudpickle, with fixes for classes from cells that would otherwise lose something.

* Pydantic models are sent without their compiled core schema, validator and serializer, which hold the sender's types;
  they are compiled again in the runner, after all of them are loaded (one compiled earlier would include a half-built
  neighbour: measured on 2.12, a model used twice inside another lost all its data).
* Annotations are resolved first: the runner has no notebook in which to look up a string.
* dataclasses' and FastAPI's sentinels are compared by identity, so they are sent by name.
* Objects that pickle would look up by a missing name are rebuilt (`reducers`, `classes`).
* An open file is refused; cloudpickle would silently ship its text as a StringIO.
"""

from __future__ import annotations

import ast
import builtins
import copy
import copyreg
import inspect
import io
import pickle
import sys
import types
import typing
from typing import Any

import cloudpickle

from fal_jupyter.fal.adopt import foreign_home, ours_of
from fal_jupyter.fal.classes.remote import RemoteEndpoint
from fal_jupyter.shipping import constructors, reducers, unpacking
from fal_jupyter.shipping.classes import reduce_class, reduce_type_of_ctypes
from fal_jupyter.shipping.hints import hints_one_by_one
from fal_jupyter.shipping.reducers import is_local

_COMPILED = (
    "__pydantic_core_schema__", "__pydantic_validator__", "__pydantic_serializer__", "__signature__",
    "__pydantic_setattr_handlers__", "__pydantic_parent_namespace__",
)  # fmt: skip
_NEW_OBJECT = vars(copyreg)["__newobj__"]
_TYPED_DICT_STATE = ("__total__", "__doc__", "__closed__", "__extra_items__", "__pydantic_config__")
_SENTINELS = {
    "dataclasses": ("_FIELD", "_FIELD_CLASSVAR", "_FIELD_INITVAR", "MISSING", "KW_ONLY", "_HAS_DEFAULT_FACTORY"),
    "fastapi.datastructures": ("_Unset",),
}


class _MainNamespace:
    """Placeholder for the globals of the notebook's definitions: in the runner those of its ``__main__``, so that names are found there."""

    def __reduce__(self) -> Any:
        return constructors.main_namespace, ()


class Pickler(cloudpickle.Pickler):  # type: ignore[misc]
    """The pickler of shipments. *named* are the functions and classes of the notebook seen so far, by name."""

    def __init__(self, file: io.BytesIO, protocol: int = 5) -> None:
        super().__init__(file, protocol=protocol)
        self.named: dict[str, object] = {}
        self._main = vars(sys.modules["__main__"])
        self._namespace = _MainNamespace()
        self._owners: dict[int, tuple[object, int]] = {}  # of the parameters of aliases: alias and position

    def _name(self, definition: Any) -> None:
        name = getattr(definition, "__qualname__", definition.__name__)
        if (
            definition.__module__ == "__main__"
            and name.isidentifier()
            and self._main.get(name, definition) is definition
        ):
            self.named[name] = definition  # neither a wrapped function nor one redefined by a later cell

    def _function_getnewargs(self, func: types.FunctionType) -> object:
        code, namespace, *rest = super()._function_getnewargs(func)
        self._name(func)
        return code, self._namespace if func.__globals__ is self._main else namespace, *rest

    def reducer_override(self, obj: object) -> object:
        if (foreign := foreign_home(obj)) is not None:
            return ours_of, foreign
        if type(obj) is RemoteEndpoint:  # its ``__class__`` is that of a function
            return obj.__reduce__()
        if reducers.is_open_of_ipython(obj):
            return constructors.look_up, ("builtins", "open")
        if isinstance(obj, io.IOBase) and not isinstance(obj, io.BytesIO | io.StringIO):
            raise pickle.PicklingError("an open file")
        if (
            type(obj) is types.CodeType
        ):  # cloudpickle from 3.1.3 on drops the file name, so tracebacks would have no source lines
            make, arguments = self.dispatch_table[types.CodeType](obj)
            return constructors.code, (obj.co_filename, make, arguments)
        if (sentinel := _sentinel(obj)) is not None:
            return constructors.look_up, sentinel
        if type(obj).__name__ in reducers.TYPE_PARAMETERS and id(obj) in self._owners:
            return constructors.type_parameter_of, self._owners[id(obj)]
        if type(obj).__name__ == "TypeAliasType" and is_local(obj):
            return self._reduce_alias(obj)
        if (reduced := reducers.reduce(obj)) is not None or (reduced := reducers.made_by_library(obj)) is not None:
            return reduced
        if isinstance(obj, type) and obj.__module__ == "builtins" and not hasattr(builtins, obj.__name__):
            home = home_of(obj)
            if home is not None:
                return constructors.look_up, (home, obj.__name__)
        if isinstance(obj, type) and (reduced := reduce_type_of_ctypes(obj)) is not None:
            return reduced
        if isinstance(obj, type) and obj.__module__ == "__main__":
            self._name(obj)
            return self._reduce_class(obj)
        if isinstance(getattr(type(obj), "__new__", None), types.FunctionType) and is_local(type(obj)):
            return _without_new(obj)
        return super().reducer_override(obj)

    def _reduce_alias(self, alias: Any) -> object:
        """An alias may contain itself: by name, which is looked up in ``__main__``, or (a ``type`` statement) directly."""
        self._name(alias)
        self.named |= {name: self._main[name] for name in _names_in(alias.__value__) if name in self._main}
        if type(alias) is not getattr(typing, "TypeAliasType", None):
            return constructors.alias, (type(alias), alias.__name__, alias.__value__, alias.__type_params__)
        parameters = alias.__type_params__
        self._owners |= {id(parameter): (alias, index) for index, parameter in enumerate(parameters)}
        declared = tuple(reducers.declaration(parameter) for parameter in parameters)
        state = (alias.__value__, [reducers.limits(parameter) for parameter in parameters])
        return constructors.native_alias, (alias.__name__, declared), state, None, None, constructors.set_native_alias

    def _reduce_class(self, cls: type) -> object:
        if type(cls).__name__ == "_TypedDictMeta":
            return _reduce_typed_dict(cls)
        if (generic := parametrized_from(cls)) is not None:
            return unpacking.parametrize, generic
        _complete(cls)
        make, arguments, (members, *more), setter = reduce_class(cls)
        if "__annotations__" in cls.__dict__:
            members["__annotations__"] = own_annotations(cls)
        if "__dataclass_fields__" in cls.__dict__:
            members["__dataclass_fields__"] = _resolved_fields(cls)
        if "__pydantic_core_schema__" in cls.__dict__ or "__pydantic_validator__" in cls.__dict__:
            for name in _COMPILED:
                members.pop(name, None)
            setter = unpacking.set_pydantic_state
        return make, arguments, (members, *more), None, None, setter

    def _dynamic_function_reduce(self, func: types.FunctionType) -> object:
        make, arguments, (members, slots), *rest = super()._dynamic_function_reduce(func)
        if any(isinstance(hint, str) for hint in func.__annotations__.values()):
            slots = {**slots, "__annotations__": resolved(func)}
        if parameters := getattr(func, "__type_params__", ()):
            slots = {**slots, "__type_params__": parameters}
        return make, arguments, (members, slots), *rest


def parametrized_from(cls: type) -> tuple[type, tuple[object, ...]] | None:
    """Return the generic model and the arguments from which pydantic created *cls* (``Page[int]``), or None."""
    generic = cls.__dict__.get("__pydantic_generic_metadata__")
    return (generic["origin"], generic["args"]) if generic and generic["origin"] is not None else None


def _without_new(obj: object) -> object:
    """Rebuild an instance without the ``__new__`` of its class, which may require arguments; pickle would call it without any."""
    reduced = obj.__reduce_ex__(4)
    if isinstance(reduced, tuple) and reduced[:2] == (_NEW_OBJECT, (type(obj),)):
        return object.__new__, *reduced[1:]
    return reduced


def _sentinel(obj: object) -> tuple[str, str] | None:
    """Return module and name of a value that dataclasses or FastAPI compare by identity."""
    module = type(obj).__module__
    names = _SENTINELS.get(module, ())
    return next(((module, name) for name in names if obj is getattr(sys.modules[module], name, None)), None)


def _names_in(hint: object) -> set[str]:
    """Return the names in the string annotations of a type."""
    text = getattr(hint, "__forward_arg__", hint)
    if isinstance(text, str):
        try:
            tree = ast.parse(text, mode="eval")
        except SyntaxError:
            return set()
        return {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    parts = hint if isinstance(hint, list | tuple) else typing.get_args(hint)
    return set().union(*(_names_in(part) for part in parts if typing.get_origin(hint) is not typing.Literal))


def _complete(cls: type) -> None:
    """Resolve a model's references to models defined after it, as pydantic does on first use."""
    if cls.__dict__.get("__pydantic_complete__") is not False:
        return
    names = vars(sys.modules.get("__main__", types.ModuleType("none")))
    if hasattr(cls, "model_rebuild"):
        cls.model_rebuild(raise_errors=False, _types_namespace=names)
    else:
        from pydantic.dataclasses import rebuild_dataclass  # start-up

        rebuild_dataclass(cls, raise_errors=False, _types_namespace=names)


def _reduce_typed_dict(cls: type) -> object:
    """First an empty one, so that it may refer to itself, then its keys, including those of its bases."""
    state = {name: value for name, value in vars(cls).items() if name.endswith("_keys__") or name in _TYPED_DICT_STATE}
    arguments = (type(cls).__module__, cls.__name__, getattr(cls, "__parameters__", ()))
    return (
        constructors.typed_dict,
        arguments,
        state | {"__annotations__": resolved(cls)},
        None,
        None,
        constructors.set_attributes,
    )


def home_of(kind: Any) -> str | None:
    """The actual module of a compiled class that claims "builtins" (extension modules that do not set their name)."""
    for name, module in sys.modules.copy().items():  # list() could trigger garbage collection, and with it imports
        if name.startswith("__") or getattr(module, "__name__", "") != name:
            continue  # the notebook itself, and its aliases
        if getattr(module, "__dict__", {}).get(kind.__name__) is kind:
            return name
    return None


def resolved(definition: object) -> dict[str, object]:
    """Return the annotations of a function or class with every string resolved; one by one if one of them fails."""
    names = {**vars(sys.modules.get("__main__", types.ModuleType("none"))), **_own_name(definition)}
    try:
        hints = typing.get_type_hints(definition, globalns=None, localns=names, include_extras=True)
    except Exception:
        return hints_one_by_one(definition, names)
    if type(definition) is types.FunctionType:
        return {name: hints.get(name, hint) for name, hint in definition.__annotations__.items()}
    return hints


def own_annotations(cls: type) -> dict[str, object]:
    """The class's own annotations, in its own order, resolved."""
    hints = resolved(cls)
    return {name: hints.get(name, hint) for name, hint in inspect.get_annotations(cls).items()}


def _own_name(definition: object) -> dict[str, object]:
    return {definition.__name__: definition} if isinstance(definition, type) else {}


def _resolved_fields(cls: type) -> dict[str, object]:
    hints = resolved(cls)
    fields = {}
    for name, field in cls.__dict__["__dataclass_fields__"].items():
        fields[name] = copy.copy(field)
        fields[name].type = hints.get(name, field.type)
    return fields


def dumps(value: object) -> bytes:
    """Pickle *value*, by value if it is from the notebook."""
    return _dumped(value)[0].getvalue()


def dumps_shipment(value: object) -> bytes:
    """Pickle *value* as :func:`dumps` does, and after it the notebook's names that it needs, for :func:`unpacking.unpack`."""
    buffer, pickler = _dumped(value)
    pickler.dump(dict(pickler.named))
    return buffer.getvalue()


def _dumped(value: object) -> tuple[io.BytesIO, Pickler]:
    buffer = io.BytesIO()
    pickler = Pickler(buffer)
    pickler.dump(value)
    return buffer, pickler
