"""The card through an app's life in real kernels: there before the app is, after a setup that fails, after the app has stopped."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from fal_jupyter import processes, server_record
from fal_jupyter.protocol.feed import MIME
from fal_jupyter.server_record import ServerRecord
from tests.support.fixtures import state_fixture
from tests.support.kernel import Cell, Kernel, kernel

APP = """%%fal_app --take-over
class Slow(fal.App):
    def setup(self):
        print("loading weights")
        SETUP

    @fal.endpoint("/")
    def hi(self) -> str:
        return "hi"
"""
BROKEN = APP.replace("SETUP", "raise OSError('no weights here')").replace("Slow", "Broken")


state = state_fixture("module")


@pytest.fixture(scope="module")
def lab(state: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    """A kernel of a Jupyter server that draws cards live: this process, by its record."""
    runtime = tmp_path_factory.mktemp("runtime")
    pid = os.getpid()
    server_record.write(runtime, ServerRecord(pid, processes.start_time(pid), "/", "http://127.0.0.1:8888", True))
    with kernel(state, tmp_path_factory.mktemp("lab"), env={"JUPYTER_RUNTIME_DIR": str(runtime)}) as running:
        running.run("%load_ext fal_jupyter").ok()
        yield running


@pytest.fixture(scope="module")
def plain(state: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    """A kernel of somebody who shows what is displayed, and no more."""
    with kernel(state, tmp_path_factory.mktemp("plain")) as running:
        running.run("%load_ext fal_jupyter").ok()
        yield running


def cards_in(outputs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [output for output in outputs if MIME in output.get("data", {})]


def states(outputs: list[dict[str, Any]]) -> list[str]:
    return [output["data"][MIME]["picture"]["app"]["state"] for output in cards_in(outputs)]


def test_a_card_that_is_drawn_live_is_there_before_the_app_and_settles_in_place(lab: Kernel, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    setup = f"import time, pathlib\n        while not pathlib.Path({str(gate)!r}).exists(): time.sleep(0.01)"
    running = lab.start(APP.replace("SETUP", setup))
    early = lab.finish(running, until=lambda cell: "loading weights" in cell.text)
    assert states(early.outputs) == ["Starting"]
    assert early.outputs[0]["data"][MIME]["prints"] == 1  # so that the card does not say it a second time
    assert "starting" in early.outputs[0]["data"]["text/plain"]
    gate.touch()
    cell = lab.finish(running).ok()
    assert cards_in(cell.outputs) == []  # no second card: the first one changes
    assert set(states(cell.updates)) == {"Ready"}
    assert {u["transient"]["display_id"] for u in cards_in(cell.updates)} == {
        early.outputs[0]["transient"]["display_id"]
    }
    assert re.search(r"ready as of [^,]+, [0-9:]+, 1 ready, setup", cell.updates[-1]["data"]["text/plain"])
    assert early.text + cell.text == "loading weights\n"


def test_a_setup_that_fails_leaves_its_card(lab: Kernel) -> None:
    cell = lab.run(BROKEN)
    assert cell.ename == "SetupFailed"
    assert len(cards_in(cell.outputs)) == 1
    settled = cards_in(cell.updates)[-1]["data"]
    assert settled[MIME]["picture"]["app"]["state"] == "Failing"
    assert settled[MIME]["picture"]["app"]["failure"]["error"]["type"] == "OSError"
    for text in (settled["text/plain"], settled["text/html"]):
        assert "failing" in text.lower()
        assert "no weights here" in text
        assert "line 5, in setup" in text
        assert "The app retries automatically; the next attempt is at" in text


def test_elsewhere_there_is_one_card_when_all_is_known(plain: Kernel) -> None:
    cell = plain.run(APP.replace("SETUP", "pass")).ok()
    assert states(cell.outputs) == ["Ready"]
    assert cell.outputs.index(cards_in(cell.outputs)[0]) == len(cell.outputs) - 1
    assert cell.text == "loading weights\n"
    assert set(states(cell.updates)) <= {"Ready"}
    wrong = plain.run(BROKEN)
    assert wrong.ename == "SetupFailed"
    assert states(wrong.outputs) == ["Failing"]
    plain.run("%fal config panels text").ok()
    try:
        text = plain.run(BROKEN.replace("Broken", "Worse"))
    finally:
        plain.run("%fal config panels auto").ok()
    assert text.text == "loading weights\n"  # the traceback says the rest


def card_updates(cell: Cell, alias: str) -> list[dict[str, Any]]:
    return [u["data"] for u in cell.updates if MIME in u["data"] and u["data"][MIME]["alias"] == alias]


def test_a_stopped_app_is_not_saved_as_ready(plain: Kernel) -> None:
    plain.run("GREETING = 'hello'").ok()
    cell = plain.run(APP.replace("SETUP", "print(GREETING)").replace("Slow", "Brief")).ok()
    captures = cards_in(cell.outputs)[0]["data"][MIME]["captures"]
    assert [capture.split(" (")[0] for capture in captures] == ["GREETING"]
    plain.run("Brief.hi()").ok()
    stopped = card_updates(plain.run("%fal stop brief").ok(), "brief")[-1]
    assert stopped[MIME]["picture"]["app"]["state"] == "Stopped"
    assert stopped[MIME]["picture"]["app"]["stats"]["calls"] == 1
    assert re.search(r"■.{0,200}?Stopped", stopped["text/html"])
    assert re.search(r"stopped as of [^,]+, [0-9:]+, none", stopped["text/plain"])
    refused = plain.run("Brief.hi()")
    assert "is stopped; its owner can start it again" in refused.traceback
    assert "%fal start brief, or Start on its card" in refused.traceback
    assert "starts with the code and settings that it had" in plain.run("%fal start Brief").ok().text
    assert plain.run("Brief.hi()").ok()


def test_a_notebook_that_is_executed_as_a_whole_has_each_thing_once(
    state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAL_JUPYTER_STATE", str(state))
    cells = ["%load_ext fal_jupyter", APP.replace("SETUP", "pass"), BROKEN]
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])  # type: ignore[no-untyped-call]
    client = NotebookClient(book, timeout=60, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}})
    with pytest.raises(CellExecutionError, match="no weights here"):
        client.execute()
    for cell, word in zip(book.cells[1:], ("Ready", "Failing"), strict=True):
        shown = [o for o in cell.outputs if MIME in o.get("data", {})]
        printed = "".join(o.text for o in cell.outputs if o.output_type == "stream")
        assert [o["data"][MIME]["picture"]["app"]["state"] for o in shown] == [word]
        assert printed == "loading weights\n"
