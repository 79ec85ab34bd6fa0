"""Renders each panel of an app from a snapshot, as static HTML and as text.

Saved notebooks, nbconvert pages and web views have neither a kernel nor scripts. A rendering states the time of its snapshot, and
its bars scale with the page. All content is escaped.
"""

from __future__ import annotations

import ast
import json
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from fal_jupyter.commands import request_tables
from fal_jupyter.commands.numbers import count, milliseconds
from fal_jupyter.commands.tables import table
from fal_jupyter.domain.timeline.lanes import GONE
from fal_jupyter.notebook.display import saved_results_html
from fal_jupyter.notebook.display.saved_parts import (
    WIDE,
    box,
    clock,
    code,
    day_and_time,
    fold,
    label,
    piece,
    rows_table,
    span,
    track,
)  # fmt: skip
from fal_jupyter.notebook.display.static_card import StaticCard
from fal_jupyter.notebook.style import (
    BAND,
    CANCELLED,
    CELL,
    DRAINING,
    FAILED,
    FRAME,
    IDLE,
    MUTED,
    OK,
    QUEUE,
    RUN,
    START,
    element,
    fill,
    isolated,
    phases_of,
    text,
)
from fal_jupyter.protocol.api import EndpointState
from fal_jupyter.protocol.feed import (
    NAMED_PHASE_MS,
    AppState,
    Lane,
    Picture,
    RequestState,
    is_streamed,
)

MAX_ROWS: Final = 10  # requests, decisions
_LANES: Final = {
    "PENDING": ("pending", QUEUE), "SETUP": ("setup", START), "IDLE": ("idle", IDLE), "RUNNING": ("running", RUN),
    "DRAINING": ("draining", DRAINING), "TERMINATING": ("ending", DRAINING), "CRASH_BACKOFF": ("crash back-off", FAILED),
}  # fmt: skip
_MARK: Final = {"▲": "up", "▼": "down", "◆": "retry", "·": "note"}


# --- HTML -------------------------------------------------------------------------------------------------------------
def sections(snapshot: Picture) -> str:
    """Render all panels for a complete card; media of the newest result are shown under Outputs only."""
    without_outputs: Picture = {**snapshot, "outputs": []}
    parts = [
        fold(title, note, body, is_open=name in _OPEN)
        for name, (title, note, body) in (
            (name, saved.html(without_outputs if name == "try" else snapshot)) for name, saved in _PANELS.items()
        )
        if body
    ]
    return "".join(parts)


def page(card: StaticCard, snapshot: Picture, panel: str) -> str:
    """Render one panel below the app's name and its state at that time; ``""`` if *panel* has no static form."""
    if panel not in _PANELS:
        return ""
    title, note, body = _PANELS[panel].html(snapshot)
    state = element("b", text(f"{card.state}{as_of(snapshot)}"), style=MUTED)
    name = element("b", isolated(card.app))
    head = element("div", state, " &nbsp;", name, style="padding: 6px 10px")
    empty = element("div", text(_PANELS[panel].empty), style=f"{BAND}; {MUTED}")
    return element("div", head, fold(title, note, body, is_open=True) if body else empty, style=FRAME)


def as_of(snapshot: Picture) -> str:
    """Return the time of the snapshot, to follow a state: a saved state must not read as a present one."""
    return f" as of {day_and_time(snapshot['time'])}"


def _requests(snapshot: Picture) -> tuple[str, str, str]:
    recent, calls = snapshot["requests"][:MAX_ROWS], snapshot["app"]["stats"]["calls"]
    note = f"last {len(recent)} of {count(max(calls, len(recent)))}"
    return "Requests", note, requests_table(recent) if recent else ""


def requests_table(requests: Sequence[RequestState]) -> str:
    """Render a row per request, with bars on a common scale."""
    longest = max((request["total_ms"] for request in requests), default=0.0)
    axis, errors = f"0 to {milliseconds(longest)}", any(request_tables.failure_words(request) for request in requests)
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
            code(request["path"]),
            _bar(request, longest),
            element("b", text(milliseconds(request["total_ms"]))),
            text(
                " · ".join(filter(None, (request["runner"], f"r{request['revision']}" if request["revision"] else "")))
            ),
            *(
                [element("span", text(request_tables.failure_words(request)[:120]), style="overflow-wrap: anywhere")]
                if errors
                else []
            ),
        ]
        for request in requests
    ]
    return rows_table(heads, rows, right=["Total"], wide=[axis, "Error"] if errors else [axis]) + _phase_legend(
        requests
    )


