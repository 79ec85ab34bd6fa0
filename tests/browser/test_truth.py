"""What the surfaces draw is what happened: calls that know when they began and ended are held against every place that tells of them."""

from __future__ import annotations

import json
import re
from itertools import pairwise, product
from typing import Any

import psutil
from playwright.sync_api import Locator, expect

from fal_jupyter.domain.timeline.lanes import PAUSE
from tests.browser.apps import LOAD
from tests.browser.conftest import EVERY, Front
from tests.browser.test_lab import open_sidebar, opened, tab
from tests.support.serve import apps, runners

WITNESS = """%%fal_app
import time


class Witness(fal.App):
    max_concurrency = 1

    @fal.endpoint("/")
    def span(self, seconds: float = 0.0) -> list[float]:
        began = time.time()
        time.sleep(seconds)
        return [1000 * began, 1000 * time.time()]
"""
LOAD_OF_CALLS = """import json, time
spans = []
for seconds, pause in ((0.0, 0.6), (0.3, 0.0), (0.002, 0.9), (0.05, 0.02), (0.7, 0.5)):
    spans.append(Witness.span(seconds=seconds))
    time.sleep(pause)
print("SPANS", json.dumps(spans))"""

LANE = """svg => [...svg.querySelectorAll('rect[data-state]:not(.fj-hatch)')].map(
    one => [Number(one.dataset.from), Number(one.dataset.to), one.dataset.state, one.getBoundingClientRect().width])"""

DISAGREE = """svg => {  // moments at which the line of running requests and the lanes contradict each other
    const numbers = svg.querySelector('.fj-run-line[d]').getAttribute('d').match(/[MHV][-\\d.]+(,[-\\d.]+)?/g);
    const steps = []; let across = 0; let bottom = 0;
    for (const one of numbers) {
        const [first, second] = one.slice(1).split(',').map(Number);
        if (one[0] === 'H') across = first; else steps.push([across = one[0] === 'M' ? first : across, one[0] === 'M' ? second : first]);
    }
    const axis = Math.max(...steps.map(one => one[1]));
    const at = x => (steps.filter(one => one[0] <= x).at(-1) ?? [0, axis])[1] < axis;
    const rects = [...svg.querySelectorAll('rect[data-state]:not(.fj-hatch)')].map(
        one => [Number(one.getAttribute('x')), Number(one.getAttribute('width')), one.dataset.state]);
    const edges = [...new Set(rects.flatMap(([x, wide]) => [x, x + wide]))].sort((a, b) => a - b);
    return edges.slice(1).map((end, n) => [edges[n], end]).filter(([from, to]) => to - from > 5).map(([from, to]) => (from + to) / 2)
        .filter(x => at(x) !== rects.some(([from, wide, state]) => state === 'RUNNING' && from <= x && x < from + wide));
}"""


def drawn_at(lane: list[list[Any]], moment: float) -> str:
    """The state that a lane shows at a moment."""
    return next((str(state) for since, until, state, _ in lane if since <= moment < until), "nothing")


def shown_number(place: Locator, pattern: str) -> int:
    found = re.search(pattern, place.inner_text())
    assert found, place.inner_text()
    return int(found[1].replace(",", ""))


def size_in(text: str) -> float:
    """The first size in a text, in bytes."""
    match = re.search(r"([\d.]+)\s(MB|kB|GB)", text)
    assert match, text
    return float(match[1]) * {"kB": 1e3, "MB": 1e6, "GB": 1e9}[match[2]]


