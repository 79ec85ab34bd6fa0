"""What a caller asked for: fixed before the request is sent anywhere."""

from __future__ import annotations

import msgspec

from fal_jupyter.domain.events import RequestArrived


class RequestDescription(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One request, without its body.

    Attributes:
        head: the head of its REQUEST frame (JSON).
        method: of HTTP, also for a websocket (GET).
        path: the endpoint's, below the app.
        origin: ``http``, ``cell``, ``panel``, ``load``, ``queue`` or ``internal``.
        content_type: of the request's body.
        framed: the answer goes to the owner's kernel in frames (``protocol/api``).
        owned: the caller is the owner, so a cancellation is meant, and not only a disconnect.
        websocket: both bodies are the two directions of a websocket and have no end.
        cell: number and id of the notebook cell that asked, where they are known.
        hint: which runner is preferred.
        start_within: seconds within which a runner has to begin; 0: no limit.
        low_priority: it waits behind the app's other requests.
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
