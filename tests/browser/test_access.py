"""Accessibility of every surface: axe-core over each of them in both themes (all but the main ones in Light are long tests), keys, Escape
and focus in both, less motion where that is asked for."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, ViewportSize, expect

from fal_jupyter.protocol.feed import TABS
from tests.browser.apps import STUDIO
from tests.browser.conftest import EVERY, VIEWPORT, Front
from tests.browser.test_lab import card_of, open_sidebar, opened, tab

AXE = Path(__file__).parents[2] / "labextension" / "node_modules" / "axe-core" / "axe.min.js"
FORMS = '''%%fal_app
from typing import Literal, Optional
from fal.toolkit import Image
from pydantic import BaseModel, Field


class Size(BaseModel):
    width: int = 512
    height: int = 512


class Drawing(BaseModel):
    prompt: str = Field(description="What to draw", examples=["a red fox"])
    style: Literal["oil", "ink"] = "oil"
    steps: int = Field(4, ge=1, le=50)
    strength: float = Field(0.5, ge=0, le=1)
    seed: int = Field(7, ge=0, le=4294967295)
    fast: bool = False
    size: Size = Size()
    other: Optional[Size] = None
    tags: list[str] = []
    image: Optional[Image] = None


class Forms(fal.App):
    """An app with *all* kinds of fields."""

    @fal.endpoint("/")
    def draw(self, drawing: Drawing) -> dict:
        """Draw something."""
        return {"records": [{"name": "a", "n": 1}, {"name": "b", "n": 2}], "value": 0.5, "text": "x" * 300}
'''
DOT = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010806000000"
    "1f15c4890000000d49444154789c6360606060000000050001a5f645400000000049454e44ae426082"
)
BROKEN = """%%fal_app --no-wait
class Broken(fal.App):
    def setup(self):
        raise ValueError("no such weights")

    @fal.endpoint("/")
    def go(self) -> dict:
        return {}
