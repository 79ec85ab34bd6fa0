"""What comes back after calls of all kinds: Reuse tells files by their bytes, a saved card has the last outputs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.apps import LOAD
from tests.browser.conftest import Front
from tests.browser.test_card import idle, restarted, run
from tests.browser.test_try import PIXEL

DOTS = """%%fal_app
from fal.toolkit import Image
from pydantic import BaseModel
from PIL import Image as Pillow

class Photo(BaseModel):
    image: Image
    dots: int = 4000

class Dots(fal.App):
    @fal.endpoint("/")
    def paint(self, photo: Photo) -> dict:
        return {"image": Image.from_pil(Pillow.new("RGB", (400, 1600), "red")), "seed": photo.dots}
"""
AWAITED = """() => {
    window.fjAwaited = [];
    new MutationObserver(() => {
        const line = document.querySelector('.jp-Cell-outputWrapper > .fj-awaited');
        if (line && getComputedStyle(line).display !== 'none' && !window.fjAwaited.includes(line.textContent)) window.fjAwaited.push(line.textContent);
    }).observe(document.body, {childList: true, subtree: true});
}"""
CALL = """from fal.toolkit import Image
image = Image.from_path("house.png")
for dots in (1, 2, 3):
    _ = Dots.paint(image=image, dots=dots)
"""


@pytest.mark.long  # labextension/test/try.test.mjs compares files, tests/notebook/test_saved_card.py has the load
def test_reuse_tells_files_by_their_bytes_and_a_saved_card_has_the_last_outputs(lab: Front, tmp_path: Path) -> None:
    page, name = lab.page, "dots.ipynb"
    photo = lab.write(name, [LOAD, DOTS, CALL]).parent / "house.png"
    photo.write_bytes(PIXEL)
    lab.open(name)
    for number in (0, 1):
        run(lab, number)
        idle(lab)
    card = page.locator(".fj-card").first
    form = card.locator(".fj-try-form")
    form.get_by_label("image", exact=False).first.set_input_files(photo)
    card.locator(".fj-run-button").click()
    expect(card.locator(".fj-trial-title").last).to_contain_text("ended")
    run(lab, 2)
    idle(lab)
    card.locator('[data-tab="outputs"]').click()
    outputs = card.locator('[data-panel="outputs"]')
    expect(outputs.locator(".fj-output-card")).to_have_count(4)
    outputs.locator(".fj-output-card").first.get_by_role("button", name=re.compile("Enlarge")).click()
    expect(outputs.get_by_role("button", name=re.compile("^Reuse")).first).not_to_be_in_viewport()
    outputs.get_by_role("button", name=re.compile("^Reuse")).first.click()
    expect(form.locator(".fj-endpoint-choice")).to_be_in_viewport()  # the tab of outputs was much longer
    note = card.locator(".fj-trial-note")
    expect(note).to_contain_text("dots 4000 → 3")
    expect(note).not_to_contain_text("image")
    lab.picture("reuse-same-file-light")

    # more calls of a load than a saved card has requests
    card.locator('[data-tab="try"]').click()
    load = card.locator(".fj-load")
    load.locator("summary").first.click()
    load.get_by_role("spinbutton").first.fill("14")
    load.get_by_role("button", name="Start load").click()
    expect(load.locator(".fj-load-report")).to_contain_text("14 of 14")
    page.evaluate("() => window.jupyterapp.shell.currentWidget.context.save()")
    lab.open(name)
    idle(lab)
    page.evaluate(
        "() => window.jupyterapp.shell.currentWidget.context.sessionContext.session.kernel.requestExecute({code: ''}).done"
    )
    lab.expected.append("Could not restore the debugger state")
    restarted(lab)
    card.locator('[data-tab="outputs"]').click()
    expect(outputs).to_contain_text("4 outputs, as saved")
    expect(outputs.locator(".fj-output-card")).to_have_count(4)
    lab.picture("outputs-saved-light")

    # a new kernel takes a while to come to the card: its room says so
    page.evaluate(AWAITED)
    card.get_by_role("button", name="Run its cell").click()
    expect(card.locator(".fj-head-state")).to_have_text("Ready")
    assert page.evaluate("window.fjAwaited") == ["The cell runs. Its card comes here."]
    expect(page.locator(".fj-awaited")).to_have_count(0)
