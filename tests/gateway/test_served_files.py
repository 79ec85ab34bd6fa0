"""Files as ``fal run`` runs them: what is on ``sys.path``, what wins, which class is meant, and what a dry run says."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.serve import command, served
from tests.support.state import processes_of, state_directory

SAFE_PATH = {"PYTHONSAFEPATH": "1"}  # as the installed command is: python -m would put the working directory first

APP = """
import fal, os, msgpack, beside, of_work
from fal.toolkit import File
from pydantic import BaseModel, Field

class Answer(BaseModel):
    audio: File = Field(examples=[File._from_url("https://example.test/a.wav")])

class Mine(fal.App):
    @fal.endpoint("/")
    def go(self) -> dict:
        import msgpack as inside, of_work as late
        return {"package": "site-packages" in msgpack.__file__, "same": inside is msgpack, "name": __name__,
                "words": [beside.WORD, of_work.WORD, late.WORD], "pid": os.getpid()}

    @fal.endpoint("/leave")
    def leave(self) -> dict:
        os._exit(7)
"""


@pytest.fixture(scope="module")
def state() -> Iterator[Path]:
    """A state directory in which no gateway is started."""
    with state_directory() as path:
        path.mkdir(mode=0o700)
        yield path


def test_packages_win_over_the_file_and_its_folder_and_the_working_folder_are_searched(
    shared_state: Path, tmp_path: Path
) -> None:
    work, folder = tmp_path / "work", tmp_path / "app"
    for place in (work, folder):
        place.mkdir()
    (folder / "msgpack.py").write_bytes(b"\xef\xbb\xbf# coding: utf-8\n" + APP.encode())
    (folder / "beside.py").write_text("WORD = 'beside'\n")
    (work / "of_work.py").write_text("WORD = 'work'\n")
    (work / "fastapi.py").write_text("raise RuntimeError('the package is meant')\n")

    with served(shared_state, str(folder / "msgpack.py"), env=SAFE_PATH, prefix=["env", "-C", str(work)]) as app:
        first = app.request("/", {}).json
        assert app.request("/leave", {}).status == 503
        second = app.request("/", {}).json

    assert first.pop("pid") != second.pop("pid")
    assert first == second
    assert first == {"package": True, "same": True, "name": "<run_path>", "words": ["beside", "work", "work"]}


def test_a_class_that_the_file_imports_can_be_served(shared_state: Path, tmp_path: Path) -> None:
    (tmp_path / "impl.py").write_text(
        "import fal\nclass Deep(fal.App):\n    @fal.endpoint('/')\n    def go(self) -> str: return __name__\n"
    )
    (tmp_path / "app.py").write_text("from impl import Deep as Deeper\n")

    for target in ("app.py::Deeper", "app.py"):
        with served(shared_state, str(tmp_path / target)) as app:
            assert app.request("/", {}).json == "impl"


@pytest.mark.parametrize(
    ("target", "sentence"),
    [
        ("pkg", "is a folder, not a Python file"),
        ("book.ipynb", "book.ipynb is a notebook; its apps are served from its cells (%%fal_app)"),
        ("pkg/relative.py", "relative.py runs by its path, as with `fal run`, so it is not in a package"),
        ("plain.py::Plain", "plain.py::Plain is not a fal.App, but the class Plain"),
        ("plain.py::number", "plain.py::number is not a fal.App, but of type int"),
        ("latin.py", "latin.py cannot be read: invalid or missing encoding declaration"),
        ("odd.py", "odd.py cannot be read: unknown encoding: no-such"),
        ("comma.py", "remove the comma after the value of image: it makes a tuple"),
    ],
)
def test_what_cannot_be_served_is_a_sentence(state: Path, tmp_path: Path, target: str, sentence: str) -> None:
    (tmp_path / "pkg").mkdir()
    (tmp_path / "pkg/__init__.py").write_text("")
    (tmp_path / "pkg/relative.py").write_text("import fal\nfrom .other import X\n")
    (tmp_path / "book.ipynb").write_text("{}")
    (tmp_path / "plain.py").write_text("number = 3\nclass Plain: pass\n")
    (tmp_path / "latin.py").write_bytes("x = 'é'\n".encode("latin-1"))
    (tmp_path / "odd.py").write_text("# coding: no-such\n")
    (tmp_path / "comma.py").write_text(
        "import fal\nfrom fal.container import ContainerImage\nclass App(fal.App):\n"
        "    image = ContainerImage.from_dockerfile_str('FROM python:3.11'),\n"
        "    @fal.endpoint('/')\n    def go(self) -> int: return 1\n"
    )

    done = command(state, "serve", str(tmp_path / target), "--dry-run")

    assert done.returncode == 1
    assert sentence in done.stderr, done.stderr
    assert not processes_of(state)


def test_a_dry_run_loads_the_class_and_starts_and_installs_nothing(state: Path, tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(
        "import fal\nclass Large(fal.App):\n    machine_type = 'GPU-H100'\n    secrets = ['NO_SUCH_SECRET']\n"
        "    requirements = ['--pre', '--extra-index-url', 'https://example.test/simple', 'not-installed-anywhere>=2']\n"
        "    def setup(self): raise RuntimeError('setup ran')\n"
        "    @fal.endpoint('/')\n    def go(self) -> int: return 1\n"
    )
    before = sorted(os.listdir(state))

    done = command(state, "serve", str(tmp_path / "app.py"), "--dry-run")

    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr.splitlines()[-3:] == [
        "fal-jupyter: the secret NO_SUCH_SECRET is not set; type: fal-jupyter secrets set NO_SUCH_SECRET",
        "fal-jupyter: large: 1 endpoint",
        "fal-jupyter: its runners would get an isolated environment (1 requirement not met here)",
    ]
    assert sorted(os.listdir(state)) == before
    assert not processes_of(state)


def test_an_unsupported_part_of_fal_can_be_imported_and_raises_on_use(shared_state: Path, tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(
        "import fal\nfrom fal.distributed import DistributedRunner\nfrom fal.distributed.worker import DistributedWorker\n"
        "class Worker(DistributedWorker):\n    def setup(self): ...\n"
        "class Many(fal.App):\n    def setup(self): self.runner = DistributedRunner(Worker, world_size=2)\n"
        "    @fal.endpoint('/')\n    def go(self) -> int: return 1\n"
    )

    dry = command(shared_state, "serve", str(tmp_path / "app.py"), "--dry-run")
    real = command(shared_state, "serve", str(tmp_path / "app.py"))

    sentence = "fal_jupyter does not have fal.distributed yet"
    assert (dry.returncode, real.returncode) == (0, 1)
    assert f"the app imports fal.distributed: {sentence}, so using it would fail" in dry.stderr
    assert sentence in real.stderr


def test_an_edit_of_the_file_or_of_its_module_is_reported_on_the_terminal(shared_state: Path, tmp_path: Path) -> None:
    (tmp_path / "beside.py").write_text("N = 1")
    path = tmp_path / "edited.py"
    path.write_text(
        "import fal\nclass E(fal.App):\n    @fal.endpoint('/')\n    def go(self) -> int:\n        import beside\n        return beside.N\n"
    )
    with served(shared_state, str(path)) as running:
        assert running.request().json == 1
        assert running.process.stderr is not None
        for name in ("beside.py", "edited.py"):
            (tmp_path / name).write_text("N = 2222")
            assert running.process.stderr.readline() == (
                f"fal-jupyter: {name} changed after E was served; serve it again to use it\n"
            )
