from __future__ import annotations

from pathlib import Path

import pytest

from fal_jupyter import settings
from fal_jupyter.domain.errors import BadSetting


def test_the_environment_decides_state_owner_and_body_limit(tmp_path: Path) -> None:
    read = settings.read({"FAL_JUPYTER_STATE": str(tmp_path), "FAL_JUPYTER_OWNER": "ada", "FAL_JUPYTER_MAX_BODY": "10"})

    assert (read.state, read.owner, read.max_body) == (tmp_path, "ada", 10)
    assert read.environment() == {
        "FAL_JUPYTER_STATE": str(tmp_path),
        "FAL_JUPYTER_OWNER": "ada",
        "FAL_JUPYTER_MAX_BODY": "10",
        "FAL_JUPYTER_MAX_FILE": str(16 << 30),
        "FAL_JUPYTER_CDN_BYTES": str(64 << 30),
        "FAL_JUPYTER_FILE_LIFETIME": "2592000",
        "FAL_JUPYTER_QUEUE_BYTES": str(512 << 20),
        "FAL_JUPYTER_QUEUE_LENGTH": "10000",
        "FAL_JUPYTER_READ_TIMEOUT": "30",
        "FAL_JUPYTER_SEND_TIMEOUT": "60",
        "FAL_JUPYTER_IDLE_TIMEOUT": "300",
    }


def test_an_empty_environment_gives_a_state_directory_an_owner_and_256_mib() -> None:
    read = settings.read({})

    assert read.state.is_absolute()
    assert read.owner
    assert set(read.owner) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")
    assert read.max_body == 256 * 1024 * 1024


def test_all_files_lie_in_the_state_directory(tmp_path: Path) -> None:
    read = settings.read({"FAL_JUPYTER_STATE": str(tmp_path)})

    files = {read.socket, read.life_lock, read.start_lock, read.store, read.logs}
    assert {f.parent for f in files} == {tmp_path}
    assert len(files) == 5


def test_a_login_name_becomes_an_owner(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("getpass.getuser", lambda: "Ada.Lovelace@lab")
    assert settings.read({}).owner == "ada-lovelace-lab"


def test_a_user_without_a_login_name_is_local(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_name() -> str:
        raise KeyError("getpwuid(): uid not found")

    monkeypatch.setattr("getpass.getuser", no_name)
    assert settings.read({}).owner == "local"


@pytest.mark.parametrize("owner", ["Ada", "a/b", "ü"])
def test_an_owner_with_other_characters_is_refused_with_what_to_type(owner: str) -> None:
    with pytest.raises(BadSetting, match="FAL_JUPYTER_OWNER") as caught:
        settings.read({"FAL_JUPYTER_OWNER": owner})
    assert "set FAL_JUPYTER_OWNER=" in caught.value.hint


@pytest.mark.parametrize(
    "variable",
    [
        "FAL_JUPYTER_MAX_BODY",
        "FAL_JUPYTER_MAX_FILE",
        "FAL_JUPYTER_CDN_BYTES",
        "FAL_JUPYTER_QUEUE_BYTES",
        "FAL_JUPYTER_QUEUE_LENGTH",
    ],
)
@pytest.mark.parametrize("limit", ["0", "-1", "many", "1e6", "1.5", "١"])
def test_a_limit_of_bytes_that_is_no_positive_number_is_refused(variable: str, limit: str) -> None:
    with pytest.raises(BadSetting, match=variable):
        settings.read({variable: limit})


@pytest.mark.parametrize("variable", ["FAL_JUPYTER_READ_TIMEOUT", "FAL_JUPYTER_SEND_TIMEOUT"])
@pytest.mark.parametrize("seconds", ["0", "-1", "soon", "inf", "nan"])
def test_a_time_that_is_no_number_of_seconds_is_refused(variable: str, seconds: str) -> None:
    with pytest.raises(BadSetting, match=variable) as caught:
        settings.read({variable: seconds})
    assert f"set {variable}=" in caught.value.hint


def test_files_of_the_cdn_have_the_configured_lifetime() -> None:
    assert settings.read({"FAL_JUPYTER_FILE_LIFETIME": "60"}).file_lifetime == 60
    never = settings.read({"FAL_JUPYTER_FILE_LIFETIME": "Never"})
    assert never.file_lifetime is None
    assert settings.read(never.environment()).file_lifetime is None
    with pytest.raises(BadSetting, match="FAL_JUPYTER_FILE_LIFETIME is '0'") as caught:
        settings.read({"FAL_JUPYTER_FILE_LIFETIME": "0"})
    assert "set FAL_JUPYTER_FILE_LIFETIME=2592000 or leave it unset; never keeps files" in caught.value.hint


def test_times_may_be_fractions_of_a_second() -> None:
    assert settings.read({"FAL_JUPYTER_READ_TIMEOUT": "0.5"}).read_timeout == 0.5


@pytest.mark.parametrize(("given", "level"), [("debug", "DEBUG"), ("WARNING", "WARNING"), ("", None)])
def test_a_level_of_the_log_may_be_written_in_any_case_and_travels(given: str, level: str | None) -> None:
    read = settings.read({"FAL_JUPYTER_LOG_LEVEL": given})

    assert read.log_level == level
    assert read.environment().get("FAL_JUPYTER_LOG_LEVEL") == level


def test_the_loop_of_runners_is_one_of_three() -> None:
    assert settings.read({}).loop == "auto"
    assert settings.read({"FAL_JUPYTER_LOOP": "asyncio"}).loop == "asyncio"
    with pytest.raises(BadSetting, match="it is one of auto, asyncio, uvloop"):
        settings.read({"FAL_JUPYTER_LOOP": "trio"})


def test_the_record_is_off_and_otherwise_an_absolute_path_that_every_process_gets(tmp_path: Path) -> None:
    state = {"FAL_JUPYTER_STATE": str(tmp_path)}
    assert settings.read(state).record is None
    chosen = settings.read(state | {"FAL_JUPYTER_RECORD": "records"})
    assert chosen.record == Path.cwd() / "records"
    assert settings.read(chosen.environment()).record == chosen.record
