"""``self.current_request``: what an endpoint may know of the request it answers (fields of the real package)."""

from __future__ import annotations

import json
from collections.abc import Iterable
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

_LIFECYCLE = "x-fal-object-lifecycle-preference"


@dataclass
class RequestContext:
    """The current request; all fields empty outside of one."""

    request_id: str | None = None
    endpoint: str | None = None
    lifecycle_preference: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    upload_policy: Any = None


_default: RequestContext | None = None
_raw: ContextVar[tuple[Iterable[tuple[str, str]], str, str] | None] = ContextVar("fal_request_raw", default=None)
_built: ContextVar[RequestContext | None] = ContextVar("fal_request", default=None)


def enter_default() -> None:
    """From here on (a runner's start) the context outside of requests is empty instead of None."""
    global _default
    _default = RequestContext()


def enter_request(headers: Iterable[tuple[str, str]], id_header: str, endpoint_header: str) -> None:
    """Make these headers the current request's; the context itself is only built when user code asks for it."""
    _raw.set((headers, id_header, endpoint_header))
    _built.set(None)


def current() -> RequestContext | None:
    """Give the current request's context, an empty one outside of requests, None outside of runners."""
    raw = _raw.get()
    if raw is None:
        return _default
    built = _built.get()
    if built is None:
        pairs, id_header, endpoint_header = raw
        headers: dict[str, str] = {}
        for name, value in pairs:
            headers.setdefault(name.lower(), value)  # the first of repeated ones, as in the real package
        built = RequestContext(
            headers.get(id_header), headers.get(endpoint_header), _preference(headers.get(_LIFECYCLE)), headers
        )
        _built.set(built)
    return built


def _preference(text: str | None) -> Any:
    if text is None:
        return None
    try:
        return json.loads(text)
    except ValueError as error:
        print(f"Failed to parse object lifecycle preference: {error}")
        return None
