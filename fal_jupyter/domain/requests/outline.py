"""A large request body as its outline: its small values, with a stand-in for each long text (a picture, a file, a page of text).

The body is read once, piece by piece, and never as a whole. Its long texts go to a :class:`TextSink`, so that they can be stored
apart; :attr:`Outline.parts` are what lies before, between and behind them.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Final, Literal, Protocol

LONG: Final = 4096  # bytes; a longer text is left out of the outline
MOST_TEXTS: Final = 64  # long texts of one body
_SHOWN: Final = 400  # bytes of a text by which its stand-in can be made
_INSIDE = re.compile(rb'(?:[^"\\]++|\\.)*+', re.DOTALL)
_BOUNDARY = re.compile(r'boundary="?([^";,\s]{1,200})', re.ASCII)
# the head of a data address with enough of its bytes to know their type; else the first words, escapes of halves of characters left out
_BEGINNING = re.compile(
    rb'data:[^,"\\]{0,300},[A-Za-z0-9+/=]{0,32}|(?:[^"\\]|\\["\\/bfnrt]|\\u(?![dD][89a-fA-F])[0-9a-fA-F]{4}){0,60}',
    re.DOTALL,
)


class TextSink(Protocol):
    """Receives the long texts of a body, one after the other."""

    def begin(self) -> None:
        """A long text begins."""

    def write(self, data: bytes) -> None:
        """More of it."""

    def end(self) -> None:
        """It is complete."""


@dataclass(frozen=True, slots=True)
class StandIn:
    """What stands for a long text in an outline: as it is *written* there, and its *text* as JSON reads it."""

    written: bytes
    text: str
    size: int


Kind = Literal["json", "form", "opaque"]


def kind_of(content_type: str) -> tuple[Kind, bytes]:
    """Return how a body of that type is read, and the boundary of a form's parts."""
    kind = content_type.partition(";")[0].strip().lower()
    if kind in ("", "application/json") or kind.endswith("+json"):
        return "json", b""
    boundary = _BOUNDARY.search(content_type) if kind == "multipart/form-data" else None
    return ("form", boundary[1].encode()) if boundary is not None else ("opaque", b"")


@dataclass(eq=False)
class Outline:
    """Reads one body.

    Attributes:
        limit: bytes of all small values; with more of them, the rest of the body is one long text and there is no outline.
        parts: the bytes around the long texts: one more than there are texts.
        stand_ins: what stands for each long text.
    """

    sink: TextSink
    content_type: str
    limit: int
    parts: list[bytearray] = field(default_factory=lambda: [bytearray()])
    stand_ins: list[StandIn] = field(default_factory=list)
    _small: int = 0
    _text: bytearray = field(default_factory=bytearray)  # the beginning of the text that is read now
    _size: int = 0
    _is_long: bool = False
    _in_text: bool = False
    _is_escaped: bool = False
    _held: bytes = b""  # of a form: too short to tell whether a part ends there

    def __post_init__(self) -> None:
        self._kind, boundary = kind_of(self.content_type)
        self._delimiter = b"\r\n--" + boundary
        self._in_text = self._kind == "opaque"

    @property
    def is_complete(self) -> bool:
        """True if the parts and stand-ins are a body of the same kind."""
        return self._kind != "opaque"

    def body(self) -> bytes:
        """The body with its stand-ins."""
        pieces = [bytes(self.parts[0])]
        for stand_in, part in zip(self.stand_ins, self.parts[1:], strict=True):
            pieces += (stand_in.written, bytes(part))
        return b"".join(pieces)

    def feed(self, data: bytes) -> None:
        """Read a piece of the body."""
        if self._kind == "form":
            data, self._held = self._held + data, b""
        position = 0
        while position < len(data):
            if self._kind == "opaque":
                self._add_text(data[position:] if position else data)
                return
            position = (
                self._step_of_json(data, position) if self._kind == "json" else self._step_of_form(data, position)
            )

    def end(self) -> None:
        """The body is complete."""
        held, self._held = self._held, b""
        if self._in_text:
            self._add_text(held)
            self._end_text()
        else:
            self._add_small(held)

    # --- by kind ------------------------------------------------------------------------------------------------
    def _step_of_json(self, data: bytes, position: int) -> int:
        """Read up to the next quotation mark or the end of the piece; returns how far."""
        if not self._in_text:
            quote = data.find(b'"', position)
            self._in_text = quote >= 0
            return self._take_small(data, position, quote + 1 if quote >= 0 else len(data))
        if self._is_escaped:
            self._is_escaped = False
            self._add_text(data[position : position + 1])
            return position + 1
        stop = data.find(b'"', position)
        stop = stop if stop >= 0 else len(data)
        if data.find(b"\\", position, stop) >= 0:
            inside = _INSIDE.match(data, position)
            assert inside is not None  # it matches nothing too
            stop = inside.end()
        self._add_text(data[position:stop])
        if stop == len(data):
            return stop
        if data[stop : stop + 1] == b"\\":  # what it escapes comes with the next piece
            self._is_escaped = True
            self._add_text(b"\\")
            return stop + 1
        self._end_text()
        return self._take_small(data, stop, stop + 1) if self._kind == "json" else stop

    def _step_of_form(self, data: bytes, position: int) -> int:
        """Read up to the next head or end of a part; what may belong to it is held."""
        mark = self._delimiter if self._in_text else b"\r\n\r\n"
        index = data.find(mark, position)
        stop = index if index >= 0 else max(position, len(data) - len(mark) + 1)
        if index < 0:
            self._held = data[stop:]
        if self._in_text:
            self._add_text(data[position:stop])
            if index < 0:
                return len(data)
            self._end_text()
            return stop
        self._in_text = index >= 0
        reached = self._take_small(data, position, stop + len(mark) if index >= 0 else stop)
        return reached if index >= 0 or self._kind == "opaque" else len(data)

    # --- small values and long texts ----------------------------------------------------------------------------
    def _take_small(self, data: bytes, position: int, stop: int) -> int:
        """Add small values up to *stop*; returns how far they reach: the rest is a text once they are too many."""
        stop = min(stop, position + self.limit - self._small + 1)
        self._add_small(data[position:stop])
        return stop

    def _add_small(self, data: bytes) -> None:
        self.parts[-1] += data
        self._small += len(data)
        if self._small > self.limit or len(self.stand_ins) > MOST_TEXTS:
            self._held, self._kind, self._in_text = b"", "opaque", True

    def _add_text(self, data: bytes) -> None:
        self._size += len(data)
        if self._is_long:
            self.sink.write(data)
            return
        self._text += data
        if len(self._text) > LONG:
            self._is_long = True
            self.sink.begin()
            self.sink.write(bytes(self._text))
            del self._text[_SHOWN:]

    def _end_text(self) -> None:
        text, size, is_long = bytes(self._text), self._size, self._is_long
        self._text, self._size, self._is_long, self._in_text = bytearray(), 0, False, False
        if is_long:
            self.sink.end()
            self.stand_ins.append(_stand_in(text, size, len(self.stand_ins) + 1, is_json=self._kind == "json"))
            self.parts.append(bytearray())
            self._small += len(self.stand_ins[-1].written)
            text = b""
        self._add_small(text)


def _stand_in(beginning: bytes, size: int, number: int, *, is_json: bool) -> StandIn:
    """Return a text that is like no other of the body, by its number."""
    shown = _BEGINNING.match(beginning)
    words = shown[0].decode("utf-8", "ignore") if shown is not None and is_json else ""
    written = f"{words}… ({size} bytes, text {number})"
    return StandIn(written.encode(), json.loads(f'"{written}"', strict=False) if is_json else written, size)
