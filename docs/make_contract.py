"""Writes docs/contract.md: one row for each rule of fal 1.83.0's App, from tests/parity (rules, checks, differences).

``python docs/make_contract.py`` writes it; a test fails where it is not up to date.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from tests.parity.checks import ASKED, TALKED, Asked, Defined, Talked  # noqa: E402  # the root is put there first
from tests.parity.definitions import DEFINED  # noqa: E402
from tests.parity.differences import DIFFERENT  # noqa: E402

TARGET = Path(__file__).with_name("contract.md")
RULES = ROOT / "tests/parity/rules.json"
CHAPTERS = (
    (1, "The class"),
    (20, "Its life"),
    (38, "Endpoints"),
    (59, "Errors"),
    (83, "Streams and websockets"),
    (102, "Cancelling"),
    (107, "Health checks"),
    (110, "Toolkit"),
    (134, "Environment"),
    (141, "Scaling and machines"),
    (146, "Running"),
    (158, "Command line"),
    (162, "Headers of answers, and retries"),
)
STATUS = {"same": "same", "different": "on purpose", "cloud": "cloud only"}
HEAD = """# What fal.App does, and what it does here

One row for each rule of `fal.App` in fal 1.83.0: what the real package does, what `fal_jupyter` does, and what shows it. *same* means that the answers are equal;
*on purpose* that they differ, for the reason that is given; *cloud only* that the rule is of fal's platform. A row with *pending* waits for a part that is still to come.

N checks in the last column are those of `tests/parity`, which asks the real package and ours the same and compares status, body, headers, exceptions and websocket
frames; the real package's answers are the expectation. Other names are test files. `.venv/bin/python -m pytest tests/parity -s` prints how many passed, and each difference.

This page is written by `docs/make_contract.py` from `tests/parity/rules.json`; edit that.
"""


def number(rule: str) -> int:
    """Give the number of a rule: 150 for ``C150b``."""
    return int("".join(filter(str.isdigit, rule)))


def checks_of_rules() -> Counter[str]:
    """Give how many checks show each rule."""
    checks: list[Asked | Defined | Talked] = [*DEFINED, *ASKED, *TALKED]
    return Counter(rule for check in checks for rule in check.rules.split())


def page() -> str:
    """Give the whole page."""
    rules = json.loads(RULES.read_text())
    counted = checks_of_rules()
    kinds = Counter(rule["status"] for rule in rules)
    lines = [HEAD]
    total = len(DEFINED) + len(ASKED) + len(TALKED)
    lines.append(
        f"{len(rules)} rules: {kinds['same']} the same, {kinds['different']} different on purpose, {kinds['cloud']} of the cloud only. {total} checks, {len(DIFFERENT)} of them different on purpose.\n"
    )
    chapters = dict(CHAPTERS)
    for rule in rules:
        if (first := number(rule["id"])) in chapters and not rule["id"].endswith("b"):
            lines += [f"\n## {chapters[first]}\n", "| rule | fal | here | | shown by |", "|---|---|---|---|---|"]
        shown = [f"{counted[rule['id']]} checks"] if counted[rule["id"]] > 1 else ["1 check"] * counted[rule["id"]]
        shown += [f"`{name.removeprefix('tests/')}`" for name in rule.get("tests", [])]
        here = rule["here"] + (f" *Why: {rule['why']}.*" if "why" in rule else "")
        here += f" *Pending: {rule['pending']}.*" if "pending" in rule else ""
        cells = (rule["id"], rule["fal"], here, STATUS[rule["status"]], ", ".join(shown))
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    lines += [
        "\n## Checks that differ on purpose\n",
        "| what is asked | why the answer differs |",
        "|---|---|",
    ]
    for name, why in DIFFERENT.items():
        asked = name.replace("|", "\\|").replace("`", "'")
        lines.append(f"| `{asked}` | {why} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    TARGET.write_text(page())
    print(f"wrote {TARGET.name}")
