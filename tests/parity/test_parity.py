"""Our ``fal`` against fal 1.83.0: the same questions to both, the real package's answers are the expectation."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.parity.checks import ASKED, TALKED
from tests.parity.definitions import DEFINED
from tests.parity.differences import DIFFERENT
from tests.parity.ours import Ours
from tests.support.made_once import made_once
from tests.support.real_fal import PYTHON
from tests.support.state import state_directory

ROOT = Path(__file__).parents[2]
PENDING = [
    line
    for line in Path(__file__).with_name("pending.txt").read_text().splitlines()
    if line and not line.startswith("#")
]


def results(python: Path | str, *options: str) -> dict[str, list[Any]]:
    """Ask the package of an environment everything."""
    with tempfile.TemporaryDirectory() as place:  # for what the checks leave behind
        done = subprocess.run(
            [str(python), "-m", "tests.parity.reference", *options],
            cwd=ROOT, capture_output=True, text=True, timeout=100, env={**os.environ, "TMPDIR": place},
        )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, list[Any]] = json.loads(done.stdout)
    return found


def real_results(factory: pytest.TempPathFactory) -> dict[str, list[Any]]:
    """Everything of the real package, asked once in a run."""
    assert PYTHON.exists(), f"{PYTHON} is missing: `make test` creates the environment of the real fal"
    found: dict[str, list[Any]] = made_once(factory, "real-fal", lambda: results(PYTHON))
    return found


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Any]]:
    return real_results(tmp_path_factory)


@pytest.fixture(scope="module")
def ours() -> Iterator[Ours]:
    with state_directory() as state:
        asked = Ours(state)
        yield asked
        asked.close()


def plain(value: Any) -> Any:
    """Without what tells versions of pydantic and addresses of objects apart."""
    text = json.dumps(value)
    return re.sub(r"errors\.pydantic\.dev/[0-9.]+", "errors.pydantic.dev", re.sub(r"0x[0-9a-f]{6,}", "0x0", text))


def compared(kind: str, checks: Sequence[Any], theirs: list[Any], give: Callable[[Any], Any]) -> None:
    """Compare answer by answer; print the count, and fail with every difference that nobody meant."""
    passed, meant, later, failed = 0, 0, 0, []
    waiting = dict.fromkeys(PENDING, 0)
    for check, expected in zip(checks, theirs, strict=True):
        mine = give(check)
        same = plain(mine) == plain(expected)
        if check.name in DIFFERENT:
            meant += 1
            if same:
                failed.append(f"{check.name}\n   is listed as different on purpose, but is the same")
        elif same:
            passed += 1
        elif line := next((line for line in PENDING if check.name.startswith(line)), ""):
            waiting[line] += 1
            later += 1
        else:
            failed.append(f"{check.rules} {check.name}\n   fal:  {expected}\n   ours: {mine}")
    print(f"{kind}: {passed} passed, {len(failed)} failed, {meant} different on purpose, {later} pending")
    for check in checks:
        if check.name in DIFFERENT:
            print(f"   different on purpose: {check.name}: {DIFFERENT[check.name]}")
    for line, differing in waiting.items():
        if not differing and any(check.name.startswith(line) for check in checks):
            failed.append(f"pending.txt: nothing that begins with {line!r} differs any more; take the line out")
    assert not failed, "\n".join(failed)


def test_definitions(real: dict[str, list[Any]]) -> None:
    mine = iter(results(sys.executable, "--ours")["defined"])
    compared("definitions", DEFINED, real["defined"], lambda _: next(mine))


@pytest.mark.timeout(240)
def test_answers(real: dict[str, list[Any]], ours: Ours) -> None:
    compared("answers", ASKED, real["asked"], ours.ask)


@pytest.mark.timeout(240)
def test_sessions(real: dict[str, list[Any]], ours: Ours) -> None:
    compared("sessions", TALKED, real["talked"], ours.talk)


def test_every_difference_is_of_a_check() -> None:
    assert set(DIFFERENT) <= {check.name for check in (*DEFINED, *ASKED, *TALKED)}
