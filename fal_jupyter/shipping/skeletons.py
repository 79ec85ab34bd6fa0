"""Rebuilds classes of the notebook: each is created empty, so that others can refer to it, and gets its members when they are loaded.

The effects of code that runs at a class definition (``__init_subclass__``, a metaclass of the notebook) are in the sent members and
registries, so that code does not run a second time. Metaclasses of libraries do run, since they keep their own records of a
class.
"""

from __future__ import annotations

import contextlib
import dataclasses
import enum
import importlib
import types
import typing
from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from typing import Any

from cloudpickle import cloudpickle

_HOOKS = ("__init_subclass__", "__pydantic_init_subclass__")
OF_CLASSES = frozenset({"__class__", "__dict__"})
"""Members that must be set when a class is created: set later, they would apply to the class itself."""
_ORDERED = ("_anonymous_", "_fields_")  # ctypes: its metaclass reacts when they are set


def empty_class(
    metaclass: type | None, name: str, bases: tuple[type, ...], namespace: dict[str, object], tracker: object
) -> type:
    """A class with only its name, its location and its slots.

    Args:
        metaclass: None means that of the bases.

    Raises:
        TypeError: the library that created the class cannot create it without its members.
    """
    metaclass = metaclass or types.prepare_class(name, bases)[0]
    maker: Any = maker_of(metaclass)
    prepared = dict_of(maker, name, bases)
    prepared.update(namespace)
    try:
        with _without_hooks(bases):
            created: Any = maker.__new__(metaclass, name, bases, prepared)
            maker.__init__(created, name, bases, prepared)
    except Exception as error:
        raise _not_again(name, maker if maker is not type else bases[0], error) from error
    return _tracked(tracker, created)


def maker_of(metaclass: type) -> type:
    """Return the nearest base of *metaclass* that is from a library or Python."""
    return next(cls for cls in metaclass.__mro__ if cls.__module__ not in ("__main__", None))


def dict_of(maker: object, name: str, bases: tuple[type, ...]) -> MutableMapping[str, object]:
    """Return the namespace that *maker* prepares for a class."""
    return maker.__prepare__(name, bases) if hasattr(maker, "__prepare__") else {}


@contextlib.contextmanager
def _without_hooks(bases: Sequence[type]) -> Iterator[None]:
    hooks = [
        (cls, hook, vars(cls)[hook])
        for base in bases
        for cls in base.__mro__
        if cls.__module__ == "__main__"
        for hook in _HOOKS
        if hook in vars(cls)
    ]
    hooks = list({(id(cls), hook): (cls, hook, value) for cls, hook, value in hooks}.values())
    for cls, hook, _ in hooks:
        type.__delattr__(cls, hook)
    try:
        yield
    finally:
        for cls, hook, value in hooks:
            type.__setattr__(cls, hook, value)


def _not_again(name: str, maker: type, error: Exception) -> TypeError:
    return TypeError(
        f"the class {name} of the notebook cannot be rebuilt in a runner: {maker.__module__}.{maker.__qualname__} "
        f"requires its members at creation ({type(error).__name__}: {error}). "
        f"Move {name} to a module (a .py file beside the notebook) and import it"
    )


def _tracked(tracker: object, created: type) -> type:
    tracked: type = cloudpickle._lookup_class_or_track(tracker, created)
    return tracked


def set_members(cls: type, state: tuple[dict[str, Any], object]) -> None:
    """Set the members of a class."""
    members, slots = state
    for name in OF_CLASSES & members.keys():
        definition: property = members.pop(name)
        vars(cls)[name].__init__(definition.fget, definition.fset, definition.fdel, definition.__doc__)
    later = {name: members.pop(name) for name in _ORDERED if name in members}
    cloudpickle._class_setstate(cls, (members, slots))
    for name, value in later.items():
        setattr(cls, name, value)


def array(of: Any, length: int) -> object:
    """An array type of ctypes."""
    return of * length


def pointer(to: Any) -> object:
    """A pointer type of ctypes."""
    import ctypes  # start-up

    return ctypes.POINTER(to)


def function_type(returns: Any, takes: tuple[Any, ...], flags: int) -> object:
    """A type of ctypes for functions; with flag 4 they need the GIL, with flag 8 they keep ``errno``."""
    import ctypes  # start-up

    return (
        ctypes.PYFUNCTYPE(returns, *takes)
        if flags & 4
        else ctypes.CFUNCTYPE(returns, *takes, use_errno=bool(flags & 8))
    )


# --- enumerations -----------------------------------------------------------------------------------------------------------
def enumeration(
    metaclass: type,
    name: str,
    bases: tuple[type, ...],
    namespace: Mapping[str, object],
    members: dict[str, tuple[object, Any]],
    options: dict[str, object],
    tracker: object,
) -> object:
    """An enumeration with its members, which have their values.

    Args:
        members: by name (including aliases) the value, and the result of a ``__new__`` of the notebook, without the class.
        options: keywords of the class statement.
    """
    maker: Any = maker_of(metaclass)
    prepared = dict_of(maker, name, bases)
    prepared.update(namespace)
    made_by_hand = next(iter(members.values()), (None, None))[1] is not None
    raw = iter([raw for _, raw in members.values()])

    def __new__(cls: object, *_: object) -> object:  # noqa: N807
        created = next(raw)
        return created.make(cls)

    if made_by_hand:
        prepared["__new__"] = __new__
    for member, (value, _) in members.items():
        prepared[member] = enum.member(value)
    with _without_hooks(bases):
        created: Any = maker.__new__(metaclass, name, bases, prepared, **options)
    return _tracked(tracker, created)


@dataclasses.dataclass(frozen=True, slots=True)
class Raw:
    """A member before it is named: *data* of the type *kind* (or nothing, for ``object``), and its value."""

    kind: type
    data: object
    value: object

    def make(self, cls: type) -> object:
        """Create the member."""
        created: Any = object.__new__(cls) if self.kind is object else self.kind.__new__(cls, self.data)
        created._value_ = self.value
        return created


def set_enumeration(cls: Any, state: tuple[dict[str, object], object, dict[str, dict[str, object]]]) -> None:
    """Set the methods of an enumeration, and the attributes of its members from ``__init__`` or ``__new__``."""
    members, slots, attributes = state
    cloudpickle._class_setstate(cls, (members, slots))
    for name, values in attributes.items():
        vars(cls.__members__[name]).update(values)


# --- structs of msgspec -----------------------------------------------------------------------------------------------------
def struct(
    metaclass: type | None,
    name: str,
    bases: tuple[type, ...],
    namespace: dict[str, object],
    fields: dict[str, dict[str, object]],
    options: dict[str, object],
    tracker: object,
) -> type:
    """A ``msgspec.Struct`` with its fields, whose types are set later.

    Args:
        fields: the arguments of ``msgspec.field`` for each own field.
        options: keywords of the class statement.
    """
    msgspec: Any = importlib.import_module("msgspec")  # the user's

    def __post_init__(self: Any) -> None:  # noqa: N807
        type(self).__post_init__(self)  # the class's own, once it is loaded

    prepared = dict(namespace)
    if prepared.pop("__post_init__", False):
        prepared["__post_init__"] = __post_init__
    prepared["__annotations__"] = dict.fromkeys(fields, typing.Any)
    prepared |= {field: msgspec.field(**arguments) for field, arguments in fields.items()}
    with _without_hooks(bases):
        created = maker_of(metaclass or types.prepare_class(name, bases)[0])(name, bases, prepared, **options)
    return _tracked(tracker, created)
