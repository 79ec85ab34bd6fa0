"""Request headers, and the interface of request handlers."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Protocol

LINGER = 10.0  # seconds for which a caller may continue to send its body after the answer …
LINGER_BYTES = 64 << 20  # … and how much of it


class RequestHeaders(dict[str, str]):
    """The headers of a request by name; repeated ones are joined by commas. Names are in lower case, also for look-ups.

    Attributes:
        pairs: all of them, in order.
    """

    __slots__ = ("pairs",)

    def __init__(self, pairs: list[tuple[str, str]]) -> None:
        super().__init__(pairs)
        self.pairs = pairs
        if len(self) < len(pairs):
            self.clear()
            for name, value in pairs:
                self[name] = f"{self[name]},{value}" if name in self else value


class IncomingRequest(Protocol):
    """Handles one request as it arrives (:class:`fal_jupyter.gateway.requests.data_plane.DataPlaneRequest`)."""

    @property
    def upgrades(self) -> bool:
        """True if everything after the head is one stream of bytes (a WebSocket), received as body."""

    def begin(self, method: str, target: str, headers: RequestHeaders) -> None:
        """The head has arrived."""

    def data_received(self, chunk: bytes) -> Awaitable[None] | None:
        """Handle a piece of the body; the caller waits for the returned future if it is not done."""

    def finish(self) -> None:
        """The body is complete."""

    def on_connection_close(self) -> None:
        """The caller disconnected before the answer."""
