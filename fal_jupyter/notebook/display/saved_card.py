"""Renders an app's last state for pages without live content: HTML with inline styles, and text.

The input is a :class:`~fal_jupyter.protocol.feed.Picture`, a snapshot of the app; all content is escaped.
"""

from __future__ import annotations

from typing import Any

from fal_jupyter.commands import request_tables
from fal_jupyter.commands.numbers import count, milliseconds, plural
from fal_jupyter.domain.text.terminal_text import plain_text
from fal_jupyter.notebook.display import saved_panels
from fal_jupyter.notebook.style import (
    BAND,
    CELL,
    DRAINING,
    FAILED,
    FRAME,
    IDLE,
    MUTED,
    QUEUE,
    RUN,
    START,
    TABLE,
    element,
    text,
)
from fal_jupyter.protocol.feed import AppState, Picture, RequestState

MAX_TEXT = 300  # characters of any text in a saved snapshot; a path alone may have 60,000
MAX_TRACEBACK = 3000  # characters of a traceback
_STATES = (
    ("RUNNING", "running", RUN), ("IDLE", "idle", IDLE), ("SETUP", "in setup", START), ("PENDING", "pending", QUEUE),
    ("CRASH_BACKOFF", "in crash back-off", FAILED), ("DRAINING", "draining", DRAINING), ("TERMINATING", "ending", DRAINING),
)  # fmt: skip


def shorten(value: object) -> Any:
    """Shorten every text in *value* to a size that can be saved with a notebook."""
    if isinstance(value, str):
        return value if len(value) <= MAX_TEXT else value[: MAX_TEXT - 1] + "…"
    if isinstance(value, dict):
        traceback_text = (
            {"text": str(value["text"])[-MAX_TRACEBACK:]} if "frames" in value else {}
        )  # the end of a traceback is the relevant part
        return {**{name: shorten(item) for name, item in value.items()}, **traceback_text}
    return [shorten(item) for item in value] if isinstance(value, list) else value


def activity_text(snapshot: Picture) -> str:
    """Summarize the app's activity in at most two lines."""
    stats = snapshot["app"]["stats"]
    lines = [f"  {_figures(snapshot['app'])}"] if stats["calls"] else []
    lines += [f"  last: {_request_text(snapshot['requests'][0])}"] if snapshot["requests"] else []
    return "\n".join(lines)


def activity_html(snapshot: Picture) -> str:
    """Render the statistics, the runners by state, and each panel."""
    app = snapshot["app"]
    runners = [
        element("span", text(f"{number} {word}"), style=f"border-bottom: 3px solid {colour}; margin-right: 10px")
        for state, word, colour in _STATES
        if (number := sum(runner["state"] == state for runner in app["runners"]))
    ]
    figures = [text(_figures(app)), " &nbsp; "] if app["stats"]["calls"] else []
    summary = element("div", *figures, " ".join(runners), style=BAND) if figures or runners else ""
    return summary + saved_panels.sections(snapshot)


def _figures(app: AppState) -> str:
    stats = app["stats"]
    parts = [plural(stats["calls"], "call")]
    if stats["sample"]:
        parts.append(f"p50 {milliseconds(stats['p50_ms'])}")
        parts.append(
            f"p95 {milliseconds(stats['p95_ms'])}" if stats["sample"] >= 20 else f"max {milliseconds(stats['max_ms'])}"
        )
    if stats["failed"]:
        parts.append(f"{count(stats['failed'])} failed")
    if stats["cold"]:
        parts.append(f"{count(stats['cold'])} cold")
    return " · ".join(parts)


def _request_text(request: RequestState) -> str:
    error = f" ({plain_text(request['error'])})" if request["error"] else ""
    word = request_tables.word_of(request).split()[0]
    return f"{word} {plain_text(request['path'])} {milliseconds(request['total_ms'])}, r{request['revision']}{error}"


def dashboard_html(apps: list[AppState]) -> str:
    """Render a table of all apps."""
    heads = ("App", "State", "Notebook", "Runners", "Calls", "p50", "Failed", "Revision")
    rows = [
        (
            element("b", text(app["alias"])),
            text(app["state"]),
            text(app["owner_name"]),
            text(len(app["runners"])),
            text(count(app["stats"]["calls"])),
            text(milliseconds(app["stats"]["p50_ms"]) if app["stats"]["sample"] else "–"),
            text(count(app["stats"]["failed"])),
            text(f"r{app['serving'] or app['revision']}"),
        )
        for app in apps
    ]
    head = element("tr", *(element("th", name, style=f"{CELL}; {MUTED}") for name in heads), style="background: none")
    body = [element("tr", *(element("td", cell, style=CELL) for cell in row), style="background: none") for row in rows]
    if not body:
        return element("div", element("div", "No fal app is running.", style="padding: 6px 10px"), style=FRAME)
    table = element("table", element("thead", head), element("tbody", *body), style=f"{TABLE}; margin: 6px 10px")
    return element("div", table, style=FRAME)


def dashboard_text(apps: list[AppState]) -> str:
    """Format all apps, one per line."""
    lines = [
        f"{app['alias']}: {app['state'].lower()}, {plural(len(app['runners']), 'runner')}, {plural(app['stats']['calls'], 'call')}"
        for app in apps
    ]
    return "\n".join(lines) or "No fal app is running."
