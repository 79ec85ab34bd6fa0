"""One palette: what is saved in a notebook has the colours of the live panels."""

from __future__ import annotations

import re
from pathlib import Path

import fal_jupyter
from fal_jupyter.client.call_reports import CallRecord
from fal_jupyter.notebook import style
from fal_jupyter.notebook.calls.call_lines import as_html
from fal_jupyter.notebook.calls.timing import Tally

PACKAGE = Path(fal_jupyter.__file__).parent
LIVE = (PACKAGE / "widgets/static/style/style.mjs").read_text()


def live(token: str) -> list[str]:
    """The values of a colour of the live panels: light, dark."""
    return re.findall(rf"--fj-{token}: (#\w+);", LIVE)


def rgb(colour: str) -> tuple[int, ...]:
    return tuple(int(colour[i : i + 2], 16) for i in (1, 3, 5))


def test_the_colours_of_python_are_in_one_module() -> None:
    colour = re.compile(r"#[0-9a-fA-F]{6}\b|\brgba?\(")
    found = {file.name for file in PACKAGE.rglob("*.py") if colour.search(file.read_text())}
    assert found == {"style.py"}


def test_saved_colours_are_those_of_the_live_panels() -> None:
    assert live("transfer-fill")[0] == style.TRANSFER
    assert live("draining-fill")[1] == style.DRAINING
    for saved, token in ((style.RUN, "run-fill"), (style.START, "setup-fill"), (style.QUEUE, "pending")):
        saved_hue, light = rgb(saved), rgb(live(token)[0])
        assert saved_hue.index(max(saved_hue)) == light.index(max(light))  # one of both themes, between the two
    pale = re.fullmatch(r"rgba\((\d+), (\d+), (\d+), [\d.]+\)", style.IDLE)
    assert pale is not None
    assert tuple(map(int, pale.groups())) == rgb(style.RUN)


def bars(*, streamed: bool = False, status: int = 200) -> list[str]:
    """The styles of the parts of a call line's bar."""
    call = CallRecord("8c41f0", "/embed", status, 10.0, 10.0, 10.0, 10.0, 10.0, 50.0, 1, "hello-1", False, streamed)
    shown = Tally(0.0)
    shown.add(call, 10.0)
    return re.findall(r'height: 8px; width: \d+px; ([^"]*)"', as_html(shown).partition("</summary>")[0])


def test_a_call_line_is_drawn_as_the_card_draws_its_request() -> None:
    before = [style.fill(colour) for colour in (style.QUEUE, style.START, style.TRANSFER)]
    failed = style.fill(style.FAILED)

    assert bars() == [*before, style.fill(style.RUN), style.fill(style.ANSWER)]
    assert bars(streamed=True) == [*before, style.fill(style.RUN), style.fill(style.STREAM)]
    assert bars(status=500) == [*before, failed, failed]
    assert f"border: 1px solid {style.RUN}; background: {style.IDLE}" in style.fill(style.ANSWER)
    assert "1px dashed" in style.fill(style.QUEUE)
