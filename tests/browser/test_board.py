"""The dashboard, the inspector and the sidebar at the widths that people have: nothing hidden, no action lost, what is said is true."""

from __future__ import annotations

import csv
import re

import pytest
from playwright.sync_api import Locator, expect

from tests.browser.apps import LOAD
from tests.browser.conftest import Front

APP = """%%fal_app
import time
from fastapi import Request

class Board(fal.App, name="a-name-that-is-longer-than-the-sidebar-is-wide"):
    max_concurrency = 2
    keep_alive = 300

    @fal.endpoint("/say")
    def say(self, text: str = "") -> dict:
        return {"text": text}

    @fal.endpoint("/caf\u00e9")
    def cafe(self) -> dict:
        sum(n * n for n in range(3_000_000))
        return {}

    @fal.endpoint("/fail")
    def fail(self) -> dict:
        raise ValueError("a sentence that is much longer than the column of a table in which it has to be shown, and goes on and on")
"""
CALLS = """for n in range(25):
    Board.say(text=str(n))
Board.cafe()
try:
    Board.fail()
except Exception:
    pass"""
WIDTHS = (1440, 1100, 800)

# The row of an app that fails, as the sidebar draws it: whether its name and what comes next are cut.
FAILING_ROW = """tree => {
    const row = document.createElement('div');
    row.className = 'fj-row';
    row.innerHTML = '<strong class="fj-cut">broken</strong><span class="fj-muted">r1</span>'
        + '<span class="fj-muted fj-cut">a-long-name-of-a-notebook.ipynb</span><span class="fj-space"></span>'
        + '<span class="fj-aside fj-muted"><span class="fj-failed">retry in 23 s</span></span>';
    tree.append(row);
    const cut = [...row.querySelectorAll('strong, .fj-aside')].map(one => one.scrollWidth > one.clientWidth);
    row.remove();
    return cut;
}"""

# How much room there is below Load in a card that is higher than its form.
BELOW_LOAD = """body => {
    const room = body.style.getPropertyValue('--fj-room');
    body.style.setProperty('--fj-room', '900px');
    const [panel, load] = ['.fj-tab-panel', '.fj-load'].map(one => body.querySelector(one).getBoundingClientRect().bottom);
    body.style.setProperty('--fj-room', room);
    return panel - load;
}"""


def cut_heads(table: Locator, outer: Locator) -> list[str]:
    """Headers of a table's visible columns that are cut off by what the table lies in, at one moment: a width may take columns away."""
    return list(
        table.evaluate(
            "(e, o) => { const b = o.getBoundingClientRect(); return [...e.querySelectorAll('th')].filter(h => {"
            " const a = h.getBoundingClientRect(); return a.width > 0 && (a.left < b.left - 1 || a.right > b.right + 1);"
            " }).map(h => h.innerText); }",
            outer.element_handle(),
        )
    )


def apart(one: Locator, two: Locator) -> bool:
    """True where neither covers the other."""
    return bool(
        one.evaluate(
            "(e, o) => { const a = e.getBoundingClientRect(), b = o.getBoundingClientRect();"
            " return a.right <= b.left + 1 || b.right <= a.left + 1 || a.bottom <= b.top + 1 || b.bottom <= a.top + 1; }",
            two.element_handle(),
        )
    )


