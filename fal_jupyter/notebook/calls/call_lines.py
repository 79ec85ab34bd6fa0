"""Timing lines under a cell: one per call, one per map, expandable to a waterfall; as HTML and as equivalent text."""

from __future__ import annotations

from collections.abc import Sequence

from fal_jupyter.commands.numbers import count, milliseconds, percentile, plural, rate
from fal_jupyter.notebook.calls.timing import Group, Row, Tally, TimedCall, has_failed
from fal_jupyter.notebook.style import (
    ANSWER,
    CELL,
    CODE,
    FAILED,
    LINE,
    MUTED,
    NUMBER,
    OK,
    RUN,
    STREAM,
    TABLE,
    TEXT,
    element,
    fill,
    last_phase,
    phases_of,
    text,
)
from fal_jupyter.protocol.feed import NAMED_PHASE_MS

MIN_NAMED_MS = 1.0  # minimum milliseconds of transfer and answer in the summary line; the table has shorter ones, too
BAR, WATERFALL = 72, 320  # pixels
CHARACTERS = 24
ROWS_IN_ALL = 40  # in all waterfalls of a cell; a row takes 1.6 kB in the saved notebook
_BLOCKS = {"queue": "░", "cold start": "▒", "transfer": "─", "run": "█", "stream": "▓", "answer": "▓"}


# --- shared by text and HTML ------------------------------------------------------------------------------------------
def _phases(call: TimedCall) -> str:
    parts = [f"queue {milliseconds(call.queue_ms)}"]
    if call.start_ms > 0:
        parts.append(f"cold start {milliseconds(call.start_ms)}")
    if call.transfer_ms >= MIN_NAMED_MS:
        parts.append(f"transfer {milliseconds(call.transfer_ms)}")
    parts.append(f"run {milliseconds(call.run_ms)}")
    if call.stream_ms >= MIN_NAMED_MS:
        parts.append(f"{last_phase(streamed=call.streamed)} {milliseconds(call.stream_ms)}")
    return " · ".join(parts)


def _phases_and_hint(call: TimedCall) -> str:
    return f"{_phases(call)} · {call.hint}" if call.hint else _phases(call)


def _served_by(call: TimedCall) -> str:
    return (
        ", ".join(part for part in (call.runner, f"r{call.revision}" if call.revision else "") if part) or "no runner"
    )


def _name(group: Group) -> str:
    names = sorted(group.endpoints)
    return f"{names[0]}.map" if group.is_map else ", ".join(names[:3]) + (" …" if len(names) > 3 else "")


def _facts(group: Group) -> str:
    totals, parts = list(group.succeeded), [plural(len(group.totals), "call")]
    if totals:
        parts.append(f"p50 {milliseconds(percentile(totals, 0.5))}")
    if len(totals) >= 20:  # a 95th percentile of fewer is meaningless
        parts.append(f"p95 {milliseconds(percentile(totals, 0.95))}")
    if totals:
        parts.append(f"max {milliseconds(max(totals))}")
    parts.append(rate(group.per_second))
    if group.cold:
        parts.append(f"{count(group.cold)} cold")
    if group.failed:
        parts.append(f"{count(group.failed)} failed")
    return " · ".join(parts)


def _revisions(group: Group) -> str:
    return " ".join(f"r{number}" for number in sorted(group.revisions) if number)


def _rows(group: Group, limit: int) -> list[Row]:
    """Return the rows of a group; if there are more than *limit*, only the slowest ones, slowest first."""
    rows = group.rows
    return rows if len(rows) <= limit else sorted(rows, key=lambda row: -row.call.total_ms)[:limit]


def _caption(group: Group, rows_shown: int) -> str:
    parts = (
        [] if rows_shown == len(group.totals) else [f"The {rows_shown} slowest of {count(len(group.totals))} calls."]
    )
    if group.span_ms > 0:
        parts.append(f"{group.worked / group.span_ms:.1f} ran at once on average.")
    if sum(group.totals) > 0 and (share := group.waited / sum(group.totals)) >= 0.01:
        parts.append(f"{share:.0%} of their time was waiting for a free runner.".replace("%", " %"))
    return " ".join(parts)


def _shares(call: TimedCall) -> list[tuple[str, float, str]]:
    failed, phases = has_failed(call), phases_of(streamed=call.streamed)
    return [
        (name, getattr(call, field), FAILED if failed and colour in (RUN, ANSWER, STREAM) else colour)
        for field, name, colour in phases
    ]


