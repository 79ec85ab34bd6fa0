"""The list of rules is whole and true to the tests, and docs/contract.md is made from it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from docs.make_contract import RULES, TARGET, checks_of_rules, page

ROOT = Path(__file__).parents[2]
WORDS: list[dict[str, Any]] = json.loads(RULES.read_text())


def test_every_rule_is_there_once_in_order() -> None:
    ids = [rule["id"] for rule in WORDS]
    whole = [name for name in ids if not name.endswith("b")]
    assert whole == [f"C{n}" for n in range(1, len(whole) + 1)]
    assert len(whole) > 161
    assert all(ids[i - 1] == name[:-1] for i, name in enumerate(ids) if name.endswith("b"))


def test_checks_show_rules_that_exist() -> None:
    assert set(checks_of_rules()) <= {rule["id"] for rule in WORDS}


@pytest.mark.parametrize("rule", WORDS, ids=lambda rule: rule["id"])
def test_a_rule_has_a_text_and_its_tests(rule: dict[str, Any]) -> None:
    assert set(rule) <= {"id", "fal", "here", "status", "why", "pending", "source", "tests"}
    assert rule["status"] in ("same", "different", "cloud")
    assert rule["source"].startswith("fal 1.83.0, ")
    assert ("why" in rule) == (rule["status"] != "same"), "what differs has a reason, and nothing else has"
    for name in rule.get("tests", []):
        assert (ROOT / name).is_file()
    if rule["status"] == "same" and "pending" not in rule:
        assert rule.get("tests") or checks_of_rules()[rule["id"]], "nothing shows it"


def test_the_page_is_up_to_date() -> None:
    assert TARGET.read_text() == page(), "run: .venv/bin/python docs/make_contract.py"
