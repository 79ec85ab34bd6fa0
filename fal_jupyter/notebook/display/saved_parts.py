"""Building blocks of static panels: collapsible sections, tables, code and times."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Final

from fal_jupyter.commands.numbers import milliseconds
from fal_jupyter.notebook.style import BAND, CELL, CODE, LINE, MUTED, NUMBER, TABLE, element, fill, text

WIDE: Final = f"{TABLE}; width: 100%; font-size: inherit"
TRACK: Final = "white-space: nowrap; font-size: 0; line-height: 10px; padding-top: 4px"
BLOCKS: Final = 24  # of a full-width bar
BOX: Final = (
    f"{CODE}; margin: 0; padding: 4px 8px; border: 1px solid {LINE}; white-space: pre-wrap; overflow-wrap: anywhere"
)


def fold(title: str, note: str, body: str, *, is_open: bool) -> str:
    """Render a collapsible section; *note* is plain text and is escaped."""
    summary = element(
        "summary", element("b", text(title)), " ", element("span", text(note), style=MUTED), style="cursor: pointer"
    )
    return element("div", element("details", summary, body, flags="open" if is_open else ""), style=BAND)


def rows_table(
    heads: Sequence[str], rows: Sequence[Sequence[str]], *, right: Sequence[str] = (), wide: Sequence[str] = ()
) -> str:
    """Render a table of HTML cells; the columns *wide* share the remaining width."""

    def style(head: str) -> str:
        return f"{NUMBER if head in right else CELL}{f'; width: {60 // len(wide)}%' if head in wide else '; white-space: nowrap'}"

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
    return element("table", element("thead", head), element("tbody", *body), style=f"{WIDE}; padding: 4px 0")


def piece(percent: float, colour: str, title: str = "", height: int = 9) -> str:
    """Render a segment of a bar. Where styles are stripped (GitHub, mail), block characters represent it; otherwise they have no size."""
    style = f"display: inline-block; min-width: 2px; height: {height}px; width: {percent:.2f}%; {fill(colour)}"
    wide = round(percent * BLOCKS / 100)
    blocks = ("█" * wide or "▏") if title else "\u00a0" * wide
    return element("span", blocks, style=style, title=title)


def track(*pieces: str) -> str:
    """Render a bar, hidden from screen readers: the same facts are in the text beside it."""
    return element("div", *pieces, style=TRACK, flags='aria-hidden="true"')


def code(value: object) -> str:
    """Render a name or a path."""
    return element("span", text(value), style=CODE)


def label(words: str) -> str:
    """Render a caption above a block."""
    return element("div", text(words), style=f"font-size: 11px; {MUTED}; margin-top: 4px")


def box(value: str) -> str:
    """Render multi-line text in its natural direction."""
    return element("pre", text(value), style=BOX, flags='dir="auto"')


def clock(wall_ms: float) -> str:
    """Format milliseconds since the epoch as ``14:32:08``."""
    return time.strftime("%H:%M:%S", time.localtime(wall_ms / 1000))


def day_and_time(wall_ms: float) -> str:
    """Format milliseconds since the epoch as ``23 Nov 2026, 14:32:09``."""
    moment = time.localtime(wall_ms / 1000)
    return f"{moment.tm_mday} {time.strftime('%b %Y, %H:%M:%S', moment)}"


def span(ms: float, end: float) -> str:
    """Format the time that a snapshot covers: *ms* milliseconds up to *end*, milliseconds since the epoch."""
    return f"{milliseconds(ms)} up to {clock(end)}"
