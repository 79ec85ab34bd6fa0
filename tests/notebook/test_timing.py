from __future__ import annotations

import threading
from dataclasses import dataclass
from html.parser import HTMLParser

from fal_jupyter.notebook.timing import KEPT, LINES, ROWS, Tally, Timing, as_html, as_text


@dataclass(frozen=True)
class Call:
    request_id: str = "8c41f0"
    endpoint: str = "/embed"
    status: int = 200
    queue_ms: float = 0.1
    start_ms: float = 0.0
    transfer_ms: float = 0.0
    run_ms: float = 1.9
    stream_ms: float = 0.0
    total_ms: float = 2.0
    revision: int = 1
    runner: str = "hello-1"
    aborted: bool = False


class Shape(HTMLParser):
    """Counts elements and checks that they nest."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []
        self.feed(html)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.open.append(tag)
        self.seen.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def tally(*calls: Call) -> Tally:
    made = Tally(0.0)
    for number, call in enumerate(calls):
        made.add(call, 10.0 + number / 10)
    return made


def test_a_few_calls_are_one_line_each() -> None:
    shown = tally(Call(), Call(status=500, endpoint="/x", runner="", revision=0), Call(start_ms=3220, total_ms=3240))

    assert as_text(shown).splitlines() == [
        "ok 2.0 ms /embed: queue 0.1 ms · run 1.9 ms, hello-1, r1",
        "failed 500 2.0 ms /x: queue 0.1 ms · run 1.9 ms, no runner",
        "ok 3.24 s /embed: queue 0.1 ms · cold start 3.22 s · run 1.9 ms, hello-1, r1",
    ]
    assert Shape(as_html(shown)).seen.count("details") == 3


def test_an_answer_that_broke_off_has_failed_whatever_its_status() -> None:
    shown = tally(Call(), Call(aborted=True))

    assert as_text(shown).splitlines()[1] == (
        "failed, broke off after 2.0 ms /embed: queue 0.1 ms · run 1.9 ms, hello-1, r1"
    )
    assert shown.failed == 1
    html = as_html(shown)
    assert (html.count("✓"), html.count("✕"), html.count("broke off · ")) == (1, 1, 1)
    assert "status 200, broke off" in html
    many = tally(*([Call()] * 30), Call(aborted=True, total_ms=9.0))
    assert "1 failed" in as_text(many)
    assert as_html(many).count("✕") == 2  # the line's own, and the row's


def test_transfer_and_stream_are_named_where_they_matter_and_always_in_the_table() -> None:
    shown = tally(Call(transfer_ms=31, stream_ms=0.2), Call(stream_ms=406, total_ms=408))

    assert as_text(shown).splitlines() == [
        "ok 2.0 ms /embed: queue 0.1 ms · transfer 31 ms · run 1.9 ms, hello-1, r1",
        "ok 408 ms /embed: queue 0.1 ms · run 1.9 ms · stream 406 ms, hello-1, r1",
    ]
    assert as_html(shown).count(">transfer<") == 2


def test_a_thousand_calls_are_one_line_with_a_bounded_table() -> None:
    shown = tally(*(Call(total_ms=float(n + 1), request_id=str(n)) for n in range(1500)))

    text = as_text(shown)
    assert len(text.splitlines()) == 1
    for part in ("1,500 calls", "p50 750 ms", "p95 1.43 s", "max 1.50 s", "/s"):
        assert part in text
    html = Shape(as_html(shown))
    assert html.seen.count("details") == 1
    assert html.seen.count("tr") == ROWS + 1
    assert [call.request_id for _, call in shown.slowest] == [str(n) for n in range(1499, 1499 - ROWS, -1)]


def test_the_metadata_has_the_fields_of_each_call_and_a_bound() -> None:
    few = tally(Call()).metadata()
    assert few == {
        "fal_jupyter": {
            "calls": [
                {
                    "request_id": "8c41f0",
                    "endpoint": "/embed",
                    "status": 200,
                    "queue_ms": 0.1,
                    "start_ms": 0.0,
                    "transfer_ms": 0.0,
                    "run_ms": 1.9,
                    "stream_ms": 0.0,
                    "total_ms": 2.0,
                    "revision": 1,
                    "runner": "hello-1",
                    "aborted": False,
                }
            ]
        }
    }
    many = tally(*([Call()] * (KEPT + 5))).metadata()["fal_jupyter"]
    assert len(many["calls"]) == KEPT
    assert many["calls_total"] == KEPT + 5


def test_p95_is_shown_only_where_there_are_twenty_calls() -> None:
    assert LINES == 20
    assert "p95" in as_text(tally(*([Call()] * 21)))


def test_failures_and_cold_starts_are_counted_in_the_summary() -> None:
    text = as_text(tally(*([Call()] * 30), Call(status=503), Call(start_ms=5)))
    assert "1 failed" in text
    assert "1 cold" in text


def test_names_of_users_are_escaped() -> None:
    html = as_html(tally(Call(endpoint="/<script>alert(1)</script>", runner='"><b>')))
    assert "<script>" not in html
    assert '"><b>,' not in html
    assert "&quot;&gt;&lt;b&gt;" in html


def test_a_call_of_an_earlier_cell_is_not_shown_under_this_one() -> None:
    timing = Timing()
    timing.record(Call())
    timing.begin()
    timing.record(Call(total_ms=60_000))  # began long before this cell
    assert timing.end() is None
    timing.begin()
    timing.record(Call())
    ended = timing.end()
    assert ended is not None
    assert len(ended.totals) == 1
    assert timing.end() is None


def test_calls_of_many_threads_are_all_counted() -> None:
    timing = Timing()
    timing.begin()
    threads = [threading.Thread(target=lambda: [timing.record(Call()) for _ in range(200)]) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ended = timing.end()
    assert ended is not None
    assert len(ended.totals) == 1600


def test_switched_off_nothing_is_kept() -> None:
    timing = Timing()
    timing.enabled = False
    timing.begin()
    timing.record(Call())
    assert timing.end() is None
