"""Bad input that is nobody's fault: hundreds of endpoints, two browsers, a kernel that dies in a call, a gateway that ends, a feed that falls behind."""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, expect

from tests.browser.apps import LOAD
from tests.browser.conftest import EVERY, Front, front_page
from tests.browser.test_lab import call_slow, card_of, notebook_of, tab
from tests.support.jupyter import Jupyter
from tests.support.serve import doctor

MANY = '''%%fal_app
class Many(fal.App):
    """Five hundred endpoints."""


def endpoint(number):
    def method(self, n: int = 0) -> int:
        return n + number
    method.__name__ = f"at{number}"
    return fal.endpoint(f"/at/{number}")(method)


for number in range(500):
    setattr(Many, f"at{number}", endpoint(number))
'''


@pytest.mark.long
def test_an_app_of_five_hundred_endpoints_can_be_used(lab: Front) -> None:
    lab.write("many.ipynb", [LOAD, MANY])
    lab.open("many.ipynb")
    lab.run_all(2)
    card = lab.page.locator(".fj-card").first
    expect(card.locator(".fj-facts")).to_contain_text("500 in all: ")
    choose = card.locator(".fj-try-form select").first
    expect(choose.locator("option")).to_have_count(500)
    choose.select_option("/at/321")
    card.get_by_label("n", exact=True).fill("7")
    card.locator(".fj-run-button").click()
    expect(card.locator(".fj-answer")).to_contain_text("328")
    snippets = tab(card, "snippets")
    expect(snippets.locator(".fj-program")).to_contain_text("Many.at321(n=7)")
    snippets.get_by_label("endpoint").select_option("/at/499")
    expect(snippets.locator(".fj-program")).to_contain_text("Many.at499(")
    assert card.bounding_box()["height"] < 900  # type: ignore[index]


def calls_of(card: Locator) -> int:
    """How many requests the card's tab says there were."""
    return int(re.sub(r"\D", "", card.locator('[data-tab="requests"]').inner_text()))


@pytest.mark.long  # a second page is what a page that is loaded again is: test_lab.py has that
def test_two_browsers_have_the_same_card(browser: Browser, lab_server: tuple[Jupyter, Path], studio: Front) -> None:
    card = card_of(studio)
    calls = calls_of(card)
    studio.command("docmanager:save")
    studio.page.wait_for_function("() => !window.jupyterapp.shell.currentWidget.context.model.dirty", polling=EVERY)
    studio.expected.append("Comm not found")  # JupyterLab's words for a comm that the other page opened
    with front_page(browser, *lab_server, "lab", "second browser", end=False) as other:
        other.expected.append("Comm not found")
        other.open(notebook_of(studio))
        theirs = other.page.locator(".fj-card").first
        expect(theirs.get_by_text("Ready", exact=True)).to_be_visible()
        card.get_by_label("name").fill("Grace")
        card.locator(".fj-run-button").click()
        expect(card.locator(".fj-answer")).to_contain_text('"Hello, Grace"')
        expect(theirs.locator('[data-tab="requests"]')).to_contain_text(str(calls + 1))
        theirs.get_by_label("Stop the app").click()
        other.page.locator(".jp-Dialog button.jp-mod-warn").click()
        for one in (card, theirs):
            expect(one.get_by_role("button", name="Start", exact=True)).to_be_visible()
        card.get_by_role("button", name="Start", exact=True).click()
        for one in (card, theirs):
            expect(one.get_by_text("Ready", exact=True)).to_be_visible()
        studio.page.bring_to_front()
        expect(card.locator('[data-tab="requests"]')).to_contain_text(str(calls + 1))


@pytest.mark.long  # test_card.py has a kernel that ends by itself
def test_a_kernel_that_dies_during_a_call_leaves_a_card_that_shows_it(studio: Front, tmp_path: Path) -> None:
    page = studio.page
    studio.expected += ["Failed to load resource", "Kernel", "kernel"]
    card = card_of(studio)
    call_slow(card, tmp_path / "never")
    expect(card.get_by_role("button", name="Cancel")).to_be_visible()
    page.evaluate(
        "code => { void window.jupyterapp.shell.currentWidget.context.sessionContext.session.kernel.requestExecute({ code }); }",
        "import os, signal; os.kill(os.getpid(), signal.SIGKILL)",
    )
    expect(card).to_contain_text(re.compile("Stopped with its kernel|No gateway is running"), timeout=60_000)
    expect(card.get_by_role("button", name="Cancel")).to_be_hidden()
    expect(card.locator(".fj-facts")).to_contain_text("/stream")  # what was known stays
    expect(card.locator(".fj-run-button")).to_be_disabled()


def test_a_feed_that_falls_behind_shows_it_and_catches_up(studio: Front) -> None:
    """The page's network is cut off: what is shown has an end, and afterwards everything that happened meanwhile is there."""
    page = studio.page
    card = card_of(studio)
    studio.expected += ["ERR_INTERNET_DISCONNECTED", "Failed to fetch", "WebSocket", "not running", "network error"]
    page.route(re.compile("/fal/api/feed"), lambda route: route.abort())
    page.evaluate("() => window.dispatchEvent(new Event('pagehide'))")
    page.evaluate("() => window.dispatchEvent(new Event('pageshow'))")
    studio.expected.append("ERR_FAILED")
    expect(page.locator(".fj-status")).to_contain_text("no update")
    expect(card).to_contain_text("What is shown ends at")
    before = calls_of(card)
    studio.run_cell(3)  # 25 calls
    page.unroute(re.compile("/fal/api/feed"))
    expect(page.locator(".fj-status")).to_contain_text("fal 1 app ready")
    expect(card).not_to_contain_text("What is shown ends at")
    expect(card.locator('[data-tab="requests"]')).to_contain_text(str(before + 25))


def test_a_gateway_that_ends_during_a_load_and_comes_back(studio: Front, tmp_path: Path) -> None:
    card = card_of(studio)
    studio.expected += ["Failed to load resource", "ERR_INCOMPLETE_CHUNKED_ENCODING", "502", "network error"]
    card.locator(".fj-load summary").click()
    card.get_by_label("number of calls").fill("100")
    card.locator(".fj-try-form select").first.select_option("/slow")
    card.get_by_label("gate").fill(str(tmp_path / "never"))
    card.get_by_role("button", name="Start load").click()
    expect(card.locator(".fj-load-figures")).to_contain_text("0 of 100")
    os.kill(doctor(studio.state)["gateway"]["pid"], signal.SIGKILL)
    expect(card).to_contain_text("No gateway is running")
    expect(studio.page.locator(".fj-status")).to_contain_text("fal off")
    expect(card.get_by_role("button", name="Start load")).to_be_visible()
    expect(card.locator(".fj-load [role=status]")).not_to_contain_text("Running")
    studio.page.evaluate("() => window.jupyterapp.shell.currentWidget.context.save()")
    saved = (studio.server.directory / "root" / notebook_of(studio)).read_text()
    assert "Stopped: its gateway had ended when this was saved" in saved
    assert "its kernel had ended" not in saved
    studio.page.locator(".jp-Cell").nth(2).locator(".cm-content").click()
    studio.page.keyboard.press("Control+Enter")  # the next call starts another gateway, and the app
    expect(card.get_by_text("Ready", exact=True)).to_be_visible()
    expect(studio.page.locator(".fj-status")).to_contain_text("fal 1 app ready")
