"""Reduces classes of the notebook for pickling; :mod:`fal_jupyter.shipping.skeletons` rebuilds them.

This fixes cases in which cloudpickle loses something: slots, qualified names, enumerations with an ``__init__`` or
``__new__`` or with aliases, classes with keywords. Members that Python or a library derives from others are not sent.
"""

from __future__ import annotations

import enum
import sys
import types
from typing import Any

from cloudpickle import cloudpickle

from fal_jupyter.shipping import skeletons

_DERIVED = (types.MemberDescriptorType, types.GetSetDescriptorType)
_DERIVED_BY_LIBRARIES = (("_ctypes", "CField"),)
_TYPES_OF_TYPES = {
    "PyCArrayType": (skeletons.array, ("_type_", "_length_")),
    "PyCPointerType": (skeletons.pointer, ("_type_",)),
    "PyCFuncPtrType": (skeletons.function_type, ("_restype_", "_argtypes_", "_flags_")),
}
_OF_STRUCTS = (
    "__slots__",
    "__match_args__",
    "__struct_fields__",
    "__struct_config__",
    "__struct_defaults__",
    "__annotations__",
)
_STRUCT_OPTIONS = (
    "frozen",
    "eq",
    "order",
    "array_like",
    "repr_omit_defaults",
    "omit_defaults",
    "forbid_unknown_fields",
)
_STRUCT_EXTRAS = ("weakref", "dict", "cache_hash")


def is_derived(member: object) -> bool:
    """True for members that are created with the class: descriptors of slots, fields of ctypes."""
    kind = type(member)
    return kind in _DERIVED or (kind.__module__, kind.__name__) in _DERIVED_BY_LIBRARIES


def library_of(cls: type) -> str:
    """Return the package whose metaclass created *cls*, or ``""`` for Python itself."""
    package = skeletons.maker_of(type(cls)).__module__.partition(".")[0]
    return "" if package in sys.stdlib_module_names else package


def reduce_class(cls: type) -> tuple[Any, ...]:
    """Return how *cls* is rebuilt: the function that creates an empty class, its arguments, ``(members, slots)``, and the function that sets them."""
    if issubclass(cls, enum.Enum):
        return _reduce_enumeration(cls)
    members = own_members(cls)
    class_namespace = _class_namespace(cls)
    if "__slots__" in members:
        class_namespace["__slots__"] = members.pop("__slots__")
    if "__orig_bases__" in members:
        class_namespace["__orig_bases__"] = members["__orig_bases__"]
    for name in sorted(skeletons.OF_CLASSES & members.keys()):  # sorted, so that equal classes have equal digests
        class_namespace[name] = property() if type(members[name]) is property else members.pop(name)
    bases, tracker = cls.__bases__, cloudpickle._get_or_create_tracker_id(cls)
    derived = types.prepare_class(cls.__name__, cls.__bases__)[0] is type(cls)  # some cannot be found by name
    metaclass = None if derived else type(cls)
    if is_struct(cls):
        fields, options = _struct_fields(cls), _struct_options(cls)
        state: tuple[dict[str, object], dict[str, object]] = (
            {name: value for name, value in members.items() if name not in (*_OF_STRUCTS, *fields)},
            {},
        )
        if "__post_init__" in state[0]:
            class_namespace["__post_init__"] = True
        class_namespace.pop("__slots__", None)
        return (
            skeletons.struct,
            (metaclass, cls.__name__, bases, class_namespace, fields, options, tracker),
            state,
            skeletons.set_members,
        )
    return (
        skeletons.empty_class,
        (metaclass, cls.__name__, bases, class_namespace, tracker),
        (members, {}),
        skeletons.set_members,
    )


def reduce_type_of_ctypes(cls: type) -> tuple[object, ...] | None:
    """Return how an array, pointer or function type, which cannot be found by name, is rebuilt; None for other classes."""
    if type(cls).__module__ != "_ctypes" or type(cls).__name__ not in _TYPES_OF_TYPES:
        return None
    if getattr(sys.modules.get(cls.__module__), cls.__qualname__, None) is cls and cls.__module__ != "__main__":
        return None
    make, names = _TYPES_OF_TYPES[type(cls).__name__]
    return make, tuple(getattr(cls, name) for name in names)


