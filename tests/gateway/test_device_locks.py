"""Where claims on devices are kept: one place for all gateways of a user, which nobody else can take."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from fal_jupyter.domain.errors import StateRefused
from fal_jupyter.gateway.devices import device_locks
from fal_jupyter.gateway.devices.device_locks import DeviceLocks, choose_place
from fal_jupyter.settings import read

NAME = f"fal_jupyter-{os.getuid()}-devices"


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    """A directory in which everybody can take names, as /tmp is."""
    path = tmp_path / "tmp"
    path.mkdir()
    path.chmod(0o1777)
    return path


def squat(path: Path, how: str) -> None:
    if how == "file":
        path.touch()
    elif how == "link":
        path.symlink_to("/nonexistent")
    else:
        path.mkdir()
        if how == "another user's directory":
            os.chown(path, 12345, 12345)
        else:
            path.chmod(0o777)


def test_the_users_own_runtime_directory_is_the_first_choice(tmp_path: Path, shared: Path) -> None:
    own, open_to_all = tmp_path / "own", tmp_path / "open"
    own.mkdir(mode=0o700)
    open_to_all.mkdir()
    open_to_all.chmod(0o777)
    assert choose_place((open_to_all, tmp_path / "nowhere", own, shared)) == own / NAME
    assert (own / NAME).stat().st_mode & 0o777 == 0o700
    assert list(shared.iterdir()) == list(open_to_all.iterdir()) == []


@pytest.mark.parametrize("how", ["file", "link", "another user's directory", "a directory that others can write to"])
def test_a_name_taken_by_another_user_blocks_no_gateway(shared: Path, how: str) -> None:
    if how == "another user's directory" and os.getuid() != 0:
        pytest.skip("only root can make another user's directory")
    for name in (NAME, f"{NAME}.1"):
        squat(shared / name, how)
    first, second = DeviceLocks((shared,), Path("/a")), DeviceLocks((shared,), Path("/b"))
    assert first.claim(["GPU-0"]) == ([], "")
    (shared / NAME).rename(shared / "away")  # the first choice is free now, yet claims are elsewhere already
    assert second.claim(["GPU-1", "GPU-0"]) == (["GPU-0"], f"the gateway of /a (process {os.getpid()})")
    assert choose_place((shared,)) == shared / f"{NAME}.2"
    first.release(["GPU-0"])
    assert second.claim(["GPU-0"]) == ([], "")
    second.release(["GPU-0"])


def test_an_error_is_raised_if_all_names_are_taken(shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device_locks, "MOST_SQUATTED", 2)
    for name in (NAME, f"{NAME}.1"):
        squat(shared / name, "file")
    with pytest.raises(StateRefused, match="other users have taken all names") as caught:
        choose_place((shared,))
    assert caught.value.hint == "set XDG_RUNTIME_DIR to a directory of your own"
    with pytest.raises(StateRefused, match="No such file"):
        choose_place((shared / "nowhere",))


def test_gateways_with_and_without_the_variable_find_the_same_place() -> None:
    usual = Path(f"/run/user/{os.getuid()}")
    assert read({"XDG_RUNTIME_DIR": str(usual)}).runtime == read({"TMPDIR": "/elsewhere"}).runtime
    assert read({"XDG_RUNTIME_DIR": "/mine"}).runtime[:2] == (Path("/mine"), usual)
    assert read({"XDG_RUNTIME_DIR": "relative"}).runtime[0] == usual
