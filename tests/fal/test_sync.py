"""``fal.sync_dir``: a folder goes to the persistent folder, once for each state of it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from fal_jupyter import fal
from fal_jupyter.fal import toolkit


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(toolkit, "FAL_PERSISTENT_DIR", tmp_path / "data")
    return tmp_path / "data"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a.txt", "sub/b.bin", ".git/config", "sub/é ü.txt"):
        path = tmp_path / "mine" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return tmp_path / "mine"


def test_a_folder_is_copied_and_again_only_when_it_has_changed(data: Path, folder: Path, capsys: Any) -> None:
    assert fal.sync_dir(folder, "/data/sync/mine") == "sync/mine"
    target = data / "sync/mine"
    assert {str(path.relative_to(target)) for path in target.rglob("*") if path.is_file()} == {
        "a.txt", "sub/b.bin", "sub/é ü.txt", ".fal_hash",
    }  # fmt: skip
    assert not (folder / ".fal_hash").exists()
    (target / "a.txt").write_text("changed there")
    fal.sync_dir(str(folder), "/data/sync/mine")
    assert "already uploaded and matches" in capsys.readouterr().out
    assert (target / "a.txt").read_text() == "changed there"
    fal.sync_dir(folder, "/data/sync/mine", force_upload=True)
    assert (target / "a.txt").read_text() == "a.txt"
    os.rename(folder / "a.txt", folder / "c.txt")  # the same contents under another name
    fal.sync_dir(folder, "/data/sync/mine")
    assert (target / "c.txt").read_text() == "a.txt"


@pytest.mark.parametrize("remote", ["data/x", "/database/x", "/data", "/data/../etc", "x", "", "/data/a/../../x"])
def test_a_target_outside_of_data_is_refused(data: Path, folder: Path, remote: str) -> None:
    with pytest.raises(ValueError, match="must be an absolute path starting with `/data`"):
        fal.sync_dir(folder, remote)
    assert not data.exists()


def test_what_is_no_folder_is_refused(data: Path, folder: Path) -> None:
    with pytest.raises(NotADirectoryError, match=r"a\.txt is not a folder"):
        fal.sync_dir(folder / "a.txt", "/data/x")
