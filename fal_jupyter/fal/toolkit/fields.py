"""How ``…Field`` helpers add to a field's schema what a form shows it as."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pydantic import Field


def field_with(add: Callable[[dict[str, Any]], None], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Give a pydantic field whose JSON schema *add* completes, after what the caller adds himself."""
    given = kwargs.pop("json_schema_extra", None) or {}
    if callable(given):

        def both(schema: dict[str, Any]) -> None:
            given(schema)
            add(schema)

        return Field(*args, json_schema_extra=both, **kwargs)
    extra = dict(given)
    add(extra)
    return Field(*args, json_schema_extra=extra, **kwargs)


def shown_as(kind: str, ui: Mapping[str, Any] | None = None) -> Callable[[dict[str, Any]], None]:
    """Give what makes a form show a field as *kind* (image, video, audio, file), unless the caller says otherwise."""

    def add(schema: dict[str, Any]) -> None:
        shown = schema.setdefault("ui", {})
        shown.update(ui or {})
        shown.setdefault("field", kind)

    return add
