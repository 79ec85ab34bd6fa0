from __future__ import annotations

import threading
from dataclasses import dataclass
from html.parser import HTMLParser

import pytest

from fal_jupyter.notebook.calls.call_lines import as_html, as_text
from fal_jupyter.notebook.calls.progress import time_left
from fal_jupyter.notebook.calls.timing import MAX_LINES, MAX_MAPS, MAX_RECORDS, MAX_ROWS, CellTiming, Group, Tally


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
    streamed: bool = False
    batch: int = 0
    item: int = 0
    hint: str = ""


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
        "ok         2.0 ms /embed: queue 0.1 ms · run 1.9 ms, hello-1, r1",
        "failed 500 2.0 ms /x:     queue 0.1 ms · run 1.9 ms, no runner",
        "ok         3.24 s /embed: queue 0.1 ms · cold start 3.22 s · run 1.9 ms, hello-1, r1",
    ]
    assert Shape(as_html(shown)).seen.count("details") == 3


def test_an_answer_that_broke_off_has_failed_whatever_its_status() -> None:
    shown = tally(Call(), Call(aborted=True))

    assert as_text(shown).splitlines()[1] == (
        "failed, broke off after 2.0 ms /embed: queue 0.1 ms · run 1.9 ms, hello-1, r1"
    )
    assert shown.all.failed == 1
    html = as_html(shown)
    assert (html.count("✓"), html.count("✕"), html.count("broke off · ")) == (1, 1, 1)
    assert "status 200, broke off" in html
    many = tally(*([Call()] * 30), Call(aborted=True, total_ms=9.0))
    assert "1 failed" in as_text(many)
    assert as_html(many).count("✕") == 2  # the line's own, and the row's


def test_transfer_and_stream_are_named_where_they_matter_and_in_the_table_where_they_took_time() -> None:
    shown = tally(
        Call(transfer_ms=31, stream_ms=0.2),
        Call(stream_ms=406, total_ms=408, streamed=True),
        Call(stream_ms=10, total_ms=12),
        Call(stream_ms=0.02, streamed=True),
    )

    assert as_text(shown).splitlines() == [
        "ok 2.0 ms /embed: queue 0.1 ms · transfer 31 ms · run 1.9 ms, hello-1, r1",
        "ok 408 ms /embed: queue 0.1 ms · run 1.9 ms · stream 406 ms, hello-1, r1",
        "ok  12 ms /embed: queue 0.1 ms · run 1.9 ms · answer 10 ms, hello-1, r1",
        "ok 2.0 ms /embed: queue 0.1 ms · run 1.9 ms, hello-1, r1",
    ]
    html = as_html(shown)
    assert [html.count(f">{name}<") for name in ("transfer", "answer", "stream")] == [1, 2, 1]


def test_a_thousand_calls_are_one_line_with_a_bounded_table() -> None:
    shown = tally(*(Call(total_ms=float(n + 1), request_id=str(n)) for n in range(1500)))

    text = as_text(shown)
    assert len(text.splitlines()) == 1
    for part in ("1,500 calls", "p50 750 ms", "p95 1.43 s", "max 1.50 s", "/s"):
        assert part in text
    html = Shape(as_html(shown))
    assert html.seen.count("details") == 1
    assert html.seen.count("tr") == MAX_ROWS + 1
    assert [row.call.request_id for row in shown.all.rows] == [str(n) for n in range(1499, 1499 - MAX_ROWS, -1)]


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
    many = tally(*([Call()] * (MAX_RECORDS + 5))).metadata()["fal_jupyter"]
    assert len(many["calls"]) == MAX_RECORDS
    assert many["calls_total"] == MAX_RECORDS + 5


def test_p95_is_shown_only_where_there_are_twenty_calls() -> None:
    assert MAX_LINES < 19
    assert "p95" not in as_text(tally(*([Call()] * 19)))
    assert "p95" in as_text(tally(*([Call()] * 21)))


def test_times_of_the_summary_are_of_the_calls_that_succeeded() -> None:
    text = as_text(tally(*([Call(total_ms=4.0)] * 10), *([Call(status=500, total_ms=900.0)] * 11)))
    assert "21 calls · p50 4.0 ms · max 4.0 ms" in text
    assert "p50" not in as_text(tally(*([Call(status=500)] * 21)))


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
    timing = CellTiming()
    timing.record(Call())
    timing.begin()
    timing.record(Call(total_ms=60_000))  # began long before this cell
    assert timing.end() is None
    timing.begin()
    timing.record(Call())
    ended = timing.end()
    assert ended is not None
    assert len(ended.all.totals) == 1
    assert timing.end() is None


