"""Inputs of requests that are too large for memory: their outlines, and their long texts in files without a name.

A thread reads them beside the request, which never waits for it. A file without a name ends with its descriptor, so nothing is left
behind, however the gateway ends.
"""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import IO, Final

from fal_jupyter.domain.requests.outline import LONG, Outline
from fal_jupyter.protocol.feed import BODY_BOUND, Body, LeftOut

ReadPieces = Callable[[Sequence[bytes]], None]
Job = Callable[[], None]
log = logging.getLogger("fal_jupyter.inputs")
MOST_BYTES: Final = 512 << 20  # of all long texts
MOST_TEXTS: Final = 256  # each has an open file
SHARE_OF_FREE: Final = 10  # all of them take no more than this part of what is free on the disk
MOST_PENDING: Final = 64 << 20  # bytes that the thread has not read yet
STEP: Final = 256 * 1024  # bytes between which the thread lets others run
BATCH: Final = 1 << 20  # bytes that are given to the thread at once: waking it costs as much as reading a piece
PATIENCE: Final = 5.0  # seconds


class StoredText:
    """A long text on disk, the same one for all inputs that have it."""

    __slots__ = ("_file", "_lock", "beginning", "holders", "size")

    def __init__(self, file: IO[bytes], beginning: bytes, size: int) -> None:
        self._file: IO[bytes] | None = file
        self._lock = threading.Lock()
        self.beginning, self.size, self.holders = beginning, size, 0

    @property
    def is_stored(self) -> bool:
        """False once it was dropped."""
        return self._file is not None

    def open(self) -> int | None:
        """Return a descriptor of its own, which the caller closes; None if it was dropped."""
        with self._lock:
            return os.dup(self._file.fileno()) if self._file is not None else None

    def drop(self) -> None:
        """Give its bytes back to the disk."""
        with self._lock:
            file, self._file = self._file, None
        if file is not None:
            with suppress(OSError):
                file.close()


