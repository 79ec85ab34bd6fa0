"""The files of the local CDN: whole or not there, whoever writes, whatever they are called."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fal_jupyter.filestore import ABANDONED, FileStore, StoredFile, StoreFull, safe_name

KIND = {"content_type": "text/plain", "file_name": "a.txt"}


@pytest.fixture
def store(tmp_path: Path) -> FileStore:
    return FileStore(tmp_path / "files")


def test_what_is_put_is_found_by_its_id_until_it_expires(store: FileStore) -> None:
    kept = store.put(b"hello", content_type="text/plain", file_name="é b.txt", now=100.0, lifetime=10)
    assert kept.path.read_bytes() == b"hello"
    assert (kept.size, kept.expires) == (5, 110.0)
    assert kept.url("http://127.0.0.1:1/cdn") == f"http://127.0.0.1:1/cdn/files/{kept.id}/%C3%A9%20b.txt"
    assert store.find(kept.id, 109.0) == kept
    assert store.find(kept.id, 110.0) is None
    assert (os.stat(kept.path).st_mode & 0o777, os.stat(store.directory).st_mode & 0o777) == (0o600, 0o700)


def test_the_same_bytes_are_there_once_and_stay_as_long_as_one_file_names_them(store: FileStore) -> None:
    late = time.time() + 2 * ABANDONED
    first = store.put(b"same", **KIND, now=0.0, lifetime=5)
    second = store.put(b"same", **KIND, now=0.0, lifetime=late + 10)
    assert first.id != second.id
    assert first.path == second.path
    assert store.sweep(0.0) == (0, 0, 5.0)
    assert store.sweep(late) == (1, 0, late + 10)
    assert second.path.read_bytes() == b"same"
    assert (store.find(first.id, 1.0), store.find(second.id, 10.0)) == (None, second)
    assert store.sweep(late + 10) == (1, 4, None)
    assert not second.path.exists()
    kept = store.put(b"for ever", **KIND, now=0.0)
    assert store.sweep(late) == (0, 0, None)
    assert store.find(kept.id, late) == kept


def test_stored_and_pending_bytes_are_limited_together(tmp_path: Path) -> None:
    store = FileStore(tmp_path / "files", most_bytes=130)
    first = store.put(b"x" * 60, **KIND, now=0.0, lifetime=5)
    assert store.put(b"x" * 40 + b"x" * 20, **KIND, now=0.0).sha256 == first.sha256  # the same bytes count once
    one, two = store.writer(), store.writer()
    one.write(b"1" * 30)
    with pytest.raises(StoreFull, match=r"are limited to 130 bytes .* fal-jupyter files clean"):
        two.write(b"2" * 41)
    two.write(b"2" * 40)
    two.abort()
    assert one.finish(content_type="a/b", file_name="a", lifetime=None, now=0.0).size == 30
    other = FileStore(store.directory, most_bytes=130)  # another process
    with pytest.raises(StoreFull):
        other.put(b"3" * 41, **KIND, now=0.0)
    assert not list(store.directory.glob("unfinished/*"))
    assert other.usage(10.0) == (3, 1, 90, 0)
    assert store.sweep(10.0, lambda stored: stored.size == 60) == (2, 60, None)
    assert other.put(b"3" * 70, **KIND, now=0.0).size == 70
    assert store.usage(0.0).bytes == 100


def test_bytes_that_are_put_again_while_a_sweep_is_at_work_stay(store: FileStore) -> None:
    old = store.put(b"the same", **KIND, now=0.0, lifetime=1)
    again: list[StoredFile] = []

    def put_again(stored: StoredFile) -> bool:
        again.append(store.put(b"the same", **KIND, now=5.0))
        return False

    other = store.put(b"other", **KIND, now=0.0)
    while other.id < old.id:  # records are read in this order: the expired one first
        other = store.put(b"other", **KIND, now=0.0)
    assert store.sweep(5.0, put_again).removed == 1
    assert again[0].path.read_bytes() == b"the same"


def test_what_a_writer_left_behind_goes_after_an_hour(store: FileStore) -> None:
    writer = store.writer()
    writer.write(b"half")
    other = store.writer()
    other.abort()
    assert len(list(store.directory.glob("unfinished/*"))) == 1
    store.sweep(time.time())
    assert len(list(store.directory.glob("unfinished/*"))) == 1  # somebody may be at it
    store.sweep(time.time() + 2 * ABANDONED)
    assert not list(store.directory.glob("unfinished/*"))
    writer.abort()


def test_a_file_is_copied_in_pieces(store: FileStore, tmp_path: Path) -> None:
    source = tmp_path / "large"
    source.write_bytes(os.urandom(3 << 20))
    kept = store.put_path(source, **KIND, now=0.0)
    assert kept.path.read_bytes() == source.read_bytes()
    with pytest.raises(OSError, match="nope"):
        store.put_path(tmp_path / "nope", **KIND, now=0.0)
    assert not list(store.directory.glob("unfinished/*"))


@given(st.text(max_size=300))
def test_a_file_name_is_one_name(name: str) -> None:
    safe = safe_name(name)
    assert safe
    assert len(safe) <= 200
    assert "/" not in safe
    assert safe not in (".", "..")
    assert Path("/x", safe).parent == Path("/x")
    assert all(ord(sign) >= 32 for sign in safe)


@given(st.text(max_size=60) | st.sampled_from(["../../etc/passwd", "..", "", "0" * 31, "A" * 32]))
def test_what_is_no_id_is_no_file(text: str) -> None:
    store = FileStore(Path("/nonexistent"))
    assert store.find(text, 0.0) is None
    assert store.sweep(0.0) == (0, 0, None)


def test_a_damaged_record_is_no_file(store: FileStore) -> None:
    kept = store.put(b"x", **KIND, now=0.0)
    (store.directory / "records" / f"{kept.id}.json").write_text("{bad")
    assert store.find(kept.id, 1.0) is None
    assert store.sweep(1.0) == (1, 1, None)


def test_several_processes_write_at_once(store: FileStore) -> None:
    code = (
        "import sys; from pathlib import Path; from fal_jupyter.filestore import FileStore\n"
        "s = FileStore(Path(sys.argv[1]))\n"
        "for n in range(50): s.put(bytes([n]) * 5000, content_type='a/b', file_name='x', now=0.0)"
    )
    writers = [subprocess.Popen([sys.executable, "-c", code, str(store.directory)]) for _ in range(4)]
    assert [writer.wait(60) for writer in writers] == [0] * 4
    ids = [path.stem for path in (store.directory / "records").iterdir()]
    found = [stored for file_id in ids if (stored := store.find(file_id, 1.0)) is not None]
    assert len(found) == len(ids) == 200
    assert len({stored.sha256 for stored in found}) == 50
    assert all(stored.path.stat().st_size == 5000 for stored in found)
