"""Renders an app's last log lines, its outputs and its newest result as static HTML and as text."""

from __future__ import annotations

import json
import re
from typing import Final
from urllib.parse import parse_qsl

from fal_jupyter.commands import request_tables
from fal_jupyter.commands.numbers import milliseconds, plural, size
from fal_jupyter.domain.text.terminal_text import plain_text
from fal_jupyter.notebook.display.saved_parts import box, label, rows_table
from fal_jupyter.notebook.style import CODE, FAILED, LINE, MUTED, OK, QUEUE, WARN, element, isolated, marked, text
from fal_jupyter.protocol.api import ErrorDescription, LogRecord
from fal_jupyter.protocol.feed import Body, Display, Picture, RequestDetail, RequestState, SavedOutput

SHOWN_TEXT: Final = 1500  # characters of an input or an answer
_LEVELS: Final = ("debug", "", "warning", "error")
_STREAMS: Final = ("note", "", "stderr")
_NAMED = re.compile(r"^.{0,80}?\b(DEBUG|TRACE|INFO|WARN(?:ING)?|ERROR|CRITICAL|FATAL)\b(?![\w-])")
_PREFIX = re.compile(r"^\s*\[?(debug|info|warning|error)\s*[:\]]", re.IGNORECASE)
_RAISED = re.compile(r"^[\w.]*(Error|Exception|Interrupt|Exit)\b(:|$)")
_RANKS: Final = {"DEBUG": 0, "TRACE": 0, "INFO": 1, "WARN": 2, "WARNING": 2}
_DATA = re.compile(r"data:[\w/+.;=-]{0,80},[A-Za-z0-9+/=%_-]{40,}")
_DRAWN: Final = re.compile(r"image/(png|jpeg|webp)")


# --- logs -------------------------------------------------------------------------------------------------------------
def level_of(line: str) -> int:
    """0 debug, 1 info, 2 warning, 3 error; 1 if the line has no level. As in ``widgets/static/logs.mjs``."""
    if match := _NAMED.search(line) or _PREFIX.search(line):
        return _RANKS.get(match[1].upper(), 3)
    if _RAISED.search(line):
        return 3
    return 2 if re.search(r"\b\w*Warning:", line) else 1


def log_rows(records: list[LogRecord]) -> list[tuple[str, str, str, str]]:
    """Time, runner, level and text of each line; a traceback is an error from its first line to its last."""
    in_traceback: set[tuple[str, str, int]] = set()
    rows = []
    for record in records:
        line = next((part for part in reversed(plain_text_lines(record["text"])) if part), "")
        stream, level = (record["runner"], record["request"], record["stream"]), level_of(line)
        if stream in in_traceback:
            level = 3
            if line and not line[0].isspace():
                in_traceback.discard(stream)
        elif line.lstrip().startswith("Traceback (most recent call last)"):
            level = 3
            in_traceback.add(stream)
        word = _STREAMS[0] if record["stream"] == 0 else _LEVELS[level] or _STREAMS[record["stream"]]
        runner = record["runner"].rpartition("-")[2]
        rows.append((request_tables.clock(record["time"] * 1000), runner and f"runner {runner}", word, line))
    return rows


def _level(word: str, glyph: str, colour: str) -> str:
    return marked(glyph, word, colour) if glyph else element("span", text(word), style=MUTED)


def plain_text_lines(line: str) -> list[str]:
    """The states of a rewritten line (a progress bar), each as plain text."""
    return [plain_text(part) for part in line.split("\r")]


def logs(picture: Picture) -> tuple[str, str, str]:
    """The panel's title, note and body."""
    records = log_rows(picture.get("logs") or [])
    glyphs = {"error": ("✕", FAILED), "warning": ("▲", WARN)}
    rows = [
        [
            text(when),
            text(runner),
            _level(word, *glyphs.get(word, ("", ""))),
            element(
                "div", text(line), style=f"{CODE}; white-space: pre-wrap; overflow-wrap: anywhere", flags='dir="auto"'
            ),
        ]
        for when, runner, word, line in records
    ]
    note = f"last {plural(len(rows), 'line')} of {picture['app']['log']:,}"
    return "Logs", note, rows_table(["Time", "Runner", "Level", "Line"], rows, wide=["Line"]) if rows else ""


def logs_text(picture: Picture) -> list[str]:
    """The same for terminals."""
    return ["  ".join(part for part in row if part) for row in log_rows(picture.get("logs") or [])]


# --- outputs ----------------------------------------------------------------------------------------------------------
def outputs(picture: Picture) -> tuple[str, str, str]:
    """The panel's title, note and body."""
    saved = picture.get("outputs") or []
    known = picture.get("output_count", 0)
    note = f"last {len(saved)} of {known}" if known > len(saved) else f"last {len(saved)} with something to see"
    return "Outputs", note, "".join(map(_output, saved))


def _output(output: SavedOutput) -> str:
    facts = " · ".join(_facts(output))
    files = [element("div", isolated(name), style=MUTED) for name in output["others"]]
    return element(
        "div",
        _thumbnails(output["pictures"]),
        *files,
        element("div", isolated(output["input"] or "no input"), style="overflow-wrap: anywhere", flags='dir="auto"'),
        element("div", text(facts), style=f"font-size: 11px; {MUTED}"),
        style="display: inline-block; vertical-align: top; width: 180px; margin: 6px 12px 6px 0",
    )


