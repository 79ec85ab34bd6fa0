"""Formats requests as lines of text: start, outcome and timings."""

from __future__ import annotations

import time
from typing import Final

from fal_jupyter.commands.numbers import MISSING, milliseconds
from fal_jupyter.commands.tables import table
from fal_jupyter.domain.text.terminal_text import safe_line
from fal_jupyter.protocol.feed import CANCELLED, NAMED_PHASE_MS, Phase, RequestState, is_streamed

_LONGEST = 100  # characters of a path or an error
_PHASES: Final[tuple[tuple[Phase, str], ...]] = (
    ("queue_ms", "queue"),
    ("start_ms", "start"),
    ("transfer_ms", "transfer"),
    ("run_ms", "run"),
)

# phases.mjs has the same words
_STATUS_WORDS: Final = {
    400: "bad request", 401: "not authorized", 403: "forbidden", 404: "not found", 405: "method not allowed",
    413: "the input is too large", 415: "unsupported media type", 422: "the input was refused", 429: "too many requests",
    500: "the endpoint failed", 502: "the runner gave no answer", 503: "not available", 504: "timed out",
}  # fmt: skip


def word_of(request: RequestState) -> str:
    """The outcome or state of a request in a word: ``ok``, ``failed 500``, ``cancelled``, ``waiting``, ``running``, and from the
    first byte of its answer ``streaming``, or ``answering`` where that is no stream."""
    if request["state"] == "streaming" and not is_streamed(request["content_type"]):
        return "answering"
    if request["state"] != "done":
        return request["state"]
    if request["status"] == CANCELLED:
        return "cancelled"
    if request["status"] >= 400:
        return f"failed {request['status']}"
    return "failed" if request["error"] else "ok"


def failure_words(request: RequestState) -> str:
    """Why a request failed or was cancelled, in a line: its error, else what its status means; ``""`` for all others."""
    status = request["status"]
    if request["error"] or request["state"] != "done" or status < 400 or status == CANCELLED:
        return request["error"]
    other = "the request was refused" if status < 500 else "the endpoint failed"
    return f"{status}: {_STATUS_WORDS.get(status, other)}"


def clock(wall_ms: float) -> str:
    """A time of day with tenths of a second: ``14:32:08.4``."""
    return time.strftime("%H:%M:%S", time.localtime(wall_ms / 1000)) + f".{int(wall_ms % 1000 // 100)}"


def _phases(requests: list[RequestState]) -> list[tuple[Phase, str]]:
    """The phases' fields and names; the phase after the first byte is named a stream only if one of the responses is a stream."""
    streamed = any(is_streamed(request["content_type"]) for request in requests)
    return [*_PHASES, ("stream_ms", "stream" if streamed else "answer")]


def as_text(requests: list[RequestState]) -> str:
    """The table of *requests*, in their order; a phase without time in any of them has no column."""
    phases = [(field, name) for field, name in _phases(requests) if any(r[field] >= NAMED_PHASE_MS for r in requests)]
    errors = any(failure_words(request) for request in requests)
    rows = [
        [
            clock(request["began"]),
            request["alias"],
            _cut(request["path"]),
            word_of(request),
            *(milliseconds(request[field]) for field, _ in phases),
            milliseconds(request["total_ms"]),
            request["runner"] or MISSING,
            f"r{request['revision']}" if request["revision"] else MISSING,
            request["id"],
            *([_cut(failure_words(request))] if errors else []),
        ]
        for request in requests
    ]
    times = [name for _, name in phases]
    heads = [
        "began",
        "app",
        "endpoint",
        "state",
        *times,
        "total",
        "runner",
        "rev",
        "request",
        *(["error"] if errors else []),
    ]
    return table(heads, rows, right=[*times, "total"])


def _cut(text: str) -> str:
    line = safe_line(text)
    return line if len(line) <= _LONGEST else line[: _LONGEST - 1] + "…"
