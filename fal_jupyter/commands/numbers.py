"""Formats numbers for display: one unit, a space before it, about three digits."""

from __future__ import annotations

import math

MISSING = "–"


def milliseconds(value: float | None) -> str:
    """Format a duration in milliseconds: ``<0.1 ms``, ``2.1 ms``, ``412 ms``, ``3.24 s``, ``4 m 12 s``, ``0``."""
    if value is None or not math.isfinite(value):
        return MISSING
    if value <= 0:
        return "0"
    if value < 0.1:
        return "<0.1 ms"
    if value < 9.95:
        return f"{value:.1f} ms"
    if value < 999.5:
        return f"{value:.0f} ms"
    seconds = value / 1000
    if seconds < 9.995:
        return f"{seconds:.2f} s"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} m {rest} s"


def size(count: float) -> str:
    """Format a number of bytes in powers of ten: ``214 B``, ``16.8 MB``, ``14.1 GB``."""
    value = float(count)
    if value < 999.5:
        return f"{value:.0f} B"
    for unit in ("kB", "MB", "GB"):
        value /= 1000
        if value < 99.95:
            return f"{value:.1f} {unit}"
        if value < 999.5:
            return f"{value:.0f} {unit}"
    return f"{value / 1000:.1f} TB"


def rate(per_second: float) -> str:
    """Format a rate: ``11.8/s``, ``412/s``, ``1.2 k/s``."""
    if not math.isfinite(per_second) or per_second < 0:
        return MISSING
    if per_second < 99.95:
        return f"{per_second:.1f}/s"
    if per_second < 999.5:
        return f"{per_second:.0f}/s"
    return f"{per_second / 1000:.1f} k/s"


def count(number: int) -> str:
    """Format an integer with thousands separators: ``1,204``."""
    return f"{number:,}"


def plural(number: int, noun: str) -> str:
    """Format a number and its noun: ``1 call``, ``1,204 calls``."""
    return f"{count(number)} {noun}" + ("" if number == 1 else "s")


def percentile(values: list[float], share: float) -> float:
    """Return the nearest-rank percentile (*share* 0 to 1) of a non-empty list."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]
