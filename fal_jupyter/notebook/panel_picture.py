"""Each panel of an app as a picture of its own: requests, timeline, config and snippets as they were, in plain HTML and as text.

A saved notebook, a page of nbconvert or the web has neither a kernel nor scripts: a picture says when it was taken, and its
bars are as wide as the page. Everything in it is escaped.
"""

from __future__ import annotations

import ast
import json
import shlex
import time
from collections.abc import Callable, Sequence
from typing import Final

from fal_jupyter.cli import request_tables
from fal_jupyter.cli.numbers import count, milliseconds
from fal_jupyter.cli.tables import table
from fal_jupyter.domain.lanes import GONE
from fal_jupyter.notebook.display import Card
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
    PHASES,
    QUEUE,
    RUN,
    START,
    element,
    text,
)
from fal_jupyter.protocol.feed import AppState, EndpointState, Lane, Picture, RequestState

SHOWN: Final = 10  # requests, decisions
_IDLE: Final = "rgba(43, 131, 196, 0.35)"
_LANES: Final = {
    "PENDING": ("pending", QUEUE), "SETUP": ("setup", START), "IDLE": ("idle", _IDLE), "RUNNING": ("running", RUN),
    "DRAINING": ("draining", "#ad6891"), "TERMINATING": ("ending", "#ad6891"), "CRASH_BACKOFF": ("crash back-off", FAILED),
}  # fmt: skip
_WIDE: Final = "border-collapse: collapse; width: 100%; font-size: inherit"
_TRACK: Final = "white-space: nowrap; font-size: 0; line-height: 10px; padding-top: 4px"
_MARK: Final = {"▲": "up", "▼": "down", "◆": "retry", "·": "note"}


# --- HTML -------------------------------------------------------------------------------------------------------------
def sections(picture: Picture) -> str:
    """All panels below each other, for the picture of a whole card."""
    parts = [
        _fold(title, note, body, is_open=name in ("requests", "timeline"))
        for name, (title, note, body) in ((name, make(picture)) for name, make in _PANELS.items())
        if body
    ]
    return "".join(parts)


def page(card: Card, picture: Picture, panel: str) -> str:
    """One panel alone, below the app's name and its state of then; ``""`` where *panel* has no picture of its own."""
    if panel not in _PANELS:
        return ""
    title, note, body = _PANELS[panel](picture)
    state = element("b", text(card.state), style=f"color: {QUEUE}")
    name = element("b", text(card.app))
    head = element("div", state, " &nbsp;", name, " ", saved(picture), style="padding: 6px 10px")
    empty = element("div", text(_EMPTY[panel]), style=f"{BAND}; {MUTED}")
    return element("div", head, _fold(title, note, body, is_open=True) if body else empty, style=FRAME)


def saved(picture: Picture) -> str:
    """When the picture was taken."""
    return element("span", text(f"as saved {_date(picture['time'])}"), style=f"{MUTED}; margin-left: 12px")


def _fold(title: str, note: str, body: str, *, is_open: bool) -> str:
    summary = element(
        "summary", element("b", text(title)), " ", element("span", text(note), style=MUTED), style="cursor: pointer"
    )
    return element("div", element("details", summary, body, flags="open" if is_open else ""), style=BAND)


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]], *, right: Sequence[str] = (), wide: str = "") -> str:
    """A table of ready cells; the column *wide* takes what the others leave."""

    def style(head: str) -> str:
        return f"{NUMBER if head in right else CELL}{'; width: 60%' if head == wide else '; white-space: nowrap'}"

    head = element(
        "tr",
        *(element("th", text(h), style=f"{style(h)}; font-weight: 400; {MUTED}") for h in heads),
        style="background: none",
    )
    body = [
        element(
            "tr",
            *(element("td", cell, style=style(h)) for h, cell in zip(heads, row, strict=True)),
            style="background: none",
        )
        for row in rows
    ]
    return element("table", element("thead", head), element("tbody", *body), style=f"{_WIDE}; margin: 4px 0")


def _code(value: object) -> str:
    return element("span", text(value), style=CODE)


