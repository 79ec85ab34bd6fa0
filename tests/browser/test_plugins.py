"""Each plugin of the JupyterLab extension can be disabled alone, as users do it, and the rest works."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.apps import LOAD, STUDIO
from tests.browser.conftest import front_page
from tests.support.jupyter import Jupyter

# What a plugin shows in a page with a running app, by its id; the others have commands only.
SHOWN = {
    "sidebar": "#fal-jupyter-sidebar",
    "status-bar": ".fj-status",
    "cell-chip": ".fj-cell-chip",
    "renderer": ".fj-output .fj-card",
}
COMMANDS = {
    "dashboard": "open-dashboard",
    "ledger": "open-ledger",
    "logs": "open-logs",
    "inspector": "open-inspector",
    "app-commands": "stop-app",
    "cell-commands": "focus-card",
    "launcher": "new-notebook",
}


@pytest.mark.parametrize("disabled", ["sidebar", "cell-chip", "dashboard"])
def test_a_disabled_plugin_takes_its_feature_away_and_nothing_else(
    browser: Browser, lab_server: tuple[Jupyter, Path], disabled: str
) -> None:
    server, state = lab_server
    arguments = ["--level=user", f"fal-jupyter:{disabled}"]
    environment = os.environ | {"JUPYTER_CONFIG_DIR": str(server.directory / "config")}

    def switch(verb: str) -> None:
        command = [sys.executable, "-m", "jupyterlab.labextensions", verb, *arguments]
        ran = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
        assert ran.returncode == 0, ran.stdout + ran.stderr

    switch("disable")
    try:
        with front_page(browser, server, state, "lab", f"without-{disabled}") as front:
            front.write(name := f"without-{disabled}.ipynb", [LOAD, STUDIO])
            front.open(name)
            front.run_all(2)
            for plugin, selector in SHOWN.items():
                expected = 0 if plugin == disabled else 1
                expect(front.page.locator(selector)).to_have_count(expected)
            known = front.page.evaluate("() => window.jupyterapp.commands.listCommands()")
            for plugin, command in COMMANDS.items():
                assert (f"fal-jupyter:{command}" in known) == (plugin != disabled), plugin
    finally:
        switch("enable")
    page_config = json.loads((server.directory / "config" / "labconfig" / "page_config.json").read_text())
    assert not page_config.get("disabledExtensions", {}).get(f"fal-jupyter:{disabled}")
