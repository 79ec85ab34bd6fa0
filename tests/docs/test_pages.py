"""The pages below docs/: their cells run and give what they say, their commands are ones, and they repeat the README whole."""

from __future__ import annotations

import ast
import re
import shlex
from pathlib import Path

import pytest

from fal_jupyter.commands import parser
from tests.support.kernel import kernel
from tests.support.state import state_directory

TOP = Path(__file__).parent.parent.parent
PAGES = {
    str(path.relative_to(TOP)): path.read_text(encoding="utf-8")
    for path in sorted((TOP / "docs").rglob("*.md"))
    if "_build" not in path.parts
}
CELLS = {page: re.findall(r"^```python\n(.*?)^```$", text, re.M | re.S) for page, text in PAGES.items()}


@pytest.mark.parametrize("page", [page for page, cells in CELLS.items() if cells])
def test_cells_of_a_page_print_what_it_shows(page: str, tmp_path: Path) -> None:
    with state_directory() as state, kernel(state, tmp_path) as notebook:
        notebook.run("%load_ext fal_jupyter").ok()
        for cell in CELLS[page]:
            ran = notebook.run(cell).ok()
            if promise := re.search(r"# → (.*)$", cell):
                assert ast.literal_eval(ran.result) == ast.literal_eval(promise[1])


def test_each_command_that_a_page_names_is_one() -> None:
    named = {
        (page, command)
        for page, text in PAGES.items()
        for command in re.findall(r"`fal-jupyter ([a-z][^`]*)`", text)
        if page != "docs/contract.md"
    }

    assert len(named) > 15
    for _, command in sorted(named):
        parser.parse_command(shlex.split(command), "shell")


def test_each_section_of_the_readme_is_on_a_page() -> None:
    sections = re.findall(r"^## (.*)$", (TOP / "README.md").read_text(encoding="utf-8"), re.M)
    shown = {title for text in PAGES.values() for title in re.findall(r"<!-- README: (.*?) -->", text)}

    assert set(sections) - shown == {"How it works, and how fast"}
    assert shown <= set(sections)


def test_the_records_of_decisions_are_numbered_without_a_gap() -> None:
    texts = [text for page, text in PAGES.items() if "/decisions/" in page]
    numbers = sorted(int(number) for text in texts for number in re.findall(r"^## (\d+)\. ", text, re.M))

    assert numbers == list(range(1, len(numbers) + 1))
    assert len(numbers) >= 67