def _phase_legend(requests: Sequence[RequestState]) -> str:
    ends = {FAILED: "failed", CANCELLED: "cancelled"}
    drawn = [(name, colour) for request in requests for name, _, colour in _drawn_phases(request)]
    used = list(dict.fromkeys(phase for phase in drawn if phase[1] not in ends))
    order = [name for phases in (phases_of(streamed=False), phases_of(streamed=True)[-1:]) for _, name, _ in phases]
    used.sort(key=lambda phase: order.index(phase[0]))
    failed = any(request_tables.word_of(request).startswith("failed") for request in requests)
    seen = {colour for _, colour in drawn} | ({FAILED} if failed else set())
    return _colours([*used, *((word, colour) for colour, word in ends.items() if colour in seen)])


def _state(request: RequestState) -> str:
    word = request_tables.word_of(request)
    colour = OK if word == "ok" else FAILED if word.startswith("failed") else QUEUE
    glyph = "✓" if word == "ok" else "✕" if word.startswith("failed") else ""
    return element("span", element("span", glyph, style=f"color: {colour}"), " " if glyph else "", text(word))


def _bar(request: RequestState, longest: float) -> str:
    if longest <= 0:
        return ""
    pieces = [
        piece(100 * ms / longest, colour, f"{name} {milliseconds(ms)}") for name, ms, colour in _drawn_phases(request)
    ]
    return track(*pieces)


def _drawn_phases(request: RequestState) -> list[tuple[str, float, str]]:
    """Return the phases with the colours they are drawn in: how a request ended is seen in its bar."""
    word = request_tables.word_of(request)

    def drawn(name: str, colour: str) -> str:
        if name not in ("run", "stream", "answer"):
            return colour
        return CANCELLED if word == "cancelled" else FAILED if word.startswith("failed") else colour

    return [(name, ms, drawn(name, colour)) for name, ms, colour in _phases(request)]


def _phases(request: RequestState) -> list[tuple[str, float, str]]:
    """Return name, milliseconds and colour of the phases that took time."""
    phases = phases_of(streamed=is_streamed(request["content_type"]))
    times: list[tuple[str, float, str]] = [(name, request[part], colour) for part, name, colour in phases]
    return [(name, ms, colour) for name, ms, colour in times if ms >= NAMED_PHASE_MS]


def _timeline(snapshot: Picture) -> tuple[str, str, str]:
    lanes, now = sorted(snapshot["timeline"]["lanes"], key=_by_number), snapshot["time"]
    if not any(lane["moves"] for lane in lanes):
        return "Scaling", "", ""
    start = min(lane["moves"][0][0] for lane in lanes if lane["moves"])
    rows = [
        [
            text(_lane_name(lane)),
            track(*_lane_bars(lane, start, now)),
        ]
        for lane in lanes
        if lane["moves"]
    ]
    times = element("span", text(clock(start))) + " " + element("span", text(clock(now)), style="float: right")
    rows.append(["", element("div", times, style=MUTED)])
    if note := _left_out(snapshot):
        rows.append(["", element("div", text(note), style=MUTED)])
    cells = [
        element(
            "tr",
            element("td", a, style=f"{CELL}; white-space: nowrap"),
            element("td", b, style=f"{CELL}; width: 95%"),
            style="background: none",
        )
        for a, b in rows
    ]
    body = element("table", element("tbody", *cells), style=f"{WIDE}; padding: 4px 0")
    return "Scaling", span(now - start, now), body + _legend(lanes) + _decisions(snapshot) + _changes(lanes, now)


def _left_out(snapshot: Picture) -> str:
    """Say how many runners have no lane in the picture."""
    older = snapshot["timeline"].get("older_runners", 0)
    return f"{older} runner{'' if older == 1 else 's'} not shown" if older else ""


def _by_number(lane: Lane) -> tuple[str, int]:
    """Sort key: ``hello-9`` before ``hello-10``."""
    name, _, number = lane["id"].rpartition("-")
    return name, int(number) if number.isdigit() else 0


def _lane_name(lane: Lane) -> str:
    return " · ".join([lane["id"], *lane["devices"], f"r{lane['revision']}"])


def _intervals(lane: Lane, now: float) -> list[tuple[float, float, str]]:
    """Return the states of a runner with start and end times, without the terminal one."""
    ends = [move[0] for move in lane["moves"][1:]] + [now]
    pairs = zip(lane["moves"], ends, strict=True)
    return [(start, max(start, end), state) for (start, state), end in pairs if state != GONE]


def _lane_bars(lane: Lane, start: float, now: float) -> list[str]:
    scale, position, pieces = 100 / max(now - start, 1.0), start, []
    for start, end, state in _intervals(lane, now):
        if start > position:
            pieces.append(piece((start - position) * scale, "none", height=10))
        word, colour = _LANES.get(state, (state, QUEUE))
        pieces.append(piece((end - start) * scale, colour, f"{word} {clock(start)} to {clock(end)}", height=10))
        position = end
    return pieces


