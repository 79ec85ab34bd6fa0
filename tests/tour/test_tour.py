"""notebooks/tour.ipynb: it is the one that its script writes, it runs, and each of its steps shows what its text promises."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest

from fal_jupyter.domain.text.json_forms import as_a_page_writes
from fal_jupyter.protocol.feed import MIME
from tests.support.jupyter import SCRIPT
from tests.support.state import state_directory

NOTEBOOKS = Path(__file__).parent.parent.parent / "notebooks"


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    target = tmp_path_factory.mktemp("tour") / "tour.ipynb"
    with state_directory() as state:
        environment = dict(os.environ, FAL_JUPYTER_STATE=str(state))
        subprocess.run(
            [sys.executable, "-c", SCRIPT, NOTEBOOKS / "make_tour.py", "--to", target],
            check=True,
            timeout=120,
            env=environment,
        )
    assert target.stat().st_size < 400 * 1024  # seven panels, each with data and picture
    return {cell.id: cell for cell in nbformat.read(target, as_version=4).cells}  # type: ignore[no-untyped-call]


def data(cell: Any, kind: str) -> Any:
    return next(output.data[kind] for output in cell.outputs if kind in output.get("data", {}))


def test_the_stored_tour_is_the_one_that_runs(ran: dict[str, Any]) -> None:
    stored = nbformat.read(NOTEBOOKS / "tour.ipynb", as_version=4)  # type: ignore[no-untyped-call]
    assert [(cell.id, cell.source) for cell in stored.cells] == [(name, cell.source) for name, cell in ran.items()]
    assert all(cell.outputs for cell in stored.cells if cell.cell_type == "code" and cell.id not in ("load", "burst"))
    assert not re.search(r"/(work|root)/", (NOTEBOOKS / "tour.ipynb").read_text())


def test_each_panel_is_there_as_data_and_as_a_picture(ran: dict[str, Any]) -> None:
    for name, tab in (
        ("app", ""),
        ("timeline", "timeline"),
        ("requests", "requests"),
        ("config", "config"),
        ("snippets", "snippets"),
    ):
        assert data(ran[name], MIME)["tab"] == tab
        assert "ada/counter" in data(ran[name], "text/html")
    assert data(ran["dashboard"], MIME)["panel"] == "dashboard"
    assert "counter" in data(ran["dashboard"], "text/html")


def test_the_steps_show_what_their_texts_promise(ran: dict[str, Any]) -> None:
    assert "'count': 9" in data(ran["call"], "text/plain")
    assert "counter-3" in data(ran["timeline"], "text/html")
    assert "last 10 of 13" in data(ran["requests"], "text/html")
    decisions = data(ran["timeline"], MIME)["picture"]["timeline"]["decisions"]
    assert max(decision["after"] for decision in decisions) == 3  # two more runners started
    assert "'count': 21" in data(ran["alive"], "text/plain")
    assert any("ZeroDivisionError" in line for output in ran["fail"].outputs for line in output.get("traceback", ()))
    assert "1 failed" in data(ran["dashboard"], "text/html") or "<td" in data(ran["dashboard"], "text/html")


def test_the_stored_outputs_have_their_numbers_as_a_page_writes_them() -> None:
    """JupyterLab writes 0.0 as 0: a notebook that was only opened and saved would differ from the one in the repository."""
    for name in ("tour.ipynb", "quickstart.ipynb"):
        cells = json.loads((NOTEBOOKS / name).read_text())["cells"]
        assert all(json.dumps(as_a_page_writes(cell)) == json.dumps(cell) for cell in cells), name
