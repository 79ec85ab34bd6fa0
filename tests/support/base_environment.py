"""An environment as a user of the base package has it: its dependencies without any extra, JupyterLab, Notebook 7 and ipykernel.

Nothing is downloaded: the files of the distributions that are installed here are linked into a virtual environment, and those that only
extras or tests bring are left out.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tomllib
import venv
from importlib.metadata import Distribution, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

TOP = Path(__file__).parents[2]


def base_environment(place: Path) -> Path:
    """Make the environment at *place*; gives its Python. Its kernelspec is ``base``, below ``share/jupyter``."""
    venv.EnvBuilder(symlinks=True).create(place)
    site = place / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"
    for found in _closure():
        for file in found.files or ():
            target = Path(os.path.normpath(site / file))
            if target.is_relative_to(place) and not target.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                _link(os.path.normpath(found.locate_file(file)), target)
    (site / "fal_jupyter.pth").write_text(f"{TOP}\n")
    extensions = place / "share" / "jupyter" / "labextensions"
    extensions.mkdir(parents=True, exist_ok=True)
    shutil.copytree(TOP / "fal_jupyter" / "labextension", extensions / "fal-jupyter")
    python = place / "bin" / "python"
    spec = place / "share" / "jupyter" / "kernels" / "base" / "kernel.json"
    spec.parent.mkdir(parents=True, exist_ok=True)
    argv = [str(python), "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    spec.write_text(json.dumps({"argv": argv, "display_name": "base", "language": "python"}))
    return python


def _link(source: str, target: Path) -> None:
    """Link a file hard, or copy it: Jupyter's static files are not served through symbolic links."""
    try:
        os.link(source, target)
    except OSError:  # another file system
        shutil.copy(source, target)


def _closure() -> list[Distribution]:
    """The distributions that the base package, JupyterLab and Notebook 7 need."""
    project = tomllib.loads((TOP / "pyproject.toml").read_text())["project"]
    waiting = [Requirement(line) for line in (*project["dependencies"], "jupyterlab", "notebook", "ipykernel")]
    waiting = [one for one in waiting if _applies(one, "")]
    asked: set[tuple[str, str]] = set()
    found: dict[str, Distribution] = {}
    while waiting:
        wanted = waiting.pop()
        name = canonicalize_name(wanted.name)
        for extra in ("", *sorted(wanted.extras)):
            if (name, extra) in asked:
                continue
            asked.add((name, extra))
            found[name] = one = distribution(name)
            needs = [Requirement(line) for line in one.requires or ()]
            waiting += [need for need in needs if _applies(need, extra)]
    return list(found.values())


def _applies(requirement: Requirement, extra: str) -> bool:
    marker = requirement.marker
    return marker is None or marker.evaluate({"extra": extra})
