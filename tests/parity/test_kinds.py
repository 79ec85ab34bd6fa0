"""Our application against fal 1.83.0, wide: every type in every place with good and bad values, statuses and bodies compared.

What can be built is compared first, then the answers of one app that has all of it. There are 1,100 types in places and 34,000 requests:
``make test`` takes each tenth of the places and each 12th of their requests, ``make test-long`` all places and each third request.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from fal_jupyter import settings
from fal_jupyter.client.client import Client
from fal_jupyter.client.serving import serve_file
from tests.parity import kinds
from tests.parity.differences import KINDS
from tests.parity.test_parity import ROOT, plain
from tests.support.real_fal import PYTHON
from tests.support.state import state_directory


def command(python: Path | str, *options: str) -> list[str]:
    return [str(python), "-m", "tests.parity.kinds_reference", *options]


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(10),
        pytest.param(5, marks=pytest.mark.long),
        pytest.param(1, marks=[pytest.mark.long, pytest.mark.timeout(900)]),
    ],
    ids="each {}. place".format,
)
def every(request: pytest.FixtureRequest) -> int:
    return int(request.param)


@pytest.fixture(scope="module")
def built(every: int) -> tuple[list[str], list[str]]:
    """What each part says when it is built: with the real package, with ours."""
    runs = [
        subprocess.Popen(
            command(python, "built", str(every), *options), cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        for python, options in ((PYTHON, ()), (sys.executable, ("--ours",)))
    ]
    theirs, mine = (json.loads(run.communicate(timeout=200)[0]) for run in runs)
    return theirs, mine


def differing(names: list[str], theirs: list[Any], mine: list[Any]) -> list[tuple[str, Any, Any]]:
    """Give what differs and is not listed."""
    return [
        (name, real, ours)
        for name, real, ours in zip(names, theirs, mine, strict=True)
        if plain(real) != plain(ours) and not any(re.search(pattern, name) for pattern in KINDS)
    ]


def _reason(message: str) -> str:
    """What FastAPI or pydantic said, which ours quotes behind the endpoint and the parameter."""
    found = re.fullmatch(r"AppRuleBroken: .*?\(\): FastAPI cannot .*?\((\w+: .*)\)(?:\n.*)?", message, re.DOTALL)
    return found[1] if found else message


def test_the_same_can_be_built(built: tuple[list[str], list[str]], every: int) -> None:
    names = [f"build {place}({kinds.TYPES[n]})" for place, n, _ in kinds.places(every)]

    theirs, mine = built
    assert differing(names, theirs, [_reason(ours) for ours in mine]) == []
    assert sum(not reason for reason in built[0]) > 900 // every  # and some are refused, with the same words


def test_the_same_is_answered(built: tuple[list[str], list[str]], every: int, tmp_path: Path) -> None:
    step = 3 if every == 1 else 12
    good = [not real and not ours for real, ours in zip(*built, strict=True)]
    (tmp_path / "kinds_app.py").write_text(kinds.source(good, every))
    run = subprocess.Popen(
        command(PYTHON, "asked", str(tmp_path), str(every), str(step)), cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL, env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
    )  # fmt: skip
    assert run.stdin is not None
    run.stdin.write(json.dumps(good).encode())
    run.stdin.close()
    run.stdin = None
    asked = kinds.requests(good, every, step)
    values = {(re.sub(r"^/(\w+)/\d+", r"\1", path), body, str(headers)) for _, path, body, headers in asked}
    assert len(values) > (180 if every == 10 else 380)  # of 451: each kind of place has nearly every value
    mine = answers(tmp_path / "kinds_app.py", asked)
    theirs = json.loads(run.communicate(timeout=800)[0])
    names = [name for name, *_ in asked]

    assert differing(names, theirs, mine) == []
    if every == 1:  # a reason that is no longer needed goes
        different = [name for name, real, ours in zip(names, theirs, mine, strict=True) if plain(real) != plain(ours)]
        assert [
            p for p in KINDS if not p.startswith("^build") and not any(re.search(p, name) for name in different)
        ] == []


def answers(path: Path, asked: list[tuple[str, str, bytes, dict[str, str]]]) -> list[Any]:
    """Ask our gateway."""
    found = []
    with state_directory() as state:
        client = Client(settings.read({"FAL_JUPYTER_STATE": str(state), "FAL_JUPYTER_OWNER": "me"}), kind="serve")
        handle = serve_file(path, "Kinds", client=client)
        handle.wait()
        connection = http.client.HTTPConnection(handle.base.removeprefix("http://"), timeout=30)
        for _, target, body, headers in asked:
            headers = {"authorization": f"Key {handle.key}", **headers}
            connection.request("POST", f"/run/{handle.app}{quote(target, safe='/?&=%+')}", body, headers)
            answer = connection.getresponse()
            raw = answer.read().decode("utf-8", "backslashreplace")
            found.append([answer.status, answer.headers.get("content-type"), raw])
        connection.close()
        client.close()
    return found
