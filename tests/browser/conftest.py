"""A real Chromium before a real JupyterLab or Notebook 7, below a base URL that is not the root.

Where Chromium is missing these tests fail: they are the proof of everything that a user sees. ``make test`` installs it.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, expect, sync_playwright
from playwright.sync_api import TimeoutError as PageTimeoutError

from tests.support.jupyter import TOKEN, Jupyter, jupyter_server
from tests.support.state import state_directory

NAMES = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--disable-dev-shm-usage", "--js-flags=--expose-gc",
)  # fmt: skip
ARTEFACTS = Path(__file__).parent / "artefacts"
PATIENCE = 30_000
expect.set_options(timeout=20_000)
# Where a page of Jupyter asks, by the kind of what it asks for: all that lies elsewhere was brought in by somebody's text.
PLACES = {
    "document": ("lab/workspaces/", "notebooks/"),
    "fetch": ("api/", "lab/api/", "fal/api/", "lsp/status", "server-proxy/servers-info"),
    "font": ("static/", "lab/api/themes/", "lab/extensions/"),
    "image": ("static/", "kernelspecs/python3/", "fal/cdn/files/"),
    "media": ("fal/cdn/files/",),
    "other": ("static/favicons/",),
    "script": ("static/", "lab/extensions/"),
    "stylesheet": ("static/", "lab/api/themes/", "lab/extensions/", "custom/custom.css"),
    "websocket": ("api/",),
}


def chromium() -> str:
    """Where Chromium is; its absence is a failure, not a reason to skip."""
    given = os.environ.get("CHROMIUM")
    found = given if given and os.access(given, os.X_OK) else next(filter(None, map(shutil.which, NAMES)), None)
    assert found, "there is no Chromium here: `make browser` installs it (on Debian), or set CHROMIUM to its path"
    return found


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A Chromium. Its driver keeps an event loop running in this thread, so it must not outlive the module: what comes
    after it in the same worker could not call ``asyncio.run``."""
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=chromium(), headless=True, args=list(FLAGS))
        yield running
        running.close()


