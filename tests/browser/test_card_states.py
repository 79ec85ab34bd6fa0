"""The card through every state: nothing below it moves, and each tab says what it has."""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path

import pytest
from playwright.sync_api import Locator, expect

from fal_jupyter.protocol.feed import TABS
from tests.browser.apps import LOAD
from tests.browser.conftest import EVERY, Front
from tests.browser.test_card import idle, run
from tests.environments.wheels import make_wheel
from tests.support.serve import doctor

LARGE = """%%fal_app
import pathlib, time
from typing import Literal
from pydantic import BaseModel, Field

class Wish(BaseModel):
    prompt: str = Field(default="a fox")
    negative_prompt: str = ""
    steps: int = Field(default=28, ge=1, le=50)
    guidance: float = Field(default=5.0, ge=0, le=20)
    seed: int = Field(default=7, ge=0, le=4294967295)
    width: int = 512
    height: int = 512
    scheduler: Literal["ddim", "euler"] = "euler"
    safe: bool = True
    strength: float = Field(default=0.5, ge=0, le=1)
    frames: int = 8
    fps: int = 24
    loop: bool = False
    tag: str = ""

class Large(fal.App):
    keep_alive = 300

    def setup(self):
        print("loading weights")
        while not pathlib.Path("GATE").exists(): time.sleep(0.01)
        if pathlib.Path("GATE").read_text(): raise OSError("no weights here")

    @fal.endpoint("/")
    def make(self, wish: Wish) -> dict:
        '''Make a picture of what the prompt says, with a scheduler of choice.'''
        print("making", wish.prompt)
        return {"seed": wish.seed, "steps": wish.steps}
"""
WATCH = """() => {
    window.fjSeen = [];
    const look = () => {
        const [, made, below] = document.querySelectorAll('.jp-NotebookPanel .jp-CodeCell');
        if (!below) return;
        const card = made.querySelector('.fj-card');
        const apart = below.getBoundingClientRect().top - made.getBoundingClientRect().top;
        const now = [card?.querySelector('.fj-head-state')?.textContent ?? '', Math.round(card?.offsetHeight ?? 0), Math.round(apart)];
        if (JSON.stringify(window.fjSeen.at(-1)) !== JSON.stringify(now)) window.fjSeen.push(now);
        requestAnimationFrame(look);
    };
    look();
}"""


STOPPED = {
    "outputs": "No call gave a picture", "requests": "1 call", "timeline": "Decisions", "config": "The app is stopped. Start it to change it.",
    "logs": "making a fox", "snippets": "Large.make(", "try": "negative_prompt",
}  # fmt: skip
OFF = STOPPED | {
    "outputs": "Outputs of new calls come here when the app's cell has run.", "config": "The app is gone. Run its cell to change it.", "logs": "making a fox",
}  # fmt: skip
SAVED = OFF | {
    "outputs": "No output was saved.", "config": "A saved picture: run the cell again to change it.",
    "logs": "as saved", "try": "Run the cell again",
}  # fmt: skip
NEEDS = """%%fal_app
class Needs(fal.App):
    requirements = ["./tiny-1.0-py3-none-any.whl"]

    @fal.endpoint("/")
    def hi(self) -> str:
        import tiny
        return tiny.VERSION
"""


def heights(lab: Front) -> set[int]:
    """The heights that the card had since this was asked last, while there was one."""
    found: list[tuple[str, int, int]] = lab.page.evaluate("window.fjSeen.splice(0)")
    return {height for _, height, _ in found if height}


def shifts(lab: Front) -> list[int]:
    """How far the next cell was from the card's."""
    return [apart for _, _, apart in lab.page.evaluate("window.fjSeen.splice(0)")]


def walk(card: Locator, expected: dict[str, str]) -> None:
    for name in sorted(TABS, key=lambda name: name == "try"):  # the last stays in front
        card.locator(f'[data-tab="{name}"]').click()
        expect(card.locator(f'[data-panel="{name}"]')).to_contain_text(expected[name])


