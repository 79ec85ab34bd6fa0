"""The picture of an app's last state for pages where nothing is live: plain HTML with a style on each element, and text.

All of it is made of one :class:`~fal_jupyter.protocol.feed.Picture`; everything in it is escaped.
"""

from __future__ import annotations

from typing import Any

from fal_jupyter.cli.numbers import count, milliseconds, plural
from fal_jupyter.notebook.style import (
    BAND,
    CELL,
    CODE,
    FAILED,
    FRAME,
    LINE,
    MUTED,
    NUMBER,
    OK,
    QUEUE,
    RUN,
    START,
    TRANSFER,
    element,
    text,
)
from fal_jupyter.protocol.feed import AppState, Picture, RequestState

SHOWN = 10
LONGEST = 300  # characters of any text in a picture: a path alone may have 60 000, and a notebook keeps all of them
_PARTS = (("queue_ms", QUEUE), ("start_ms", START), ("transfer_ms", TRANSFER), ("run_ms", RUN), ("stream_ms", RUN))
_STATES = (
    ("RUNNING", "running", RUN), ("IDLE", "idle", OK), ("SETUP", "in setup", START), ("PENDING", "pending", QUEUE),
    ("CRASH_BACKOFF", "in crash back-off", FAILED), ("DRAINING", "draining", QUEUE), ("TERMINATING", "ending", QUEUE),
)  # fmt: skip


def cut(value: Any) -> Any:
    """The same value with every text in it short enough to be saved with a notebook."""
    if isinstance(value, str):
        return value if len(value) <= LONGEST else value[: LONGEST - 1] + "…"
    if isinstance(value, dict):
        return {name: cut(item) for name, item in value.items()}
    return [cut(item) for item in value] if isinstance(value, list) else value


def activity_text(picture: Picture) -> str:
    """What the app has done so far, in a line or two."""
    stats = picture["app"]["stats"]
    lines = [f"  {_figures(picture['app'])}"] if stats["calls"] else []
    lines += [f"  last: {_request_text(picture['requests'][0])}"] if picture["requests"] else []
    return "\n".join(lines)


def activity_html(picture: Picture) -> str:
    """The figures, the runners by state, and the latest requests with where their time went."""
    app = picture["app"]
    if not app["stats"]["calls"]:
        return ""
    runners = [
        element("span", text(f"{number} {word}"), style=f"border-bottom: 3px solid {colour}; margin-right: 10px")
        for state, word, colour in _STATES
        if (number := sum(runner["state"] == state for runner in app["runners"]))
    ]
    head = element("div", text(_figures(app)), " &nbsp; ", *runners, style=BAND)
    return head + _requests(picture["requests"][:SHOWN])


def _figures(app: AppState) -> str:
    stats = app["stats"]
    parts = [plural(stats["calls"], "call"), f"p50 {milliseconds(stats['p50_ms'])}"]
    parts.append(
        f"p95 {milliseconds(stats['p95_ms'])}" if stats["sample"] >= 20 else f"max {milliseconds(stats['max_ms'])}"
    )
    if stats["failed"]:
        parts.append(f"{count(stats['failed'])} failed")
    if stats["cold"]:
        parts.append(f"{count(stats['cold'])} cold")
    return " · ".join(parts)


def _request_text(request: RequestState) -> str:
    word = "failed" if _failed(request) else "cancelled" if _cancelled(request) else "ok"
    told = f" ({request['error']})" if request["error"] else ""
    return f"{word} {request['path']} {milliseconds(request['total_ms'])}, r{request['revision']}{told}"


def _failed(request: RequestState) -> bool:
    return not _cancelled(request) and (request["status"] >= 400 or bool(request["error"]))


def _cancelled(request: RequestState) -> bool:
    return request["state"] == "done" and request["status"] == 499


def _sign(request: RequestState) -> str:
    return "✕" if _failed(request) else "cancelled" if _cancelled(request) else "✓"


def _requests(requests: list[RequestState]) -> str:
    rows = [
        element(
            "tr",
            element(
                "td",
                element("b", _sign(r), style=f"color: {FAILED if _failed(r) else QUEUE if _cancelled(r) else OK}"),
                style=CELL,
            ),
            element("td", text(r["path"]), style=f"{CELL}; {CODE}"),
            element("td", _bar(r), style=CELL),
            element("td", element("b", text(milliseconds(r["total_ms"]))), style=NUMBER),
            element("td", text(f"r{r['revision']}" if r["revision"] else ""), style=CELL),
            element("td", text(r["error"][:120]), style=f"{CELL}; white-space: normal"),
            style="background: none",
        )
        for r in requests
    ]
    heads = [
        element("th", name, style=f"{CELL}; font-weight: 400; {MUTED}")
        for name in ("", "Endpoint", "Where the time went", "Total", "", "")
    ]
    table = element(
        "table",
        element("thead", element("tr", *heads, style="background: none")),
        element("tbody", *rows),
        style=f"border-collapse: collapse; border: 0 solid {LINE}",
    )
    return element("div", table, style=BAND)


def _bar(request: RequestState, width: int = 120) -> str:
    total = max(request["total_ms"], 0.001)
    pieces = []
    for part, colour in _PARTS:
        ms: float = request[part]  # type: ignore[literal-required]
        if ms > 0:
            points = max(2, round(width * ms / total))
            name = part.removesuffix("_ms").replace("start", "cold start")
            shown = FAILED if _failed(request) and part == "run_ms" else colour
            style = f"display: inline-block; height: 8px; width: {points}px; background: {shown}"
            pieces.append(element("span", style=style, title=f"{name} {milliseconds(ms)}"))
    return element("span", *pieces, style="white-space: nowrap")


def dashboard_html(apps: list[AppState]) -> str:
    """All apps in a table."""
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
    table = element(
        "table", element("thead", head), element("tbody", *body), style="border-collapse: collapse; margin: 6px 10px"
    )
    return element("div", table, style=FRAME)


def dashboard_text(apps: list[AppState]) -> str:
    """All apps, a line each."""
    lines = [
        f"{app['alias']}: {app['state'].lower()}, {plural(len(app['runners']), 'runner')}, {plural(app['stats']['calls'], 'call')}"
        for app in apps
    ]
    return "\n".join(lines) or "No fal app is running."
