"""A token bucket that limits a program's output; output beyond it is dropped and counted."""

from __future__ import annotations

from dataclasses import dataclass

BURST = 4 << 20  # characters (or bytes) in a burst: more than a person reads, and fast to transfer
RATE = 1 << 20  # characters per second


@dataclass(slots=True)
class TokenBucket:
    """A bucket of *burst* characters that gains *rate* of them a second. Times are seconds of one monotonic clock."""

    burst: int = BURST
    rate: int = RATE
    _tokens: float = -1.0
    _at: float = 0.0

    def take(self, size: int, now: float) -> bool:
        """True if *size* characters may pass at *now*; they are then deducted."""
        full = float(self.burst)
        self._tokens = full if self._tokens < 0 else min(full, self._tokens + (now - self._at) * self.rate)
        self._at = now
        if size > self._tokens:
            return False
        self._tokens -= size
        return True
