"""Write tour.ipynb: its cells are here, its outputs come of a run (``python notebooks/make_tour.py``; the tests run it, too)."""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient

TOUR = Path(__file__).with_name("tour.ipynb")

CELLS: tuple[tuple[str, str, str], ...] = (
    ("markdown", "title", """# A tour in five minutes

Every surface of `fal_jupyter`, one after another: the card, the config panel, the timeline, the request table, errors, the dashboard, the
sidebar. Run the cells from top to bottom, and try what stands below each of them. In JupyterLab and Notebook 7 the panels are live; on a web
page you see the pictures that were saved."""),
    ("code", "load", "%load_ext fal_jupyter\nimport fal_jupyter"),
    ("markdown", "card-text", """## 1. A card under the cell

The app gets a process of its own, a *runner*. Its **card** says how it stands: runners, setup, revision, address. In **Try**, choose an endpoint,
fill in the form and press Run: the form is made from your signature. The chip at the cell tells whether the cell and what serves agree; change a
line without running it, and it says so."""),
    ("code", "app", '''%%fal_app
import time
from typing import Literal

from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field


class Text(BaseModel):
    text: str = Field("It was a bright cold day in April", description="What to look at")
    unit: Literal["words", "letters"] = "words"
    longest: int = Field(3, ge=1, le=20, description="How many of the longest to give")


class Counter(fal.App):
    max_concurrency = 3
    keep_alive = 20
    min_concurrency = 1

    def setup(self):
        time.sleep(0.5)  # a model would be loaded here

    @fal.endpoint("/")
    def count(self, question: Text) -> dict:
        """Count the words or letters of a text."""
        parts = question.text.split() if question.unit == "words" else list(question.text.replace(" ", ""))
        return {"count": len(parts), "longest": sorted(set(parts), key=len, reverse=True)[: question.longest]}

    @fal.endpoint("/slow")
    def slow(self, seconds: float = 0.3) -> dict:
        """Take a while."""
        time.sleep(seconds)
        return {"slept": seconds}

    @fal.endpoint("/spell")
    def spell(self, word: str = "stream") -> StreamingResponse:
        """Spell a word, letter by letter."""

        def letters():
            for letter in word:
                yield f'data: {{"letter": "{letter}"}}\\n\\n'
                time.sleep(0.2)

        return StreamingResponse(letters(), media_type="text/event-stream")

    @fal.endpoint("/fail")
    def fail(self, divisor: int = 0) -> dict:
        """Fail, unless it is told not to."""
        return {"result": 1 / divisor}'''),
    ("markdown", "call-text", """## 2. A call, and where its time went

A later cell calls an endpoint like a method. The line under it has the parts of the call's time; unfold it for the table."""),
    ("code", "call", 'Counter.count(text="The quick brown fox jumps over the lazy dog", longest=2)'),
    ("markdown", "burst-text", """## 3. A burst, and the runners that follow

Twelve slow calls at once: two more runners start, and leave again when nobody needs them. The **Scaling** tab shows requests and runners over time;
each mark is a decision with its sentence. Drag over the chart to see the requests of that span."""),
    ("code", "burst", "_ = Counter.slow.map([0.3] * 12, concurrency=6)"),
    ("code", "timeline", 'fal_jupyter.panel(Counter, "timeline")'),
    ("markdown", "requests-text", """## 4. Every request

The **Requests** tab: a click on a row shows input, output, logs, and whether a runner had to start for it."""),
    ("code", "requests", 'fal_jupyter.panel(Counter, "requests")'),
    ("markdown", "config-text", """## 5. Scaling, live

Move `min_concurrency` to 2 and press *Apply live*: the second runner comes up, `setup()` runs there only. *Copy as class attributes* takes what you
found to the class. The same by hand:"""),
    ("code", "config", 'fal_jupyter.panel(Counter, "config")'),
    ("code", "scale", "%fal scale Counter --max 2 --keep-alive 10"),
    ("markdown", "fail-text", """## 6. A mistake

You get your own traceback, with the lines of the cell; a caller over HTTP gets a status and a request id, nothing of your code."""),
    ("code", "fail", "Counter.fail(divisor=0)"),
    ("markdown", "programs-text", """## 7. Programs

**Snippets** has each endpoint as a cell, as Python with `fal_client`, JavaScript and curl: run, through the queue, or as a stream. *Make a key* puts a key
into the program that is good until this notebook ends."""),
    ("code", "snippets", 'fal_jupyter.panel(Counter, "snippets")'),
    ("markdown", "dashboard-text", """## 8. Everything at once

The dashboard has all apps of all notebooks, their memory, queue and requests. In JupyterLab it is a tab of its own (palette: *fal: Open the Dashboard*), beside the
**sidebar** at the left (apps, runners, queue, with their actions), the item in the **status bar**, the cards of the **launcher** and the section under
*Running Terminals and Kernels*."""),
    ("code", "dashboard", "fal_jupyter.dashboard()"),
    ("markdown", "end-text", """## 9. Stop, and start again

*Stop* at a card frees all that the app had and keeps its record: requests, scaling, config. *Start* brings it back as it was. The app is yours
to play with now; when this kernel ends, it goes as well."""),
    ("code", "alive", 'Counter.count(text="the counter is still here", unit="letters")'),
)


def blank() -> Any:
    """The notebook without outputs."""
    cells = []
    for kind, name, source in CELLS:
        make = nbformat.v4.new_markdown_cell if kind == "markdown" else nbformat.v4.new_code_cell
        cell = make(source, id=name)  # type: ignore[no-untyped-call]
        if name == "fail":
            cell.metadata["tags"] = ["raises-exception"]
        cells.append(cell)
    notebook = nbformat.v4.new_notebook(cells=cells)  # type: ignore[no-untyped-call]
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python"}
    return notebook


def execute() -> Any:
    """The notebook with the outputs of a run in a real kernel.

    Raises:
        CellExecutionError: a cell failed that should not.
    """
    notebook = blank()
    with tempfile.TemporaryDirectory() as place:
        NotebookClient(notebook, timeout=120, kernel_name="python3", resources={"metadata": {"path": place}}).execute()
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
    notebook.metadata.pop("widgets", None)
    notebook.metadata["language_info"] = {"name": "python"}  # with a version, a page of another one calls it modified
    return notebook


def main() -> None:
    """Run the tour and write it."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--to", type=Path, default=TOUR)
    target = parser.parse_args().to
    with tempfile.TemporaryDirectory(prefix="fj-tour-") as place:
        os.environ["FAL_JUPYTER_STATE"] = str(Path(place) / "state")
        os.environ["FAL_JUPYTER_OWNER"] = "ada"
        nbformat.write(execute(), target)  # type: ignore[no-untyped-call]


if __name__ == "__main__":
    main()
