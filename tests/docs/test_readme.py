"""What the README shows, works: its cells are run in a real kernel, its commands in a shell, its links followed."""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from fal_jupyter.notebook.display.panel_outputs import PANELS
from tests.support.kernel import kernel
from tests.support.serve import kept_state, served
from tests.support.state import state_directory

TOP = Path(__file__).parent.parent.parent
README = (TOP / "README.md").read_text(encoding="utf-8")
BLOCKS = [(kind, text) for kind, text in re.findall(r"^```(\w+)\n(.*?)^```$", README, re.M | re.S)]
CELLS = [text for kind, text in BLOCKS if kind == "python" and not text.startswith("# hello.py")]


def block(kind: str, beginning: str) -> str:
    (found,) = (text for known, text in BLOCKS if known == kind and text.startswith(beginning))
    return found


@pytest.fixture(scope="module")
def state() -> Iterator[Path]:
    """A state directory whose gateway stays: it starts once, with its template."""
    with kept_state() as path:
        yield path


def test_cells_of_the_readme_print_what_it_shows(state: Path, tmp_path: Path) -> None:
    compared = 0
    shutil.copy(TOP / "notebooks/card.png", tmp_path / "sun.png")
    with kernel(state, tmp_path) as notebook:
        for cell in CELLS:
            ran = notebook.run(cell).ok()
            if promise := re.search(r"# → (.*)$", cell):
                assert ast.literal_eval(ran.result) == ast.literal_eval(promise[1])
                compared += 1
    assert compared >= 3


