"""Captures what user code prints, per request and in order, without slowing the request.

``sys.stdout`` and ``sys.stderr`` become :class:`Output`: text goes out as OUTPUT frames of the current request's
stream (a context variable, which sync endpoints' threads inherit); output of a thread without one belongs to the only request
in flight, or to none. File descriptors 1 and 2 stay a pipe that the gateway reads, for C code and child processes.
"""

from __future__ import annotations

import builtins
import codecs
import io
import os
import sys
import threading
import time
from contextvars import ContextVar
from typing import Any, NoReturn

import msgspec

from fal_jupyter.domain.text.json_forms import whole_text
from fal_jupyter.domain.text.token_bucket import TokenBucket
from fal_jupyter.protocol import frames
from fal_jupyter.protocol.frames import Kind
from fal_jupyter.runner.channel import OUTPUT_BOUND, RunnerChannel

STDOUT, STDERR = 1, 2
COALESCE = 8 * 1024
MAX_TEXT = 64 * 1024
LAST_WORDS = 2 * 1024
MOST_PICTURES = 20

current_stream: ContextVar[int] = ContextVar("fal_jupyter_stream", default=0)


class _Unsent:
    """Unsent output of one request (or of none) on one standard stream."""

    __slots__ = ("size", "texts", "which")

    def __init__(self, which: int) -> None:
        self.which = which
        self.texts: list[str] = []
        self.size = 0


class _Dropped:
    """Dropped output: counted, except for its last characters, which are the most informative."""

    __slots__ = ("last", "lines", "size", "which")

    def __init__(self) -> None:
        self.lines = self.size = 0
        self.last, self.which = "", STDOUT

    def add(self, which: int, text: str) -> None:
        self.lines += text.count("\n")
        self.size += len(text)
        self.which = which
        self.last = (self.last + text if len(text) < LAST_WORDS else text)[-LAST_WORDS:]


class OutputCapture:
    """Collects text and sends complete lines, so that output of concurrent requests does not mix within a line; one per process."""

    def __init__(self, channel: RunnerChannel) -> None:
        self._channel = channel
        self._lock = threading.RLock()
        self._unsent: dict[int, _Unsent] = {}
        self._dropped: dict[int, _Dropped] = {}
        self._token_bucket = TokenBucket()
        self._reported: set[tuple[str, ...]] = set()
        self._shown: dict[int, int] = {}
        self.in_flight: set[int] = set()
        os.register_at_fork(
            before=self._lock.acquire, after_in_parent=self._lock.release, after_in_child=self._lock.release
        )

    def write(self, which: int, text: str) -> None:
        """Take text of stdout (1) or stderr (2)."""
        stream = self._stream_here()
        with self._lock:
            unsent = self._unsent.get(stream)
            if unsent is None or unsent.which != which:
                if unsent is not None:
                    self._send(stream, unsent)
                unsent = self._unsent[stream] = _Unsent(which)
            unsent.texts.append(text)
            unsent.size += len(text)
            if unsent.size >= COALESCE or ("\n" in text and not self._channel.backlog):
                self._send_lines(stream, unsent)

    def write_message(self, stream: int, text: str) -> None:
        """Send our own message to a request's owner (0: only to the log), from any thread."""
        with self._lock:
            self._frame(stream, STDERR, text)

    def write_message_once(self, stream: int, subject: tuple[str, ...], text: str) -> None:
        """Like :meth:`write_message`, for the first text about *subject* in this process."""
        if subject not in self._reported:
            self._reported.add(subject)
            self.write_message(stream, text)

    def show(self, kind: str, data: bytes, text: str) -> bool:
        """Send a picture of media type *kind* to the owner of the current request, after earlier output.

        False if there is no request. A picture that is too large, exceeds the number allowed, or comes too fast, is replaced by text.
        """
        stream = self._stream_here()
        if not stream:
            return False
        with self._lock:
            if (unsent := self._unsent.get(stream)) is not None:
                self._send(stream, unsent)
            shown = self._shown.get(stream, 0)
            why_not = ""
            if len(data) > frames.MOST_PICTURE:
                why_not = f"its {len(data):,} bytes are more than {frames.MOST_PICTURE:,}"
            elif shown >= MOST_PICTURES:
                why_not = f"a request shows at most {MOST_PICTURES} pictures"
            elif self._channel.backlog > OUTPUT_BOUND:
                why_not = "pictures come faster than they are sent"
            if why_not:
                self._put(stream, STDOUT, f"{text} [fal_jupyter: not shown, {why_not}]\n")
            else:
                self._shown[stream] = shown + 1
                head = msgspec.json.encode({"type": kind, "text": whole_text(text)})
                self._channel.send(frames.encode_message(Kind.DISPLAY, stream, head, data, end=True))
        return True

    def flush(self) -> None:
        """Send the collected output of the current request of this thread, or of none."""
        stream = self._stream_here()
        with self._lock:
            if (unsent := self._unsent.get(stream)) is not None:
                self._send(stream, unsent)

    def _stream_here(self) -> int:
        stream = current_stream.get()
        if not stream and len(self.in_flight) == 1:
            (stream,) = self.in_flight
        return stream

    def _send_lines(self, stream: int, unsent: _Unsent) -> None:
        text = "".join(unsent.texts)
        end = text.rfind("\n") + 1
        if not end and len(text) >= COALESCE:
            end = len(text)  # output without line ends is sent as it is
        if end:
            rest = text[end:]
            unsent.texts[:], unsent.size = [rest] if rest else [], len(rest)
            self._put(stream, unsent.which, text[:end])

    def _send(self, stream: int, unsent: _Unsent) -> None:
        text = "".join(unsent.texts)
        del self._unsent[stream]
        if text:
            self._put(stream, unsent.which, text)

    def _put(self, stream: int, which: int, text: str) -> None:
        if self._channel.backlog > OUTPUT_BOUND or not self._token_bucket.take(len(text), time.monotonic()):
            self._dropped.setdefault(stream, _Dropped()).add(which, text)
            return
        if stream in self._dropped:
            self._mark(stream)
        for at in range(0, len(text), MAX_TEXT):
            self._frame(stream, which, text[at : at + MAX_TEXT])

    def _mark(self, stream: int) -> None:
        dropped = self._dropped.pop(stream)
        size = dropped.size - len(dropped.last)
        message = f"\n[fal_jupyter: {dropped.lines:,} lines ({size:,} characters) were printed too fast and dropped]\n"
        self._frame(stream, STDERR, message)
        self._frame(stream, dropped.which, dropped.last)

    def _frame(self, stream: int, which: int, text: str) -> None:
        data = bytes((which,)) + text.encode("utf-8", "backslashreplace")
        self._channel.send(frames.encode(Kind.OUTPUT, stream, data))

    def end_request(self, stream: int) -> None:
        """Send the remaining output of a request before its answer."""
        if not self._unsent and not self._dropped and not self._shown:
            return
        with self._lock:
            self._shown.pop(stream, None)
            if (unsent := self._unsent.get(stream)) is not None:
                self._send(stream, unsent)
            if stream in self._dropped:
                self._mark(stream)


