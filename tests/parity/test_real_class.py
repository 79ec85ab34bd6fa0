"""A class that inherits from the installed real ``fal.App`` is served by us, and answers as the real package's own application."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest

from tests.parity.checks import ASKED, MARKED, MARKED_TALKS, TALKED
from tests.parity.test_parity import ROOT, plain, real_results
from tests.support.real_fal import PYTHON
from tests.support.state import state_directory


@pytest.fixture(scope="module")
def served() -> dict[str, Any]:
    with state_directory() as state:
        done = subprocess.run(
            [str(PYTHON), "-m", "tests.parity.real_class", str(state)],
            cwd=ROOT, capture_output=True, text=True, timeout=100,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr[-3000:]
        found: dict[str, Any] = json.loads(done.stdout)
        return found


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Any]]:
    return real_results(tmp_path_factory)


def test_it_is_the_real_package_and_the_class_is_left_alone(served: dict[str, Any]) -> None:
    assert served["version"] == "1.83.0"
    assert served["kept"] == "run"


def test_its_options_are_preserved(served: dict[str, Any]) -> None:
    assert served["scaling"] == [1, 30, 4, 40]


def test_it_answers_as_the_real_application(served: dict[str, Any], real: dict[str, list[Any]]) -> None:
    expected = dict(zip((check.name for check in ASKED), real["asked"], strict=True))
    for check, answer in zip(MARKED, served["asked"], strict=True):
        assert plain(answer) == plain(expected[check.name]), check.name


def test_its_sessions_match_the_real_application(served: dict[str, Any], real: dict[str, list[Any]]) -> None:
    expected = dict(zip((check.name for check in TALKED), real["talked"], strict=True))
    for check, frames in zip(MARKED_TALKS, served["talked"], strict=True):
        assert frames == expected[check.name], check.name
