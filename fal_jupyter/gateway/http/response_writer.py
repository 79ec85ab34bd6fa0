"""Who waits for an answer: what an exchange needs of a connection."""

from __future__ import annotations

import asyncio
import json
import os
import re
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from typing import Any, Protocol

from fal_jupyter.protocol.api import H_ERROR_TYPE, H_REQUEST_ID

Headers = Sequence[tuple[str, str]]
_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_COMMON = frozenset(
    {"content-length", "content-type", "x-fal-request-id", "x-fal-revision", "x-fal-runner", "cache-control", "date"}
)
FAILED = "the gateway failed at this request; its owner finds the traceback in gateway.log"
MOST_DIGITS = 18
_NOT_IN_VALUE = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")  # RFC 9110, 5.5


class ResponseWriter(Protocol):
    """One request's way back. After ``respond`` come any number of ``write`` and one ``finish``, or ``drop``."""

    def respond(self, status: int, headers: Headers, body: bytes) -> None:
        """Send the head and the first (or whole) body; without a length among *headers*, the body goes in chunks."""

    def write(self, data: bytes) -> asyncio.Future[None] | None:
        """Send more body; a future that is not done yet asks to wait.

        Raises:
            ValueError: more than the length that was announced.
        """

    def backed_up(self) -> bool:
        """True while the caller does not take what it was sent."""

    def finish(self) -> None:
        """The answer is complete.

        Raises:
            ValueError: less than the length that was announced.
        """

    def drop(self) -> None:
        """Hang up, now."""

    def on_close(self, callback: Callable[[], None]) -> None:
        """Call *callback* if the caller hangs up before the answer is complete."""


def can_be_sent(headers: Headers) -> bool:
    """False if HTTP cannot carry a name or a value: a line break in it would be another header, and clients refuse other controls."""
    for name, _ in headers:
        if name not in _COMMON and not _NAME.fullmatch(name):
            return False
    return _NOT_IN_VALUE.search("".join(chain.from_iterable(headers))) is None  # no name has such a character


def failure_body(request_id: str, error_type: str, detail: Any, /, **more: Any) -> bytes:
    """Return the body of a failure in fal's shape; *error_type* is ``""`` where fal has no name for it."""
    body = {"detail": detail, "request_id": request_id, **more}
    return json.dumps(body | {"error_type": error_type} if error_type else body).encode()


def is_number(text: str) -> bool:
    """True for a length or a port as HTTP writes one: ASCII digits, and no more of them than mean something."""
    return text.isascii() and text.isdigit() and len(text) <= MOST_DIGITS


def failure(status: int, error_type: str, detail: str) -> tuple[list[tuple[str, str]], bytes]:
    """Return the headers and the body of a failure in fal's shape."""
    request_id = new_id()
    headers = [("content-type", "application/json"), (H_REQUEST_ID, request_id)]
    if error_type:
        headers.append((H_ERROR_TYPE, error_type))
    if status == 401:
        headers.append(("www-authenticate", "Key"))
    if status == 503:
        headers.append(("retry-after", "1"))
    data = failure_body(request_id, error_type, detail)
    return [*headers, ("content-length", str(len(data)))], data


def _draw() -> Iterator[str]:
    """Yield 32 random hexadecimal digits at a time: one call of the system for many ids, as it costs more than all else of one."""
    while True:
        digits = os.urandom(4096).hex()
        yield from (digits[at : at + 32] for at in range(0, len(digits), 32))


_random_digits = _draw()


def new_id() -> str:
    """A request id nobody can guess another from. For the event loop's thread only."""
    digits = next(_random_digits)
    return (
        f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{'89ab'[int(digits[16], 16) & 3]}{digits[17:20]}-{digits[20:]}"
    )
