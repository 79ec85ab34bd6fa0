"""The static card under an app's cell, as HTML and as equivalent plain text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from fal_jupyter.commands.numbers import milliseconds, plural, size
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
    START,
    TABLE,
    WARN,
    element,
    isolated,
    marked,
    text,
)

State = Literal["Ready", "Starting", "Failing", "Zero", "Stopped", "Dry run"]
_GLYPH: dict[State, tuple[str, str]] = {
    "Ready": ("✓", OK),
    "Starting": ("◐", START),
    "Failing": ("✕", FAILED),
    "Zero": ("○", QUEUE),
    "Stopped": ("■", QUEUE),
    "Dry run": ("○", QUEUE),
}
_WORDS: dict[State, str] = {"Zero": "Scaled to zero"}
SHOWN_CAPTURES = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointLine:
    """An endpoint of the card."""

    name: str
    path: str
    signature: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptureLine:
    """An object of the notebook that is shipped with the class: a variable, function, class or module."""

    name: str
    kind: str
    size: int
    cell: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StaticCard:
    """Contents of a card. ``setup_ms`` is ``None`` while unknown; ``place`` is the machine; ``failure`` describes a failed start."""

    state: State
    class_name: str
    app: str
    endpoints: tuple[EndpointLine, ...]
    place: str
    runners: str
    revision: str
    setup_ms: float | None = None
    url: str = ""
    cell: str = ""
    captures: tuple[CaptureLine, ...] = ()
    options: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    failure: tuple[str, ...] = ()

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        return {"text/plain": as_text(self), "text/html": as_html(self)}


def as_text(card: StaticCard, as_of: str = "") -> str:
    """Format the card for terminals and saved text. *as_of* is the time of its state, for a card that outlives it."""
    facts = [f"{_WORDS.get(card.state, card.state).lower()}{as_of}", card.runners, card.revision]
    if card.setup_ms is not None:
        facts.insert(2, f"setup {milliseconds(card.setup_ms)}")
    lines = [f"fal app {card.app} ({card.class_name}): " + ", ".join(fact for fact in facts if fact)]
    width = max((len(e.path) for e in card.endpoints), default=0)
    lines += [f"  {e.path.ljust(width)}  {e.name}{e.signature}" for e in card.endpoints]
    lines += [f"  {sentence}" for sentence in card.failure]
    lines.append(f"  runs on {card.place}")
    if card.url:
        lines.append(f"  {card.url}")
    lines += [f"  {option}" for option in card.options]
    if card.captures:
        captured = ", ".join(_capture(c) for c in card.captures[:SHOWN_CAPTURES])
        more = len(card.captures) - SHOWN_CAPTURES
        lines.append(f"  takes along: {captured}" + (f" and {more} more" if more > 0 else ""))
    lines += [f"  warning: {warning}" for warning in card.warnings]
    return "\n".join(lines)


def capture_texts(card: StaticCard) -> list[str]:
    """What the class takes along, one text each: ``MiniLM (class, 9.7 kB, cell [2])``."""
    more = len(card.captures) - SHOWN_CAPTURES
    return [_capture(c) for c in card.captures[:SHOWN_CAPTURES]] + ([f"{more} more"] if more > 0 else [])


def _capture(capture: CaptureLine) -> str:
    facts = [capture.kind, size(capture.size), capture.cell]
    return f"{capture.name} ({', '.join(fact for fact in facts if fact)})"


def as_html(card: StaticCard, more: str = "", as_of: str = "") -> str:
    """Render the card for notebooks; all content is escaped.

    *more* is trusted HTML below the address. It marks the card as a snapshot, whose state is grey and has its time, *as_of*.
    """
    glyph, colour = _GLYPH[card.state]
    colour = QUEUE if more else colour
    head = element(
        "div",
        marked(glyph, f"{_WORDS.get(card.state, card.state)}{as_of}", colour, style=MUTED if more else ""),
        " &nbsp;",
        element("b", isolated(card.app)),
        " ",
        element("span", isolated(card.class_name), style=f"{CODE}; {MUTED}"),
        element("span", text(f" · {card.cell}"), style=MUTED) if card.cell else "",
        style="padding: 6px 10px",
    )
    parts = [head, _facts(card)]
    if card.failure:
        first, *rest = card.failure
        lines = [marked("✕", first, FAILED), *(element("div", text(line)) for line in rest)]
        parts.append(element("div", *lines, style=f"{BAND}; overflow-wrap: anywhere"))
    parts.append(_endpoints(card))
    if card.url:
        label = element("span", "Address, while it runs " if more else "Address ", style=f"font-size: 11px; {MUTED}")
        parts.append(
            element("div", label, element("span", text(card.url), style=CODE), style=f"{BAND}; overflow-wrap: anywhere")
        )
    parts.append(more)
    parts += [element("div", text(option), style=BAND) for option in card.options]
    if card.captures:
        parts.append(_captures(card))
    parts += [element("div", marked("▲", "Warning", WARN), " ", text(warning), style=BAND) for warning in card.warnings]
    return element("div", *parts, style=FRAME)


def _facts(card: StaticCard) -> str:
    facts = [
        ("Runners", text(card.runners)),
        ("Setup", text(milliseconds(card.setup_ms))),
        ("Revision", text(card.revision)),
        ("Runs on", text(card.place)),
    ]
    cells = [
        element(
            "td",
            element("div", name, style=f"font-size: 11px; {MUTED}"),
            element("div", value),
            style=f"{CELL}; padding: 4px 16px 4px 10px; border-right: 1px solid {LINE}",
        )
        for name, value in facts
    ]
    row = element("tr", *cells, style="background: none")
    return element("table", element("tbody", row), style=f"{TABLE}; width: 100%; border-top: 1px solid {LINE}")


def _endpoints(card: StaticCard) -> str:
    rows = [
        element(
            "tr",
            element("td", text(e.path), style=f"{CELL}; {CODE}"),
            element("td", text(f"{e.name}{e.signature}"), style=f"{CELL}; {CODE}"),
            style="background: none",
        )
        for e in card.endpoints
    ]
    return element("div", element("table", element("tbody", *rows), style=TABLE), style=BAND)


def _captures(card: StaticCard) -> str:
    rows = [
        element(
            "tr",
            element("td", text(c.name), style=f"{CELL}; {CODE}"),
            element("td", text(c.kind), style=CELL),
            element("td", text(size(c.size)), style=NUMBER),
            element("td", text(c.cell), style=CELL),
            style="background: none",
        )
        for c in card.captures[:SHOWN_CAPTURES]
    ]
    total = sum(c.size for c in card.captures)
    title = f"Takes along {plural(len(card.captures), 'thing')} of the notebook, {size(total)}"
    more = len(card.captures) - SHOWN_CAPTURES
    rest = element("div", text(f"and {more} more"), style=MUTED) if more > 0 else ""
    table = element("table", element("tbody", *rows), style=TABLE)
    summary = element("summary", text(title), style="cursor: pointer")
    return element("div", element("details", summary, table, rest), style=BAND)
