"""The line under a cell for each call, and one for all of a map: folded, and unfolded as a waterfall. HTML, and text with the same facts."""

from __future__ import annotations

from collections.abc import Sequence

from fal_jupyter.commands.numbers import count, milliseconds, percentile, plural, rate
from fal_jupyter.notebook.calls.timing import Group, Row, Tally, TimedCall, has_failed
from fal_jupyter.notebook.style import (
    CELL,
    CODE,
    FAILED,
    LINE,
    MUTED,
    NUMBER,
    OK,
    PHASES,
    RUN,
    TABLE,
    TEXT,
    element,
    text,
)

SHOWN_FROM = 1.0  # milliseconds from which transfer and stream are named in the line; the table has them always
BAR, WATERFALL = 72, 320  # pixels
CHARACTERS = 24
ROWS_IN_ALL = 40  # of all waterfalls of a cell: 1.6 kB each in the saved notebook
_BLOCKS = {"queue": "░", "cold start": "▒", "transfer": "─", "run": "█", "stream": "▓"}


# --- what is said in both ---------------------------------------------------------------------------------------------
def _phases(call: TimedCall) -> str:
    parts = [f"queue {milliseconds(call.queue_ms)}"]
    if call.start_ms > 0:
        parts.append(f"cold start {milliseconds(call.start_ms)}")
    if call.transfer_ms >= SHOWN_FROM:
        parts.append(f"transfer {milliseconds(call.transfer_ms)}")
    parts.append(f"run {milliseconds(call.run_ms)}")
    if call.stream_ms >= SHOWN_FROM:
        parts.append(f"stream {milliseconds(call.stream_ms)}")
    return " · ".join(parts)


def _phases_and_hint(call: TimedCall) -> str:
    return f"{_phases(call)} · {call.hint}" if call.hint else _phases(call)


def _made_by(call: TimedCall) -> str:
    return (
        ", ".join(part for part in (call.runner, f"r{call.revision}" if call.revision else "") if part) or "no runner"
    )


def _name(group: Group) -> str:
    names = sorted(group.endpoints)
    return f"{names[0]}.map" if group.is_map else ", ".join(names[:3]) + (" …" if len(names) > 3 else "")


def _facts(group: Group) -> str:
    totals = list(group.totals)
    parts = [plural(len(totals), "call"), f"p50 {milliseconds(percentile(totals, 0.5))}"]
    if len(totals) >= 20:  # fewer say nothing of a tail
        parts.append(f"p95 {milliseconds(percentile(totals, 0.95))}")
    parts += [f"max {milliseconds(max(totals))}", rate(group.per_second)]
    if group.cold:
        parts.append(f"{count(group.cold)} cold")
    if group.failed:
        parts.append(f"{count(group.failed)} failed")
    return " · ".join(parts)


def _revisions(group: Group) -> str:
    return " ".join(f"r{number}" for number in sorted(group.revisions) if number)


def _rows(group: Group, most: int) -> list[Row]:
    """The calls of a group, or of more than *most* the slowest ones, slowest first."""
    rows = group.rows
    return rows if len(rows) <= most else sorted(rows, key=lambda row: -row.call.total_ms)[:most]


def _caption(group: Group, shown: int) -> str:
    parts = [] if shown == len(group.totals) else [f"The {shown} slowest of {count(len(group.totals))} calls."]
    if group.span_ms > 0:
        parts.append(f"{group.worked / group.span_ms:.1f} ran at once on average.")
    if sum(group.totals) > 0 and (share := group.waited / sum(group.totals)) >= 0.01:
        parts.append(f"{share:.0%} of their time was waiting for a free runner.".replace("%", " %"))
    return " ".join(parts)


def _shares(call: TimedCall) -> list[tuple[str, float, str]]:
    failed = has_failed(call)
    return [
        (name, getattr(call, field), FAILED if failed and colour == RUN else colour) for field, name, colour in PHASES
    ]


