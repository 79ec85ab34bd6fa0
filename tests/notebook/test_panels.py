"""Panels in real kernels: what is displayed, what a saved notebook holds, and what a converted one shows."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient
from nbconvert import HTMLExporter

from fal_jupyter.protocol.feed import MIME, source_hash
from tests.support.base_environment import base_environment
from tests.support.fixtures import state_fixture
from tests.support.kernel import Cell, Kernel, kernel
from tests.support.state import state_directory

APP = '''%%fal_app
class Desk(fal.App):
    @fal.endpoint("/")
    def hi(self, name: str = "world") -> dict:
        """<script>window.evil = 1</script> says hello."""
        return {"text": f"Hello, {name}"}

    @fal.endpoint("/fail")
    def fail(self) -> dict:
        raise ValueError("<img src=x onerror=alert(1)>")
'''
VIEW = "application/vnd.jupyter.widget-view+json"


def card_of(cell: Cell) -> dict[str, object]:
    found = [o["data"] for o in cell.outputs if o["output_type"] == "display_data" and "text/html" in o["data"]]
    assert found
    data: dict[str, object] = found[0]
    return data


def last_update(cell: Cell, alias: str) -> dict[str, Any]:
    """The last of the cell's updates of an app's card."""
    found = [u["data"] for u in cell.updates if MIME in u["data"] and u["data"][MIME]["alias"] == alias]
    last: dict[str, Any] = found[-1]
    return last


state = state_fixture("module")


@pytest.fixture
def notebook(state: Path, tmp_path: Path) -> Iterator[Kernel]:
    with kernel(state, tmp_path) as running:
        running.run("%load_ext fal_jupyter\nimport fal_jupyter").ok()
        yield running


@pytest.fixture(scope="module")
def shared(state: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    """One kernel for the tests that look at the panels of one app alone; each has an app of its own, none is ``Desk``: that is the app
    of the tests with a kernel of their own, and this kernel keeps its apps until the module's end."""
    with kernel(state, tmp_path_factory.mktemp("shared")) as running:
        running.run("%load_ext fal_jupyter\nimport fal_jupyter").ok()
        yield running


def test_a_card_is_data_picture_and_text_but_no_widget_view(shared: Kernel) -> None:
    app = APP.replace("Desk", "Shown")
    data = card_of(shared.run(app).ok())
    assert set(data) == {MIME, "text/html", "text/plain"}
    card = data[MIME]
    assert isinstance(card, dict)
    assert (card["panel"], card["alias"], card["source"]) == ("card", "shown", source_hash(app))
    assert card["picture"]["app"]["state"] == "Ready"
    assert card["gateway"]["pid"] > 0
    html = str(data["text/html"])
    assert "<script" not in html
    assert "Shown" in html


def test_the_picture_follows_later_cells_that_change_something(notebook: Kernel) -> None:
    notebook.run(APP).ok()
    quiet = notebook.run("1 + 1").ok()
    assert not [u for u in quiet.updates if MIME in u["data"]]
    cell = notebook.run("Desk.hi(); Desk.hi(name='Ada')").ok()
    updates = [u["data"] for u in cell.updates if MIME in u["data"]]
    assert len(updates) == 1
    assert updates[0][MIME]["picture"]["app"]["stats"]["calls"] == 2
    assert "2 calls" in updates[0]["text/html"]
    failed = notebook.run("Desk.fail()")
    html = [u["data"]["text/html"] for u in failed.updates if MIME in u["data"]][-1]
    assert "1 failed" in html
    assert "&lt;img src=x" in html
    assert "<img" not in html


