"""A request's body as ``multipart/form-data`` (RFC 7578), with files read in pieces while it is sent."""

from __future__ import annotations

import io
import mimetypes
import os
import re
import secrets
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fal_jupyter.domain.errors import BadArguments

PIECE = 256 * 1024
ANY_TYPE = "application/octet-stream"
_CONTENT_TYPE = re.compile(r"[\w!#$&^.+-]+/[\w!#$&^.+-]+(?:\s*;[ -~\t]*)?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Contents:
    """A file's contents: bytes in memory, or *size* bytes of a regular file, which is opened when it is sent."""

    size: int
    data: bytes | bytearray | memoryview = b""
    path: str = ""
    opened: io.BufferedReader | io.BufferedRandom | io.FileIO | None = None

    def pieces(self, where: str) -> Iterator[bytes | memoryview]:
        """Yield the bytes from their beginning, each time.

        Raises:
            BadArguments: the file can no longer be read, or became shorter.
        """
        if self.path == "" and self.opened is None:
            view = memoryview(self.data).cast("B")
            yield from (view[at : at + PIECE] for at in range(0, len(view), PIECE))
            return
        try:
            descriptor = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC) if self.opened is None else self.opened.fileno()
            try:
                at = 0
                while at < self.size:  # by offset: another call may read the same open file
                    piece = os.pread(descriptor, min(PIECE, self.size - at), at)
                    if not piece:
                        raise BadArguments(f"{where} became shorter while it was sent")
                    at += len(piece)
                    yield piece
            finally:
                if self.opened is None:
                    os.close(descriptor)
        except (OSError, ValueError) as error:
            raise BadArguments(f"{where} cannot be read: {getattr(error, 'strerror', None) or error}") from None


@dataclass(frozen=True, slots=True)
class FormPart:
    """One part: a text, or a file with its name and its type. *where* is its name in messages."""

    name: str
    contents: Contents
    where: str
    filename: str | None = None
    content_type: str = ANY_TYPE

    @classmethod
    def text(cls, name: str, value: str, where: str) -> FormPart:
        """A field of text.

        Raises:
            BadArguments: it has a lone surrogate.
        """
        data = _encoded(value, where)
        return cls(name, Contents(len(data), data), where)

    def head(self) -> bytes:
        """Its headers.

        Raises:
            BadArguments: a name or the type has characters that a header cannot hold.
        """
        disposition = f'Content-Disposition: form-data; name="{_quoted(self.name, self.where, "name")}"'
        if self.filename is None:
            return _encoded(f"{disposition}\r\n\r\n", self.where)
        if not _CONTENT_TYPE.fullmatch(self.content_type):
            raise BadArguments(
                f"{self.where} has an invalid content type, {self.content_type!r:.80}",
                hint="such as 'image/png'",
            )
        disposition += f'; filename="{_quoted(self.filename, self.where, "file name")}"'
        return _encoded(f"{disposition}\r\nContent-Type: {self.content_type}\r\n\r\n", self.where)


class Multipart:
    """The body of *parts*: its length is known before it is read, and it can be read again."""

    def __init__(self, parts: Iterable[FormPart]) -> None:
        boundary = secrets.token_hex(16)
        self.content_type = f"multipart/form-data; boundary={boundary}"
        self._parts = [(f"--{boundary}\r\n".encode() + part.head(), part) for part in parts]
        self._end = f"--{boundary}--\r\n".encode()

    def __len__(self) -> int:
        return sum(len(head) + part.contents.size + 2 for head, part in self._parts) + len(self._end)

    def __iter__(self) -> Iterator[bytes | memoryview]:
        for head, part in self._parts:
            yield head
            yield from part.contents.pieces(part.where)
            yield b"\r\n"
        yield self._end


def type_of(filename: str) -> str:
    """Return the content type for a file name."""
    kind, encoding = mimetypes.guess_type(filename)
    return kind if kind and not encoding else ANY_TYPE


