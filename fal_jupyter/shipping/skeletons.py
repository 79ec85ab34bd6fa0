"""Classes of the notebook on arrival: each is made empty, so that others can refer to it, and gets its members when they have arrived.

What a class did while it was defined (``__init_subclass__``, a metaclass of the notebook) is in the members that arrive, and in
whatever it registered itself with; so that code does not run a second time. Metaclasses of libraries do run: what they keep of a
class is their own.
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
"""Members that a class can only have from its beginning: set later, they would be those of the class itself."""
_ORDERED = ("_anonymous_", "_fields_")  # of ctypes: its metaclass acts when they are set


def empty_class(
    metaclass: type | None, name: str, bases: tuple[type, ...], namespace: dict[str, object], tracker: object
) -> type:
    """A class with nothing but its name, its place and its slots.

    Args:
        metaclass: None for that of the bases.

    Raises:
        TypeError: the library that made the class cannot make it without its members.
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
    """Return the nearest metaclass of *metaclass* that a library or Python has."""
    return next(cls for cls in metaclass.__mro__ if cls.__module__ not in ("__main__", None))


def dict_of(maker: object, name: str, bases: tuple[type, ...]) -> MutableMapping[str, object]:
    """Return the namespace in which *maker* wants a class to be defined."""
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
        f"the class {name} of the notebook cannot be made anew in a runner: {maker.__module__}.{maker.__qualname__} "
        f"wants all of it at once ({type(error).__name__}: {error}). "
        f"Put {name} into a module of its own (a .py file beside the notebook) and import it"
    )


def _tracked(tracker: object, created: type) -> type:
    tracked: type = cloudpickle._lookup_class_or_track(tracker, created)
    return tracked


def set_members(cls: type, state: tuple[dict[str, Any], object]) -> None:
    """Give a class its members."""
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
        members: of each name (aliases too) its value, and what a ``__new__`` of the notebook had made of it, without the class.
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
    """What a member was before it had a name: *data* of the type *kind* (or nothing, for ``object``), and its value."""

    kind: type
    data: object
    value: object

    def make(self, cls: type) -> object:
        """The member anew."""
        created: Any = object.__new__(cls) if self.kind is object else self.kind.__new__(cls, self.data)
        created._value_ = self.value
        return created


def set_enumeration(cls: Any, state: tuple[dict[str, object], object, dict[str, dict[str, object]]]) -> None:
    """Give an enumeration its methods, and its members the attributes that ``__init__`` or ``__new__`` had given them."""
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
    """A ``msgspec.Struct`` with its fields, whose types come later.

    Args:
        fields: of each own field what ``msgspec.field`` takes.
        options: keywords of the class statement.
    """
    msgspec: Any = importlib.import_module("msgspec")  # the user's

    def __post_init__(self: Any) -> None:  # noqa: N807
        type(self).__post_init__(self)  # the class's own, when it has arrived

    prepared = dict(namespace)
    if prepared.pop("__post_init__", False):
        prepared["__post_init__"] = __post_init__
    prepared["__annotations__"] = dict.fromkeys(fields, typing.Any)
    prepared |= {field: msgspec.field(**arguments) for field, arguments in fields.items()}
    with _without_hooks(bases):
        created = maker_of(metaclass or types.prepare_class(name, bases)[0])(name, bases, prepared, **options)
    return _tracked(tracker, created)
