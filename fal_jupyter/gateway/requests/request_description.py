"""The immutable description of a request, complete before it is sent anywhere."""

from __future__ import annotations

import msgspec

from fal_jupyter.domain.events import RequestArrived


class RequestDescription(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One request, without its body.

    Attributes:
        head: the head of its REQUEST frame (JSON).
        method: the HTTP method, also for a WebSocket (GET).
        path: the endpoint's path below the app.
        origin: ``http``, ``cell``, ``panel``, ``load``, ``queue`` or ``internal``.
        content_type: that of the request's body.
        framed: the answer is sent to the owner's kernel in frames (``protocol/api``).
        owned: the caller is the owner, so a disconnect means a cancellation.
        websocket: both bodies are the two directions of a WebSocket and have no end.
        cell: number and id of the calling notebook cell, if known.
        hint: the hint for a preferred runner.
        start_within: limit in seconds for the dispatch to a runner; 0: no limit.
        low_priority: it is dispatched after the app's other requests.
    """

    id: str
    alias: str
    head: bytes
    method: str = "POST"
    path: str = "/"
    origin: str = "http"
    content_type: str = ""
    framed: bool = False
    owned: bool = False
    websocket: bool = False
    cell: tuple[int, str] = (0, "")
    hint: str = ""
    start_within: float = 0.0
    low_priority: bool = False

    def arrival(self) -> RequestArrived:
        """Return the fleet's event for the request."""
        return RequestArrived(
            self.alias,
            self.id,
            self.websocket,
            self.origin == "queue",
            self.low_priority,
            self.start_within,
            self.hint,
        )
