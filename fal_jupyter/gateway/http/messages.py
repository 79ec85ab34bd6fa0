"""What the HTTP server gives to the handler of a request: its headers, and the interface that the handler implements."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Protocol

LINGER = 10.0  # seconds for which an answered caller may continue to send its body …
LINGER_BYTES = 64 << 20  # … and how much of it


class RequestHeaders(dict[str, str]):
    """The headers of a request by name; repeated ones read as one, joined by commas. Names are in lower case, also to ask for.

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
        """True if all that follows the head is one stream of bytes (a WebSocket): it comes as body."""

    def begin(self, method: str, target: str, headers: RequestHeaders) -> None:
        """The head is here."""

    def data_received(self, chunk: bytes) -> Awaitable[None] | None:
        """A piece of the body; a future that is not done yet asks to wait."""

    def finish(self) -> None:
        """The body is complete."""

    def on_connection_close(self) -> None:
        """The caller hung up before it was answered."""