# --- text -------------------------------------------------------------------------------------------------------------
def as_text(tally: Tally, *, unfolded: bool = False) -> str:
    """A line for each call, or one for a map, in columns; *unfolded* with the calls of a map below it.

    For terminals, saved text and screen readers.
    """
    lines = tally.lines()
    cells = [_text_cells(line) for line in lines]
    widths = [max(len(cell[i]) for cell in cells) for i in range(3)]
    found = []
    for line, (word, total, name, facts) in zip(lines, cells, strict=True):
        found.append(f"{word:<{widths[0]}} {total:>{widths[1]}} {name:<{widths[2]}} {facts}")
        if unfolded and isinstance(line, Group):
            found += _text_waterfall(line)
    return "\n".join(found)


def _text_cells(line: TimedCall | Group) -> tuple[str, str, str, str]:
    if isinstance(line, Group):
        facts = ", ".join(part for part in (_facts(line), _revisions(line)) if part)
        return "failed" if line.failed else "ok", milliseconds(line.span_ms), f"{_name(line)}:", facts
    word = f"failed {line.status}" if line.status >= 400 else "failed, broke off after" if line.aborted else "ok"
    return word, milliseconds(line.total_ms), f"{line.endpoint}:", f"{_phases_and_hint(line)}, {_made_by(line)}"


def _text_waterfall(group: Group) -> list[str]:
    rows = group.rows
    width, totals = max(len(str(row.number)) for row in rows), [milliseconds(row.call.total_ms) for row in rows]
    longest = max(map(len, totals))
    lines = [f"  {'':{width}} 0 to {milliseconds(group.span_ms)}"]
    for row, total in zip(rows, totals, strict=True):
        failed = "failed, " if has_failed(row.call) else ""
        bar = f"{_text_bar(row, group.span_ms):<{CHARACTERS}}"
        lines.append(
            f"  {row.number:>{width}} {bar} {total:>{longest}}  {failed}{_phases(row.call)}, {_made_by(row.call)}"
        )
    caption = _caption(group, len(rows))
    return [*lines, f"  {caption}"] if caption else lines


def _text_bar(row: Row, span: float) -> str:
    def column(ms: float) -> int:
        return min(CHARACTERS, round(CHARACTERS * ms / span)) if span > 0 else 0

    begin, bar = row.began, " " * min(column(row.began), CHARACTERS - 1)
    for name, ms, _ in _shares(row.call):
        begin += max(0.0, ms)
        bar += _BLOCKS[name] * max(0, column(begin) - len(bar))
    return bar if bar.strip() else bar + _BLOCKS["run"]


