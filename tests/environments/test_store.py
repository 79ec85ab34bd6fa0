"""Real environments: made once, by whom ever; ended with who asked; refused in one sentence."""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from fal_jupyter.commands import envs_command
from fal_jupyter.domain.environments.requirements import flat_requirements
from fal_jupyter.domain.errors import AppRuleBroken
from fal_jupyter.environments import builder, installers, store
from fal_jupyter.environments.interpreters import find_python, version_here
from fal_jupyter.processes import children_of
from tests.environments.wheels import make_wheel

ASK = """
import json, sys
from pathlib import Path
from fal_jupyter.environments import builder, store
root, base, *lines = sys.argv[1:]
wanted = builder.EnvironmentRequest(lines, "{here}", Path(base), "Hello")
made, _ = store.provide(Path(root), wanted, lambda line: print(line, flush=True))
print(json.dumps([made.name, made.interpreter]), flush=True)
""".replace("{here}", version_here())


def wanted(base: Path, *lines: str, python: str = "") -> builder.EnvironmentRequest:
    return builder.EnvironmentRequest(lines, python or version_here(), base, "Hello")


def ask(root: Path, base: Path, *lines: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", ASK, str(root), str(base), *lines]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.fixture
def wheels(tmp_path: Path) -> Path:
    make_wheel(tmp_path)
    return tmp_path


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "state" / "envs"


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """Environments with one of the twenty packages that runners need, where a test is not about them."""
    monkeypatch.setattr(builder, "of_runners", lambda: ["cloudpickle"])


TINY = "./tiny-1.0-py3-none-any.whl"


def has(interpreter: str, code: str) -> str:
    return subprocess.run([interpreter, "-P", "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def test_an_environment_has_the_requirements_and_what_runners_need_and_no_more(root: Path, wheels: Path) -> None:
    messages: list[str] = []

    made, _ = store.provide(root, wanted(wheels, TINY), messages.append)

    assert has(made.interpreter, "import tiny, fal_jupyter.runner.lifecycle, cloudpickle; print(tiny.VERSION)") == "1.0"
    missing = "import importlib.util as u; print(u.find_spec('IPython'), u.find_spec('tornado'))"
    assert has(made.interpreter, missing) == "None None"
    assert "making an environment for Hello" in messages[0]
    assert any("tiny" in line for line in messages[1:-1])
    assert made.name in messages[-1]
    assert [one.name for one in store.all_of(root)] == [made.name]


@pytest.mark.usefixtures("bare")
def test_the_same_list_is_made_once_and_another_content_is_another(root: Path, wheels: Path) -> None:
    first, _ = store.provide(root, wanted(wheels, TINY), lambda line: None)
    messages: list[str] = []

    again, _ = store.provide(root, wanted(wheels, TINY, "# a comment"), messages.append)

    assert (again.name, messages) == (first.name, [])
    make_wheel(wheels, requires="packaging")  # the same name, another content
    assert store.provide(root, wanted(wheels, TINY), messages.append)[0].name != first.name


def test_two_concurrent_processes_share_one(root: Path, wheels: Path) -> None:
    both = [ask(root, wheels, TINY) for _ in range(2)]
    outputs = [process.communicate(timeout=60) for process in both]

    assert [process.returncode for process in both] == [0, 0], outputs
    lines = [output.splitlines() for output, _ in outputs]
    assert sum("making an environment" in line for message in lines for line in message) == 1
    assert json.loads(lines[0][-1]) == json.loads(lines[1][-1])


def started(process: subprocess.Popen[str], wheels: Path) -> list[int]:
    """Wait until it builds the slow project; gives the processes that do: the warden, the installer, the build."""
    build = int((wheels / "building").read_text())
    (warden,) = children_of(process.pid)
    return [warden, *children_of(warden), build]


SLOW = """
import os, time
with open({building!r}, "w") as pipe:
    pipe.write(str(os.getpid()))
time.sleep(600)
"""


@pytest.fixture
def slow(wheels: Path) -> Iterator[str]:
    """A project whose build takes for ever."""
    project = wheels / "slow"
    project.mkdir()
    build = '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n[project]\nname="slow"\nversion="1"\n'
    (project / "pyproject.toml").write_text(build)
    os.mkfifo(wheels / "building")
    (project / "backend.py").write_text(SLOW.format(building=str(wheels / "building")))
    return "./slow"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_who_is_interrupted_or_killed_leaves_no_process_and_nothing_that_is_used(
    root: Path, wheels: Path, slow: str, number: signal.Signals
) -> None:
    process = ask(root, wheels, TINY, slow)
    ends = [os.pidfd_open(pid) for pid in started(process, wheels)]

    process.send_signal(number)
    process.communicate(timeout=30)

    for end in ends:
        assert select.select([end], [], [], 30)[0], "an installer lives on"
        os.close(end)
    assert store.all_of(root) == []
    if number == signal.SIGINT:
        assert list(root.iterdir()) == []
    else:
        (half,) = store.unfinished(root)
        assert store.remove(root, half)
        assert list(root.iterdir()) == []


@pytest.mark.usefixtures("bare")
def test_a_half_made_one_is_made_anew(root: Path, wheels: Path) -> None:
    name = store.provide(root, wanted(wheels, TINY), lambda line: None)[0].name
    (root / name / builder.RECORD).unlink()
    (root / name / "rubbish").write_text("x")

    assert store.provide(root, wanted(wheels, TINY), lambda line: None)[0].name == name
    assert not (root / name / "rubbish").exists()


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (["tiny==2.0", "--find-links ."], ["Hello", "tiny", "2.0"]),
        (["tiny==1.0", "pinner==1.0", "--find-links ."], ["tiny", "pinner"]),
        (["pydantic==2.7.0"], ["pydantic==2.7.0", "is what runners need"]),
        (["tiny=="], ["tiny=="]),
        (["./nowhere"], ["there is no", "nowhere"]),
    ],
)
def test_what_cannot_be_installed_is_one_sentence_with_the_resolvers_reason(
    root: Path, wheels: Path, lines: list[str], words: list[str]
) -> None:
    make_wheel(wheels, "pinner", requires="tiny==3.0")

    with pytest.raises(AppRuleBroken) as refused:
        store.provide(root, wanted(wheels, *lines), lambda line: None)

    assert "\n" not in refused.value.message
    for word in words:
        assert word in refused.value.message
    assert store.unfinished(root) == []
    assert not root.exists() or list(root.iterdir()) == [], "a lock is left"


@pytest.mark.usefixtures("bare")
def test_locks_without_an_environment_are_removed_and_held_ones_stay(root: Path, wheels: Path) -> None:
    made, users = store.provide(root, wanted(wheels, TINY), lambda line: None)
    os.close(users)
    there = sorted(path.name for path in root.iterdir())
    for name in ("killed", "making"):
        (root / f"{name}.lock").touch()
    with open(root / "making.lock") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        result = envs_command.execute(argparse.Namespace(action="remove", name=[], unused=True), root, [])
        assert result[0] == {"removed": [made.name]}
        assert [path.name for path in root.glob("*.lock")] == ["making.lock"]
    store.sweep_locks(root)

    assert list(root.iterdir()) == []
    again, users = store.provide(root, wanted(wheels, TINY), lambda line: None)
    store.sweep_locks(root)
    assert sorted(path.name for path in root.iterdir()) == there
    os.close(users)
    assert again.name == made.name


def test_who_waited_for_a_lock_that_was_removed_takes_the_new_one(root: Path, wheels: Path) -> None:
    made, users = store.provide(root, wanted(wheels, TINY), lambda line: None)
    os.close(users)
    assert store.remove(root, made.name)
    path = root / f"{made.name}.lock"
    with open(path, "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        process = ask(root, wheels, TINY)
        assert process.stdout is not None
        assert "waiting for it" in process.stdout.readline()
        path.unlink()

    output, errors = process.communicate(timeout=60)

    assert json.loads(output.splitlines()[-1])[0] == made.name, errors
    assert path.exists()


@pytest.mark.long
def test_pip_makes_them_where_there_is_no_uv(root: Path, wheels: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installers, "find_installer", lambda: installers.Installer("pip", ()))

    made, _ = store.provide(root, wanted(wheels, TINY), lambda line: None)

    assert made.installer == "pip"
    assert has(made.interpreter, "import tiny, fal_jupyter.runner.lifecycle; print(tiny.VERSION)") == "1.0"
    with pytest.raises(AppRuleBroken, match="tiny==2"):
        store.provide(root, wanted(wheels, "tiny==2", "--find-links ."), lambda line: None)


@pytest.mark.usefixtures("bare")
def test_one_that_a_process_serves_with_is_not_removed(root: Path, wheels: Path) -> None:
    made, users = store.provide(root, wanted(wheels, TINY), lambda line: None)

    assert not store.remove(root, made.name)
    os.close(users)
    assert store.remove(root, made.name)
    assert list(root.iterdir()) == []


def test_passwords_in_lines_are_masked(root: Path, wheels: Path) -> None:
    messages: list[str] = []
    with pytest.raises(AppRuleBroken) as refused:
        store.provide(root, wanted(wheels, "-r http://me:S3CRET@127.0.0.1:9/r.txt"), messages.append)

    assert "S3CRET" not in "".join(messages) + str(refused.value)
    assert "****@127.0.0.1" in "".join(messages)


def test_a_disk_that_takes_nothing_is_one_sentence(tmp_path: Path, wheels: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(AppRuleBroken, match="no environment can be made for Hello"):
        store.provide(tmp_path / "file", wanted(wheels, TINY), lambda line: None)


def test_one_that_is_being_made_is_not_removed(root: Path, wheels: Path, slow: str) -> None:
    process = ask(root, wheels, slow)
    started(process, wheels)
    (name,) = store.unfinished(root)

    assert not store.remove(root, name)

    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)


def test_another_python_is_found_or_reported_missing(root: Path, wheels: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert find_python(version_here()) == (sys.executable, ".".join(map(str, sys.version_info[:3])))
    assert find_python("3.99") == ("", "")
    monkeypatch.setattr(installers, "find_installer", lambda: installers.Installer("pip", ()))

    with pytest.raises(AppRuleBroken, match=r"asks for Python 3\.99, and there is none on this machine"):
        store.provide(root, wanted(wheels, python="3.99"), lambda line: None)


@pytest.mark.usefixtures("bare")
def test_settings_of_the_installer_may_be_items_of_their_own(root: Path, tmp_path: Path) -> None:
    (tmp_path / "wheel house").mkdir()
    make_wheel(tmp_path / "wheel house", "tiny", "1.0")
    make_wheel(tmp_path / "wheel house", "tiny", "2.0rc1")

    lines = flat_requirements([["--pre", "-f", "./wheel house"], ["tiny"]])
    made, users = store.provide(root, wanted(tmp_path, *lines), lambda line: None)
    os.close(users)

    assert has(made.interpreter, "import tiny; print(tiny.VERSION)") == "2.0rc1"


@pytest.mark.long
@pytest.mark.usefixtures("bare")
def test_hashes_are_checked_and_required_hashes_are_refused_with_a_hint(
    root: Path, wheels: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = hashlib.sha256((wheels / TINY).read_bytes()).hexdigest()
    (wheels / "good.txt").write_text(f"tiny==1.0 \\\n    --hash=sha256:{digest}\n")
    found = ("--find-links", str(wheels))

    for lines in ((*found, f"tiny==1.0 --hash=sha256:{digest}"), (*found, "-r good.txt")):
        made, _ = store.provide(root, wanted(wheels, *flat_requirements(lines)), lambda line: None)
        assert has(made.interpreter, "import tiny; print(tiny.VERSION)") == "1.0"

    wrong = wanted(wheels, *flat_requirements((*found, f"tiny==1.0 --hash=sha256:{'0' * 64}")))
    with pytest.raises(AppRuleBroken, match=f"Hash mismatch for .*{digest}"):
        store.provide(root, wrong, lambda line: None)
    required = wanted(wheels, *flat_requirements((*found, "--require-hashes", "-r good.txt")))
    with pytest.raises(AppRuleBroken) as raised:
        store.provide(root, required, lambda line: None)
    assert "leave --require-hashes out" in raised.value.hint
    monkeypatch.setattr(installers, "find_installer", lambda: installers.Installer("pip", ()))
    with pytest.raises(AppRuleBroken) as raised:
        store.provide(root, wanted(wheels, *flat_requirements((*found, "-r good.txt", "--pre"))), lambda line: None)
    assert "pip install uv, which checks the hashes" in raised.value.hint