# --- text -------------------------------------------------------------------------------------------------------------
def as_text(tally: Tally, *, unfolded: bool = False) -> str:
    """Format a line per call or map in columns, for terminals, saved text and screen readers.

    With *unfolded*, the calls of a map follow its line.
    """
    lines = tally.lines()
    cells = [_text_cells(line) for line in lines]
    widths = [max(len(cell[i]) for cell in cells) for i in range(3)]
    output_lines = []
    for line, (word, total, name, facts) in zip(lines, cells, strict=True):
        output_lines.append(f"{word:<{widths[0]}} {total:>{widths[1]}} {name:<{widths[2]}} {facts}")
        if unfolded and isinstance(line, Group):
            output_lines += _text_waterfall(line)
    return "\n".join(output_lines)


def _text_cells(line: TimedCall | Group) -> tuple[str, str, str, str]:
    if isinstance(line, Group):
        facts = ", ".join(part for part in (_facts(line), _revisions(line)) if part)
        return "failed" if line.failed else "ok", milliseconds(line.span_ms), f"{_name(line)}:", facts
    word = f"failed {line.status}" if line.status >= 400 else "failed, broke off after" if line.aborted else "ok"
    return word, milliseconds(line.total_ms), f"{line.endpoint}:", f"{_phases_and_hint(line)}, {_served_by(line)}"


def _text_waterfall(group: Group) -> list[str]:
    rows = group.rows
    width, totals = max(len(str(row.number)) for row in rows), [milliseconds(row.call.total_ms) for row in rows]
    longest = max(map(len, totals))
    lines = [f"  {'':{width}} 0 to {milliseconds(group.span_ms)}"]
    for row, total in zip(rows, totals, strict=True):
        failed = "failed, " if has_failed(row.call) else ""
        bar = f"{_text_bar(row, group.span_ms):<{CHARACTERS}}"
        lines.append(
            f"  {row.number:>{width}} {bar} {total:>{longest}}  {failed}{_phases(row.call)}, {_served_by(row.call)}"
        )
    caption = _caption(group, len(rows))
    return [*lines, f"  {caption}"] if caption else lines


def _text_bar(row: Row, span: float) -> str:
    def column(ms: float) -> int:
        return min(CHARACTERS, round(CHARACTERS * ms / span)) if span > 0 else 0

    start, bar = row.started, " " * min(column(row.started), CHARACTERS - 1)
    for name, ms, _ in _shares(row.call):
        start += max(0.0, ms)
        bar += _BLOCKS[name] * max(0, column(start) - len(bar))
    return bar if bar.strip() else bar + _BLOCKS["run"]


# --- HTML -------------------------------------------------------------------------------------------------------------
def as_html(tally: Tally) -> str:
    """Format an expandable line per call, per map, or for all calls if there are many, in fixed columns."""
    lines = tally.lines()
    width = min(28, max(len(_name(line) if isinstance(line, Group) else line.endpoint) for line in lines))
    groups = sum(isinstance(line, Group) for line in lines)
    limit = max(5, ROWS_IN_ALL // max(1, groups))
    body = (_group_line(line, width, limit) if isinstance(line, Group) else _call_line(line, width) for line in lines)
    return element("div", *body, style=TEXT)


def _mark(succeeded: bool) -> str:
    return element("b", "✓" if succeeded else "✕", style=f"color: {OK if succeeded else FAILED}")


def _line(cells: Sequence[str], details: str) -> str:
    row = "display: inline-flex; flex-wrap: wrap; column-gap: 8px; width: 96%; vertical-align: top"
    summary = element("summary", element("span", " ".join(cells), style=row), style="cursor: pointer; padding: 3px 0")
    return element("details", summary, details)


def _column(content: str, width: str, more: str = "", title: str = "") -> str:
    return element(
        "span",
        content,
        style=f"display: inline-block; width: {width}; white-space: nowrap; {more}".rstrip("; "),
        title=title,
    )


def _name_column(name: str, width: int) -> str:
    return _column(text(name), f"{width + 1}ch", f"{CODE}; overflow: hidden; text-overflow: ellipsis", name)


def _total_column(total: float) -> str:
    return _column(element("b", text(milliseconds(total))), "64px", "text-align: right")


def _facts_column(facts: str) -> str:
    return element("span", text(facts), style="flex-grow: 1")


def _end_column(words: str) -> str:
    return element("span", text(words), style=f"{MUTED}; white-space: nowrap")


def _call_line(call: TimedCall, width: int) -> str:
    succeeded, reason = not has_failed(call), str(call.status) if call.status >= 400 else "broke off"
    cells = [
        _column(_mark(succeeded), "14px"),
        _total_column(call.total_ms),
        _name_column(call.endpoint, width),
        _column(_bar(call), f"{BAR + 4}px"),
        _facts_column(("" if succeeded else f"{reason} · ") + _phases_and_hint(call)),
        _end_column(_served_by(call)),
    ]
    return _line(cells, _phase_table(call))


def _group_line(group: Group, width: int, limit: int) -> str:
    cells = [
        _column(_mark(group.failed == 0), "14px"),
        _total_column(group.span_ms),
        _name_column(_name(group), width),
        _facts_column(_facts(group)),
        _end_column(_revisions(group)),
    ]
    return _line(cells, _waterfall(group, limit))


def _piece(width: float, colour: str, *, offset: float = 0, title: str = "") -> str:
    style = f"display: inline-block; height: 8px; width: {max(2, round(width))}px; {fill(colour)}"
    return element(
        "span", style=f"margin-left: {round(offset)}px; {style}" if round(offset) > 0 else style, title=title
    )


def _bar(call: TimedCall, width: float = BAR, offset: float = 0) -> str:
    """Draw the phases of a call side by side, after *offset* pixels of space."""
    shares = [(name, ms, colour) for name, ms, colour in _shares(call) if ms > 0]
    total = sum(ms for _, ms, _ in shares)
    pieces = [
        _piece(width * ms / total, colour, offset=offset if not i else 0, title=f"{name} {milliseconds(ms)}")
        for i, (name, ms, colour) in enumerate(shares)
    ]
    return element("span", *pieces, style="white-space: nowrap", flags='aria-hidden="true"') if pieces else ""


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]], numbers: Sequence[str]) -> str:
    def line(tag: str, cells: Sequence[str]) -> str:
        return element(
            "tr",
            *(
                element(tag, cell, style=NUMBER if head in numbers else CELL)
                for head, cell in zip(heads, cells, strict=True)
            ),
            style="background: none",
        )

    head = element("thead", line("th", heads))
    body = element("tbody", *(line("td", row) for row in rows))
    style = f"{TABLE}; border: 1px solid {LINE}; margin: 2px 0 6px 16px; {TEXT}"
    return element("table", head, body, style=style)


