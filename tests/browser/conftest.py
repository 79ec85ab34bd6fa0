"""A real Chromium before a real JupyterLab or Notebook 7, below a base URL that is not the root.

Loading JupyterLab costs more than most of what is tested in it, so the tests of a worker share one server and one page of it (:class:`SharedPage`),
which is brought back to its beginning after each of them.

Where Chromium is missing these tests fail: they are the proof of everything that a user sees. ``make test`` installs it.
"""

from __future__ import annotations

import itertools
import json
import os
import re
import shutil
import sys
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, ViewportSize, expect, sync_playwright
from playwright.sync_api import Error as PlaywrightError
from playwright.sync_api import TimeoutError as PageTimeoutError

from tests.browser.apps import CELLS
from tests.support.jupyter import BASE_URL, TOKEN, Jupyter, jupyter_server
from tests.support.state import state_directory

NAMES = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--disable-dev-shm-usage", "--js-flags=--expose-gc",
)  # fmt: skip
ARTEFACTS = Path(__file__).parent / "artefacts"
_numbers = itertools.count()
PATIENCE = 30_000
EVERY = 100  # milliseconds between two looks: at each frame, which is the default, a page that waits is as busy as one that works
VIEWPORT: ViewportSize = {"width": 1500, "height": 1000}
expect.set_options(timeout=20_000)
# What JupyterLab itself complains of when a notebook is closed and its kernel ended, also while that is starting: unheard only meanwhile.
CLOSED = re.compile(
    r"Canceled future for|Could not restore the debugger state|Disposed.*_handleNewSession|/api/kernels/[0-9a-f-]{36}",
    re.S,
)
# Errors of Notebook 7.6, also without our extension, and of JupyterLab for a session that was closed while it began: it may come late.
OWN_ERRORS = re.compile(
    r"reading 'schema'.*notebook_core|notebook_core.*reading 'schema'|Disposed.*_handleNewSession|reading 'kernel'.*jupyterlab-manager",
    re.S,
)
# Where a page of Jupyter asks, by the kind of what it asks for: all that lies elsewhere was brought in by somebody's text.
PLACES = {
    "document": ("lab/workspaces/", "notebooks/"),
    "fetch": ("api/", "lab/api/", "fal/api/", "fal/cdn/files/", "lsp/status", "server-proxy/servers-info"),
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


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """A Chromium. Its driver keeps an event loop running in this thread, so it must not outlive the package: what comes
    after it in the same worker could not call ``asyncio.run``."""
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=chromium(), headless=True, args=list(FLAGS))
        yield running
        running.close()


# Runs all cells of the notebook, and notes that until they have run: a stored notebook has the numbers of its last run.
RUN_ALL = """() => {
    window.fjRunning = true;
    void window.jupyterapp.commands.execute('notebook:run-all-cells').finally(() => { window.fjRunning = false; });
}"""
# Closes what is open in the main area except a document, without a question about what has not been saved.
CLOSE = """path => {
    for (const one of [...window.jupyterapp.shell.widgets('main'), ...window.jupyterapp.shell.widgets('down')]) {
        if (path && one.context?.path === path) continue;
        if (one.context) one.context.model.dirty = false;
        one.dispose();
    }
}"""
OPENED = """path => {
    const one = window.jupyterapp.shell.currentWidget;
    return one?.context?.path === path && one.context.isReady && one.isVisible;
}"""
# What a test may have changed of the page itself: the theme, the side bars, what is folded, the focus.
TIDY = """async () => {
    const { commands, shell } = window.jupyterapp;
    if (document.body.dataset.jpThemeLight !== 'true') await commands.execute('apputils:change-theme', { theme: 'JupyterLab Light' });
    shell.collapseRight();
    shell.activateById('filebrowser');
    localStorage.removeItem('fal-jupyter:folded-sections');
    document.activeElement?.blur();
    while (document.querySelector('#jupyterlab-splash')) await new Promise(requestAnimationFrame);
}"""
# By the end of a frame, what the page has complained of is on its way to us, before the answer.
FRAME = "() => new Promise(done => requestAnimationFrame(() => setTimeout(done)))"
END_KERNELS = """async () => {
    const { kernels, sessions } = window.jupyterapp.serviceManager;
    await sessions.shutdownAll();
    await kernels.shutdownAll();
}"""
# The page as it was when it had been loaded: nothing open, no app.
RESTORED = """() => document.body.dataset.jpThemeLight === 'true' && !document.querySelector('.jp-Dialog, .jp-NotebookPanel, .fj-card')
    && /no apps|off/.test(document.querySelector('.fj-status')?.textContent ?? '')"""