def _facts(output: SavedOutput) -> list[str]:
    facts = [f"seed {output['seed']}" if output["seed"] else "", f"r{output['revision']}" if output["revision"] else ""]
    facts += [f"began {request_tables.clock(output['began'])}", milliseconds(output["total_ms"]), output["path"]]
    return [fact for fact in facts if fact]


def _thumbnails(pictures: list[Display]) -> str:
    return "".join(_thumbnail(picture) for picture in pictures)


def _thumbnail(picture: Display) -> str:
    if not _DRAWN.fullmatch(picture["content_type"]) or not re.fullmatch(r"[A-Za-z0-9+/=]+", picture["base64"]):
        return element("div", isolated(picture["text"]), style=MUTED)
    style = f"max-width: 160px; max-height: 160px; border: 1px solid {LINE}; margin: 0 4px 4px 0"
    source = f"data:{picture['content_type']};base64,{picture['base64']}"
    return f'<img src="{source}" alt="{text(picture["text"])}" title="{text(picture["text"])}" style="{style}">'


def outputs_text(picture: Picture) -> list[str]:
    """The same for terminals."""
    return [
        " ".join(
            plain_text(", ".join([*(p["text"] for p in output["pictures"]), *output["others"]]) + f": {output['input'] or 'no input'} ({' · '.join(_facts(output))})").split()
        )
        for output in picture.get("outputs") or []
    ]  # fmt: skip


# --- the newest result ------------------------------------------------------------------------------------------------
def tried(picture: Picture) -> tuple[str, str, str]:
    """The panel's title, note and body."""
    last = picture.get("last")
    if last is None:
        return "Try", "", ""
    request = last["request"]
    line = element(
        "div",
        _mark(request),
        " ",
        element("span", isolated(request["path"]), style=CODE),
        " ",
        element("b", text(milliseconds(request["total_ms"]))),
        element("span", text("".join(f" · {fact}" for fact in _where(request))), style=MUTED),
    )
    parts = [line]
    if (error := last["error"]) is not None:
        parts.append(element("div", marked("✕", _raised(error), FAILED), style="overflow-wrap: anywhere"))
        parts.append(box(error["text"]))
    elif request["error"]:
        parts.append(element("div", marked("✕", request["error"], FAILED), style="overflow-wrap: anywhere"))
    drawn = next((output["pictures"] for output in picture.get("outputs") or [] if output["id"] == request["id"]), [])
    if asked := _query_lines(last):
        parts += [label("Input · in the address"), box("\n".join(asked))]
    for title, body in (("Input", last["input"]), ("Answer", last["output"])):
        if body is not None and body["size"]:
            parts.append(label(f"{title} · {body['content_type'] or 'no type'} · {size(body['size'])}"))
            parts += [element("div", _thumbnails(drawn))] if title == "Answer" and drawn else []
            parts += [box(shown_body)] if (shown_body := body_text(body)) else []
    traceback = set(error["text"].split("\n")) if error is not None else set()
    printed = [output for output in last["logs"] if output["stream"] != 0 and output["text"] not in traceback]
    if printed:
        parts.append(label("Printed"))
        parts.append(box("\n".join(row[3] for row in log_rows(printed))))
    return "Try", f"the last result, of a call that began {request_tables.clock(request['began'])}", "".join(parts)


def _query_lines(last: RequestDetail) -> list[str]:
    """Return the arguments in a call's query, one per line."""
    return [f"{name} = {value}" for name, value in parse_qsl(last["query"], keep_blank_values=True)]


def _mark(request: RequestState) -> str:
    word = request_tables.word_of(request)
    colour = OK if word == "ok" else FAILED if word.startswith("failed") else QUEUE
    return marked({"ok": "✓", "failed": "✕"}.get(word.split()[0], ""), word, colour)


def _where(request: RequestState) -> list[str]:
    revision = f"r{request['revision']}" if request["revision"] else "no runner had it"
    return [f"began {request_tables.clock(request['began'])}", *filter(None, [request["runner"]]), revision]


def _raised(error: ErrorDescription) -> str:
    return f"{error['type']}: {error['message']}"


def body_text(body: Body) -> str:
    """Format a body for reading: indented JSON, with file contents shortened, truncated."""
    if not body["text"]:
        return ""
    text = body["text"]
    is_cut = body["truncated"] and "left_out" not in body
    if not is_cut and body["content_type"].split(";")[0].strip().endswith("json"):
        try:
            text = json.dumps(json.loads(text), indent=2, ensure_ascii=False)
        except (ValueError, RecursionError):
            pass
    text = _DATA.sub(lambda match: f"{match[0][:32]}… ({size(len(match[0]))})", text)
    is_cut = is_cut or len(text) > SHOWN_TEXT
    return text[:SHOWN_TEXT] + ("\n…" if is_cut else "")


def tried_text(picture: Picture) -> list[str]:
    """The same for terminals."""
    last: RequestDetail | None = picture.get("last")
    if last is None:
        return []
    request = last["request"]
    lines = [
        f"{request_tables.word_of(request)} {request['path']} {milliseconds(request['total_ms'])} · {' · '.join(_where(request))}"
    ]
    if (error := last["error"]) is not None:
        lines.append(_raised(error))
    elif request["error"]:
        lines.append(request["error"])
    if asked := _query_lines(last):
        lines += ["input, in the address:", *(f"  {line}" for line in asked)]
    for title, body in (("input", last["input"]), ("answer", last["output"])):
        if body is not None and (text := body_text(body)):
            lines += [f"{title}:", *(f"  {line}" for line in text.splitlines())]
    return [plain_text(line) for line in lines]
