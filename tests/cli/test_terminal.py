"""What an app prints reaches the terminal of ``serve`` and ``logs`` without commanding it."""

from __future__ import annotations

import json
from pathlib import Path

from tests.support.serve import Served, command, kept_state

HOSTILE = "\\x1b]0;owned\\x07\\x1b]52;c;cm0=\\x07\\x1b[2J\\x1b[31mred\\x1b[0m\\x9b2J"
SHOWN = "\\x1b]0;owned\\x07\\x1b]52;c;cm0=\\x07\\x1b[2J\x1b[31mred\x1b[0m\\x9b2J"
APP = f"""
import fal

class Loud(fal.App):
    def setup(self) -> None:
        print("setup {HOSTILE}", flush=True)

    @fal.endpoint("/")
    def hi(self) -> None:
        print("request {HOSTILE}")
        print("1%\\r99%\\rdone")

class Broken(fal.App):
    def setup(self) -> None:
        raise RuntimeError("broken {HOSTILE}")

    @fal.endpoint("/")
    def hi(self) -> None: ...
"""


def test_escape_sequences_are_shown_and_colours_stay(tmp_path: Path) -> None:
    path = tmp_path / "loud.py"
    path.write_text(APP)
    with kept_state() as state:
        app = Served(state, f"{path}::Loud")
        app.request("/")
        logs, records = command(state, "logs", "loud").stdout, json.loads(command(state, "logs", "--json").stdout)
        assert f"setup {SHOWN}" in logs
        assert f"request {SHOWN}\x1b[0m\n" in logs
        assert logs.endswith(" done\n")
        assert any("\x1b]0;owned" in record["text"] for record in records)  # as it was printed
        assert f"setup {SHOWN}" in app.stop()[2]
        done = command(state, "serve", f"{path}::Broken")
        assert f"RuntimeError: broken {SHOWN}" in done.stderr
        assert "\x1b]" not in done.stderr
