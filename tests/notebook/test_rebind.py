"""An app whose cell is refused when it is run again serves on, and the notebook still reaches it; in a real kernel."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.kernel import Kernel
from tests.support.serve import command


def cell(name: str, word: str, *, line: str = "pass", setup: str = "pass", options: str = "", after: str = "") -> str:
    return (
        f"%%fal_app {options}\nimport threading\nlock = threading.Lock()\nclass {name}(fal.App):\n    {line}\n"
        f"    def setup(self):\n        {setup}\n    @fal.endpoint('/')\n    def r(self) -> str: return '{word}'\n{after}"
    )


REFUSED = {
    "requirement": {"line": "requirements = ['no-such-package-here-at-all==99']", "options": "--env kernel"},
    "files": {"line": "app_files = ['../../../../../../../../etc/shadow']"},
    "captured": {"setup": "lock.acquire()"},
    "option": {"options": "--min 5 --max 2"},
    "machine": {"line": "machine_type = 'GPU-H100'\n    num_gpus = 64"},
    "setup": {"setup": "raise OSError('no weights')"},
    "body": {"after": "raise OSError('below the class')\n"},
    "second": {"after": "class Beside(fal.App):\n    pass\n    @fal.endpoint('/')\n    def r(self): return lock\n"},
}


RARE = {"files", "option", "machine", "body", "second"}  # refused at the same moments as the others


@pytest.mark.parametrize("why", [pytest.param(why, marks=pytest.mark.long if why in RARE else ()) for why in REFUSED])
def test_what_serves_is_still_reached_after_a_refusal(notebook: Kernel, state: Path, why: str) -> None:
    name = "Keep" + why.title()
    notebook.run(cell(name, "one")).ok()
    refused = notebook.run(cell(name, "two", **REFUSED[why]))
    assert refused.status == "error"
    assert f"revision 1 of {name} still serves" in refused.traceback
    if why != "setup":  # nothing of the cell was published: what is refused is refused before the first class goes out
        listed = json.loads(command(state, "apps", "--json").stdout)
        assert [app["revision"] for app in listed if app["class_name"] == name] == [1]
    for _ in range(2):
        answered = notebook.run(f"[{name}.r() for _ in range(3)][-1]").ok()
        assert answered.result == "'one'"
        assert answered.text == f"[fal_jupyter: revision 1 of {name} is still serving, not its latest definition]\n"
    assert name.lower() in notebook.run(f"{name}.url").ok().result.replace("-", "")
    notebook.run(cell(name, "three")).ok()
    answered = notebook.run(f"{name}.r()").ok()
    assert (answered.result, answered.text) == ("'three'", "")


def test_a_class_served_by_hand_is_reached_as_well(notebook: Kernel) -> None:
    plain = "class ByHand(fal.App):\n    {}\n    @fal.endpoint('/')\n    def r(self) -> str: return '{}'\nfal_jupyter.serve(ByHand)"
    notebook.run("import fal, fal_jupyter\n" + plain.format("pass", "one")).ok()
    refused = notebook.run(plain.format("requirements = ['no-such-package-here-at-all==99']", "two"))
    assert "revision 1 of ByHand still serves" in refused.traceback
    assert notebook.run("ByHand.r(), ByHand.aio is not None").ok().result == "('one', True)"


def test_a_dry_run_leaves_what_serves_within_reach(notebook: Kernel) -> None:
    notebook.run(cell("KeptDry", "one")).ok()
    notebook.run(cell("KeptDry", "two", options="--dry-run")).ok()
    assert notebook.run("KeptDry.r()").ok().result == "'one'"


def test_a_stopped_or_never_served_app_is_not_reported_as_serving(notebook: Kernel, state: Path) -> None:
    notebook.run(cell("Ended", "one")).ok()
    command(state, "stop", json.loads(notebook.run("Ended.app").ok().result.replace("'", '"')).split("/")[1])
    for name in ("Ended", "Never"):
        refused = notebook.run(cell(name, "two", **REFUSED["captured"]))
        assert refused.status == "error"
        assert "still serves" not in refused.traceback
        assert notebook.run(f"{name}.r()").ename == "NotServed"


def test_a_session_with_an_older_revision_is_announced(notebook: Kernel) -> None:
    defined = "%%fal_app --quiet\nclass Spoken(fal.App):\n    def setup(self): SETUP\n"
    defined += "    @fal.realtime('/talk')\n    def talk(self, word: dict) -> dict: return {'word': 'WORD'}"
    notebook.run(defined.replace("SETUP", "pass").replace("WORD", "one")).ok()
    spoken = "with Spoken.realtime.talk() as ws:\n    ws.send({})\n    print(ws.recv()['word'])"
    awaited = (
        spoken.replace("with", "async with", 1)
        .replace("ws.send", "await ws.send")
        .replace("ws.recv()", "(await ws.recv())")
    )
    assert notebook.run(spoken).ok().text == "one\n"
    assert notebook.run(defined.replace("SETUP", "1 / 0").replace("WORD", "two")).ename == "SetupFailed"
    for asked in (spoken, awaited):
        output = notebook.run(asked).ok().text
        assert output == "[fal_jupyter: revision 1 of Spoken is still serving, not its latest definition]\none\n"
