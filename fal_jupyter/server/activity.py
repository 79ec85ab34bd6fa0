"""Reports activity to Jupyter, so that JupyterHub's culler does not stop a server that serves requests."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

EVERY: Final = 30.0  # seconds between two checks while something runs


class Activity:
    """Checks the newest frame of the feed, at most once in :data:`EVERY` seconds, and calls *stamp* while requests run.

    Without frames there is no timer.
    """

    def __init__(self, stamp: Callable[[], None], every: float = EVERY) -> None:
        self._stamp, self._every = stamp, every
        self._newest = b""
        self._timer: asyncio.TimerHandle | None = None
        self.busy = False

    def saw(self, kind: str, line: bytes) -> None:
        """A line of the feed arrived."""
        if kind in ("frame", "snapshot"):
            self._newest = line
            if self._timer is None:
                self._look()

    def off(self) -> None:
        """The gateway disconnected."""
        self._newest, self.busy = b"", False
        self.close()

    def _look(self) -> None:
        self._timer = None
        if self._newest:
            self.busy, self._newest = is_busy(self._newest), b""
        if self.busy:
            self._stamp()
            self._timer = asyncio.get_running_loop().call_later(self._every, self._look)

    def close(self) -> None:
        """Stop checking."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def is_busy(line: bytes) -> bool:
    """True if a frame or snapshot shows a waiting or running request, or a frame one that has just ended."""
    from fal_jupyter.server.feed_lines import load_of  # start-up

    read = load_of(line)
    if any(app.waiting or app.in_flight for app in read.apps):
        return True
    return read.kind == "frame" and bool(read.requests or read.skipped)
