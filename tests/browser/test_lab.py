"""JupyterLab as a user has it: the card, its tabs, sidebar, dashboard, status bar, chip, launcher, palette, running sessions."""

from __future__ import annotations

import itertools
import json
import os
import re
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator, expect

from fal_jupyter.protocol.feed import MIME
from tests.browser.apps import CELLS, LOAD, STUDIO
from tests.browser.conftest import CLOSE, EVERY, Front
from tests.browser.test_card import restarted
from tests.support.serve import runners

_numbers = itertools.count()


def opened(lab: Front, cells: list[str] = CELLS) -> Locator:
    """Open a notebook of these cells, run them all, and give its card."""
    lab.write(name := f"w{next(_numbers)}.ipynb", cells)
    lab.open(name)
    lab.run_all(len(cells))
    card = lab.page.locator(".fj-card").first
    expect(card.get_by_text("Ready", exact=True)).to_be_visible()
    return card


def card_of(studio: Front) -> Locator:
    """The card of the app that the fixture ``studio`` has, at Try with its first endpoint and Load folded."""
    card = studio.page.locator(".fj-card").first
    card.scroll_into_view_if_needed()
    tab(card, "try")
    card.locator(".fj-try-form select").first.select_option("/")
    card.evaluate(
        "card => { for (const one of card.querySelectorAll('details.fj-load, .fj-load details')) one.open = false; }"
    )
    return card


def tab(card: Locator, name: str) -> Locator:
    """Choose a tab, and give its panel."""
    card.locator(f'[data-tab="{name}"]').click()
    return card.locator(f'[data-panel="{name}"]')


def notebook_of(lab: Front) -> str:
    path: str = lab.page.evaluate("() => window.jupyterapp.shell.currentWidget.context.path")
    return path


def open_sidebar(lab: Front) -> Locator:
    lab.page.locator("li.lm-TabBar-tab[data-id='fal-jupyter-sidebar']").click()
    return lab.page.locator("#fal-jupyter-sidebar")


def call_slow(card: Locator, gate: Path, path: str = "/slow") -> None:
    card.locator(".fj-try-form select").first.select_option(path)
    card.get_by_label("gate").fill(str(gate))
    card.locator(".fj-run-button").click()


def test_the_card_of_a_running_app(studio: Front, tmp_path: Path) -> None:
    page = studio.page
    card = card_of(studio)

    # facts, address below the server's own base URL
    expect(card.locator(".fj-facts")).to_contain_text(re.compile(r"\d ready"))
    output = page.locator(".jp-OutputArea-output pre").last
    expect(output).to_contain_text(f"http://{studio.server.host}{studio.server.base_url}fal/run/")

    # Try: a value, its timing, what it printed
    card.get_by_label("name").fill("Grace")
    card.get_by_label("times").fill("many")
    card.locator(".fj-run-button").click()
    expect(card.locator(".fj-try-form .fj-error").filter(has_text="whole number")).to_be_visible()
    card.get_by_label("times").fill("3")
    card.get_by_label("times").press("Control+Enter")
    expect(card.locator(".fj-answer")).to_contain_text('"Hello, Grace"')
    expect(card.locator(".fj-call-line")).to_contain_text(re.compile(r"run [\d.<]+ ms"))
    page.locator(".jp-Cell").nth(1).evaluate("cell => cell.scrollIntoView({block: 'end'})")
    studio.picture("card-light")

    # an error: the user's own line first, the whole traceback on demand
    card.locator(".fj-try-form select").first.select_option("/fail")
    card.locator(".fj-run-button").click()
    error = card.locator(".fj-error-view")
    expect(error).to_contain_text("ZeroDivisionError")
    expect(error.locator(".fj-here")).to_contain_text('return {"never": secret / 0}')

    # a stream, shown while it comes
    gate = tmp_path / "gate"
    call_slow(card, gate, "/stream")
    expect(card.locator(".fj-stream")).to_contain_text('"step": 1')
    expect(card.locator(".fj-stream")).not_to_contain_text('"step": 2')
    gate.touch()
    expect(card.locator(".fj-stream")).to_contain_text('"step": 2')

    # requests and the inspector
    requests = tab(card, "requests")
    expect(requests.locator("tr[data-request]").first).to_contain_text("/stream")
    requests.get_by_role("button", name="failed").click()
    expect(requests.locator("tr[data-request]")).to_have_count(1)
    requests.locator("tr[data-request]").first.click()
    inspector = requests.locator(".fj-inspector")
    expect(inspector).to_contain_text("ZeroDivisionError")
    expect(inspector).to_contain_text("a panel")
    studio.picture("requests-light")

    # logs and snippets
    logs = tab(card, "logs")
    expect(logs.locator(".fj-log")).to_contain_text("greeting Grace")
    logs.get_by_label("Filter the lines").fill("greeting Ada")
    expect(logs.locator(".fj-log")).not_to_contain_text("Grace")
    snippets = tab(card, "snippets")
    expect(snippets.locator(".fj-code")).to_contain_text("Studio.stream.stream(")
    snippets.get_by_role("button", name="curl").click()
    snippets.get_by_role("button", name="Make a key").click()
    expect(snippets.locator(".fj-code")).to_contain_text(re.compile(r"Authorization: Key fjk_\w+:\w+"))
    expect(snippets.locator(".fj-code")).to_contain_text("http://127.0.0.1:")


