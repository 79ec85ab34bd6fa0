"""The timestamps of a request, and the five phases of its time."""

from __future__ import annotations

import time

import msgspec

from fal_jupyter.protocol.api import Timing


class RequestTimestamps(msgspec.Struct, frozen=True, gc=False):
    """The timestamps of a request in monotonic seconds (0: not yet); *starting* is how many seconds it waited for a runner's start."""

    began: float
    arrived: float
    dispatched: float
    starting: float
    cold: bool
    ran_from: float
    first: float
    now: float

    def timing(self) -> Timing:
        """The timings in milliseconds; the first five sum to the total."""
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


class RequestClock(msgspec.Struct, eq=False, gc=False):
    """Collects the timestamps of one request, in monotonic seconds (0: not yet).

    Attributes:
        arrived: enough of it had arrived for a runner to begin.
        starting: seconds that it waited for a runner's start.
        cold: it waits for a runner's start.
        ran_from: its endpoint was called, as reported by its runner.
        first_byte: the head of its answer arrived.
        ended: its caller had the complete answer or a failure of the gateway, or disconnected; all displays use that total, although
            a runner may continue.
    """

    began: float
    arrived: float = 0.0
    dispatched: float = 0.0
    starting: float = 0.0
    ran_from: float = 0.0
    first_byte: float = 0.0
    ended: float = 0.0
    cold: bool = False

    def dispatch(self, starting_since: float) -> None:
        """It was dispatched to a runner. For one that has just started, *starting_since* is the time when its start began; else 0."""
        self.dispatched = time.monotonic()
        if starting_since:
            self.starting = self.dispatched - max(starting_since, self.arrived)

    def undo_dispatch(self) -> None:
        """The runner had ended before it received the request."""
        self.dispatched = self.starting = 0.0

    def end_start(self, began: float) -> None:
        """The runner that it waited for is ready; its start began at *began*."""
        if self.cold:
            self.cold, self.starting = False, time.monotonic() - max(began, self.arrived)

    def end(self) -> None:
        """Its caller no longer waits; further work of its runner is not counted."""
        self.ended = self.ended or time.monotonic()

    def at(self, now: float) -> RequestTimestamps:
        """Return the timestamps so far, up to the end of the answer if it has ended."""
        until = self.ended or now
        # a runner may answer after the gateway (a timeout, a cancellation)
        first_byte = self.first_byte if self.first_byte < until else until
        return RequestTimestamps(
            self.began, self.arrived, self.dispatched, self.starting, self.cold, self.ran_from, first_byte, until
        )
