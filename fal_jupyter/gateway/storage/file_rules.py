"""Parses headers about files: ranges, lifetimes, types. Pure functions."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from urllib.parse import quote

import msgspec

from fal_jupyter.domain.access.file_lifecycle import Lifecycle, lifecycle_of

_RANGE = re.compile(r"\s*bytes\s*=\s*(\d*)\s*-\s*(\d*)\s*", re.I | re.ASCII)
_TAG = re.compile(r'(?:W/)?("[^"]*")')
_TYPE = re.compile(r"[\w!#$&^.+-]{1,80}/[\w!#$&^.+-]{1,80}(?:\s*;\s*[\w!#$&^.+-]{1,40}=(?:[\w!#$&^.+-]{1,80}|\"[\w !#$&^.+-]{0,80}\"))*", re.ASCII)  # fmt: skip
OCTETS = "application/octet-stream"
MOST_DIGITS = 18  # of a position in a file; longer numbers are beyond any file's end
H_LIFECYCLES = ("x-fal-object-lifecycle", "x-fal-object-lifecycle-preference")


def byte_range(header: str, size: int) -> tuple[int, int] | str | None:
    """Read a Range header for a file of *size* bytes.

    Returns first and last byte; None for the complete file (no header, more than one range, not parseable); or
    ``"unsatisfiable"`` (RFC 9110, 14).
    """
    match = _RANGE.fullmatch(header)
    if match is None or (not match[1] and not match[2]):
        return None
    if not match[1]:
        length = min(_position(match[2]), size)
        return (size - length, size - 1) if length else "unsatisfiable"
    first = _position(match[1])
    if match[2] and _position(match[2]) < first:
        return None
    last = min(_position(match[2]), size - 1) if match[2] else size - 1
    return (first, last) if first < size else "unsatisfiable"


def _position(digits: str) -> int:
    plain = digits.lstrip("0") or "0"
    return int(plain) if len(plain) <= MOST_DIGITS else 10**MOST_DIGITS


def names_tag(header: str, tag: str) -> bool:
    """True if an If-None-Match header contains that quoted ETag (RFC 9110, 13.1.2)."""
    return header.strip() == "*" or tag in _TAG.findall(header)


def read_json(data: str | bytes) -> object:
    """Parse JSON of a caller.

    Raises:
        ValueError: it is not JSON, or nested too deeply.
    """
    try:
        return json.loads(data)
    except RecursionError:
        raise ValueError("nested too deep") from None


def lifecycle_in(headers: Mapping[str, str]) -> Lifecycle:
    """Return the lifecycle requested by the headers of an upload; the headers of both clients are supported.

    Raises:
        ValueError: they are invalid; the message says what is expected.
    """
    header = next((value for name in H_LIFECYCLES if (value := headers.get(name))), "")
    if not header:
        return Lifecycle()
    try:
        rules = read_json(header)
    except ValueError:
        rules = None
    return lifecycle_of(rules)


class _Part(msgspec.Struct):
    number: int = msgspec.field(name="partNumber")
    etag: str = ""


class _Complete(msgspec.Struct):
    parts: list[_Part]


def parts_in(body: bytes) -> dict[int, str]:
    """Parse the request that completes an upload: the digests in the parts' etags, by number; ``""`` for an etag without one (W97, W101).

    Raises:
        ValueError: the body is invalid.
    """
    wrong = 'the body is JSON: {"parts": [{"partNumber": 1, "etag": "…"}]}'
    try:
        parts = msgspec.json.decode(body, type=_Complete).parts
    except (msgspec.MsgspecError, ValueError, RecursionError):  # before msgspec 0.21 its own error is not a ValueError
        raise ValueError(wrong) from None
    if len({part.number for part in parts}) < len(parts):
        raise ValueError("a part is named twice")
    return {part.number: part.etag.strip().removeprefix("W/").strip('"') for part in parts}


def text_of(header: str) -> str:
    """Return the text of a header that was decoded as latin-1: clients also send names in UTF-8."""
    try:
        return header.encode("latin-1").decode("utf-8")
    except (UnicodeEncodeError, UnicodeDecodeError):
        return header


def content_type_of(header_value: str) -> str:
    """Return a content type that is valid in a header, or that of plain bytes."""
    return header_value.strip() if _TYPE.fullmatch(header_value.strip()) else OCTETS


def disposition(file_name: str) -> str:
    """Return the header that names a file (RFC 6266)."""
    plain = re.sub(r"[^ !#$&+.0-9A-Z\[\]^_`a-z{|}~-]", "_", file_name)
    return f"inline; filename=\"{plain}\"; filename*=UTF-8''{quote(file_name, safe='')}"
