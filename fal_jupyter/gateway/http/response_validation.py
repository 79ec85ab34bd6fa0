"""Which answers of apps can go out as HTTP/1.1: those that cannot are answered for, so that no caller waits for what never comes."""

from __future__ import annotations

from typing import Final, NamedTuple

from fal_jupyter.gateway.http.response_head import SortedHeaders
from fal_jupyter.gateway.http.response_writer import can_be_sent, is_number
from fal_jupyter.protocol.api import BODILESS

MAX_ANSWER_HEAD: Final = 16 * 1024  # what proxies and clients take (reliability row 33)


class InvalidResponse(NamedTuple):
    """What is answered in place of what the app said."""

    status: int
    error_type: str
    detail: str


def objection(
    status: int,
    headers: SortedHeaders,
    *,
    head_size: int,
    size: int,
    end: bool,
    method: str,
    websocket: bool,
) -> InvalidResponse | None:
    """Say why an answer cannot be sent, or None.

    Args:
        headers: the app's own. head_size: bytes of the head as the runner wrote it.
        size: bytes of body that are here; with *end* that is all. websocket: the caller asked for one.
    """
    if head_size > MAX_ANSWER_HEAD:
        problem = f"the app's answer had {head_size:,} bytes of headers, more than {MAX_ANSWER_HEAD:,}"
        return InvalidResponse(502, "runner_incomplete_response", problem)
    if not (200 <= status <= 999 or (status == 101 and websocket)):
        return InvalidResponse(
            500, "runner_server_error", f"the app's answer had the status {status}, which ends no request"
        )
    if not can_be_sent(headers.for_caller):
        return InvalidResponse(500, "runner_server_error", "the app's answer had a header that HTTP cannot carry")
    lengths = headers.lengths
    if not lengths:
        return None
    if len(lengths) > 1 or not is_number(lengths[0]):
        return InvalidResponse(
            500, "runner_server_error", "the app's answer had a content-length that HTTP cannot carry"
        )
    whole = end and method != "HEAD" and status not in BODILESS
    if size > int(lengths[0]) or (whole and size < int(lengths[0])):
        problem = f"the app's answer said that it had {lengths[0]} bytes, and had {'' if end else 'at least '}{size}"
        return InvalidResponse(502, "runner_incomplete_response", problem)
    return None
