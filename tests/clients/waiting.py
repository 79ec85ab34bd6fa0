"""Waiting for a fact, with a bound."""

from __future__ import annotations

import time
from collections.abc import Callable


def until(fact: Callable[[], object], seconds: float = 60) -> None:
    """Return as soon as *fact* is true; fail when it is not after *seconds*."""
    deadline = time.monotonic() + seconds
    while not fact():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.01)
