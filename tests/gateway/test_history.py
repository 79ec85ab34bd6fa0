"""What is kept of ended requests, and of time: in bounded memory, nothing sent twice, nothing that was shown left hanging."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from fal_jupyter.domain.fleet.app import FleetApp
from fal_jupyter.domain.runners.runner import Runner, State
from fal_jupyter.domain.spec import AppSpec, Scaling
from fal_jupyter.domain.timeline.lanes import GONE
from fal_jupyter.gateway.devices.resource_usage import MemoryUse, ResourceUsage, used_by
from fal_jupyter.gateway.engine.request_history import (
    BODIES_BOUND,
    AppHistory,
    RecordedRequest,
    RequestHistory,
    body_of,
    displays_of,
)
from fal_jupyter.gateway.feed.timelines import AppTimeline
from fal_jupyter.gateway.requests.request_description import RequestDescription
from fal_jupyter.gateway.requests.request_timestamps import RequestClock, RequestTimestamps
from fal_jupyter.protocol.feed import (
    MAX_ENDPOINTS,
    MAX_LANES,
    MAX_MOVES,
    MAX_POINTS,
    MAX_REQUESTS,
    MAX_USAGE_SAMPLES,
)


def ended(number: int, size: int = 0, *, alias: str = "a", name: str = "", **record: Any) -> Any:
    """A request that has ended, as far as the history looks at one."""
    name = name or f"q{number}"
    origin, head = record.pop("origin", "http"), record.pop("head", b"")
    description = RequestDescription(id=name, alias=alias, head=head, cell=(7, "c-1"), origin=origin)
    kept = {
        "status": 200, "bytes_sent": 0, "content_type": "", "error": None, "detail": "", "displays": [], "displays_size": 0, "body": lambda: b"",
    }  # fmt: skip
    return SimpleNamespace(
        id=name,
        alias=alias,
        description=description,
        revision=1,
        runner_id="a-1",
        dispatched=True,
        body=SimpleNamespace(sample=b"x" * size, bytes_received=size, kept=None),
        record=SimpleNamespace(**(kept | record)),
        clock=SimpleNamespace(at=lambda now: RequestTimestamps(now - 0.01, now, now, 0.0, False, now, now, now)),
    )


def test_only_the_latest_requests_of_an_app_are_stored_and_all_are_counted() -> None:
    history = RequestHistory(60)
    for number in range(MAX_REQUESTS + 50):
        history.ended(ended(number))
    kept = history.apps["a"].requests
    assert [kept[0].id, kept[-1].id, len(kept)] == ["q50", f"q{MAX_REQUESTS + 49}", MAX_REQUESTS]
    assert history.apps["a"].stats(10**9)["calls"] == MAX_REQUESTS + 50
    assert history.find("q0") is None
    assert history.find("q60") is not None


def test_a_load_drops_its_own_requests_first_as_long_as_they_are_more_than_half() -> None:
    history = RequestHistory(60)
    history.ended(ended(0))
    for number in range(1, MAX_REQUESTS + 50):
        history.ended(ended(number, origin="load"))
    kept = history.apps["a"].requests
    assert [kept[0].id, kept[1].id, len(kept)] == ["q0", "q51", MAX_REQUESTS]
    for number in range(MAX_REQUESTS):
        history.ended(ended(number, name=f"by-hand-{number}"))
    assert len(kept) == MAX_REQUESTS
    assert {one.id.rpartition("-")[0] for one in kept} == {"by-hand"}


def test_a_request_has_the_total_that_its_caller_got() -> None:
    clock = RequestClock(began=1.0, arrived=1.0, dispatched=1.0, ran_from=1.0, first_byte=1.030)
    clock.ended = 1.039

    assert clock.at(1.042).timing()["total_ms"] == 39.0
    assert clock.at(1.042).timing()["stream_ms"] == 9.0


def test_a_runner_that_answers_after_the_gateway_has_streams_nothing() -> None:
    clock = RequestClock(began=1.0, arrived=1.0, dispatched=1.0, ran_from=1.0)
    clock.ended = 2.0  # the gateway's answer: request_timeout, or a cancellation
    clock.first_byte = 3.0

    timing = clock.at(3.5).timing()
    assert (timing["run_ms"], timing["stream_ms"], timing["total_ms"]) == (1000.0, 0.0, 1000.0)


def test_displayed_pictures_count_as_bodies_and_leave_their_text() -> None:
    history, picture = RequestHistory(60), b"x" * (4 << 20)
    for number in range(10):
        history.ended(
            ended(number, displays=[("image/png", picture, f"<Figure {number}>")], displays_size=len(picture))
        )
    kept = [displays_of(one.displays)[0] for one in history.apps["a"].requests]
    assert [bool(one["base64"]) for one in kept] == [False] * 2 + [True] * 8
    assert kept[0]["text"] == "<Figure 0>"


def test_bodies_are_bounded_over_all_apps_the_oldest_go_first() -> None:
    history, size = RequestHistory(60), 64 * 1024
    for number in range(150):
        for alias in "abcdefgh":
            history.ended(ended(number, size, alias=alias, name=f"{alias}{number}"))
    first, last = history.find("a0"), history.find("h149")
    assert first is not None
    assert last is not None
    assert (first.input(), len(last.request_body)) == (None, size)
    kept = sum(len(one.request_body) for app in history.apps.values() for one in app.requests)
    assert kept <= BODIES_BOUND
    history.forget("h")
    assert history.find("h149") is None


def test_news_are_the_latest_and_the_end_of_what_was_shown_is_never_skipped() -> None:
    history = RequestHistory(3)
    history.take_new({"q0"})  # it was told as running
    for number in range(10):
        history.ended(ended(number))
    fresh, skipped = history.take_new(set())
    assert ([one.id for one in fresh], skipped) == (["q0", "q7", "q8", "q9"], 6)
    assert history.take_new(set()) == ([], 0)


def test_figures_of_time_are_of_the_last_spans_only() -> None:
    app = AppHistory()
    for second in (1000, 1000, 1004, 1299):
        app.count(ended_kept(), second)
    stats = app.stats(1299)
    assert (sum(stats["spark"]), stats["spark"][-1], stats["rate"]) == (4, 1, 0.1)
    assert sum(app.stats(1304)["spark"]) == 1
    assert not app.quiet(1500)
    assert app.quiet(1700)


def test_each_endpoint_has_its_own_figures_and_a_path_without_one_has_none() -> None:
    app = AppHistory()
    for path, status, took in (("/a", 200, 0.01), ("/b", 500, 0.2), ("/b", 499, 0.4), ("/no", 404, 0.01)):
        app.count(ended_kept(path=path, status=status, took=took), 1000)
    found = app.by_endpoint(1000)
    assert [(one["path"], one["calls"], one["failed"], one["cancelled"], one["p50_ms"], one["max_ms"]) for one in found] == [
        ("/a", 1, 0, 0, 10.0, 10.0), ("/b", 2, 1, 1, 0.0, 0.0),
    ]  # fmt: skip
    assert [one["spark"][-1] for one in found] == [1, 2]
    assert app.stats(1000)["calls"] == 4
    for number in range(100):
        app.count(ended_kept(path=f"/{number}", took=1), 1000)
    assert len(app.by_endpoint(1000)) == MAX_ENDPOINTS


def test_times_are_of_the_calls_that_succeeded_for_the_app_and_for_its_endpoints() -> None:
    app = AppHistory()
    for took in (0.01, 0.02, 0.03):
        app.count(ended_kept(took=took), 1000)
    for _ in range(10):  # refused at once
        app.count(ended_kept(status=422, took=0.001), 1000)
    app.count(ended_kept(status=499, took=9), 1000)
    app.count(ended_kept(detail="the runner ended", took=9), 1000)  # a stream that broke off
    for figures in (app.stats(1000), *app.by_endpoint(1000)):
        assert [figures[name] for name in ("calls", "failed", "cancelled", "sample")] == [15, 11, 1, 3]  # type: ignore[literal-required]
        assert [figures[name] for name in ("p50_ms", "p95_ms", "max_ms")] == [20.0, 30.0, 30.0]  # type: ignore[literal-required]


def test_usage_of_runners_is_summed_and_stored_for_half_an_hour() -> None:
    runners = [Runner(f"a-{n}", "a", 1, State.IDLE, 0, devices=("g0", f"g{n}")) for n in (1, 2)]
    usage = ResourceUsage(
        runners={"a-1": MemoryUse(100, 30), "a-2": MemoryUse(50), "b-1": MemoryUse(7)},
        cpu={"a-1": 90.0, "a-2": 12.5},
        devices={"g0": (10, 40.0), "g1": (5, -1.0), "g2": (1, 20.0)},
    )
    assert used_by(runners, usage) == [150, 102.5, 30.0, 16]
    assert used_by(runners[:1], ResourceUsage()) == [0, 0, -1.0, 0]
    timeline = AppTimeline()
    for at in range(MAX_USAGE_SAMPLES + 50):
        timeline.measured(at, [100, 1, -1, 0])
    assert [len(timeline.whole()["usage"]), timeline.whole()["usage"][0][0]] == [MAX_USAGE_SAMPLES, 50]
    assert timeline.news() is not None
    for at in (1000, 1001, 1002):  # no runner is left: one zero says so
        timeline.measured(at, [0, 0, -1, 0])
    news = timeline.news()
    assert news is not None
    assert news["usage"] == [[1000, 0, 0, -1, 0]]
    assert len(timeline.thin(1003)["usage"]) <= 67


def ended_kept(*, path: str = "/", status: int = 200, took: float = 0.02, detail: str = "") -> Any:
    description: Any = SimpleNamespace(path=path)
    return RecordedRequest(
        "id", "hello", description, RequestTimestamps(0, 0, 0, 0, False, 0, 0, took), cold=False, status=status,
        revision=1, runner="", bytes_in=0, bytes_out=0, content_type="", error=None, detail=detail, request_body=b"", response_body=b"",
        displays=[], kept_input=None, size=0,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("data", "size", "text", "cut"),
    [(b"abc", 3, "abc", False), ("aä".encode()[:2], 3, "a", True), (b"", 0, "", False)],
)
def test_a_body_is_text_where_it_is_text(data: bytes, size: int, text: str, cut: bool) -> None:
    body = body_of(data, "text/plain", size)
    assert body is not None
    assert (body["text"], body["base64"], body["truncated"]) == (text, "", cut)


def test_a_body_that_is_not_text_or_not_stored() -> None:
    body = body_of(b"\xff\x00", "image/png", 2)
    assert body is not None
    assert body["base64"] == "/wA="
    assert body_of(b"", "text/plain", 5) is None


# --- timelines --------------------------------------------------------------------------------------------------------
def test_lanes_and_moves_are_bounded_and_the_ended_go_first() -> None:
    timeline = AppTimeline()
    runners = [Runner(f"a-{number}", "a", 1, State.PENDING, number) for number in range(MAX_LANES + 5)]
    for number, runner in enumerate(runners):
        timeline.moved(runner, "PENDING", number)
        if number != 3:
            timeline.moved(runner, GONE, number + 0.5)
    assert len(timeline.lanes) == MAX_LANES
    assert "a-3" in timeline.lanes  # the one that lives
    for at in range(MAX_MOVES * 3):
        timeline.moved(runners[3], "IDLE" if at % 2 else "RUNNING", 1000 + at * 600)
        timeline.observe([], 1000 + at * 600)
    lane = next(lane for lane in timeline.whole()["lanes"] if lane["id"] == "a-3")
    assert 200 < len(lane["moves"]) <= MAX_MOVES
    assert lane["moves"][0] == (3, "PENDING")
    assert len(timeline.thin(1e7)["lanes"][-1]["moves"]) <= 32


def test_a_saved_timeline_has_the_runners_that_lived_last_and_counts_the_others() -> None:
    timeline = AppTimeline()
    runners = [Runner(f"a-{number}", "a", 1, State.PENDING, number) for number in range(12)]
    for number, runner in enumerate(runners):
        timeline.moved(runner, "IDLE", number)
    for number, runner in enumerate(runners[1:]):
        timeline.moved(runner, GONE, 100 + number)
    saved = timeline.thin(1000)
    assert [lane["id"] for lane in saved["lanes"]] == ["a-0", *(f"a-{number}" for number in range(5, 12))]
    assert saved["older_runners"] == 4


def test_runners_whose_lane_is_dropped_are_counted_until_they_have_one_again() -> None:
    timeline = AppTimeline()
    runners = [Runner(f"a-{number}", "a", 1, State.PENDING, number) for number in range(MAX_LANES + 20)]
    for number, runner in enumerate(runners[:-10]):
        timeline.moved(runner, "IDLE", number)
        if number >= 5:
            timeline.moved(runner, GONE, number + 0.5)
    assert timeline.thin(1000)["older_runners"] == MAX_LANES + 10 - 8
    for number, runner in enumerate(runners[:5] + runners[-10:]):
        timeline.moved(runner, "RUNNING", 2000 + number)
    assert len(timeline.lanes) == MAX_LANES
    assert timeline.thin(3000)["older_runners"] == MAX_LANES + 20 - 8


def test_a_living_runner_without_a_lane_is_counted_once() -> None:
    timeline = AppTimeline()
    runners = [Runner(f"a-{number}", "a", 1, State.PENDING, number) for number in range(MAX_LANES + 3)]
    for at in (0, 1000):  # all live, and each gets a lane again when it moves
        for number, runner in enumerate(runners):
            timeline.moved(runner, "RUNNING" if at else "IDLE", at + number)
            assert timeline.thin(5000)["older_runners"] == max(0, (len(runners) if at else number + 1) - 8)
    for number, runner in enumerate(runners):
        timeline.moved(runner, GONE, 3000 + number)
    assert timeline.thin(5000)["older_runners"] == len(runners) - 8
    assert timeline._living_dropped == set()


def test_older_points_are_thinned_and_no_peak_is_lost() -> None:
    app, timeline = (
        FleetApp("a", "L", 1, {1: AppSpec(class_name="A", alias="a", scaling=Scaling(max_multiplexing=9))}),
        AppTimeline(),
    )
    runner = Runner("a-1", "a", 1, State.PENDING, 0)
    for at in range(MAX_POINTS * 3):
        requests = 9 if at == 77 else at % 2
        timeline.moved(runner, "RUNNING" if requests else "IDLE", at * 300.0)
        app.in_flight = {str(n): None for n in range(requests)}  # type: ignore[misc]
        timeline.observe([app], at * 300.0)
    points = timeline.whole()["points"]
    assert len(points) <= MAX_POINTS
    assert (points[0][0], points[-1][0]) == (0.0, (MAX_POINTS * 3 - 1) * 300.0)
    assert max(point[2] for point in points) == 9


def test_new_entries_of_a_timeline_are_reported_once() -> None:
    app = FleetApp("a", "L", 1, {1: AppSpec(class_name="A", alias="a")})
    timeline = AppTimeline()
    timeline.observe([app], 1.0)
    app.runners["a-1"] = runner = Runner("a-1", "a", 1, State.PENDING, 5)
    timeline.moved(runner, "PENDING", 2.0)
    app.remember(7, "1 wanted, 0 there", "up", 1)
    timeline.observe([app], 2.0)
    timeline.observe([app], 3.0)  # nothing changed
    news = timeline.news()
    assert news is not None
    assert [point[0] for point in news["points"]] == [1.0, 2.0]
    assert [(d["kind"], d["before"], d["after"]) for d in news["decisions"]] == [("up", 1, 2)]
    assert [lane["id"] for lane in news["lanes"]] == ["a-1"]
    assert timeline.news() is None
    assert timeline.whole()["points"] == news["points"]
    for at in range(MAX_POINTS * 2):
        timeline.moved(runner, "IDLE" if at % 2 else "RUNNING", 10.0 + 300 * at)
        timeline.observe([app], 10.0 + 300 * at)
    assert MAX_POINTS / 2 < len(timeline.whole()["points"]) <= MAX_POINTS
    assert len(timeline.thin(9000.0)["points"]) <= 180


class Kept:
    """A kept input, as far as the history has to do with it."""

    def __init__(self, outline: bytes | None = None) -> None:
        self.outline, self.released = outline, 0

    def release(self) -> None:
        self.released += 1


def test_a_kept_input_ends_with_its_record_with_its_app_and_with_an_unfinished_body() -> None:
    history, oldest, later, broken = RequestHistory(60), Kept(b"{}"), Kept(), Kept(b"{}")
    for number, kept in enumerate((oldest, later, broken)):
        request = ended(number, 1000)
        request.body = SimpleNamespace(sample=b"x" * 1000, bytes_received=1000, kept=kept, is_read=kept is not broken)
        history.ended(request)
    assert [oldest.released, later.released, broken.released] == [0, 0, 1]
    first = history.find("q0")
    assert first is not None
    assert (first.request_body, first.size) == (b"{}", 2)  # the outline takes the place of the beginning
    for number in range(3, MAX_REQUESTS + 1):
        history.ended(ended(number))
    assert [oldest.released, later.released, broken.released] == [1, 0, 1]
    history.forget("a")
    assert [oldest.released, later.released, broken.released] == [1, 1, 1]
