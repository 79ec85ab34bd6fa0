"""The picture of an app's last state: what is written in it, how long its bars are, and that nobody's text is HTML."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any

import pytest

from fal_jupyter.client.client import Client
from fal_jupyter.notebook.display import Card
from fal_jupyter.notebook.panel_picture import SHOWN, page, page_text
from fal_jupyter.notebook.picture import (
    LONGEST,
    activity_html,
    activity_text,
    cut,
    dashboard_html,
    dashboard_text,
)
from fal_jupyter.protocol.feed import Picture
from fal_jupyter.settings import read
from tests.support.serve import Served, served
from tests.support.state import state_directory

APP = """
import fal


class Desk(fal.App):
    @fal.endpoint("/")
    def hi(self, name: str = "world") -> dict:
        return {"text": f"Hello, {name}"}

    @fal.endpoint("/fail")
    def fail(self) -> dict:
        raise ValueError("<img src=x onerror=alert(1)>")
"""
HOSTILE = [
    "<script>window.evil = 1</script>", "<img src=x onerror=alert(1)>", "\"' onmouseover='alert(1)' x=\"", "</td></table><iframe srcdoc=x>",
    "javascript:alert(1)", "&lt;b&gt;", "<svg/onload=alert(1)>",
]  # fmt: skip


class Page(HTMLParser):
    """The elements, attributes and text that a browser would make of it."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.text = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data: str) -> None:
        self.text += data


OURS = {"div", "span", "b", "table", "thead", "tbody", "tr", "td", "th", "details", "summary", "pre"}


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    path = tmp_path_factory.mktemp("app") / "app.py"
    path.write_text(APP)
    with state_directory() as state, served(state, f"{path}::Desk") as running:
        yield running


@pytest.fixture(scope="module")
def seen(desk: Served) -> Picture:
    """What the gateway says after two calls, one of which failed."""
    assert desk.request("/", {"name": "Ada"}).status == 200
    assert desk.request("/fail", {}).status == 500
    picture = Client(read({"FAL_JUPYTER_STATE": str(desk.state)})).picture("desk")
    assert picture is not None
    return picture


def with_requests(picture: Picture, *changes: dict[str, Any]) -> Picture:
    """The same picture with requests like its first one, but for *changes*."""
    found: Picture = json.loads(json.dumps(picture))
    found["requests"] = [{**found["requests"][0], **change} for change in changes]  # type: ignore[typeddict-item]
    return found


CARD = Card(
    state="Ready", class_name="Desk", app="me/desk", endpoints=(), place="the whole machine", runners="1 ready", revision="r1"
)  # fmt: skip


def widths(picture: Picture) -> list[list[float]]:
    """The widths of the bars, in percent, of each request of a picture."""
    rows = page(CARD, picture, "requests").split("<tr")[2:]
    return [[float(width) for width in re.findall(r"[^-]width: ([\d.]+)%; background", row)] for row in rows]


def test_the_figures_are_those_of_the_calls(seen: Picture) -> None:
    told = activity_text(seen)
    assert "2 calls" in told
    assert "1 failed" in told
    assert "last: failed /fail" in told
    found = Page(activity_html(seen))
    assert "2 calls" in found.text
    assert "1 failed" in found.text
    assert found.text.index("/fail") < found.text.rindex("✓")


def test_an_app_that_was_never_called_has_no_activity(seen: Picture) -> None:
    quiet: Picture = json.loads(json.dumps(seen))
    quiet["app"]["stats"]["calls"] = 0
    quiet["requests"] = []
    assert activity_text(quiet) == ""
    assert "calls" not in Page(activity_html(quiet)).text.split("Scaling")[0]
    assert "No request had been made." in page(CARD, quiet, "requests")


def test_percentiles_are_named_only_where_there_are_calls_enough(seen: Picture) -> None:
    many: Picture = json.loads(json.dumps(seen))
    many["app"]["stats"].update(sample=20, p95_ms=7.0, max_ms=9.0)
    assert "p95" in activity_text(many)
    many["app"]["stats"]["sample"] = 19
    assert "p95" not in activity_text(many)
    assert "max" in activity_text(many)


def test_the_bars_of_requests_have_one_scale(seen: Picture) -> None:
    nothing = dict.fromkeys(("queue_ms", "start_ms", "transfer_ms", "run_ms", "stream_ms"), 0.0)
    shown = with_requests(
        seen,
        {**nothing, "run_ms": 100.0, "total_ms": 100.0},
        {**nothing, "queue_ms": 25.0, "start_ms": 50.0, "run_ms": 125.0, "total_ms": 200.0},
        {**nothing, "total_ms": 0.0},
    )
    assert widths(shown) == [[50.0], [12.5, 25.0, 62.5], []]
    assert "0 to 200 ms" in page(CARD, shown, "requests")
    assert all(sum(row) <= 100.5 for row in widths(seen))


