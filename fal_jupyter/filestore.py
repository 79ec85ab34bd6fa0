"""Files of the local CDN: contents by their SHA-256, and a small record for each file with a URL.

Several processes write concurrently (the gateway, and runners whose code saves an image); files are always complete, since
everything is written to a temporary file and then renamed. A file's id is 128 random bits: it is all that a reader needs.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import re
import secrets
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO, NamedTuple
from urllib.parse import quote

from fal_jupyter.domain.access.file_lifecycle import Access
from fal_jupyter.domain.queue.memory import size_text

CHUNK = 1 << 20
ABANDONED = 3600.0  # seconds after which an unfinished file counts as abandoned
LONGEST_NAME = 200
_ID = re.compile(r"[0-9a-f]{32}")
_NOT_IN_NAME = re.compile(r"[\x00-\x1f\x7f/\\]+")


@dataclass(frozen=True, slots=True)
class StoredFile:
    """One file. Times are wall-clock seconds; *expires* is None if it does not expire. *access*: who may read it without a key."""

    id: str
    file_name: str
    content_type: str
    size: int
    sha256: str
    created: float
    expires: float | None
    path: Path
    access: Access = "allow"

    def url(self, base: str) -> str:
        """Its address below the CDN's *base* (``http://127.0.0.1:PORT/cdn``)."""
        return address_of(base, self.id, self.file_name)


def address_of(base: str, file_id: str, file_name: str) -> str:
    """The address of a file below the CDN's *base*."""
    return f"{base.rstrip('/')}/files/{file_id}/{quote(file_name, safe='')}"


def safe_name(name: str, otherwise: str = "file") -> str:
    """Return a safe file name: without folders and control characters, and not too long."""
    plain = _NOT_IN_NAME.sub("_", name.encode("utf-8", "replace").decode()).strip(" .")
    stem, dot, ending = plain.rpartition(".")
    if len(plain) > LONGEST_NAME:
        plain = (
            f"{stem[: LONGEST_NAME - len(ending) - 1]}.{ending}" if dot and len(ending) < 20 else plain[:LONGEST_NAME]
        )
    return plain or otherwise


def new_file_id() -> str:
    """Return an unguessable id."""
    return secrets.token_hex(16)


class Swept(NamedTuple):
    """Result of a sweep: files and bytes removed, and when (wall clock) the next file expires, or None."""

    removed: int
    freed: int
    next_expiry: float | None


class StorageUsage(NamedTuple):
    """What is there: *files* with an address, *expired* ones among them, *bytes* of all (the same bytes count once), and *unfinished* bytes."""

    files: int
    expired: int
    bytes: int
    unfinished: int


class StoreFull(OSError):
    """The size limit of the store is reached."""

    def __init__(self, most: int) -> None:
        super().__init__(
            errno.EDQUOT,
            f"the files of the local CDN are limited to {size_text(most)} (FAL_JUPYTER_CDN_BYTES);"
            " remove some with: fal-jupyter files clean --older 7d",
        )