def own_members(cls: type) -> dict[str, object]:
    """Return the members of *cls* that must be sent."""
    members: dict[str, object] = cloudpickle._class_getstate(cls)[0]
    if (own := vars(cls).get("__dict__")) is not None:  # of a proxy; cloudpickle leaves it out
        members["__dict__"] = own
    return {name: member for name, member in members.items() if not is_derived(member)}


def _class_namespace(cls: type) -> dict[str, object]:
    return {"__module__": cls.__module__, "__qualname__": cls.__qualname__}


# --- enumerations -----------------------------------------------------------------------------------------------------------
def _reduce_enumeration(cls: type[enum.Enum]) -> tuple[object, ...]:
    members, slots = cloudpickle._enum_getstate(cls)
    for name in (
        *cls.__members__,
        "__new__",
        "_unhashable_values_",
        "_hashable_values_",
        "_unhashable_values_map_",
        "__dict__",
    ):
        members.pop(name, None)
    members = {name: member for name, member in members.items() if not _of_members(member)}
    make = vars(cls).get("__new_member__")
    raw = {name: _raw(cls, member, make) for name, member in cls.__members__.items()}
    own = {name: _attributes(member) for name, member in cls.__members__.items() if name == member.name}
    boundary = getattr(cls, "_boundary_", None)
    options = {} if boundary is None else {"boundary": boundary}
    values = {name: (member.value, raw[name]) for name, member in cls.__members__.items()}
    tracker = cloudpickle._get_or_create_tracker_id(cls)
    arguments = (type(cls), cls.__name__, cls.__bases__, _class_namespace(cls), values, options, tracker)
    return skeletons.enumeration, arguments, (members, slots, own), skeletons.set_enumeration


def _of_members(member: object) -> bool:
    """True for the descriptors by which an enumeration finds its members."""
    return isinstance(member, enum.property) and member.fget is None


def _raw(cls: Any, member: Any, make: object) -> skeletons.Raw | None:
    if type(make) is not types.FunctionType:
        return None
    kind = cls._member_type_
    return skeletons.Raw(kind, None if kind is object else kind.__new__(kind, member), member.value)


def _attributes(member: enum.Enum) -> dict[str, object]:
    return {
        name: value
        for name, value in vars(member).items()
        if name
        not in (
            "_value_",
            "_name_",
            "__objclass__",
            "_sort_order_",
            "_inverted_",
        )  # the last one is filled at its first use
    }


# --- structs of msgspec -----------------------------------------------------------------------------------------------------
def is_struct(cls: type) -> bool:
    """True for a ``msgspec.Struct``."""
    msgspec = sys.modules.get("msgspec")
    return msgspec is not None and issubclass(cls, msgspec.Struct)


def _struct_fields(cls: Any) -> dict[str, dict[str, object]]:
    """Return the arguments of ``msgspec.field`` for each own field: its name in messages, its default."""
    missing = sys.modules["msgspec"].NODEFAULT
    names, defaults = cls.__struct_fields__, cls.__struct_defaults__
    encoded = dict(zip(names, cls.__struct_encode_fields__, strict=True))
    fields = {name: {"name": encoded[name]} for name in vars(cls).get("__annotations__", {}) if name in encoded}
    for name, default in zip(names[len(names) - len(defaults) :], defaults, strict=True):
        if name in fields and default is not missing:
            is_factory = type(default).__name__ == "Factory" and type(default).__module__ == "msgspec._core"
            fields[name] |= {"default_factory": default.factory} if is_factory else {"default": default}
    return fields


def _struct_options(cls: Any) -> dict[str, object]:
    config, fields = cls.__struct_config__, _struct_fields(cls)
    options = {name: getattr(config, name) for name in _STRUCT_OPTIONS}
    options |= {name: True for name in _STRUCT_EXTRAS if getattr(config, name)}
    options |= {"tag": config.tag, "tag_field": config.tag_field} if config.tag is not None else {}
    options |= {"gc": False} if config.gc is False else {}
    return options | {"kw_only": bool(fields) and not any(name in cls.__match_args__ for name in fields)}