def drag(slider: Locator, until: Callable[[], bool]) -> None:
    """Take a slider's thumb with the mouse and move it to the right, pixel by pixel, until that is so."""
    slider.scroll_into_view_if_needed()
    place, mouse = slider.bounding_box(), slider.page.mouse
    assert place is not None
    thumb = 8  # half of it; the track begins and ends there
    share = int(slider.input_value()) / 1000
    x, y = place["x"] + thumb + share * (place["width"] - 2 * thumb), place["y"] + place["height"] / 2
    mouse.move(x, y)
    mouse.down()
    for _ in range(int(place["width"])):
        if until():
            break
        x += 1
        mouse.move(x, y)
    mouse.up()
    assert until()


def test_config_is_applied_live_and_runners_follow(studio: Front) -> None:
    card = card_of(studio)
    config = tab(card, "config")

    config.locator('[data-option="min_concurrency"]').fill("2")
    config.get_by_role("button", name="Apply 1 live").click()
    expect(config.get_by_text(re.compile(r"Applied in"))).to_be_visible()
    expect(card.locator(".fj-facts")).to_contain_text("2 ready")

    # what does not go together is said while it is typed, and cannot be sent
    config.locator('[data-option="max_concurrency"]').fill("1")
    expect(config.get_by_text("max_concurrency is 1 but min_concurrency is 2")).to_be_visible()
    expect(config.get_by_role("button", name=re.compile("Apply"))).to_be_disabled()
    config.get_by_role("button", name="Undo max_concurrency").click()

    # a slider is dragged, and runners follow
    option = config.locator('[data-option="min_concurrency"]')
    drag(config.locator('[data-slider="min_concurrency"]'), until=lambda: option.input_value() == "3")
    config.get_by_role("button", name=re.compile("Apply 1")).click()
    expect(card.locator(".fj-facts")).to_contain_text("3 ready")
    timeline = tab(card, "timeline")
    expect(timeline.locator('svg[aria-roledescription="timeline"]')).to_contain_text(re.compile(r"3 of 3"))
    expect(timeline.locator(".fj-readout")).to_contain_text("3")
    studio.picture("timeline-light")

    # somebody else's refusal: the gateway's own sentence, and the control goes back
    studio.page.route(
        re.compile(r"/fal/api/apps/studio/scaling"),
        lambda route: route.continue_(post_data='{"set": {"max_concurrency": 0}}'),
    )
    studio.expected.append("400 (Bad Request)")
    config = tab(card, "config")
    config.locator('[data-option="keep_alive"]').fill("77")
    config.get_by_role("button", name=re.compile("Apply 1")).click()
    expect(config.get_by_text(re.compile("Not applied"))).to_be_visible()
    expect(config.get_by_text(re.compile("max_concurrency is 0"))).to_be_visible()
    expect(config.locator('[data-option="keep_alive"]')).to_have_value("10")


def test_a_page_that_is_opened_again_gets_the_result_of_its_call(studio: Front, tmp_path: Path) -> None:
    card = card_of(studio)
    gate = tmp_path / "gate"
    call_slow(card, gate)
    expect(card.locator(".fj-trials")).to_contain_text("running")
    studio.command("docmanager:save")
    studio.page.wait_for_function("() => !window.jupyterapp.shell.currentWidget.context.model.dirty", polling=EVERY)

    studio.load(notebook_of(studio))
    card = studio.page.locator(".fj-card").first
    expect(card.locator(".fj-trials")).to_contain_text("running")
    gate.touch()
    expect(card.locator(".fj-answer")).to_contain_text("waited")


