"""``fal-jupyter run NAME`` and ``serve NAME``: apps of ``[tool.fal.apps]`` in ``pyproject.toml``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fal_jupyter.domain.errors import BadSetting
from fal_jupyter.fal.project import find_project, project_app
from tests.support.serve import command, served

PROJECT = """
[project]
name = "demo"

[tool.fal.apps]
small = { ref = "src/one.py::Small", auth = "public", team = "us", deployment_strategy = "rolling", app_scale_settings = true }

[tool.fal.apps.packed]
python_entry_point = "pack.server:Packed"
name = "other-name"
keep_alive = 7
max_concurrency = 3
num_gpus = 0
machine_type = "XS"
app_files = ["data"]
app_files_context_dir = "files"
regions = ["us-east"]
[tool.fal.apps.packed.health_check]
path = "/check"
failure_threshold = 2

[tool.fal.apps.only-image.image]
image = "me/it:1"

[tool.fal.apps.wrong]
ref = "src/one.py::Small"
KEY
"""

ONE = """
import fal
class Small(fal.App):
    keep_alive = 3
    @fal.endpoint("/")
    def go(self) -> str: return "small"
"""

PACKED = """
import fal
from .words import WORD
class Packed(fal.App):
    max_concurrency = 2
    @fal.endpoint("/env")
    def env(self) -> str:
        import os
        from .words import WORD
        return os.environ["NO_SUCH_VARIABLE"] + WORD
    @fal.endpoint("/")
    def go(self) -> dict: return {"word": WORD, "module": __name__, "file": open("data/a.txt").read()}
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for folder in ("src/pack", "deep/er", "files/data"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "pyproject.toml").write_text(PROJECT.replace("KEY", ""))
    (tmp_path / "src/one.py").write_text(ONE)
    (tmp_path / "src/pack/__init__.py").write_text("")
    (tmp_path / "src/pack/words.py").write_text("WORD = 'packed'\n")
    (tmp_path / "src/pack/server.py").write_text(PACKED)
    (tmp_path / "files/data/a.txt").write_text("A")
    return tmp_path


def test_apps_of_a_project_are_served_by_name_from_any_folder_of_it(shared_state: Path, project: Path) -> None:
    with served(shared_state, "small", prefix=["env", "-C", str(project / "deep/er")]) as app:
        assert app.ready["app"].endswith("/small")
        assert app.request("/", {}, key=None).json == "small"
    with served(shared_state, "packed", "--max", "4", prefix=["env", "-C", str(project)]) as app:
        assert app.ready["app"].endswith("/other-name")
        answer = app.request("/", {})
        assert answer.status == 200, command(shared_state, "logs", "other-name").stdout
        assert answer.json == {"word": "packed", "module": "pack.server", "file": "A"}
        scale = command(shared_state, "scale", "other-name", "--json").stdout
        assert '"keep_alive": 7' in scale
        assert '"max_concurrency": 4' in scale


def test_run_is_serve_and_options_of_the_class_win(shared_state: Path, project: Path) -> None:
    done = command(shared_state, "run", "packed", "--dry-run", cwd=project)
    assert done.returncode == 0, done.stderr
    assert "other-name: 2 endpoints" in done.stderr

    found = project_app("packed", project / "deep")
    from fal_jupyter import fal

    class Mine(fal.App):
        max_concurrency = 2

        @fal.endpoint("/")
        def go(self) -> int:
            return 1

    found.configure(Mine)
    with pytest.warns(UserWarning, match="Mine: no local effect, kept for fal.ai: regions"):
        spec = fal.describe(Mine)
    assert (spec.scaling.keep_alive, spec.scaling.max_concurrency, spec.machine_type) == (7, 2, ("XS",))
    assert spec.health is not None
    assert (spec.health.path, spec.health.threshold) == ("/check", 2)
    assert Mine.host_kwargs["app_files_context_dir"] == str(project / "files")


@pytest.mark.parametrize(
    ("key", "sentence"),
    [
        ("keep_alives = 3", "there is no key 'keep_alives'\ndid you mean keep_alive?"),
        ("auth = 'open'", "auth must be private, public, shared, but it is 'open'"),
        ("keep_alive = 'long'", "keep_alive must be"),
        ("python_entry_point = 'a:b'", "it cannot have both ref and python_entry_point"),
        ("app_files_context_dir = '.'", "app_files_context_dir is only supported when app_files is provided."),
        ("ref2 = 1", "there is no key 'ref2'\ndid you mean ref?"),
        ("health_check = { paths = '/' }", "health_check must be a table with a path"),
        ("image = { dockerfile = 'None' }", "image.dockerfile cannot be read"),
        ("image = { image = 'a', build_args = {} }", "image.build_args is only supported with image.dockerfile"),
        ("image = { dockerfile = 'D', image = 'a' }", "image must be a table with a dockerfile or an image"),
        ("team = 3", "team must be a string"),
    ],
)
def test_a_wrong_table_is_a_sentence_that_names_it(project: Path, key: str, sentence: str) -> None:
    (project / "pyproject.toml").write_text(PROJECT.replace("KEY", key))

    with pytest.raises(BadSetting) as refused:
        project_app("wrong", project)

    assert sentence in str(refused.value)
    assert "[tool.fal.apps.wrong] of pyproject.toml" in str(refused.value)


def test_what_is_not_there_is_a_sentence(project: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    for name, sentence in (
        ("nothing", "has no app 'nothing'\nit has small, packed, only-image, wrong"),
        ("only-image", "it runs a container image without Python code"),
    ):
        with pytest.raises(BadSetting, match=sentence):
            project_app(name, project)
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / ".git").mkdir()
    assert find_project(elsewhere) is None
    with pytest.raises(BadSetting, match="there is no file 'small', and no pyproject"):
        project_app("small", elsewhere)
    (elsewhere / "pyproject.toml").write_text("[tool.fal")
    with pytest.raises(BadSetting, match="cannot be read"):
        project_app("small", elsewhere)


def test_the_doctor_takes_apps_of_a_project_by_name(shared_state: Path, project: Path) -> None:
    def codes(name: str, folder: str = "deep/er") -> list[tuple[str, str]]:
        done = command(shared_state, "doctor", name, "--json", cwd=project / folder)
        assert done.stdout, done.stderr
        (report,) = json.loads(done.stdout)["apps"]
        return [(finding["code"], finding["where"]) for finding in report["findings"]]

    assert codes("small") == [("machine-default", "one.py:3"), ("open-cors", "one.py:3")]  # auth of the table
    assert codes("packed") == [  # options of the table, the code of the module, which is in its package there
        ("environment-missing", "server.py:10"),
        ("auth-default", "server.py:4"),
        ("no-local-effect", "server.py:4"),
    ]
