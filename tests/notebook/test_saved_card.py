"""The picture of an app's last state: what is written in it, how long its bars are, and that nobody's text is HTML."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlencode

import pytest

from fal_jupyter.client.client import Client
from fal_jupyter.fal.toolkit.utils.thumbnails import THUMBNAIL, thumbnail
from fal_jupyter.gateway.feed.feed import PICTURED_REQUESTS
from fal_jupyter.notebook.display.saved_card import (
    MAX_TEXT,
    activity_html,
    activity_text,
    dashboard_html,
    dashboard_text,
    shorten,
)
from fal_jupyter.notebook.display.saved_panels import MAX_ROWS, page, page_text, programs
from fal_jupyter.notebook.display.saved_results import (
    MAX_IMAGE_BYTES,
    MAX_OUTPUTS,
    MAX_READ,
    MAX_THUMBNAIL_CHARS,
    SavedResults,
    bounded,
    output_of,
    shortened,
    summary_of,
)
from fal_jupyter.notebook.display.saved_results_html import level_of
from fal_jupyter.notebook.display.static_card import StaticCard
from fal_jupyter.notebook.style import ANSWER, CANCELLED, QUEUE, STREAM
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

    @fal.endpoint("/draw")
    def draw(self, prompt: str, seed: int = 7) -> dict:
        import sys
        from PIL import Image as Pillow
        from fal.toolkit import Image
        print("10%\\r100% \\x1b[31m<b>" + prompt)
        print("WARNING low light", file=sys.stderr)
        return {"image": Image.from_pil(Pillow.new("RGB", (640, 480), "red")), "seed": seed}

    @fal.endpoint("/shout")
    def shout(self, text: str) -> dict:
        print(text)
        return {"text": text}
"""
HOSTILE = [
    "<script>window.evil = 1</script>",
    "<img src=x onerror=alert(1)>",
    "\"' onmouseover='alert(1)' x=\"",
    "</td></table><iframe srcdoc=x>",
    "javascript:alert(1)",
    "&lt;b&gt;",
    "<svg/onload=alert(1)>",
]
TURNING = "\u202e\u2066fdp.exe\x1b[31m\x1b]8;;http://evil\x07\x00\x9b2J"  # fmt: skip


