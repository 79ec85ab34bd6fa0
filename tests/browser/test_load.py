"""Twenty thousand calls under an open dashboard: the page's memory and nodes, and the notebook's file, stay as they are."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import expect

from tests.browser.apps import LOAD
from tests.browser.conftest import EVERY, Front
from tests.browser.test_lab import notebook_of

APP = """%%fal_app --keep-alive 60
class Quick(fal.App):
    max_multiplexing = 16

    @fal.endpoint("/")
    async def hi(self, n: int = 0) -> dict:
        return {"n": n}
"""
CALLS = "for _ in range(4): Quick.hi.map(list(range(1250)), concurrency=8)"


@pytest.mark.long
def test_a_load_swells_neither_the_page_nor_the_notebook(lab: Front) -> None:
    page = lab.page
    lab.write("l.ipynb", [LOAD, APP, CALLS])
    lab.open("l.ipynb")
    lab.run_all(3)
    lab.command("fal-jupyter:open-dashboard")
    expect(page.locator(".fj-dashboard .fj-apps")).to_contain_text("quick")
    session = page.context.new_cdp_session(page)

    def measured() -> tuple[float, int]:
        session.send("HeapProfiler.collectGarbage")
        heap: dict[str, Any] = session.send("Runtime.getHeapUsage")
        nodes: dict[str, Any] = session.send("Memory.getDOMCounters")
        return heap["usedSize"] / 1e6, nodes["nodes"]

    def load(cell: int) -> None:
        lab.command("notebook:run-all-below")
        page.wait_for_function(
            "n => [...document.querySelectorAll('.jp-InputPrompt')].some(e => e.textContent.trim() === `[${n}]:`)",
            arg=cell,
            timeout=90_000,
        )

    page.locator(".lm-TabBar-tab", has_text="l.ipynb").click()
    lab.command("notebook:select-last-run-cell")
    load(4)
    page.locator(".lm-TabBar-tab", has_text="fal apps").click()
    expect(page.locator(".fj-dashboard")).to_contain_text("10.0 k")
    heap, nodes = measured()
    for cell in (5, 6):
        page.locator(".lm-TabBar-tab", has_text="l.ipynb").click()
        load(cell)
        page.locator(".lm-TabBar-tab", has_text="fal apps").click()
    expect(page.locator(".fj-dashboard")).to_contain_text("20.0 k")
    heap_after, nodes_after = measured()
    assert heap_after < heap * 1.3 + 10
    assert nodes_after < nodes * 1.5 + 2000
    page.locator(".lm-TabBar-tab", has_text="l.ipynb").click()
    lab.command("docmanager:save")
    page.wait_for_function("() => !window.jupyterapp.shell.currentWidget.context.model.dirty", polling=EVERY)
    assert (lab.server.directory / "root" / notebook_of(lab)).stat().st_size < 256 * 1024
