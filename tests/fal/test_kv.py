"""The key-value store: what it keeps and gives back, and what it refuses as the real one does before anything is sent."""

from __future__ import annotations

import http.client
from pathlib import Path
from typing import Any

import pytest

from fal_jupyter.fal.toolkit.exceptions import KVStoreException
from fal_jupyter.fal.toolkit.kv import LONGEST, SHORTEST, KVStore


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> KVStore:
    monkeypatch.setattr("fal_jupyter.fal.toolkit.kv._path", lambda: tmp_path / "kv.sqlite")
    return KVStore("d")


@pytest.mark.parametrize("value", ["", "v", "é 日本 🎉", "a\0b", "line\r\n", "x" * 100_000])
def test_a_text_comes_back_as_it_was(store: KVStore, value: str) -> None:
    store.set("k", value)

    assert store.get("k") == value


@pytest.mark.parametrize("value", [5, b"x", None, {}, [], 1.5, True])
def test_a_value_that_is_no_text_is_refused_as_on_fal_and_not_stored(store: KVStore, value: Any) -> None:
    store.set("k", "before")
    with pytest.raises(AttributeError, match=f"'{type(value).__name__}' object has no attribute 'encode'"):
        store.set("k", value)

    assert store.get("k") == "before"


def test_half_a_character_is_refused(store: KVStore) -> None:
    with pytest.raises(UnicodeEncodeError):
        store.set("k", "\ud800")


@pytest.mark.parametrize("key", ["a b", "a\0", "a\x7f", "a\nb", " a"])
def test_a_key_that_no_address_can_have_is_refused(store: KVStore, key: str) -> None:
    for ask in (store.get, store.delete, lambda key: store.set(key, "v")):
        with pytest.raises(http.client.InvalidURL, match="URL can't contain control characters"):
            ask(key)


@pytest.mark.parametrize("key", ["é", "a?é", "\ud800"])
def test_a_key_beyond_ascii_is_refused(store: KVStore, key: str) -> None:
    for ask in (store.get, store.delete, lambda key: store.set(key, "v")):
        with pytest.raises(UnicodeEncodeError, match="'ascii' codec can't encode"):
            ask(key)


def test_the_name_of_the_store_is_a_part_of_the_address_too(store: KVStore) -> None:
    with pytest.raises(http.client.InvalidURL):
        KVStore("a b").get("k")
    with pytest.raises(UnicodeEncodeError):
        KVStore("é").set("k", "v")


@pytest.mark.parametrize(
    ("key", "same"), [("a\n", "a"), ("a#b", "a"), ("#é", ""), (5, "5"), (None, "None"), ("%", "%")]
)
def test_keys_with_the_same_wire_name_are_one(store: KVStore, key: Any, same: str) -> None:
    store.set(key, "v")

    assert (store.get(key), store.get(same)) == ("v", "v")
    store.delete(key)
    assert store.get(same) is None


def test_keys_are_independent(store: KVStore) -> None:
    for key in ("a", "A", "a/b", "a?b", "../x", ""):
        store.set(key, key + "!")

    assert [store.get(key) for key in ("a", "A", "a/b", "a?b", "../x", "")] == [
        "a!",
        "A!",
        "a/b!",
        "a?b!",
        "../x!",
        "!",
    ]
    assert KVStore("other").get("a") is None


@pytest.mark.parametrize("ttl", [SHORTEST - 1, LONGEST + 1, -1, 0, "x", "", [60], True, float("nan")])
def test_a_lifetime_out_of_range_is_refused(store: KVStore, ttl: Any) -> None:
    with pytest.raises(KVStoreException, match="Status 400: ttl must be between 60 and 2592000"):
        store.set("k", "v", ttl)


@pytest.mark.parametrize("ttl", [None, SHORTEST, LONGEST, 60.5, "100"])
def test_a_lifetime_in_range_is_taken(store: KVStore, ttl: Any) -> None:
    store.set("k", "v", ttl)

    assert store.get("k") == "v"


def test_a_broken_file_is_reported_by_name_instead_of_by_sqlites_error(store: KVStore, tmp_path: Path) -> None:
    (tmp_path / "kv.sqlite").write_bytes(b"no database" * 1000)
    with pytest.raises(KVStoreException) as caught:
        store.get("k")

    assert str(tmp_path / "kv.sqlite") in str(caught.value)
    assert "database" not in str(caught.value)


def test_it_is_a_file_of_the_state_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAL_JUPYTER_STATE", str(tmp_path))
    KVStore("d").set("k", "v")

    assert (tmp_path / "kv.sqlite").stat().st_mode & 0o777 == 0o600