def _requests(picture: Picture) -> tuple[str, str, str]:
    shown, calls = picture["requests"][:SHOWN], picture["app"]["stats"]["calls"]
    note = f"last {len(shown)} of {count(max(calls, len(shown)))}"
    return "Requests", note, requests_table(shown) if shown else ""


def requests_table(requests: Sequence[RequestState]) -> str:
    """A row for each request, whose bars have one scale."""
    longest = max((request["total_ms"] for request in requests), default=0.0)
    axis, errors = f"0 to {milliseconds(longest)}", any(request["error"] for request in requests)
    apps = len({request["alias"] for request in requests}) > 1
    heads = [
        "Started",
        "State",
        *(["App"] if apps else []),
        "Endpoint",
        axis,
        "Total",
        "Runner",
        *(["Error"] if errors else []),
    ]
    rows = [
        [
            text(request_tables.clock(request["began"])),
            _state(request),
            *([text(request["alias"])] if apps else []),
            _code(request["path"]),
            _bar(request, longest),
            element("b", text(milliseconds(request["total_ms"]))),
            text(
                " · ".join(filter(None, (request["runner"], f"r{request['revision']}" if request["revision"] else "")))
            ),
            *([element("span", text(request["error"][:120]), style="white-space: normal")] if errors else []),
        ]
        for request in requests
    ]
    return _table(heads, rows, right=["Total"], wide=axis)


def _state(request: RequestState) -> str:
    word = request_tables.word_of(request)
    colour = OK if word == "ok" else FAILED if word.startswith("failed") else QUEUE
    sign = "✓ " if word == "ok" else "✕ " if word.startswith("failed") else ""
    return element("span", text(sign + word), style=f"color: {colour}")


def _bar(request: RequestState, longest: float) -> str:
    if longest <= 0:
        return ""
    failed, pieces = request_tables.word_of(request).startswith("failed"), []
    for part, name, colour in PHASES:
        ms: float = request[part]  # type: ignore[literal-required]
        if ms > 0:
            pieces.append(
                _piece(
                    100 * ms / longest, FAILED if failed and part == "run_ms" else colour, f"{name} {milliseconds(ms)}"
                )
            )
    return element("div", *pieces, style=_TRACK)


def _piece(percent: float, colour: str, title: str, height: int = 9) -> str:
    style = f"display: inline-block; min-width: 2px; height: {height}px; width: {percent:.2f}%; background: {colour}"
    return element("span", style=style, title=title)


def _timeline(picture: Picture) -> tuple[str, str, str]:
    lanes, now = picture["timeline"]["lanes"], picture["time"]
    if not any(lane["moves"] for lane in lanes):
        return "Scaling", "", ""
    begin = min(lane["moves"][0][0] for lane in lanes if lane["moves"])
    rows = [
        [
            text(_lane_name(lane)),
            element("div", *_lane_bars(lane, begin, now), style=_TRACK),
        ]
        for lane in lanes
        if lane["moves"]
    ]
    times = element("span", text(_clock(begin))) + element("span", text(_clock(now)), style="float: right")
    rows.append(["", element("div", times, style=MUTED)])
    cells = [
        element(
            "tr",
            element("td", a, style=f"{CELL}; white-space: nowrap"),
            element("td", b, style=f"{CELL}; width: 95%"),
            style="background: none",
        )
        for a, b in rows
    ]
    body = element("table", element("tbody", *cells), style=f"{_WIDE}; margin: 4px 0")
    return "Scaling", _span(now - begin), body + _legend(lanes) + _decisions(picture) + _changes(lanes, now)


def _lane_name(lane: Lane) -> str:
    return " · ".join([lane["id"], *lane["devices"], f"r{lane['revision']}"])


def _spells(lane: Lane, now: float) -> list[tuple[float, float, str]]:
    """The states of a runner with begin and end; none after it is gone."""
    ends = [move[0] for move in lane["moves"][1:]] + [now]
    pairs = zip(lane["moves"], ends, strict=True)
    return [(begin, max(begin, end), state) for (begin, state), end in pairs if state != GONE]