def test_each_panel_is_a_picture_of_its_own(seen: Picture) -> None:
    told = {name: Page(page(CARD, seen, name)).text for name in ("requests", "timeline", "config", "snippets")}

    moment = time.localtime(seen["time"] / 1000)
    for text in told.values():
        assert f"as saved {moment.tm_mday} {time.strftime('%b %Y, %H:%M:%S', moment)}" in text
    began = time.localtime(min(request["began"] for request in seen["requests"]) / 1000)
    assert time.strftime("%H:%M:%S", began) in told["requests"]
    assert "✕ failed 500" in told["requests"]
    assert "desk-1 · r1" in told["timeline"]
    assert "desk-1: " in told["timeline"]
    assert "setup" in told["timeline"]
    assert "keep_alive" in told["config"]
    assert "Desk.hi()" in told["snippets"]
    assert f"fal_jupyter.app('{seen['app']['app']}').hi()" in told["snippets"]
    assert len(set(told.values())) == 4
    assert page(CARD, seen, "") == page(CARD, seen, "try") == ""


def test_each_panel_has_a_text_of_its_own(seen: Picture) -> None:
    assert "failed 500" in page_text(CARD, seen, "requests")
    assert "desk-1: " in page_text(CARD, seen, "timeline")
    assert "max_concurrency" in page_text(CARD, seen, "config")
    assert "curl -sS" in page_text(CARD, seen, "snippets")


def test_the_lane_of_a_runner_is_as_long_as_its_states(seen: Picture) -> None:
    found: Picture = json.loads(json.dumps(seen))
    now = found["time"]
    moves = [(now - 1000, "SETUP"), (now - 900, "IDLE"), (now - 400, "RUNNING"), (now - 200, "GONE")]
    late = [(now - 500, "SETUP"), (now - 250, "RUNNING")]
    found["timeline"]["lanes"] = [
        {"id": "desk-1", "devices": ["gpu 0"], "revision": 2, "moves": moves},
        {"id": "desk-2", "devices": [], "revision": 2, "moves": late},
    ]
    html = page(CARD, found, "timeline")
    rows = [[float(w) for w in re.findall(r"height: 10px; width: ([\d.]+)%", row)] for row in html.split("<tr")[1:3]]

    assert rows == [[10.0, 50.0, 20.0], [50.0, 25.0, 25.0]]
    assert "desk-1 · gpu 0 · r2" in html
    assert "gone" in Page(html).text


def test_the_runners_of_the_picture_have_lanes_that_end_when_it_was_taken(seen: Picture) -> None:
    text = Page(page(CARD, seen, "timeline")).text
    assert time.strftime("%H:%M:%S", time.localtime(seen["time"] / 1000)) in text


def test_what_was_changed_by_hand_is_marked(seen: Picture) -> None:
    app: Any = {
        **seen["app"],
        "overrides": {"keep_alive": 5.0},
        "scaling": {**seen["app"]["scaling"], "keep_alive": 5.0},
    }
    told = Page(page(CARD, {**seen, "app": app}, "config")).text

    assert "1 edited" in told
    assert f"by hand; the class: {seen['app']['by_class']['keep_alive']:g}" in told


def test_only_the_latest_requests_are_drawn(seen: Picture) -> None:
    html = activity_html(with_requests(seen, *({"path": f"/p{number}"} for number in range(SHOWN + 5))))
    assert f"/p{SHOWN - 1}<" in html
    assert f"/p{SHOWN}<" not in html


@pytest.mark.parametrize("text", HOSTILE)
def test_nobodys_text_is_html(seen: Picture, text: str) -> None:
    found = Page(activity_html(with_requests(seen, {"path": text, "error": text})))
    assert found.tags <= OURS
    assert found.attributes <= {"style", "title", "open"}
    assert found.text.count(text) == 2
    app: Any = {**seen["app"], "alias": text, "owner_name": text, "state": text}
    found = Page(dashboard_html([app]))
    assert found.tags <= OURS
    assert found.attributes <= {"style", "title"}
    assert found.text.count(text) == 3


def test_the_dashboard_has_a_row_for_each_app(seen: Picture) -> None:
    found = Page(dashboard_html([seen["app"], {**seen["app"], "alias": "other"}]))
    assert found.text.index("desk") < found.text.index("other")
    assert dashboard_text([seen["app"]]).startswith("desk: ready, 1 runner, 2 calls")
    assert "No fal app is running." in dashboard_html([])
    assert dashboard_text([]) == "No fal app is running."


def test_long_texts_of_callers_do_not_swell_what_is_saved(desk: Served, seen: Picture) -> None:
    for _ in range(SHOWN):
        assert desk.request("/" + "%3C" * 20_000, {}).status == 404
    picture = Client(read({"FAL_JUPYTER_STATE": str(desk.state)})).picture("desk")
    assert picture is not None
    assert max(len(request["path"]) for request in picture["requests"]) > 50_000
    kept = cut(picture)
    assert len(json.dumps(kept)) + len(activity_html(kept)) + len(activity_text(kept)) < 64 * 1024
    assert kept["app"] == picture["app"]


def test_what_is_short_enough_is_left_alone() -> None:
    value = {"a": ["x" * LONGEST, 1, None, {"b": True}], "c": 1.5}
    assert cut(value) == value
    assert cut("x" * (LONGEST + 1)) == "x" * (LONGEST - 1) + "…"