def test_a_page_that_saves_gets_the_panels_as_they_stand_without_a_cell(notebook: Kernel) -> None:
    asked = 'getattr(__import__("sys").modules.get("fal_jupyter.notebook.session"), "OutputsToSave", list)({})'

    def outputs(*aliases: str, widgets: tuple[str, ...] = ()) -> list[dict[str, Any]]:
        made = asked.format(", ".join(json.dumps(one) for one in (aliases, widgets) if one))
        sent = notebook.client.execute("", silent=True, store_history=False, user_expressions={"made": made})
        reply = notebook.client.get_shell_msg(timeout=60)
        while reply["parent_header"]["msg_id"] != sent:
            reply = notebook.client.get_shell_msg(timeout=60)
        found: list[dict[str, Any]] = reply["content"]["user_expressions"]["made"]["data"]["application/json"]
        return found

    notebook.run(APP).ok()
    notebook.run("fal_jupyter.panel(Desk, 'requests'); fal_jupyter.dashboard(); fal_jupyter.app(Desk)").ok()
    where = notebook.run("print(Desk.local_url, Desk.key)").ok().text.split()
    asking = urllib.request.Request(
        where[0] + "/", b"{}", {"Authorization": f"Key {where[1]}", "Content-Type": "application/json"}
    )
    urllib.request.urlopen(asking).read()  # as a call from the card: the kernel hears nothing of it
    count = notebook.run("get_ipython().execution_count").ok().result
    card, requests, board = sorted(outputs("desk", ""), key=lambda one: (one[MIME]["panel"], one[MIME]["tab"]))
    assert card[MIME]["picture"]["app"]["stats"]["calls"] == 1
    assert card[MIME]["source"] == source_hash(APP)
    assert "1 call" in card["text/html"]
    assert (requests[MIME]["tab"], "last 1 of 1" in requests["text/html"]) == ("requests", True)
    assert (board[MIME]["panel"], "desk" in board["text/html"]) == ("dashboard", True)
    assert int(notebook.run("get_ipython().execution_count").ok().result) == int(count) + 1
    assert not [u for u in notebook.run("1").ok().updates if MIME in u["data"]]  # the kernel knows that the page has it
    shown = notebook.run("w = fal_jupyter.widget(Desk, 'requests'); other = fal_jupyter.widget(Desk); display(w)").ok()
    view: Any = card_of(shown)[VIEW]
    urllib.request.urlopen(asking).read()
    assert VIEW not in {name for one in outputs("desk") for name in one}  # a page asks only for its own
    *cards, widget = outputs("desk", widgets=(view["model_id"], "of another kernel"))
    assert (len(cards), widget[VIEW], "last 2 of 2" in widget["text/html"]) == (2, view, True)
    assert (widget[MIME]["tab"], widget[MIME]["picture"]["app"]["stats"]["calls"]) == ("requests", 2)
    # a widget within a box has no output of its own: a notebook has the state of its traits
    calls = "other.card['picture']['app']['stats']['calls']"
    assert notebook.run(calls).ok().result == "2"
    notebook.run("Desk.hi()").ok()
    assert notebook.run(calls).ok().result == "3"
    notebook.run("w.close(); w = fal_jupyter.widget(Desk)").ok()
    assert len(outputs("desk", widgets=(view["model_id"],))) == 2
    notebook.run("%fal stop Desk").ok()
    assert outputs("nobody") == []


@pytest.mark.long  # test_calls.py has a thousand calls in one line
@pytest.mark.parametrize("calls", [2_000, 10_000])
def test_thousands_of_calls_do_not_swell_what_is_saved(shared: Kernel, calls: int) -> None:
    shared.run(APP.replace("class Desk(fal.App):", "class Busy(fal.App):\n    max_multiplexing = 16")).ok()
    cell = shared.run(f"_ = [Busy.hi.map(['x'] * {calls // 4}, concurrency=8) for _ in range(4)]", timeout=100).ok()
    whole = json.dumps([cell.outputs, last_update(cell, "busy")])
    assert len(whole) < 256 * 1024


def test_long_paths_of_callers_do_not_swell_what_is_saved(shared: Kernel) -> None:
    shared.run(APP.replace("Desk", "Called")).ok()
    cell = shared.run(
        "import urllib.error, urllib.request\n"
        "for _ in range(12):\n"
        "    asked = urllib.request.Request(Called.local_url + '/' + '%3C' * 20_000, headers={'Authorization': f'Key {Called.key}'})\n"
        "    try: urllib.request.urlopen(asked)\n"
        "    except urllib.error.HTTPError as error: error.close(); assert error.code in (404, 405)\n"
    ).ok()
    update = last_update(cell, "called")
    assert "%3C%3C" in update["text/html"]
    assert len(json.dumps(update)) < 256 * 1024


