"""Colours and inline styles of all static displays; the only Python module with hex values.

Front ends that render saved notebooks drop ``<style>`` and scripts, so each element has an inline style. States and
phases have one colour for all themes, between the two that live panels have (``style.mjs``), with a contrast of at least 3:1 on
white and near-black; text, lines and fonts have JupyterLab's variables.
"""

from __future__ import annotations

from html import escape
from typing import Final

from fal_jupyter.domain.text.terminal_text import plain_text
from fal_jupyter.protocol.feed import Phase

OK: Final = "#2a9170"
FAILED: Final = "#d4551a"
WARN: Final = "#b8791a"
RUN: Final = "#2b83c4"
START: Final = "#b8791a"
QUEUE: Final = "#858c96"
TRANSFER: Final = "#7b8794"
DRAINING: Final = "#ad6891"
IDLE: Final = "rgba(43, 131, 196, 0.35)"
"""Pale RUN on any background, drawn with an outline."""
ANSWER: Final = IDLE
STREAM: Final = f"repeating-linear-gradient(90deg, {RUN} 0 4px, transparent 4px 6px)"
"""Ticks of RUN over IDLE."""
CANCELLED: Final = "#7d848e"
"""Drawn as an outline."""
PHASES: Final[tuple[tuple[Phase, str, str], ...]] = (
    ("queue_ms", "queue", QUEUE),
    ("start_ms", "cold start", START),
    ("transfer_ms", "transfer", TRANSFER),
    ("run_ms", "run", RUN),
    ("stream_ms", "stream", STREAM),
)
"""The five phases of a request: field, label, colour (to be drawn by :func:`fill`)."""
_FILLS: Final = {
    QUEUE: f"border: 1px dashed {QUEUE}",
    CANCELLED: f"border: 1px solid {CANCELLED}",
    IDLE: f"border: 1px solid {RUN}; background: {IDLE}",
    STREAM: f"border: 1px solid {RUN}; background: {IDLE}; background-image: {STREAM}",
}
"""What is not a plain area: the same forms as in the live panels (``style.mjs``)."""
LINE: Final = "var(--jp-border-color2, rgba(128, 128, 128, 0.4))"
MUTED: Final = "opacity: 0.75"
CODE: Final = "font-family: var(--jp-code-font-family, monospace); font-size: var(--jp-code-font-size, 12px)"
TEXT: Final = (
    "font-family: var(--jp-ui-font-family, system-ui, sans-serif); font-size: var(--jp-ui-font-size1, 13px); "
    "line-height: 18px; font-variant-numeric: tabular-nums"
)
FRAME: Final = f"{TEXT}; border: 1px solid {LINE}; border-radius: 4px; margin: 4px 0"
BAND: Final = f"border-top: 1px solid {LINE}; padding: 6px 10px"
TABLE: Final = "border-collapse: collapse; table-layout: auto; margin: 0"
"""Resets Jupyter's style of tables: a margin, and columns of equal width that long words overflow."""
CELL: Final = "text-align: left; padding: 2px 14px 2px 0; border: none; background: none; vertical-align: top"
NUMBER: Final = CELL.replace("text-align: left", "text-align: right")


def last_phase(*, streamed: bool) -> str:
    """Return the label of the phase after the first byte: every response has one, but only some are streams."""
    return "stream" if streamed else "answer"


def phases_of(*, streamed: bool) -> tuple[tuple[Phase, str, str], ...]:
    """Return the phases of a request whose response is or is not a stream."""
    field, _, colour = PHASES[-1]
    return (*PHASES[:-1], (field, last_phase(streamed=streamed), colour if streamed else ANSWER))


def fill(colour: str) -> str:
    """Style a segment of a bar or a legend: waiting is a dashed outline, what was cancelled a hollow bar, an answer pale, a stream ticked."""
    return f"box-sizing: border-box; {_FILLS[colour]}" if colour in _FILLS else f"background: {colour}"


def element(tag: str, *children: str, style: str = "", title: str = "", flags: str = "") -> str:
    """Build an element from *children*, which are escaped already."""
    attributes = f' style="{escape(style)}"' if style else ""
    attributes += f' title="{text(title)}"' if title else ""
    attributes += f" {flags}" if flags else ""
    return f"<{tag}{attributes}>{''.join(children)}</{tag}>"


def marked(glyph: str, words: str, colour: str, *, style: str = "") -> str:
    """Format a state. Only the glyph is coloured: no single colour is readable as text on both white and near-black."""
    glyphs = [element("span", glyph, style=f"color: {colour}"), " "] if glyph else []
    return element("b", *glyphs, text(words), style=style)


def text(value: object) -> str:
    """Escape text of users and their programs: no HTML, no terminal colours, no bidirectional controls."""
    return escape(plain_text(str(value)), quote=True)


def isolated(value: object) -> str:
    """Escape like :func:`text`, and isolate the text's direction from its neighbours."""
    return f"<bdi>{text(value)}</bdi>"
