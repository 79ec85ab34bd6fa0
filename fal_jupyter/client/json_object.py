"""Reads JSON documents of unknown form, such as an OpenAPI document that user code may have changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class JsonObject:
    """An object of a JSON document. What is missing, or of another kind than expected, reads as empty."""

    fields: Mapping[str, object]

    def at(self, *names: str) -> JsonObject:
        """Return the object at a path of names."""
        node = self
        for name in names:
            value = node.fields.get(name)
            node = JsonObject(value if isinstance(value, dict) else {})
        return node

    def text(self, name: str) -> str:
        """Return a string member."""
        value = self.fields.get(name)
        return value if isinstance(value, str) else ""

    def items(self, name: str) -> Sequence[object]:
        """Return the elements of an array member."""
        value = self.fields.get(name)
        return value if isinstance(value, list) else ()

    def objects(self, name: str) -> list[JsonObject]:
        """Return the objects in an array member."""
        return [JsonObject(item) for item in self.items(name) if isinstance(item, dict)]
