"""Pictures that an endpoint displays: below the cell that calls it, bounded, and nothing but pictures."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from tests.support.kernel import Kernel

APP = """%%fal_app
import asyncio
import io
import os

import matplotlib.pyplot as plt
import PIL.Image
from IPython.display import HTML, SVG, Image, Markdown, display, publish_display_data


class Shows(fal.App):
    max_multiplexing = 4

    @fal.endpoint("/figure")
    def figure(self):
        print("before")
        plt.plot([1, 2])
        plt.show()
        print("after")
        return "done"

    @fal.endpoint("/pictures")
    async def pictures(self):
        red = PIL.Image.new("RGB", (3, 2), "red")
        display(red)
        red.show()
        display("text", red, 5)
        written = io.BytesIO()
        red.save(written, "JPEG")
        display(Image(data=written.getvalue()))
        await asyncio.to_thread(display, red)
        publish_display_data({"image/png": b"\\x89PNG", "text/html": "<script>alert(1)</script>"})

    @fal.endpoint("/texts")
    def texts(self):
        class Both:
            def _repr_html_(self): return "<script>alert(2)</script>"
            def _repr_svg_(self): return "<svg onload='alert(3)'/>"
            def __repr__(self): return "both"
        for thing in (HTML("<script>alert(1)</script>"), SVG("<svg onload='alert(1)'/>"), Markdown("# x"), Both(), PIL.Image.Image, None):
            display(thing)
        display({"text/html": "<b>", "text/plain": "raw"}, raw=True)
        display()

    @fal.endpoint("/much")
    def much(self, number: int, size: int):
        noise = PIL.Image.frombytes("L", (size, size), os.urandom(size * size))
        for _ in range(number):
            display(noise)

    @fal.endpoint("/secret")
    def secret(self):
        publish_display_data({"image/png": b"\\x89PNG", "text/plain": f"a picture of {os.environ['DRAWING_TOKEN']}"})

    @fal.endpoint("/fails")
    def fails(self):
        class Odd:
            def _repr_png_(self): raise ValueError("no picture")
            def __repr__(self): return "odd"
        display(Odd())
        return "done"
"""


@pytest.fixture(scope="module")
def shows(notebook: Kernel) -> Kernel:
    notebook.run("%env DRAWING_TOKEN=drawn-from-life")
    notebook.run(APP).ok()
    return notebook


def pictures(outputs: list[dict[str, Any]]) -> list[tuple[str, bytes]]:
    """Media type and first bytes of each picture."""
    return [
        (kind, base64.b64decode(data)[:4])
        for output in outputs
        if output["output_type"] == "display_data"
        for kind, data in output["data"].items()
        if kind.startswith("image/")
    ]


def test_a_figure_is_shown_between_what_is_printed(shows: Kernel) -> None:
    cell = shows.run("print(Shows.figure())").ok()

    assert pictures(cell.outputs) == [("image/png", b"\x89PNG")]
    assert "<Figure size 640x480 with 1 Axes>" in cell.shown
    (figure,) = [output for output in cell.outputs if "image/png" in output.get("data", {})]
    assert "<Figure size 640x480 with 1 Axes>" in figure["metadata"]["image/png"]["alt"]
    kinds = [o["output_type"] if o["output_type"] == "display_data" else o["text"] for o in cell.outputs]
    at = kinds.index("display_data")
    assert "before" in "".join(kinds[:at])
    assert "after\ndone" in "".join(kinds[at + 1 :])
    assert "Figure(" not in cell.text


def test_every_way_to_display_a_picture(shows: Kernel) -> None:
    cell = shows.run("Shows.pictures()").ok()

    png = ("image/png", b"\x89PNG")
    assert pictures(cell.outputs) == [png, png, png, ("image/jpeg", b"\xff\xd8\xff\xe0"), png, png]
    assert "text" in cell.text
    assert "5" in cell.text
    assert "script" not in str(cell.outputs)


def test_what_is_no_picture_is_text(shows: Kernel) -> None:
    cell = shows.run("Shows.texts()").ok()

    assert pictures(cell.outputs) == []
    assert "both" in cell.text
    assert "None" in cell.text
    for output in cell.outputs:
        assert not {"text/html", "image/svg+xml", "text/markdown"} & set(output.get("data", {})) or "alert" not in str(
            output
        )
    assert "alert" not in cell.html


def test_too_many_and_too_large_pictures_are_reported(shows: Kernel) -> None:
    many = shows.run("Shows.much(number=25, size=8)").ok()
    large = shows.run("Shows.much(number=1, size=2000)").ok()

    assert len(pictures(many.outputs)) == 20
    assert many.text.count("not shown, a request shows at most 20 pictures") == 5
    assert pictures(large.outputs) == []
    assert "[fal_jupyter: not shown, its 4," in large.text
    assert len(pictures(shows.run("Shows.much(number=2, size=8)").ok().outputs)) == 2  # the count is a request's


def test_a_picture_that_cannot_be_made_fails_no_request(shows: Kernel) -> None:
    cell = shows.run("print(Shows.fails())").ok()

    assert [line for line in cell.text.splitlines() if line in ("odd", "done")] == ["odd", "done"]
    assert "[fal_jupyter: the picture of a Odd cannot be rendered: ValueError: no picture]" in cell.text


def test_the_text_of_a_picture_has_no_secrets(shows: Kernel) -> None:
    cell = shows.run("Shows.secret()").ok()

    assert pictures(cell.outputs) == [("image/png", b"\x89PNG")]
    assert "a picture of [redacted DRAWING_TOKEN]" in str(cell.outputs)
    assert "drawn-from-life" not in str(cell.outputs)


def test_the_log_and_other_callers_have_the_text(shows: Kernel) -> None:
    shows.run(
        "import json, urllib.request\n"
        "asked = urllib.request.Request(Shows.local_url + '/figure', b'', {'authorization': f'Key {Shows.key}'}, method='POST')\n"
        "assert json.load(urllib.request.urlopen(asked)) == 'done'\n"
    ).ok()
    log = shows.run("%fal logs shows").ok()

    assert "<Figure size 640x480 with 1 Axes>" in log.text + log.shown