def _lane_bars(lane: Lane, begin: float, now: float) -> list[str]:
    scale, at, pieces = 100 / max(now - begin, 1.0), begin, []
    for start, end, state in _spells(lane, now):
        if start > at:
            pieces.append(
                element("span", style=f"display: inline-block; height: 10px; width: {(start - at) * scale:.2f}%")
            )
        word, colour = _LANES.get(state, (state, QUEUE))
        title = f"{word} {_clock(start)} to {_clock(end)}"
        style = f"display: inline-block; height: 10px; width: {(end - start) * scale:.2f}%; background: {colour}"
        pieces.append(element("span", style=style, title=title))
        at = end
    return pieces


def _legend(lanes: Sequence[Lane]) -> str:
    used = {state for lane in lanes for _, state in lane["moves"]}
    seen = dict.fromkeys(_LANES[state] for state in _LANES if state in used)
    parts = [
        element(
            "span",
            element("span", style=f"display: inline-block; width: 14px; height: 8px; background: {colour}"),
            " ",
            text(word),
        )
        for word, colour in seen
    ]
    return element("div", " &nbsp; ".join(parts), style="font-size: 11px; margin: 4px 0")


def _decisions(picture: Picture) -> str:
    marks = {kind: mark for mark, kind in _MARK.items()}
    found = picture["timeline"]["decisions"][-SHOWN:]
    rows = [
        [
            text(request_tables.clock(decision["time"])),
            text(f"{marks.get(decision['kind'], '·')} {decision['before']} → {decision['after']}"),
            element("span", text(decision["reason"]), style="white-space: normal"),
        ]
        for decision in reversed(found)
    ]
    return _table(["Time", "Runners", "Why"], rows, wide="Why") if rows else ""


def _changes(lanes: Sequence[Lane], now: float) -> str:
    """The lanes in words, for readers that see no bars."""
    lines = [element("div", text(line)) for line in _lane_words(lanes, now)]
    return element("details", element("summary", "States with their times", style="cursor: pointer"), *lines)


def _lane_words(lanes: Sequence[Lane], now: float) -> list[str]:
    return [
        f"{lane['id']}: " + ", ".join(f"{_LANES.get(state, (state, ''))[0]} {_clock(begin)}" for begin, _, state in _spells(lane, now))
        + (f", gone {_clock(lane['moves'][-1][0])}" if lane["moves"][-1][1] == GONE else "")
        for lane in lanes
        if lane["moves"]
    ]  # fmt: skip


def _config(picture: Picture) -> tuple[str, str, str]:
    app = picture["app"]
    rows = [
        [_code(name), element("b" if name in app["overrides"] else "span", text(value)), text(told)]
        for name, value, told in _settings(app)
    ]
    edited = len(app["overrides"])
    note = f"{len(rows)} values" + (f", {edited} edited" if edited else "")
    return (
        "Config",
        note,
        _table(["Setting", "Value", "Changed"], rows, right=["Value"], wide="Changed") if rows else "",
    )


def _settings(app: AppState) -> list[tuple[str, str, str]]:
    return [
        (
            name,
            f"{value:g}",
            f"by hand; the class: {app['by_class'].get(name, value):g}" if name in app["overrides"] else "",
        )
        for name, value in app["scaling"].items()
    ]


def _snippets(picture: Picture) -> tuple[str, str, str]:
    app = picture["app"]
    endpoint = next((one for one in app["endpoints"] if one["protocol"] == "http"), None)
    if endpoint is None:
        return "Snippets", "", ""
    parts = [
        element("div", text(title), style=f"font-size: 11px; {MUTED}; margin-top: 4px")
        + element(
            "pre",
            text(code),
            style=f"{CODE}; margin: 0; padding: 4px 8px; border: 1px solid {LINE}; white-space: pre-wrap; overflow-wrap: anywhere",
        )
        for title, code in programs(app, endpoint)
    ]
    return "Snippets", f"{endpoint['path']}, as an example", "".join(parts)


