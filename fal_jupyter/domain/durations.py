"""Durations: users write seconds; decisions use integer nanoseconds of one monotonic clock."""

SECOND = 1_000_000_000


def nanoseconds(seconds: float) -> int:
    """Return seconds as integer nanoseconds."""
    return round(seconds * SECOND)