@pytest.mark.long  # test_card.py has the states of an app's life, labextension/test/card_states.test.mjs each of them
@pytest.mark.timeout(300)
def test_no_state_shifts_the_page_below_the_card_and_each_tab_has_its_title(lab: Front, tmp_path: Path) -> None:
    page, gate = lab.page, tmp_path / "gate"
    lab.write("states.ipynb", [LOAD, LARGE.replace("GATE", str(gate)), "'below'"])
    lab.open("states.ipynb")
    run(lab, 0)
    idle(lab)
    page.evaluate(WATCH)
    card = run(lab, 1).locator(".fj-card")
    state = card.locator(".fj-head-state")
    expect(state).to_have_text("Starting")
    expect(card.locator(".fj-card-steps li[aria-current]")).to_contain_text("setup()")
    gate.touch()
    expect(state).to_have_text("Ready")
    idle(lab)
    expect(card.get_by_label("prompt", exact=True)).to_have_value("a fox")
    expect(card.get_by_role("button", name="All fields")).to_be_visible()
    card.get_by_role("button", name="Run", exact=True).click()
    expect(card.locator(".fj-answer")).to_contain_text("28")
    lab.picture("states-done")
    (height,) = heights(lab)

    card.get_by_label("Stop the app").click()
    page.locator(".jp-Dialog button.jp-mod-warn").click()
    expect(state).to_have_text("Stopped")
    walk(card, STOPPED)
    assert max(heights(lab)) > height  # each tab has its own: none keeps the room of a taller one
    gate.write_text("fail")
    card.get_by_role("button", name="Start", exact=True).click()
    expect(state).to_have_text("Failing")
    expect(card.locator(".fj-here")).to_be_visible()
    lab.picture("states-failing")
    gate.write_text("")
    card.get_by_role("button", name="Retry now").click()
    expect(state).to_have_text("Ready")
    lab.command("fal-jupyter:unload-app", {"alias": "large"})
    expect(state).to_have_text("Scaled to zero")
    expect(card.locator(".fj-card-notice")).to_contain_text("The next call starts a runner")
    lab.picture("states-zero")
    card.get_by_role("button", name="Start 1 runner").click()
    expect(state).to_have_text("Ready")
    expect(card.get_by_role("button", name="Start 1 runner")).to_be_hidden()
    assert heights(lab) == {height}

    # each fact in one line, at the widths of a side by side, of a laptop and of a large screen
    for width in (668, 1008, 1300):
        page.evaluate(
            "w => { Object.assign(document.querySelector('.fj-card').style, { width: `${w}px`, maxWidth: 'none' }); }",
            width,
        )
        assert {fact.evaluate("e => e.lastChild.offsetHeight") for fact in card.locator(".fj-fact").all()} == {20}
    page.evaluate("() => { document.querySelector('.fj-card').removeAttribute('style'); }")
    shifts(lab)

    # the cell runs again: what is below waits in its place until the new card is there
    run(lab, 1)
    idle(lab)
    expect(state).to_have_text("Ready")
    again = shifts(lab)
    assert max(again) - min(again) < 24, again  # a line that was printed is gone


@pytest.mark.long  # the test above has each tab of a stopped app, test_bad_input.py an end of the gateway, test_lab.py a saved card
@pytest.mark.timeout(300)
def test_without_a_gateway_and_as_saved_each_tab_says_what_it_has(lab: Front, tmp_path: Path) -> None:
    page, gate = lab.page, tmp_path / "gate"
    lab.expected += ["Failed to load resource", "502", "network error", "ERR_INCOMPLETE_CHUNKED_ENCODING"]
    gate.touch()
    lab.write("states.ipynb", [LOAD, LARGE.replace("GATE", str(gate)), "'below'"])
    lab.open("states.ipynb")
    lab.run_all(3)
    card = page.locator(".fj-card").first
    state = card.locator(".fj-head-state")
    expect(state).to_have_text("Ready")
    card.get_by_role("button", name="Run", exact=True).click()
    expect(card.locator(".fj-answer")).to_contain_text("28")
    lab.command("docmanager:save")
    page.wait_for_function("() => !window.jupyterapp.shell.currentWidget.context.model.dirty", polling=EVERY)
    os.kill(doctor(lab.state)["gateway"]["pid"], signal.SIGKILL)
    expect(card).to_contain_text("No gateway is running")
    walk(card, OFF)
    lab.picture("states-off")

    for kernel in lab.server.request("api/kernels").json:
        lab.server.request(f"api/kernels/{kernel['id']}", method="DELETE")
    page.evaluate(
        "() => { window.jupyterapp.shell.currentWidget.context.model.dirty = false; }"
    )  # it opens as saved above
    lab.open("states.ipynb")
    expect(state).to_have_text("Ready, saved")
    walk(card, SAVED)


@pytest.mark.long  # the steps of a start are those of the test above; tests/notebook/test_environments.py makes environments
@pytest.mark.timeout(300)
def test_the_making_of_an_environment_is_a_step_on_the_card(lab: Front) -> None:
    page = lab.page
    make_wheel(lab.server.directory / "root")
    lab.write("needs.ipynb", [LOAD, NEEDS])
    lab.open("needs.ipynb")
    run(lab, 0)
    idle(lab)
    # on the card before there is an app, with its output
    needs = run(lab, 1).locator(".fj-card")
    needs.scroll_into_view_if_needed()
    expect(needs.locator(".fj-card-steps li[aria-current]")).to_contain_text(re.compile(r"environment \d"))
    expect(needs.locator(".fj-head-state")).to_have_text("Starting")
    expect(needs.locator(".fj-card-build")).to_contain_text("making an environment for Needs")
    lab.picture("states-environment")
    expect(needs.locator(".fj-head-state")).to_have_text("Ready", timeout=120_000)
    idle(lab)
    assert "making an environment" not in page.locator(".jp-CodeCell").nth(1).locator(".jp-OutputArea").inner_text()
    expect(page.locator(".jp-CodeCell").nth(1).locator(".fj-card")).to_have_count(1)