def test_calls_of_many_threads_are_all_counted() -> None:
    timing = CellTiming()
    timing.begin()
    threads = [threading.Thread(target=lambda: [timing.record(Call()) for _ in range(200)]) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ended = timing.end()
    assert ended is not None
    assert len(ended.all.totals) == 1600


def test_switched_off_nothing_is_recorded() -> None:
    timing = CellTiming()
    timing.enabled = False
    timing.begin()
    timing.record(Call())
    assert timing.end() is None


def mapped(number: int, began: float, total: float, **more: object) -> tuple[Call, float]:
    """A call of a map, and when it ended; *began* in milliseconds."""
    call = Call(item=number, batch=7, total_ms=total, run_ms=2.0, queue_ms=total - 2.0, **more)  # type: ignore[arg-type]
    return call, 10 + (began + total) / 1000


def test_a_map_is_one_line_that_unfolds_as_a_waterfall() -> None:
    shown = Tally(0.0)
    for number in reversed(range(4)):  # whichever ended first
        shown.add(*mapped(number, 0.0, 2.0 + number * 2.0, runner=f"hello-{1 + number % 2}"))
    shown.add(Call(endpoint="/after"), 12.0)

    folded = "ok 8.0 ms /embed.map: 4 calls · p50 4.0 ms · max 8.0 ms · 500/s, r1"
    assert as_text(shown).splitlines() == [folded, "ok 2.0 ms /after:     queue 0.1 ms · run 1.9 ms, hello-1, r1"]
    lines = as_text(shown, unfolded=True).splitlines()
    assert lines[0] == folded
    assert lines[1] == "    0 to 8.0 ms"
    assert lines[2] == "  0 ██████                   2.0 ms  queue 0 · run 2.0 ms, hello-1, r1"
    assert lines[5] == "  3 ░░░░░░░░░░░░░░░░░░██████ 8.0 ms  queue 6.0 ms · run 2.0 ms, hello-2, r1"
    assert lines[6] == "  1.0 ran at once on average. 60 % of their time was waiting for a free runner."
    html = Shape(as_html(shown))
    assert (html.seen.count("details"), html.seen.count("tr")) == (2, 1 + 4 + 4)
    assert "0 to 8.0 ms" in as_html(shown)


def test_a_call_that_began_late_is_drawn_late() -> None:
    shown = Tally(0.0)
    for number, began in enumerate((0.0, 50.0, 98.0)):
        shown.add(*mapped(number, began, 2.0))

    bars = [line[4:28] for line in as_text(shown, unfolded=True).splitlines()[2:5]]
    assert [len(bar) - len(bar.lstrip()) for bar in bars] == [0, 12, 23]
    assert [left in as_html(shown) for left in ("margin-left: 160px", "margin-left: 314px")] == [True, True]


def test_a_failed_item_marks_the_line_of_its_map_and_its_own_row() -> None:
    shown = Tally(0.0)
    for number in range(30):
        shown.add(*mapped(number, 0.0, 2.0 + number, status=500 if number == 29 else 200))

    assert as_text(shown).startswith("failed 31 ms /embed.map: 30 calls")
    assert "  29 " in as_text(shown, unfolded=True).splitlines()[2]
    assert "failed, queue" in as_text(shown, unfolded=True).splitlines()[2]
    assert as_html(shown).count("✕") == 2
    assert "The 20 slowest of 30 calls." in as_html(shown)


def test_many_calls_and_many_maps_of_a_cell_share_a_line() -> None:
    loop = tally(*([Call()] * (MAX_LINES + 1)))
    assert len(as_text(loop).splitlines()) == 1
    maps = Tally(0.0)
    for number in range(MAX_MAPS + 5):
        maps.add(Call(batch=number + 1), 10.0 + number)
    assert len(as_text(maps).splitlines()) == 1
    assert f"{MAX_MAPS + 5} calls" in as_text(maps)


def test_single_calls_before_and_after_a_map_share_a_line_of_their_own() -> None:
    mixed = Tally(0.0)
    for number in range(12):
        if number == 5:
            for item in range(3):
                mixed.add(Call(item=item, batch=1, total_ms=50.0), 10.0)
        mixed.add(Call(total_ms=2.0), 11.0 + number)
    singles, mapped = mixed.lines()
    assert isinstance(singles, Group)
    assert isinstance(mapped, Group)
    assert (list(singles.totals), list(mapped.totals)) == ([2.0] * 12, [50.0] * 3)
    assert (singles.endpoints, mapped.endpoints, mixed.all.endpoints) == ({"/embed": 12}, {"/embed": 3}, {"/embed": 15})


def test_several_maps_of_a_cell_share_the_rows_that_are_saved() -> None:
    shown = Tally(0.0)
    for batch in range(1, 5):
        for item in range(1250):
            shown.add(Call(item=item, batch=batch, total_ms=2.0 + item), 10.0 + item)
    html = Shape(as_html(shown))
    assert html.seen.count("details") == 4
    assert html.seen.count("tr") == 4 * (10 + 1)
    assert "The 10 slowest of 1,250 calls." in as_html(shown)


def test_the_remaining_time_of_a_map_follows_new_runners() -> None:
    # two runners, then four: calls of 3 s
    assert time_left(0, [3.0, 3.01, 4.6, 4.61], 10, 4.61) == pytest.approx(4.4, rel=0.15)
    assert time_left(0, [3.0, 3.01, 4.6, 4.61], 10, 5.61) == pytest.approx(3.4, rel=0.2)
    # two at a time all along, at each moment
    ends = [3.0 * (1 + number // 2) + 0.01 * (number % 2) for number in range(20)]
    for done in range(2, 20, 2):
        assert time_left(0, ends[:done], 20, ends[done - 1]) == pytest.approx(30 - ends[done - 1], rel=0.15, abs=0.1)
    # a fast one after a slow start
    assert time_left(0, [1.0 + 0.01 * number for number in range(500)], 1000, 6.0) == pytest.approx(5, rel=0.25)
    assert time_left(0, [], 10, 4.0) == 0  # nothing is known
    assert time_left(0, [3.0], 2, 60.0) == 0  # overdue
