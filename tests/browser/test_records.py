"""What is said of calls after they were made: the record of an app that ended, a load, a stream of records, a form that was reset, a clock."""

from __future__ import annotations

import re
from pathlib import Path

from playwright.sync_api import Locator, expect

from tests.browser.apps import LOAD
from tests.browser.conftest import EVERY, Front
from tests.browser.test_board import cut_heads
from tests.browser.test_lab import open_sidebar, tab
from tests.browser.test_try import PIXEL

APP = """%%fal_app
import time
from pathlib import Path
from fal.toolkit import Image

class Records(fal.App, name="records-of-an-app-with-a-name-that-is-long"):
    max_concurrency = 2
    keep_alive = 300

    @fal.endpoint("/instructions")
    def instructions(self):
        for pick in range(3):
            yield {"pick": pick, "text": "throw the shuttle"}

    @fal.endpoint("/photo")
    def photo(self, image: Image, seed: int = 3) -> Image:
        return Image.from_pil(image.to_pil().resize((40, 40)))

    @fal.endpoint("/wait")
    def wait(self, gate: str = "") -> dict:
        while not Path(gate).exists():
            time.sleep(0.02)
        return {}

    @fal.endpoint("/fail")
    def fail(self) -> dict:
        time.sleep(3.1)
        raise ValueError("a sentence that is much longer than the column of a table in which it has to be shown, and goes on")
"""
CALLS = """try:
    Records.fail()
except Exception:
    pass"""
# What an element or one within it hides without an ellipsis whose whole text is in a title.
HIDDEN = """node => [node, ...node.querySelectorAll('*')].filter(e => {
    const style = getComputedStyle(e);
    if (!e.offsetWidth || e.closest('.fj-visually-hidden, svg, .fj-phases') || style.overflowX === 'visible') return false;
    const isCut = e.scrollWidth > e.clientWidth + 1 || e.scrollHeight > e.clientHeight + 1;
    const isSaid = style.textOverflow === 'ellipsis' || style.webkitLineClamp !== 'none';
    return isCut && !(isSaid && e.closest('[title]'));
}).map(e => `${e.className}: ${e.innerText}`)"""


def choose(card: Locator, path: str) -> None:
    tab(card, "try").locator(".fj-try-form select").first.select_option(path)


def seconds(text: str | None) -> float:
    found = re.match(r"([\d.]+) (m?s)", text or "")
    assert found, text
    return float(found[1]) / (1000 if found[2] == "ms" else 1)


