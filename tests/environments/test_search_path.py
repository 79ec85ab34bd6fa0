"""What of a search path goes along into an isolated environment."""

from __future__ import annotations

import os
import site
import sys
from pathlib import Path

import fal_jupyter
from fal_jupyter.environments.search_path import shadowed, users_own


def test_library_packages_and_linked_projects_stay_the_users_folders_go(tmp_path: Path) -> None:
    mine = [str(tmp_path), "/data/mine"]
    linked = str(Path(fal_jupyter.__file__).parent.parent)  # an editable installation: a .pth names it
    theirs = [
        *site.getsitepackages(),
        os.path.dirname(os.__file__),
        *(entry for entry in sys.path if "lib-dynload" in entry),
    ]

    kept = users_own([*mine, *theirs, linked])

    assert kept[:2] == mine
    assert not set(theirs) & set(kept)
    if any(linked in file.read_text() for home in site.getsitepackages() for file in Path(home).glob("*.pth")):
        assert linked not in kept


def test_a_module_of_the_users_own_folder_shadows_an_installed_one(tmp_path: Path) -> None:
    (tmp_path / "numpy.py").write_text("")

    assert shadowed(["numpy", "torch"], [str(tmp_path)]) == {"numpy"}
