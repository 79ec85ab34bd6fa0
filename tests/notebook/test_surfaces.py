"""What a panel is displayed as, by front end: a pure choice."""

from __future__ import annotations

import pytest

from fal_jupyter.notebook.display.surfaces import (
    LIVE,
    STATIC,
    TEXT,
    WIDGET,
    DisplayMode,
    FrontEnd,
    Surface,
    choose,
    detect,
)
from fal_jupyter.server_record import ServerRecord

OURS = ServerRecord(1, 2, "/", "http://127.0.0.1:8888", True)
BARE = ServerRecord(1, 2, "/", "", False)


@pytest.mark.parametrize(
    ("front", "wish", "surface"),
    [
        (FrontEnd(False, None, False), "auto", TEXT),
        (
            FrontEnd(True, None, False),
            "auto",
            LIVE,
        ),  # nbclient, a server without our extension: the picture is what they show
        (FrontEnd(True, OURS, False), "auto", LIVE),
        (FrontEnd(True, BARE, False), "auto", WIDGET),
        (FrontEnd(True, None, True), "auto", WIDGET),
        (FrontEnd(True, None, True, widgets=False), "auto", STATIC),
        (FrontEnd(True, BARE, False, widgets=False), "auto", STATIC),
        (FrontEnd(True, OURS, False, widgets=False), "auto", LIVE),
        (FrontEnd(True, OURS, False), "widget", WIDGET),
        (FrontEnd(True, OURS, False), "static", STATIC),
        (FrontEnd(True, OURS, False), "text", TEXT),
        (FrontEnd(False, OURS, False), "live", TEXT),
    ],
)
def test_the_forms_of_a_panel(front: FrontEnd, wish: DisplayMode, surface: Surface) -> None:
    assert choose(front, wish) == surface


def test_every_form_but_text_has_the_picture() -> None:
    assert all(surface.html for surface in (LIVE, WIDGET, STATIC))
    assert not TEXT.html


@pytest.mark.parametrize(
    ("environment", "foreign"),
    [
        ({}, False),
        ({"VSCODE_PID": "1"}, True),
        ({"JPY_SESSION_NAME": "vscode-notebook-cell:/a.ipynb"}, True),
        ({"JPY_SESSION_NAME": "/home/ada/a.ipynb", "JPY_PARENT_PID": "999999999"}, False),
    ],
)
def test_a_front_end_is_known_by_its_environment(environment: dict[str, str], foreign: bool) -> None:
    assert detect(environment, kernel=True) == FrontEnd(True, None, foreign)
