"""Displays an app's class as the value of a cell: its state, endpoints and address instead of ``__main__.Hello``.

App classes have no metaclass, so this replaces IPython's formatters of the type ``type``, and delegates all other classes to them.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable

from fal_jupyter.commands.numbers import plural
from fal_jupyter.domain.errors import FalJupyterError
from fal_jupyter.fal import App, handle_of
from fal_jupyter.fal.classes.describe import describe_endpoints
from fal_jupyter.fal.classes.routes import endpoints_of
from fal_jupyter.notebook.shell import PrettyPrinter, Shell
from fal_jupyter.notebook.style import BAND, CELL, CODE, FAILED, FRAME, MUTED, OK, QUEUE, START, TABLE, element, text
from fal_jupyter.protocol.feed import AppState

_COLOURS = {"Ready": OK, "Starting": START, "Failing": FAILED}
_WORDS = {"Zero": "Scaled to zero"}
_MARKED = re.compile(r"(?<![\w*`])(\*\*|\*|``|`)(?=\S)(.+?)(?<=\S)\1(?![\w*`])")  # bold, italic or code in Markdown


def install(shell: Shell) -> Callable[[], None]:
    """Install the formatters in *shell*; return the function that uninstalls them."""
    html, plain = (shell.display_formatter.formatters[kind] for kind in ("text/html", "text/plain"))
    original_html = html.for_type(type, lambda cls: as_html(cls) if is_app(cls) else None)
    original_plain = plain.type_printers.get(type)

    def pretty(cls: type, printer: PrettyPrinter, cycle: bool) -> None:
        if len(printer.stack) == 1 and is_app(cls):
            printer.text(as_text(cls))
        elif original_plain is not None:
            original_plain(cls, printer, cycle)
        else:
            printer.text(repr(cls))

    plain.for_type(type, pretty)

    def uninstall() -> None:
        for formatter, original in ((html, original_html), (plain, original_plain)):
            formatter.pop(type, None)
            if original is not None:
                formatter.for_type(type, original)

    return uninstall


def is_app(cls: type) -> bool:
    """Whether *cls* is an app class with endpoints."""
    real = getattr(sys.modules.get("fal"), "App", App)
    return issubclass(cls, (App, real)) and bool(endpoints_of(cls))


def as_text(cls: type) -> str:
    """Format the class for terminals and saved text."""
    state, endpoints = _state(cls), _endpoints(cls)
    width = max(len(path) for path, _, _ in endpoints)
    lines = [f"{cls.__name__}: {_words(state)}"]
    lines += [f"  {path:<{width}}  {call}" for path, call, _ in endpoints]
    return "\n".join([*lines, f"  {state['url']}" if state is not None else f"  {_hint(cls)}"])


def as_html(cls: type) -> str:
    """Format the class for notebooks; all content is escaped."""
    state = _state(cls)
    head = element(
        "div",
        element("b", text(cls.__name__)), " ",
        element("span", text(_words(state)), style=f"color: {_COLOURS.get(state['state'] if state else '', QUEUE)}"),
        style="padding: 6px 10px",
    )  # fmt: skip
    rows = [
        element("tr", element("td", text(path), style=f"{CELL}; {CODE}"), element("td", text(call), style=f"{CELL}; {CODE}"),
                element("td", text(doc), style=f"{CELL}; {MUTED}"), style="background: none")
        for path, call, doc in _endpoints(cls)
    ]  # fmt: skip
    table = element("table", element("tbody", *rows), style=TABLE)
    last_line = element("span", text(state["url"]), style=CODE) if state is not None else text(_hint(cls))
    return element(
        "div",
        head,
        element("div", table, style=BAND),
        element("div", last_line, style=f"{BAND}; overflow-wrap: anywhere"),
        style=FRAME,
    )


def _state(cls: type) -> AppState | None:
    """Return the gateway's state of the class's app, or ``None`` if it is not served."""
    handle = handle_of(cls)
    try:
        snapshot = handle.client.control.picture(handle.alias) if handle is not None else None
    except (OSError, FalJupyterError):
        return None
    return snapshot["app"] if snapshot is not None else None


def _words(state: AppState | None) -> str:
    if state is None:
        return "not served"
    runners = plural(len(state["runners"]), "runner") if state["runners"] else ""
    word = _WORDS.get(state["state"], state["state"])
    return f"fal app {state['app']}, " + ", ".join(
        filter(None, (word.lower(), runners, f"r{state['serving'] or state['revision']}"))
    )


def _hint(cls: type) -> str:
    return f"define it under %%fal_app, or call fal_jupyter.serve({cls.__name__})"


def _endpoints(cls: type) -> list[tuple[str, str, str]]:
    """Return path, call and first docstring line of each endpoint, in source order."""
    return [
        (
            endpoint.path,
            f"{cls.__name__}.{endpoint.name}{endpoint.signature}",
            _MARKED.sub(r"\2", endpoint.doc.strip().partition("\n")[0]),
        )
        for endpoint in describe_endpoints(cls)
    ]