def _legend(lanes: Sequence[Lane]) -> str:
    used = {state for lane in lanes for _, state in lane["moves"]}
    return _colours(list(dict.fromkeys(_LANES[state] for state in _LANES if state in used)))


def _colours(labelled_colours: Sequence[tuple[str, str]]) -> str:
    parts = [
        element(
            "span",
            element("span", style=f"display: inline-block; width: 14px; height: 8px; {fill(colour)}"),
            " ",
            text(word),
        )
        for word, colour in labelled_colours
    ]
    return element("div", " &nbsp; ".join(parts), style="font-size: 11px; padding: 4px 0")


def _decisions(snapshot: Picture) -> str:
    marks = {kind: mark for mark, kind in _MARK.items()}
    decisions = snapshot["timeline"]["decisions"][-MAX_ROWS:]
    rows = [
        [
            text(request_tables.clock(decision["time"])),
            text(f"{marks.get(decision['kind'], '·')} {decision['before']} → {decision['after']}"),
            element("span", text(decision["reason"]), style="white-space: normal"),
        ]
        for decision in reversed(decisions)
    ]
    return rows_table(["Time", "Runners", "Why"], rows, wide=["Why"]) if rows else ""


def _changes(lanes: Sequence[Lane], now: float) -> str:
    """Describe the lanes in words for screen readers."""
    lines = [element("div", text(line)) for line in _lane_words(lanes, now)]
    return element("details", element("summary", "States with their times", style="cursor: pointer"), *lines)


def _lane_words(lanes: Sequence[Lane], now: float) -> list[str]:
    return [
        f"{lane['id']}: " + ", ".join(f"{_LANES.get(state, (state, ''))[0]} {clock(start)}" for start, _, state in _intervals(lane, now))
        + (f", gone {clock(lane['moves'][-1][0])}" if lane["moves"][-1][1] == GONE else "")
        for lane in lanes
        if lane["moves"]
    ]  # fmt: skip


def _config(snapshot: Picture) -> tuple[str, str, str]:
    settings = _settings(snapshot["app"])
    rows = [
        [code(name), element("b" if remark else "span", text(value)), text(remark)] for name, value, remark in settings
    ]
    edited = sum(bool(remark) for _, _, remark in settings)
    note = f"{len(rows)} values" + (f", {edited} edited" if edited else "")
    return (
        "Config",
        note,
        rows_table(["Setting", "Value", "Changed"], rows, right=["Value"], wide=["Changed"]) if rows else "",
    )


def _settings(app: AppState) -> list[tuple[str, str, str]]:
    from fal_jupyter.notebook.display.cards import set_by_hand  # start-up

    by_hand, by_class = set_by_hand(app["overrides"], app["by_class"]), app["by_class"]
    return [
        (name, f"{value:g}", f"by hand; the class: {by_class.get(name, value):g}" if name in by_hand else "")
        for name, value in app["scaling"].items()
    ]


def _snippets(snapshot: Picture) -> tuple[str, str, str]:
    app = snapshot["app"]
    endpoint = next((item for item in app["endpoints"] if item["protocol"] == "http"), None)
    if endpoint is None:
        return "Snippets", "", ""
    parts = [label(title) + box(program) for title, program in programs(app, endpoint)]
    return "Snippets", f"{endpoint['path']}, as an example", "".join(parts)


def programs(app: AppState, endpoint: EndpointState) -> list[tuple[str, str]]:
    """Return example calls of an endpoint from this notebook, another notebook and a shell, each with a title."""
    kinds = _required_parameters(endpoint["signature"])
    unknown = [name for name, kind in kinds.items() if kind not in _VALUES and kind not in _FILES]
    arguments_source = ", ".join(f"{name}={_example_source(kind)}" for name, kind in kinds.items())
    files = sorted({kind for kind in kinds.values() if kind in _FILES})
    notes = "".join(f"# {name}: {kinds[name] or 'any value'}: its fields go into the braces\n" for name in unknown)
    notes += "".join(f"# {_FILES[kind]}: a file of yours, in the folder where this runs\n" for kind in files)
    read = f"from fal.toolkit import {', '.join(files)}\n" if files else ""
    values = {
        name: {"url": "https://example.com/" + _FILES[kind]} if kind in _FILES else _VALUES.get(kind, {})
        for name, kind in kinds.items()
    }
    is_lone_model = len(kinds) == 1 and not values.keys() & {name for name, kind in kinds.items() if kind in _VALUES}
    body = json.dumps(next(iter(values.values())) if is_lone_model else values, ensure_ascii=False)
    url = app["url"] + ("" if endpoint["path"] == "/" else endpoint["path"])
    key = "# FAL_KEY: first, in the shell: eval $(fal-jupyter env)\n"
    curl = f"{key}curl -sS {shlex.quote(url)} -H \"Authorization: Key $FAL_KEY\" -H 'Content-Type: application/json' \\\n  -d {shlex.quote(body)}"
    return [
        ("in this notebook", f"{notes}{read}{app['class_name']}.{endpoint['name']}({arguments_source})"),
        (
            "in any notebook of this machine",
            f"{notes}import fal_jupyter\n{read}\nfal_jupyter.app({app['app']!r}).{endpoint['name']}({arguments_source})",
        ),
        ("curl, while the app runs at this address", curl),
    ]


