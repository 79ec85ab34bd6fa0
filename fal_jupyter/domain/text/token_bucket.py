"""How much a program may print before the rest is dropped and counted: a bucket that fills with time."""

from __future__ import annotations

from dataclasses import dataclass

BURST = 4 << 20  # characters (or bytes) at once: more than anybody reads, less than anybody waits for
RATE = 1 << 20  # and so many more each second


@dataclass(slots=True)
class TokenBucket:
    """A bucket of *burst* characters that gains *rate* of them a second. Times are seconds of one monotonic clock."""

    burst: int = BURST
    rate: int = RATE
    _tokens: float = -1.0
    _at: float = 0.0

    def take(self, size: int, now: float) -> bool:
        """True when *size* characters may pass at *now*; they are taken then."""
        full = float(self.burst)
        self._tokens = full if self._tokens < 0 else min(full, self._tokens + (now - self._at) * self.rate)
        self._at = now
        if size > self._tokens:
            return False
        self._tokens -= size
        return True
