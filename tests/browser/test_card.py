"""The card through an app's life in JupyterLab: its first start, a setup that fails and is mended, its end, and a saved notebook."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import nbformat
import pytest
from playwright.sync_api import Locator, expect

from tests.browser.apps import LOAD
from tests.browser.conftest import EVERY, Front

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
SLOW = """%%fal_app
import pathlib, time
class Slow(fal.App):
    def setup(self):
        print("loading weights")
        while not pathlib.Path("GATE").exists(): time.sleep(0.01)

    @fal.endpoint("/zeta")
    def zeta(self, word: str = "z") -> str:
        return word

    @fal.endpoint("/alpha")
    def alpha(self) -> str:
        return "a"
"""
BROKEN = """%%fal_app
class Broken(fal.App):
    def setup(self):
        self.weights = open("/no/such/weights")

    @fal.endpoint("/")
    def hi(self) -> str:
        return "hi"
"""
ACTIVE = "window.jupyterapp.shell.currentWidget.content"


def cell(lab: Front, number: int) -> Locator:
    return lab.page.locator(".jp-NotebookPanel .jp-CodeCell").nth(number)


def run(lab: Front, number: int) -> Locator:
    """Run one cell, without waiting for its end."""
    lab.page.wait_for_function(
        "() => { const s = window.jupyterapp.shell.currentWidget?.context?.sessionContext, k = s?.session?.kernel;"
        " return s?.isReady && k?.connectionStatus === 'connected' && k?.status === 'idle'; }",
        polling=EVERY,
    )
    lab.page.evaluate(
        "n => { const { shell, commands } = window.jupyterapp; shell.currentWidget.content.activeCellIndex = n;"
        " void commands.execute('notebook:run-cell'); }",
        number,
    )
    return cell(lab, number)


def idle(lab: Front) -> None:
    expect(lab.page.locator(".jp-InputPrompt", has_text="[*]:")).to_have_count(0, timeout=60_000)


def box(place: Locator) -> Any:
    found = place.bounding_box()
    assert found
    return found


MODEL = "window.jupyterapp.shell.currentWidget.context.model"


def dirty(lab: Front) -> bool:
    return bool(lab.page.evaluate(f"{MODEL}.dirty"))


@pytest.mark.timeout(300)
def test_the_life_of_an_app_on_its_card(lab: Front, tmp_path: Path) -> None:
    page, gate = lab.page, tmp_path / "gate"
    name = "life.ipynb"
    lab.write(name, [LOAD, SLOW.replace("GATE", str(gate)), "'between'", BROKEN])
    lab.open(name)
    run(lab, 0)
    idle(lab)

    # there at once: its steps, and what setup() prints, once
    first = run(lab, 1)
    card = first.locator(".fj-card")
    expect(card.locator(".fj-head-state")).to_have_text("Starting")
    expect(card.locator(".fj-card-steps li[aria-current]")).to_contain_text(re.compile(r"setup\(\) \d"))
    expect(first.locator(".jp-OutputArea").get_by_text("loading weights")).to_have_count(1)
    chip = first.locator(".fj-cell-chip")
    expect(chip).to_contain_text(re.compile(r"r1 setup \d+ s"))
    facts, begun = box(card.locator(".fj-facts")), box(card)
    silent = card.locator(".fj-card-silent")  # fills the room of the form that comes
    expect(silent).to_have_text("The form comes here when the app is ready. What setup() prints is below this card.")
    room, panel = box(silent), box(card.locator(".fj-tab-panel").first)
    assert room["height"] > panel["height"] - 70
    assert room["y"] + room["height"] <= panel["y"] + panel["height"]
    lab.picture("card-starting-light")
    gate.touch()
    expect(card.locator(".fj-head-state")).to_have_text("Ready")
    idle(lab)
    expect(first.locator(".fj-card")).to_have_count(1)
    assert box(card.locator(".fj-facts"))["height"] == facts["height"]
    assert box(card)["height"] >= begun["height"]
    expect(card.locator(".fj-card-notice")).to_contain_text("No call yet. Press Run, or call Slow.zeta(…) in a cell.")

    # the endpoints in the order of the source, the first one chosen
    expect(card.locator(".fj-facts")).to_contain_text("/zeta · /alpha")
    options = card.locator(".fj-try-form select").first
    assert options.locator("option").all_inner_texts() == ["POST /zeta", "POST /alpha"]
    expect(options).to_have_value("/zeta")

    # the chip stays within its own cell, beside the toolbar of the active one
    expect(chip).to_contain_text("r1 · 1 ready")
    for chosen in (1, 2):
        cell(lab, chosen).locator(".jp-InputPrompt").click()
        toolbar = cell(lab, chosen).locator(".jp-cell-toolbar")
        expect(toolbar).to_be_visible()
        expect(chip).to_be_visible()
        if chosen == 1:
            page.wait_for_function(
                "cell => { const a = cell.querySelector('.fj-cell-chip').getBoundingClientRect(),"
                " b = cell.querySelector('.jp-cell-toolbar').getBoundingClientRect();"
                " return a.right <= b.left || a.left >= b.right || a.top >= b.bottom || a.bottom <= b.top; }",
                arg=first.element_handle(),
                polling=EVERY,
            )
        inside, outside = box(chip), box(first)
        assert inside["y"] >= outside["y"]
        assert inside["y"] + inside["height"] <= outside["y"] + outside["height"]
    lab.picture("chip-light")

    # a setup that fails: the user's frame, what happens next, the way to the line
    broken = run(lab, 3)
    crash = broken.locator(".fj-card")
    # a card draws nothing while it is not seen; it may be exchanged for the live one while it is scrolled to, what is around it is not
    broken.locator(".jp-Cell-outputWrapper").scroll_into_view_if_needed()
    expect(crash.locator(".fj-head-state")).to_have_text("Failing")
    idle(lab)
    expect(crash.locator(".fj-card-notice")).to_contain_text("The app retries automatically")
    expect(crash.locator(".fj-here")).to_contain_text('self.weights = open("/no/such/weights")')
    expect(crash.get_by_role("button", name="Retry now")).to_be_visible()
    expect(broken.locator(".fj-cell-chip")).to_contain_text("r1 failed: FileNotFoundError")
    # its traceback below the card is one line while the card says the same, and whole in the notebook
    folded, traceback = broken.locator(".fj-folded-error"), broken.locator(".fj-folds-error .jp-RenderedText")
    expect(folded).to_contain_text("SetupFailed: Broken could not start: setup() raised FileNotFoundError")
    expect(traceback).to_be_hidden()
    (error,) = page.evaluate(f"{ACTIVE}.widgets[3].model.outputs.toJSON().filter(one => one.output_type === 'error')")
    assert 'self.weights = open("/no/such/weights")' in str(error["traceback"])
    crash.scroll_into_view_if_needed()
    lab.pictures("card-crash")
    page.evaluate(
        "() => document.addEventListener('animationstart', event => event.animationName === 'fj-line-shown' && (window.fjLine = event.target.textContent))"
    )
    crash.get_by_role("button", name="Go to line 4").click()
    page.wait_for_function("() => window.fjLine?.includes('/no/such/weights')", polling=EVERY)
    page.wait_for_function(
        f"() => {ACTIVE}.activeCellIndex === 3 && {ACTIVE}.activeCell.editor.getCursorPosition().line === 3",
        polling=EVERY,
    )
    folded.get_by_role("button", name="Show traceback").click()
    expect(broken.locator(".jp-RenderedText", has_text="Traceback (most recent call last)")).to_be_visible()
    expect(folded).to_have_count(0)

    # mended
    page.evaluate("text => " + ACTIVE + ".widgets[3].model.sharedModel.setSource(text)", BROKEN.replace("open", "str"))
    run(lab, 3)
    expect(crash.locator(".fj-head-state")).to_have_text("Ready")
    idle(lab)
    expect(broken.locator(".fj-cell-chip")).to_contain_text("r2 · 1 ready")

    # options that were changed are written into the class
    crash.locator('[data-tab="config"]').click()
    crash.locator('[data-option="max_concurrency"]').fill("3")
    crash.get_by_role("button", name="Write to cell").click()
    expect(crash.locator(".fj-config-message")).to_contain_text("Written to the cell: max_concurrency = 3")
    source = page.evaluate(f"{ACTIVE}.widgets[3].model.sharedModel.getSource()")
    assert "class Broken(fal.App):\n    max_concurrency = 3\n" in source
    expect(crash.locator(".fj-config-message")).to_contain_text("Applied in")
    expect(broken.locator(".fj-cell-chip")).to_contain_text("r2 · 1 ready")  # what is written is what runs
    lab.picture("card-written-light")

    # after its owner's end a saved card is a grey picture; its button runs its cell
    lab.command("docmanager:save")
    page.wait_for_function("() => !window.jupyterapp.shell.currentWidget.context.model.dirty", polling=EVERY)
    for kernel in lab.server.request("api/kernels").json:
        lab.server.request(f"api/kernels/{kernel['id']}", method="DELETE")
    lab.open(name)
    saved = cell(lab, 1).locator(".fj-card")
    expect(saved.locator(".fj-head-state")).to_have_text("Ready, saved")
    expect(saved.locator(".fj-head-state .fj-ok")).to_have_count(0)
    assert not dirty(lab)
    lab.picture("card-saved-light")
    run(lab, 0)
    idle(lab)
    saved.get_by_role("button", name="Run its cell").click()
    expect(cell(lab, 1).locator(".fj-card .fj-head-state")).to_have_text("Ready")
    idle(lab)


def test_opening_the_tour_leaves_it_unmodified(lab: Front) -> None:
    for file in ("tour.ipynb", "sentences.txt"):
        shutil.copy(NOTEBOOKS / file, lab.server.directory / "root" / file)
    lab.open("tour.ipynb")
    card = lab.page.locator(".fj-card").first
    card.scroll_into_view_if_needed()
    expect(card).to_be_visible()
    lab.page.wait_for_function(f"() => {MODEL}.getMetadata('language_info').version", polling=EVERY)

    opened = json.loads(lab.page.evaluate(f"JSON.stringify({MODEL}.toJSON())"))
    stored = nbformat.read(NOTEBOOKS / "tour.ipynb", as_version=4)
    del (
        opened["metadata"]["language_info"],
        stored["metadata"]["language_info"],
    )  # JupyterLab writes the kernel's into it
    for code in opened["cells"]:
        code["metadata"].pop("trusted", None)  # which is not saved
    assert opened == stored


def restarted(lab: Front) -> None:
    """Restart the page's kernel, and wait until it is idle."""
    lab.page.evaluate(
        "async () => { const s = window.jupyterapp.shell.currentWidget.context.sessionContext; await s.restartKernel(); await s.ready; }"
    )
    lab.page.wait_for_function(
        "() => window.jupyterapp.shell.currentWidget.context.sessionContext.session?.kernel?.status === 'idle'",
        polling=EVERY,
    )