class TextStore:
    """The long texts, in the order of their last use. Of the inputs' thread only."""

    def __init__(self, folder: Path, most_bytes: int = MOST_BYTES) -> None:
        self.folder, self.most_bytes = folder, most_bytes
        self.size = 0
        self._texts: dict[StoredText, None] = {}
        self._newest: dict[bytes, StoredText] = {}  # by their beginning

    def create(self) -> IO[bytes]:
        """Create a file for a text.

        Raises:
            OSError: it cannot be created.
        """
        return tempfile.TemporaryFile(dir=self.folder)

    def room_for(self, size: int) -> bool:
        """Whether a text of *size* bytes can be stored, if need be in place of older ones."""
        return size <= self._most(size)

    def like(self, beginning: bytes) -> StoredText | None:
        """The newest text with that beginning: an input that is sent again has the same ones."""
        return self._newest.get(beginning)

    def add(self, file: IO[bytes], beginning: bytes, size: int) -> StoredText:
        """Store a complete text; the oldest ones make room for it."""
        self.size += size
        return self.use(StoredText(file, beginning, size))

    def use(self, text: StoredText) -> StoredText:
        """One more input has a text, which is now the newest."""
        self._texts.pop(text, None)
        text.holders += 1
        most = self._most(0)
        while self._texts and (self.size > most or len(self._texts) >= MOST_TEXTS):
            self._drop(next(iter(self._texts)))
        self._texts[text] = None
        self._newest[text.beginning] = text
        return text

    def _most(self, unstored: int) -> int:
        """The size of all texts at most, while *unstored* bytes of one more are on the disk."""
        free = shutil.disk_usage(self.folder).free
        return min(self.most_bytes, (free + self.size + unstored) // SHARE_OF_FREE)

    def release(self, texts: Sequence[StoredText | None]) -> None:
        """An input does not need them any more."""
        for text in texts:
            if text is not None:
                text.holders -= 1
                if not text.holders:
                    self._drop(text)

    def clear(self) -> None:
        """Drop all of them."""
        for text in list(self._texts):
            self._drop(text)

    def _drop(self, text: StoredText) -> None:
        if text in self._texts:
            del self._texts[text]
            self.size -= text.size
        if self._newest.get(text.beginning) is text:
            del self._newest[text.beginning]
        text.drop()


class _TextReader:
    """Compares a text with a stored one that begins alike, which stays readable meanwhile even if it is dropped."""

    __slots__ = ("_descriptor", "text")

    def __init__(self, text: StoredText, descriptor: int) -> None:
        self.text, self._descriptor = text, descriptor

    @classmethod
    def of(cls, text: StoredText | None) -> _TextReader | None:
        """Open a stored text, if there is one."""
        descriptor = text.open() if text is not None else None
        return cls(text, descriptor) if text is not None and descriptor is not None else None

    def has(self, data: bytes, position: int, buffer: bytearray) -> bool:
        """Whether *data* is what it has at *position*; *buffer* is used to read it, and is as long at least.

        Raises:
            OSError: it cannot be read.
        """
        with memoryview(buffer) as view:
            size = os.preadv(self._descriptor, [view[: len(data)]], position)
        return size == len(data) and buffer.startswith(data)

    def copy(self, file: IO[bytes], size: int) -> None:
        """Copy its first *size* bytes.

        Raises:
            OSError: it cannot be read, or the file cannot be written.
        """
        position = 0
        while position < size:
            data = os.pread(self._descriptor, min(STEP, size - position), position)
            if not data:
                raise OSError("a stored text has lost its end")
            file.write(data)
            position += len(data)

    def close(self) -> None:
        os.close(self._descriptor)


class _TextWriter:
    """Writes the long texts of one input (:class:`fal_jupyter.domain.requests.outline.TextSink`); what cannot be written is None.

    As long as a text is like a stored one, it is only compared with it: inputs are often sent again, and comparing costs much less
    than writing, or than a digest of all texts.
    """

    def __init__(self, store: TextStore, buffer: bytearray) -> None:
        self._store, self._buffer = store, buffer
        self.texts: list[StoredText | None] = []
        self._file: IO[bytes] | None = None
        self._like: _TextReader | None = None
        self._beginning = b""
        self._size = self._checked = 0
        self._is_kept = False  # the text that is read now

    def begin(self) -> None:
        self._beginning, self._size, self._checked = b"", 0, 0
        self._is_kept = True

    def write(self, data: bytes) -> None:
        if not self._is_kept:
            return
        try:
            if not self._beginning:
                self._beginning = data[:LONG]
                self._like = _TextReader.of(self._store.like(self._beginning))
            if self._like is None or not self._like.has(data, self._size, self._buffer):
                self._writable(self._size + len(data)).write(data)
            self._size += len(data)
        except OSError as error:
            self._give_up(error)

    def _writable(self, size: int) -> IO[bytes]:
        """Return the file for the text, which has its beginning, if there is room for *size* bytes.

        Raises:
            OSError: there is none.
        """
        if size > self._checked:
            self._checked = size + STEP
            if not self._store.room_for(self._checked):
                raise OSError("there is no room for it")
        if self._file is None:
            self._file = self._store.create()
        if self._like is not None:
            self._like.copy(self._file, self._size)
            self._close_like()
        return self._file

    def end(self) -> None:
        text = None
        if self._is_kept:
            try:
                like = self._like.text if self._like is not None else None
                if like is not None and like.size == self._size and like.is_stored:
                    text = self._store.use(like)
                else:
                    file = self._writable(self._size)
                    file.flush()
                    text, self._file = self._store.add(file, self._beginning, self._size), None
                self._close_like()
            except OSError as error:
                self._give_up(error)
        self.texts.append(text)

    def abandon(self) -> None:
        """The body ends within a text."""
        self._is_kept = False
        self._close_like()
        if self._file is not None:
            with suppress(OSError):
                self._file.close()
            self._file = None

    def _close_like(self) -> None:
        if self._like is not None:
            self._like.close()
            self._like = None

    def _give_up(self, error: OSError) -> None:
        log.warning("a long input is not kept: %s", error)
        self.abandon()


class KeptInput:
    """The input of one request: what is not in memory of it. Of the gateway's loop, but for methods that say otherwise."""

    def __init__(self, inputs: KeptInputs, content_type: str) -> None:
        self._inputs = inputs
        self._writer = _TextWriter(inputs.texts, inputs.buffer)
        self._outline = Outline(self._writer, content_type, BODY_BOUND)
        self._settled: Future[None] | None = None
        self._over = self._broken = False
        self._batch: list[bytes] = []
        self._batch_size = 0

    # --- from the request ---------------------------------------------------------------------------------------
    def add(self, data: bytes) -> None:
        """A piece of the body, in order."""
        if self._over:
            return
        self._batch.append(data)
        self._batch_size += len(data)
        if self._batch_size >= BATCH:
            self._submit()

    def _submit(self) -> None:
        pieces, size = self._batch, self._batch_size
        self._batch, self._batch_size = [], 0
        if not self._inputs.submit(self._read, pieces, size):
            self.release()

    def end(self) -> None:
        """The body is complete."""
        if not self._over:
            self._submit()
        if not self._over:
            self._over = True
            self._settled = self._inputs.run(self._finish)

    def release(self) -> None:
        """It is not needed any more, or its body never became complete."""
        self._over, self._settled, self._batch = True, None, []
        self._inputs.run(self._release)

    # --- in the thread ------------------------------------------------------------------------------------------
    def _read(self, pieces: Sequence[bytes]) -> None:
        if self._broken:
            return
        try:
            for data in pieces:
                for position in range(0, len(data), STEP):
                    self._outline.feed(data[position : position + STEP])
        except Exception:
            self._broken = True
            log.exception("a long input is not kept")

    def _finish(self) -> None:
        self._outline.end()

    def _release(self) -> None:
        self._writer.abandon()
        texts, self._writer.texts = self._writer.texts, []
        self._inputs.texts.release(texts)

    # --- for panels ---------------------------------------------------------------------------------------------
    async def settled(self) -> None:
        """Wait until it has been read, if its body is complete; a disk that hangs is not waited for."""
        if self._settled is not None:
            with suppress(TimeoutError):
                await asyncio.wait_for(asyncio.shield(asyncio.wrap_future(self._settled)), PATIENCE)

    @property
    def is_settled(self) -> bool:
        """True if its body was complete and has been read."""
        return self._settled is not None and self._settled.done() and not self._broken

    @property
    def outline(self) -> bytes | None:
        """The body with stand-ins for its long texts; None if there is none."""
        return self._outline.body() if self.is_settled and self._outline.is_complete else None

    def describe(self, body: Body) -> Body:
        """Return the recorded beginning of the body with what is known beyond it."""
        outline = self.outline
        if not self.is_settled:
            return body
        texts = self._writer.texts
        described = Body(**body, whole=all(text is not None and text.is_stored for text in texts))
        if outline is None:
            return described
        described["truncated"] = (
            True  # also for pages of former versions, which take a text that is not cut for the whole body
        )
        described["text"], described["base64"] = outline.decode("utf-8", "replace"), ""
        described["left_out"] = [LeftOut(text=one.text, size=one.size) for one in self._outline.stand_ins]
        return described

    def open(self) -> list[bytes | int] | None:
        """Return the body as bytes and descriptors, which the caller closes; None if parts of it were dropped."""
        if not self.is_settled:
            return None
        pieces: list[bytes | int] = []
        for part, text in zip(self._outline.parts, [*self._writer.texts, None], strict=True):
            pieces.append(bytes(part))
            if text is None and len(pieces) < 2 * len(self._outline.parts) - 1:
                close(pieces)
                return None
            if text is not None:
                descriptor = text.open()
                if descriptor is None:
                    close(pieces)
                    return None
                pieces.append(descriptor)
        return pieces


def close(pieces: Sequence[bytes | int]) -> None:
    """Close the descriptors among the pieces of a body."""
    for piece in pieces:
        if isinstance(piece, int):
            os.close(piece)


def read(pieces: Sequence[bytes | int]) -> Iterator[bytes]:
    """Yield the bytes of a body."""
    for piece in pieces:
        if isinstance(piece, bytes):
            yield piece
            continue
        position = 0
        while data := os.pread(piece, STEP, position):
            position += len(data)
            yield data


class KeptInputs:
    """The large inputs of all requests, below *folder*."""

    def __init__(self, folder: Path, most_bytes: int = MOST_BYTES) -> None:
        self.texts = TextStore(folder, most_bytes)
        self.buffer = bytearray(STEP)  # of the thread
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="inputs")
        self._closed = False
        self._pending = 0
        self._lock = threading.Lock()

    def begin(self, content_type: str) -> KeptInput:
        """Begin to read an input."""
        return KeptInput(self, content_type)

    def submit(self, read: ReadPieces, pieces: Sequence[bytes], size: int) -> bool:
        """Let the thread read pieces of *size* bytes; False if it does not keep up."""
        with self._lock:
            if self._pending and self._pending + size > MOST_PENDING:
                return False
            self._pending += size
        self.run(lambda: self._read(read, pieces, size))
        return True

    def _read(self, read: ReadPieces, pieces: Sequence[bytes], size: int) -> None:
        try:
            read(pieces)
        finally:
            with self._lock:
                self._pending -= size

    def run(self, job: Job) -> Future[None] | None:
        """Let the thread do something, after what it was given before; None after the end."""
        return None if self._closed else self._executor.submit(job)

    def close(self) -> None:
        """Drop everything."""
        self.run(self.texts.clear)
        self._closed = True
        self._executor.shutdown(wait=False)
