"""The record of a request's answer, for panels, the history and retries of the queue."""

from __future__ import annotations

import msgspec

from fal_jupyter.domain.queue.retries import flag
from fal_jupyter.protocol.api import H_STOP_RUNNER, ErrorDescription
from fal_jupyter.protocol.feed import BODY_BOUND, DISPLAYS_BOUND


class ResponseRecord(msgspec.Struct, eq=False):
    """The recorded part of one answer.

    Attributes:
        status: the HTTP status; 0: there is no answer yet.
        detail: the message of the gateway's own answer, ``""`` for the app's answer.
        error: the exception of user code.
        displays: pictures that were displayed: type, bytes, text.
        needs_retry: the retry header of the answer; None: absent.
        stop_runner: whether the answer's headers request the end of the runner; None: absent.
    """

    status: int = 0
    content_type: str = ""
    detail: str = ""
    error: ErrorDescription | None = None
    needs_retry: bool | None = None
    stop_runner: bool | None = None
    bytes_sent: int = 0
    displays: list[tuple[str, bytes, str]] = []
    displays_size: int = 0
    _pieces: bytes | list[bytes] = b""
    _room: int = 0

    def begin(self, body: bytes, *, keep: bool) -> None:
        """Record the head and the first or complete body; without *keep*, the body is not recorded."""
        self.bytes_sent = len(body)
        if not keep:
            return
        if len(body) <= BODY_BOUND:
            self._pieces, self._room = body, BODY_BOUND - len(body)
        else:
            self._pieces, self._room = body[:BODY_BOUND], 0

    def add(self, data: bytes) -> None:
        """Record more of the body."""
        self.bytes_sent += len(data)
        if self._room > 0:
            if not isinstance(self._pieces, list):
                self._pieces = [self._pieces]
            self._pieces.append(data[: self._room])
            self._room -= len(data)

    def read_switch(self, name: str, value: str, *, finished: bool) -> None:
        """Read a header of the answer that switches a retry or the end of the runner; once *finished*, it no longer affects retries."""
        if name == H_STOP_RUNNER:
            self.stop_runner = flag(value)
        elif not finished:
            self.needs_retry = flag(value)

    def add_display(self, kind: str, picture: bytes, text: str) -> None:
        """Record a displayed picture; its bytes are stored up to the limit, its text always."""
        fits = self.displays_size + len(picture) <= DISPLAYS_BOUND
        self.displays.append((kind, picture if fits else b"", text))
        self.displays_size += len(picture) if fits else 0

    def body(self) -> bytes:
        """The recorded part of the body."""
        return b"".join(self._pieces) if isinstance(self._pieces, list) else self._pieces
