"""The gateway's side of the local CDN: the store, running uploads, and the removal of expired files."""

from __future__ import annotations

import asyncio
import math
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from fal_jupyter.domain.access.file_lifecycle import Access
from fal_jupyter.filestore import FileStore, StoredFile, Writer, address_of, new_file_id, safe_name
from fal_jupyter.gateway.storage.file_rules import OCTETS
from fal_jupyter.settings import Settings

OPEN_FOR = 24 * 3600.0  # seconds in which an upload must be completed
MOST_OPEN = 1000
MOST_PARTS = 10_000
SOONEST_SWEEP = 1.0
REMEMBERED = 600.0  # seconds in which the completion of an upload may be repeated
LATEST_SWEEP = 3600.0  # seconds between two sweeps at most: runners store files without notifying us


@dataclass(eq=False)
class Upload:
    """An upload with a reserved URL: in one piece, or in parts in any order.

    Attributes:
        until: when it is dropped, in wall-clock seconds.
        key: id of the key that began it; the upload is valid while that key is. ``""`` for the gateway's user.
        joining: the task that assembles the parts; a repeated completion also waits for it.
    """

    content_type: str
    file_name: str
    lifetime: float | None
    until: float
    access: Access = "allow"
    key: str = ""
    id: str = field(default_factory=new_file_id)
    secret: str = field(default_factory=lambda: secrets.token_hex(16))
    parts: dict[int, Writer] = field(default_factory=dict)
    joining: asyncio.Task[StoredFile] | None = None

    @property
    def complete(self) -> bool:
        """True if the file is being assembled or is complete: no more bytes are accepted."""
        return self.joining is not None

    def url(self, base: str) -> str:
        """The URL that the file will have."""
        return address_of(base, self.id, self.file_name)

    def add(self, number: int, part: Writer) -> None:
        """Store a part, replacing an earlier one of the same number."""
        former = self.parts.pop(number, None)
        if former is not None:
            former.abort()
        self.parts[number] = part

    def abort(self) -> None:
        """Drop its parts."""
        for part in self.parts.values():
            part.abort()
        self.parts.clear()


class WrongParts(Exception):
    """The named parts differ from those that were sent; the message says which."""


def check_parts(sent: Mapping[int, str], named: Mapping[int, str]) -> None:
    """Compare the sent with the named parts: digest by number, in both; a part named without a digest is not compared.

    Raises:
        WrongParts: a named part was not sent or has other bytes, or none is named.
    """
    if not named:
        raise WrongParts("no part is named")
    if missing := sorted(named.keys() - sent.keys()):
        raise WrongParts(f"parts {missing[:10]} were not sent")
    if changed := sorted(number for number, digest in named.items() if digest and digest != sent[number]):
        raise WrongParts(f"parts {changed[:10]} have other bytes than their etags say")


