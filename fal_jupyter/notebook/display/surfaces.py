"""Chooses the form of a panel: live in JupyterLab and Notebook 7, a widget in other front ends, static elsewhere.

A widget view in a saved notebook is displayed as "Loading widget" or "model not found" later, so it is sent only to front ends that
need it. The static form, as HTML and text, is always included.
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

DisplayMode = Literal["auto", "live", "widget", "static", "text"]


@dataclass(frozen=True, slots=True)
class Surface:
    """The forms of a panel that are sent: *card* for our renderer, *widget* for anywidget, *html* for any web page."""

    card: bool
    widget: bool
    html: bool


TEXT = Surface(False, False, False)
STATIC = Surface(False, False, True)
LIVE = Surface(True, False, True)
WIDGET = Surface(True, True, True)


@dataclass(frozen=True, slots=True)
class FrontEnd:
    """The front end of this process. *kernel*: whether this is a kernel; *record*: its Jupyter server with our extension; *foreign*:
    whether it renders widgets without our server (VS Code, Colab, marimo); *widgets*: whether anywidget is installed."""

    kernel: bool
    record: ServerRecord | None
    foreign: bool
    widgets: bool = True


def choose(front: FrontEnd, mode: DisplayMode = "auto") -> Surface:
    """Choose the forms of a panel for a front end."""
    if not front.kernel or mode == "text":
        return TEXT
    if mode != "auto":
        return {"live": LIVE, "widget": WIDGET, "static": STATIC}[mode]
    if needs_widgets(front):
        return WIDGET if front.widgets else STATIC
    return LIVE


def needs_widgets(front: FrontEnd) -> bool:
    """Whether only widgets are live in this front end."""
    return front.foreign or (front.record is not None and not front.record.labextension)


def detect(environment: Mapping[str, str] | None = None, *, kernel: bool) -> FrontEnd:
    """Detect the front end of this process."""
    env = os.environ if environment is None else environment
    session = env.get("JPY_SESSION_NAME", "")
    foreign = "google.colab" in sys.modules or "marimo" in sys.modules
    foreign = foreign or "vscode" in session or any(name.startswith("VSCODE_") for name in env)
    record = server_of(env)
    widgets = importlib.util.find_spec("anywidget") is not None
    return FrontEnd(kernel, record, foreign and record is None, widgets)


def server_of(environment: Mapping[str, str] | None = None) -> ServerRecord | None:
    """Return the Jupyter server of this kernel, if it has our extension."""
    env = os.environ if environment is None else environment
    pid = env.get("JPY_PARENT_PID", "")
    if not pid.isdigit():
        return None
    from jupyter_core.paths import jupyter_runtime_dir  # start-up

    return server_record.find(Path(jupyter_runtime_dir()), int(pid))
