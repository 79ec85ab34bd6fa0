"""A ``.map`` under its cell: one line for its calls, and the pictures that they answered in the items' order."""

from __future__ import annotations

import base64
import io
import re

import pytest
from PIL import Image

from tests.support.kernel import Kernel

APP = """%%fal_app --max 2
import time
from fal.toolkit import Image as Picture
from PIL import Image

class Many(fal.App):
    @fal.endpoint("/")
    def hi(self, n: int) -> int:
        return n

    @fal.endpoint("/slow")
    def slow(self, seconds: float) -> float:
        time.sleep(seconds)
        return seconds

    @fal.endpoint("/paint")
    def paint(self, width: int) -> Picture:
        time.sleep(0.2 if width == 1 else 0)
        return Picture.from_pil(Image.new("RGB", (width, 2)))
"""


@pytest.fixture(scope="module")
def many(notebook: Kernel) -> Kernel:
    notebook.run(APP).ok()
    return notebook


def test_a_map_of_twelve_is_one_line_that_unfolds(many: Kernel) -> None:
    many.run("Many.hi(1)").ok()
    cell = many.run("Many.hi.map(range(12)); Many.hi(3)").ok()

    lines = cell.shown.splitlines()
    assert re.match(r"ok +[\d.]+ m?s hi\.map: 12 calls · p50 .* · max .*/s, r1$", lines[0]), lines
    assert [line.split()[0] for line in lines[2:14]] == [str(number) for number in range(12)]
    assert re.match(r"ok +[\d.]+ m?s hi: +queue", lines[-1]), lines
    assert cell.html.count("<details") == 2
    assert many.run("for n in range(12): Many.hi(n)").ok().html.count("<details") == 1


def test_the_progress_of_a_slow_map_becomes_its_line(many: Kernel) -> None:
    cell = many.run("Many.slow.map([0.7, 0.1, 0.7])").ok()

    assert cell.shown.count("slow.map") == 1
    assert "of 3" in cell.shown
    (last,) = (update for update in cell.updates if "fal_jupyter" in update["metadata"])
    assert last["data"]["text/plain"].splitlines()[0].endswith(", r1")
    assert "<details" in last["data"]["text/html"]
    assert len(last["metadata"]["fal_jupyter"]["calls"]) == 3


def test_pictures_of_a_map_are_under_the_cell_in_the_order_of_its_items(many: Kernel) -> None:
    cell = many.run("found = Many.paint.map(range(1, 12))").ok()

    (html,) = [o["data"]["text/html"] for o in cell.outputs if "fal-jupyter-picture" in o["data"].get("text/html", "")]
    shown = re.findall(r"data:image/png;base64,([^\"]+)", html)
    widths = [Image.open(io.BytesIO(base64.b64decode(data))).width for data in shown]
    assert widths == list(range(1, 9))
    assert "and 3 pictures more" in cell.shown
