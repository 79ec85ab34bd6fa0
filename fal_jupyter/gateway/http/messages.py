"""What the HTTP server gives to the handler of a request: its headers, and the interface that the handler implements."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Protocol, overload

LINGER = 10.0  # seconds for which an answered caller may continue to send its body …
LINGER_BYTES = 64 << 20  # … and how much of it


class RequestHeaders:
    """The headers of a request: pairs in order; repeated ones read as one, joined by commas. Names are in lower case, also to ask for."""

    __slots__ = ("_by_name", "pairs")

    def __init__(self, pairs: list[tuple[str, str]]) -> None:
        self.pairs = pairs
        self._by_name = dict(pairs)
        if len(self._by_name) < len(pairs):
            self._by_name = {}
            for name, value in pairs:
                self._by_name[name] = f"{self._by_name[name]},{value}" if name in self._by_name else value

    @overload
    def get(self, name: str) -> str | None: ...
    @overload
    def get(self, name: str, default: str) -> str: ...
    def get(self, name: str, default: str | None = None) -> str | None:
        """The value of that name."""
        return self._by_name.get(name, default)

    def __contains__(self, name: str) -> bool:
        return name in self._by_name


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
