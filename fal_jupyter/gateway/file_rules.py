"""What headers say about files: ranges, lifetimes, types. Pure."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import quote

_RANGE = re.compile(r"\s*bytes\s*=\s*(\d*)\s*-\s*(\d*)\s*", re.I)
_TYPE = re.compile(r"[\w!#$&^.+-]{1,80}/[\w!#$&^.+-]{1,80}(?:\s*;\s*[\w!#$&^.+-]{1,40}=(?:[\w!#$&^.+-]{1,80}|\"[\w !#$&^.+-]{0,80}\"))*", re.ASCII)  # fmt: skip
OCTETS = "application/octet-stream"
MOST_SECONDS = 100 * 365 * 86400.0


def byte_range(header: str, size: int) -> tuple[int, int] | str | None:
    """Read a Range header for a file of *size* bytes.

    Gives first and last byte; None where the whole file is meant (no header, more than one range, not understood); or
    ``"unsatisfiable"`` (RFC 9110, 14).
    """
    found = _RANGE.fullmatch(header)
    if found is None or (not found[1] and not found[2]):
        return None
    if not found[1]:
        length = min(int(found[2]), size)
        return (size - length, size - 1) if length else "unsatisfiable"
    first = int(found[1])
    last = min(int(found[2]), size - 1) if found[2] else size - 1
    if found[2] and int(found[2]) < first:
        return None
    return (first, last) if first < size else "unsatisfiable"


def lifetime_of(header: str) -> float | None:
    """Read a lifecycle header: the seconds that an upload lives, None: for ever (W94).

    Raises:
        ValueError: it is no such JSON; its text says what it must be.
    """
    if not header:
        return None
    wrong = 'X-Fal-Object-Lifecycle is JSON such as {"expiration_duration_seconds": 3600}'
    try:
        found: Any = json.loads(header)
    except ValueError:
        raise ValueError(wrong) from None
    if not isinstance(found, dict):
        raise ValueError(wrong)
    seconds = found.get("expiration_duration_seconds")
    if seconds is None:
        return None
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 <= seconds <= MOST_SECONDS:
        raise ValueError(f"expiration_duration_seconds is a number of seconds, 0 or more, not {seconds!r}"[:200])
    return float(seconds)


def content_type_of(given: str) -> str:
    """Give a content type that may stand in a header, or that of plain bytes."""
    return given.strip() if _TYPE.fullmatch(given.strip()) else OCTETS


def disposition(file_name: str) -> str:
    """Give the header that names a file (RFC 6266)."""
    plain = re.sub(r"[^ !#$&+.0-9A-Z\[\]^_`a-z{|}~-]", "_", file_name)
    return f"inline; filename=\"{plain}\"; filename*=UTF-8''{quote(file_name, safe='')}"
