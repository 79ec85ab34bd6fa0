"""The type of a file as a browser needs it: the real package says ``application/octet-stream`` of a file that it reads by its path, and
``image/PNG`` of a picture that was loaded from one (fal 1.83.0, measured)."""

from __future__ import annotations

import re
from mimetypes import guess_type

UNKNOWN = "application/octet-stream"
_BEGINNINGS = (
    (rb"\x89PNG\r\n", "image/png"),
    (rb"\xff\xd8\xff", "image/jpeg"),
    (rb"GIF8", "image/gif"),
    (rb"RIFF.{4}WEBP", "image/webp"),
    (rb"RIFF.{4}WAVE", "audio/wav"),
)


def media_type(declared: str | None, data: bytes, file_name: str = "") -> str:
    """Return *declared* in lower case; where it is missing, the type by the first bytes of *data*, else by the ending of *file_name*."""
    kind = (declared or UNKNOWN).lower().replace("image/jpg", "image/jpeg")
    if kind != UNKNOWN:
        return kind
    detected = next((name for begin, name in _BEGINNINGS if re.match(begin, data, re.DOTALL)), "")
    return detected or guess_type(file_name)[0] or UNKNOWN
