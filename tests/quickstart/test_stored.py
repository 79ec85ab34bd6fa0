"""The quickstart as it lies in the repository: with the outputs of its cells, and nothing of whoever ran it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import nbformat

NOTEBOOK = Path(__file__).parents[2] / "notebooks" / "quickstart.ipynb"


def test_the_committed_notebook_has_outputs_of_this_source() -> None:
    committed = {cell.id: cell for cell in nbformat.read(NOTEBOOK, as_version=4).cells}
    numbers = [cell.execution_count for cell in committed.values() if cell.cell_type == "code"]
    outputs = "\n".join(str(cell.get("outputs", "")) for cell in committed.values())

    assert numbers == list(range(1, len(numbers) + 1))
    assert "switching the router off and on again" in texts(committed["call"])
    assert "ZeroDivisionError" in texts(committed["error"])
    assert "HTTP/1.1 200" in texts(committed["curl"])
    assert "fjk_" not in outputs, "a key was committed"
    assert not re.search(r"/(work|root|home|tmp)/", outputs), "a path of somebody's machine was committed"


def texts(cell: Any) -> str:
    """All texts under a cell, with their colours."""
    return str(cell.outputs)
