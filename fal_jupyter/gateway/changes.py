"""One broadcast of "something changed", for callbacks and for waiting tasks."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Changes:
    """Notifies subscribers of each change, and wakes the tasks that wait for the next one."""

    __slots__ = ("_next", "_subscribers")

    def __init__(self) -> None:
        self._subscribers: tuple[Callable[[], None], ...] = ()
        self._next: asyncio.Event | None = None

    def subscribe(self, callback: Callable[[], None]) -> None:
        """Call *callback* at each change, for the lifetime of this object."""
        self._subscribers += (callback,)

    def next(self) -> asyncio.Event:
        """Return the event that the next change sets; get it before reading the state, so that no change is missed."""
        if self._next is None:
            self._next = asyncio.Event()
        return self._next

    def notify(self) -> None:
        """Something changed."""
        if self._next is not None:
            self._next.set()
            self._next = None
        for callback in self._subscribers:
            callback()
