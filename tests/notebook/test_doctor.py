"""``%fal doctor``: the apps of a notebook, held against fal; places are cells."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.kernel import Kernel


def findings(notebook: Kernel, name: str) -> dict[str, dict[str, Any]]:
    """By code, and for captured names by the beginning of their message."""
    (report,) = json.loads(notebook.run(f"%fal doctor {name} --json").ok().text)["apps"]
    return {
        f["code"] if f["code"] != "captured-name" else f["message"].split(" from ")[0]: f for f in report["findings"]
    }


def number(notebook: Kernel) -> int:
    return int(notebook.run("print(len(In) - 1)").ok().text)


@pytest.fixture
def defined(notebook: Kernel) -> int:
    """An app over several cells; gives the number of the first of them."""
    first = number(notebook) + 1
    notebook.run("import json\nWORDS = ['a', 'b']").ok()
    notebook.run("def shout(text): return text.upper() + OWN").ok()
    notebook.run("%env FROM_MAGIC=1\nimport os; os.environ['FROM_CODE'] = '2'").ok()
    notebook.run(
        "import fal\n"
        "OWN = '!'\n"
        "class Hello(fal.App):\n"
        "    machine_type = 'S'\n"
        "    keep_alive = 60\n"
        "    app_auth = 'private'\n"
        "    @fal.endpoint('/')\n"
        "    def hi(self):\n"
        "        return [json.dumps(WORDS), shout('x'), os.environ['FROM_MAGIC']]\n"
    ).ok()
    return first


def test_what_other_cells_bound_is_named_with_its_cell(notebook: Kernel, defined: int) -> None:
    found = findings(notebook, "Hello")

    assert {name: (f["severity"], f["where"]) for name, f in found.items()} == {
        "environment-missing": ("fails", f"cell [{defined + 3}], line 9"),
        "the value WORDS (24 bytes) comes": ("differs", f"cell [{defined + 3}], line 9"),
        "json: comes": ("note", f"cell [{defined + 3}], line 9"),
        "shout: comes": ("note", f"cell [{defined + 3}], line 9"),
        "os: comes": ("note", f"cell [{defined + 3}], line 9"),
        "environment-set": ("note", f"cell [{defined + 2}]"),
    }
    assert f"comes from cell [{defined}], which" in found["the value WORDS (24 bytes) comes"]["message"]
    assert f"comes from cell [{defined + 1}]," in found["shout: comes"]["message"]
    assert f"(cell [{defined + 2}])" in found["environment-missing"]["message"]
    assert "FROM_CODE" in found["environment-set"]["message"]


def test_without_a_name_it_is_the_machine_and_every_app(notebook: Kernel, defined: int) -> None:
    data = json.loads(notebook.run("%fal doctor --json").ok().text)
    assert data["versions"]["python"]
    assert "Hello" in [report["app"] for report in data["apps"]]
    text = notebook.run("%fal doctor").ok().text
    assert "No problem found." in text
    assert "Hello in the cloud: 1 would fail" in text


def test_what_the_cell_of_the_class_has_is_not_named(notebook: Kernel) -> None:
    notebook.run(
        "import fal, math\n"
        "N = 3\n"
        "class Alone(fal.App):\n"
        "    machine_type, keep_alive, app_auth = 'S', 60, 'private'\n"
        "    @fal.endpoint('/')\n"
        "    def hi(self):\n"
        "        return math.sqrt(N)\n"
    ).ok()
    assert set(findings(notebook, "Alone")) <= {"environment-set"}


def test_a_served_app_is_examined_in_its_magic_cell_by_alias_too(notebook: Kernel) -> None:
    notebook.run(
        "%%fal_app --dry-run\n"
        "class Magic(fal.App):\n"
        "    app_name = 'the-magic'\n"
        "    @fal.endpoint('/')\n"
        "    def hi(self, word: str):\n"
        "        return open('/home/ada/words.txt').read()\n"
    ).ok()
    last = number(notebook) - 1

    found = findings(notebook, "the-magic")

    assert found["absolute-path"]["where"] == f"cell [{last}], line 6"
    assert found["plain-parameters"]["where"] == f"cell [{last}], line 5"
    assert {"machine-default", "warm-runner", "auth-default"} <= set(found)


def test_options_of_the_run_are_not_the_class(notebook: Kernel) -> None:
    notebook.run(
        "%%fal_app --keep-alive 45 --machine S --quiet\n"
        "class Given(fal.App):\n"
        "    machine_type = 'M'\n"
        "    @fal.endpoint('/')\n"
        "    def hi(self): return 1\n"
    ).ok()
    (report,) = json.loads(notebook.run("%fal doctor Given --json").ok().text)["apps"]
    notebook.run("%fal stop Given").ok()

    suggestions = [f["instead"] for f in report["findings"] if f["code"] == "run-option"]
    assert sorted(suggestions) == ["keep_alive = 45 in the class", "machine_type = 'S' in the class"]


def test_an_app_that_no_cell_defined_is_one_sentence(notebook: Kernel) -> None:
    missing = notebook.run("%fal doctor Nobody")
    assert missing.status == "error"
    assert "no app 'Nobody'" in missing.traceback
    assert "fal_jupyter/" not in missing.traceback