class Front:
    """One page of JupyterLab (*app* ``lab``) or Notebook 7 (``notebook``), and what went wrong in it."""

    def __init__(self, server: Jupyter, state: Path, page: Page, app: str) -> None:
        self.server, self.state, self.page, self.app = server, state, page, app
        self.complaints: list[str] = []
        self.expected: list[str] = []
        self.console: list[str] = []
        self.loaded = False
        self.closing = False  # a notebook is being closed: CLOSED is no complaint
        page.set_default_timeout(PATIENCE)
        page.on("console", self._console)
        page.on("pageerror", lambda error: self._page_error(str(error.stack or error)))
        page.on("dialog", lambda dialog: (self.complaints.append(f"dialog: {dialog.message}"), dialog.dismiss()))
        page.on("request", lambda request: self._asked(request.resource_type, request.url))
        page.on("websocket", lambda socket: self._asked("websocket", socket.url))

    def _page_error(self, text: str) -> None:
        if not (OWN_ERRORS.search(text) or self._of_closing(text)):
            self.complaints.append(f"page error: {text}")

    def _console(self, message: ConsoleMessage) -> None:
        text, address = message.text, message.location.get("url", "")
        self.console.append(f"{message.type}: {text} ({address})")
        line = f"{text} ({address})"
        if message.type != "error" or self._of_closing(line) or any(known in line for known in self.expected):
            return
        self.complaints.append(f"console: {line}")

    def _of_closing(self, text: str) -> bool:
        return self.closing and CLOSED.search(text) is not None

    def settle(self) -> None:
        """Hear what the page complains of up to now: Playwright delivers that only during a call."""
        try:
            self.page.evaluate(FRAME)
        except PlaywrightError as failure:
            print(f"the page cannot be asked any more: {failure}")

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
        """Open a notebook, alone in the page that there is, and wait until its kernel is idle."""
        if not self.loaded:
            return self.load(name, kernel=kernel)
        self.closing = True
        self.page.evaluate(CLOSE, "")
        self.page.evaluate("path => void window.jupyterapp.commands.execute('docmanager:open', { path })", name)
        self.page.wait_for_function(OPENED, arg=name, polling=EVERY)
        self.page.evaluate(CLOSE, name)  # the launcher, which comes where nothing is open
        self._opened(name, kernel)
        self.closing = False
        return None

    def load(self, name: str, *, kernel: bool = True) -> None:
        """Load the page anew with a notebook in it, and wait until its kernel is idle."""
        if self.app == "lab":
            self.page.goto(f"{self.base}lab/workspaces/tests/tree/{quote(name)}?token={TOKEN}&reset")
            self.page.wait_for_selector("#jupyterlab-splash", state="detached")
            self.loaded = True
        else:
            self.page.goto(f"{self.base}notebooks/{quote(name)}?token={TOKEN}")
        self._opened(name, kernel)

    def _opened(self, name: str, kernel: bool) -> None:
        self.page.wait_for_selector(".jp-NotebookPanel .jp-Cell")
        if kernel:  # the indicator says "idle" before there is a kernel, and what is run then is lost: the server knows
            self.page.wait_for_function(
                "async ([address, path]) => (await (await fetch(address)).json()).some(one => one.path === path"
                " && one.kernel?.connections > 0 && one.kernel.execution_state === 'idle')",
                arg=[f"{self.base}api/sessions?token={TOKEN}", name],
                polling=EVERY,
            )

    @property
    def base(self) -> str:
        return f"http://{self.server.host}{self.server.base_url}"

    def command(self, name: str, arguments: dict[str, Any] | None = None) -> None:
        """Carry out a command of JupyterLab, without waiting for its end."""
        self.page.evaluate("([n, a]) => { void window.jupyterapp.commands.execute(n, a); }", [name, arguments or {}])

    def theme(self, name: str) -> None:
        """Change to JupyterLab's theme *name*, ``Light`` or ``Dark``. Its splash takes 0.2 s to go and is removed twice if
        another change comes meanwhile, which is an error of the page."""
        self.command("apputils:change-theme", {"theme": f"JupyterLab {name}"})
        self.page.wait_for_selector(f"body[data-jp-theme-light='{str(name == 'Light').lower()}']", state="attached")
        self.page.wait_for_selector("#jupyterlab-splash", state="detached")

    def run_all(self, cells: int) -> None:
        """Run every cell and wait for the last one."""
        self.begin()
        self.ran(cells)

    def begin(self) -> None:
        """Begin to run every cell, once the page has its kernel: what is run before is lost."""
        self.page.wait_for_function(
            "() => { const s = window.jupyterapp?.shell.currentWidget?.context?.sessionContext, k = s?.session?.kernel;"
            " return s?.isReady && k?.connectionStatus === 'connected' && k?.status === 'idle'; }",
            polling=EVERY,
        )
        self.page.evaluate(RUN_ALL)

    def run_cell(self, at: int) -> None:
        """Run one cell, and wait for its end."""
        self.page.evaluate(
            "async at => { const { shell, commands } = window.jupyterapp;"
            " shell.currentWidget.content.activeCellIndex = at; await commands.execute('notebook:run-cell'); }",
            at,
        )

    def ran(self, count: int) -> None:
        """Wait until the kernel has executed *count* cells and shows no one as running."""
        try:
            self.page.wait_for_function(
                "n => { const all = [...document.querySelectorAll('.jp-InputPrompt')].map(e => e.textContent.trim());"
                " return !window.fjRunning && all.some(t => t === `[${n}]:`) && !all.includes('[*]:'); }",
                arg=count,
                timeout=200_000,  # below pytest's own limit, so that what is on the page is told
                polling=EVERY,
            )
        except PageTimeoutError as late:
            prompts = self.page.locator(".jp-InputPrompt").all_text_contents()
            text = "\n".join(self.page.locator(".jp-OutputArea-output").all_inner_texts())
            raise AssertionError(f"{count} cells were not done: {prompts}\n{text[-3000:]}") from late

    def pictures(self, name: str) -> None:
        """Keep what the page looks like in both themes, where the environment has ``PICTURES``."""
        for theme in ("Dark", "Light") if os.environ.get("PICTURES") else ():  # each change takes half a second
            self.theme(theme)
            self.picture(f"{name}-{theme.lower()}")

    def picture(self, name: str) -> None:
        """Keep what the page looks like: of a failure, and of whatever is asked for where the environment has ``PICTURES``."""
        if not (name.startswith("failed-") or os.environ.get("PICTURES")):
            return  # each takes a quarter of a second
        ARTEFACTS.mkdir(exist_ok=True)
        self.page.screenshot(path=ARTEFACTS / f"{name}.png")


