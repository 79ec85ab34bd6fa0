"""Formats the results of calls under a cell as Try shows them: a gallery of their media and the value folded, or a table of records."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from fal_jupyter.commands.numbers import plural, size
from fal_jupyter.domain.text.terminal_text import plain_text
from fal_jupyter.notebook.style import CELL, CODE, LINE, MUTED, NUMBER, TABLE, TEXT, element, text

MAX_DEPTH: Final = 4
MAX_VISITED: Final = 5000
IMAGES: Final = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})
PLAYED: Final = {  # by an HTML player
    **dict.fromkeys(
        ("audio/wav", "audio/x-wav", "audio/mpeg", "audio/ogg", "audio/flac", "audio/mp4", "audio/webm"), "audio"
    ),
    **dict.fromkeys(("video/mp4", "video/webm", "video/ogg"), "video"),
}
THUMBNAIL_HEIGHT: Final = 180  # pixels, as in Try
ALONE_HEIGHT: Final = 320
SHOWN_ROWS: Final = 200  # of a table, as in Try
SHOWN_COLUMNS: Final = 30
SHOWN_STRING: Final = 300  # characters in a cell of a table
SHOWN_JSON: Final = 20_000
SHORT_STRING: Final = 40  # characters of a string in a short repr
SHORT_ITEMS: Final = 12
LINE_WIDTH: Final = 88
# Where a front end drops this element, as in notebooks that are not trusted, the pictures stay small.
_ENLARGED: Final = (
    "<style>.fal-jupyter-picture[open] img { max-height: none !important; cursor: zoom-out !important }</style>"
)
_CAPTION: Final = f"font-size: 11px; {MUTED}"


@dataclass(frozen=True, slots=True)
class Medium:
    """An image, audio or video in a result (fal's form: a dict or model with ``url`` and ``content_type``); 0: unknown."""

    media_type: str
    url: str
    width: int = 0
    height: int = 0

    @property
    def noun(self) -> str:
        """What it is called beside others."""
        return "picture" if self.media_type in IMAGES else PLAYED[self.media_type]


def fields_of(value: Any) -> dict[str, object] | None:
    """Return the fields of a dict or a pydantic model without those that its repr leaves out; ``None`` for other values."""
    if isinstance(value, dict):
        return {str(name): item for name, item in value.items()}
    if hasattr(type(value), "__pydantic_fields__"):
        shown: Sequence[tuple[str | None, object]] = list(value.__repr_args__())
        return {name: item for name, item in shown if name is not None}
    return None


def media_in(value: object) -> Iterator[Medium]:
    """Yield each image, audio and video in a result, in its order."""
    stack, visited = [(value, 0)], 0
    while stack and (visited := visited + 1) <= MAX_VISITED:
        item, depth = stack.pop()
        fields = fields_of(item)
        if fields is not None and (medium := _medium(fields)) is not None:
            yield medium
        elif depth < MAX_DEPTH and (fields is not None or isinstance(item, list)):
            members = list(fields.values()) if fields is not None else item if isinstance(item, list) else []
            stack += [(member, depth + 1) for member in reversed(members[:MAX_VISITED])]


def _medium(fields: Mapping[str, object]) -> Medium | None:
    url, media_type = fields.get("url"), fields.get("content_type")
    if not (isinstance(url, str) and isinstance(media_type, str) and (media_type in IMAGES or media_type in PLAYED)):
        return None
    width, height = (number if isinstance(number := fields.get(side), int) else 0 for side in ("width", "height"))
    return Medium(media_type, url, width, height)


# --- HTML -------------------------------------------------------------------------------------------------------------
def gallery(media: Sequence[tuple[Medium, bytes]], excess: Sequence[Medium], value: object = None) -> str:
    """Render media with their bytes as a row that wraps, and the *value* that has them folded below."""
    limit = ALONE_HEIGHT if len(media) == 1 and not excess else THUMBNAIL_HEIGHT
    tiles = [_tile(medium, data, limit) for medium, data in media]
    more = element("div", text(more_words(excess)), style=_CAPTION) if excess else ""
    row = element("div", *tiles, style="display: flex; flex-wrap: wrap; gap: 8px; align-items: flex-end; margin: 4px 0")
    return element("div", _ENLARGED, row, more, _folded(value) if value is not None else "", style=TEXT)


def _tile(medium: Medium, data: bytes, limit: int) -> str:
    source = f'src="data:{text(medium.media_type)};base64,{base64.b64encode(data).decode()}"'
    if (player := PLAYED.get(medium.media_type)) is not None:
        shown = element(
            player,
            style="display: block; max-width: 100%; max-height: 360px",
            flags=f'controls preload="metadata" aria-label="{player} that a call returned" {source}',
        )
        return _figure(shown, size(len(data)))
    width, height = _dimensions(medium, data)
    dimensions = f"{width} × {height}" if width and height else ""
    picture = (
        f'<img alt="{text(", ".join(filter(None, ("picture", dimensions))))}" {source} '
        f'style="display: block; max-width: 100%; max-height: {limit}px; width: auto; height: auto; '
        f'cursor: {"zoom-in" if height > limit or not height else "default"}">'
    )
    summary = element("summary", picture, style="display: block; list-style: none", title="Enlarge")
    shown = element("details", summary, flags='class="fal-jupyter-picture"')
    is_whole = 0 < height <= limit
    return _figure(picture if is_whole else shown, " · ".join(filter(None, (dimensions, size(len(data))))))


def _figure(shown: str, caption: str) -> str:
    words = element("figcaption", text(caption), style=_CAPTION)
    return element("figure", shown, words, style="margin: 0; max-width: 100%")


def _dimensions(medium: Medium, data: bytes) -> tuple[int, int]:
    """Return the size that the result tells, else the picture's own; zeros if it is unknown."""
    if medium.width > 0 and medium.height > 0:
        return medium.width, medium.height
    from fal_jupyter.fal.toolkit.utils.thumbnails import dimensions  # start-up

    return dimensions(data)


def more_words(excess: Sequence[Medium]) -> str:
    """Count the media that are not shown."""
    nouns = {medium.noun for medium in excess}
    return f"and {plural(len(excess), 'picture' if nouns == {'picture'} else 'file')} more"


def _folded(value: object) -> str:
    fields = fields_of(value)
    facts = plural(len(value), "item") if isinstance(value, list) else plural(len(fields or ()), "key")
    summary = element("summary", "JSON ", element("span", text(facts), style=MUTED), style="cursor: pointer")
    written = json.dumps(_plain(value), indent=2, ensure_ascii=False, default=str)
    cut = written[:SHOWN_JSON] + ("\n…" if len(written) > SHOWN_JSON else "")
    style = f"{CODE}; margin: 2px 0; padding: 4px 8px; border: 1px solid {LINE}; white-space: pre-wrap; overflow-wrap: anywhere"
    return element("details", summary, element("pre", text(cut), style=style, flags='dir="auto"'))


def _plain(value: object, depth: int = 0) -> object:
    """Return *value* as JSON has it, without the bytes of files."""
    if isinstance(value, str):
        return f"{value[:32]}… ({size(len(value))})" if value[:5].lower() == "data:" and len(value) > 100 else value
    if isinstance(value, bytes):
        return f"… ({size(len(value))})"
    fields = fields_of(value)
    if depth > 2 * MAX_DEPTH and (fields is not None or isinstance(value, list)):
        return "…"
    if fields is not None:
        return {name: _plain(item, depth + 1) for name, item in fields.items()}
    return [_plain(item, depth + 1) for item in value] if isinstance(value, list) else value


# --- tables -----------------------------------------------------------------------------------------------------------
def records_of(value: object) -> list[dict[str, object]] | None:
    """Return the rows of a list of two or more flat records, ``None`` for other values."""
    if not isinstance(value, list) or len(value) < 2:
        return None
    rows = [fields_of(item) for item in value]
    records = [row for row in rows if row and not any(map(_is_nested, row.values()))]
    return records if len(records) == len(rows) else None


def _is_nested(value: object) -> bool:
    return not isinstance(value, (str, int, float, bool, type(None)))


def table(records: Sequence[Mapping[str, object]]) -> str:
    """Render records as a table; a column of numbers is aligned at its right."""
    shown = records[:SHOWN_ROWS]
    heads = list(dict.fromkeys(name for record in shown for name in record))
    named = heads[:SHOWN_COLUMNS]
    styles = {name: NUMBER if _is_number_column(name, shown) else CELL for name in named}
    head = [element("th", text(name), style=f"{styles[name]}; font-weight: 400; {MUTED}") for name in named]
    rows = [
        element("tr", *(_table_cell(record.get(name), styles[name]) for name in named), style="background: none")
        for record in shown
    ]
    grid = element(
        "table",
        element("thead", element("tr", *head, style="background: none")),
        element("tbody", *rows),
        style=f"{TABLE}; font-size: inherit",
    )
    left_out = [
        plural(count, noun)
        for count, noun in ((len(records) - len(shown), "row"), (len(heads) - len(named), "column"))
        if count
    ]
    note = element("div", text(f"and {' and '.join(left_out)} more"), style=_CAPTION) if left_out else ""
    return element("div", grid, note, style=f"{TEXT}; overflow-x: auto; margin: 4px 0")


def _is_number_column(name: str, records: Sequence[Mapping[str, object]]) -> bool:
    values = [value for record in records if (value := record.get(name)) is not None]
    return bool(values) and all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in values)


