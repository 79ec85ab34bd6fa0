"""When a request did what, and the five parts of its time that follow from it."""

from __future__ import annotations

from typing import NamedTuple

from fal_jupyter.protocol.api import Timing


class RequestTimestamps(NamedTuple):
    """When a request did what, in monotonic seconds (0: not yet); *starting* are seconds that it waited for a start."""

    began: float
    arrived: float
    dispatched: float
    starting: float
    cold: bool
    ran_from: float
    first: float
    now: float

    def timing(self) -> Timing:
        """Where the time went, in milliseconds; the first five parts sum to the total."""
        arrived = self.arrived or self.now
        sent = self.dispatched or self.now
        first = self.first or self.now
        ran_from = min(max(self.ran_from, sent), first)
        waited = sent - arrived
        start = waited if self.cold and not self.dispatched else min(self.starting, waited)
        queue_ms, start_ms = round((waited - start) * 1000, 3), round(start * 1000, 3)
        transfer_ms = round((arrived - self.began + ran_from - sent) * 1000, 3)
        run_ms, stream_ms = round((first - ran_from) * 1000, 3), round((self.now - first) * 1000, 3)
        return Timing(
            queue_ms=queue_ms,
            start_ms=start_ms,
            transfer_ms=transfer_ms,
            run_ms=run_ms,
            stream_ms=stream_ms,
            total_ms=round(queue_ms + start_ms + transfer_ms + run_ms + stream_ms, 3),
        )
