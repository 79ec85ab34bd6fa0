"""``@fal-ai/client`` for JavaScript, as installed from npm, against the gateway: the checks of ``checks.mjs``, in one process of Node."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.support.serve import Served

HERE = Path(__file__).parent
NAMES = re.findall(r'^check\("([^"]+)"', (HERE / "checks.mjs").read_text(encoding="utf-8"), re.M)


@pytest.fixture(scope="module")
def results(many: Served, single: Served, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    node = shutil.which("node")
    assert node is not None, "there is no Node.js here; install Node.js 20 or newer"
    assert (HERE / "node_modules" / "@fal-ai" / "client").is_dir(), "type: make setup-test"
    version = subprocess.run([node, "--version"], capture_output=True, text=True, check=True).stdout
    flags = ["--experimental-websocket"] if int(version[1:].split(".")[0]) < 22 else []
    place = {
        "BASE": many.ready["base"],
        "KEY": many.ready["key"],
        "APP": many.ready["app"],
        "QUEUED": single.ready["app"],
        "FOLDER": str(tmp_path_factory.mktemp("javascript")),
    }
    ran = subprocess.run(
        [node, *flags, "--no-warnings", str(HERE / "checks.mjs")],
        env={name: value for name, value in os.environ.items() if not name.startswith("FAL_")} | place,
        capture_output=True,
        text=True,
        timeout=110,
    )
    assert ran.returncode == 0, ran.stderr
    return {line["name"]: line for line in map(json.loads, ran.stdout.splitlines())}


def test_every_check_ran_once(results: dict[str, dict[str, Any]]) -> None:
    assert sorted(results) == sorted(set(NAMES))
    assert len(NAMES) >= 30


@pytest.mark.parametrize("name", NAMES)
def test_javascript(results: dict[str, dict[str, Any]], name: str) -> None:
    assert results[name]["ok"], results[name]["why"]