"""
CELLS = ["%load_ext fal_jupyter", STUDIO, FORMS, BROKEN, 'Studio.hi(name="Ada")', 'Forms.draw(prompt="a fox")']
TALL: ViewportSize = {"width": 1500, "height": 6000}  # axe-core does not judge the contrast of what is not in view


def complaints(page: Page, where: str, selector: str = ".fj") -> list[str]:
    """What axe-core finds wrong in what is seen of our surfaces."""
    if not page.evaluate("() => 'axe' in window"):
        assert AXE.is_file(), "axe-core is not here; type: make setup"
        page.add_script_tag(path=AXE)
    # JupyterLab's body has no height and cuts what overflows, so axe-core would take all that is in it for hidden
    page.evaluate("() => { document.body.style.height = '100vh'; }")
    found: list[dict[str, Any]] = page.evaluate(
        "async selector => { const all = [...document.querySelectorAll(selector)].filter(one => one.checkVisibility());"
        " if (!all.length) return [{id: 'nothing', help: 'there is no ' + selector, nodes: []}];"
        " const result = await axe.run({include: all}, {resultTypes: ['violations'], preload: false, iframes: false,"
        " runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa'],"
        " rules: {'label-content-name-mismatch': {enabled: true}}});"
        " return result.violations; }",
        selector,
    )
    return [
        f"{where}: {one['id']}: {node['html'][:160]} | {node['failureSummary'].splitlines()[1].strip()[:200]}"
        for one in found
        for node in one["nodes"] or [{"html": one["help"], "failureSummary": "\n-"}]
    ]


def spread(card: Locator, tabs: tuple[str, ...]) -> None:
    """Show what these tabs have one below the other, so that one look sees all of it: axe-core looks at all of the page, whatever it is asked for."""
    card.scroll_into_view_if_needed()
    for name in tabs:
        tab(card, name)
    card.evaluate(
        "(card, tabs) => { for (const name of tabs) card.querySelector(`[data-panel=${name}]`).hidden = false; }",
        list(tabs),
    )


def set_theme(lab: Front, name: str) -> None:
    lab.theme(name)
    lab.page.wait_for_function(  # its style sheet is here
        "light => { const probe = document.createElement('i'); probe.style.color = 'var(--jp-ui-font-color1)'; document.body.append(probe);"
        " const red = Number(/\\d+/.exec(getComputedStyle(probe).color)[0]); probe.remove(); return light === red < 128; }",
        arg=name == "Light",
        polling=EVERY,
    )


def failed(card: Locator) -> None:
    """Let the app Studio fail, so that its card shows an error."""
    card.locator(".fj-try-form select").first.select_option("/fail")
    card.locator(".fj-run-button").click()
    expect(card.locator(".fj-error-view")).to_be_visible()


def complaints_of_cards(page: Page, studio: Locator, where: str) -> list[str]:
    """What axe-core finds wrong in the cards of the page, of which that of Studio shows all tabs; it must find what is put there to be found."""
    page.evaluate(
        "() => { const probe = document.createElement('div'); probe.className = 'fj fj-probe'; probe.append('pale words', document.createElement('button'));"
        " probe.style.cssText = 'width: 120px; background: #fff; color: #999'; document.querySelector('.fj-card [data-panel=snippets]').prepend(probe); }"
    )
    page.set_viewport_size(TALL)
    found = complaints(page, where, ".fj-card")
    expect(studio.locator("[data-panel]").filter(visible=True)).to_have_count(len(TABS))  # none was hidden meanwhile
    caught = [one for one in found if "pale words" in one or "<button></button>" in one]
    assert [kind for kind in ("color-contrast", "button-name") if kind in "\n".join(caught)] == [
        "color-contrast",
        "button-name",
    ]
    page.evaluate("() => document.querySelector('.fj-probe').remove()")
    page.set_viewport_size(VIEWPORT)
    return [one for one in found if one not in caught]


def complaints_of_surfaces(lab: Front, where: str) -> list[str]:
    """What axe-core finds wrong in the sidebar, the dashboard and its drawer, and in all else of ours that is seen."""
    page = lab.page
    sidebar = open_sidebar(lab)
    expect(sidebar.get_by_role("treeitem").first).to_be_visible()
    lab.command("fal-jupyter:open-dashboard")
    board = page.locator(".fj-dashboard")
    expect(board.locator("tr[data-request]").first).to_be_visible()
    board.locator("tr[data-request]").first.click()
    expect(board.locator(".fj-inspector")).to_be_visible()
    return complaints(page, f"{where}, sidebar, dashboard and its drawer")


def test_axe_finds_nothing_on_card_sidebar_and_dashboard(studio: Front) -> None:
    page = studio.page
    card = card_of(studio)
    failed(card)
    spread(card, TABS)
    found = complaints_of_cards(page, card, "Light, card")
    found += complaints_of_surfaces(studio, "Light")
    page.evaluate("() => document.body.style.removeProperty('height')")
    assert found == [], "\n".join(found)


@pytest.mark.long  # the test above has the main surfaces; here are all of them, in both themes
@pytest.mark.timeout(300)
@pytest.mark.parametrize("theme", ["Light", "Dark"])
def test_axe_finds_nothing_on_any_surface(lab: Front, theme: str) -> None:
    page = lab.page
    lab.write("access.ipynb", CELLS)
    lab.open("access.ipynb")
    lab.run_all(len(CELLS))
    studio = page.locator(".fj-card").first
    studio.scroll_into_view_if_needed()  # a panel draws nothing while it is not seen
    expect(studio.get_by_text("Ready", exact=True)).to_be_visible()
    cards = page.locator(".fj-card")
    expect(cards).to_have_count(3)
    forms, broken = cards.nth(1), cards.nth(2)
    broken.scroll_into_view_if_needed()
    expect(broken).to_contain_text("no such weights")
    failed(studio)
    set_theme(lab, theme)
    long = theme == "Dark"  # it also looks at what is much like another, and at the whole page
    spread(forms, ("snippets", "try") if long else ("try",))
    spread(studio, TABS)
    found = complaints_of_cards(page, studio, f"{theme}, cards")

    def look(where: str, selector: str = ".fj") -> None:
        found.extend(complaints(page, f"{theme}, {where}", selector))

    requests = tab(studio, "requests")
    requests.locator("tr[data-request]").first.click()
    expect(requests.locator(".fj-inspector")).to_be_visible()
    look("inspector", ".fj-inspector")
    studio.get_by_label("More actions").click()
    expect(page.locator('.fj [role="menu"]')).to_be_visible()
    look("menu of a card", '.fj [role="menu"]')
    page.keyboard.press("Escape")
    expect(studio.get_by_label("More actions")).to_be_focused()
    found += complaints_of_surfaces(lab, theme)
    lab.command("fal-jupyter:open-ledger")
    expect(page.locator(".fj-ledger, .fj-panel", has_text="emory").last).to_be_visible()
    look("ledger", ".fj-ledger")
    page.locator(".lm-TabBar-tab", has_text=".ipynb").click()
    studio.scroll_into_view_if_needed()
    studio.get_by_label("Stop the app").click()
    page.locator(".jp-Dialog button.jp-mod-warn").click()
    expect(studio.get_by_role("button", name="Start")).to_be_visible()
    look("stopped", '.fj-card[data-app="studio"]')
    saved = reopened_as_saved(lab, "forms")
    likely = ("outputs", "config", "logs", "try")  # the others are as those of an app that runs
    spread(saved, (*(one for one in TABS if long and one not in likely), *likely))
    page.set_viewport_size(TALL)
    look("saved", '.fj-card[data-app="forms-of-then"]')
    page.set_viewport_size(VIEWPORT)
    for each in ("try", "logs"):
        expect(saved.locator(f'[data-panel="{each}"]')).to_contain_text("as saved")
    if long:
        look("the whole page")
    page.evaluate("() => document.body.style.removeProperty('height')")
    assert found == [], "\n".join(found)


def reopened_as_saved(lab: Front, alias: str) -> Locator:
    """The card of an app in a copy of the open notebook, as it is where its gateway does not run: no app has its name."""
    text: str = lab.page.evaluate("() => JSON.stringify(window.jupyterapp.shell.currentWidget.content.model.toJSON())")
    name = f"{alias}-of-then"
    path = lab.server.directory / "root" / "then.ipynb"
    path.write_text(text.replace(f'"alias":"{alias}"', f'"alias":"{name}"'))
    lab.command("docmanager:open", {"path": "then.ipynb"})
    card = lab.page.locator(f".jp-NotebookPanel:not(.lm-mod-hidden) .fj-card[data-app='{name}']")
    card.scroll_into_view_if_needed()
    expect(card).to_contain_text("Saved state of")
    return card


def test_escape_closes_focus_returns_and_reduced_motion_is_respected(studio: Front) -> None:
    page = studio.page
    card = card_of(studio)

    def closes(opener: Locator, shown: Locator, press: Callable[[], None] | None = None) -> None:
        opener.focus()
        (press or (lambda: page.keyboard.press("Enter")))()
        expect(shown).to_be_visible()
        page.keyboard.press("Escape")
        expect(shown).to_have_count(0)
        expect(opener).to_be_focused()

    closes(card.get_by_label("More actions"), card.get_by_role("menu"))
    card.locator(".fj-load summary").click()
    card.get_by_label("number of calls").fill("101")  # more than start without a question
    closes(card.get_by_role("button", name="Start load"), card.get_by_role("alertdialog"))
    sidebar = open_sidebar(studio)
    row = sidebar.get_by_role("treeitem", name=re.compile("^studio"))
    closes(row, sidebar.get_by_role("menu"), lambda: page.keyboard.press("Shift+F10"))
    probe = (
        "() => { const probe = document.createElement('span'); probe.className = 'fj-live';"
        " document.querySelector('.fj-card').append(probe); const name = getComputedStyle(probe).animationName;"
        " probe.remove(); return name; }"
    )
    assert page.evaluate(probe) == "none"  # the pages of these tests ask for less motion
    page.emulate_media(reduced_motion="no-preference")
    moving = page.evaluate(probe)
    page.emulate_media(reduced_motion="reduce")
    assert moving.startswith("fj-")


STOP = """() => { const it = document.activeElement, style = getComputedStyle(it), box = it.getBoundingClientRect();
  return {inside: !!it.closest('.fj'), name: it.getAttribute('aria-label') || it.labels?.[0]?.textContent || it.textContent || it.title || '',
    html: it.outerHTML.slice(0, 120), ring: style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 1, seen: box.width > 0 && box.height > 0}; }"""


def walk(page: Page, most: int = 60) -> list[dict[str, Any]]:
    """Press Tab through a surface until it is left; what has the focus at each stop."""
    stops: list[dict[str, Any]] = []
    for _ in range(most):
        page.keyboard.press("Tab")
        stop: dict[str, Any] = page.evaluate(STOP)
        if not stop["inside"]:
            break
        stops.append(stop)
    return stops


def every_stop_is_seen(page: Page, chosen: Locator) -> None:
    chosen.focus()
    stops = walk(page)
    assert len(stops) > 10
    assert [stop["html"] for stop in stops if not (stop["ring"] and stop["seen"] and stop["name"].strip())] == []


@pytest.mark.long  # in Light it is a part of the next test
def test_every_stop_of_the_keyboard_is_seen_in_dark_too(lab: Front) -> None:
    card = opened(lab, [CELLS[0], FORMS])
    set_theme(lab, "Dark")
    every_stop_is_seen(lab.page, card.get_by_role("tab", selected=True))


@pytest.mark.long  # test_lab.py reaches everything of the card by keys, the test above has focus and Escape on three surfaces
@pytest.mark.timeout(240)
def test_every_surface_is_used_by_keyboard_alone(lab: Front, tmp_path: Path) -> None:
    page = lab.page
    card = opened(lab, [CELLS[0], FORMS])
    dot = tmp_path / "dot.png"
    dot.write_bytes(DOT)
    chosen = card.get_by_role("tab", selected=True)
    every_stop_is_seen(page, chosen)

    # Try: type, pick a file, take it away, run
    card.get_by_label("prompt").focus()
    page.keyboard.type("a cat")
    picker = card.locator("input[type=file]").first
    with page.expect_file_chooser() as asked:  # from before the focus: Chromium needs a moment to hand choosers over
        picker.focus()
        expect(picker).to_be_focused()
        page.keyboard.press("Space")
    asked.value.set_files(dot)
    remove = card.get_by_label("Remove the image")
    expect(remove).to_be_focused()  # the box that had the focus is gone
    page.keyboard.press("Enter")
    expect(picker).to_be_focused()
    page.keyboard.press("Control+Enter")
    expect(card.locator(".fj-call-line")).to_contain_text("run")

    # tabs by arrows; a request's details by Enter and Escape
    chosen.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    expect(card.get_by_role("tab", name=re.compile("Requests"))).to_be_focused()
    row = card.locator("tr[data-request]").first
    row.focus()
    page.keyboard.press("Enter")
    expect(card.locator(".fj-inspector")).to_be_visible()
    expect(card.locator(".fj-inspector")).to_be_focused()
    expect(card.locator(".fj-inspector")).to_be_in_viewport()
    page.keyboard.press("Escape")
    expect(card.locator(".fj-inspector")).to_have_count(0)
    expect(row).to_be_focused()
    page.keyboard.press("Enter")
    card.locator(".fj-inspector button").last.focus()
    page.keyboard.press("Escape")
    expect(row).to_be_focused()

    # config: a value by arrows of its slider, applied by Enter on the button
    chosen.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    expect(card.get_by_role("tab", name="Config")).to_be_focused()
    card.locator("[data-slider='max_concurrency']").focus()
    page.keyboard.press("ArrowRight")
    card.get_by_role("button", name="Apply 1 live").focus()
    page.keyboard.press("Enter")
    expect(card.locator("[data-panel='config']")).to_contain_text(re.compile("pplied"))

    # dashboard and sidebar
    lab.command("fal-jupyter:open-dashboard")
    board = page.locator(".fj-dashboard")
    other = board.locator("tr[data-request]").first
    other.focus()
    page.keyboard.press("Enter")
    expect(board.locator(".fj-inspector")).to_be_visible()
    page.keyboard.press("Escape")
    expect(other).to_be_focused()
    sidebar = open_sidebar(lab)
    sidebar.get_by_role("treeitem").first.focus()
    page.keyboard.press("ArrowDown")
    expect(sidebar.get_by_role("treeitem").nth(1)).to_be_focused()


def test_a_load_test_is_started_and_shown_while_it_runs(studio: Front, tmp_path: Path) -> None:
    card = card_of(studio)
    card.locator(".fj-load summary").click()
    card.get_by_label("number of calls").fill("30")
    card.get_by_label("calls at a time").fill("3")
    card.get_by_role("button", name="Start load").click()
    expect(card.locator(".fj-load-figures")).to_contain_text("30 of 30")
    expect(card.locator(".fj-load-figures")).to_contain_text("p95")
    expect(card.locator(".fj-load [role=status]")).to_contain_text("30 calls of / in")
    studio.picture("load-light")
    gate = tmp_path / "gate"
    card.locator(".fj-try-form select").first.select_option("/slow")
    card.get_by_label("gate").fill(str(gate))
    card.get_by_label("number of calls").fill("101")
    card.get_by_role("button", name="Start load").click()
    card.get_by_role("alertdialog").get_by_role("button", name="Start").click()
    card.get_by_role("button", name="Stop", exact=True).click()
    expect(card.locator(".fj-load [role=status]")).to_contain_text("Stopped")
    expect(card.locator(".fj-facts")).to_contain_text("ready")


def test_snippets_are_chosen_copied_and_the_launcher_makes_an_app(studio: Front) -> None:
    page = studio.page
    card = card_of(studio)
    snippets = tab(card, "snippets")
    snippets.get_by_label("endpoint").select_option("/stream")
    expect(snippets.locator(".fj-program")).to_contain_text("for piece in Studio.stream.stream(")
    snippets.get_by_role("button", name="JavaScript").click()
    expect(snippets.locator(".fj-program .fj-code-string").first).to_be_visible()
    snippets.get_by_role("button", name="Copy").click()
    expect(snippets.get_by_role("status")).to_have_text("Copied.")
    assert "fal.stream(" in page.evaluate("() => navigator.clipboard.readText()")
    studio.picture("snippets-light")

    studio.command("apputils:activate-command-palette")
    page.locator(".lm-CommandPalette-input").fill("fal: ")
    labels = page.locator(".lm-CommandPalette-item[data-command^='fal-jupyter:'] .lm-CommandPalette-itemLabel")
    assert labels.all_text_contents()
    assert all(label.startswith("fal: ") for label in labels.all_text_contents())
    page.keyboard.press("Escape")

    studio.command("launcher:create")
    icons = page.locator(".jp-LauncherCard", has_text=re.compile("fal")).locator("svg")
    drawn = [icon.inner_html() for icon in icons.all()]
    assert len(drawn) == len(set(drawn))
    page.locator(".jp-LauncherCard", has_text="New fal App").click()
    dialog = page.locator(".jp-Dialog")
    dialog.locator("select").select_option(label="Stream: An app that gives its answer word by word")
    dialog.locator("button.jp-mod-accept").click()
    expect(page.locator(".lm-TabBar-tabLabel", has_text="teller.ipynb")).to_be_visible()
    expect(page.locator(".jp-NotebookPanel:visible .cm-content", has_text="class Teller")).to_be_visible()