def test_what_is_said_of_calls_is_true_during_and_after_them(lab: Front, tmp_path: Path) -> None:
    page = lab.page
    page.set_viewport_size({"width": 1440, "height": 1000})
    lab.write("records.ipynb", [LOAD, APP, CALLS])
    lab.open("records.ipynb")
    lab.run_all(3)
    sidebar = open_sidebar(lab)
    card = page.locator(".fj-card").first
    run = card.locator(".fj-run-button")
    for width in (1440, 1100, 800):
        page.set_viewport_size({"width": width, "height": 1000})
        lab.pictures(f"records-facts-{width}")
    page.set_viewport_size({"width": 1440, "height": 1000})

    # what is short is whole in the facts, what is long has an ellipsis and a title
    facts = card.locator(".fj-facts")
    assert facts.evaluate(HIDDEN) == []
    for name in ("Machine", "Runners", "Setup", "Revision"):
        assert facts.locator(f'[data-fact="{name}"] > div').last.evaluate(
            "e => [e, ...e.children].every(c => c.scrollWidth <= c.clientWidth + 1 || c.tagName === 'svg')"
        ), name

    # a stream of records is listed, and shown as it was chosen when it is called again
    choose(card, "/instructions")
    run.click()
    expect(card.locator(".fj-stream [role=status]")).to_contain_text("3 events")
    expect(card.locator(".fj-stream-events > li")).to_have_count(3)
    expect(card.get_by_role("button", name="Events")).to_have_attribute("aria-pressed", "true")
    lab.pictures("records-events")
    card.get_by_role("button", name="Text", exact=True).click()
    expect(card.locator(".fj-stream-text")).to_have_text(
        "\n".join(f'{{"pick": {pick}, "text": "throw the shuttle"}}' for pick in range(3))
    )
    lab.pictures("records-text")
    card.get_by_role("button", name="Raw").click()
    run.click()
    expect(card.locator(".fj-stream [role=status]")).to_contain_text("first after")
    expect(card.locator(".fj-stream-raw")).to_be_visible()

    # the clock of a call is the same in the card and in the sidebar
    gate = tmp_path / "gate"
    choose(card, "/wait")
    card.get_by_label("gate").fill(str(gate))
    run.click()
    aside = sidebar.locator('[data-key^="runner:"] .fj-aside', has_text="in /wait")
    expect(aside).to_be_visible()
    expect(card.locator(".fj-clock")).to_have_text(re.compile(r"^[2-9]\.\d+ s"))  # nothing else changes meanwhile
    both = page.evaluate(
        "() => [...document.querySelectorAll('.fj-clock, [data-key^=\"runner:\"] .fj-aside')].map(e => e.textContent).sort()"
    )
    times = [seconds(one) for one in both if re.match(r"[\d.]+ s", one)]
    assert len(times) == 2, both
    assert abs(times[0] - times[1]) < 0.8, both
    lab.pictures("records-clock")
    gate.touch()
    expect(run).to_be_enabled()

    # Reset takes a chosen file away, and gives it back
    choose(card, "/photo")
    photo = tmp_path / "fox.png"
    photo.write_bytes(PIXEL)
    form = card.locator(".fj-try-form")
    form.locator("input[type=file]").set_input_files(photo)
    expect(form.locator(".fj-picked")).to_contain_text("fox.png")
    form.get_by_role("button", name="Reset").click()
    expect(form.locator(".fj-picked")).to_be_hidden()
    lab.pictures("records-reset")
    form.get_by_role("button", name="Undo").click()
    expect(form.locator(".fj-picked")).to_contain_text("fox.png")
    expect(form.get_by_role("button", name="Reset")).to_be_focused()
    run.click()
    expect(card.locator(".fj-answer img")).to_be_visible()

    # a load says that it is over, and Outputs that its calls are not there
    load = card.locator(".fj-load")
    load.locator("summary").first.click()
    load.get_by_label("number of calls").fill("20")
    load.get_by_role("button", name="Start load").click()
    expect(load.locator("[role=status]")).to_contain_text("Finished: 20 calls of /photo in")
    expect(load.locator("[role=progressbar]")).to_have_class("fj-progress fj-load-over")
    lab.pictures("records-load")
    outputs = tab(card, "outputs")
    expect(outputs).to_contain_text("1 output in the last")
    expect(outputs).to_contain_text("kept until its kernel ends")
    expect(outputs).to_contain_text("Calls of Load are not collected here: Requests has them.")
    lab.pictures("records-outputs")

    # the table of the dashboard, beside the inspector
    lab.command("fal-jupyter:open-dashboard")
    board = page.locator(".fj-dashboard")
    rows = board.locator("tr[data-request]")
    failed = rows.filter(has_text="/fail")
    for width in (1440, 1100, 800):
        page.set_viewport_size({"width": width, "height": 1000})
        for opened in (False, True):
            if opened:
                failed.click()
                expect(board.locator(".fj-drawer .fj-inspector")).to_contain_text("ValueError")
            lab.pictures(f"records-board-{width}{'-inspector' if opened else ''}")
            table = board.locator(".fj-requests")
            assert cut_heads(table, board.locator(".fj-board-main")) == [], (width, opened)
            assert table.evaluate(HIDDEN) == [], (width, opened)
            head = table.locator(".fj-scale-head")
            expect(head).to_contain_text("0 to ")
            assert head.evaluate("e => e.scrollWidth - e.clientWidth") <= 0, (width, opened)
        page.keyboard.press("Escape")
        expect(board.locator(".fj-drawer")).to_be_hidden()
    page.set_viewport_size({"width": 1440, "height": 1000})

    # the kernel ends: what is known of its calls stays
    before = rows.count()
    page.locator(".lm-TabBar-tab", has_text="records.ipynb").click()
    lab.closing = True
    lab.command("kernelmenu:shutdown")
    page.locator(".lm-TabBar-tab", has_text="fal apps").click()
    expect(board.locator(".fj-figures")).to_contain_text("of ended apps")
    expect(rows).to_have_count(before)
    failed.click()
    expect(board.locator(".fj-drawer .fj-inspector")).to_contain_text("ended with its app")
    expect(sidebar.locator('[data-key^="recent:"]')).to_have_count(8)
    page.wait_for_function(
        "() => document.querySelector('.fj-dashboard .fj-inspector').innerText.includes('ValueError')", polling=EVERY
    )
    lab.pictures("records-ended")