def _table_cell(value: object, style: str) -> str:
    whole = "–" if value is None or value == "" else _written(value)
    shown = whole if len(whole) <= SHOWN_STRING else whole[:SHOWN_STRING] + "…"
    exact = repr(value) if isinstance(value, float) and float(whole) != value else ""
    return element("td", text(shown), style=f"{style}; overflow-wrap: anywhere", title=exact)


def _written(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:.6g}" if isinstance(value, float) and abs(value) < 1e6 else str(value)


# --- text -------------------------------------------------------------------------------------------------------------
def short(value: object, indent: int = 0) -> str:
    """Format a value with media for terminals: like its repr, without long addresses and what is not set."""
    if isinstance(value, str):
        half = SHORT_STRING // 2
        return repr(plain_text(value if len(value) <= SHORT_STRING else f"{value[:half]}…{value[-half:]}"))
    if indent > 2 * MAX_DEPTH:
        return "…"
    if isinstance(value, list):
        return _joined("[", [short(item, indent + 1) for item in value[:SHORT_ITEMS]], "]", len(value))
    fields = fields_of(value)
    if fields is None:
        return plain_text(repr(value)[:200])
    names = list(fields)[:SHORT_ITEMS]
    if isinstance(value, dict):
        return _joined("{", [f"{name!r}: {short(fields[name], indent + 1)}" for name in names], "}", len(fields))
    given = [f"{name}={short(fields[name], indent + 1)}" for name in names if fields[name] is not None]
    return _joined(f"{type(value).__name__}(", given, ")", len(given), wraps=not _medium(fields))


def _joined(start: str, items: Sequence[str], end: str, count: int, *, wraps: bool = True) -> str:
    parts = [*items, f"… {count - len(items)} more"] if count > len(items) else list(items)
    line = f"{start}{', '.join(parts)}{end}"
    if not wraps or (len(line) <= LINE_WIDTH and "\n" not in line):
        return line
    inner = ",\n".join(parts).replace("\n", f"\n{' ' * len(start)}")
    return f"{start}{inner}{end}"
