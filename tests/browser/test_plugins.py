"""Plugins of the JupyterLab extension that a user disabled take their feature away, and nothing else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.apps import LOAD, STUDIO
from tests.browser.conftest import Front, front_page
from tests.support.jupyter import Jupyter

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


@pytest.mark.long  # labextension/test/plugins.test.mjs disables each plugin beside the others
def test_disabled_plugins_take_their_features_away_and_nothing_else(
    browser: Browser, lab_server: tuple[Jupyter, Path]
) -> None:
    server, state = lab_server
    config = (
        server.directory / "config" / "labconfig" / "page_config.json"
    )  # as `jupyter labextension disable --level=user` has it
    config.parent.mkdir(parents=True, exist_ok=True)
    config.write_text(json.dumps({"disabledExtensions": {f"fal-jupyter:{name}": True for name in DISABLED}}))
    try:
        with front_page(browser, server, state, "lab", "plugins") as lab:
            shown_without_them(lab)
    finally:
        config.unlink()


def shown_without_them(lab: Front) -> None:
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
