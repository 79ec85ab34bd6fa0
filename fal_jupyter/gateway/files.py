"""The gateway's side of the local CDN: the store, uploads that are under way, and the sweep of what has expired."""

from __future__ import annotations

import asyncio
import secrets
import time
from dataclasses import dataclass, field

from fal_jupyter.filestore import FileStore, StoredFile, Writer, address_of, new_file_id, safe_name
from fal_jupyter.gateway.file_rules import OCTETS
from fal_jupyter.settings import Settings

OPEN_FOR = 24 * 3600.0  # seconds in which an upload that was begun has to be complete
MOST_OPEN = 1000
MOST_PARTS = 10_000
SOONEST_SWEEP = 1.0
LATEST_SWEEP = 3600.0


@dataclass(eq=False)
class Upload:
    """An upload that was promised an address: in one piece, or in parts that come in any order."""

    content_type: str
    file_name: str
    lifetime: float | None
    until: float
    id: str = field(default_factory=new_file_id)
    secret: str = field(default_factory=lambda: secrets.token_hex(16))
    parts: dict[int, Writer] = field(default_factory=dict)

    def url(self, base: str) -> str:
        """The address that the file will have."""
        return address_of(base, self.id, self.file_name)

    def abort(self) -> None:
        """Forget its parts."""
        for part in self.parts.values():
            part.abort()
        self.parts.clear()


class MissingParts(Exception):
    """Some parts of an upload are not there."""


class Files:
    """All files and uploads of one gateway."""

    def __init__(self, settings: Settings) -> None:
        self.store = FileStore(settings.files)
        self._open: dict[str, Upload] = {}
        self._timer: asyncio.TimerHandle | None = None

    def begin(self, content_type: str, file_name: str, lifetime: float | None) -> Upload:
        """Promise an address for an upload."""
        now = time.time()
        for old in [upload for upload in self._open.values() if upload.until <= now]:
            self.end(old)
        while len(self._open) >= MOST_OPEN:
            self.end(next(iter(self._open.values())))
        upload = Upload(content_type or OCTETS, safe_name(file_name, "upload.bin"), lifetime, now + OPEN_FOR)
        self._open[upload.id] = upload
        return upload

    def upload(self, file_id: str, secret: str) -> Upload | None:
        """The upload of that id, for who knows its secret."""
        found = self._open.get(file_id)
        if (
            found is None
            or not secrets.compare_digest(found.secret.encode(), secret.encode())
            or found.until <= time.time()
        ):
            return None
        return found

    def end(self, upload: Upload) -> None:
        """An upload is over, complete or not."""
        self._open.pop(upload.id, None)
        upload.abort()

    def keep(self, writer: Writer, upload: Upload) -> StoredFile:
        """The upload's bytes are all in *writer*."""
        stored = writer.finish(
            content_type=upload.content_type,
            file_name=upload.file_name,
            lifetime=upload.lifetime,
            now=time.time(),
            file_id=upload.id,
        )
        self.end(upload)
        self._sweep_at(stored.expires)
        return stored

    async def join(self, upload: Upload, numbers: list[int]) -> StoredFile:
        """The upload's parts are all there: make one file of those that are named, in their order.

        Raises:
            MissingParts: one of them is not, or none is named.
        """
        if not numbers or any(number not in upload.parts for number in numbers):
            raise MissingParts
        parts = [upload.parts[number] for number in sorted(set(numbers))]
        writer = self.store.writer()

        def copy() -> None:
            for part in parts:
                writer.copy_from(part)

        try:
            await asyncio.to_thread(copy)
            return self.keep(writer, upload)
        except BaseException:
            writer.abort()
            raise

    def add(self, writer: Writer, content_type: str, file_name: str, lifetime: float | None) -> StoredFile:
        """Keep a file that came at once."""
        now = time.time()
        stored = writer.finish(content_type=content_type, file_name=file_name, lifetime=lifetime, now=now)
        self._sweep_at(stored.expires)
        return stored

    # --- the sweep ------------------------------------------------------------------------------------------------
    def start(self) -> None:
        """Sweep once, soon, and from then on when something expires."""
        self._arm(SOONEST_SWEEP)

    def _arm(self, delay: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(delay, self._sweep)

    def _sweep_at(self, moment: float | None) -> None:
        if moment is not None and self._timer is not None:
            due = self._timer.when() - asyncio.get_running_loop().time()
            if (delay := max(SOONEST_SWEEP, moment - time.time())) < due:
                self._arm(delay)

    def _sweep(self) -> None:
        asyncio.ensure_future(self._sweep_aside())  # noqa: RUF006  # its end arms the next one

    async def _sweep_aside(self) -> None:
        def work() -> float | None:
            self.store.sweep(time.time())
            return self.store.next_expiry(time.time())

        try:
            moment = await asyncio.to_thread(work)
        except OSError:
            moment = None
        if self._timer is not None:
            wait = LATEST_SWEEP if moment is None else moment - time.time()
            self._arm(min(LATEST_SWEEP, max(SOONEST_SWEEP, wait)))

    def close(self) -> None:
        """Sweep no more, and forget what was not completed."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for upload in list(self._open.values()):
            self.end(upload)