@contextmanager
def front_server(
    app: str, python: Path | str = sys.executable, *, base_url: str = BASE_URL
) -> Iterator[tuple[Jupyter, Path]]:
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
            state,
            *options,
            base_url=base_url,
            env=env,
            module="jupyterlab" if app == "lab" else "notebook",
            python=python,
        ) as server:
            yield server, state
            server.settle()


def new_front(browser: Browser, server: Jupyter, state: Path, app: str) -> Front:
    context = browser.new_context(
        viewport=VIEWPORT, reduced_motion="reduce"
    )  # what moves is drawn sixty times a second
    context.grant_permissions(["clipboard-read", "clipboard-write"], origin=f"http://{server.host}")
    return Front(server, state, context.new_page(), app)


def save_console(front: Front, name: str) -> None:
    """Keep what a page wrote to its console."""
    ARTEFACTS.mkdir(exist_ok=True)
    (ARTEFACTS / f"{name}.console.txt").write_text("".join(f"{line}\n" for line in front.console))


def end_kernels(server: Jupyter) -> None:
    """End the kernels of a server, and with them their apps."""
    if server.process.poll() is None:
        end = time.monotonic() + 30
        while (
            listed := server.request("api/kernels")
        ).status == 500:  # Jupyter cannot list a kernel that starts just now
            assert time.monotonic() < end, listed
            time.sleep(0.05)
        for kernel in listed.json:
            server.request(f"api/kernels/{kernel['id']}", method="DELETE")


@contextmanager
def front_page(
    browser: Browser, server: Jupyter, state: Path, app: str, name: str, *, end: bool = True
) -> Iterator[Front]:
    """A page of one's own before a server. At its end it must have had nothing to complain of; the kernels end, unless *end* is false."""
    front = new_front(browser, server, state, app)
    try:
        yield front
    except BaseException:
        front.picture(f"failed-{name}")
        raise
    finally:
        front.page.context.close()
        save_console(front, name)
        if end:
            end_kernels(server)
    assert front.complaints == []


