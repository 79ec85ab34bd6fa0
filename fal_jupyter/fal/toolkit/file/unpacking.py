"""ZIP archives of strangers: unpacked only where what is in them fits."""

from __future__ import annotations

import shutil
from pathlib import Path
from zipfile import ZipFile

from fal_jupyter.fal.exceptions import FileTooLargeError

MOST_ENTRIES = 100_000
SMALL = 1 << 30  # bytes; below that, any ratio of compression is taken
MOST_RATIO = 100  # times the archive's own size, beyond that
LEFT_FREE = 0.1  # share of the free space that unpacking leaves


def unpack(archive: Path, target: Path) -> None:
    """Unpack *archive* into *target*.

    The sizes that an archive declares are upper bounds: ``zipfile`` reads no more of an entry than that.

    Raises:
        FileTooLargeError: it has too many entries, entries that share their bytes, or more bytes than fit.
        zipfile.BadZipFile: it is not a ZIP archive.
    """
    with ZipFile(archive) as opened:
        entries = opened.infolist()
        own, packed = archive.stat().st_size, sum(entry.compress_size for entry in entries)
        total = sum(entry.file_size for entry in entries)
        free = int(shutil.disk_usage(target).free * (1 - LEFT_FREE))
        most = min(free, max(SMALL, MOST_RATIO * own))
        if len(entries) > MOST_ENTRIES:
            raise FileTooLargeError(f"the archive has {len(entries):,} entries, and {MOST_ENTRIES:,} are the most")
        if packed > own:
            raise FileTooLargeError("the entries of the archive overlap: together they are larger than the archive")
        if total > most:
            raise FileTooLargeError(f"unpacked, the archive would have {total:,} bytes, and {most:,} are the most here")
        opened.extractall(target)
