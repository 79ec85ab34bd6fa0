"""The framed answer to an owner's call, decoded as it arrives."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import msgspec

from fal_jupyter.client.connection.control_connection import ControlConnection
from fal_jupyter.protocol import frames
from fal_jupyter.protocol.api import EndRecord, ErrorDescription, Timing
from fal_jupyter.protocol.frames import Decoder, Kind

OnOutput = Callable[[int, str], None]


class _ResponseHead(msgspec.Struct):
    """Head of a RESPONSE frame."""

    status: int
    headers: list[tuple[str, str]]


class _DisplayHead(msgspec.Struct):
    """Head of a DISPLAY frame."""

    type: str
    text: str


class _EndFrame(msgspec.Struct):
    """Payload of an END_BODY frame: an EndRecord, and whether the answer broke off."""

    request_id: str
    status: int
    revision: int
    runner: str
    timing: Timing
    aborted: bool = False


_response_head = msgspec.json.Decoder(_ResponseHead)
_display_head = msgspec.json.Decoder(_DisplayHead)
_error = msgspec.json.Decoder(ErrorDescription)
_end_frame = msgspec.json.Decoder(_EndFrame)


class AnswerImage(str):
    """A picture that an endpoint displayed, as output: the text is what is printed where pictures cannot be shown.

    Attributes:
        kind: its media type, one of ``frames.PICTURES``. data: the encoded picture.
    """

    kind: str
    data: bytes

    @classmethod
    def of(cls, payload: bytes) -> str:
        """Read a DISPLAY frame; with an unknown media type, only the text is used."""
        head, data, _ = frames.decode_message(payload)
        described = _display_head.decode(head)
        text = f"{described.text}\n"
        if described.type not in frames.PICTURES:
            return text
        picture = cls(text)
        picture.kind, picture.data = described.type, data
        return picture


OUTPUT_BOUND = 256 * 1024


@dataclass(slots=True)
class Answer:
    """A finished call: the app's response, what its code raised, and its timings."""

    status: int = 0
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""
    error: ErrorDescription | None = None
    end: EndRecord | None = None
    aborted: bool = False

    def header(self, name: str) -> str:
        """The first header of that (lower-case) name, or ``""``."""
        for key, value in self.headers:  # no generator: it takes longer than the search
            if key.lower() == name:
                return value
        return ""


class AnswerReader:
    """Frames to an :class:`Answer`; output is passed to *on_output* in order, at most ``OUTPUT_BOUND`` characters."""

    def __init__(self, on_output: OnOutput | None, where_the_rest_is: str) -> None:
        self.answer = Answer()
        self._decoder = Decoder()
        self._on_output = on_output
        self._rest = where_the_rest_is
        self._printed = self._dropped = self._dropped_lines = 0
        self._parts: list[bytes] = []

    def feed_from(self, connection: ControlConnection, data: bytes) -> None:
        """Take bytes of the connection. A body of plain JSON is a refusal by the gateway itself."""
        body = connection.receive_data(data)
        if not body:
            return
        if connection.is_plain_json:
            self.answer.status = connection.status
            self.answer.headers = list(connection.headers.items())
            self._parts.append(body)
        else:
            self.feed(body)

    def values(self) -> Iterable[object]:
        """Return the values that are available before the answer is complete: none for a plain call."""
        return ()

    def feed(self, data: bytes) -> None:
        """Take bytes of the framed body."""
        for frame in self._decoder.feed(data):
            if frame.kind == Kind.OUTPUT:
                self._output(frame.payload[0], frame.payload[1:].decode("utf-8", "replace"))
            elif frame.kind == Kind.DISPLAY and self._on_output is not None:
                self._on_output(1, AnswerImage.of(frame.payload))
            elif frame.kind == Kind.RESPONSE:
                head, body, _ = frames.decode_message(frame.payload)
                response = _response_head.decode(head)
                self.answer.status, self.answer.headers = response.status, response.headers
                self._parts = [body]  # a second one is the gateway's error, which replaces an answer that had begun
            elif frame.kind == Kind.BODY:
                self._parts.append(frame.payload)
            elif frame.kind == Kind.ERROR:
                self.answer.error = _error.decode(frame.payload)
            elif frame.kind == Kind.END_BODY:
                end = _end_frame.decode(frame.payload)
                self.answer.aborted = end.aborted
                self.answer.end = EndRecord(
                    request_id=end.request_id,
                    status=end.status,
                    revision=end.revision,
                    runner=end.runner,
                    timing=end.timing,
                )

    def finish(self) -> Answer:
        """The answer is complete."""
        self.answer.body = b"".join(self._parts)
        if self._dropped and self._on_output is not None:
            notice = f"\n[{self._dropped_lines:,} more lines ({self._dropped:,} characters) are not shown here; {self._rest}]\n"
            self._on_output(2, notice)
        return self.answer

    def _output(self, stream: int, text: str) -> None:
        if self._on_output is None:
            return
        room = OUTPUT_BOUND - self._printed
        if room > 0:
            self._on_output(stream, text[:room])
            self._printed += min(room, len(text))
        if len(text) > max(room, 0):
            rest = text[max(room, 0) :]
            self._dropped += len(rest)
            self._dropped_lines += rest.count("\n")