@pytest.mark.long  # test_lab.py has dashboard, inspector and sidebar, labextension/test/board.test.mjs CSV and dragging
def test_dashboard_inspector_and_sidebar_at_three_widths(lab: Front) -> None:
    page = lab.page
    page.set_viewport_size({"width": 1440, "height": 1000})
    lab.write("board.ipynb", [LOAD, APP, CALLS])
    lab.open("board.ipynb")
    lab.run_all(3)
    page.locator("li.lm-TabBar-tab[data-id='fal-jupyter-sidebar']").click()
    lab.command("fal-jupyter:open-dashboard")
    board = page.locator(".fj-dashboard")
    rows = board.locator("tr[data-request]")
    expect(rows).to_have_count(27)
    expect(board.locator(".fj-requests")).to_contain_text("/caf\u00e9")
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        for opened in (False, True):
            if opened:
                rows.first.click()
                expect(board.locator(".fj-drawer .fj-inspector")).to_contain_text("ValueError")
                assert apart(board.locator(".fj-drawer"), board.locator(".fj-board-main"))
                expect(rows.first).to_have_attribute("aria-current", "true")
            lab.picture(f"board-{width}{'-inspector' if opened else ''}")
            for part in (board.locator(".fj-apps"), board.locator(".fj-requests")):
                assert part.locator("th:visible").count() > 3
                assert cut_heads(part, board.locator(".fj-board-main")) == [], (width, opened)
            board.get_by_label("Stop a-name").click(trial=True)  # it can be pressed
            first = rows.first.inner_text()
            assert "/fail" in first
            assert "r1" in first, first
            assert "1" in first
        page.keyboard.press("Escape")
        expect(board.locator(".fj-drawer")).to_be_hidden()
    page.set_viewport_size({"width": 1440, "height": 1000})

    # what can be done with a request
    board.get_by_label("Filter the requests").fill("/caf\u00e9")
    expect(rows).to_have_count(1)
    with page.expect_download() as saved:
        board.get_by_role("button", name="CSV").click()
    (kept,) = csv.DictReader(saved.value.path().read_text(encoding="utf-8").splitlines())
    assert (kept["path"], kept["state"], kept["status"], kept["origin"]) == ("/caf\u00e9", "succeeded", "200", "cell")
    board.get_by_label("Filter the requests").fill("/fail")
    expect(rows).to_have_count(1)
    rows.first.click()
    drawer = board.locator(".fj-drawer")
    drawer.get_by_role("button", name="Copy as curl").click()
    expect(drawer).to_contain_text("copied as curl")
    copied = page.evaluate("navigator.clipboard.readText()")
    assert "\ncurl -sS " in copied  # below the line that says where the key comes from
    assert "/fail" in copied
    drawer.get_by_role("button", name="cell [3]").click()
    expect(page.locator(".jp-NotebookPanel .jp-Cell.jp-mod-active .cm-content")).to_contain_text("Board.cafe()")

    # the sidebar
    sidebar = page.locator("#fal-jupyter-sidebar")
    expect(sidebar.locator('[data-key="device:host"]')).to_contain_text("core")
    name = sidebar.locator('[data-key^="app:"] strong:not(.fj-muted)')
    assert name.evaluate("e => e.scrollWidth > e.clientWidth")  # an ellipsis, and the whole name in the title
    assert "a-name-that-is-longer-than-the-sidebar-is-wide" in (name.get_attribute("title") or "")
    assert sidebar.get_by_role("tree").evaluate(FAILING_ROW) == [False, False]
    # scaling: use over time, sentences
    card = page.locator(".fj-card").first
    card.locator('[data-tab="timeline"]').click()
    expect(card.locator("svg.fj-usage").first).to_have_attribute("aria-label", re.compile("memory: .* MB at"))
    expect(card.locator(".fj-readout")).to_contain_text("runner")
    lab.picture("board-scaling")
    # the requests of a marked span are seen whole, and a chart that was only dragged over has no frame
    chart = card.locator("svg.fj-chart").first
    chart.evaluate("chart => chart.scrollIntoView({block: 'center'})")
    box = chart.bounding_box()
    assert box
    page.mouse.move(box["x"] + 120, box["y"] + 60)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] - 30, box["y"] + 60, steps=4)
    page.mouse.up()
    expect(card.locator(".fj-marked tr[data-request]").first).to_be_attached()
    panel = card.locator('[data-panel="timeline"]')
    assert panel.evaluate("panel => panel.scrollHeight <= panel.clientHeight + 1")
    assert chart.evaluate("chart => getComputedStyle(chart).outlineStyle") == "none"
    card.get_by_role("button", name="Clear the marked span").click()
    card.locator('[data-tab="try"]').click()
    assert card.locator(".fj-card-body").evaluate(BELOW_LOAD) <= 1
    card.locator('[data-tab="requests"]').click()
    expect(card.locator(".fj-endpoints")).to_contain_text("/caf\u00e9")
    lab.picture("board-requests")

    # an app dragged into the notebook is a cell that calls it
    page.locator(".jp-NotebookPanel .jp-Cell").nth(2).scroll_into_view_if_needed()
    cells = page.locator(".jp-NotebookPanel .jp-Cell")
    expect(cells).to_have_count(3)
    start, goal = name.bounding_box(), cells.nth(2).locator(".jp-InputArea").bounding_box()
    assert start is not None
    assert goal is not None
    page.mouse.move(start["x"] + 20, start["y"] + 8)
    page.mouse.down()
    for step in range(1, 9):
        page.mouse.move(
            start["x"] + 20 + step * (goal["x"] + 200 - start["x"]) / 8,
            start["y"] + 8 + step * (goal["y"] + 20 - start["y"]) / 8,
        )
    page.mouse.up()
    lab.picture("board-drop")
    expect(cells).to_have_count(4)
    lab.picture("board-dragged")
