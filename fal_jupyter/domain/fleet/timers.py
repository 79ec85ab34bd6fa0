"""Finds the earliest of many timers, at the cost of one heap operation per change."""

from __future__ import annotations

import heapq
from typing import Protocol


class Timed(Protocol):
    """The owner of a timer: *wake_at* is its time (monotonic nanoseconds), None while it is off."""

    wake_at: int | None


class Timers:
    """A heap with lazy deletion: stale entries are skipped, and removed when there are many.

    Attributes:
        earliest: the earliest time that is set.
    """

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, Timed]] = []
        self._turn = 0
        self._on = 0
        self.earliest: int | None = None

    def set(self, owner: Timed, at: int | None) -> None:
        """Set the owner's timer, or (None) cancel it."""
        if at == owner.wake_at:
            return
        self._on += (at is not None) - (owner.wake_at is not None)
        owner.wake_at = at
        if at is not None:
            self._turn += 1
            heapq.heappush(self._heap, (at, self._turn, owner))
            if len(self._heap) > 2 * self._on + 64:
                newest = {id(entry[2]): entry for entry in sorted(self._heap) if entry[2].wake_at == entry[0]}
                self._heap = list(newest.values())
                heapq.heapify(self._heap)
        heap = self._heap
        while heap and heap[0][2].wake_at != heap[0][0]:
            heapq.heappop(heap)
        self.earliest = heap[0][0] if heap else None

    def __len__(self) -> int:
        """Entries on the heap, including stale ones."""
        return len(self._heap)
