"""The Try tab as a newcomer meets it: one page, one app with what forms have to cope with."""

from __future__ import annotations

import base64
import re
from pathlib import Path

import pytest
from playwright.sync_api import Locator, expect

from tests.browser.apps import LOAD
from tests.browser.conftest import EVERY, VIEWPORT, Front
from tests.browser.test_lab import notebook_of, tab

PAINTER = '''%%fal_app
import time
from pathlib import Path
from typing import Annotated, Literal, Optional
from fal.toolkit import Image, ImageField
from fastapi import Form, UploadFile
from pydantic import BaseModel, Field
from tqdm import tqdm


class Size(BaseModel):
    """A size."""
    width: int = Field(default=512, ge=64, le=2048, multiple_of=8)


class Brief(BaseModel):
    prompt: str = Field(description="What to paint", examples=["a fox", "an owl"])
    seed: int | None = Field(default=None, ge=0, le=2**32 - 1)
    steps: int = Field(default=4, ge=1, le=8)
    size: Optional[Size] = None
    sizes: list[Size] = []
    shape: Size | Literal["square", "wide"] = "square"
    cover: str = ImageField(default="")
    photo: Image | None = None


class Painter(fal.App):
    max_concurrency = 1

    @fal.endpoint("/zeta")
    def zeta(self, brief: Brief) -> dict:
        """Paint **one** picture.

        It takes a moment."""
        return {"seed": brief.seed, "cover": len(brief.cover), "size": brief.size, "sizes": brief.sizes, "shape": brief.shape,
                "prompt": brief.prompt}

    @fal.endpoint("/alpha")
    def alpha(self, image: Image) -> dict:
        return {"mode": image.to_pil().mode, "pixels": list(image.to_pil().size)}

    @fal.endpoint("/send")
    def send(self, file: UploadFile, title: Annotated[str, Form()], more: list[UploadFile] = []) -> dict:
        return {"name": file.filename, "type": file.content_type, "size": file.size, "title": title, "more": [f.filename for f in more]}

    @fal.endpoint("/slow")
    def slow(self, gate: str = "") -> dict:
        print("warming up")
        for _ in tqdm(range(10), desc="Painting", mininterval=0):
            while _ == 4 and not Path(gate).exists():
                time.sleep(0.02)
        return {"painted": True}
'''
PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


def choose(card: Locator, path: str) -> None:
    card.locator(".fj-try-form select").first.select_option(path)


def run(card: Locator) -> Locator:
    """Press Run, and give the header of what comes."""
    card.locator(".fj-run-button").click()
    return card.locator(".fj-trial-title").last


