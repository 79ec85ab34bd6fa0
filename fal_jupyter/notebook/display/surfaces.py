"""What a panel is displayed as: live in JupyterLab and Notebook 7, a widget elsewhere, a picture where nothing is live.

A widget view in a saved notebook shows "Loading widget" or "model not found" to whoever opens it later, so it is sent only to front
ends that need it; everybody gets the picture, as HTML and as text, beside whatever else.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from fal_jupyter import server_record
from fal_jupyter.server_record import ServerRecord

Wish = Literal["auto", "live", "widget", "static", "text"]


@dataclass(frozen=True, slots=True)
class Surface:
    """Which forms of a panel are sent: *card* for our renderer, *widget* for anywidget's, *html* for everybody with a page."""

    card: bool
    widget: bool
    html: bool


TEXT = Surface(False, False, False)
STATIC = Surface(False, False, True)
LIVE = Surface(True, False, True)
WIDGET = Surface(True, True, True)


@dataclass(frozen=True, slots=True)
class FrontEnd:
    """What is known of who shows the output: *kernel* where there is one at all, *record* of the Jupyter server, *foreign* for a front
    end that draws widgets and has no Jupyter server of ours: VS Code, Colab, marimo; *widgets* where anywidget
    is installed."""

    kernel: bool
    record: ServerRecord | None
    foreign: bool
    widgets: bool = True


def choose(front: FrontEnd, wish: Wish = "auto") -> Surface:
    """Choose the forms of a panel."""
    if not front.kernel or wish == "text":
        return TEXT
    if wish != "auto":
        return {"live": LIVE, "widget": WIDGET, "static": STATIC}[wish]
    if needs_widgets(front):
        return WIDGET if front.widgets else STATIC
    return LIVE


def needs_widgets(front: FrontEnd) -> bool:
    """True for a front end in which only widgets are live."""
    return front.foreign or (front.record is not None and not front.record.labextension)


def look(environment: Mapping[str, str] | None = None, *, kernel: bool) -> FrontEnd:
    """Look at this process: which front end is it the kernel of?"""
    env = os.environ if environment is None else environment
    session = env.get("JPY_SESSION_NAME", "")
    foreign = "google.colab" in sys.modules or "marimo" in sys.modules
    foreign = foreign or "vscode" in session or any(name.startswith("VSCODE_") for name in env)
    record = server_of(env)
    widgets = importlib.util.find_spec("anywidget") is not None
    return FrontEnd(kernel, record, foreign and record is None, widgets)


def server_of(environment: Mapping[str, str] | None = None) -> ServerRecord | None:
    """The Jupyter server that this kernel belongs to, if it has our extension."""
    env = os.environ if environment is None else environment
    pid = env.get("JPY_PARENT_PID", "")
    if not pid.isdigit():
        return None
    from jupyter_core.paths import jupyter_runtime_dir  # start-up

    return server_record.find(Path(jupyter_runtime_dir()), int(pid))
