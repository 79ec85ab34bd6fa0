"""Decoders of streamed answers: server-sent events, JSON lines, or raw bytes."""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterator


def decoder_for(content_type: str) -> EventDecoder:
    """Return the decoder for a content type."""
    kind = content_type.partition(";")[0].strip().lower()
    if kind == "text/event-stream":
        return ServerSentEvents()
    if kind in ("application/jsonl", "application/x-ndjson"):
        return JsonLines()
    if kind == "application/json" or (kind.startswith("application/") and kind.endswith("+json")):
        return WholeJson()
    return Text() if kind.startswith("text/") else EventDecoder()


def value_of(text: str) -> object:
    """Return the JSON value of *text*, or the text itself where it is none or nested too deeply."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


class EventDecoder:
    """Raw bytes, as they arrive."""

    def feed(self, data: bytes) -> Iterator[object]:
        """Take bytes; return the values that are complete now."""
        if data:
            yield data

    def end(self) -> Iterator[object]:
        """The answer is complete: give what is left."""
        return iter(())


class Text(EventDecoder):
    """Text as it arrives, never split within a character."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def feed(self, data: bytes) -> Iterator[object]:
        if text := self._decoder.decode(data):
            yield text

    def end(self) -> Iterator[object]:
        if text := self._decoder.decode(b"", True):
            yield text


class WholeJson(EventDecoder):
    """One value, at the end."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def feed(self, data: bytes) -> Iterator[object]:
        self._parts.append(data)
        return iter(())

    def end(self) -> Iterator[object]:
        if text := b"".join(self._parts):
            yield value_of(text.decode("utf-8", "replace"))


class JsonLines(EventDecoder):
    """One value per line."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[object]:
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            if line.strip():
                yield value_of(line.decode("utf-8", "replace"))

    def end(self) -> Iterator[object]:
        if self._rest.strip():
            yield value_of(self._rest.decode("utf-8", "replace"))


class ServerSentEvents(EventDecoder):
    """The data of each event (HTML standard, 9.2): lines joined, comments left out, an unfinished last event dropped."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._rest = ""
        self._data: list[str] = []
        self._first = True

    def feed(self, data: bytes) -> Iterator[object]:
        text = self._rest + self._decoder.decode(data)
        if self._first and text:
            self._first, text = False, text.removeprefix("\ufeff")
        pending = "\r" if text.endswith("\r") else ""  # its line feed may come with the next bytes
        lines = text[: len(text) - len(pending)].replace("\r\n", "\n").replace("\r", "\n").split("\n")
        self._rest = lines.pop() + pending
        for line in lines:
            if line:
                self._take(line)
            elif self._data:
                whole, self._data = "\n".join(self._data), []
                yield value_of(whole)

    def _take(self, line: str) -> None:
        name, _, value = line.partition(":")
        if name == "data":
            self._data.append(value.removeprefix(" "))