def test_a_killed_runner_is_replaced_where_the_user_looks(studio: Front) -> None:
    card = card_of(studio)
    sidebar = open_sidebar(studio)
    # as many runners as there may be: whatever the tests before have left, one that ends is replaced
    limits = studio.server.request("fal/api/apps/studio/scaling", {"set": {"min_concurrency": 3}}, method="POST")
    assert limits.status == 200
    expect(card.locator(".fj-facts")).to_contain_text("3 ready")
    alive = {int(r["runner_id"].rpartition("-")[2]): r for r in runners(studio.state)}
    number, following = max(alive), max(alive) + 1
    expect(sidebar.get_by_role("treeitem", name=re.compile(rf"studio-{number}\b"))).to_be_visible()
    os.kill(alive[number]["pid"], signal.SIGKILL)
    expect(sidebar.get_by_role("treeitem", name=re.compile(rf"studio-{following}, idle"))).to_be_visible()
    expect(card.locator(".fj-facts")).to_contain_text("3 ready")
    expect(tab(card, "timeline").locator('svg[aria-roledescription="timeline"]')).to_contain_text(f"runner {following}")


def test_the_keyboard_reaches_everything_of_the_card(studio: Front) -> None:
    page = studio.page
    card = card_of(studio)
    card.locator('[data-tab="try"]').focus()
    for name in ("outputs", "requests", "timeline", "config", "logs", "snippets"):
        page.keyboard.press("ArrowRight")
        expect(card.locator(f'[data-tab="{name}"]')).to_have_attribute("aria-selected", "true")
    page.keyboard.press("Home")
    expect(card.locator('[data-tab="try"]')).to_be_focused()
    card.get_by_label("name").focus()
    page.keyboard.press("Control+A")
    page.keyboard.type("dd")  # keys that would delete the cell in command mode
    expect(card.get_by_label("name")).to_have_value("dd")
    page.keyboard.press("Control+Enter")
    expect(card.locator(".fj-answer")).to_contain_text('"Hello, dd"')
    assert page.locator(".jp-Cell").count() == len(CELLS)


def test_sidebar_dashboard_status_bar_and_commands(studio: Front) -> None:
    page = studio.page
    card = card_of(studio)
    expect(page.locator(".fj-status")).to_contain_text("fal 1 app ready")

    # the chip at the cell: agrees, edited, agrees again
    chip = page.locator(".fj-cell-chip")
    expect(chip).to_contain_text(re.compile(r"r\d · \d ready"))
    cell = page.locator(".jp-Cell").nth(1)
    cell.locator(".cm-line", has_text='self.greeting = "Hello"').click()
    page.keyboard.press("End")
    page.keyboard.type("  # edited")
    expect(chip).to_contain_text("edited")
    page.keyboard.press("Control+Enter")
    expect(chip).to_contain_text(re.compile(r"r\d · \d ready"))

    # sidebar: copy address, unload, logs
    sidebar = open_sidebar(studio)
    app = sidebar.get_by_role("treeitem", name=re.compile(r"^studio r\d+.*, Ready"))
    app.hover()
    app.get_by_label("Unload until the next call").click()
    expect(page.locator(".fj-status")).to_contain_text("fal 1 app at zero · 0 runners")
    expect(card.get_by_text("Scaled to zero")).to_be_visible()
    sidebar.get_by_role("treeitem", name=re.compile(r"^studio")).click(button="right")
    sidebar.get_by_role("menuitem", name="Copy address").click()
    address = f"http://{studio.server.host}{studio.server.base_url}fal/run/{card_app(card)}"
    assert page.evaluate("() => navigator.clipboard.readText()") == address
    sidebar.get_by_role("treeitem", name=re.compile(r"^studio")).click(button="right")
    sidebar.get_by_role("menuitem", name="Logs").click()
    expect(page.locator(".lm-TabBar-tabLabel", has_text="Logs of studio")).to_be_visible()
    expect(page.locator(".fj-log").last).to_contain_text("greeting Ada")

    # dashboard by the palette; a request in its drawer; restart and stop from its table
    studio.command("apputils:activate-command-palette")
    page.locator(".lm-CommandPalette-input").fill("Open the Dashboard")
    page.locator(".lm-CommandPalette-item[data-command='fal-jupyter:open-dashboard']").first.click()
    board = page.locator(".fj-dashboard")
    expect(board.locator(".fj-apps")).to_contain_text("studio")
    board.locator("tr[data-request]").first.click()
    expect(board.locator(".fj-drawer")).to_contain_text("Where")
    board.locator(".fj-drawer").get_by_label("Close").click()
    board.get_by_label("Restart studio").click()
    expect(board.locator(".fj-apps")).to_contain_text("Ready")
    studio.picture("dashboard-light")
    studio.theme("Dark")
    studio.picture("dashboard-dark")

    # Running Sessions lists it, and the dashboard stops it after a question
    page.locator("li.lm-TabBar-tab[data-id='jp-running-sessions']").click()
    expect(page.locator("#jp-running-sessions")).to_contain_text("fal apps")
    expect(page.locator("#jp-running-sessions")).to_contain_text("studio")
    board.get_by_label("Stop studio").click()
    page.locator(".jp-Dialog button.jp-mod-warn").click()
    expect(board.locator(".fj-apps")).to_contain_text("Stopped")
    expect(page.locator(".fj-status")).to_contain_text("fal 1 app stopped")

    # launcher card: a notebook with an app in it
    studio.command("launcher:create")
    page.locator(".jp-LauncherCard", has_text="New fal App").click()
    page.locator(".jp-Dialog button.jp-mod-accept").click()
    expect(page.locator(".jp-NotebookPanel:visible .cm-content", has_text="%%fal_app")).to_be_visible()


