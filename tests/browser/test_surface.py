"""The card's surface holds still and hides nothing: notices of long names, changed settings, the tab that was saved."""

from __future__ import annotations

import json
import re

import pytest
from playwright.sync_api import Locator, expect

from tests.browser.apps import LOAD
from tests.browser.conftest import EVERY, Front

NAME = "A" + "verylongname" * 9
LONG = f"""%%fal_app
class {NAME}(fal.App):
    @fal.endpoint("/")
    def {"an_endpoint_" * 12}(self) -> str:
        return "here"
"""
REFUSING = """%%fal_app
from pydantic import BaseModel, field_validator

class Size(BaseModel):
    width: int = 8

    @field_validator("width", mode="before")
    @classmethod
    def known(cls, width):
        if width == 8: raise ValueError("no such size")
        return width

class Wish(BaseModel):
    size: Size
    words: list[str] = ["a", "bad"]

    @field_validator("words", mode="before")
    @classmethod
    def known(cls, words):
        if "bad" in words: raise ValueError("no such word")
        return words

class Refusing(fal.App):
    @fal.endpoint("/")
    def make(self, wish: Wish) -> str:
        return "made"
"""
CUT = "node => [node, ...node.querySelectorAll('*')].some(e => e.scrollHeight > e.clientHeight + 1 && getComputedStyle(e).overflowY !== 'visible')"
# The heights of all rows, once they have been the same for ten frames: JupyterLab lays a page of another size out bit by bit.
ROWS = """async node => {
    const now = () => JSON.stringify([...node.children].map(e => Math.round(e.getBoundingClientRect().height * 10) / 10));
    let before = now();
    for (let same = 0; same < 10; same++) {
        await new Promise(requestAnimationFrame);
        if (now() !== before) [before, same] = [now(), -1];
    }
    return JSON.parse(before);
}"""
WIDTHS = (1440, 1100, 800)


def heights(config: Locator) -> list[float]:
    found: list[float] = config.evaluate(ROWS)
    return found


@pytest.mark.long  # labextension/test card_states.test.mjs and saving.test.mjs have the tab that is saved; of layout, the other tests have usual names
def test_a_long_notice_is_whole_settings_keep_their_rows_and_the_tab_in_front_is_saved(lab: Front) -> None:
    path = lab.write("surface.ipynb", [LOAD, LONG])
    lab.open("surface.ipynb")
    lab.run_all(2)
    page = lab.page
    card = page.locator(".fj-card")
    notice = card.locator(".fj-card-notice")
    expect(notice).to_contain_text("No call yet")
    assert notice.locator(f'[title="{NAME}"]').count() == 1
    normal = page.viewport_size or {"width": 1440, "height": 900}
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        assert not notice.evaluate(CUT), width
    page.set_viewport_size(normal)
    assert (card.locator(".fj-head").bounding_box() or {})["height"] < 60  # its actions stay in a row
    card.locator('[data-tab="config"]').click()
    config = card.locator(".fj-config")
    keep_alive = config.locator('[data-option="keep_alive"]')
    for width, theme in zip(WIDTHS, ("Dark", "Light"), strict=False):
        page.set_viewport_size({"width": width, "height": 900})
        before = heights(config)
        keep_alive.fill("77")
        expect(config.get_by_role("button", name="Undo keep_alive")).to_be_visible()
        lab.theme(theme)
        lab.picture(f"surface-{width}-{theme.lower()}")
        assert heights(config) == before, width
        config.get_by_role("button", name="Undo keep_alive").click()
    page.set_viewport_size(normal)
    lab.command("docmanager:save")
    page.wait_for_function("() => !window.jupyterapp.shell.currentWidget.context.model.dirty", polling=EVERY)
    page.wait_for_function(
        'async a => JSON.stringify(await (await fetch(a)).json()).includes(\'"front":"config"\')',
        arg=f"{lab.base}api/contents/surface.ipynb",
        polling=EVERY,
    )
    lab.load("surface.ipynb")
    expect(page.locator('.fj-card [data-tab="config"]')).to_have_attribute("aria-selected", "true")
    assert json.loads(path.read_text())["cells"][1]["outputs"]


def test_a_refused_input_is_marked_at_its_fields(lab: Front) -> None:
    lab.write("refused.ipynb", [LOAD, REFUSING])
    lab.open("refused.ipynb")
    lab.run_all(2)
    card = lab.page.locator(".fj-card")
    card.locator(".fj-run-button").click()
    errors = card.locator(".fj-fields .fj-error:visible")
    expect(errors).to_have_text([re.compile("no such size"), re.compile("no such word")])
    first = card.get_by_role("textbox", name="width")
    expect(first).to_be_focused()
    expect(first).to_have_attribute("aria-invalid", "true")
    expect(card.locator(".fj-answer")).to_contain_text("size.width")
    lab.pictures("refused")
    first.fill("9")
    expect(errors).to_have_text([re.compile("no such word")])
