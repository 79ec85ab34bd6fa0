"""Two notebooks with one app: who has it, and what the other one's card says; and what a killed kernel leaves of its calls."""

from __future__ import annotations

import json
import os
import re
import signal
from pathlib import Path

import pytest
from playwright.sync_api import Locator, expect

from tests.browser.apps import LOAD
from tests.browser.conftest import EVERY, OPENED, Front
from tests.browser.test_card import idle, run
from tests.browser.test_lab import call_slow, card_of, open_sidebar, tab

SHARED = """%%fal_app --take-over
class Shared(fal.App):
    @fal.endpoint("/")
    def hi(self) -> str:
        return "from NAME"
"""
SAVED = "() => [...window.jupyterapp.shell.widgets('main')].every(one => !one.context?.model.dirty)"
GREY = "element => getComputedStyle(element).color"


def show(lab: Front, name: str) -> Locator:
    """Bring a notebook to the front beside those that are open, and give its panel."""
    lab.page.evaluate("path => void window.jupyterapp.commands.execute('docmanager:open', { path })", name)
    lab.page.wait_for_function(OPENED, arg=name, polling=EVERY)
    return lab.page.locator(".jp-NotebookPanel:not(.lm-mod-hidden)")


def saved_card(path: Path) -> dict[str, object]:
    outputs = json.loads(path.read_text())["cells"][1]["outputs"]
    (card,) = [data for one in outputs for kind, data in one["data"].items() if "fal-jupyter.card" in kind]
    return dict(card["picture"]["app"])


def says_who_has_it(lab: Front, place: Locator) -> None:
    """The first notebook's card and chip are grey, and name the second."""
    state = place.locator(".fj-card .fj-head-state")
    expect(state).to_have_text("Taken over by two.ipynb")
    expect(place.locator(".fj-cell-chip").last).to_contain_text("taken over by two.ipynb")
    expect(place.locator(".fj-card-notice")).to_contain_text("This app is of two.ipynb now")
    for one in (state.locator(".fj-pending").first, place.locator(".fj-cell-chip .fj-pending").first):
        red, green, blue = map(int, re.findall(r"\d+", one.evaluate(GREY))[:3])
        assert max(red, green, blue) - min(red, green, blue) < 40


@pytest.mark.long  # labextension/test card_states.test.mjs and chip.test.mjs have what is said and asked, tests/e2e/test_take_over.py the change of owner
@pytest.mark.timeout(300)
def test_a_card_says_who_took_its_app_over_after_a_save_and_a_reload_too(lab: Front) -> None:
    page = lab.page
    first = lab.write("one.ipynb", [LOAD, SHARED.replace("NAME", "one")])
    lab.write("two.ipynb", [LOAD, SHARED.replace("NAME", "two")])
    lab.open("one.ipynb")
    lab.run_all(2)
    expect(page.locator(".fj-card .fj-head-state")).to_have_text("Ready")
    place = show(lab, "two.ipynb")
    run(lab, 0)
    idle(lab)
    run(lab, 1)
    idle(lab)
    expect(place.locator(".fj-card .fj-head-state")).to_have_text("Ready")

    place = show(lab, "one.ipynb")
    for theme in ("Dark", "Light"):
        lab.theme(theme)
        says_who_has_it(lab, place)
        lab.picture(f"taken-over-{theme.lower()}")
    for label, word in (("Restart the runners, one after another", "Restart"), ("Stop the app", "Stop")):
        place.locator(".fj-card").get_by_label(label).click()
        dialog = page.get_by_role("dialog")
        expect(dialog).to_contain_text(f"{word} shared of two.ipynb?")
        dialog.get_by_role("button", name="Cancel").click()
    expect(place.locator(".fj-card-notice")).to_contain_text("To have it back, run cell [2] again.")
    button = place.locator(".fj-run-button")
    expect(button).not_to_have_class(re.compile("fj-primary"))
    button.click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("Send this to shared of two.ipynb?")
    lab.picture("taken-over-asks")
    dialog.get_by_role("button", name="Cancel").click()
    expect(place.locator(".fj-trial")).to_have_count(0)
    row = open_sidebar(lab).locator('[data-key="app:shared"]')
    expect(row).to_have_count(1)
    expect(row.locator("strong")).to_have_attribute("title", "shared of two.ipynb")
    lab.command("fal-jupyter:open-dashboard")
    expect(page.locator(".fj-dashboard")).to_contain_text("two.ipynb")
    expect(page.locator(".fj-dashboard")).not_to_contain_text("one.ipynb")

    # the kernel draws its cards again after each cell, and would for a save: a picture of the new owner is of another app
    place = show(lab, "one.ipynb")
    run(lab, 0)
    idle(lab)
    says_who_has_it(lab, place)
    page.evaluate("() => window.jupyterapp.commands.execute('docmanager:save-all')")
    page.wait_for_function(SAVED, polling=EVERY)
    assert saved_card(first)["owner_name"] == "one.ipynb"
    says_who_has_it(lab, place)
    lab.load("one.ipynb")
    place = page.locator(".jp-NotebookPanel:not(.lm-mod-hidden)")
    says_who_has_it(lab, place)

    # and back
    run(lab, 1)
    idle(lab)
    expect(place.locator(".fj-card .fj-head-state")).to_have_text("Ready")
    expect(place.locator(".fj-cell-chip").last).to_contain_text("1 ready")
    row = open_sidebar(lab).locator('[data-key="app:shared"]')  # what is hidden is not drawn
    expect(row.locator("strong")).to_have_attribute("title", "shared of one.ipynb")
    place = show(lab, "two.ipynb")
    expect(place.locator(".fj-card .fj-head-state")).to_have_text("Taken over by one.ipynb")


def test_a_call_of_a_killed_kernel_is_shown_as_lost(studio: Front, tmp_path: Path) -> None:
    card = card_of(studio)
    call_slow(card, tmp_path / "never")
    requests = tab(card, "requests")
    row = requests.locator("tr[data-request]").first
    expect(row).to_contain_text("running")
    row.click()
    inspector = requests.locator(".fj-inspector")
    expect(inspector.get_by_role("button", name="Cancel")).to_be_visible()
    owner = studio.server.request("fal/api/apps").json
    (app,) = [one for one in (owner["apps"] if isinstance(owner, dict) else owner) if one["alias"] == "studio"]
    os.kill(app["owner_pid"], signal.SIGKILL)
    for place in (row, inspector):
        expect(place).to_contain_text(re.compile("lost|failed", re.IGNORECASE))
    expect(inspector).to_contain_text("lost: the app ended while it had the request")
    expect(inspector.get_by_role("button", name="Cancel")).to_have_count(0)
