"""Inputs of requests that are too large for memory: their outlines, and their long texts in files without a name.

A thread reads them beside the request, which never waits for it. A file without a name ends with its descriptor, so nothing is left
behind, however the gateway ends.
"""

from __future__ import annotations

import asyncio
import hashlib
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

from fal_jupyter.domain.requests.outline import Outline
from fal_jupyter.protocol.feed import BODY_BOUND, Body, LeftOut

ReadPiece = Callable[[bytes], None]
Job = Callable[[], None]
log = logging.getLogger("fal_jupyter.inputs")
MOST_BYTES: Final = 512 << 20  # of all long texts
MOST_TEXTS: Final = 256  # each has an open file
SHARE_OF_FREE: Final = 10  # all of them take no more than this part of what is free on the disk
MOST_PENDING: Final = 64 << 20  # bytes that the thread has not read yet
STEP: Final = 64 * 1024  # bytes between which the thread lets others run
PATIENCE: Final = 5.0  # seconds


class StoredText:
    """A long text on disk, the same one for all inputs that have it."""

    __slots__ = ("_file", "_lock", "digest", "holders", "size")

    def __init__(self, file: IO[bytes], digest: bytes, size: int) -> None:
        self._file: IO[bytes] | None = file
        self._lock = threading.Lock()
        self.digest, self.size, self.holders = digest, size, 0

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
        self._texts: dict[bytes, StoredText] = {}

    def create(self) -> IO[bytes]:
        """Create a file for a text.

        Raises:
            OSError: it cannot be created.
        """
        return tempfile.TemporaryFile(dir=self.folder)

    def room_for(self, size: int) -> bool:
        """Whether a text of *size* bytes can be stored, if need be in place of older ones."""
        return size <= self._most(size)

    def add(self, file: IO[bytes], digest: bytes, size: int) -> StoredText:
        """Store a complete text, once; the oldest ones make room for it."""
        text = self._texts.pop(digest, None)
        if text is not None:
            file.close()
        else:
            text = StoredText(file, digest, size)
            self.size += size
        text.holders += 1
        most = self._most(0)
        while self._texts and (self.size > most or len(self._texts) >= MOST_TEXTS):
            self._drop(next(iter(self._texts.values())))
        self._texts[digest] = text
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
        for text in list(self._texts.values()):
            self._drop(text)

    def _drop(self, text: StoredText) -> None:
        if self._texts.get(text.digest) is text:
            del self._texts[text.digest]
            self.size -= text.size
        text.drop()


class _TextWriter:
    """Writes the long texts of one input (:class:`fal_jupyter.domain.requests.outline.TextSink`); what cannot be written is None."""

    def __init__(self, store: TextStore | None) -> None:
        self._store = store
        self.texts: list[StoredText | None] = []
        self._file: IO[bytes] | None = None
        self._digest = hashlib.sha256()
        self._size = self._checked = 0

    def begin(self) -> None:
        self._digest, self._size, self._checked = hashlib.sha256(), 0, 0
        if self._store is not None:
            try:
                self._file = self._store.create()
            except OSError as error:
                log.warning("a long input is not kept: %s", error)

    def write(self, data: bytes) -> None:
        if self._file is None or self._store is None:
            return
        try:
            self._size += len(data)
            if self._size > self._checked:
                self._checked = self._size + STEP
                if not self._store.room_for(self._checked):
                    raise OSError("there is no room for it")
            self._file.write(data)
            self._digest.update(data)
        except OSError as error:
            self._give_up(error)

    def end(self) -> None:
        text = None
        if self._file is not None and self._store is not None:
            try:
                self._file.flush()
                text, self._file = self._store.add(self._file, self._digest.digest(), self._size), None
            except OSError as error:
                self._give_up(error)
        self.texts.append(text)

    def abandon(self) -> None:
        """The body ends within a text."""
        if self._file is not None:
            with suppress(OSError):
                self._file.close()
            self._file = None

    def _give_up(self, error: OSError) -> None:
        log.warning("a long input is not kept: %s", error)
        self.abandon()


class KeptInput:
    """The input of one request: what is not in memory of it. Of the gateway's loop, but for methods that say otherwise."""

    def __init__(self, inputs: KeptInputs, content_type: str, store: TextStore | None) -> None:
        self._inputs = inputs
        self._writer = _TextWriter(store)
        self._outline = Outline(self._writer, content_type, BODY_BOUND)
        self._settled: Future[None] | None = None
        self._over = self._broken = False

    # --- from the request ---------------------------------------------------------------------------------------
    def add(self, data: bytes) -> None:
        """A piece of the body, in order."""
        if not self._over and not self._inputs.submit(self._read, data):
            self.release()

    def end(self) -> None:
        """The body is complete."""
        if not self._over:
            self._over = True
            self._settled = self._inputs.run(self._finish)

    def release(self) -> None:
        """It is not needed any more, or its body never became complete."""
        self._over, self._settled = True, None
        self._inputs.run(self._release)

    # --- in the thread ------------------------------------------------------------------------------------------
    def _read(self, data: bytes) -> None:
        if self._broken:
            return
        try:
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
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="inputs")
        self._closed = False
        self._pending = 0
        self._lock = threading.Lock()

    def begin(self, content_type: str, *, texts: bool) -> KeptInput:
        """Begin to read an input; without *texts* its long ones are not stored."""
        return KeptInput(self, content_type, self.texts if texts else None)

    def submit(self, read: ReadPiece, data: bytes) -> bool:
        """Let the thread read a piece; False if it does not keep up."""
        with self._lock:
            if self._pending and self._pending + len(data) > MOST_PENDING:
                return False
            self._pending += len(data)
        self.run(lambda: self._read(read, data))
        return True

    def _read(self, read: ReadPiece, data: bytes) -> None:
        try:
            read(data)
        finally:
            with self._lock:
                self._pending -= len(data)

    def run(self, job: Job) -> Future[None] | None:
        """Let the thread do something, after what it was given before; None after the end."""
        return None if self._closed else self._executor.submit(job)

    def close(self) -> None:
        """Drop everything."""
        self.run(self.texts.clear)
        self._closed = True
        self._executor.shutdown(wait=False)
