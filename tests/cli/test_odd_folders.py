"""Folders whose names are not UTF-8, and texts with half a character: the command line works with them, or says which one it cannot use."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.support.serve import COMMAND, served
from tests.support.state import state_directory

APP = """
import fal

class Odd(fal.App):
    @fal.endpoint("/")
    def go(self, text: str = "b\\udcff") -> int:
        return len(text)
"""


@pytest.fixture
def odd(tmp_path: Path) -> Path:
    """A folder whose name is not UTF-8."""
    folder = tmp_path / os.fsdecode(b"b\xffd")
    folder.mkdir()
    return folder


def refused(*words: str, cwd: Path, **environment: str) -> str:
    """What a command that fails writes to standard error, in UTF-8."""
    done = subprocess.run(
        [*COMMAND, *words], cwd=cwd, env=os.environ | environment, capture_output=True, timeout=60, check=False
    )
    assert (done.returncode != 0, done.stdout) == (True, b"")
    return done.stderr.decode()


def test_a_state_directory_that_is_not_utf8_is_refused(odd: Path, tmp_path: Path) -> None:
    for words in (["apps"], ["serve", "odd.py"], ["gateway"], ["doctor"]):
        assert refused(*words, cwd=tmp_path, FAL_JUPYTER_STATE=f"{odd}/state") == (
            f"fal-jupyter: the path of the state directory is not UTF-8 text: {tmp_path}/b\ufffdd/state\n"
            "set FAL_JUPYTER_STATE to a folder whose path is UTF-8 text\n"
        )


def test_an_app_in_a_folder_that_is_not_utf8_is_refused_before_it_is_run(odd: Path, tmp_path: Path) -> None:
    (odd / "odd.py").write_text("print('ran')" + APP)
    with state_directory() as state:
        errors = [refused("serve", "odd.py::Odd", cwd=odd, FAL_JUPYTER_STATE=str(state))]
        errors += [refused("serve", str(odd / "odd.py"), cwd=tmp_path, FAL_JUPYTER_STATE=str(state))]
    sentence = f"fal-jupyter: the path of the app's file is not UTF-8 text: {tmp_path}/b\ufffdd/odd.py\n"
    assert errors == [f"{sentence}rename the file or the folder whose name is not UTF-8\n"] * 2


def test_a_working_directory_that_is_not_utf8_is_refused(odd: Path, tmp_path: Path) -> None:
    (tmp_path / "odd.py").write_text(APP)
    with state_directory() as state:
        errors = refused("serve", f"{tmp_path}/odd.py", cwd=odd, FAL_JUPYTER_STATE=str(state))
    assert errors.endswith(
        f"fal-jupyter: the path of the working directory is not UTF-8 text: {tmp_path}/b\ufffdd\n"
        "rename the folder whose name is not UTF-8\n"
    )


def test_an_entry_of_the_search_path_is_left_out_with_a_note_and_a_default_is_shown(odd: Path, tmp_path: Path) -> None:
    (tmp_path / "odd.py").write_text(APP)
    with state_directory() as state, served(state, f"{tmp_path}/odd.py", env={"PYTHONPATH": str(odd)}) as app:
        schema = app.request("/openapi.json", method="GET")
        assert (schema.status, '"default":"b\ufffd"' in schema.body.decode()) == (200, True)
        assert app.request("/", {}).json == 2
        _, _, errors = app.stop()
    assert f"{tmp_path}/b\ufffdd is not UTF-8 text: runners start without that entry of sys.path" in errors
