"""cloudpickle, with the places mended where classes from cells lose something on the way.

* Pydantic models travel without their compiled core schema, validator and serializer, which hold the sender's types;
  they are compiled again on arrival, all of them after all have arrived (one compiled earlier would bake in a half-built
  neighbour: measured on 2.12, a model used twice inside another lost all its data).
* Annotations are resolved first: on arrival there is no notebook to look a string up in.
* dataclasses' and FastAPI's sentinels are compared by identity, so they travel by name.
* TypedDicts, NewTypes and what ``functools`` caches are made anew; pickle would look up names that are not there.
* An open file is refused; cloudpickle would ship its text as a StringIO without a word.
"""

from __future__ import annotations

import builtins
import copy
import dataclasses
import functools
import inspect
import io
import pickle
import sys
import types
import typing
from typing import Any

import cloudpickle

from fal_jupyter.fal.adopt import foreign_home, ours_of
from fal_jupyter.shipping import unpacking

_COMPILED = (
    "__pydantic_core_schema__", "__pydantic_validator__", "__pydantic_serializer__", "__signature__",
    "__pydantic_setattr_handlers__", "__pydantic_parent_namespace__",
)  # fmt: skip
_TYPED_DICT_STATE = ("__total__", "__doc__", "__closed__", "__extra_items__", "__pydantic_config__")
_CachedFunction = type(functools.lru_cache(len))
_SENTINELS = ("_FIELD", "_FIELD_CLASSVAR", "_FIELD_INITVAR", "MISSING", "KW_ONLY", "_HAS_DEFAULT_FACTORY")


def is_local(thing: Any) -> bool:
    """True when *thing* (a class or function) was defined in the notebook or script, so that it travels by value."""
    return getattr(thing, "__module__", None) in ("__main__", None)


class _MainNamespace:
    """Stands for the globals of what the notebook defined: on arrival those of the receiver's ``__main__``, so that names are found there."""

    def __reduce__(self) -> Any:
        return unpacking.main_namespace, ()


class Pickler(cloudpickle.Pickler):  # type: ignore[misc]
    """The pickler of shipments. *named* are the functions and classes of the notebook that it has met, by name."""

    def __init__(self, file: io.BytesIO, protocol: int = 5) -> None:
        super().__init__(file, protocol=protocol)
        self.named: dict[str, Any] = {}
        self._main = vars(sys.modules["__main__"])
        self._namespace = _MainNamespace()

    def _name(self, thing: Any) -> None:
        name = thing.__qualname__
        if thing.__module__ == "__main__" and name.isidentifier() and self._main.get(name, thing) is thing:
            self.named[name] = thing  # not what a decorator has wrapped, nor what a later cell has redefined

    def _function_getnewargs(self, func: types.FunctionType) -> Any:
        code, namespace, *rest = super()._function_getnewargs(func)
        self._name(func)
        return code, self._namespace if func.__globals__ is self._main else namespace, *rest

    def reducer_override(self, obj: Any) -> Any:
        if (foreign := foreign_home(obj)) is not None:
            return ours_of, foreign
        if isinstance(obj, io.IOBase) and not isinstance(obj, io.BytesIO | io.StringIO):
            raise pickle.PicklingError("an open file")
        if (
            type(obj) is types.CodeType
        ):  # cloudpickle from 3.1.3 on drops the file name, and tracebacks their lines with it
            make, arguments = self.dispatch_table[types.CodeType](obj)
            return unpacking.make_code, (obj.co_filename, make, arguments)
        if type(obj).__module__ == "dataclasses":
            for name in _SENTINELS:
                if obj is getattr(dataclasses, name, None):
                    return getattr, (dataclasses, name)
        place = type(obj).__module__
        if place == "fastapi.datastructures" and obj is getattr(sys.modules[place], "_Unset", None):
            return unpacking.look_up, (place, "_Unset")
        if isinstance(obj, _CachedFunction) and is_local(obj):
            return unpacking.make_cached, (obj.__wrapped__, obj.cache_parameters())
        if type(obj) is functools.cached_property:  # it holds a lock
            return unpacking.make_cached_property, (obj.func, obj.attrname)
        if isinstance(obj, typing.NewType) and is_local(obj):
            return unpacking.make_new_type, (obj.__name__, obj.__supertype__)
        if type(obj).__name__ == "TypeAliasType" and is_local(obj):
            return unpacking.make_alias, (type(obj), obj.__name__, obj.__value__, obj.__type_params__)
        if isinstance(obj, type) and obj.__module__ == "builtins" and not hasattr(builtins, obj.__name__):
            home = home_of(obj)
            if home is not None:
                return unpacking.look_up, (home, obj.__name__)
        if isinstance(obj, type) and obj.__module__ == "__main__":
            self._name(obj)
            return self._reduce_class(obj)
        return super().reducer_override(obj)

    def _reduce_class(self, cls: type) -> Any:
        if type(cls).__name__ == "_TypedDictMeta":
            return _reduce_typed_dict(cls)
        generic = cls.__dict__.get("__pydantic_generic_metadata__")
        if generic and generic["origin"] is not None:
            args = generic["args"]
            return unpacking.parametrize, (generic["origin"], args)
        _complete(cls)
        reduced = super().reducer_override(cls)
        if not isinstance(reduced, tuple) or len(reduced) < 6:
            return reduced
        make, arguments, (members, slots), *_ = reduced
        members = dict(members)
        if "__annotations__" in cls.__dict__:
            members["__annotations__"] = own_annotations(cls)
        if "__dataclass_fields__" in cls.__dict__:
            members["__dataclass_fields__"] = _resolved_fields(cls)
        if "__pydantic_core_schema__" in cls.__dict__ or "__pydantic_validator__" in cls.__dict__:
            for name in _COMPILED:
                members.pop(name, None)
            return make, arguments, (members, slots), None, None, unpacking.set_pydantic_state
        return make, arguments, (members, slots), *reduced[3:]

    def _dynamic_function_reduce(self, func: types.FunctionType) -> Any:
        make, arguments, (members, slots), *rest = super()._dynamic_function_reduce(func)
        if any(isinstance(hint, str) for hint in func.__annotations__.values()):
            slots = {**slots, "__annotations__": resolved(func)}
        return make, arguments, (members, slots), *rest


