"""Checks whether an app's answer is valid HTTP/1.1; an invalid one is replaced by an error, so that no caller waits in vain."""

from __future__ import annotations

from typing import Final, NamedTuple

from fal_jupyter.gateway.http.response_head import SortedHeaders
from fal_jupyter.gateway.http.response_writer import can_be_sent, is_number
from fal_jupyter.protocol.api import BODILESS

MAX_ANSWER_HEAD: Final = 16 * 1024  # limit of proxies and clients (reliability row 33)


class InvalidResponse(NamedTuple):
    """The answer that replaces an invalid one."""

    status: int
    error_type: str
    detail: str


def invalid_response(
    status: int,
    headers: SortedHeaders,
    *,
    head_size: int,
    size: int,
    end: bool,
    method: str,
    websocket: bool,
) -> InvalidResponse | None:
    """Describe why an answer cannot be sent, or return None.

    Args:
        headers: the app's headers. head_size: bytes of the head as the runner wrote it.
        size: bytes of the body so far; with *end* of all. websocket: the caller requested a WebSocket.
    """
    if head_size > MAX_ANSWER_HEAD:
        problem = f"the app's answer had {head_size:,} bytes of headers, more than {MAX_ANSWER_HEAD:,}"
        return InvalidResponse(502, "runner_incomplete_response", problem)
    if not (200 <= status <= 999 or (status == 101 and websocket)):
        return InvalidResponse(
            500, "runner_server_error", f"the app's answer had the status {status}, which is not final"
        )
    if not can_be_sent(headers.for_caller):
        return InvalidResponse(500, "runner_server_error", "the app's answer had a header that is invalid in HTTP")
    lengths = headers.lengths
    if not lengths:
        return None
    if len(lengths) > 1 or not is_number(lengths[0]):
        return InvalidResponse(500, "runner_server_error", "the app's answer had an invalid content-length")
    whole = end and method != "HEAD" and status not in BODILESS
    if size > int(lengths[0]) or (whole and size < int(lengths[0])):
        problem = f"the app's answer declared {lengths[0]} bytes but had {'' if end else 'at least '}{size}"
        return InvalidResponse(502, "runner_incomplete_response", problem)
    return None