def _caption_element(words: str) -> str:
    return element("div", text(words), style=f"{MUTED}; margin: 0 0 6px 16px") if words else ""


def _phase_table(call: TimedCall) -> str:
    """Build the table of a call's phases that took time, as the panels name and show them."""
    shares = [(name, ms, colour) for name, ms, colour in _shares(call) if ms >= NAMED_PHASE_MS]
    total, start, rows = sum(ms for _, ms, _ in shares), 0.0, []
    for name, ms, colour in shares:
        bar = _piece(WATERFALL * ms / total, colour, offset=min(WATERFALL * start / total, WATERFALL - 2))
        share = f"{ms / total:.0%}".replace("%", " %")
        rows.append([text(name), element("span", bar, flags='aria-hidden="true"'), text(milliseconds(ms)), share])
        start += ms
    rows.append([element("b", "total"), "", element("b", text(milliseconds(call.total_ms))), ""])
    axis = f"0 to {milliseconds(total)}"
    facts = f"request {call.request_id} · {_served_by(call)} · status {call.status}{', broke off' * call.aborted}"
    return _table(["Phase", axis, "Time", "Share"], rows, ["Time", "Share"]) + _caption_element(facts)


def _waterfall(group: Group, limit: int) -> str:
    """Build the waterfall of a group: at most *limit* calls on a common time axis."""
    rows, span, axis = _rows(group, limit), group.span_ms or 1.0, f"0 to {milliseconds(group.span_ms)}"
    many_endpoints, any_started = len(group.endpoints) > 1, any(row.call.start_ms > 0 for row in rows)
    heads = [
        "#",
        "",
        *(["Endpoint"] if many_endpoints else []),
        axis,
        "Queue",
        *(["Start"] if any_started else []),
        "Run",
        "Total",
        "Runner",
    ]
    cells = []
    for row in rows:
        call = row.call
        offset = min(WATERFALL * row.started / span, WATERFALL - 2)
        bar = _bar(call, max(2.0, min(WATERFALL * call.total_ms / span, WATERFALL - offset)), offset)
        cells.append(
            [
                text(row.number),
                _mark(not has_failed(call)),
                *([element("span", text(call.endpoint), style=CODE)] if many_endpoints else []),
                bar,
                text(milliseconds(call.queue_ms)),
                *([text(milliseconds(call.start_ms))] if any_started else []),
                text(milliseconds(call.run_ms + call.stream_ms)),
                element("b", text(milliseconds(call.total_ms))),
                text(_served_by(call)),
            ]
        )
    return _table(heads, cells, ["#", "Queue", "Start", "Run", "Total"]) + _caption_element(_caption(group, len(rows)))
