"""The same panels by anywidget: over a kernel's comm in JupyterLab, and in a page that is no notebook at all."""

from __future__ import annotations

import json
from pathlib import Path

import nbformat
import pytest
from nbconvert import HTMLExporter
from playwright.sync_api import Browser, expect

from fal_jupyter.client.client import Client
from fal_jupyter.protocol.feed import MIME
from fal_jupyter.settings import read
from fal_jupyter.widgets.bundle import bundle
from tests.browser.apps import LOAD, STUDIO
from tests.browser.conftest import Front
from tests.browser.test_lab import tab
from tests.support.web_server import folder_server

VIEW = "application/vnd.jupyter.widget-view+json"
# Saves the notebook, and returns what its kernel is asked meanwhile.
SAVE = """async () => {
    const { context } = window.jupyterapp.shell.currentWidget, { kernel } = context.sessionContext.session;
    const request = kernel.requestExecute;
    const asked = [];
    kernel.requestExecute = (...given) => { asked.push(given[0].user_expressions?.made ?? ''); return request.apply(kernel, given); };
    await context.save();
    delete kernel.requestExecute;
    return asked.join();
}"""
PAGE = """<!doctype html><meta charset="utf-8"><title>bare</title><body class="vscode-dark"><div id="here"></div>
<script type="module">
import widget from "./widget.mjs";
const given = await (await fetch("./given.json")).json();
const listeners = {};
const model = {
  get: name => given[name], set() {}, save_changes() {},
  on: (name, f) => (listeners[name] = f), off: name => delete listeners[name],
  send: message => { window.sent = [...(window.sent ?? []), message]; if (message.listen) listeners["msg:custom"]({feed: [given.line]}, []); },
};
window.end = widget.render({model, el: document.getElementById("here")});
window.listeners = listeners;
</script>"""


def joined_module(lab: Front, browser: Browser, tmp_path: Path) -> None:
    """The widget's module draws the app's card, live, in a bare page."""
    line = Client(read({"FAL_JUPYTER_STATE": str(lab.state)})).control.snapshot()
    assert line is not None
    app = line["apps"][0]
    card = {
        "version": 1, "panel": "card", "tab": "requests", "alias": app["alias"], "app": app["app"], "class_name": app["class_name"], "revision": 1,
        "cell": "cell [2]", "source": "", "gateway": line["gateway"], "options": line["options"], "picture": None,
    }  # fmt: skip
    (tmp_path / "widget.mjs").write_text(bundle())
    (tmp_path / "given.json").write_text(json.dumps({"card": card, "bare": False, "line": line}))
    (tmp_path / "index.html").write_text(PAGE)
    with folder_server(tmp_path) as port:
        address = f"http://127.0.0.1:{port}/"
        page = browser.new_page()
        errors: list[str] = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(address)
        expect(page.locator(".fj-card").get_by_text("Ready", exact=True)).to_be_visible()
        expect(page.locator("tr[data-request]")).to_have_count(1)
        assert (
            page.evaluate("() => getComputedStyle(document.querySelector('.fj')).getPropertyValue('--fj-run').trim()")
            == "#7cc0f8"
        )
        page.evaluate("() => window.end()")
        assert page.locator("#here").inner_html() == ""
        assert page.evaluate("() => Object.keys(window.listeners)") == []
        page.close()
        assert errors == []


def test_the_widget_works_over_the_comm_of_a_kernel_and_in_a_page_that_is_no_notebook(
    lab: Front, browser: Browser, tmp_path: Path
) -> None:
    cells = [LOAD, STUDIO, 'import fal_jupyter\nStudio.hi(name="Ada")\nfal_jupyter.widget(Studio, bare=True)']
    lab.write("c.ipynb", cells)
    lab.open("c.ipynb")
    lab.run_all(3)
    joined_module(lab, browser, tmp_path)
    over_the_comm(lab)