def test_a_cell_that_is_inserted_where_no_notebook_is_open_has_a_new_one(lab: Front) -> None:
    page, root = lab.page, lab.server.directory / "root"
    cells = "window.jupyterapp.shell.currentWidget.content"
    lab.write("closed.ipynb", ["1"])
    lab.open("closed.ipynb")
    lab.closing = True
    page.evaluate(CLOSE, "")
    lab.command("fal-jupyter:insert-app-cell")
    expect(page.locator(".jp-NotebookPanel:visible .cm-content", has_text="%%fal_app")).to_be_visible()
    page.wait_for_function(f"() => {cells}.activeCellIndex === 1", polling=EVERY)
    assert (root / "hello.ipynb").exists()
    lab.run_all(2)
    lab.settle()
    lab.closing = False
    expect(page.locator(".fj-card").get_by_text("Ready", exact=True)).to_be_visible()

    # a notebook that is open, behind something else, has the next one
    lab.command("fal-jupyter:open-dashboard")
    expect(page.locator(".jp-NotebookPanel")).to_be_hidden()
    lab.command("fal-jupyter:insert-connect-cell")
    expect(page.locator(".jp-NotebookPanel:visible .cm-content", has_text="Hello.hi()")).to_be_visible()
    assert {path.name for path in root.glob("*.ipynb")} == {"closed.ipynb", "hello.ipynb"}


def card_app(card: Locator) -> str:
    label = card.locator(".fj-name").get_attribute("title")
    assert label
    return label


def cards_in(lab: Front) -> list[dict[str, Any]]:
    """The cards in the saved file."""
    text = (lab.server.directory / "root" / notebook_of(lab)).read_text()
    notebook = json.loads(text) if text else {"cells": []}  # a save is under way
    found = [output.get("data", {}) for cell in notebook["cells"] for output in cell.get("outputs", [])]
    return [data[MIME] for data in found if MIME in data]


def saved_cards(lab: Front, done: Callable[[list[dict[str, Any]]], bool]) -> list[dict[str, Any]]:
    """The cards in the saved file, as soon as they are as is wanted."""
    end = time.monotonic() + 30
    while not done(found := cards_in(lab)):
        assert time.monotonic() < end, found
        lab.page.wait_for_timeout(50)
    return found