class Page(HTMLParser):
    """The elements, attributes and text that a browser would make of it."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.sources: list[str] = []
        self.attributes: set[str] = set()
        self.text = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.sources += [value or "" for name, value in attrs if name in ("src", "href")]

    def handle_data(self, data: str) -> None:
        self.text += data


OURS = {"div", "span", "b", "table", "thead", "tbody", "tr", "td", "th", "details", "summary", "pre", "bdi", "img"}
ATTRIBUTES = {"style", "title", "open", "dir", "aria-hidden", "src", "alt"}


@pytest.fixture(scope="module")
def desk_app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    path = tmp_path_factory.mktemp("app") / "app.py"
    path.write_text(APP)
    with state_directory() as state, served(state, f"{path}::Desk") as running:
        yield running


@pytest.fixture(scope="module")
def seen(desk_app: Served) -> Picture:
    """What the gateway says after two calls, one of which failed."""
    assert desk_app.request("/", {"name": "Ada"}).status == 200
    assert desk_app.request("/fail", {}).status == 500
    picture = Client(read({"FAL_JUPYTER_STATE": str(desk_app.state)})).control.picture("desk")
    assert picture is not None
    return picture


def with_requests(picture: Picture, *changes: dict[str, Any]) -> Picture:
    """The same picture with requests like its first one, but for *changes*."""
    found: Picture = json.loads(json.dumps(picture))
    found["logs"] = []
    found["requests"] = [{**found["requests"][0], **change} for change in changes]  # type: ignore[typeddict-item]
    return found


CARD = StaticCard(
    state="Ready", class_name="Desk", app="me/desk", endpoints=(), place="the whole machine", runners="1 ready", revision="r1"
)  # fmt: skip


def widths(picture: Picture) -> list[list[float]]:
    """The widths of the bars, in percent, of each request of a picture."""
    rows = page(CARD, picture, "requests").split("<tr")[2:]
    return [
        [float(width) for width in re.findall(r"[^-]width: ([\d.]+)%; (?:background|box-sizing)", row)] for row in rows
    ]


def test_the_figures_are_those_of_the_calls(seen: Picture) -> None:
    output = activity_text(seen)
    assert "2 calls" in output
    assert "1 failed" in output
    assert "last: failed /fail" in output
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
    many["app"]["stats"].update(sample=0, calls=3, failed=3)  # no call succeeded
    assert "p50" not in activity_text(many)
    assert "max" not in activity_text(many)


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


def test_only_an_answer_in_pieces_has_a_stream_and_what_took_no_time_has_no_bar(seen: Picture) -> None:
    fine = {"status": 200, "error": ""}
    plain = {**fine, "content_type": "application/json", "transfer_ms": 0.01, "stream_ms": 0.2}
    drawn = page(CARD, with_requests(seen, plain), "requests")
    assert ("answer 0.2 ms" in drawn, "stream" in drawn, "transfer" in drawn) == (True, False, False)
    pieces = {**fine, "content_type": "text/event-stream; charset=utf-8", "stream_ms": 400.0}
    both = page(CARD, with_requests(seen, plain, pieces), "requests")
    assert ("stream 400 ms" in both, "</span> answer" in both, "</span> stream" in both) == (True, True, True)
    output = page_text(CARD, with_requests(seen, plain), "requests")
    assert (" answer" in output, "stream" in output) == (True, False)


def test_each_panel_is_a_picture_of_its_own(seen: Picture) -> None:
    texts = {name: Page(page(CARD, seen, name)).text for name in ("requests", "timeline", "config", "snippets")}

    moment = time.localtime(seen["time"] / 1000)
    for text in texts.values():
        assert f"Ready as of {moment.tm_mday} {time.strftime('%b %Y, %H:%M:%S', moment)}" in text
    began = time.localtime(min(request["began"] for request in seen["requests"]) / 1000)
    assert time.strftime("%H:%M:%S", began) in texts["requests"]
    assert "✕ failed 500" in texts["requests"]
    assert "desk-1 · r1" in texts["timeline"]
    assert "desk-1: " in texts["timeline"]
    assert "setup" in texts["timeline"]
    assert texts["requests"].endswith(" failed")  # the bars' colours in words
    lanes = [{**seen["timeline"]["lanes"][0], "id": f"desk-{number}"} for number in (10, 9)]
    ordered: Picture = {**seen, "timeline": {**seen["timeline"], "lanes": lanes}}  # type: ignore[typeddict-item]
    shown = Page(page(CARD, ordered, "timeline")).text
    assert shown.index("desk-9 ") < shown.index("desk-10 ")
    assert "while the app runs at this address" in texts["snippets"]
    assert "keep_alive" in texts["config"]
    assert "Desk.hi()" in texts["snippets"]
    assert f"fal_jupyter.app('{seen['app']['app']}').hi()" in texts["snippets"]
    assert len(set(texts.values())) == 4
    assert page(CARD, seen, "") == ""
    assert "Nothing had been called." in page(CARD, seen, "try")  # the notebook adds what calls gave
    assert "No call had given" in page(CARD, seen, "outputs")


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
    output = Page(page(CARD, {**seen, "app": app}, "config")).text

    assert "1 edited" in output
    assert f"by hand; the class: {seen['app']['by_class']['keep_alive']:g}" in output


def test_what_was_written_to_the_class_is_not_by_hand_any_more(seen: Picture) -> None:
    """The gateway may keep a value that the class says as well by now."""
    from fal_jupyter.notebook.display.panel_outputs import _with_state_of

    equal: Any = {**seen["app"], "overrides": {"keep_alive": seen["app"]["by_class"]["keep_alive"]}}
    picture: Picture = {**seen, "app": equal}
    assert _with_state_of(CARD, picture).options == ()
    shown = Page(page(CARD, picture, "config")).text
    assert "by hand" not in shown
    assert "edited" not in shown


def test_only_the_latest_requests_are_drawn(seen: Picture) -> None:
    html = activity_html(with_requests(seen, *({"path": f"/p{number}"} for number in range(MAX_ROWS + 5))))
    assert f"/p{MAX_ROWS - 1}<" in html
    assert f"/p{MAX_ROWS}<" not in html


@pytest.mark.parametrize("text", HOSTILE)
def test_nobodys_text_is_html(seen: Picture, text: str) -> None:
    found = Page(activity_html(with_requests(seen, {"path": text, "error": text})))
    assert found.tags <= OURS
    assert found.attributes <= ATTRIBUTES
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


def test_long_texts_of_callers_do_not_swell_what_is_saved(desk_app: Served, seen: Picture) -> None:
    for _ in range(MAX_ROWS):
        assert desk_app.request("/" + "%3C" * 20_000, {}).status == 404
    picture = Client(read({"FAL_JUPYTER_STATE": str(desk_app.state)})).control.picture("desk")
    assert picture is not None
    assert max(len(request["path"]) for request in picture["requests"]) > 50_000
    kept = shorten(picture)
    assert len(json.dumps(kept)) + len(activity_html(kept)) + len(activity_text(kept)) < 64 * 1024
    assert kept["app"] == picture["app"]


def test_what_is_short_enough_is_left_alone() -> None:
    value = {"a": ["x" * MAX_TEXT, 1, None, {"b": True}], "c": 1.5}
    assert shorten(value) == value
    assert shorten("x" * (MAX_TEXT + 1)) == "x" * (MAX_TEXT - 1) + "…"


# --- what calls printed and gave ----------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def drawn(desk_app: Served) -> Picture:
    """A picture as a notebook keeps it, after two drawings and a failure."""
    client = Client(read({"FAL_JUPYTER_STATE": str(desk_app.state)}))
    assert desk_app.request("/fail", {}).status == 500
    for prompt in ("a red fox", "a blue one"):
        assert desk_app.request(f"/draw?prompt={prompt.replace(' ', '%20')}", {}).status == 200
    found = client.control.picture("desk")
    assert found is not None
    with pytest.MonkeyPatch.context() as patch:  # a kernel knows where its gateway keeps files
        patch.setenv("FAL_JUPYTER_STATE", str(desk_app.state))
        return SavedResults().add_to(shorten(found), client)


def test_logs_have_times_runners_and_levels(drawn: Picture) -> None:
    html, output = page(CARD, drawn, "logs"), page_text(CARD, drawn, "logs")
    found = Page(html)
    assert found.tags <= OURS
    assert "100% <b>a red fox" in found.text  # the state in which the line was left, without its colour
    assert "10%\r" not in found.text
    assert "warning" in found.text
    assert "runner 1" in found.text
    assert re.search(r"\d\d:\d\d:\d\d\.\d  runner 1  warning  WARNING low light", output)
    assert "\x1b" not in html + output


@pytest.mark.parametrize(
    ("line", "level"),
    [("DEBUG x", 0), ("[info] x", 1), ("x", 1), ("2026-01-01 WARNING x", 2), ("UserWarning: x", 2), ("ValueError: x", 3), ("no-ERROR-here", 1), ("CRITICAL", 3)],
)  # fmt: skip
def test_levels_are_those_of_the_live_panel(line: str, level: int) -> None:
    assert level_of(line) == level


def test_outputs_are_thumbnails_with_what_made_them(drawn: Picture) -> None:
    assert len(drawn["outputs"]) == 2
    found = Page(page(CARD, drawn, "outputs"))
    assert found.tags <= OURS
    assert found.attributes <= ATTRIBUTES
    assert len(found.sources) == 2
    assert all(source.startswith("data:image/") for source in found.sources)
    assert "seed 7" in found.text
    assert "r1" in found.text
    assert "640 × 480" in page_text(CARD, drawn, "outputs")
    assert sum(len(p["base64"]) for one in drawn["outputs"] for p in one["pictures"]) < 4000


def test_try_shows_the_newest_result(drawn: Picture) -> None:
    assert drawn["last"] is not None
    found, output = Page(page(CARD, drawn, "try")), page_text(CARD, drawn, "try")
    assert "✓ ok" in found.text
    assert "/draw" in found.text
    assert '"seed": 7' in found.text
    assert "100% <b>a blue one" in found.text
    assert len(found.sources) == 1
    assert output.splitlines()[1].startswith("  ok /draw")
    assert '"seed": 7' in output


def test_a_failure_is_the_newest_result_with_its_traceback(desk_app: Served) -> None:
    client = Client(read({"FAL_JUPYTER_STATE": str(desk_app.state)}))
    assert desk_app.request("/fail", {}).status == 500
    found = client.control.picture("desk")
    assert found is not None
    shown = Page(page(CARD, SavedResults().add_to(shorten(found), client), "try"))
    assert "✕ failed 500" in shown.text
    assert "ValueError: <img src=x onerror=alert(1)>" in shown.text
    assert shown.text.count("raise ValueError") == 1
    assert shown.tags <= OURS


@pytest.mark.parametrize("text", [*HOSTILE, TURNING, "x" * 1_000_000, "\ud800 half", "שלום עולם"])
def test_what_is_printed_and_given_is_text_and_stays_in_its_place(desk_app: Served, text: str) -> None:
    client = Client(read({"FAL_JUPYTER_STATE": str(desk_app.state)}))
    assert desk_app.request("/shout", {"text": text}).status in (200, 422, 500)
    picture = client.control.picture("desk")
    assert picture is not None
    newest = picture["requests"][0]
    assert newest["path"] == "/shout"
    logs = [line for line in picture["logs"] if line["request"] == newest["id"]]
    picture = {**picture, "requests": [newest], "logs": logs}  # its size does not depend on the tests before this one
    saved = SavedResults().add_to(shorten(picture), client)
    html = activity_html(saved) + "".join(page(CARD, saved, name) for name in ("try", "outputs", "logs"))
    parsed = Page(html)
    assert parsed.tags <= OURS
    assert parsed.attributes <= ATTRIBUTES
    assert not set("\u202e\u2066\x1b\x00\x9b\ud800") & set(html)
    assert not [source for source in parsed.sources if not source.startswith("data:image/")]
    assert len(html) + len(json.dumps(saved)) < 100 * 1024
    html.encode()  # what cannot be encoded cannot be saved
    if len(text) < 100 and text.isprintable():
        assert text in parsed.text


def detail_of(seen: Picture, output: dict[str, Any], **more: Any) -> Any:
    """A request's record whose answer is *output*."""
    request = {**seen["requests"][0], "status": 200, "content_type": "application/json", "error": ""}
    text = json.dumps(output)
    body = {"content_type": "application/json", "size": len(text), "text": text, "base64": "", "truncated": False}
    return {
        "request": request,
        "query": "",
        "input": None,
        "output": body,
        "error": None,
        "logs": [],
        "displays": [],
        "buffered": False,
        **more,
    }