# --- HTML -------------------------------------------------------------------------------------------------------------
def as_html(tally: Tally) -> str:
    """A foldable line for each call, in fixed columns; one for a map, and one for all where there are many, which unfold as a waterfall."""
    lines = tally.lines()
    width = min(28, max(len(_name(line) if isinstance(line, Group) else line.endpoint) for line in lines))
    groups = sum(isinstance(line, Group) for line in lines)
    most = max(5, ROWS_IN_ALL // max(1, groups))
    body = (_group_line(line, width, most) if isinstance(line, Group) else _call_line(line, width) for line in lines)
    return element("div", *body, style=TEXT)


def _mark(good: bool) -> str:
    return element("b", "✓" if good else "✕", style=f"color: {OK if good else FAILED}")


def _line(cells: Sequence[str], inside: str) -> str:
    row = "display: inline-flex; flex-wrap: wrap; column-gap: 8px; width: 96%; vertical-align: top"
    summary = element("summary", element("span", " ".join(cells), style=row), style="cursor: pointer; padding: 3px 0")
    return element("details", summary, inside)


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
    good, why = not has_failed(call), str(call.status) if call.status >= 400 else "broke off"
    cells = [
        _column(_mark(good), "14px"),
        _total_column(call.total_ms),
        _name_column(call.endpoint, width),
        _column(_bar(call), f"{BAR + 4}px"),
        _facts_column(("" if good else f"{why} · ") + _phases_and_hint(call)),
        _end_column(_made_by(call)),
    ]
    return _line(cells, _phase_table(call))


def _group_line(group: Group, width: int, most: int) -> str:
    cells = [
        _column(_mark(group.failed == 0), "14px"),
        _total_column(group.span_ms),
        _name_column(_name(group), width),
        _facts_column(_facts(group)),
        _end_column(_revisions(group)),
    ]
    return _line(cells, _waterfall(group, most))


def _piece(width: float, colour: str, *, after: float = 0, title: str = "") -> str:
    style = f"display: inline-block; height: 8px; width: {max(2, round(width))}px; background: {colour}"
    return element("span", style=f"margin-left: {round(after)}px; {style}" if round(after) > 0 else style, title=title)


def _bar(call: TimedCall, width: float = BAR, after: float = 0) -> str:
    """The phases of one call side by side; *after* are pixels of room before them."""
    shares = [(name, ms, colour) for name, ms, colour in _shares(call) if ms > 0]
    total = sum(ms for _, ms, _ in shares)
    pieces = [
        _piece(width * ms / total, colour, after=after if not i else 0, title=f"{name} {milliseconds(ms)}")
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


def _below(words: str) -> str:
    return element("div", text(words), style=f"{MUTED}; margin: 0 0 6px 16px") if words else ""


def _phase_table(call: TimedCall) -> str:
    """Where the time of one call went, a row for each phase that took some."""
    shares = [(name, ms, colour) for name, ms, colour in _shares(call) if ms > 0]
    whole, begin, rows = sum(ms for _, ms, _ in shares), 0.0, []
    for name, ms, colour in shares:
        bar = _piece(WATERFALL * ms / whole, colour, after=min(WATERFALL * begin / whole, WATERFALL - 2))
        share = f"{ms / whole:.0%}".replace("%", " %")
        rows.append([text(name), element("span", bar, flags='aria-hidden="true"'), text(milliseconds(ms)), share])
        begin += ms
    rows.append([element("b", "total"), "", element("b", text(milliseconds(call.total_ms))), ""])
    axis = f"0 to {milliseconds(whole)}"
    facts = f"request {call.request_id} · {_made_by(call)} · status {call.status}{', broke off' * call.aborted}"
    return _table(["Phase", axis, "Time", "Share"], rows, ["Time", "Share"]) + _below(facts)


def _waterfall(group: Group, most: int) -> str:
    """The calls of a group, at most *most* of them, each where it was in the group's time."""
    rows, span, axis = _rows(group, most), group.span_ms or 1.0, f"0 to {milliseconds(group.span_ms)}"
    several, started = len(group.endpoints) > 1, any(row.call.start_ms > 0 for row in rows)
    heads = [
        "#",
        "",
        *(["Endpoint"] if several else []),
        axis,
        "Queue",
        *(["Start"] if started else []),
        "Run",
        "Total",
        "Runner",
    ]
    cells = []
    for row in rows:
        call = row.call
        after = min(WATERFALL * row.began / span, WATERFALL - 2)
        bar = _bar(call, max(2.0, min(WATERFALL * call.total_ms / span, WATERFALL - after)), after)
        cells.append(
            [
                text(row.number),
                _mark(not has_failed(call)),
                *([element("span", text(call.endpoint), style=CODE)] if several else []),
                bar,
                text(milliseconds(call.queue_ms)),
                *([text(milliseconds(call.start_ms))] if started else []),
                text(milliseconds(call.run_ms + call.stream_ms)),
                element("b", text(milliseconds(call.total_ms))),
                text(_made_by(call)),
            ]
        )
    return _table(heads, cells, ["#", "Queue", "Start", "Run", "Total"]) + _below(_caption(group, len(rows)))