def test_a_saved_notebook_shows_its_picture_when_nothing_runs(lab: Front) -> None:
    card = opened(lab)
    lab.command("docmanager:save")
    before = saved_cards(lab, lambda now: bool(now and now[0]["picture"]["app"]["stats"]["calls"] == 26))
    lab.page.wait_for_function("() => !window.jupyterapp.shell.currentWidget.context.model.dirty", polling=EVERY)
    card.locator(".fj-run-button").click()  # no cell runs: the kernel hears nothing of this call
    expect(card.locator(".fj-answer")).to_contain_text("Hello")
    expect(card.locator('[data-tab="requests"]')).to_contain_text("27")  # the page has heard of it
    assert not lab.page.evaluate("() => window.jupyterapp.shell.currentWidget.context.model.dirty")  # until it is saved
    lab.command("docmanager:save")
    after = saved_cards(lab, lambda now: now not in ([], before))
    assert after[0]["picture"]["app"]["stats"]["calls"] == before[0]["picture"]["app"]["stats"]["calls"] + 1
    lab.page.wait_for_function("() => !window.jupyterapp.shell.currentWidget.context.model.dirty", polling=EVERY)
    kernels = [f"/api/kernels/{one['id']}" for one in lab.server.request("api/kernels").json]
    # 404 for JupyterLab, which asks for what it has just ended, its debugger too
    lab.expected += ["/api/sessions/", *kernels, "Canceled future for debug_request"]
    lab.command("kernelmenu:shutdown")
    lab.page.wait_for_selector(".fj-status:has-text('fal no apps')")
    text = (lab.server.directory / "root" / notebook_of(lab)).read_text()
    assert len(text) < 256 * 1024
    lab.open(notebook_of(lab), kernel=False)
    card = lab.page.locator(".fj-card").first
    expect(card).to_contain_text("saved")
    expect(card).to_contain_text("Saved state of")
    expect(tab(card, "requests").locator("tr[data-request]").first).to_be_visible()
    lab.picture("saved-light")


def rename(lab: Front, name: str) -> None:
    """Rename the notebook as a user does, in the dialog of JupyterLab's command."""
    lab.command("docmanager:rename")
    dialog = lab.page.locator(".jp-Dialog")
    dialog.locator("input").fill(name)
    dialog.locator("button.jp-mod-accept").click()
    lab.page.wait_for_selector(".jp-Dialog", state="detached")
    lab.page.wait_for_function(
        "name => window.jupyterapp.shell.currentWidget.context.path === name", arg=name, polling=EVERY
    )


@pytest.mark.long  # labextension/test/naming.test.mjs has when a kernel is notified, tests/notebook/test_apps.py what it then sends to the gateway
def test_a_renamed_notebook_has_its_new_name_on_every_surface(lab: Front, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    waiting = f"import os, time\nwhile not os.path.exists({str(gate)!r}): time.sleep(0.05)"
    opened(lab, [LOAD, STUDIO, "1", waiting.replace("while not", "while False and not")])
    first, page = notebook_of(lab), lab.page
    sidebar = open_sidebar(lab)
    row = sidebar.locator("strong[title^='studio of ']")
    expect(row).to_have_attribute("title", f"studio of {first}")
    rename(lab, "search.ipynb")
    expect(row).to_have_attribute("title", "studio of search.ipynb")

    # while its kernel is busy: it gets it when it is idle
    page.evaluate(
        "source => { const { content } = window.jupyterapp.shell.currentWidget;"
        " content.activeCellIndex = 3; content.activeCell.model.sharedModel.setSource(source); }",
        waiting,
    )
    lab.command("notebook:run-cell")
    expect(page.locator(".jp-InputPrompt", has_text="[*]:")).to_be_visible()
    rename(lab, "find.ipynb")
    expect(row).to_have_attribute("title", "studio of search.ipynb")
    gate.touch()
    expect(row).to_have_attribute("title", "studio of find.ipynb")
    prompts = page.locator(".jp-InputPrompt").all_text_contents()
    assert [text.strip() for text in prompts] == ["[1]:", "[2]:", "[3]:", "[5]:"]  # nothing is counted or shown
    assert page.locator(".jp-OutputArea-output").count() == 2  # the card and the 1

    # a kernel that is started anew has the name that it had first, until its app is in the feed
    restarted(lab)
    lab.command("fal-jupyter:open-dashboard")
    board = page.locator(".fj-dashboard")
    page.evaluate("path => void window.jupyterapp.commands.execute('docmanager:open', { path })", "find.ipynb")
    lab.run_all(4)
    lab.command("fal-jupyter:open-dashboard")
    expect(board.locator(".fj-apps")).to_contain_text("find.ipynb")
