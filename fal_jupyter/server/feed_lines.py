"""What the extension reads of the feed's lines; imported once there is one, because msgspec takes time to load."""

from __future__ import annotations

import msgspec

from fal_jupyter.client.connection.control_connection import decoded


class _AppLoad(msgspec.Struct):
    waiting: int
    in_flight: int


class FeedLineLoad(msgspec.Struct):
    """What is read of a line of the feed."""

    kind: str = ""
    seq: int = 0
    apps: list[_AppLoad] = []
    requests: list[msgspec.Raw] = []
    skipped: int = 0


def load_of(line: bytes) -> FeedLineLoad:
    """Decode a line.

    Raises:
        ValueError, GatewayError: it is not a line of the feed.
    """
    return decoded(line, FeedLineLoad)
