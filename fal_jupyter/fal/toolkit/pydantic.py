"""``FalBaseModel``: a pydantic model whose schema has an order of its own and hidden fields (docs/contract.md, C125)."""

from __future__ import annotations

import warnings
from typing import Any, ClassVar, Self, TypeVar

from pydantic import BaseModel, Field, model_validator
from pydantic.fields import FieldInfo

from fal_jupyter.fal.toolkit.audio import AudioField
from fal_jupyter.fal.toolkit.file import FileField
from fal_jupyter.fal.toolkit.image import ImageField
from fal_jupyter.fal.toolkit.video import VideoField

__all__ = ["AudioField", "FalBaseModel", "Field", "FileField", "Hidden", "ImageField", "VideoField"]

_Field = TypeVar("_Field")
_MARK = "_fal_hidden"


def Hidden(field: _Field) -> _Field:  # noqa: N802  # the real package's name
    """Hide a field in forms; it has to have a default, since it cannot be filled in.

    Raises:
        TypeError: it is not a field.
        ValueError: it has no default.
    """
    if not isinstance(field, FieldInfo):
        kind = type(field).__name__
        raise TypeError(f"Hidden() requires a Field instance, got {kind}. Usage: Hidden(Field(default=...))")
    if field.is_required():
        raise ValueError("Hidden fields must have a default or default_factory.")
    field.metadata = [*(field.metadata or []), _MARK]
    return field


class FalBaseModel(BaseModel):
    """``FIELD_ORDERS`` come first in the schema; fields made with :func:`Hidden` are marked in it."""

    SCHEMA_IGNORES: ClassVar[set[str]] = set()
    FIELD_ORDERS: ClassVar[list[str]] = []

    @model_validator(mode="after")
    def _bind_locations(self) -> Self:
        """Tell values that ask for it where they are (``_bind_context(loc=("items", 0, "photo"))``), for their errors."""
        for name in type(self).model_fields:
            _bind(getattr(self, name, None), (name,))
        return self

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        super().__pydantic_init_subclass__(**kwargs)
        if cls.__dict__.get("SCHEMA_IGNORES"):
            warnings.warn(
                "FalBaseModel.SCHEMA_IGNORES is deprecated. Use Hidden(Field(...)) instead.",
                DeprecationWarning,
                stacklevel=3,
            )

        def complete(schema: dict[str, Any], model: type = cls) -> None:
            _complete(schema, model)

        cls.model_config = {**cls.model_config, "json_schema_extra": complete}  # type: ignore[assignment, typeddict-item]


def _bind(value: Any, where: tuple[str | int, ...]) -> None:
    bind = getattr(value, "_bind_context", None)
    if callable(bind):
        bind(loc=where)
    elif isinstance(value, BaseModel):
        for name in type(value).model_fields:
            _bind(getattr(value, name, None), (*where, name))
    elif isinstance(value, list):
        for at, item in enumerate(value):
            _bind(item, (*where, at))


def _complete(schema: dict[str, Any], model: type[Any]) -> None:
    properties: dict[str, Any] = schema.get("properties", {})
    for name, field in model.model_fields.items():
        if name in properties and (_MARK in (field.metadata or ()) or name in model.SCHEMA_IGNORES):
            properties[name].setdefault("ui", {})["hidden"] = True
    first = {name: properties[name] for name in model.FIELD_ORDERS if name in properties}
    if first:
        schema["properties"] = {**first, **{name: part for name, part in properties.items() if name not in first}}