class SharedPage:
    """One page of JupyterLab, lent to one test after the other, either as it is when it has been loaded or with a notebook whose app runs.
    There is a new page after a test that failed, or from which it did not come back to its beginning."""

    def __init__(self, browser: Browser, server: Jupyter, state: Path) -> None:
        self.browser, self.server, self.state = browser, server, state
        self.front: Front | None = None
        self.studio = ""  # the open notebook of the app Studio

    @contextmanager
    def lent(self, request: pytest.FixtureRequest, *, studio: bool = False) -> Iterator[Front]:
        """The page, with *studio* open if that is wanted; it must have nothing to complain of."""
        name = request.node.name
        if self.studio and not studio:
            self.restore()
        elif self.front and not self._tidied("() => true" if self.studio else RESTORED):
            self.close()
        try:
            front = self._opened_studio() if studio else self._page()
        except BaseException:
            if self.front:
                self.front.picture(f"failed-{name}")
                save_console(self.front, name)
            self.close()
            raise
        if front.closing:
            front.settle()
            front.closing = False
        try:
            yield front
        finally:
            failed = request.node.stash.get(FAILED, False)
            if failed:
                front.picture(f"failed-{name}")
            front.settle()
            save_console(front, name)
            front.closing = True  # until the next test has it
            if failed or front.complaints:
                self.close()
            elif not studio:
                self.restore()
            complaints = [*front.complaints]
            for kept in (front.complaints, front.expected, front.console):
                kept.clear()
        assert complaints == []

    def _page(self) -> Front:
        self.front = self.front or new_front(self.browser, self.server, self.state, "lab")
        return self.front

    def _opened_studio(self) -> Front:
        """The page with a notebook of the app, which is opened if none is or the last test took the app away."""
        front = self._page()
        if self.studio and self.server.request("api/kernels").json:
            front.page.evaluate(CLOSE, self.studio)
            if front.page.locator(".fj-card").first.get_by_text("Ready", exact=True).is_visible():
                return front
        if self.studio:
            self.restore()
            front = self._page()
        self.studio = f"studio{next(_numbers)}.ipynb"
        front.write(self.studio, CELLS)
        front.open(self.studio)
        front.run_all(len(CELLS))
        expect(front.page.locator(".fj-card").first.get_by_text("Ready", exact=True)).to_be_visible()
        return front

    def _tidied(self, until: str) -> bool:
        assert self.front
        page = self.front.page
        try:
            page.unroute_all()
            page.set_viewport_size(VIEWPORT)
            page.evaluate(TIDY)
            page.wait_for_function(until, polling=EVERY)
        except PlaywrightError as failure:
            print(f"the page did not come back to its beginning, there is a new one: {failure}")
            return False
        return True

    def restore(self) -> None:
        """Bring the page back to its beginning, without a kernel and a file, or close it."""
        if self.front:
            page = self.front.page
            try:
                page.keyboard.press("Escape")  # a dialog or a menu
                page.evaluate(CLOSE, "")
                page.evaluate(END_KERNELS)
            except PlaywrightError as failure:
                print(f"the page cannot close what it has: {failure}")
            end_kernels(self.server)
            for path in (self.server.directory / "root").iterdir():
                shutil.rmtree(path) if path.is_dir() else path.unlink()
            if not self._tidied(RESTORED):
                self.close()
        self.studio = ""

    def close(self) -> None:
        if self.front:
            self.front.page.context.close()
        end_kernels(self.server)
        self.front, self.studio = None, ""


FAILED = pytest.StashKey[bool]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Remember a failure for what has to be tidied up after the test."""
    report = yield
    item.stash[FAILED] = report.failed or item.stash.get(FAILED, False)
    return report


@pytest.fixture(scope="package")
def lab_server() -> Iterator[tuple[Jupyter, Path]]:
    with front_server("lab") as running:
        yield running


@pytest.fixture(scope="package")
def lab_page(browser: Browser, lab_server: tuple[Jupyter, Path]) -> Iterator[SharedPage]:
    shared = SharedPage(browser, *lab_server)
    yield shared
    shared.close()


@pytest.fixture
def lab(lab_page: SharedPage, request: pytest.FixtureRequest) -> Iterator[Front]:
    """A page of JupyterLab in which nothing is open."""
    with lab_page.lent(request) as front:
        yield front


@pytest.fixture
def studio(lab_page: SharedPage, request: pytest.FixtureRequest) -> Iterator[Front]:
    """A page of JupyterLab with an open notebook of ``apps.CELLS``, whose app runs. The tests that use it one after the other share the
    notebook, its kernel and its app: what they find at first is what the cells made, and whatever the others have added to it."""
    with lab_page.lent(request, studio=True) as front:
        yield front


@pytest.fixture(scope="package")
def notebook_server() -> Iterator[tuple[Jupyter, Path]]:
    with front_server("notebook") as running:
        yield running


@pytest.fixture
def notebook7(
    browser: Browser, notebook_server: tuple[Jupyter, Path], request: pytest.FixtureRequest
) -> Iterator[Front]:
    with front_page(browser, *notebook_server, "notebook", request.node.name) as front:
        yield front
