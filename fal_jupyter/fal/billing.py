"""Billing declarations: checked and included in the metadata, otherwise without effect here (docs/contract.md, C18)."""

from __future__ import annotations

import json
from typing import Any, Literal, Protocol, TypedDict, runtime_checkable

from fal_jupyter.fal.classes.routes import RouteSignature


@runtime_checkable
class BillingDeclaration(Protocol):
    """Whatever has a ``declaration()`` that gives a dict of ``version``, ``schema_id`` and ``app``."""

    def declaration(self) -> dict[str, Any]:
        """Return the declaration."""


class BillingComponents(TypedDict):
    """A declaration: its version (1), the id of its schema, and a JSON Schema of what the app bills."""

    version: Literal[1]
    schema_id: str
    app: dict[str, Any]


def declaration_of(route: RouteSignature) -> dict[str, Any]:
    """Return an endpoint's declaration.

    Raises:
        ValueError: it is not as it should be; the message says what it must be.
    """

    def refuse(what: str) -> ValueError:
        return ValueError(f"billing declaration for {route.path!r} {what}")

    declaration = route.billing.declaration()
    if not isinstance(declaration, dict):
        raise refuse("must be a dict")
    if set(declaration) != {"version", "schema_id", "app"}:
        raise refuse("must have exactly version, schema_id and app")
    if declaration["version"] != 1 or isinstance(declaration["version"], bool):
        raise refuse("must have version 1")
    if not isinstance(declaration["schema_id"], str) or not declaration["schema_id"]:
        raise refuse("must have a non-empty string schema_id")
    if not isinstance(declaration["app"], dict) or declaration["app"].get("type") != "object":
        raise refuse("must have an object JSON Schema as app")
    try:
        again = json.loads(json.dumps(declaration, allow_nan=False))
    except (TypeError, ValueError):
        raise refuse("must be JSON-serializable, without NaN or infinity") from None
    if again != declaration:
        raise refuse("must survive a JSON round trip unchanged")
    return declaration
