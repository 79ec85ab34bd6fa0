from __future__ import annotations

from dataclasses import replace

from fal_jupyter.notebook.display.static_card import CaptureLine, EndpointLine, StaticCard, as_html, as_text
from tests.notebook.test_timing import Shape

CARD = StaticCard(
    state="Ready",
    class_name="Hello",
    app="ada/hello",
    endpoints=(EndpointLine(name="hi", path="/", signature="(name: str = 'world') -> dict"),),
    place="this machine",
    runners="1 ready",
    revision="r1, first start",
    setup_ms=62.0,
    url="http://127.0.0.1:8733/run/ada/hello",
    cell="cell [2]",
    captures=(CaptureLine(name="table", kind="variable", size=3_000_000, cell="cell [1]"),),
    warnings=("`table` (cell [1], 3.0 MB) is copied into every runner",),
)


def test_text_and_html_have_the_same_content() -> None:
    assert as_text(CARD).splitlines() == [
        "fal app ada/hello (Hello): ready, 1 ready, setup 62 ms, r1, first start",
        "  /  hi(name: str = 'world') -> dict",
        "  runs on this machine",
        "  http://127.0.0.1:8733/run/ada/hello",
        "  takes along: table (variable, 3.0 MB, cell [1])",
        "  warning: `table` (cell [1], 3.0 MB) is copied into every runner",
    ]
    html = as_html(CARD)
    Shape(html)
    for part in ("Ready", "ada/hello", "1 ready", "62 ms", "r1, first start", "this machine", "table", "3.0 MB"):
        assert part in html


def test_everything_in_the_block_is_escaped() -> None:
    evil = "<img src=x onerror=alert(1)>"
    card = replace(
        CARD,
        class_name=evil,
        app=evil,
        url=evil,
        revision=evil,
        place=evil,
        runners=evil,
        cell=evil,
        warnings=(evil,),
        options=(evil,),
        endpoints=(EndpointLine(name=evil, path=evil, signature=evil),),
        captures=(CaptureLine(name=evil, kind=evil, size=1, cell=evil),),
    )
    assert "<img" not in as_html(card)
    Shape(as_html(card))


def test_many_captures_are_cut_and_counted() -> None:
    card = replace(CARD, captures=CARD.captures * 50)
    assert "and 38 more" in as_text(card)
    assert "and 38 more" in as_html(card)
    assert "50 things" in as_html(card)
    assert "150 MB" in as_html(card)


def test_the_card_is_a_mime_bundle() -> None:
    assert set(CARD._repr_mimebundle_()) == {"text/plain", "text/html"}


def test_what_is_not_known_yet_is_a_dash() -> None:
    starting = replace(CARD, state="Starting", setup_ms=None, url="", runners="1 starting")
    assert "–" in as_html(starting)
    assert "setup" not in as_text(starting)
