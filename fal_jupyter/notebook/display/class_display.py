"""An app's class as a cell's value: its state, endpoints and address, in place of ``__main__.Hello``.

The class has no metaclass of ours, so that IPython's formatters of the type ``type`` draw it; every other class is left to them.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from fal_jupyter.commands.numbers import plural
from fal_jupyter.domain.errors import FalJupyterError
from fal_jupyter.fal import App, handle_of
from fal_jupyter.fal.classes.describe import describe_endpoints
from fal_jupyter.fal.classes.routes import endpoints_of
from fal_jupyter.notebook.style import BAND, CELL, CODE, FAILED, FRAME, MUTED, OK, QUEUE, START, TABLE, element, text
from fal_jupyter.protocol.feed import AppState

_COLOURS = {"Ready": OK, "Starting": START, "Failing": FAILED}
_WORDS = {"Zero": "Scaled to zero"}


def install(shell: Any) -> Callable[[], None]:
    """Draw app classes in *shell*; gives what takes that back."""
    html, plain = (shell.display_formatter.formatters[kind] for kind in ("text/html", "text/plain"))
    before_html = html.for_type(type, lambda cls: as_html(cls) if is_app(cls) else None)
    before_plain = plain.type_printers.get(type)

    def pretty(cls: type, printer: Any, cycle: bool) -> None:
        if len(printer.stack) == 1 and is_app(cls):
            printer.text(as_text(cls))
        elif before_plain is not None:
            before_plain(cls, printer, cycle)
        else:
            printer.text(repr(cls))

    plain.for_type(type, pretty)

    def undo() -> None:
        for formatter, before in ((html, before_html), (plain, before_plain)):
            formatter.pop(type, None)
            if before is not None:
                formatter.for_type(type, before)

    return undo


def is_app(cls: type) -> bool:
    """True for a class of the user's that can be served."""
    real = getattr(sys.modules.get("fal"), "App", App)
    return issubclass(cls, (App, real)) and bool(endpoints_of(cls))


def as_text(cls: type) -> str:
    """The class for terminals and saved text."""
    state, endpoints = _state(cls), _endpoints(cls)
    width = max(len(path) for path, _, _ in endpoints)
    lines = [f"{cls.__name__}: {_words(state)}"]
    lines += [f"  {path:<{width}}  {call}" for path, call, _ in endpoints]
    return "\n".join([*lines, f"  {state['url']}" if state is not None else f"  {_hint(cls)}"])


def as_html(cls: type) -> str:
    """The class for notebooks; everything in it is escaped."""
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
    end = element("span", text(state["url"]), style=CODE) if state is not None else text(_hint(cls))
    return element(
        "div",
        head,
        element("div", table, style=BAND),
        element("div", end, style=f"{BAND}; overflow-wrap: anywhere"),
        style=FRAME,
    )


def _state(cls: type) -> AppState | None:
    """What the gateway knows of the class's app, or None where nobody serves it."""
    handle = handle_of(cls)
    try:
        found = handle.client.picture(handle.alias) if handle is not None else None
    except (OSError, FalJupyterError):
        return None
    return found["app"] if found is not None else None


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
    """Path, call and the docstring's first line of each endpoint, in the order of the source."""
    return [
        (one.path, f"{cls.__name__}.{one.name}{one.signature}", one.doc.strip().partition("\n")[0])
        for one in describe_endpoints(cls)
    ]
