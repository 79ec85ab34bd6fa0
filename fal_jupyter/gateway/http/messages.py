"""What the HTTP server hands to whoever takes a request: its headers, and the interface of a request that arrives."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any, Protocol

LINGER = 10.0  # seconds that an answered caller may go on sending its body …
LINGER_BYTES = 64 << 20  # … and how much of it


class RequestHeaders:
    """The headers of a request: pairs in order; repeated ones are read joined by commas. Names are in lower case, also those asked for."""

    __slots__ = ("_by_name", "pairs")

    def __init__(self, pairs: list[tuple[str, str]]) -> None:
        self.pairs = pairs
        self._by_name: dict[str, str] = {}
        for name, value in pairs:
            self._by_name[name] = f"{self._by_name[name]},{value}" if name in self._by_name else value

    def get(self, name: str, default: Any = None) -> Any:
        """The value of that name."""
        return self._by_name.get(name, default)

    def __contains__(self, name: str) -> bool:
        return name in self._by_name


class IncomingRequest(Protocol):
    """Who takes one request as it arrives (:class:`fal_jupyter.gateway.requests.data_plane.DataPlaneRequest`)."""

    @property
    def upgrades(self) -> bool:
        """True where all that follows the head is one stream of bytes (a websocket): it is handed over as body."""

    def begin(self, method: str, target: str, headers: RequestHeaders) -> None:
        """The head is here."""

    def data_received(self, chunk: bytes) -> Awaitable[None] | None:
        """A piece of the body; a future that is not done yet asks to wait."""

    def finish(self) -> None:
        """The body is complete."""

    def on_connection_close(self) -> None:
        """The caller hung up before it was answered."""