@pytest.mark.long  # test_card_life.py has what other front ends get
@pytest.mark.parametrize("variable", ["VSCODE_PID"])
def test_a_front_end_without_our_extension_gets_the_widget_too(
    state: Path, variable: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv(variable, "1")
    with kernel(state, tmp_path) as running:
        running.run("%load_ext fal_jupyter").ok()
        data = card_of(running.run(APP).ok())
        assert {VIEW, "text/html", "text/plain"} <= set(data)


def test_panels_can_be_displayed_on_demand(notebook: Kernel) -> None:
    notebook.run(APP).ok()
    card = card_of(notebook.run("fal_jupyter.panel(Desk, 'config')").ok())[MIME]
    assert isinstance(card, dict)
    assert (card["panel"], card["tab"]) == ("card", "config")
    card = card_of(notebook.run("%fal panel Desk --tab logs").ok())[MIME]
    assert isinstance(card, dict)
    assert card["tab"] == "logs"
    data = card_of(notebook.run("%fal dashboard").ok())
    assert isinstance(data[MIME], dict)
    assert data[MIME]["panel"] == "dashboard"
    assert "desk" in str(data["text/html"])
    wrong = notebook.run("fal_jupyter.panel(Desk, 'nothing')")
    assert wrong.ename == "BadSetting"
    assert "there is no panel 'nothing'" in wrong.evalue
    assert notebook.run("fal_jupyter.panel('nobody')").ename == "NotServed"
    assert "AppPanel" in notebook.run("type(fal_jupyter.widget(Desk)).__name__").ok().result


def test_the_form_can_be_chosen(notebook: Kernel) -> None:
    notebook.run("%fal config panels text").ok()
    cell = notebook.run(APP).ok()
    assert "fal app" in cell.text
    assert not cell.html
    notebook.run("%fal config panels static").ok()
    assert set(card_of(notebook.run("fal_jupyter.panel(Desk)").ok())) == {"text/html", "text/plain"}


def test_without_a_jupyter_server_the_address_is_this_machines(shared: Kernel) -> None:
    shared.run(APP.replace("Desk", "Here")).ok()
    assert shared.run("Here.url == Here.local_url == fal_jupyter.app(Here).local_url").ok().result == "True"
    assert "http://127.0.0.1:" in shared.run("Here.local_url").ok().result


def test_a_converted_notebook_shows_the_picture_and_no_script_of_anybody(
    state: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("FAL_JUPYTER_STATE", str(state))
    cells = ["%load_ext fal_jupyter", APP, "Desk.hi(name='Ada')"]
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])  # type: ignore[no-untyped-call]
    NotebookClient(book, timeout=60, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}).execute()
    html, _ = HTMLExporter(template_name="classic").from_notebook_node(book)
    assert "Loading widget" not in html
    assert "1 call" in html
    assert "widget-view" not in html
    assert "window.evil = 1</script>" not in html


@pytest.mark.long  # with the extra, other front ends are in the tests around
def test_without_the_widgets_extra_a_front_end_that_needs_it_gets_pictures_and_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base_environment(tmp_path / "base")
    monkeypatch.setenv("VSCODE_PID", "1")
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "base/share/jupyter"))
    with state_directory() as state, kernel(state, tmp_path, kernel_name="base") as running:
        running.run("%load_ext fal_jupyter").ok()
        made = running.run(APP).ok()
        assert VIEW not in card_of(made)
        assert "pip install 'fal_jupyter[widgets]'" in made.text
        assert "fal_jupyter[widgets]" not in running.run("import fal_jupyter\nfal_jupyter.panel(Desk)").ok().text
        wrong = running.run("fal_jupyter.widget(Desk)")
        assert wrong.ename == "UserError"
        assert "fal_jupyter[widgets]" in wrong.evalue
