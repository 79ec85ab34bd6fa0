"""The interface by which a request's handler sends its response."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from typing import Any, Protocol

from fal_jupyter.domain.text.json_forms import encode_json
from fal_jupyter.protocol.api import H_ERROR_TYPE, H_REQUEST_ID

Headers = Sequence[tuple[str, str]]
_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_COMMON = frozenset(
    {"content-length", "content-type", "x-fal-request-id", "x-fal-revision", "x-fal-runner", "cache-control", "date"}
)
FAILED = "the gateway failed at this request; the traceback is in its gateway.log"
MOST_DIGITS = 18
_NOT_IN_VALUE = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")  # RFC 9110, 5.5


class ResponseWriter(Protocol):
    """Sends one response: ``respond``, any number of ``write``, then ``finish`` or ``drop``."""

    def respond(self, status: int, headers: Headers, body: bytes) -> None:
        """Send the head and the first (or complete) body; without a length in *headers*, the body is sent in chunks."""

    def write(self, data: bytes) -> asyncio.Future[None] | None:
        """Send more body; wait for the returned future if it is not done.

        Raises:
            ValueError: more than the declared length.
        """

    def backed_up(self) -> bool:
        """True while the caller does not read the data sent."""

    def finish(self) -> None:
        """The answer is complete.

        Raises:
            ValueError: less than the declared length.
        """

    def drop(self) -> None:
        """Close the connection immediately."""

    def on_close(self, callback: Callable[[], None]) -> None:
        """Call *callback* if the caller disconnects before the answer is complete."""


def can_be_sent(headers: Headers) -> bool:
    """False if a name or a value is invalid in HTTP: a line break would begin another header, and clients refuse other controls."""
    for name, _ in headers:
        if name not in _COMMON and not _NAME.fullmatch(name):
            return False
    return _NOT_IN_VALUE.search("".join(chain.from_iterable(headers))) is None  # names never have such characters


def failure_body(request_id: str, error_type: str, detail: Any, /, **more: Any) -> bytes:
    """Return the body of a failure in fal's shape; *error_type* is ``""`` if fal has no name for it."""
    body = {"detail": detail, "request_id": request_id, **more}
    return encode_json(body | {"error_type": error_type} if error_type else body)


def is_number(text: str) -> bool:
    """True for a length or a port in HTTP: ASCII digits, of limited number."""
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
    """Yield 32 random hexadecimal digits at a time: one system call for many ids, as it is the most expensive part."""
    while True:
        digits = os.urandom(4096).hex()
        yield from (digits[at : at + 32] for at in range(0, len(digits), 32))


_random_digits = _draw()


def new_id() -> str:
    """A request id from which others cannot be guessed. For the event loop's thread only."""
    digits = next(_random_digits)
    return (
        f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{'89ab'[int(digits[16], 16) & 3]}{digits[17:20]}-{digits[20:]}"
    )
