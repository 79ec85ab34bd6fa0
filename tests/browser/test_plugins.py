"""Plugins of the JupyterLab extension that a user disabled take their feature away, and nothing else."""

from __future__ import annotations

import os
import subprocess
import sys

from playwright.sync_api import expect

from tests.browser.apps import LOAD, STUDIO
from tests.browser.conftest import Front

DISABLED = ("sidebar", "cell-chip", "dashboard")
# What some plugins show beside a running app, and a command of the others.
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


def test_disabled_plugins_take_their_features_away_and_nothing_else(lab: Front) -> None:
    ids = [f"fal-jupyter:{name}" for name in DISABLED]
    environment = os.environ | {"JUPYTER_CONFIG_DIR": str(lab.server.directory / "config")}
    command = [sys.executable, "-m", "jupyterlab.labextensions", "disable", "--level=user", *ids]
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=200)
    assert ran.returncode == 0, ran.stdout + ran.stderr

    lab.write("plugins.ipynb", [LOAD, STUDIO])
    lab.open("plugins.ipynb")
    lab.run_all(2)

    for plugin, selector in SHOWN.items():
        expect(lab.page.locator(selector)).to_have_count(0 if plugin in DISABLED else 1)
    known = lab.page.evaluate("() => window.jupyterapp.commands.listCommands()")
    for plugin, name in COMMANDS.items():
        assert (f"fal-jupyter:{name}" in known) == (plugin not in DISABLED), plugin
    lab.page.locator(".fj-status").click()  # it has neither sidebar nor dashboard to show
    expect(lab.page.locator(".fj-card").first.get_by_text("Ready", exact=True)).to_be_visible()
