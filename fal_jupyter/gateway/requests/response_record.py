"""What is known of a request's answer, for the panels, the history and the retries of the queue."""

from __future__ import annotations

import msgspec

from fal_jupyter.protocol.api import ErrorDescription
from fal_jupyter.protocol.feed import BODY_BOUND, DISPLAYS_BOUND


class ResponseRecord(msgspec.Struct, eq=False):
    """One answer, as far as it is kept.

    Attributes:
        status: of HTTP; 0: there is no answer yet.
        detail: the sentence of an answer that the gateway made, ``""`` for the app's own answer.
        error: the exception of user code.
        displays: pictures that were displayed: type, bytes, text.
        needs_retry: what the answer's headers say of retries; None: nothing.
        stop_runner: whether the answer's headers ask for the end of the runner; None: they say nothing.
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
        """The head came, with the first or whole body; without *keep*, nothing of the body is kept."""
        self.bytes_sent = len(body)
        if not keep:
            return
        if len(body) <= BODY_BOUND:
            self._pieces, self._room = body, BODY_BOUND - len(body)
        else:
            self._pieces, self._room = body[:BODY_BOUND], 0

    def add(self, data: bytes) -> None:
        """More of the body came."""
        self.bytes_sent += len(data)
        if self._room > 0:
            if not isinstance(self._pieces, list):
                self._pieces = [self._pieces]
            self._pieces.append(data[: self._room])
            self._room -= len(data)

    def add_display(self, kind: str, picture: bytes, text: str) -> None:
        """A picture was displayed; its bytes are kept as far as the limit goes, its text always."""
        fits = self.displays_size + len(picture) <= DISPLAYS_BOUND
        self.displays.append((kind, picture if fits else b"", text))
        self.displays_size += len(picture) if fits else 0

    def body(self) -> bytes:
        """The part of the body that is kept."""
        return b"".join(self._pieces) if isinstance(self._pieces, list) else self._pieces
