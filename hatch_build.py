"""Build hook of the wheel: builds the JupyterLab extension where it is not built yet, or its sources have changed since.

FAL_JUPYTER_LABEXTENSION: ``auto`` (default: build where Node is there, else go on without, and say so), ``require`` (fail instead),
``skip`` (leave it out). What was built carries the hash of its sources, since times of files say nothing after a clone.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

MODE = "FAL_JUPYTER_LABEXTENSION"
SHARE = "share/jupyter/labextensions/fal-jupyter"
MARK = Path("static", "source.sha256")


def sources(root: Path) -> list[Path]:
    """Every file that the built extension is made of."""
    front = root / "labextension"
    found = [front / name for name in ("package.json", "yarn.lock", "tsconfig.json")]
    for folder, patterns in (
        (front / "src", ("*.ts",)),
        (front / "schema", ("*.json",)),
        (front / "scripts", ("*.mjs", "*.cjs")),
    ):
        found += [path for pattern in patterns for path in folder.rglob(pattern) if "shared" not in path.parts]
    found += (root / "fal_jupyter" / "widgets" / "static").rglob("*.mjs")
    return sorted(path for path in found if path.is_file())


def source_hash(root: Path) -> str:
    """One hash of the names and contents of all sources."""
    digest = hashlib.sha256()
    for path in sources(root):
        digest.update(f"{path.relative_to(root)}\0".encode() + path.read_bytes() + b"\0")
    return digest.hexdigest()


def installation(front: Path) -> tuple[str, ...]:
    """Return the command of jlpm that installs what a build needs; linters and tests only where they are installed already."""
    if (front / "node_modules" / "vitest").is_dir():
        return ("install", "--immutable")
    return ("workspaces", "focus", "--production", "fal-jupyter", "fal-jupyter-builder")


def build(root: Path) -> None:
    """Build the extension into ``fal_jupyter/labextension``.

    Raises:
        FileNotFoundError: there is no Node.js.
        CalledProcessError: a step failed.
    """
    if shutil.which("node") is None:
        raise FileNotFoundError("Node.js was not found; install Node.js 20 or newer")
    front = root / "labextension"
    here = Path(sys.executable).parent  # jupyter-builder brings jlpm, which calls itself and jupyter-builder by name
    tools = front / "node_modules" / ".bin"  # tsc, which jlpm does not offer as long as it is not installed for linting
    env = os.environ | {"PATH": os.pathsep.join((str(here), str(tools), os.environ.get("PATH", os.defpath)))}
    for arguments in (installation(front), ("build:prod",)):
        subprocess.run([shutil.which("jlpm", path=env["PATH"]) or "jlpm", *arguments], cwd=front, check=True, env=env)
    (root / "fal_jupyter" / "labextension" / MARK).write_text(source_hash(root))


class CustomBuildHook(BuildHookInterface):  # type: ignore[type-arg]
    """Hatchling calls it for the wheel and for an editable install."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build if need be, and add to the wheel what there is."""
        root = Path(self.root)
        built = root / "fal_jupyter" / "labextension"
        mark = built / MARK
        mode = os.environ.get(MODE, "auto")
        fresh = mark.exists() and mark.read_text().strip() == source_hash(root)
        if (root / "labextension" / "src").is_dir() and not fresh and mode != "skip":
            try:
                shutil.rmtree(built, ignore_errors=True)
                build(root)
            except (OSError, subprocess.CalledProcessError) as error:
                if mode == "require":
                    raise
                self.app.display_warning(f"without the JupyterLab extension: it could not be built ({error})")
        if mark.exists() and mode != "skip":
            shared = build_data.setdefault("shared_data", {})
            shared[str(built)] = SHARE
            shared[str(root / "labextension" / "install.json")] = f"{SHARE}/install.json"
