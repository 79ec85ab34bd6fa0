"""A call's arguments as the pieces of a request."""

from __future__ import annotations

from dataclasses import dataclass

from fal_jupyter.client.connection.http import Body

JSON = "application/json"


@dataclass(frozen=True, slots=True)
class RequestParts:
    """Path parameters filled in, query string, body, headers that carry parameters, and the body's content type."""

    path: str
    query: str
    body: Body
    headers: tuple[tuple[str, str], ...] = ()
    content_type: str = JSON
