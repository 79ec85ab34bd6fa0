"""``make demo``: the quickstart runs in a real kernel, and each of its steps shows what its text promises."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import nbformat
import pytest

from tests.support.jupyter import SCRIPT
from tests.support.kernel import kernel
from tests.support.state import processes_with, state_directory

if find_spec("torch") is None:
    pytest.skip("the quickstart runs a model in torch", allow_module_level=True)

NOTEBOOKS = Path(__file__).parent.parent.parent / "notebooks"
NOTEBOOK = NOTEBOOKS / "quickstart.ipynb"
ANSI = re.compile(r"\x1b\[[0-9;]*m")


@dataclass
class Demo:
    """One run of the demo: the executed cells by id, what the terminal showed, and who outlived it."""

    cells: dict[str, Any]
    story: str
    survivors: dict[int, str]

    def text(self, cell: str) -> str:
        """All that stands under a cell, as plain text."""
        return shown(self.cells[cell])


def shown(cell: Any) -> str:
    parts = []
    for output in cell.outputs:
        match output.output_type:
            case "stream":
                parts.append(output.text)
            case "error":
                parts.append("\n".join(output.traceback))
            case _:
                parts.append(output.data.get("text/markdown") or output.data.get("text/plain", ""))
    return ANSI.sub("", "\n".join(parts))


USERS_APP = """class Users(fal.App):
    @fal.endpoint("/")
    def hi(self) -> str:
        return "hi"
"""


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    target = tmp_path_factory.mktemp("demo") / "executed.ipynb"
    place = tmp_path_factory.mktemp("place")
    with (
        state_directory() as state,
        kernel(state, place) as users,
    ):  # the demo has a gateway of its own beside the user's
        users.run("%load_ext fal_jupyter").ok()
        users.run("%%fal_app --quiet --name sentences\n" + USERS_APP).ok()
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT, str(NOTEBOOKS / "run_demo.py"), "--to", str(target)],
            # one thread: beside other processes, those of torch wait for each other
            env=dict(os.environ, FAL_JUPYTER_STATE=str(state), TMPDIR=str(place), OMP_NUM_THREADS="1"),
            capture_output=True,
            text=True,
            timeout=300,
        )
        survivors = processes_with(f"TMPDIR={place}")
        assert users.run("print(Users.hi())").ok().text.strip() == "hi"
    assert done.returncode == 0, done.stdout + done.stderr
    notebook = nbformat.read(target, as_version=4)
    return Demo({cell.id: cell for cell in notebook.cells}, done.stdout, survivors)


pytestmark = pytest.mark.timeout(360)


def test_the_weights_load_with_progress_under_the_app_cell(demo: Demo) -> None:
    assert "weights loaded: 91 MB" in demo.text("app")
    assert "embedded 555 of 555 sentences" in demo.text("app")
    assert demo.story.index("embedded 128 of 555") < demo.story.index("One call")


def test_the_card_names_the_class_and_what_it_takes_along(demo: Demo) -> None:
    for fact in ("Sentences", "/embed", "/search", "MiniLM"):
        assert fact in demo.text("app")


def test_a_call_finds_the_sentence_of_the_same_meaning(demo: Demo) -> None:
    assert "switching the router off and on again" in demo.text("call")


def test_a_batch_answers_in_order(demo: Demo) -> None:
    expected = {
        "someone stole my bike": "The police found the stolen bicycle",
        "keep your cash safe": "He keeps his money in cash",
        "a composer who lost his hearing": "Beethoven",
        "how tides work": "Tides are caused by the pull of the Moon",
        "a flying mammal that hunts at night": "Bats find moths",
    }
    lines = demo.text("batch").splitlines()

    for question, sentence in expected.items():
        assert [line for line in lines if line.startswith(question) and sentence in line]


def test_the_similarities_are_drawn(demo: Demo) -> None:
    images = [o.data["image/png"] for o in demo.cells["picture"].outputs if "image/png" in o.get("data", {})]

    assert len(images) == 1
    assert len(images[0]) > 20_000


def test_eight_callers_each_got_ten_answers(demo: Demo) -> None:
    rows = re.findall(r"^\| (\d) \| 10 \| [\d.]+ \| [\d.]+ \| [\d.]+ \|$", demo.text("callers"), re.M)

    assert rows == list("12345678")
    assert len(calls(demo.cells["callers"])) == 80
    assert {call["status"] for call in calls(demo.cells["callers"])} == {200}


def test_curl_is_answered_200_by_the_running_app(demo: Demo) -> None:
    text = demo.text("curl")

    assert re.search(r"^HTTP/1.1 200", text, re.M)
    assert "x-fal-request-id" in text.lower()
    assert re.search(r'"hits":\[\{"sentence":"[^"]* sea[^"]*"|ends at sea', text)


def test_the_edited_endpoint_is_live(demo: Demo) -> None:
    best_before = demo.text("before").splitlines()[0]
    best_after = demo.text("after").splitlines()[0]

    assert "hit the ball" in best_before
    assert "upside down" in best_after
    assert "'odd': 'a pension'" in demo.text("after")
    assert {call["revision"] for call in calls(demo.cells["before"])} == {1}
    assert {call["revision"] for call in calls(demo.cells["after"])} == {2}


def test_an_error_shows_the_users_own_lines_and_type(demo: Demo) -> None:
    text = demo.text("error")

    assert "ZeroDivisionError" in text
    assert "(row.sum().item() - 1) / others" in text
    assert "odd_one_out" in text
    assert not re.search(r"fal_jupyter/\w+/\w+\.py", text)


def test_after_stop_no_app_is_listed(demo: Demo) -> None:
    before, after = demo.text("stop").split("stopped")[0], demo.text("stop").split("stopped")[-1]

    assert "Sentences" in before
    assert "Sentences" not in after


def test_every_step_is_reported_and_followed_by_the_figures_of_the_calls(demo: Demo) -> None:
    steps = sum(cell.cell_type == "code" for cell in demo.cells.values())
    steps_shown = re.findall(rf"^\[(\d+)/{steps}\] (.+)$", demo.story, re.M)
    figures = demo.story[demo.story.index("The calls they made") :]

    assert [int(number) for number, _ in steps_shown] == list(range(1, steps + 1))
    assert all(title != "and then" for _, title in steps_shown)
    assert re.search(r"search +\d+ +0 +[\d.]+ +[\d.]+ +[\d.]+", figures)


def test_nothing_of_the_demo_outlives_it(demo: Demo) -> None:
    assert demo.survivors == {}


def test_the_demo_leaves_the_committed_notebook_as_it_is(demo: Demo) -> None:
    committed = nbformat.read(NOTEBOOK, as_version=4)

    assert [(cell.id, cell.source) for cell in committed.cells] == [(c.id, c.source) for c in demo.cells.values()]


def calls(cell: Any) -> list[dict[str, Any]]:
    return [call for o in cell.outputs for call in o.get("metadata", {}).get("fal_jupyter", {}).get("calls", [])]
