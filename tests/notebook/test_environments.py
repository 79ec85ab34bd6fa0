"""Requirements, local modules and files of an app, from a cell and from a file to a call."""

from __future__ import annotations

import json
import os
import select
from collections.abc import Iterator
from pathlib import Path

import pytest

from fal_jupyter.environments.interpreters import find_python
from fal_jupyter.processes import children_of
from tests.environments.wheels import make_wheel
from tests.support.fixtures import state_fixture
from tests.support.kernel import Kernel, kernel
from tests.support.serve import command, served
from tests.support.state import state_directory

TINY = "./tiny-1.0-py3-none-any.whl"


state = state_fixture("module")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the notebook is."""
    folder = tmp_path_factory.mktemp("notebook")
    make_wheel(folder)
    return folder


@pytest.fixture(scope="module")
def notebook(state: Path, folder: Path) -> Iterator[Kernel]:
    with kernel(state, folder) as running:
        running.run("%load_ext fal_jupyter").ok()
        yield running


def cell(name: str, body: str, endpoint: str, options: str = "") -> str:
    lines = "\n".join(f"    {line}" for line in body.splitlines())
    return f"%%fal_app {options}\nclass {name}(fal.App):\n{lines}\n    @fal.endpoint('/')\n    def hi(self) -> str:\n        {endpoint}\n"


def test_what_is_not_installed_here_is_in_an_environment_that_is_made_under_the_cell(
    notebook: Kernel, state: Path
) -> None:
    made = notebook.run(cell("Needs", f"requirements = [{TINY!r}]", "import tiny; return tiny.VERSION")).ok()

    assert "making an environment for Needs" in made.text
    (listed,) = json.loads(command(state, "envs", "list", "--json").stdout)
    assert f"(environment {listed['name']})" in made.shown
    dry = notebook.run(cell("Dry", f"requirements = [{TINY!r}]", "return 1", "--dry-run")).ok()
    assert "an environment of its own: ./tiny-1.0" in dry.shown
    assert " + tiny==1.0" in made.text or "tiny-1.0" in made.text
    assert notebook.run("Needs.hi()").ok().result == "'1.0'"
    assert notebook.run("import tiny").ename == "ModuleNotFoundError"  # the kernel's own is as it was
    edited = notebook.run(cell("Needs", f"requirements = [{TINY!r}]", "import tiny; return 'v' + tiny.VERSION")).ok()
    assert "making" not in edited.text
    assert notebook.run("Needs.hi()").ok().result == "'v1.0'"


def test_two_apps_share_it_and_it_is_removed_when_nothing_runs_in_it(notebook: Kernel, state: Path) -> None:
    notebook.run(cell("Needs", f"requirements = [{TINY!r}]", "return 1")).ok()
    other = notebook.run(cell("Also", f"requirements = [{TINY!r}]", "import tiny; return tiny.VERSION")).ok()

    assert "making" not in other.text
    (listed,) = json.loads(command(state, "envs", "list", "--json").stdout)
    assert {app.partition("/")[2] for app in listed["apps"]} == {"needs", "also"}
    assert listed["name"] in notebook.run("%fal envs list").ok().text
    refused = notebook.run(f"%fal envs remove {listed['name']}")
    assert "runs in" in refused.traceback
    assert "Removed: none" in notebook.run("%fal envs remove --unused").ok().text

    template = [pid for pid in descendants(notebook.pid, state) if listed["name"] in pid[1]]
    assert template
    ends = [os.pidfd_open(pid) for pid, _ in template]
    notebook.run("%fal kill Needs").ok()
    notebook.run("%fal kill Also").ok()
    for end in ends:  # the template of an environment ends with the last app in it
        assert select.select([end], [], [], 20)[0]
        os.close(end)
    assert listed["name"] in notebook.run("%fal envs remove --unused").ok().text
    assert json.loads(command(state, "envs", "list", "--json").stdout) == []


def descendants(kernel_pid: int, state: Path) -> list[tuple[int, str]]:
    """Every process of the gateway of *state*, with its command line."""
    found = json.loads(command(state, "doctor", "--json").stdout)
    todo, seen = [found["gateway"]["pid"]], []
    while todo:
        pid = todo.pop()
        try:
            seen.append((pid, Path(f"/proc/{pid}/cmdline").read_text()))
        except OSError:
            continue
        todo += children_of(pid)
    return seen


def test_env_isolated_has_nothing_of_the_kernels_and_env_kernel_never_makes_one(notebook: Kernel) -> None:
    alone = "import importlib.util as u, os, sys; return f\"{u.find_spec('IPython')} {os.environ['VIRTUAL_ENV'] == sys.prefix} {[n for n in os.environ if n.startswith(('MPLBACKEND', 'JPY_', 'PYTHONPATH'))]}\""
    before = "import os, sys; assert os.environ['MPLBACKEND'].startswith('module://'); os.environ['PYTHONPATH'] = next(p for p in sys.path if p.endswith('site-packages'))"
    notebook.run(before).ok()
    notebook.run(cell("Alone", "", alone, "--env isolated")).ok()
    assert notebook.run("Alone.hi()").ok().result == "'None True []'"
    notebook.run("del os.environ['PYTHONPATH']").ok()

    refused = notebook.run(cell("Kept", f"requirements = ['tiny==1.0', {TINY!r}]", "return 1", "--env kernel"))
    assert refused.status == "error"
    assert "tiny is not installed here" in refused.traceback
    assert "--env kernel" in refused.traceback
    assert "auto, kernel, isolated" in notebook.run(
        "import fal_jupyter; fal_jupyter.serve(Alone, env='conda')"
    ).traceback.replace("'", "")


def test_a_module_of_the_kernel_that_is_not_required_is_named_with_what_to_do(notebook: Kernel) -> None:
    refused = notebook.run(
        "%%fal_app --env isolated\nimport IPython.display as shown\nclass Uses(fal.App):\n"
        "    @fal.endpoint('/')\n    def hi(self) -> str:\n        return shown.__name__\n"
    )

    assert refused.status == "error"
    output = refused.traceback + refused.text
    assert "add the package of 'IPython' to them" in output


def test_conflicts_are_one_sentence_and_the_old_revision_goes_on(notebook: Kernel) -> None:
    notebook.run(cell("Keeps", "", "return 'old'")).ok()
    notebook.run("Old = Keeps").ok()

    refused = notebook.run(cell("Keeps", f"requirements = [{TINY!r}, 'tiny==3.0']", "return 'new'"))

    assert refused.status == "error"
    assert refused.ename == "AppRuleBroken"
    assert "no environment can be made for Keeps: Because" in refused.traceback  # no colours of the installer in it
    assert "\x1b" not in refused.evalue
    assert "tiny" in refused.traceback
    assert notebook.run("Old.hi()").ok().result == "'old'"


@pytest.mark.long
def test_an_interrupt_ends_the_installer_and_the_next_cell_works(notebook: Kernel, folder: Path, state: Path) -> None:
    project = folder / "slow"
    project.mkdir()
    build = '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n[project]\nname="slow"\nversion="1"\n'
    (project / "pyproject.toml").write_text(build)
    os.mkfifo(folder / "building")
    (project / "backend.py").write_text(
        f"import os, time\nwith open({str(folder / 'building')!r}, 'w') as pipe:\n    pipe.write(str(os.getpid()))\ntime.sleep(600)\n"
    )
    running = notebook.start(cell("Slow", "requirements = ['./slow']", "return 1"))
    build_end = os.pidfd_open(int((folder / "building").read_text()))

    notebook.interrupt()

    assert notebook.finish(running).ename == "KeyboardInterrupt"
    assert select.select([build_end], [], [], 20)[0]
    os.close(build_end)
    assert "Not finished" not in command(state, "envs", "list").stdout
    notebook.run(cell("After", "", "return 'fine'")).ok()
    assert notebook.run("After.hi()").ok().result == "'fine'"


@pytest.mark.long  # tests/environments has what is asked of a Python
def test_another_python_is_refused_for_a_cell_and_served_from_a_file(
    notebook: Kernel, folder: Path, state: Path
) -> None:
    refused = notebook.run(
        "%%fal_app\nclass Other(fal.App, python_version='3.12'):\n    @fal.endpoint('/')\n    def hi(self) -> str: return 'x'\n"
    )
    assert "can only be read by the version that compiled it" in refused.traceback
    if not find_python("3.12")[0]:
        pytest.skip("there is no Python 3.12 on this machine")
    (folder / "other.py").write_text(
        "import fal, sys\nclass Other(fal.App, python_version='3.12'):\n"
        "    @fal.endpoint('/')\n    def hi(self, name: str) -> str:\n        return f'{name} {sys.version_info[:2]}'\n"
    )
    with served(state, f"{folder / 'other.py'}::Other") as app:
        assert app.request("/?name=x").json == "x (3, 12)"


def test_an_edited_module_is_seen_at_the_next_revision_and_not_before(notebook: Kernel, folder: Path) -> None:
    (folder / "helper.py").write_text("VALUE = 'first'\n")
    (folder / "kit").mkdir()
    (folder / "kit/__init__.py").write_text("from kit.parts import PART\n")
    (folder / "kit/parts.py").write_text("PART = 'one'\n\ndef fail():\n    raise RuntimeError('in kit')\n")
    source = cell(
        "Local",
        "local_python_modules = ['helper', 'kit']\nkeep_alive = 0\nmin_concurrency = 0",
        "import helper, kit; return f'{helper.VALUE} {kit.PART} {kit.__file__}'",
    )
    notebook.run(source).ok()
    expected = f"first one {folder / 'kit/__init__.py'}"
    assert notebook.run("Local.hi()").ok().result == repr(expected)
    (folder / "helper.py").write_text("VALUE = 'second'\n")
    (folder / "kit/parts.py").write_text("PART = 'two'\n\ndef fail():\n    raise RuntimeError('in kit')\n")

    assert notebook.run("Local.hi()").ok().result == repr(expected)  # by a new runner of the same revision
    rebuilt = notebook.run(source).ok()

    assert "module helper changed" in rebuilt.shown
    assert notebook.run("Local.hi()").ok().result == repr(expected.replace("first one", "second two"))
    assert "no_such_module" in notebook.run(cell("Lost", "local_python_modules = ['no_such_module']", "return 1")).shown


def test_modules_go_into_an_isolated_environment_and_their_lines_are_in_tracebacks(
    notebook: Kernel, folder: Path
) -> None:
    (folder / "broken.py").write_text("def fail():\n    raise RuntimeError('in broken')\n")
    notebook.run(
        cell("Far", "local_python_modules = ['broken']", "import broken; broken.fail()", "--env isolated")
    ).ok()
    (folder / "broken.py").write_text("# another text\n")

    failed = notebook.run("Far.hi()")

    assert "RuntimeError: in broken" in failed.traceback
    assert "raise RuntimeError('in broken')" in failed.traceback
    assert str(folder / "broken.py") in failed.traceback
    assert "fal_jupyter/runner" not in failed.traceback


def test_app_files_are_what_an_app_has_around_it(notebook: Kernel, folder: Path, state: Path) -> None:
    (folder / "assets/deep").mkdir(parents=True)
    (folder / "assets/prompt.txt").write_text("be kind")
    (folder / "assets/deep/more.txt").write_text("more")
    (folder / "assets/skipped.tmp").write_text("x")
    (folder / "beside.txt").write_text("not taken along")
    (folder.parent / "outside").write_text("x")
    body = "app_files = ['assets', 'gone.txt']\napp_files_ignore = [r'\\.tmp$']\nkeep_alive = 0\nmin_concurrency = 0"
    look = "import os; return open('assets/prompt.txt').read() + ' ' + ' '.join(sorted(p for d, _, n in os.walk('.') for p in n))"
    shown = notebook.run(cell("Files", body, look)).ok()
    assert "gone.txt" in shown.shown
    assert notebook.run("Files.hi()").ok().result == "'be kind more.txt prompt.txt'"

    (folder / "assets/prompt.txt").write_text("be brief")
    assert notebook.run("Files.hi()").ok().result == "'be kind more.txt prompt.txt'"
    rebuilt = notebook.run(cell("Files", body, look)).ok()
    assert "app file assets/prompt.txt changed" in rebuilt.shown
    assert notebook.run("Files.hi()").ok().result == "'be brief more.txt prompt.txt'"

    broken = body + "\ndef setup(self): raise RuntimeError('not yet')"
    notebook.run("Serving = Files").ok()
    for text in ("a", "b", "c", "d"):  # the revision that serves keeps its files, however often the next one fails
        (folder / "assets/prompt.txt").write_text(text)
        assert notebook.run(cell("Files", broken, look)).status == "error"
    assert notebook.run("Serving.hi()").ok().result == "'be brief more.txt prompt.txt'"

    refused = notebook.run(cell("Out", "app_files = ['../outside']", "return 1"))
    assert "Parent directory reference is not allowed: ../outside" in refused.traceback
    assert "app_files_context_dir" in refused.traceback


@pytest.mark.long  # tests/environments/test_store.py has how they are swept
def test_copies_end_with_who_made_them(tmp_path: Path) -> None:
    (tmp_path / "data.txt").write_text("x")
    with state_directory() as state:
        app = cell("Files", "app_files = ['data.txt']", "return open('data.txt').read()")
        with kernel(state, tmp_path) as first:
            first.run("%load_ext fal_jupyter").ok()
            first.run(app).ok()
            assert first.run("Files.hi()").ok().result == "'x'"
            first.kill()
        (left,) = [path for path in (state / "app_files").iterdir() if path.is_dir()]
        with kernel(state, tmp_path) as second:
            second.run("%load_ext fal_jupyter").ok()
            second.run(app).ok()
            assert not left.exists()
            assert second.run("Files.hi()").ok().result == "'x'"
        assert [path.name for path in (state / "app_files").iterdir()] == ["sweeping"]
