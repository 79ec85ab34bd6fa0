"""Stands for a library whose metaclass wants a class whole, and keeps a record of it (SQLAlchemy and its like)."""

from __future__ import annotations

from typing import Any, ClassVar


class _Strict(type):
    record: Any
    tables: ClassVar[dict[str, type]] = {}

    def __init__(cls, name: str, bases: tuple[type, ...], namespace: dict[str, Any], **keywords: Any) -> None:
        super().__init__(name, bases, namespace)
        if bases and "table" not in namespace:
            raise ValueError(f"{name} has no table")
        _Strict.tables[name] = cls
        if namespace.get("table") == "locked":
            cls.record = (row for row in ())


class Declared(metaclass=_Strict):
    """A class with a table."""


class Keyworded:
    """A class whose subclasses have to say their kind."""

    def __init_subclass__(cls, *, kind: str, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