def test_an_app_is_served_by_its_name_in_pyproject(
    state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pyproject.toml").write_text(block("toml", "[tool.fal.apps"))
    (tmp_path / "hello.py").write_text(block("python", "# hello.py"))
    monkeypatch.chdir(tmp_path)
    with served(state, "hello") as app:
        assert app.ready["app"].endswith("/hello")
        assert app.request("/", {"name": "Ada"}).json == {"text": "Hello, Ada"}


def test_each_panel_is_named_and_no_other() -> None:
    named = re.search(r'fal_jupyter\.panel\(Hello, ("\w+")\)  # or (.*)', README)
    assert named is not None
    assert sorted(re.findall(r'"(\w+)"', named[1] + named[2])) == sorted(PANELS)
    card = README[README.index("* **The card**") : README.index("* **In JupyterLab**")]
    titles = {"timeline": "scaling"}
    assert all(titles.get(name, name) in card.lower() for name in PANELS)


def test_each_command_of_the_shell_is_one() -> None:
    with state_directory() as state:
        place = dict(os.environ, FAL_JUPYTER_STATE=str(state))
        for verb in sorted(set(re.findall(r"`fal-jupyter (\w+)", README))):
            asked = [sys.executable, "-m", "fal_jupyter.cli.main", verb, "--help"]
            assert subprocess.run(asked, env=place, capture_output=True, timeout=60).returncode == 0, verb


def test_the_commands_that_the_readme_names_work(state: Path, tmp_path: Path) -> None:
    with kernel(state, tmp_path) as notebook:
        for cell in CELLS[:3]:
            notebook.run(cell).ok()
        for verb in re.findall(r"`(%fal \w+(?: Hello)?)`", README):
            if "stop" not in verb:
                notebook.run(verb).ok()
        assert "--warm" in notebook.run("%fal_app --help").text


def test_running_the_cell_changed_replaces_the_app_and_unchanged_does_nothing(state: Path, tmp_path: Path) -> None:
    with kernel(state, tmp_path) as notebook:
        load, define, call = CELLS[:3]
        notebook.run(load).ok()
        notebook.run(define).ok()
        first = notebook.run(call).ok().calls[0]
        notebook.run(define).ok()
        again = notebook.run(call).ok().calls[0]
        notebook.run(define.replace('"Hello"', '"Servus"')).ok()
        changed = notebook.run(call).ok()

    assert (again["runner"], again["revision"]) == (first["runner"], first["revision"])
    assert ast.literal_eval(changed.result) == {"text": "Servus, Ada"}


def test_the_file_is_served_and_curl_gets_the_answer_shown(state: Path, tmp_path: Path) -> None:
    (tmp_path / "hello.py").write_text(block("python", "# hello.py"))
    command = block("sh", "fal-jupyter serve").split()
    assert command == ["fal-jupyter", "serve", "hello.py::Hello", "--json"]
    with served(state, str(tmp_path / "hello.py::Hello")) as app:
        answer = subprocess.run(
            ["bash", "-euc", block("sh", "curl")],
            env=dict(os.environ, URL=app.ready["url"], KEY=app.ready["key"]),
            capture_output=True,
            text=True,
            timeout=60,
        )
        unlocked = app.request("/", {"name": "Ada"}, key=None)

    assert json.loads(answer.stdout) == json.loads(block("json", "{"))
    assert unlocked.status == 401


def test_the_doctor_prints_what_the_readme_shows(tmp_path: Path) -> None:
    (tmp_path / "hello.py").write_text(block("python", "# hello.py"))
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    with state_directory() as state:
        place = dict(os.environ, FAL_JUPYTER_STATE=str(state), PATH=path)
        command = ["bash", "-euc", block("sh", "fal-jupyter doctor")]
        completed = subprocess.run(command, env=place, cwd=tmp_path, capture_output=True, text=True, timeout=60)

    assert completed.stdout == block("text", "Hello in the cloud"), completed.stderr


def test_the_real_clients_in_programs_of_their_own_get_the_answer_shown(state: Path, tmp_path: Path) -> None:
    (tmp_path / "hello.py").write_text(block("python", "# hello.py"))
    scripts = [text for kind, text in BLOCKS if kind == "js"]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    with served(state, str(tmp_path / "hello.py::Hello")) as app:
        place = dict(os.environ, APP=app.ready["app"], FAL_JUPYTER_STATE=str(state), PATH=path)
        python = ["bash", "-euc", block("sh", "eval $(fal-jupyter env)")]
        ran = subprocess.run(python, env=place, capture_output=True, text=True, timeout=60)
        place |= {"BASE": app.ready["base"], "KEY": app.ready["key"]}
        node = ["node", "--input-type=module", "-"]
        runs = [
            subprocess.run(
                node, input=js, env=place, cwd=TOP / "tests/clients", capture_output=True, text=True, timeout=60
            )
            for js in scripts
        ]

    assert ast.literal_eval(ran.stdout) == json.loads(block("json", "{")), ran.stderr
    assert len(scripts) == 2
    for js, one in zip(scripts, runs, strict=True):
        promise = re.search(r"// → (.*)$", js)
        assert promise is not None
        assert one.stdout.strip() == promise[1], one.stderr


def test_make_lab_installs_nothing_of_the_tests_and_of_the_demo() -> None:
    """What a fresh clone would do, by make itself; nothing is run."""
    dry_runs = {
        target: subprocess.run(
            ["make", "-ns", "VENV=.venv-none", target], cwd=TOP, capture_output=True, text=True, check=True
        ).stdout
        for target in ("lab", "demo", "test")
    }

    assert "pip install -e '.[lab]'" in dry_runs["lab"]
    assert not re.search(r"torch|all-minilm|\.\[test|npm ci|chromium|nginx|fal==", dry_runs["lab"])
    assert "torch==" in dry_runs["demo"]
    assert "pip install -e '.[test,lint]'" in dry_runs["test"]


def steps_of(*words: str) -> str:
    """What make would do in a fresh clone; nothing is run."""
    command = ["make", "-ns", "VENV=.venv-none", *words]
    return subprocess.run(command, cwd=TOP, capture_output=True, text=True, check=True).stdout


def test_make_dev_test_fast_and_lint_install_neither_torch_nor_node() -> None:
    for target in ("dev", "test-fast", "lint"):
        steps = steps_of(target, "FRONT_CHANGED=true")  # a command that names no changed file
        assert "pip install -e '.[test,lint]'" in steps
        assert not re.search(r"torch|all-minilm|npm ci|jlpm|chromium|nginx|fal==", steps), target


def test_make_lint_looks_at_the_front_end_if_its_files_have_changed() -> None:
    assert "jlpm lint" in steps_of("lint", "FRONT_CHANGED=echo labextension/src/index.ts")


def test_every_make_target_that_is_named_exists() -> None:
    listed = subprocess.run(["make", "-s", "help"], cwd=TOP, capture_output=True, text=True, check=True).stdout
    targets = set(re.findall(r"^  ([a-z-]+) ", listed, re.M))

    assert {
        "help",
        "setup",
        "dev",
        "setup-test",
        "browser",
        "demo",
        "lab",
        "test-fast",
        "test",
        "test-long",
        "test-newer",
        "test-pythons",
        "zoo",
        "test-floors",
        "lint",
        "lint-front",
        "coverage",
        "docs",
        "pictures",
        "bench",
        "clean",
        "nginx",
    } == targets
    assert set(re.findall(r"\bmake ([a-z-]+)", README)) <= targets


@pytest.mark.parametrize("link", sorted(set(re.findall(r"\]\(([^)#]+)\)", README))))
def test_every_link_leads_somewhere(link: str) -> None:
    assert link.startswith("https://") or (TOP / link).exists()


def test_no_machine_path_and_no_registry_host_is_in_the_build_files() -> None:
    for name in ("Makefile", ".ci/run", "README.md", "pyproject.toml"):
        text = (TOP / name).read_text(encoding="utf-8")
        assert not re.search(r"/(work|root|home|opt)/", text), name
        assert not re.search(r"index-url|find-links|pypi\.|pythonhosted|download\.", text), name