def test_a_newcomer_tries_an_app(lab: Front, tmp_path: Path) -> None:
    page = lab.page
    lab.write("painter.ipynb", [LOAD, PAINTER, 'Painter.zeta(prompt="from a cell", seed=5)'])
    lab.open("painter.ipynb")
    lab.run_all(3)
    card = page.locator(".fj-card").first
    form = card.locator(".fj-try-form")

    # the first endpoint of the source, its docstring, its examples
    expect(form.locator("select").first).to_have_value("/zeta")
    expect(form.locator(".fj-doc strong")).to_have_text("one")
    prompt = form.get_by_label("prompt")
    expect(prompt).to_have_value("a fox")
    prompt.fill("")
    card.locator(".fj-run-button").click()
    expect(form.get_by_text("It is required.")).to_be_visible()
    expect(prompt).to_be_focused()
    form.get_by_role("button", name="an owl").click()
    expect(form.locator('input[type="range"]')).to_have_count(1)
    form.get_by_label("a random seed").click()
    expect(form.get_by_label("seed", exact=True)).to_have_value(re.compile(r"\d+"))
    form.get_by_label("seed", exact=True).fill("1")
    form.get_by_role("switch", name="size").check()
    form.get_by_label("width").first.fill("640")
    form.get_by_role("button", name="Add an item").click()
    photo = tmp_path / "fox.png"
    photo.write_bytes(PIXEL)
    form.get_by_label("cover", exact=True).set_input_files(photo)
    expect(form.locator(".fj-picked:visible")).to_contain_text("fox.png")
    expect(form.locator("img.fj-thumb")).to_be_visible()
    expect(form.locator(".fj-picked:visible")).to_contain_text("1 × 1")
    title = run(card)
    expect(title).to_contain_text("Result")
    answer = card.locator(".fj-answer").last
    for text in ("seed: 1", 'shape: "square"', "width: 640", 'prompt: "an owl"'):
        expect(answer).to_contain_text(text)
    page.locator(".jp-Cell").nth(1).evaluate("cell => cell.scrollIntoView({block: 'end'})")
    lab.picture("try-form-light")

    # again with another seed, beside the first
    form.get_by_label("seed", exact=True).fill("2")
    form.get_by_label("seed", exact=True).press("Control+Enter")
    expect(answer).to_contain_text("seed: 2")
    card.get_by_role("button", name="Compare").click()
    expect(card.locator(".fj-answer")).to_have_count(2)
    expect(card.locator(".fj-trial-changes", has_text="seed 1 → 2")).to_be_visible()
    lab.picture("try-compare-light")
    card.get_by_role("button", name="Compare").click()

    # the cell runs again with another default: what was typed stays, the changed field begins anew, the result is of before
    form.get_by_label("steps").last.fill("8")
    page.evaluate(
        "text => window.jupyterapp.shell.currentWidget.content.widgets[1].model.sharedModel.setSource(text)",
        PAINTER.replace("steps: int = Field(default=4", "steps: int = Field(default=5"),
    )
    lab.begin()
    lab.ran(6)
    expect(form.get_by_label("steps").last).to_have_value("5")
    expect(form.get_by_label("seed", exact=True)).to_have_value("2")
    expect(prompt).to_have_value("an owl")
    expect(form.get_by_label("width").first).to_have_value("640")
    expect(form.locator(".fj-picked:visible")).to_contain_text("fox.png")
    expect(form.locator("img.fj-thumb")).to_be_visible()
    expect(card.locator(".fj-trial-note")).to_contain_text("r1 gave it; r2 serves now.")
    lab.picture("try-again-light")

    # a lone picture is one picker
    choose(card, "/alpha")
    expect(form.locator(".fj-fields label")).to_have_text(["image *"])
    card.locator(".fj-run-button").click()
    expect(form.get_by_text("An image is required.")).to_be_visible()
    form.get_by_label("image", exact=False).first.set_input_files(photo)
    expect(form.locator("img.fj-thumb")).to_be_visible()
    run(card)
    expect(answer).to_contain_text('mode: "RGB')
    lab.picture("try-upload-light")

    # a form: a file is sent itself, with its name
    choose(card, "/send")
    card.locator(".fj-run-button").click()
    expect(form.get_by_text("A file is required.")).to_be_visible()
    form.get_by_label("file *", exact=True).set_input_files(photo)
    expect(form.locator(".fj-picked:visible")).to_contain_text("fox.png")
    form.get_by_label("title *", exact=True).fill('a "fox" é')
    run(card)
    for text in ('name: "fox.png"', 'type: "image/png"', f"size: {len(PIXEL)}", "é"):
        expect(answer).to_contain_text(text)
    lab.picture("try-file-light")
    expect(tab(card, "snippets").locator(".fj-program")).to_contain_text('file=Path("fox.png")')
    lab.picture("snippets-file-light")
    tab(card, "try")

    # a call on its way: its own header, clock, progress; Cancel
    gate = tmp_path / "gate"
    choose(card, "/slow")
    form.get_by_label("gate").fill(str(gate))
    title = run(card)
    expect(title).to_contain_text("running")
    expect(title).not_to_contain_text("Result")
    expect(card.locator(".fj-call-line")).to_be_empty()
    expect(card.get_by_role("progressbar", name="Painting")).to_have_attribute("aria-valuenow", "40")
    expect(card.locator(".fj-running-tail")).to_have_text("warming up")
    lab.picture("try-running-light")
    card.get_by_role("button", name="Cancel").click()
    expect(title).to_contain_text("cancelled")
    expect(card.locator(".fj-run-button")).to_be_focused()  # it took the place of Cancel

    # any recorded request is edited and run again
    row = tab(card, "requests").locator("tr[data-request]", has_text="/zeta").last
    for width in (800, 1100):  # the header of the bars is whole
        lab.page.set_viewport_size({"width": width, "height": 1000})
        cut = "e => [e, ...e.children].filter(one => one.scrollWidth > one.clientWidth + 1 && one.clientWidth).length"
        assert card.locator(".fj-scale-head").evaluate(cut) == 0, width
    lab.page.set_viewport_size(VIEWPORT)
    row.evaluate(
        "row => row.dispatchEvent(new CustomEvent('fj-edit-request', {bubbles: true, composed: true, cancelable: true,"
        " detail: {alias: 'painter', id: row.dataset.request}}))"
    )
    expect(prompt).to_be_visible()
    expect(prompt).to_have_value("from a cell")
    expect(form.get_by_label("seed", exact=True)).to_have_value("5")
    prompt.fill("edited")
    run(card)
    expect(answer).to_contain_text('prompt: "edited"')


@pytest.mark.long  # test_lab.py has a page that is opened again while a call runs
def test_a_page_that_is_opened_again_has_the_endpoint_the_input_and_the_result(lab: Front) -> None:
    page = lab.page
    lab.write("painter.ipynb", [LOAD, PAINTER])
    lab.open("painter.ipynb")
    lab.run_all(2)
    card = page.locator(".fj-card").first
    card.scroll_into_view_if_needed()  # a card draws nothing while it is not seen
    prompt, answer = card.locator(".fj-try-form").get_by_label("prompt"), card.locator(".fj-answer").last
    prompt.fill("edited")
    run(card)
    expect(answer).to_contain_text('prompt: "edited"')
    lab.command("docmanager:save")
    page.wait_for_function("() => !window.jupyterapp.shell.currentWidget.context.model.dirty", polling=EVERY)
    choose(card, "/alpha")
    lab.load(notebook_of(lab))
    card.scroll_into_view_if_needed()
    expect(prompt).to_have_value("edited")
    expect(answer).to_contain_text('prompt: "edited"')
    lab.theme("Dark")
    page.locator(".jp-Cell").nth(1).evaluate("cell => cell.scrollIntoView({block: 'end'})")
    lab.picture("try-form-dark")
    lab.theme("Light")
