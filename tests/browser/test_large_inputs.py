"""A call with a photo of any size is looked at, filled in again and repeated as one with a small picture, also in a page that is opened again."""

from __future__ import annotations

import io
import os
import re
from pathlib import Path

import PIL.Image
import pytest
from playwright.sync_api import Locator, expect

from tests.browser.apps import LOAD
from tests.browser.conftest import Front
from tests.browser.test_lab import tab

CHART = """%%fal_app
from fal.toolkit import Image
from pydantic import BaseModel


class Chart(BaseModel):
    image: Image
    seed: int


class Charts(fal.App):
    @fal.endpoint("/chart")
    def chart(self, image: Image, width: int, seed: int = 7) -> Chart:
        pixels = image.to_pil().convert("RGB").resize((width, width))
        return Chart(image=Image.from_pil(pixels), seed=seed)
"""


def photo_of(path: Path, side: int, quality: int) -> Path:
    """Noise, which a JPEG cannot make small."""
    data = io.BytesIO()
    PIL.Image.frombytes("RGB", (side, side), os.urandom(3 * side * side)).save(data, "jpeg", quality=quality)
    path.write_bytes(data.getvalue())
    return path


def inspected(card: Locator, row: Locator) -> Locator:
    row.click()
    inspector = card.locator(".fj-inspector")
    expect(inspector.get_by_role("button", name="Call again")).to_be_enabled()
    return inspector


# 6 MB go the way of 300 kB here; tests/gateway/test_kept_inputs.py keeps 8 MB in `make test`
@pytest.mark.parametrize(
    ("side", "quality"),
    [pytest.param(600, 90, id="300 kB"), pytest.param(2600, 95, id="6 MB", marks=pytest.mark.long)],
)
def test_a_call_with_a_photo_is_like_one_with_a_small_picture(
    lab: Front, tmp_path: Path, side: int, quality: int
) -> None:
    page, photo = lab.page, photo_of(tmp_path / "noise.jpg", side, quality)
    assert photo.stat().st_size > (200_000 if side < 1000 else 5_000_000)
    call = f"from fal.toolkit import Image\nphoto = Image.from_path({str(photo)!r})\nCharts.chart(photo, width=16, seed=11)"
    lab.write("charts.ipynb", [LOAD, CHART, call])
    lab.open("charts.ipynb")
    lab.run_all(3)
    card = page.locator(".fj-card").first
    card.scroll_into_view_if_needed()
    form = card.locator(".fj-try-form")
    form.locator("input[type=file]").set_input_files(str(photo))
    expect(form.locator(".fj-picked")).to_contain_text("noise.jpg")
    form.get_by_label("width").fill("24")
    form.get_by_label("seed", exact=True).fill("12")
    form.get_by_role("button", name="Run", exact=True).click()
    expect(card.locator(".fj-trial-title").last).to_contain_text("ended")

    for opened_again in (False, True):
        if opened_again:
            lab.command("docmanager:save")
            page.wait_for_function("() => !window.jupyterapp.shell.currentWidget.context.model.dirty")
            lab.load("charts.ipynb")
            card.scroll_into_view_if_needed()
        # what was asked and the picture are shown, and the call is made again
        rows = tab(card, "requests").locator("tr[data-request]", has_text="/chart")
        calls = 3 if opened_again else 2
        expect(rows).to_have_count(calls)  # an answer may be there before the feed has its request
        for row, width, seed in ((rows.nth(calls - 1), 16, 11), (rows.nth(calls - 2), 24, 12)):
            inspector = inspected(card, row)
            expect(inspector).to_contain_text(f"width = {width}")
            expect(inspector).to_contain_text(f"seed = {seed}")
            source = inspector.locator(".fj-pane", has=page.get_by_role("heading", name="Input")).locator("img")
            expect(source).to_be_visible()
            assert source.evaluate("img => img.decode().then(() => img.naturalWidth)") == side
        inspector.get_by_role("button", name="Call again").click()
        expect(inspector).to_contain_text("called again as")
        # an output says what it was made of, and gives the form all of it
        outputs = tab(card, "outputs").locator(".fj-output-card")
        for width, seed in ((16, 11), (24, 12)):
            output = outputs.filter(has_text=re.compile(rf"width {width}(?!\d)")).last
            output.get_by_role("button", name="Reuse").click()
            expect(form.get_by_label("width")).to_have_value(str(width))
            expect(form.get_by_label("seed", exact=True)).to_have_value(str(seed))
            picked = form.locator(".fj-picked img")
            assert picked.evaluate("img => img.decode().then(() => img.naturalWidth)") == side
            tab(card, "outputs")