def over_the_comm(lab: Front) -> None:
    asked: list[str] = []
    lab.page.on("request", lambda request: asked.append(request.url) if "/fal/api/apps" in request.url else None)
    card = lab.page.locator(".jp-Cell").nth(2).locator(".fj-card")
    card.scroll_into_view_if_needed()  # a card that nobody sees is not drawn anew
    expect(card.get_by_text("Ready", exact=True)).to_be_visible()
    card.get_by_label("name").fill("Grace")
    card.locator(".fj-run-button").click()
    expect(card.locator(".fj-answer")).to_contain_text('"Hello, Grace"')
    expect(tab(card, "requests").locator("tr[data-request]")).to_have_count(2)
    config = tab(card, "config")
    config.locator('[data-option="min_concurrency"]').fill("2")
    config.get_by_role("button", name="Apply 1 live").click()
    expect(card.locator(".fj-facts")).to_contain_text("2 ready")
    assert not [url for url in asked if "calls" in url]  # all of it went through the kernel


@pytest.mark.long  # labextension/test/saving.test.mjs has what is saved of a widget and what is kept, tests/notebook/test_panels.py its view
def test_a_saved_notebook_has_the_picture_of_a_widget_that_goes_on_in_its_page(lab: Front) -> None:
    path = lab.write("saved_widget.ipynb", [LOAD, STUDIO, "import fal_jupyter\nfal_jupyter.widget(Studio)"])
    lab.open(path.name)
    lab.run_all(3)
    cell = lab.page.locator(".jp-Cell").nth(2)
    card = cell.locator(".fj-card")
    card.scroll_into_view_if_needed()  # a card that nobody sees is not drawn anew
    card.get_by_label("endpoint", exact=True).select_option("POST /")
    card.get_by_label("name").fill("Grace")
    card.locator(".fj-run-button").click()
    expect(card.locator(".fj-answer")).to_contain_text('"Hello, Grace"')
    expect(card.locator(".fj-card-notice")).to_contain_text("Last call / began at")
    card.get_by_label("name").fill("half typ")
    asked = lab.page.evaluate(SAVE)
    (output,) = json.loads(path.read_text())["cells"][2]["outputs"]
    assert output["data"][VIEW]["model_id"] in asked
    assert (output["metadata"], VIEW in output["data"]) == ({}, True)
    assert output["data"][MIME]["picture"]["app"]["stats"]["calls"] == 1
    assert "1 call" in "".join(output["data"]["text/html"])
    assert "1 call" in "".join(output["data"]["text/plain"])
    assert output["data"][VIEW]["model_id"] not in lab.page.evaluate(SAVE)
    assert json.loads(path.read_text())["cells"][2]["outputs"] == [output]
    expect(card.get_by_label("name")).to_have_value("half typ")
    book = nbformat.read(path, 4)  # type: ignore[no-untyped-call]
    book.cells = book.cells[2:]
    html, _ = HTMLExporter(template_name="classic").from_notebook_node(book)  # type: ignore[no-untyped-call]
    assert "1 call" in html
    lab.open(path.name)  # a card of our renderer now, which goes on with the app
    card.scroll_into_view_if_needed()
    # a page remembers what another test chose for an app of this name
    card.get_by_label("endpoint", exact=True).select_option("POST /")
    card.locator(".fj-run-button").click()
    expect(card.locator(".fj-answer")).to_contain_text('"Hello, ')
    expect(tab(card, "requests").locator("tr[data-request]")).to_have_count(2)
    lab.page.evaluate(SAVE)
    (output,) = json.loads(path.read_text())["cells"][2]["outputs"]
    assert (VIEW in output["data"], output["data"][MIME]["picture"]["app"]["stats"]["calls"]) == (True, 2)
    kernels = [f"/api/kernels/{one['id']}" for one in lab.server.request("api/kernels").json]
    # 404 for JupyterLab, which asks for what it has just ended, its debugger too
    lab.expected += ["/api/sessions/", *kernels, "Canceled future for debug_request"]
    lab.command("kernelmenu:shutdown")
    lab.page.wait_for_selector(".fj-status:has-text('fal no apps')")
    lab.open(path.name, kernel=False)
    expect(card).to_contain_text("Saved state of")
    expect(tab(card, "requests").locator("tr[data-request]")).to_have_count(2)
    expect(cell.get_by_text("Error displaying widget")).to_have_count(0)