class Writer:
    """A file while it is written; it becomes visible with :meth:`finish`."""

    def __init__(self, store: FileStore) -> None:
        self._store = store
        self._path = store.directory / "unfinished" / secrets.token_hex(16)
        self._file: BinaryIO = open(os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")  # noqa: SIM115
        self._digest = hashlib.sha256()
        self.size = 0
        self._reserved = 0  # bytes that are counted as being written

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Add bytes.

        Raises:
            StoreFull: the store's limit would be exceeded.
            OSError: the disk is full.
        """
        self._store.hold(len(data))
        self._reserved += len(data)
        self._file.write(data)
        self._digest.update(data)
        self.size += len(data)

    @property
    def sha256(self) -> str:
        """The SHA-256 of the data written so far, in hex."""
        return self._digest.hexdigest()

    def rest(self) -> None:
        """Close the file until more is written.

        Raises:
            OSError: the disk is full.
        """
        self._file.close()

    def touch(self) -> None:
        """Mark it as in use, so that a sweep does not treat it as abandoned."""
        with contextlib.suppress(OSError):
            os.utime(self._path)

    def copy_from(self, source: Writer) -> None:
        """Append the data of another writer."""
        if not source._file.closed:
            source._file.flush()
        for piece in _pieces(source._path):
            self.write(piece)

    def finish(
        self, *, content_type: str, file_name: str, lifetime: float | None, now: float, file_id: str = "", access: Access = "allow"
    ) -> StoredFile:  # fmt: skip
        """Complete the file and assign a URL, or the reserved one (*file_id*)."""
        self._file.close()
        stored = self._store._keep(
            self._path, self._digest.hexdigest(), self.size, content_type, file_name, lifetime, now, file_id, access
        )
        self._let_go()
        return stored

    def _let_go(self) -> None:
        reserved, self._reserved = self._reserved, 0
        self._store.hold(-reserved)

    def abort(self) -> None:
        """Forget it."""
        with contextlib.suppress(OSError):  # the same cleanup if the disk is full
            self._file.close()
        self._path.unlink(missing_ok=True)
        self._let_go()


class FileStore:
    """The files below *directory*; created on first use, accessible to its owner only. *most_bytes* is their total limit."""

    def __init__(self, directory: Path, most_bytes: int | None = None) -> None:
        self.directory, self.most_bytes = directory, most_bytes
        self._used = self._writing = 0  # bytes stored, as far as known here, and bytes being written by this process
        self._counting = threading.Lock()

    def _make(self) -> None:
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name in ("blobs", "records", "unfinished"):
            (self.directory / name).mkdir(mode=0o700, exist_ok=True)

    @contextmanager
    def _locked(self) -> Iterator[int]:
        """Hold the lock of all processes that add or remove files; returns its file, which contains the total size."""
        lock = os.open(self.directory / "used", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield lock
        finally:
            os.close(lock)

    def _count(self, lock: int, more: int) -> int:
        """Add to the total size, which is recounted if unknown; returns it."""
        text = os.pread(lock, 32, 0)
        used = int(text) + more if text.isdigit() else sum(status.st_size for status in self._blobs().values())
        data = str(max(0, used)).encode()
        os.pwrite(lock, data, 0)
        os.ftruncate(lock, len(data))
        self._used = used
        return used

    def hold(self, more: int) -> None:
        """Count bytes that are being written (or no longer are, if *more* is negative).

        Raises:
            StoreFull: together with stored bytes, they would exceed the limit.
        """
        with self._counting:
            if more > 0 and self.most_bytes is not None and self._used + self._writing + more > self.most_bytes:
                raise StoreFull(self.most_bytes)
            self._writing += more

    def _blobs(self) -> dict[Path, os.stat_result]:
        blobs = {}
        for path in self.directory.glob("blobs/??/*"):
            with contextlib.suppress(OSError):
                blobs[path] = path.stat()
        return blobs

    # --- writing --------------------------------------------------------------------------------------------------
    def writer(self) -> Writer:
        """Begin to write a file in pieces."""
        self._make()
        if self.most_bytes is not None:
            with self._locked() as lock:
                self._count(lock, 0)
        return Writer(self)

    def put(
        self, data: bytes | bytearray | memoryview, *, content_type: str, file_name: str, now: float,
        lifetime: float | None = None, file_id: str = "", access: Access = "allow",
    ) -> StoredFile:  # fmt: skip
        """Store *data*; *lifetime* in seconds, None: unlimited. *file_id* is a reserved id."""
        return self._put((data,), content_type, file_name, lifetime, now, file_id, access)

    def put_path(
        self, path: Path, *, content_type: str, file_name: str, now: float, lifetime: float | None = None, file_id: str = "",
        access: Access = "allow",
    ) -> StoredFile:  # fmt: skip
        """Store a copy of the file at *path*, of any size.

        Raises:
            OSError: it cannot be read.
        """
        return self._put(_pieces(path), content_type, file_name, lifetime, now, file_id, access)

    def _put(
        self, pieces: Iterable[bytes | bytearray | memoryview], content_type: str, file_name: str, lifetime: float | None,
        now: float, file_id: str, access: Access,
    ) -> StoredFile:  # fmt: skip
        writer = self.writer()
        try:
            for piece in pieces:
                writer.write(piece)
            return writer.finish(
                content_type=content_type,
                file_name=file_name,
                lifetime=lifetime,
                now=now,
                file_id=file_id,
                access=access,
            )
        except BaseException:
            writer.abort()
            raise

    def _keep(
        self, written: Path, sha256: str, size: int, content_type: str, file_name: str, lifetime: float | None, now: float,
        file_id: str, access: Access,
    ) -> StoredFile:  # fmt: skip
        blob = self._blob(sha256)
        blob.parent.mkdir(mode=0o700, exist_ok=True)
        expires = now + lifetime if lifetime is not None else None
        stored = StoredFile(
            file_id or new_file_id(), safe_name(file_name), content_type, size, sha256, now, expires, blob, access
        )
        record = {name: value for name, value in asdict(stored).items() if name not in ("id", "path")}
        beside = self.directory / "unfinished" / f"{stored.id}.json"
        beside.write_text(json.dumps(record))
        with self._locked() as lock:  # a sweep sees both or none
            is_stored = blob.exists()
            os.replace(written, blob)  # the same bytes twice: the second file replaces the first one
            os.replace(beside, self._record(stored.id))
            with contextlib.suppress(OSError):  # a full disk; the next sweep recounts
                self._count(lock, 0 if is_stored else size)
        return stored

    def _blob(self, sha256: str) -> Path:
        return self.directory / "blobs" / sha256[:2] / sha256

    def _record(self, file_id: str) -> Path:
        return self.directory / "records" / f"{file_id}.json"

    # --- reading --------------------------------------------------------------------------------------------------
    def find(self, file_id: str, now: float) -> StoredFile | None:
        """Return the file of that id; None if it does not exist or has expired."""
        if not _ID.fullmatch(file_id):
            return None
        stored = self._read(file_id)
        return stored if stored is not None and (stored.expires is None or now < stored.expires) else None

    def _read(self, file_id: str) -> StoredFile | None:
        try:
            record = json.loads(self._record(file_id).read_text())
            return StoredFile(id=file_id, path=self._blob(record["sha256"]), **record)
        except (OSError, ValueError, TypeError, KeyError):  # a damaged record counts as missing
            return None

    def _ids(self) -> list[str]:
        with contextlib.suppress(OSError):
            return [name[:-5] for name in sorted(os.listdir(self.directory / "records")) if name.endswith(".json")]
        return []

    # --- removing ---------------------------------------------------------------------------------------------------
    def sweep(self, now: float, remove: Callable[[StoredFile], bool] = lambda stored: False) -> Swept:
        """Remove expired files and those selected by *remove*, unreferenced contents, and temporary files of ended writers."""
        removed, freed, named, expiries = 0, 0, set(), []
        blobs = self._blobs()
        if self.directory.is_dir():
            with self._locked():
                pass  # from here on, each of these blobs has a record
        for file_id in self._ids():
            stored = self._read(file_id)
            if stored is None or (stored.expires is not None and now >= stored.expires) or remove(stored):
                self._record(file_id).unlink(missing_ok=True)
                removed += 1
                continue
            named.add(stored.sha256)
            if stored.expires is not None:
                expiries.append(stored.expires)
        for blob, status in blobs.items():
            if blob.name not in named:
                freed += self._remove_blob(blob, status)
        for path in self.directory.glob("unfinished/*"):
            if _older(path, now):
                path.unlink(missing_ok=True)
        return Swept(removed, freed, min(expiries, default=None))

    def _remove_blob(self, blob: Path, status: os.stat_result) -> int:
        """Remove contents without a record, unless they were written again meanwhile; returns the bytes removed."""
        with self._locked() as lock:
            try:
                again = blob.stat()
            except OSError:
                return 0
            if (again.st_ino, again.st_ctime_ns) != (status.st_ino, status.st_ctime_ns):
                return 0
            blob.unlink()
            os.ftruncate(lock, 0)  # unknown: the next process that needs the total recounts
            return status.st_size

    def usage(self, now: float) -> StorageUsage:
        """Count the stored bytes."""
        stored = [file for file_id in self._ids() if (file := self._read(file_id)) is not None]
        expired = sum(file.expires is not None and now >= file.expires for file in stored)
        unfinished = 0
        for path in self.directory.glob("unfinished/*"):
            with contextlib.suppress(OSError):
                unfinished += path.stat().st_size
        return StorageUsage(len(stored), expired, sum(file.st_size for file in self._blobs().values()), unfinished)


def _pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as source:
        while piece := source.read(CHUNK):
            yield piece


def _older(path: Path, now: float) -> bool:
    try:
        return now - path.stat().st_mtime > ABANDONED
    except OSError:
        return False
