"""``self.current_request``: the request that the running code belongs to, in threads and tasks alike."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar, Token
from dataclasses import dataclass, field
from typing import Any


@dataclass
class RequestContext:
    """Information from the platform about a request; an empty one means "no request".

    ``headers`` has lower-case names and the first value of a repeated one; user code may change it.
    """

    request_id: str | None = None
    endpoint: str | None = None
    lifecycle_preference: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    upload_policy: Any = None


class Pending:
    """A context that is made when it is asked for: most endpoints never ask."""

    __slots__ = ("_made", "_make")

    def __init__(self, make: Callable[[], RequestContext]) -> None:
        self._make = make
        self._made: RequestContext | None = None

    @property
    def current(self) -> RequestContext | None:
        """The context, if somebody has asked for it."""
        return self._made

    def get(self) -> RequestContext:
        """The context, the same at every call."""
        if self._made is None:
            self._made = self._make()
        return self._made


_current: ContextVar[RequestContext | Pending | None] = ContextVar("fal_current_request", default=None)
_serving = False


def start_serving() -> None:
    """From now on there is always a context, an empty one outside of requests (before: ``None``)."""
    global _serving
    _serving = True


def enter_request(context: RequestContext | Pending) -> Token[RequestContext | Pending | None]:
    """Make *context* the current one of this task or thread; return the token for :func:`leave_request`."""
    return _current.set(context)


def leave_request(token: Token[RequestContext | Pending | None]) -> None:
    """Take back an :func:`enter_request`."""
    _current.reset(token)


def current_request() -> RequestContext | None:
    """Return the current context: ``None`` where nothing is served in this process."""
    context = _current.get()
    if isinstance(context, Pending):
        return context.get()
    if context is None and _serving:
        return RequestContext()
    return context