def _complete(cls: type) -> None:
    """Let a model whose neighbour was defined after it look that up, as pydantic would at its first use."""
    if cls.__dict__.get("__pydantic_complete__") is not False:
        return
    names = vars(sys.modules.get("__main__", types.ModuleType("none")))
    if hasattr(cls, "model_rebuild"):
        cls.model_rebuild(raise_errors=False, _types_namespace=names)
    else:
        from pydantic.dataclasses import rebuild_dataclass

        rebuild_dataclass(cls, raise_errors=False, _types_namespace=names)


def _reduce_typed_dict(cls: type) -> Any:
    """First an empty one, so that it may hold itself, then its keys; those of its bases are among them."""
    state = {name: value for name, value in vars(cls).items() if name.endswith("_keys__") or name in _TYPED_DICT_STATE}
    arguments = (type(cls).__module__, cls.__name__, getattr(cls, "__parameters__", ()))
    return (
        unpacking.make_typed_dict,
        arguments,
        state | {"__annotations__": resolved(cls)},
        None,
        None,
        unpacking.set_members,
    )


def home_of(thing: Any) -> str | None:
    """Where a compiled class that says "builtins" really is (extension modules that do not name themselves)."""
    for name, module in list(sys.modules.items()):
        if name.startswith("__") or getattr(module, "__name__", "") != name:
            continue  # the notebook itself, and other names for it
        if getattr(module, "__dict__", {}).get(thing.__name__) is thing:
            return name
    return None


def resolved(thing: Any) -> dict[str, Any]:
    """Give the annotations of a function or class with every string looked up; one by one where one of them fails."""
    names = {**vars(sys.modules.get("__main__", types.ModuleType("none"))), **_own_name(thing)}
    try:
        hints = typing.get_type_hints(thing, globalns=None, localns=names, include_extras=True)
    except Exception:
        return {name: _looked_up(hint, names) for name, hint in getattr(thing, "__annotations__", {}).items()}
    if isinstance(thing, types.FunctionType):
        return {name: hints.get(name, hint) for name, hint in thing.__annotations__.items()}
    return hints


def _looked_up(hint: Any, names: dict[str, Any]) -> Any:
    alone = types.SimpleNamespace(__annotations__={"hint": hint}, __globals__=names)
    try:
        return typing.get_type_hints(alone, include_extras=True)["hint"]
    except Exception:
        return hint


def own_annotations(cls: type) -> dict[str, Any]:
    """The class's own annotations, in its own order, resolved."""
    hints = resolved(cls)
    return {name: hints.get(name, hint) for name, hint in inspect.get_annotations(cls).items()}


def _own_name(thing: Any) -> dict[str, Any]:
    return {thing.__name__: thing} if isinstance(thing, type) else {}


def _resolved_fields(cls: type) -> dict[str, Any]:
    hints = resolved(cls)
    fields = {}
    for name, field in cls.__dict__["__dataclass_fields__"].items():
        fields[name] = copy.copy(field)
        fields[name].type = hints.get(name, field.type)
    return fields


def dumps(thing: Any) -> bytes:
    """Pickle *thing* by value where it comes from the notebook."""
    return _dumped(thing)[0].getvalue()


def dumps_shipment(thing: Any) -> bytes:
    """Pickle *thing* as :func:`dumps` does, and after it the notebook's names that it needs, for :func:`unpacking.unpack`."""
    buffer, pickler = _dumped(thing)
    pickler.dump(dict(pickler.named))
    return buffer.getvalue()


def _dumped(thing: Any) -> tuple[io.BytesIO, Pickler]:
    buffer = io.BytesIO()
    pickler = Pickler(buffer)
    pickler.dump(thing)
    return buffer, pickler