_VALUES: Final[dict[str, object]] = {"str": "text", "int": 1, "float": 1.0, "bool": True, "list": [], "dict": {}}
_FILES: Final = {"Audio": "input.wav", "File": "input.bin", "Image": "input.png", "Video": "input.mp4"}


def _example_source(kind: str) -> str:
    """Return an example argument of type *kind* as Python source."""
    return f'{kind}.from_path("{_FILES[kind]}")' if kind in _FILES else repr(_VALUES.get(kind, {}))


def _required_parameters(signature: str) -> dict[str, str]:
    """Return the required parameters with the names of their types."""
    try:
        function = ast.parse(f"def endpoint{signature}: ...").body[0]
    except (SyntaxError, ValueError):
        return {}
    if not isinstance(function, ast.FunctionDef):
        return {}
    arguments = function.args
    positional = [*arguments.posonlyargs, *arguments.args]
    required = positional[: len(positional) - len(arguments.defaults)]
    required += [
        item for item, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True) if default is None
    ]
    kinds = {
        item.arg: ast.unparse(item.annotation).split("[")[0] if item.annotation is not None else "" for item in required
    }
    return {name: kind.rpartition(".")[2] for name, kind in kinds.items()}


# --- text -------------------------------------------------------------------------------------------------------------
def page_text(card: StaticCard, snapshot: Picture, panel: str) -> str:
    """Format the panel of :func:`page` as text, for terminals, diffs and logs."""
    if panel not in _PANELS:
        return ""
    lines = _PANELS[panel].lines(snapshot) or [_PANELS[panel].empty]
    head = f"{card.app}: {panel}, {card.state.lower()}{as_of(snapshot)}"
    return "\n".join([head, *(f"  {line}" for line in lines)])


def _requests_text(snapshot: Picture) -> list[str]:
    return request_tables.as_text(snapshot["requests"][:MAX_ROWS]).splitlines() if snapshot["requests"] else []


def _timeline_text(snapshot: Picture) -> list[str]:
    decisions = snapshot["timeline"]["decisions"][-MAX_ROWS:]
    lines = _lane_words(snapshot["timeline"]["lanes"], snapshot["time"])
    lines += filter(None, [_left_out(snapshot)])
    return lines + [
        f"{request_tables.clock(d['time'])} {d['before']} → {d['after']}: {d['reason']}" for d in reversed(decisions)
    ]


def _config_text(snapshot: Picture) -> list[str]:
    rows = _settings(snapshot["app"])
    return table(["setting", "value", "changed"], rows, right=["value"]).splitlines() if rows else []


def _snippets_text(snapshot: Picture) -> list[str]:
    app = snapshot["app"]
    endpoint = next((item for item in app["endpoints"] if item["protocol"] == "http"), None)
    if endpoint is None:
        return []
    return [line for title, program in programs(app, endpoint) for line in (f"# {title}", *program.splitlines())]


@dataclass(frozen=True, slots=True)
class _Saved:
    """How a panel is saved: title, note and body as HTML, its lines as text, and the sentence where there is nothing."""

    html: Callable[[Picture], tuple[str, str, str]]
    lines: Callable[[Picture], list[str]]
    empty: str


_PANELS: Final = {
    "try": _Saved(saved_results_html.tried, saved_results_html.tried_text, "Nothing had been called."),
    "outputs": _Saved(
        saved_results_html.outputs,
        saved_results_html.outputs_text,
        "No call had given a picture, a sound, a film or a file.",
    ),
    "requests": _Saved(_requests, _requests_text, "No request had been made."),
    "timeline": _Saved(_timeline, _timeline_text, "No runner had been started."),
    "config": _Saved(_config, _config_text, "Nothing was known of its settings."),
    "logs": _Saved(saved_results_html.logs, saved_results_html.logs_text, "Nothing had been printed."),
    "snippets": _Saved(_snippets, _snippets_text, "It had no endpoint that is called over HTTP."),
}
_OPEN: Final = ("outputs", "requests", "timeline")  # expanded in a complete card