@pytest.mark.long  # the first test has "Run its cell", in labextension/test notebooks.test.mjs has cells that fail, keys.test.mjs magics that are unknown
@pytest.mark.timeout(300)
def test_run_its_cell_after_a_restart_and_runs_that_fail(lab: Front) -> None:
    page, name = lab.page, "again.ipynb"
    hello = "%%fal_app\nclass Hello(fal.App):\n    @fal.endpoint('/')\n    def hi(self) -> str:\n        return 'hi'\n"
    lab.write(name, [LOAD, hello])
    lab.open(name)
    run(lab, 0)
    idle(lab)
    made = run(lab, 1)
    card, head = made.locator(".fj-card"), made.locator(".fj-card .fj-head-state")
    expect(head).to_have_text("Ready")
    idle(lab)

    # a run that fails before there is a new card keeps the one that is there, below its error
    source = "text => " + ACTIVE + ".widgets[1].model.sharedModel.setSource(text)"
    page.evaluate(source, hello.replace("return 'hi'", "return ("))
    run(lab, 1)
    expect(made.locator(".jp-OutputArea")).to_contain_text(
        re.compile("SyntaxError|_IncompleteInputError")
    )  # Python 3.13 has its own
    expect(head).to_have_text("Ready")
    expect(made.locator(".fj-cell-chip")).to_contain_text("r1 serves · edited: 1 line differs")
    lab.picture("card-kept-light")

    # a setup() that fails behind a revision that serves
    page.evaluate(source, hello.replace("    @fal", "    def setup(self):\n        open('/no/such')\n\n    @fal", 1))
    run(lab, 1)
    expect(head).to_have_text("Ready · r2 failed")
    idle(lab)
    expect(card.locator(".fj-facts")).to_contain_text("r1 serves, r2 failed")
    expect(page.locator(".fj-status")).to_contain_text("fal 1 app failing · 1 runner")
    expect(made.locator(".fj-cell-chip")).to_contain_text("r2 failed · r1 serves")
    page.evaluate(source, hello)
    expect(made.locator(".fj-cell-chip")).to_contain_text("r2 failed · r1 serves · edited")
    lab.picture("card-behind-light")
    run(lab, 1)
    expect(head).to_have_text("Ready")
    idle(lab)

    # a new kernel: by hand the magic is unknown and the card stays; the button loads the extension
    restarted(lab)
    expect(head).to_have_text("Stopped")
    expect(card.locator(".fj-card-notice")).to_contain_text("Stopped with its kernel after 0 calls")
    page.locator("li.lm-TabBar-tab[data-id='fal-jupyter-sidebar']").click()
    expect(page.locator("#fal-jupyter-sidebar")).to_contain_text("kernel ended")
    expect(page.locator("#fal-jupyter-sidebar")).to_contain_text("Insert an app cell")
    page.evaluate("() => window.jupyterapp.shell.currentWidget.context.save()")
    saved = json.loads((lab.server.directory / "root" / name).read_text())["cells"][1]["outputs"]
    assert [
        one for one in saved if "Stopped: its kernel had ended when this was saved" in str(one["data"]["text/html"])
    ]
    button = card.get_by_role("button", name="Run its cell")
    expect(button).to_be_visible()
    run(lab, 1)
    expect(made.locator(".jp-OutputArea")).to_contain_text("Cell magic `%%fal_app` not found")
    expect(button).to_be_visible()
    lab.picture("card-unknown-light")
    button.click()
    expect(head).to_have_text("Ready")
    expect(made.locator(".jp-OutputArea")).not_to_contain_text("not found")
    idle(lab)

    # a kernel without the package: one sentence, and the outputs are as they were
    restarted(lab)
    page.evaluate(
        "async code => { await window.jupyterapp.shell.currentWidget.context.sessionContext.session.kernel"
        ".requestExecute({ code }).done; }",
        "import sys; sys.modules['fal_jupyter'] = None",
    )
    before = page.evaluate(ACTIVE + ".widgets[1].model.outputs.toJSON().length")
    expect(button).to_be_visible()
    button.click()
    lab.command("apputils:display-notifications")
    expect(page.get_by_text("could not load the extension fal_jupyter: ModuleNotFoundError")).to_be_visible()
    expect(button).to_be_visible()
    assert page.evaluate(ACTIVE + ".widgets[1].model.outputs.toJSON().length") == before
    lab.picture("card-no-extension-light")


