"""How ``…Field`` helpers add to a field's schema what a form shows it as."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pydantic import Field


def field_with(add: Callable[[dict[str, Any]], None], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Return a pydantic field whose JSON schema *add* completes, after what the caller adds himself."""
    schema_extra = kwargs.pop("json_schema_extra", None) or {}
    if callable(schema_extra):

        def both(schema: dict[str, Any]) -> None:
            schema_extra(schema)
            add(schema)

        return Field(*args, json_schema_extra=both, **kwargs)
    extra = dict(schema_extra)
    add(extra)
    return Field(*args, json_schema_extra=extra, **kwargs)


def shown_as(kind: str, ui: Mapping[str, Any] | None = None) -> Callable[[dict[str, Any]], None]:
    """Return what makes a form show a field as *kind* (image, video, audio, file), unless the caller says otherwise."""

    def add(schema: dict[str, Any]) -> None:
        section = schema.setdefault("ui", {})
        section.update(ui or {})
        section.setdefault("field", kind)

    return add
