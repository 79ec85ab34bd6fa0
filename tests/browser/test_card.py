"""The card through an app's life in JupyterLab: its first start, a setup that fails and is mended, its end, and a saved notebook."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator, expect

from tests.browser.apps import LOAD
from tests.browser.conftest import Front

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
SLOW = """%%fal_app
import pathlib, time
class Slow(fal.App):
    def setup(self):
        print("loading weights")
        while not pathlib.Path("GATE").exists(): time.sleep(0.01)

    @fal.endpoint("/zeta")
    def zeta(self, word: str = "z") -> str:
        return word

    @fal.endpoint("/alpha")
    def alpha(self) -> str:
        return "a"
"""
BROKEN = """%%fal_app
class Broken(fal.App):
    def setup(self):
        self.weights = open("/no/such/weights")

    @fal.endpoint("/")
    def hi(self) -> str:
        return "hi"
"""
ACTIVE = "window.jupyterapp.shell.currentWidget.content"


def cell(lab: Front, number: int) -> Locator:
    return lab.page.locator(".jp-NotebookPanel .jp-CodeCell").nth(number)


def run(lab: Front, number: int) -> Locator:
    """Run one cell, without waiting for its end."""
    lab.page.wait_for_function(
        "() => { const s = window.jupyterapp.shell.currentWidget?.context?.sessionContext, k = s?.session?.kernel;"
        " return s?.isReady && k?.connectionStatus === 'connected' && k?.status === 'idle'; }"
    )
    lab.page.evaluate(
        "n => { const { shell, commands } = window.jupyterapp; shell.currentWidget.content.activeCellIndex = n;"
        " void commands.execute('notebook:run-cell'); }",
        number,
    )
    return cell(lab, number)


def idle(lab: Front) -> None:
    expect(lab.page.locator(".jp-InputPrompt", has_text="[*]:")).to_have_count(0, timeout=60_000)


def box(place: Locator) -> Any:
    found = place.bounding_box()
    assert found
    return found


def dirty(lab: Front) -> bool:
    return bool(lab.page.evaluate("window.jupyterapp.shell.currentWidget.context.model.dirty"))


@pytest.mark.timeout(300)
def test_the_life_of_an_app_on_its_card(lab: Front, tmp_path: Path) -> None:
    page, gate = lab.page, tmp_path / "gate"
    name = "life.ipynb"
    lab.write(name, [LOAD, SLOW.replace("GATE", str(gate)), "'between'", BROKEN])
    lab.open(name)
    run(lab, 0)
    idle(lab)

    # there at once: its steps, and what setup() prints, once
    first = run(lab, 1)
    card = first.locator(".fj-card")
    expect(card.locator(".fj-head-state")).to_have_text("Starting")
    expect(card.locator(".fj-card-steps li[aria-current]")).to_contain_text(re.compile(r"setup\(\) \d"))
    expect(first.locator(".jp-OutputArea").get_by_text("loading weights")).to_have_count(1)
    chip = first.locator(".fj-cell-chip")
    expect(chip).to_contain_text(re.compile(r"r1 setup \d+ s"))
    facts, begun = box(card.locator(".fj-facts")), box(card)
    lab.picture("card-starting-light")
    gate.touch()
    expect(card.locator(".fj-head-state")).to_have_text("Ready")
    idle(lab)
    expect(first.locator(".fj-card")).to_have_count(1)
    assert box(card.locator(".fj-facts"))["height"] == facts["height"]
    assert box(card)["height"] >= begun["height"]
    expect(card.locator(".fj-card-notice")).to_contain_text("No call yet. Press Run, or call Slow.zeta(…) in a cell.")

    # the endpoints in the order of the source, the first one chosen
    expect(card.locator(".fj-facts")).to_contain_text("/zeta · /alpha")
    options = card.locator(".fj-try-form select").first
    assert options.locator("option").all_inner_texts() == ["POST /zeta", "POST /alpha"]
    expect(options).to_have_value("/zeta")

    # the chip stays within its own cell, beside the toolbar of the active one
    expect(chip).to_contain_text("r1 · 1 ready")
    for chosen in (1, 2):
        cell(lab, chosen).locator(".jp-InputPrompt").click()
        toolbar = cell(lab, chosen).locator(".jp-cell-toolbar")
        expect(toolbar).to_be_visible()
        expect(chip).to_be_visible()
        if chosen == 1:
            page.wait_for_function(
                "cell => { const a = cell.querySelector('.fj-cell-chip').getBoundingClientRect(),"
                " b = cell.querySelector('.jp-cell-toolbar').getBoundingClientRect();"
                " return a.right <= b.left || a.left >= b.right || a.top >= b.bottom || a.bottom <= b.top; }",
                arg=first.element_handle(),
            )
        inside, outside = box(chip), box(first)
        assert inside["y"] >= outside["y"]
        assert inside["y"] + inside["height"] <= outside["y"] + outside["height"]
    lab.picture("chip-light")

    # a setup that fails: the user's frame, what happens next, the way to the line
    broken = run(lab, 3)
    crash = broken.locator(".fj-card")
    crash.scroll_into_view_if_needed()  # a card draws nothing while it is not seen
    expect(crash.locator(".fj-head-state")).to_have_text("Failing")
    idle(lab)
    expect(crash.locator(".fj-card-notice")).to_contain_text("The app goes on trying by itself")
    expect(crash.locator(".fj-here")).to_contain_text('self.weights = open("/no/such/weights")')
    expect(crash.get_by_role("button", name="Retry now")).to_be_visible()
    expect(broken.locator(".fj-cell-chip")).to_contain_text("r1 failed: FileNotFoundError")
    crash.scroll_into_view_if_needed()
    lab.picture("card-crash-light")
    lab.command("apputils:change-theme", {"theme": "JupyterLab Dark"})
    page.wait_for_selector("body[data-jp-theme-light='false']", state="attached")
    lab.picture("card-crash-dark")
    lab.command("apputils:change-theme", {"theme": "JupyterLab Light"})
    page.wait_for_selector("body[data-jp-theme-light='true']", state="attached")
    crash.get_by_role("button", name="Go to line 4").click()
    page.wait_for_function(
        f"() => {ACTIVE}.activeCellIndex === 3 && {ACTIVE}.activeCell.editor.getCursorPosition().line === 3"
    )

    # mended
    page.evaluate("text => " + ACTIVE + ".widgets[3].model.sharedModel.setSource(text)", BROKEN.replace("open", "str"))
    run(lab, 3)
    expect(crash.locator(".fj-head-state")).to_have_text("Ready")
    idle(lab)
    expect(broken.locator(".fj-cell-chip")).to_contain_text("r2 · 1 ready")

    # options that were changed are written into the class
    crash.locator('[data-tab="config"]').click()
    crash.locator('[data-option="max_concurrency"]').fill("3")
    crash.get_by_role("button", name="Write to cell").click()
    expect(crash.locator(".fj-config-told")).to_contain_text("Written to the cell: max_concurrency = 3")
    source = page.evaluate(f"{ACTIVE}.widgets[3].model.sharedModel.getSource()")
    assert "class Broken(fal.App):\n    max_concurrency = 3\n" in source
    expect(broken.locator(".fj-cell-chip")).to_contain_text("r2 serves · edited")

    # after its owner's end a saved card is a grey picture; its button runs its cell
    lab.command("docmanager:save")
    page.wait_for_function("() => !window.jupyterapp.shell.currentWidget.context.model.dirty")
    for kernel in lab.server.request("api/kernels").json:
        lab.server.request(f"api/kernels/{kernel['id']}", method="DELETE")
    lab.open(name)
    saved = cell(lab, 1).locator(".fj-card")
    expect(saved.locator(".fj-head-state")).to_have_text("Ready, saved")
    expect(saved.locator(".fj-head-state .fj-ok")).to_have_count(0)
    assert not dirty(lab)
    lab.picture("card-saved-light")
    run(lab, 0)
    idle(lab)
    saved.get_by_role("button", name="Run its cell").click()
    expect(cell(lab, 1).locator(".fj-card .fj-head-state")).to_have_text("Ready")
    idle(lab)


def test_opening_the_tour_leaves_it_unmodified(lab: Front) -> None:
    for file in ("tour.ipynb", "sentences.txt"):
        shutil.copy(NOTEBOOKS / file, lab.server.directory / "root" / file)
    lab.open("tour.ipynb")
    card = lab.page.locator(".fj-card").first
    card.scroll_into_view_if_needed()
    expect(card).to_be_visible()
    assert not dirty(lab)
