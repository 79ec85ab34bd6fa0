"""The wheel brings the extension, ready to use, to an environment without Node."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

import hatch_build

TOP = Path(__file__).parent.parent.parent
BIN = Path(sys.executable).parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("wheel")
    env = os.environ | {hatch_build.MODE: "require", "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(place), str(TOP)]
    ran = subprocess.run(command, env=env, capture_output=True, text=True, timeout=110)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    (made,) = place.glob("*.whl")
    return made


def test_the_wheel_has_everything_once(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as opened:
        names = opened.namelist()
        assert len(names) == len(set(names))
        share = next(name for name in names if name.endswith(f"{hatch_build.SHARE}/package.json")).removesuffix(
            "package.json"
        )
        built = json.loads(opened.read(f"{share}package.json"))
        entry = built["jupyterlab"]["_build"]["load"]
        config = next(name for name in names if name.endswith("etc/jupyter/jupyter_server_config.d/fal_jupyter.json"))
        assert json.loads(opened.read(config)) == {"ServerApp": {"jpserver_extensions": {"fal_jupyter": True}}}
        scripts = {
            file.filename: file.file_size for file in opened.infolist() if file.filename.startswith(f"{share}static/")
        }
        assert max(scripts.values()) < 300 * 1024, scripts  # from there on the bundler warns
    assert f"{share}{entry}" in names
    assert f"{share}install.json" in names
    assert {
        f"{share}schemas/fal-jupyter/{path.name}" for path in (TOP / "labextension" / "schema").glob("*.json")
    } <= set(names)
    assert {str(path.relative_to(TOP)) for path in (TOP / "fal_jupyter/widgets/static").rglob("*.mjs")} <= set(names)
    assert not [name for name in names if name.startswith("fal_jupyter/labextension") or "node_modules" in name]


@pytest.mark.parametrize(
    "packages", ["of this environment", pytest.param("its own", marks=[pytest.mark.long, pytest.mark.timeout(600)])]
)
def test_it_works_in_a_second_environment_without_node(wheel: Path, tmp_path: Path, packages: str) -> None:
    place = tmp_path / "second"
    venv.create(place, with_pip=False)
    python = place / "bin" / "python"
    env = {
        name: value for name, value in os.environ.items() if not name.startswith(("JUPYTER", "PYTHON", "FAL_", "PIP_"))
    }
    env |= {
        "PATH": str(place / "bin"),
        "JUPYTER_CONFIG_DIR": str(tmp_path / "config"),
        "JUPYTER_DATA_DIR": str(tmp_path / "data"),
    }

    def run(*arguments: str) -> str:
        ran = subprocess.run([python, *arguments], env=env, capture_output=True, text=True, timeout=500, cwd=tmp_path)
        assert ran.returncode == 0, ran.stdout + ran.stderr
        return re.sub(r"\x1b\[\d*m", "", ran.stdout + ran.stderr)

    library = Path(sysconfig.get_path("purelib", vars={"base": str(place)}))
    install = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-compile"]
    if packages == "its own":
        subprocess.run([*install, f"{wheel}[lab]"], check=True, timeout=500)
    else:  # borrowed: a path file there does not read the path files of the place that it names, so that ours is the wheel's
        without = "import sys; sys.modules['rfc3987_syntax'] = None"  # see tests.support.jupyter
        (library / "borrowed.pth").write_text(f"{sysconfig.get_path('purelib')}\n{without}\n")
        subprocess.run([*install, "--no-deps", "--no-index", str(wheel)], check=True, timeout=100)
    assert run("-c", "import fal_jupyter, shutil; print(fal_jupyter.__file__, shutil.which('node'))").split() == [
        str(library / "fal_jupyter" / "__init__.py"),
        "None",
    ]
    listed = run("-m", "jupyterlab.labextensions", "list")
    (line,) = (line for line in listed.splitlines() if "fal-jupyter v" in line)
    assert "enabled" in line
    assert "OK" in line
    listed = run("-m", "jupyter_server.extension.serverextension", "list")
    assert "fal_jupyter enabled" in listed
    after = listed.split("fal_jupyter enabled", 1)[1]
    assert "OK" in after.split(" enabled", 1)[0], listed
