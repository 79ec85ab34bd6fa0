"""The picture of an app's last state: what is written in it, how long its bars are, and that nobody's text is HTML."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any

import pytest

from fal_jupyter.client.client import Client
from fal_jupyter.notebook.picture import (
    LONGEST,
    SHOWN,
    activity_html,
    activity_text,
    cut,
    dashboard_html,
    dashboard_text,
)
from fal_jupyter.protocol.feed import Picture, RequestState
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


OURS = {"div", "span", "b", "table", "thead", "tbody", "tr", "td", "th"}


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


def widths(request: RequestState, picture: Picture) -> list[int]:
    html = activity_html(with_requests(picture, dict(request)))
    return [int(width) for width in re.findall(r"[^-]width: (\d+)px", html)]


def test_the_figures_are_those_of_the_calls(seen: Picture) -> None:
    told = activity_text(seen)
    assert "2 calls" in told
    assert "1 failed" in told
    assert "last: failed /fail" in told
    page = Page(activity_html(seen))
    assert "2 calls" in page.text
    assert "1 failed" in page.text
    assert page.text.index("/fail") < page.text.rindex("✓")


def test_an_app_that_was_never_called_has_no_activity(seen: Picture) -> None:
    quiet: Picture = json.loads(json.dumps(seen))
    quiet["app"]["stats"]["calls"] = 0
    quiet["requests"] = []
    assert (activity_html(quiet), activity_text(quiet)) == ("", "")


def test_percentiles_are_named_only_where_there_are_calls_enough(seen: Picture) -> None:
    many: Picture = json.loads(json.dumps(seen))
    many["app"]["stats"].update(sample=20, p95_ms=7.0, max_ms=9.0)
    assert "p95" in activity_text(many)
    many["app"]["stats"]["sample"] = 19
    assert "p95" not in activity_text(many)
    assert "max" in activity_text(many)


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ({"run_ms": 100.0}, [120]),
        ({"queue_ms": 50.0, "run_ms": 50.0}, [60, 60]),
        ({"queue_ms": 25.0, "start_ms": 50.0, "run_ms": 25.0}, [30, 60, 30]),
        ({"transfer_ms": 0.01, "run_ms": 99.99}, [2, 120]),  # the least that is seen
        ({}, []),
    ],
)
def test_a_bar_is_as_long_as_its_share_of_the_time(seen: Picture, parts: dict[str, float], expected: list[int]) -> None:
    nothing = dict.fromkeys(("queue_ms", "start_ms", "transfer_ms", "run_ms", "stream_ms"), 0.0)
    request = {**seen["requests"][0], **nothing, **parts, "total_ms": sum(parts.values())}
    assert widths(request, seen) == expected  # type: ignore[arg-type]


def test_the_bars_of_real_requests_fill_their_place(seen: Picture) -> None:
    for request in seen["requests"]:
        assert 118 <= sum(widths(request, seen)) <= 120 + 5 * 2


def test_only_the_latest_requests_are_drawn(seen: Picture) -> None:
    html = activity_html(with_requests(seen, *({"path": f"/p{number}"} for number in range(SHOWN + 5))))
    assert f"/p{SHOWN - 1}<" in html
    assert f"/p{SHOWN}<" not in html


@pytest.mark.parametrize("text", HOSTILE)
def test_nobodys_text_is_html(seen: Picture, text: str) -> None:
    page = Page(activity_html(with_requests(seen, {"path": text, "error": text})))
    assert page.tags <= OURS
    assert page.attributes <= {"style", "title"}
    assert page.text.count(text) == 2
    app: Any = {**seen["app"], "alias": text, "owner_name": text, "state": text}
    page = Page(dashboard_html([app]))
    assert page.tags <= OURS
    assert page.attributes <= {"style", "title"}
    assert page.text.count(text) == 3


def test_the_dashboard_has_a_row_for_each_app(seen: Picture) -> None:
    page = Page(dashboard_html([seen["app"], {**seen["app"], "alias": "other"}]))
    assert page.text.index("desk") < page.text.index("other")
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
