"""Notebook 7: the same card, live, and what of the rest has a place there."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.browser.apps import LOAD, STUDIO
from tests.browser.conftest import Front
from tests.browser.test_lab import tab


@pytest.mark.long  # the same extension as in JupyterLab, which the other tests have
def test_the_card_is_live_in_notebook_7(notebook7: Front) -> None:
    cells = [LOAD, STUDIO, 'Studio.hi(name="Ada")', "import fal_jupyter\nfal_jupyter.dashboard()"]
    notebook7.write("n.ipynb", cells)
    notebook7.open("n.ipynb")
    notebook7.run_all(len(cells))
    card = notebook7.page.locator(".fj-card").first
    expect(card.get_by_text("Ready", exact=True)).to_be_visible()
    card.get_by_label("name").fill("Grace")
    card.locator(".fj-run-button").click()
    expect(card.locator(".fj-answer")).to_contain_text('"Hello, Grace"')
    config = tab(card, "config")
    config.locator('[data-option="min_concurrency"]').fill("2")
    config.get_by_role("button", name=re.compile("Apply 1")).click()
    expect(card.locator(".fj-facts")).to_contain_text("2 ready")
    board = notebook7.page.locator(".fj-dashboard")
    expect(board.locator(".fj-apps")).to_contain_text("studio")
    expect(notebook7.page.locator(".fj-cell-chip").first).to_contain_text("ready")
    notebook7.picture("notebook7")