def test_calls_of_a_load_are_neither_fetched_nor_the_last_result() -> None:
    fetched: list[str] = []
    of_load: Any = {"id": "by-load", "origin": "load", "status": 200, "content_type": "application/json", "began": 2, "path": "/", "error": ""}  # fmt: skip
    by_hand = {**of_load, "id": "by-hand", "origin": "cell", "began": 1}

    def request(request_id: str) -> Any:
        fetched.append(request_id)
        return {**detail_of(snapshot, {}), "request": by_hand}

    client: Any = SimpleNamespace(control=SimpleNamespace(request=request))
    snapshot: Any = {"requests": [of_load, by_hand]}
    kept = SavedResults().add_to(snapshot, client)
    assert fetched == ["by-hand"]
    assert kept["last"] is not None
    assert kept["last"]["request"]["id"] == "by-hand"


def test_outputs_are_the_last_ones_whatever_a_load_did_after_them(
    desk_app: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAL_JUPYTER_STATE", str(desk_app.state))
    client = Client(read({"FAL_JUPYTER_STATE": str(desk_app.state)}))

    def snapshot() -> Picture:
        found = client.control.picture("desk")
        assert found is not None
        return found

    before = SavedResults().add_to(shorten(snapshot()), client)["output_count"]
    for number in range(MAX_OUTPUTS + 2):
        assert desk_app.request(f"/draw?prompt=fox-{number}", {}).status == 200
    query = urlencode({"path": "/", "calls": PICTURED_REQUESTS, "at_once": 1})
    b"".join(client.control.open("POST", f"/admin/apps/desk/load?{query}", body=b"{}"))
    raw = snapshot()
    assert {request["origin"] for request in raw["requests"]} == {"load"}
    kept = SavedResults().add_to(shorten(raw), client)
    assert [item["input"] for item in kept["outputs"]] == [f"prompt fox-{n}" for n in range(MAX_OUTPUTS + 1, 1, -1)]
    assert kept["output_count"] == before + MAX_OUTPUTS + 2
    assert kept["last"] is not None
    assert "fox-7" in kept["last"]["query"]
    assert not {"answers", "newest"} & kept.keys()
    assert f"last {MAX_OUTPUTS} of {kept['output_count']}" in page(CARD, kept, "outputs")


def test_a_picture_reads_a_few_answers_at_a_time_and_counts_outputs_when_all_are_read() -> None:
    read_ids: list[str] = []
    record: Any = {
        "origin": "cell",
        "status": 200,
        "content_type": "application/json",
        "path": "/",
        "error": "",
        "total_ms": 1,
        "revision": 1,
    }
    requests = [{**record, "id": f"r{at}", "began": at} for at in range(MAX_READ + 6, 0, -1)]
    gone = {"r1"}

    def request(request_id: str) -> Any:
        read_ids.append(request_id)
        if request_id in gone:
            raise OSError
        file = {"url": "https://e.org/a.bin", "file_name": "a.bin"}
        known = detail_of(snapshot, file if request_id != "r2" else {})
        return {**known, "request": next(item for item in requests if item["id"] == request_id)}

    client: Any = SimpleNamespace(control=SimpleNamespace(request=request))
    snapshot: Any = {"requests": requests[:3], "answers": [item["id"] for item in requests], "newest": "r9"}
    results = SavedResults()
    kept = results.add_to(snapshot, client)
    assert (read_ids[0], len(read_ids)) == (requests[0]["id"], MAX_READ)
    assert "output_count" not in kept
    assert [item["id"] for item in kept["outputs"]] == [item["id"] for item in requests[:MAX_OUTPUTS]]
    assert "output_count" not in results.add_to(snapshot, client)  # one could not be read
    gone.clear()
    assert results.add_to(snapshot, client)["output_count"] == MAX_READ + 5
    assert len(read_ids) == MAX_READ + 6 + 1
    assert kept["last"] is not None
    assert kept["last"]["request"]["id"] == "r9"


def picture_bytes(size: tuple[int, int], form: str = "PNG", *, noise: bool = False) -> bytes:
    import io

    from PIL import Image

    image = Image.effect_noise(size, 100) if noise else Image.new("RGB", size, "red")
    into = io.BytesIO()
    image.save(into, form)
    return into.getvalue()


def test_the_words_of_an_input_name_its_files() -> None:
    data = "data:image/png;base64," + "A" * 4000
    given = {
        "image": {"url": data, "file_name": "sun.png"},
        "more": [{"url": data}, data],
        "prompt": "warm",
        "n": {"at": "https://e.org/a"},
    }
    assert summary_of(given) == 'warm · image sun.png · more ["a file", "a file"] · n {"at": "a file"}'
    scraped = {"url": "https://x.org/y.png", "prompt": "a cat in the rain", "steps": 20}
    assert summary_of(scraped) == "a cat in the rain · url a file · steps 20"
    assert summary_of({"page": scraped}) == 'page {"url": "a file", "prompt": "a cat in the rain", "steps": 20}'


def test_a_value_that_is_nested_too_deeply_has_no_words() -> None:
    deep: list[object] = []
    for _ in range(100_000):
        deep = [deep]
    assert summary_of({"prompt": "a cat", "deep": deep}) == "a cat · deep …"


def test_a_lone_file_and_the_query_are_the_words_of_an_output(seen: Picture) -> None:
    from fal_jupyter.notebook.display.saved_results import output_of

    sun = {"url": "data:image/png;base64,AAAA", "file_name": "sun.png", "file_size": 467}
    generated = {**sun, "file_name": "8" * 32 + ".png", "content_type": "image/png"}
    text = json.dumps(sun)
    body = {"content_type": "application/json", "size": len(text), "text": text, "base64": "", "truncated": False}
    kept = output_of(detail_of(seen, generated, input=body, query="seed=2&dots=40"))
    assert kept is not None
    assert (kept["input"], kept["seed"]) == ("sun.png · dots 40", "2")
    kept = output_of(detail_of(seen, generated, query="tag=a&tag=b&plain=&seed=2"))
    assert kept is not None
    assert (kept["input"], kept["seed"]) == ("tag a · tag b · plain", "2")
    assert summary_of(generated) == "a file"


def test_the_newest_result_has_the_arguments_of_its_query(seen: Picture) -> None:
    saved: Picture = {**seen, "last": detail_of(seen, {"ok": True}, query="seed=2&word=%3Cb%3E")}
    assert "seed = 2\nword = &lt;b&gt;" in page(CARD, saved, "try")
    assert "seed = 2" in page_text(CARD, saved, "try")


def test_a_card_names_the_revision_that_a_restart_by_hand_made(seen: Picture) -> None:
    from fal_jupyter.notebook.display.panel_outputs import _with_state_of

    card = replace(CARD, revision="r4, rebuilt: class Desk changed")
    now: Picture = {**seen, "app": {**seen["app"], "revision": 4, "verdict_reason": "class Desk changed"}}
    assert _with_state_of(card, now).revision == card.revision
    restarted: Picture = {**seen, "app": {**seen["app"], "revision": 5, "verdict_reason": "started manually"}}
    assert _with_state_of(card, restarted).revision == "r5, started manually"


def test_what_failed_without_an_error_says_what_its_status_means(seen: Picture) -> None:
    refused = {"status": 422, "error": ""}
    for shown in (
        page(CARD, with_requests(seen, refused), "requests"),
        page_text(CARD, with_requests(seen, refused), "requests"),
    ):
        assert "422: the input was refused" in shown
    failed = page(CARD, with_requests(seen, refused), "requests")
    assert re.search(
        r'width: 30%[^"]*">422: the input was refused', re.sub(r"<span[^>]*>", "", failed)
    )  # as wide as the bars
    assert "418: the request was refused" in page(CARD, with_requests(seen, {"status": 418, "error": ""}), "requests")
    assert "599: the endpoint failed" in page(CARD, with_requests(seen, {"status": 599, "error": ""}), "requests")
    assert "Error" not in page(CARD, with_requests(seen, {"status": 200, "error": ""}), "requests")


def test_answer_stream_and_what_was_cancelled_look_different(seen: Picture) -> None:
    times = {"run_ms": 100.0, "stream_ms": 300.0, "total_ms": 400.0, "status": 200, "error": ""}
    answer, stream = ({**times, "content_type": kind} for kind in ("application/json", "text/event-stream"))
    html = page(CARD, with_requests(seen, answer, stream, {**stream, "status": 499}), "requests")
    assert (f"background: {ANSWER}" in html, f"background-image: {STREAM}" in html) == (True, True)
    assert html.count(f"1px solid {CANCELLED}") == 3  # run and stream of the bar, and the legend
    assert "</span> cancelled</span>" in html
    only = page(CARD, with_requests(seen, {**stream, "status": 499}), "requests")
    assert "</span> stream" not in only


def test_waiting_is_a_dashed_outline_in_bars_and_legend(seen: Picture) -> None:
    html = page(CARD, with_requests(seen, {"queue_ms": 5.0, "total_ms": 9.0}), "requests")
    assert html.count("1px dashed") == 2
    assert f"background: {QUEUE}" not in html


def test_a_card_has_the_setup_time_and_the_scaling_of_its_picture(seen: Picture) -> None:
    from fal_jupyter.notebook.display.panel_outputs import _with_state_of

    now: Picture = {**seen, "app": {**seen["app"], "setup_ms": 510.0, "overrides": {"keep_alive": 5.0}}}
    card = _with_state_of(replace(CARD, setup_ms=504.0), now)
    assert card.setup_ms == 510.0
    assert "keep_alive 5 " in card.options[0]
    ended: Picture = {**seen, "app": {**seen["app"], "setup_ms": 0.0}}
    assert _with_state_of(replace(CARD, setup_ms=504.0, options=card.options), ended).setup_ms == 504.0
    assert _with_state_of(replace(CARD, options=card.options), ended).options == ()


@pytest.mark.parametrize(("older", "words"), [(1, "1 runner not shown"), (2, "2 runners not shown"), (0, "")])
def test_runners_without_a_lane_are_counted(seen: Picture, older: int, words: str) -> None:
    picture: Picture = {**seen, "timeline": {**seen["timeline"], "older_runners": older}}
    html, plain = page(CARD, picture, "timeline"), page_text(CARD, picture, "timeline")
    assert words in html
    assert words in plain
    assert ("not shown" in html + plain) == bool(older)


def test_pictures_become_small_and_what_is_none_is_named(seen: Picture) -> None:
    import base64

    made = thumbnail(picture_bytes((1200, 900), noise=True))
    assert made is not None
    assert len(made[1]) <= THUMBNAIL
    assert made[2] == (1200, 900)
    assert thumbnail(b"<svg onload=alert(1)>") is None
    assert thumbnail(picture_bytes((40, 40))[:60]) is None
    assert thumbnail(picture_bytes((8000, 8000))) is None  # small as a file, large as a picture
    own = "data:image/png;base64," + base64.b64encode(picture_bytes((20, 10))).decode()
    given = {
        "a": own,
        "b": {"url": "http://example.org/x.wav", "content_type": "audio/wav"},
        "c": "javascript:alert(1)",
        "d": "data:text/html,<b>",
    }
    found = output_of(detail_of(seen, given))
    assert found is not None
    assert next(p["text"] for p in found["pictures"]).startswith("image/png, 20 × 10")
    assert found["others"] == ["audio/wav"]
    assert output_of(detail_of(seen, {"text": "nothing to see"})) is None


def test_files_of_which_nothing_can_be_shown_are_saved_by_name_type_and_size(seen: Picture) -> None:
    def file(name: str, kind: str | None = "text/csv", **more: object) -> dict[str, object]:
        return {
            "url": f"http://127.0.0.1:4000/{name}",
            "content_type": kind,
            "file_name": name,
            "file_size": 1200,
            **more,
        }

    given = {
        "url": "http://example.org/page",
        "report": file("report.csv"),
        "parts": [file("b.zip", "application/zip"), file("f" * 32 + ".bin", None, file_size=True)],
        "inner": {"deep": {"here": {"url": "data:application/pdf;base64,AAAA", "file_name": "c.pdf"}}},
        "no file": {"url": "ftp://example.org/x", "file_name": "x"},
    }
    found = output_of(detail_of(seen, given))
    assert found is not None
    assert found["pictures"] == []
    assert found["others"] == [
        "report.csv, text/csv, 1.2 kB",
        "b.zip, application/zip, 1.2 kB",
        "a file",
        "c.pdf, application/pdf, 3 B",
    ]
    assert "report.csv, text/csv, 1.2 kB" in page(CARD, {**seen, "outputs": [found]}, "outputs")


def test_saved_outputs_are_bounded(seen: Picture) -> None:
    import base64

    noise = "data:image/png;base64," + base64.b64encode(picture_bytes((300, 300), noise=True)).decode()
    one = output_of(detail_of(seen, {"images": [noise] + [noise + "A" * n for n in (4, 8, 12, 16, 20)]}))
    assert one is not None
    many = bounded([one] * MAX_OUTPUTS)
    assert sum(len(p["base64"]) for each in many for p in each["pictures"]) <= MAX_THUMBNAIL_CHARS
    last = shortened(detail_of(seen, {"image": noise}))
    grown: Any = {**seen, "outputs": many, "last": last}
    small: Any = {**seen, "outputs": [], "last": None}
    sizes = [len(json.dumps(found)) + len(activity_html(found)) for found in (grown, small)]
    assert (
        sizes[0] - sizes[1] < 2 * MAX_THUMBNAIL_CHARS + 32 * 1024
    )  # as the README says: pictures take less than 100 kB
    assert "300 × 300" in page_text(CARD, {**seen, "outputs": many}, "outputs").splitlines()[-1]
    long = shortened(detail_of(seen, {"text": "x" * MAX_IMAGE_BYTES}))
    assert len(json.dumps(long)) < 8 * 1024


def test_without_styles_bars_are_blocks_with_every_number_beside_them(seen: Picture) -> None:
    html = activity_html(seen)
    assert html.count("<table") == html.count(
        "table-layout: auto"
    )  # Jupyter's style sheet gives tables columns of one width
    bare = re.sub(r' style="[^"]*"', "", html)
    assert "█" in Page(bare).text
    for request in seen["requests"]:
        assert request["path"] in Page(bare).text


@pytest.mark.parametrize(
    ("signature", "cell", "body"),
    [
        ("(image: fal.toolkit.Image, seed: int = 0) -> dict", '.tint(image=Image.from_path("input.png"))', "'{\"url\": \"https://"),
        ("(input: TintIn) -> TintOut", "# input: TintIn: its fields go into the braces\nTinter.tint(input={})", "'{}'"),
        ("(name: str, n: int) -> dict", "Tinter.tint(name='text', n=1)", '\'{"name": "text", "n": 1}\''),
    ],
)  # fmt: skip
def test_a_saved_snippet_has_what_must_be_given(signature: str, cell: str, body: str) -> None:
    app: Any = {"class_name": "Tinter", "app": "me/tinter", "url": "http://127.0.0.1:1/run/me/tinter"}
    endpoint: Any = {"name": "tint", "path": "/", "signature": signature}
    (_, own), (_, other), (_, curl) = programs(app, endpoint)
    assert own.endswith(cell)
    assert "import fal_jupyter\n" in other
    assert curl.startswith("# FAL_KEY: first, in the shell: eval $(fal-jupyter env)\n")
    assert body in curl