@pytest.mark.long  # labextension/test/keys.test.mjs has each key, test_lab.py and test_access.py those of the main ways
@pytest.mark.timeout(300)
def test_keys_of_the_card_and_of_the_page(lab: Front) -> None:
    page, name = lab.page, "keys.ipynb"
    hello = "%%fal_app\nclass Hello(fal.App):\n    @fal.endpoint('/')\n    def hi(self, name: str = 'you') -> str:\n        return name\n"
    lab.write(name, [LOAD, hello, "'below'"])
    lab.open(name)
    lab.run_all(3)
    made = cell(lab, 1)
    card = made.locator(".fj-card")
    expect(card.locator(".fj-head-state")).to_have_text("Ready")
    field = card.locator(".fj-fields input, .fj-fields textarea").first
    cells = page.locator(".jp-NotebookPanel .jp-CodeCell")

    # Ctrl S saves from a field, a tab, a button, a slider and the chip
    def saves(place: Locator) -> None:
        page.evaluate(
            "() => window.jupyterapp.shell.currentWidget.content.widgets[2].model.sharedModel.setSource(String(Math.random()))"
        )
        assert dirty(lab)
        place.focus()
        for _ in range(10):  # JupyterLab hears no second save before the first one has its checkpoint
            place.press("Control+s")
            page.wait_for_timeout(300)
            if not dirty(lab):
                break
        assert not dirty(lab)

    saves(field)
    saves(card.locator('[data-tab="try"]'))
    saves(card.locator(".fj-run-button"))
    saves(made.locator(".fj-cell-chip button"))
    card.locator('[data-tab="config"]').click()
    saves(card.locator('[data-slider="keep_alive"]'))
    saves(card.locator('[data-option="keep_alive"]'))
    card.locator('[data-tab="try"]').click()

    # a field keeps what edits its text, and letters on a button are no commands of the notebook
    field.fill("one two")
    field.press("Control+a")
    field.press("Control+x")
    expect(field).to_have_value("")
    field.press("Control+v")
    expect(field).to_have_value("one two")
    for key in ("d", "d", "b", "Control+Enter"):
        card.locator('[data-tab="try"]').press(key, timeout=3000)
    expect(cells).to_have_count(3)
    expect(made.locator(".jp-InputPrompt").first).to_have_text("[2]:")

    # the palette opens from the card, and leads back to it; Escape leads from the card to its cell
    field.press("Control+Shift+c")
    palette = page.locator("#modal-command-palette")
    expect(palette).to_be_visible()
    page.keyboard.press("Escape")
    expect(palette).to_be_hidden()
    cell(lab, 1).locator(".jp-InputPrompt").first.click()
    page.keyboard.press("Control+Shift+c")
    page.keyboard.type("Go to the Card of")
    expect(palette.locator(".lm-mod-active")).to_contain_text("Go to the Card")
    page.keyboard.press("Enter")
    expect(card.locator('[role="tab"][aria-selected="true"]')).to_be_focused()
    page.keyboard.press("Escape")
    page.wait_for_function(
        f"() => {ACTIVE}.activeCellIndex === 1 && {ACTIVE}.mode === 'command' && document.activeElement === {ACTIVE}.activeCell.node",
        polling=EVERY,
    )
    page.keyboard.press("ArrowDown")  # the notebook's keys work from there
    page.wait_for_function(f"() => {ACTIVE}.activeCellIndex === 2", polling=EVERY)

    # the chip is before the card in the order of Tab, and clear of the toolbar of the active cell
    assert made.evaluate(
        "cell => { const chip = cell.querySelector('.fj-cell-chip'), after = Node.DOCUMENT_POSITION_FOLLOWING;"
        " return Boolean(chip.compareDocumentPosition(cell.querySelector('.fj-card')) & after)"
        " && Boolean(cell.querySelector('.jp-InputArea').compareDocumentPosition(chip) & after); }"
    )

    cell(lab, 1).locator(".jp-InputPrompt").first.click()
    expect(made.locator(".jp-cell-toolbar")).to_be_visible()
    page.wait_for_function(
        "cell => { const a = cell.querySelector('.fj-cell-chip').getBoundingClientRect(),"
        " b = cell.querySelector('.jp-cell-toolbar').getBoundingClientRect(); return b.width > 0 && a.right <= b.left; }",
        arg=made.element_handle(),
        polling=EVERY,
    )

    # no tab moves its neighbours, and each has the height that it needs
    places = [one["x"] for one in map(box, card.locator('[role="tab"]').all())]
    heights = set()
    for tab in ("timeline", "logs", "try", "config", "outputs"):
        card.locator(f'[data-tab="{tab}"]').click()
        assert [one["x"] for one in map(box, card.locator('[role="tab"]').all())] == pytest.approx(places, abs=0.6)
        heights.add(round(box(card)["height"]))
    assert len(heights) > 1
    lab.picture("card-tabs-light")