def contents_of(value: object, where: str) -> tuple[Contents, str] | None:
    """Return the contents of a file-like value and its name (``""`` if it has none); None if it is not a file.

    An open file is sent from its start, whatever its position.

    Raises:
        BadArguments: it cannot be read.
    """
    if isinstance(value, bytes | bytearray | memoryview):
        if isinstance(value, memoryview) and not value.c_contiguous:
            value = value.tobytes()
        return Contents(memoryview(value).nbytes, value), ""
    if isinstance(value, os.PathLike):
        return _of_path(value, where)
    return _of_open(value, where) if callable(getattr(value, "read", None)) else None


def _of_path(value: os.PathLike[str] | os.PathLike[bytes], where: str) -> tuple[Contents, str]:
    path = os.fsdecode(value)
    try:
        status = os.stat(path)
        if stat.S_ISDIR(status.st_mode):
            raise BadArguments(f"{where} is the folder {path!r}, not a file")
        if not stat.S_ISREG(status.st_mode) or not status.st_size:  # pipes and the files of /proc have no length
            data = Path(path).read_bytes()
            return Contents(len(data), data), os.path.basename(path)
        with open(path, "rb"):
            return Contents(status.st_size, path=os.path.abspath(path)), os.path.basename(path)
    except FileNotFoundError:
        raise BadArguments(f"{where}: there is no file {path!r}", hint=f"this process is in {_here()}") from None
    except OSError as error:
        raise BadArguments(f"{where}: the file {path!r} cannot be read: {error.strerror or error}") from None


def _here() -> str:
    try:
        return os.getcwd()
    except OSError:
        return "a folder that was removed"


def _of_open(value: Any, where: str) -> tuple[Contents, str]:
    name = getattr(value, "name", "")
    name = os.path.basename(os.fsdecode(name)) if isinstance(name, str | bytes | os.PathLike) else ""
    inner = value.file if type(value).__name__ == "_TemporaryFileWrapper" else value
    if isinstance(inner, io.TextIOBase):
        raise BadArguments(
            f"{where} is a file that was opened as text", hint=f'open it with "rb", or give pathlib.Path({name!r})'
        )
    if getattr(value, "closed", False):
        raise BadArguments(
            f"{where} is a file that is closed", hint=f"give pathlib.Path({name!r})" if name else "open it again"
        )
    if not getattr(value, "readable", lambda: True)():
        raise BadArguments(f"{where} is a file that was opened for writing only", hint='open it with "rb"')
    try:
        if type(inner) is io.BytesIO:
            view = inner.getbuffer()
            return Contents(view.nbytes, view), name
        if isinstance(inner, io.BufferedReader | io.BufferedRandom | io.FileIO):
            inner.flush()
            status = os.fstat(inner.fileno())
            if stat.S_ISREG(status.st_mode) and status.st_size:
                return Contents(status.st_size, opened=inner), name
        if callable(getattr(value, "seek", None)) and getattr(value, "seekable", lambda: True)():
            value.seek(0)
        data = value.read()
    except (OSError, ValueError) as error:
        raise BadArguments(f"{where} cannot be read: {error}") from None
    if not isinstance(data, bytes | bytearray):
        close = getattr(data, "close", None)  # an unawaited coroutine causes a warning
        if callable(close):
            close()
        raise BadArguments(f"{where} gives {type(data).__name__}, not bytes, when it is read", hint='open it with "rb"')
    return Contents(len(data), data), name


def _quoted(text: str, where: str, what: str) -> str:
    """Return a name as a quoted string. FastAPI's parser accepts a backslash before a quote and does not decode ``%22``."""
    if bad := next((sign for sign in text if sign in "\r\n\0"), ""):
        raise BadArguments(
            f"{where} has a {what} with {bad!r} in it, which a form cannot hold", hint="a name is one line"
        )
    return text.replace("\\", "\\\\").replace('"', '\\"')


def _encoded(text: str, where: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise BadArguments(
            f"{where} has text with half a character (a lone surrogate), which a form cannot hold"
        ) from None