class Files:
    """All files and uploads of one gateway; an upload may take *open_for* seconds, while its key is valid (*lives*)."""

    def __init__(
        self, settings: Settings, open_for: float = OPEN_FOR, lives: Callable[[str], bool] = lambda _: True
    ) -> None:
        self._lives = lives
        self.store = FileStore(settings.files, settings.cdn_bytes)
        self._lifetime = settings.file_lifetime
        self._open_for = open_for
        self._open: dict[str, Upload] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._due = math.inf  # wall clock: when to sweep next
        self._sweeping: asyncio.Task[None] | None = None

    def begin(
        self, content_type: str, file_name: str, lifetime: float | None, access: Access = "allow", *, key: str = ""
    ) -> Upload:
        """Reserve a URL for an upload."""
        while len(self._open) >= MOST_OPEN:
            self.end(next((done for done in self._open.values() if done.complete), next(iter(self._open.values()))))
        until = time.time() + self._open_for
        upload = Upload(content_type or OCTETS, safe_name(file_name, "upload.bin"), lifetime, until, access, key)
        self._open[upload.id] = upload
        self._sweep_at(until)
        return upload

    def upload(self, file_id: str, secret: str) -> Upload | None:
        """The upload of that id, for callers that know its secret."""
        upload = self._open.get(file_id)
        if upload is None or not secrets.compare_digest(upload.secret.encode(), secret.encode("utf-8", "replace")):
            return None
        if upload.key and not self._lives(upload.key):
            return None
        return upload if time.time() < upload.until else None

    def end(self, upload: Upload) -> None:
        """Remove an upload, complete or not."""
        self._open.pop(upload.id, None)
        if (
            upload.joining is None or upload.joining.done()
        ):  # otherwise its parts are being read, and are removed after that
            upload.abort()

    def keep(self, writer: Writer, upload: Upload) -> StoredFile:
        """The upload's bytes are all in *writer*.

        Raises:
            OSError: they cannot be stored.
        """
        stored = self._finish_upload(writer, upload)
        self.end(upload)
        return stored

    async def join(self, upload: Upload, named: Mapping[int, str]) -> StoredFile:
        """Complete an upload: assemble the named parts, given by number with their digests.

        A repeated call (by a client that missed the answer) has no further effect.

        Raises:
            WrongParts: a part is missing or differs.
            OSError: the disk is full.
        """
        if upload.joining is None:
            check_parts({number: part.sha256 for number, part in upload.parts.items()}, named)
            parts = [upload.parts[number] for number in sorted(named)]
            upload.joining = asyncio.get_running_loop().create_task(self._join(upload, parts))
        task = upload.joining
        try:
            return await asyncio.shield(task)
        except OSError:
            if upload.joining is task:
                upload.joining = None  # it may be retried
            raise

    async def _join(self, upload: Upload, parts: list[Writer]) -> StoredFile:
        writer = self.store.writer()

        def copy() -> None:
            for part in parts:
                writer.copy_from(part)

        try:
            await asyncio.to_thread(copy)
            stored = self._finish_upload(writer, upload)
        except BaseException:
            writer.abort()
            if upload.id not in self._open:  # it expired meanwhile
                upload.abort()
            raise
        upload.abort()
        upload.until = min(upload.until, time.time() + REMEMBERED)
        return stored

    def add(
        self, writer: Writer, content_type: str, file_name: str, lifetime: float | None, access: Access = "allow"
    ) -> StoredFile:
        """Store a file received in one piece.

        Raises:
            OSError: it cannot be stored.
        """
        return self._finish(writer, content_type, file_name, lifetime, access, "")

    def _finish_upload(self, writer: Writer, upload: Upload) -> StoredFile:
        return self._finish(writer, upload.content_type, upload.file_name, upload.lifetime, upload.access, upload.id)

    def _finish(
        self, writer: Writer, content_type: str, file_name: str, lifetime: float | None, access: Access, file_id: str
    ) -> StoredFile:
        try:
            stored = writer.finish(
                content_type=content_type, file_name=file_name, lifetime=self._lifetime if lifetime is None else lifetime,
                now=time.time(), file_id=file_id, access=access,
            )  # fmt: skip
        except BaseException:
            writer.abort()
            raise
        self._sweep_at(stored.expires)
        return stored

    # --- the sweep ------------------------------------------------------------------------------------------------
    def start(self) -> None:
        """Sweep once, soon, and from then on whenever a file expires."""
        self._arm(time.time() + SOONEST_SWEEP)

    def _arm(self, moment: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._due = moment
        delay = min(LATEST_SWEEP, max(SOONEST_SWEEP, moment - time.time()))
        self._timer = asyncio.get_running_loop().call_later(delay, self._sweep)

    def _sweep_at(self, moment: float | None) -> None:
        if moment is None or moment >= self._due:
            return
        if self._sweeping is None and self._timer is not None:
            self._arm(moment)
        else:  # the running sweep reschedules at its end
            self._due = moment

    def _sweep(self) -> None:
        self._due = math.inf
        self._sweeping = asyncio.get_running_loop().create_task(self._sweep_aside())

    async def _sweep_aside(self) -> None:
        now = time.time()
        for upload in [upload for upload in self._open.values() if upload.until <= now]:
            self.end(upload)
        for upload in self._open.values():
            for part in upload.parts.values():
                part.touch()

        try:
            moment = (await asyncio.to_thread(self.store.sweep, time.time())).next_expiry
        except OSError:
            moment = None
        self._sweeping = None
        if self._timer is not None:
            expiries = [upload.until for upload in self._open.values()]
            self._arm(min([now + LATEST_SWEEP, self._due, *expiries, *([] if moment is None else [moment])]))

    def close(self) -> None:
        """Stop sweeping, and drop incomplete uploads."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for upload in list(self._open.values()):
            self.end(upload)
