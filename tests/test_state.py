"""The state directory: whose it is, and that nothing in it only grows."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

import pytest

from fal_jupyter import server_record
from fal_jupyter.domain.errors import StateRefused
from fal_jupyter.gateway.storage.logs import Log, forget_old
from fal_jupyter.state import check_state
from tests.support.serve import command, served
from tests.support.state import state_directory

APP = """
import fal

class Small(fal.App):
    @fal.endpoint("/")
    def hi(self) -> str:
        print("a word of the app")
        return "hi"
"""


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "small.py"
    path.write_text(APP)
    return str(path)


def size_of(state: Path) -> dict[str, int]:
    return {str(path.relative_to(state)): path.stat().st_size for path in state.rglob("*") if path.is_file()}


def rows(state: Path, table: str) -> int:
    with sqlite3.connect(state / "store.sqlite") as connection:
        return int(connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0])


@pytest.mark.parametrize("mode", [0o755, 0o750, 0o701])
def test_a_directory_that_others_can_read_is_refused_unless_it_is_empty(tmp_path: Path, mode: int) -> None:
    state = tmp_path / "a state"
    state.mkdir()
    state.chmod(mode)
    check_state(state)
    assert state.stat().st_mode & 0o777 == 0o700

    state.chmod(mode)
    (state / "something").touch()
    with pytest.raises(StateRefused, match="others can read the state directory") as caught:
        check_state(state)
    assert caught.value.hint.startswith(f"type: chmod 700 '{state}'")
    assert state.stat().st_mode & 0o777 == mode
    done = command(state, "keys", "list")
    assert (done.returncode, done.stderr.count("chmod 700")) == (1, 1)
    state.chmod(0o700)
    check_state(state)


def test_files_are_their_owners_only_whatever_the_umask_is(file: str) -> None:
    with state_directory() as state, served(state, f"{file}::Small", prefix=("sh", "-c", 'umask 0; exec "$@"', "sh")):
        modes = {path.name: path.stat().st_mode & 0o777 for path in (state, *state.rglob("*"))}
        public = {"ca.pem", "bundle.pem"}  # certificates
        assert {name: oct(mode) for name, mode in modes.items() if mode & 0o077 and name not in public} == {}


@pytest.mark.parametrize("rounds", [2, pytest.param(5, marks=pytest.mark.long)])
def test_many_starts_and_apps_leave_the_directory_as_large_as_it_was(file: str, rounds: int) -> None:
    with state_directory() as state:
        sizes = []
        for _ in range(rounds):
            for name in ("one", "gateway"):
                with served(state, f"{file}::Small", "--name", name) as app:
                    assert app.request("/").json == "hi"
                    assert "a word of the app" in command(state, "logs", name).stdout
            sizes.append(size_of(state))
        assert rows(state, "keys") == 0
        assert rows(state, "revisions") == 2 * rounds
        assert sizes[0].keys() == sizes[-1].keys()
        assert sizes[-1]["store.sqlite"] == sizes[0]["store.sqlite"]
        assert "a word" not in (state / "logs" / "gateway.log").read_text()
        assert "a word" in (state / "logs" / "apps" / "gateway.log").read_text()


def test_logs_of_apps_that_were_quiet_longest_are_removed(tmp_path: Path) -> None:
    logs = [Log(tmp_path / "apps" / f"app{n}.log") for n in range(6)]
    for n, log in enumerate(logs):
        log.close()
        os.utime(tmp_path / "apps" / f"app{n}.log", (n, n))
    forget_old(tmp_path / "apps", {"app0"}, most=3)
    assert sorted(path.name for path in (tmp_path / "apps").iterdir()) == ["app0.log", "app4.log", "app5.log"]
    forget_old(tmp_path / "nowhere")


def test_a_log_never_makes_the_state_directory(tmp_path: Path) -> None:
    log = Log(tmp_path / "removed" / "logs" / "apps" / "app.log")
    log.write("r", "", 1, "a word\n")
    assert not (tmp_path / "removed").exists()  # it would be one that others can read


def test_records_of_servers_that_were_killed_are_removed_after_a_while(tmp_path: Path) -> None:
    mine = server_record.ServerRecord(os.getpid(), 1, "/", "", False)
    for pid, age in ((4_194_303, server_record.OLD + 9), (4_194_302, 0.0)):
        path = server_record.record_path(tmp_path, pid)
        path.write_text("{}")
        os.utime(path, (path.stat().st_mtime - age,) * 2)
    (tmp_path / "fal-jupyter-server-x.json").write_text("{}")
    server_record.write(tmp_path, mine)
    left = sorted(path.name for path in tmp_path.iterdir())
    assert "fal-jupyter-server-4194303.json" not in left
    assert len(left) == 3
