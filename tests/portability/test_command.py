"""``fal-jupyter doctor FILE.py::Class`` as it is typed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.portability.app_folder import app
from tests.support.fixtures import state_fixture
from tests.support.serve import command
from tests.support.state import processes_of

SEED = Path(__file__).parents[1] / "clients/seed_example.txt"


state = state_fixture("module")


def found(output: str) -> list[list[Any]]:
    (report,) = json.loads(output)["apps"]
    return [[finding["code"], finding["severity"], finding["where"]] for finding in report["findings"]]


def test_fals_complete_example_has_true_findings_only(state: Path, tmp_path: Path) -> None:
    shutil.copy(SEED, tmp_path / "example.py")
    (tmp_path / "custom_pipeline.py").write_text("STEPS = 30\n")

    done = command(state, "doctor", str(tmp_path / "example.py"), "--json")

    codes = [row for row in found(done.stdout) if row[0] not in ("requirement-unmet", "requirement-unpinned")]
    assert codes == [["plain-parameters", "differs", "example.py:48"]]  # the rest is what is installed here
    assert (done.returncode, done.stderr) == (0, "")
    assert not processes_of(state)


def test_what_would_fail_is_status_1_and_comes_first(state: Path, tmp_path: Path) -> None:
    (tmp_path / "two.py").write_text(
        "import fal, os\n"
        + app('return os.environ["NO_SUCH_VARIABLE"]', params=", n: int = 1").replace("Hello", "Worse")
        + app()
    )

    done = command(state, "doctor", str(tmp_path / "two.py"))

    assert (done.returncode, done.stderr) == (1, "")
    first, _, second = done.stdout.partition("\n\nHello")
    assert first.startswith(
        "Worse in the cloud: 1 would fail, 1 would differ\n\n  fails in the cloud  environment-missing  two.py:10\n"
    )
    assert first.index("environment-missing") < first.index("plain-parameters")
    assert "    → secrets = " in first
    assert second == ": nothing that would be different in the cloud was found.\n"
    one = command(state, "doctor", f"{tmp_path / 'two.py'}::Hello", "--json")
    assert (one.returncode, found(one.stdout)) == (0, [])


@pytest.mark.parametrize(
    ("target", "sentence"),
    [
        ("broken.py", "broken.py cannot be run (line 3): ZeroDivisionError: division by zero"),
        ("syntax.py", "syntax.py cannot be run (line 2): SyntaxError"),
        ("empty.py", "empty.py has no fal.App class"),
        ("ended.py", "ended.py exited while it was loaded: SystemExit(3)"),
        ("empty.py::Nobody", "empty.py has no app 'Nobody'"),
        ("missing.py", "missing.py cannot be read: No such file"),
        ("nothing", "there is no file 'nothing', and no pyproject.toml with [tool.fal.apps]"),
    ],
)
def test_a_file_that_cannot_be_examined_is_one_sentence(
    state: Path, tmp_path: Path, target: str, sentence: str
) -> None:
    (tmp_path / "broken.py").write_text("import fal\n\n1 / 0\n")
    (tmp_path / "syntax.py").write_text("import fal\nclass (\n")
    (tmp_path / "empty.py").write_text("x = 1\n")
    (tmp_path / "ended.py").write_text("raise SystemExit(3)\n")

    done = command(state, "doctor", target if target == "nothing" else str(tmp_path / target))

    assert done.returncode == 1
    assert sentence in done.stderr
    assert len(done.stderr.splitlines()) <= 2, done.stderr


def test_the_file_runs_as_fal_runs_it_and_not_as_a_program(state: Path, tmp_path: Path) -> None:
    (tmp_path / "named.py").write_text("import fal\nif __name__ == '__main__':\n    1 / 0\n" + app())
    assert command(state, "doctor", str(tmp_path / "named.py")).returncode == 0


def test_what_the_file_prints_is_not_in_the_answer(state: Path, tmp_path: Path) -> None:
    (tmp_path / "loud.py").write_text("import fal, os\nprint('hello')\nos.system('echo from a shell')\n" + app())
    done = command(state, "doctor", str(tmp_path / "loud.py"), "--json")
    assert found(done.stdout) == []
    assert sorted(done.stderr.split("\n")) == ["", "from a shell", "hello"]


def test_secrets_of_this_machine_are_known(state: Path, tmp_path: Path) -> None:
    (tmp_path / "kept.py").write_text("import fal\n" + app(options='secrets = ["KEPT_HERE"]'))
    target = str(tmp_path / "kept.py")
    assert found(command(state, "doctor", target, "--json").stdout) == [["secret-missing", "differs", "kept.py:8"]]

    assert command(state, "secrets", "set", "KEPT_HERE=x").returncode == 0

    assert found(command(state, "doctor", target, "--json").stdout) == []


def test_without_a_file_it_is_of_the_machine(state: Path) -> None:
    done = command(state, "doctor", "--json")
    assert done.returncode == 0
    assert "apps" not in json.loads(done.stdout)
    assert "status 1" in command(state, "help", "doctor").stdout