class Front:
    """One page of JupyterLab (*app* ``lab``) or Notebook 7 (``notebook``), and what went wrong in it."""

    def __init__(self, server: Jupyter, state: Path, page: Page, app: str) -> None:
        self.server, self.state, self.page, self.app = server, state, page, app
        self.complaints: list[str] = []
        self.expected: list[str] = []
        self.told: list[str] = []
        page.set_default_timeout(PATIENCE)
        page.on("console", self._console)
        page.on("pageerror", lambda error: self._page_error(str(error.stack or error)))
        page.on("dialog", lambda dialog: (self.complaints.append(f"dialog: {dialog.message}"), dialog.dismiss()))
        page.on("request", lambda request: self._asked(request.resource_type, request.url))
        page.on("websocket", lambda socket: self._asked("websocket", socket.url))

    def _page_error(self, text: str) -> None:
        if not (
            "reading 'schema'" in text and "notebook_core" in text
        ):  # Notebook 7.6's own, with no extension of ours there, too
            self.complaints.append(f"page error: {text}")

    def _console(self, message: ConsoleMessage) -> None:
        text, address = message.text, message.location.get("url", "")
        self.told.append(f"{message.type}: {text} ({address})")
        if message.type == "error" and not any(known in f"{text} ({address})" for known in self.expected):
            self.complaints.append(f"console: {text}")

    def _asked(self, kind: str, address: str) -> None:
        parts = urlsplit(address)
        if parts.scheme not in ("http", "https", "ws", "wss"):
            return  # data: and blob: reach nobody
        path = parts.path.removeprefix(self.server.base_url)
        if parts.netloc != self.server.host or not path.startswith(PLACES.get(kind, ())):
            self.complaints.append(f"{kind} from an unexpected place: {address}")

    def write(self, name: str, cells: list[str]) -> Path:
        """Put a notebook of these code cells where the server serves from."""
        notebook = {
            "cells": [
                {
                    "cell_type": "code",
                    "id": f"c{at}",
                    "metadata": {},
                    "execution_count": None,
                    "outputs": [],
                    "source": source,
                }
                for at, source in enumerate(cells)
            ],
            "metadata": {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
            "nbformat": 4,
            "nbformat_minor": 5,
        }
        path = self.server.directory / "root" / name
        path.write_text(json.dumps(notebook))
        return path

    def open(self, name: str, *, kernel: bool = True) -> None:
        """Open a notebook, and wait until its kernel is idle."""
        base = f"http://{self.server.host}{self.server.base_url}"
        if self.app == "lab":
            self.page.goto(f"{base}lab/workspaces/tests/tree/{quote(name)}?token={TOKEN}&reset")
            self.page.wait_for_selector("#jupyterlab-splash", state="detached")
        else:
            self.page.goto(f"{base}notebooks/{quote(name)}?token={TOKEN}")
        self.page.wait_for_selector(".jp-NotebookPanel .jp-Cell")
        if kernel:  # the indicator says "idle" before there is a kernel, and what is run then is lost: the server knows
            self.page.wait_for_function(
                "async ([address, path]) => (await (await fetch(address)).json()).some(one => one.path === path"
                " && one.kernel?.connections > 0 && one.kernel.execution_state === 'idle')",
                arg=[f"{base}api/sessions?token={TOKEN}", name],
                polling=200,
            )

    def command(self, name: str, arguments: dict[str, Any] | None = None) -> None:
        """Carry out a command of JupyterLab, without waiting for its end."""
        self.page.evaluate("([n, a]) => { void window.jupyterapp.commands.execute(n, a); }", [name, arguments or {}])

    def run_all(self, cells: int) -> None:
        """Run every cell and wait for the last one."""
        self.begin()
        self.ran(cells)

    def begin(self) -> None:
        """Begin to run every cell, once the page has its kernel: what is run before is lost."""
        self.page.wait_for_function(
            "() => { const s = window.jupyterapp?.shell.currentWidget?.context?.sessionContext, k = s?.session?.kernel;"
            " return s?.isReady && k?.connectionStatus === 'connected' && k?.status === 'idle'; }"
        )
        self.command("notebook:run-all-cells")
        self.page.wait_for_function(  # a stored notebook has the numbers of its last run
            "() => [...document.querySelectorAll('.jp-InputPrompt')].some(e => e.textContent.trim() === '[*]:')"
        )

    def ran(self, count: int) -> None:
        """Wait until the kernel has executed *count* cells and shows no one as running."""
        try:
            self.page.wait_for_function(
                "n => { const all = [...document.querySelectorAll('.jp-InputPrompt')].map(e => e.textContent.trim());"
                " return all.some(t => t === `[${n}]:`) && !all.includes('[*]:'); }",
                arg=count,
                timeout=200_000,  # below pytest's own limit, so that what is on the page is told
            )
        except PageTimeoutError as late:
            prompts = self.page.locator(".jp-InputPrompt").all_text_contents()
            text = "\n".join(self.page.locator(".jp-OutputArea-output").all_inner_texts())
            raise AssertionError(f"{count} cells were not done: {prompts}\n{text[-3000:]}") from late

    def picture(self, name: str) -> None:
        """Keep what the page looks like."""
        ARTEFACTS.mkdir(exist_ok=True)
        self.page.screenshot(path=ARTEFACTS / f"{name}.png")


@contextmanager
def front_server(app: str, python: Path | str = sys.executable) -> Iterator[tuple[Jupyter, Path]]:
    """A JupyterLab or Notebook 7 server, and the state directory of its apps."""
    with state_directory() as state:
        settings = state.parent / "lab-settings" / "@jupyterlab" / "apputils-extension"
        settings.mkdir(parents=True)
        quiet = {"fetchNews": "false", "checkForUpdates": False, "doNotDisturbMode": True}
        (settings / "notification.jupyterlab-settings").write_text(json.dumps(quiet))
        env = {
            "JUPYTERLAB_SETTINGS_DIR": str(settings.parent.parent),
            "JUPYTERLAB_WORKSPACES_DIR": str(state.parent / "lab-workspaces"),
        }
        options = [
            f"--{'LabApp' if app == 'lab' else 'JupyterNotebookApp'}.expose_app_in_browser=True",
            "--LanguageServerManager.autodetect=False",  # it runs npm, and a server does not end while that does
        ]
        with jupyter_server(
            state, *options, env=env, module="jupyterlab" if app == "lab" else "notebook", python=python
        ) as server:
            yield server, state
            server.settle()


@contextmanager
def front_page(browser: Browser, server: Jupyter, state: Path, app: str, name: str) -> Iterator[Front]:
    """A page before a server. At its end it must have had nothing to complain of; its kernels end, and with them their apps."""
    context = browser.new_context(viewport={"width": 1500, "height": 1000})
    context.grant_permissions(["clipboard-read", "clipboard-write"], origin=f"http://{server.host}")
    front = Front(server, state, context.new_page(), app)
    try:
        yield front
    except BaseException:
        front.picture(f"failed-{name}")
        raise
    finally:
        context.close()
        ARTEFACTS.mkdir(exist_ok=True)
        (ARTEFACTS / f"{name}.console.txt").write_text("".join(f"{line}\n" for line in front.told))
        if server.process.poll() is None:
            for kernel in server.request("api/kernels").json:
                server.request(f"api/kernels/{kernel['id']}", method="DELETE")
    assert front.complaints == []


@pytest.fixture(scope="module")
def lab_server() -> Iterator[tuple[Jupyter, Path]]:
    with front_server("lab") as running:
        yield running


@pytest.fixture
def lab(browser: Browser, lab_server: tuple[Jupyter, Path], request: pytest.FixtureRequest) -> Iterator[Front]:
    with front_page(browser, *lab_server, "lab", request.node.name) as front:
        yield front


@pytest.fixture(scope="module")
def notebook_server() -> Iterator[tuple[Jupyter, Path]]:
    with front_server("notebook") as running:
        yield running


@pytest.fixture
def notebook7(
    browser: Browser, notebook_server: tuple[Jupyter, Path], request: pytest.FixtureRequest
) -> Iterator[Front]:
    with front_page(browser, *notebook_server, "notebook", request.node.name) as front:
        yield front