class _Bytes(io.RawIOBase):
    """``sys.stdout.buffer``."""

    def __init__(self, output: Output) -> None:
        self._output = output
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")  # a character may be split between two writes
        self._lock = threading.Lock()

    @property
    def name(self) -> str:
        return self._output.name

    @property
    def raw(self) -> io.RawIOBase:
        return self

    def writable(self) -> bool:
        return True

    def isatty(self) -> bool:
        return False

    def fileno(self) -> int:
        return self._output.fileno()

    def write(self, data: Any) -> int:
        content = bytes(data)
        with self._lock:
            text = self._decoder.decode(content)
        self._output.write(text)
        return len(content)

    def flush(self) -> None:
        self._output.flush()


class Output(io.TextIOBase):
    """The runner's ``sys.stdout`` or ``sys.stderr``."""

    encoding = "utf-8"
    errors = "backslashreplace"
    mode = "w"
    line_buffering = True
    write_through = False

    def __init__(self, capture: OutputCapture, which: int) -> None:
        self._capture, self._which = capture, which
        self._pid = os.getpid()
        self.buffer = _Bytes(self)
        self.name = "<stdout>" if which == STDOUT else "<stderr>"

    def reconfigure(
        self,
        *,
        encoding: str | None = None,
        errors: str | None = None,
        newline: str | None = None,
        line_buffering: bool | None = None,
        write_through: bool | None = None,
    ) -> None:
        """Accept the arguments of ``io.TextIOWrapper.reconfigure``. Output is always sent as UTF-8.

        Raises:
            LookupError: there is no such encoding.
        """
        if encoding is not None:
            codecs.lookup(encoding)
        if errors is not None:
            self.errors = errors
        if line_buffering is not None:
            self.line_buffering = bool(line_buffering)
        if write_through is not None:
            self.write_through = bool(write_through)
        self.flush()

    def writable(self) -> bool:
        return True

    def isatty(self) -> bool:
        return False

    def fileno(self) -> int:
        return self._which

    def write(self, text: str) -> int:
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        if os.getpid() != self._pid:  # a child that user code forked writes to the pipe, as any other program
            os.write(self._which, text.encode("utf-8", "backslashreplace"))
        elif text:
            self._capture.write(self._which, text)
        return len(text)

    def flush(self) -> None:
        if os.getpid() == self._pid:
            self._capture.flush()


class _NoInput(io.TextIOBase):
    """``sys.stdin`` of a runner: there is no input."""

    encoding = "utf-8"
    errors = "strict"
    name = "<stdin>"
    mode = "r"

    @property
    def buffer(self) -> NoReturn:
        _refuse("reading sys.stdin")

    def reconfigure(self, **options: object) -> None:
        """Accept the arguments of ``io.TextIOWrapper.reconfigure``; there is nothing to read."""

    def readable(self) -> bool:
        return True

    def fileno(self) -> int:
        return 0

    def read(self, size: int | None = -1) -> str:
        _refuse("reading sys.stdin")

    def readline(self, size: int | None = -1) -> str:  # type: ignore[override]
        _refuse("reading sys.stdin")


def _refuse(what: str) -> NoReturn:
    raise RuntimeError(
        f"{what} cannot work in an endpoint: it runs in a runner process without input. "
        "Pass the value as an argument of the call instead."
    )


def _no_input(prompt: object = "") -> NoReturn:
    _refuse("input()")


def _no_breakpoint(*args: object, **kwargs: object) -> NoReturn:
    raise RuntimeError(
        "breakpoint() cannot work in an endpoint: it runs in a runner process without a terminal. "
        "Print the values instead, or run the code in a cell."
    )


def install(channel: RunnerChannel) -> OutputCapture:
    """Replace the standard streams by the capture; return it."""
    capture = OutputCapture(channel)
    sys.stdout = Output(capture, STDOUT)
    sys.stderr = Output(capture, STDERR)
    sys.__stdout__, sys.__stderr__ = sys.stdout, sys.stderr  # type: ignore[misc, assignment]
    sys.stdin = _NoInput()
    builtins.input = _no_input
    sys.breakpointhook = _no_breakpoint
    return capture