def test_all_surfaces_show_what_the_runners_did(lab: Front) -> None:
    page = lab.page
    card = opened(lab, [LOAD, WITNESS, LOAD_OF_CALLS])
    printed = page.locator(".jp-OutputArea-output pre", has_text="SPANS").inner_text()
    spans = json.loads(printed.split("SPANS", 1)[1].splitlines()[0])

    # the lane: each call is drawn as running, each visible pause as idle, nothing thinner than can be seen
    chart = tab(card, "timeline").locator('svg[aria-roledescription="timeline"]')
    expect(chart.locator('rect[data-state="IDLE"]').last).to_be_visible()
    page.wait_for_function(
        "([end, svg]) => Math.max(...[...document.querySelectorAll(svg)].map(one => Number(one.dataset.to))) > end",
        arg=[spans[-1][1] + 2 * PAUSE, 'svg[aria-roledescription="timeline"] rect[data-state]'],
        polling=EVERY,
    )
    lane = chart.evaluate(LANE)
    for began, until in spans:
        assert drawn_at(lane, (began + until) / 2) == "RUNNING", (began, until, lane)
    for (_, until), (began, _) in pairwise(spans):
        if began - until > PAUSE + 50:
            assert drawn_at(lane, (began + until) / 2) == "IDLE", (began, until, lane)
    assert drawn_at(lane, spans[-1][1] + PAUSE) == "IDLE"
    assert min(width for *_, width in lane) >= 1.9

    # the line of running requests agrees with the lanes, however wide a pixel is, also to the right edge
    for narrow, window in product((False, True), ("1 min", "5 min", "30 min")):
        page.set_viewport_size({"width": 900 if narrow else 1500, "height": 1000})
        card.get_by_role("button", name=window, exact=True).click()
        expect(chart.locator('rect[data-state="IDLE"]').last).to_be_visible()
        assert chart.evaluate(DISAGREE) == []
        expect(chart).to_contain_text(re.compile("run(ning)? 0"))
    page.set_viewport_size({"width": 1500, "height": 1000})
    card.get_by_role("button", name="5 min", exact=True).click()

    # the requests: one row a call, each as long as the call was
    requests = tab(card, "requests")
    rows = requests.locator("tr[data-request]")
    expect(rows).to_have_count(len(spans))
    longest = max(until - began for began, until in spans)
    assert any(
        abs(float(found[1]) - longest) < 60
        for row in rows.all_inner_texts()
        if (found := re.search(r"([\d.]+) ms", row))
    )

    # status bar, sidebar, facts: one runner, ready and idle
    expect(page.locator(".fj-status")).to_contain_text("fal 1 app ready")
    sidebar = open_sidebar(lab)
    expect(sidebar.get_by_role("treeitem", name=re.compile(r"^runner \d+ .*witness-\d+, idle"))).to_be_visible()
    expect(card.locator(".fj-facts")).to_contain_text("1 ready")

    # the ledger: the runner's and the kernel's part of the memory, of shared pages their share, and all of it in the legend
    runner = next(one for one in runners(lab.state) if one["app"].endswith("witness"))
    owner = next(one for one in apps(lab.state) if one["app"].endswith("witness"))
    lab.command("fal-jupyter:open-ledger")
    ledger = page.locator(".fj-ledger").filter(visible=True)
    for name, pid in (("witness runner", runner["pid"]), ("kernel", owner["owner_pid"])):
        block = ledger.locator(f'button.fj-mem[aria-label^="{name}"]')
        expect(block).to_have_count(1)
        drawn = size_in(block.get_attribute("aria-label") or "")
        process = psutil.Process(pid).memory_full_info()
        assert abs(drawn - process.pss) < 0.25 * process.pss + 5e6
        assert drawn < process.rss
    fills = [set(re.findall(r"fj-mem-\w+", str(ledger.locator(place).evaluate_all("all => all.map(one => one.className)"))))
             for place in ("button.fj-mem", ".fj-legend .fj-swatch")]  # fmt: skip
    assert fills[0] == fills[1] >= {"fj-mem-kernel"}

    # stop and start: the record stays
    page.locator(".lm-DockPanel-tabBar .lm-TabBar-tab", has_text=".ipynb").click()
    calls = len(spans)
    card.get_by_label("Stop the app").click()
    page.locator(".jp-Dialog-button.jp-mod-warn").click()
    expect(card).to_contain_text(f"Stopped after {calls} calls")
    expect(tab(card, "requests").locator("tr[data-request]")).to_have_count(calls)
    expect(page.locator(".fj-status")).to_contain_text("fal 1 app stopped")
    card.get_by_role("button", name="Start", exact=True).click()
    expect(card.locator(".fj-facts")).to_contain_text("1 ready")
    expect(tab(card, "requests").locator("tr[data-request]")).to_have_count(calls)
    expect(tab(card, "timeline").locator('rect[data-state="IDLE"]').last).to_be_visible()
