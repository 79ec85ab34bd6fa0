"""After packages of an interpreter change, the next runner of its apps has the new ones: nothing comes from before (issue 14, "mixed versions")."""

from __future__ import annotations

import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from fal_jupyter.installed import installed_here
from tests.support import serve
from tests.support.serve import command, doctor, runners, served
from tests.support.state import state_directory, wait_for_end

APP = """
import PIL
import fal
from PIL import other

class Versions(fal.App):
    keep_alive = 300

    @fal.endpoint("/")
    def go(self) -> list:
        return [PIL.VERSION, other.VERSION]
"""


def install(site: Path, version: str) -> None:
    """What an installer leaves behind: the package and its record, none of the former version's."""
    for record in site.glob("pillow-*.dist-info"):
        shutil.rmtree(record)
    shutil.rmtree(site / "PIL", ignore_errors=True)
    (site / "PIL").mkdir()
    for name in ("__init__.py", "other.py"):
        (site / "PIL" / name).write_text(f"VERSION = {version!r}\n")
    (site / f"pillow-{version}.dist-info").mkdir()
    (site / f"pillow-{version}.dist-info" / "METADATA").write_text(f"Name: pillow\nVersion: {version}\n")


def template_of(state: Path) -> int:
    return next(p["pid"] for p in doctor(state)["processes"] if p["role"] == "template")


def test_the_next_runner_has_the_packages_that_are_installed_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "venv"], check=True)
    site = next((tmp_path / "venv").glob("lib/python*/site-packages"))
    (site / "all.pth").write_text(sysconfig.get_path("purelib") + "\n" + str(Path(__file__).parents[2]) + "\n")
    install(site, "1.0")
    monkeypatch.setattr(serve, "COMMAND", [str(tmp_path / "venv/bin/python"), "-m", "fal_jupyter.cli.main"])
    (tmp_path / "versions.py").write_text(APP)
    with state_directory() as state, served(state, f"{tmp_path}/versions.py::Versions") as app:
        assert app.request().json == ["1.0", "1.0"]
        former = template_of(state)

        def next_runner() -> list[str]:
            command(state, "kill", runners(state)[0]["runner_id"])
            answer: list[str] = app.request().json
            return answer

        (site / "__pycache__").mkdir()  # the folder changes, nothing installed does
        assert next_runner() == ["1.0", "1.0"]
        assert template_of(state) == former

        install(site, "2.0")
        assert next_runner() == ["2.0", "2.0"]
        assert wait_for_end({former}, 10) == set()
        install(site, "2.0")  # the same version again
        (site / "PIL" / "__init__.py").write_text("VERSION = 'built again'\n")
        assert next_runner() == ["built again", "2.0"]


def test_a_pth_file_that_is_edited_in_place_is_a_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    link = tmp_path / "editable.pth"
    link.write_text("/nowhere\n")
    installed = installed_here()
    assert not installed.changed()
    link.write_text("/nowhere/else\n")
    assert installed.changed()
