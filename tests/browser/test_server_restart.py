"""A Jupyter server that ends and comes back: the panels say so, keep what they know, and go on by themselves."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Front
from tests.browser.test_lab import card_of, open_sidebar


@pytest.mark.long  # test_bad_input.py has a feed that falls behind, whose panels say the same
def test_a_stopped_server_is_reported_and_its_return_is_detected(studio: Front) -> None:
    server, card = studio.server, card_of(studio)
    sidebar = open_sidebar(studio)
    studio.expected += [
        "Failed to load resource",
        "Failed to fetch",
        "Server is not running",
        "Cannot connect",
        "network error",
        "WebSocket connection",
    ]
    former = server.process
    environment = dict(
        pair.split("=", 1) for pair in Path(f"/proc/{former.pid}/environ").read_text().split("\0") if "=" in pair
    )
    former.kill()
    former.wait()
    expect(studio.page.locator(".fj-status")).to_contain_text("no update")
    expect(card).to_contain_text("What is shown ends at")
    expect(sidebar).to_contain_text("No update")
    expect(card.locator(".fj-facts")).to_contain_text("/fail")  # what was known stays

    with open(server.directory / "log", "ab") as log:
        server.process = subprocess.Popen(former.args, env=environment, stdout=log, stderr=log, start_new_session=True)
    expect(studio.page.locator(".fj-status")).not_to_contain_text("no update", timeout=60_000)
    expect(card).not_to_contain_text("What is shown ends at")
