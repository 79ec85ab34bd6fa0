"""What headers and bodies say about files, on whatever anybody may send; and uploads as the gateway keeps them."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import time
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import unquote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fal_jupyter import settings
from fal_jupyter.domain.access.file_lifecycle import Lifecycle
from fal_jupyter.filestore import ABANDONED
from fal_jupyter.gateway.storage import file_rules
from fal_jupyter.gateway.storage.file_rules import (
    OCTETS,
    byte_range,
    content_type_of,
    disposition,
    lifecycle_in,
    names_tag,
    parts_in,
    text_of,
)
from fal_jupyter.gateway.storage.files import Files, Upload, WrongParts, check_parts

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


# --- ranges -------------------------------------------------------------------------------------------------------------
@given(st.text(max_size=30) | st.from_regex(r"bytes=\d{0,30}-\d{0,30}", fullmatch=True), st.integers(0, 3000))
@example("bytes=0-" + "9" * 5000, 10)
def test_a_range_lies_within_its_file(header: str, size: int) -> None:
    found = byte_range(header, size)
    if isinstance(found, tuple):
        assert 0 <= found[0] <= found[1] < size
    else:
        assert found in (None, "unsatisfiable")


@given(st.binary(min_size=1, max_size=50), st.data())
def test_a_range_is_what_slicing_gives(content: bytes, data: st.DataObject) -> None:
    first = data.draw(st.integers(0, len(content) - 1))
    last = data.draw(st.integers(first, 100))
    suffix = data.draw(st.integers(1, 100))
    for header, expected in {
        f"bytes={first}-{last}": content[first : last + 1],
        f"bytes={first:04d}-": content[first:],
        f"Bytes = -{suffix}": content[-suffix:],
    }.items():
        found = byte_range(header, len(content))
        assert isinstance(found, tuple)
        assert content[found[0] : found[1] + 1] == expected


@pytest.mark.parametrize(
    ("header", "named"),
    [('"a"', True), ('W/"a"', True), ('"b", "a"', True), ("*", True), ('"b"', False), ("a", False), ("", False)],
)
def test_who_has_a_file_names_its_tag(header: str, named: bool) -> None:
    assert names_tag(header, '"a"') is named


# --- lifecycles -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", ["x-fal-object-lifecycle", "x-fal-object-lifecycle-preference"])
def test_both_clients_headers_are_lifecycles(name: str) -> None:
    text = '{"expiration_duration_seconds": 60, "initial_acl": {"default": "forbid"}}'
    assert lifecycle_in({name: text}) == Lifecycle(60.0, "forbid")
    assert lifecycle_in({name: ""}) == lifecycle_in({}) == Lifecycle()


@given(st.text(max_size=60) | JSON.map(json.dumps))
def test_any_text_is_a_lifecycle_or_a_sentence(text: str) -> None:
    with contextlib.suppress(ValueError):
        assert lifecycle_in({"x-fal-object-lifecycle": text}).access in ("allow", "hide", "forbid")


# --- names and types --------------------------------------------------------------------------------------------------------
@given(st.text(max_size=60))
def test_headers_are_headers(text: str) -> None:
    for value in (content_type_of(text), disposition(text.encode("utf-8", "replace").decode())):
        assert value.isascii()
        assert value.isprintable()


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=30))
def test_a_name_comes_back_from_its_header(name: str) -> None:
    assert unquote(disposition(name).rpartition("''")[2]) == name
    assert text_of(name.encode().decode("latin-1")) == name  # sent as UTF-8


@pytest.mark.parametrize("name", ["plain.txt", "caf\xe9.txt", "\xff\xfe"])
def test_a_name_that_is_no_utf8_is_latin1(name: str) -> None:
    assert text_of(name) == name


@pytest.mark.parametrize(
    ("given_type", "kept"),
    [
        ("image/png", "image/png"),
        (" text/html; charset=utf-8 ", "text/html; charset=utf-8"),
        ('multipart/mixed; boundary="a b"', 'multipart/mixed; boundary="a b"'),
        ("image/svg+xml", "image/svg+xml"),
        ("", OCTETS),
        ("png", OCTETS),
        ("a/b\r\nx: y", OCTETS),
        ("é/é", OCTETS),
    ],
)
def test_types(given_type: str, kept: str) -> None:
    assert content_type_of(given_type) == kept


# --- parts --------------------------------------------------------------------------------------------------------------------
@given(JSON.map(json.dumps).map(str.encode) | st.binary(max_size=40))
@example(b"[" * 100_000)
def test_any_bytes_are_parts_or_a_sentence(body: bytes) -> None:
    with contextlib.suppress(ValueError):
        assert all(type(number) is int for number in parts_in(body))


def test_an_invalid_list_of_parts_is_reported_with_a_msgspec_whose_errors_are_not_value_errors(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class MsgspecError(Exception):
        """As before msgspec 0.21."""

    def decode(body: bytes, **how: object) -> object:
        raise MsgspecError("Input data was truncated")

    old = SimpleNamespace(MsgspecError=MsgspecError, json=SimpleNamespace(decode=decode))
    monkeypatch.setattr(file_rules, "msgspec", old)
    with pytest.raises(ValueError, match="the body is JSON"):
        parts_in(b"{")


@given(st.dictionaries(st.integers(1, 10_000), st.from_regex("[0-9a-f]{8}", fullmatch=True)), st.randoms())
def test_parts_are_the_same_in_any_order_and_form(sent: dict[int, str], order: object) -> None:
    numbers = list(sent)
    order.shuffle(numbers)  # type: ignore[attr-defined]
    forms = ('"{}"', "{}", 'W/"{}"')
    parts = [{"partNumber": n, "etag": forms[n % 3].format(sent[n])} for n in numbers]
    named = parts_in(json.dumps({"parts": parts}).encode())

    assert named == sent
    if sent:
        check_parts(sent, named)
        with pytest.raises(WrongParts, match="were not sent"):
            check_parts({n: sent[n] for n in numbers[1:]}, named)
        with pytest.raises(WrongParts, match="other bytes"):
            check_parts(sent | {numbers[0]: "other"}, named)
    else:
        with pytest.raises(WrongParts, match="no part"):
            check_parts(sent, named)


# --- uploads ------------------------------------------------------------------------------------------------------------------
def files_in(state: Path, **more: float) -> Files:
    return Files(settings.read({"FAL_JUPYTER_STATE": str(state)}), **more)


def send(files: Files, upload: Upload, number: int, data: bytes) -> None:
    part = files.store.writer()
    part.write(data)
    part.rest()
    upload.add(number, part)


def left(files: Files) -> list[Path]:
    return list(files.store.directory.glob("unfinished/*"))


async def until(true: object, seconds: float = 10.0) -> None:
    end = time.monotonic() + seconds
    while not true():  # type: ignore[operator]
        assert time.monotonic() < end
        await asyncio.sleep(0.01)


def test_an_upload_that_is_never_completed_goes_with_its_time(tmp_path: Path) -> None:
    async def story() -> None:
        files = files_in(tmp_path, open_for=0.5)
        files.start()
        upload = files.begin("a/b", "x", None)
        send(files, upload, 1, b"a part")
        assert files.upload(upload.id, upload.secret) is upload
        await until(lambda: not left(files))  # nobody asks, and nothing else happens
        assert files.upload(upload.id, upload.secret) is None
        files.close()

    asyncio.run(story())


def test_parts_of_an_upload_that_takes_long_outlive_the_sweep(tmp_path: Path) -> None:
    async def story() -> None:
        files = files_in(tmp_path)
        upload = files.begin("a/b", "x", None)
        send(files, upload, 1, b"slow")
        stranger = files.store.writer()
        stranger.write(b"nobody's")
        stranger.rest()
        old = time.time() - 2 * ABANDONED
        for path in left(files):
            os.utime(path, (old, old))
        files.start()
        await until(lambda: len(left(files)) == 1)
        stored = await files.join(upload, {1: ""})
        assert stored.path.read_bytes() == b"slow"
        files.close()

    asyncio.run(story())


def test_removed_parts_are_reported_and_may_be_sent_again(tmp_path: Path) -> None:
    async def story() -> None:
        files = files_in(tmp_path)
        upload = files.begin("a/b", "x", None)
        send(files, upload, 1, b"a")
        left(files)[0].unlink()
        with pytest.raises(FileNotFoundError):
            await files.join(upload, {1: ""})
        assert left(files) == []
        send(files, upload, 1, b"again")
        assert (await files.join(upload, {1: ""})).path.read_bytes() == b"again"
        files.close()

    asyncio.run(story())


def test_uploads_that_are_begun_are_bounded_and_finished_ones_go_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fal_jupyter.gateway.storage.files.MOST_OPEN", 3)

    async def story() -> None:
        files = files_in(tmp_path)
        first, second, third = (files.begin("a/b", "x", None) for _ in range(3))
        send(files, second, 1, b"a")
        await files.join(second, {1: ""})
        fourth = files.begin("a/b", "x", None)
        found = [files.upload(one.id, one.secret) for one in (first, second, third, fourth)]
        assert found == [first, None, third, fourth]
        files.begin("a/b", "x", None)
        assert files.upload(first.id, first.secret) is None
        files.close()
        assert files.upload(third.id, third.secret) is None

    asyncio.run(story())


def test_an_expired_file_is_removed_although_a_permanent_one_was_added_later(tmp_path: Path) -> None:
    async def story() -> None:
        files = files_in(tmp_path)
        files.start()
        for lifetime in (100.0, 0.2, None):
            writer = files.store.writer()
            writer.write(b"same")
            files.add(writer, "a/b", "x", lifetime)
        records = files.store.directory / "records"
        assert len(list(records.iterdir())) == 3
        await until(lambda: len(list(records.iterdir())) == 2)
        files.close()

    asyncio.run(story())
