"""Archives that would fill the disk are refused before anything is written."""

from __future__ import annotations

import base64
import io
import struct
import zipfile
from pathlib import Path

import pytest

from fal_jupyter.fal.exceptions import FileTooLargeError
from fal_jupyter.fal.toolkit import CompressedFile
from fal_jupyter.fal.toolkit.file import unpacking

pytestmark = pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning"
)  # a folder goes with its object


def archive(**files: bytes) -> bytes:
    into = io.BytesIO()
    with zipfile.ZipFile(into, "w", zipfile.ZIP_DEFLATED) as made:
        for name, data in files.items():
            made.writestr(name, data)
    return into.getvalue()


def compressed(data: bytes) -> CompressedFile:
    return CompressedFile(url="data:application/zip;base64," + base64.b64encode(data).decode())


def declared(data: bytes, size: int) -> bytes:
    """Give the archive with another size of its first entry in the central directory."""
    at = data.index(b"PK\x01\x02") + 24
    return data[:at] + struct.pack("<I", size) + data[at + 4 :]


def test_an_archive_is_unpacked_once(tmp_path: Path) -> None:
    one = compressed(archive(a=b"first", b=b"second"))
    assert [path.read_bytes() for path in one] == [b"first", b"second"]
    assert [path.name for path in one.glob("a*")] == ["a"]


def test_an_archive_that_is_larger_than_what_fits_is_refused_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    bomb = compressed(declared(archive(a=bytes(1000)), 3_000_000_000))
    for _ in range(2):
        with pytest.raises(FileTooLargeError, match="unpacked, the archive would have 3,000,000,000 bytes"):
            list(bomb)
    monkeypatch.setattr(unpacking, "SMALL", 10)
    monkeypatch.setattr(unpacking, "MOST_RATIO", 3)
    with pytest.raises(FileTooLargeError):
        list(compressed(archive(a=bytes(100_000))))
    assert len(list(compressed(archive(a=b"short")))) == 1


def test_an_archive_of_too_many_entries_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unpacking, "MOST_ENTRIES", 2)
    with pytest.raises(FileTooLargeError, match="3 entries"):
        list(compressed(archive(a=b"", b=b"", c=b"")))


def test_entries_that_share_their_bytes_are_refused() -> None:
    data = archive(a=bytes(range(256)) * 4)
    first = data.index(b"PK\x01\x02")
    end = data.index(b"PK\x05\x06")
    entry, tail = data[first:end], bytearray(data[end:])
    copies = 5
    tail[8:12] = struct.pack("<HH", copies, copies)
    tail[12:16] = struct.pack("<I", len(entry) * copies)
    with pytest.raises(FileTooLargeError, match="overlap"):
        list(compressed(data[:first] + entry * copies + bytes(tail)))


def test_an_entry_longer_than_declared_is_refused() -> None:
    with pytest.raises(zipfile.BadZipFile):
        list(compressed(declared(archive(a=bytes(100_000)), 10)))