def programs(app: AppState, endpoint: EndpointState) -> list[tuple[str, str]]:
    """Calls of an endpoint from this notebook, from another one and from a shell, each with a title."""
    given = _example(endpoint["signature"])
    words = ", ".join(f"{name}={value!r}" for name, value in given.items())
    url = app["url"] + ("" if endpoint["path"] == "/" else endpoint["path"])
    curl = f"curl -sS {shlex.quote(url)} -H \"Authorization: Key $FAL_KEY\" -H 'Content-Type: application/json' \\\n  -d {shlex.quote(json.dumps(given, ensure_ascii=False))}"
    return [
        ("in this notebook", f"{app['class_name']}.{endpoint['name']}({words})"),
        (
            "in any notebook of this machine",
            f"import fal_jupyter\n\nfal_jupyter.app({app['app']!r}).{endpoint['name']}({words})",
        ),
        ("curl", curl),
    ]


_VALUES: Final = {"str": "text", "int": 1, "float": 1.0, "bool": True, "list": [], "dict": {}}


def _example(signature: str) -> dict[str, object]:
    """A value for each parameter that has to be given, after its annotation."""
    try:
        function = ast.parse(f"def endpoint{signature}: ...").body[0]
    except (SyntaxError, ValueError):
        return {}
    if not isinstance(function, ast.FunctionDef):
        return {}
    wanted = function.args
    positional = [*wanted.posonlyargs, *wanted.args]
    needed = positional[: len(positional) - len(wanted.defaults)]
    needed += [one for one, default in zip(wanted.kwonlyargs, wanted.kw_defaults, strict=True) if default is None]
    kinds = {one.arg: ast.unparse(one.annotation).split("[")[0] if one.annotation is not None else "" for one in needed}
    return {name: _VALUES.get(kind, {}) for name, kind in kinds.items()}


_PANELS: Final[dict[str, Callable[[Picture], tuple[str, str, str]]]] = {
    "requests": _requests,
    "timeline": _timeline,
    "config": _config,
    "snippets": _snippets,
}
_EMPTY: Final = {
    "requests": "No request had been made.",
    "timeline": "No runner had been started.",
    "config": "Nothing was known of its settings.",
    "snippets": "It had no endpoint that is called over HTTP.",
}


# --- text -------------------------------------------------------------------------------------------------------------
def page_text(card: Card, picture: Picture, panel: str) -> str:
    """The same as :func:`page`, for terminals, diffs and logs."""
    if panel not in _PANELS:
        return ""
    lines = _TEXTS[panel](picture) or [_EMPTY[panel]]
    head = f"{card.app}: {panel}, {card.state.lower()}, as saved {_date(picture['time'])}"
    return "\n".join([head, *(f"  {line}" for line in lines)])


def _requests_text(picture: Picture) -> list[str]:
    return request_tables.as_text(picture["requests"][:SHOWN]).splitlines() if picture["requests"] else []


def _timeline_text(picture: Picture) -> list[str]:
    decisions = picture["timeline"]["decisions"][-SHOWN:]
    found = _lane_words(picture["timeline"]["lanes"], picture["time"])
    return found + [
        f"{request_tables.clock(d['time'])} {d['before']} → {d['after']}: {d['reason']}" for d in reversed(decisions)
    ]


def _config_text(picture: Picture) -> list[str]:
    rows = _settings(picture["app"])
    return table(["setting", "value", "changed"], rows, right=["value"]).splitlines() if rows else []


def _snippets_text(picture: Picture) -> list[str]:
    app = picture["app"]
    endpoint = next((one for one in app["endpoints"] if one["protocol"] == "http"), None)
    if endpoint is None:
        return []
    return [line for title, code in programs(app, endpoint) for line in (f"# {title}", *code.splitlines())]


_TEXTS: Final[dict[str, Callable[[Picture], list[str]]]] = {
    "requests": _requests_text,
    "timeline": _timeline_text,
    "config": _config_text,
    "snippets": _snippets_text,
}


# --- times ------------------------------------------------------------------------------------------------------------
def _clock(wall_ms: float) -> str:
    return time.strftime("%H:%M:%S", time.localtime(wall_ms / 1000))


def _date(wall_ms: float) -> str:
    moment = time.localtime(wall_ms / 1000)
    return f"{moment.tm_mday} {time.strftime('%b %Y, %H:%M:%S', moment)}"


def _span(ms: float) -> str:
    return f"{milliseconds(ms)} before saving"
