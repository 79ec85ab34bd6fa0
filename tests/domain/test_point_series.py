"""The charts of requests and runners show what the lanes show, at every moment."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from itertools import pairwise

from hypothesis import example, given
from hypothesis import strategies as st

from fal_jupyter.domain.timeline.lanes import GONE, IDLE, PAUSE, RUNNING, LaneMoves, resolution
from fal_jupyter.domain.timeline.point_series import COARSEST, Point, PointSeries, coarser_points

STATES = ("PENDING", "SETUP", "IDLE", "RUNNING", "DRAINING", "TERMINATING")
COURSES = st.lists(
    st.lists(st.tuples(st.floats(1, 2000), st.floats(1, 2000)), min_size=1, max_size=12), min_size=1, max_size=4
)
"""For each runner the pause before each of its calls and how long it took, in milliseconds."""
Move = tuple[float, str, str]


def moves_of(courses: list[list[tuple[float, float]]]) -> list[Move]:
    """Each runner's moves, in order of time."""
    moves: list[Move] = []
    for number, calls in enumerate(courses):
        name, at = f"a-{number}", float(number)
        moves += [(at, name, "PENDING"), (at + 1, name, "SETUP"), (at + 2, name, IDLE)]
        at += 2
        for pause, length in calls:
            moves += [(at + pause, name, RUNNING), (at + pause + length, name, IDLE)]
            at += pause + length
        if number % 2:
            moves += [(at + 5, name, "TERMINATING"), (at + 9, name, GONE)]
    return sorted(moves)


class Chart:
    """Lanes and the series that follows them, as the gateway's timeline feeds them."""

    def __init__(self, most: int = 100_000) -> None:
        self.series, self.lanes = PointSeries(STATES, most), dict[str, LaneMoves]()
        self.taken: list[Point] = []

    def see(self, moves: list[Move], at: float, running: int, slots: int = 1) -> None:
        for moment, name, state in moves:
            for added in self.lanes.setdefault(name, LaneMoves(100_000)).enter(state, moment):
                self.series.move(name, added[1], added[0])
        self.series.sample(at, 0, running, slots)
        for name, lane in self.lanes.items():
            for moment, state in lane.settle(at):
                self.series.move(name, state, moment)
        self.series.settle(min((lane.known_until for lane in self.lanes.values()), default=at))
        self.taken += self.series.take()

    def shown(self, moment: float) -> Counter[str]:
        """What the lanes show."""
        states = Counter[str]()
        for lane in self.lanes.values():
            if number := bisect_right([at for at, _ in lane.moves], moment):
                states[lane.moves[number - 1][1]] += 1
        del states[GONE]
        return states


def value_at(points: list[Point], moment: float) -> list[float]:
    number = bisect_right([point[0] for point in points], moment)
    return points[number - 1][1:] if number else [0.0] * (2 + len(STATES))


def drawn(moves: list[Move], every: float, most: int = 100_000, slots: int = 1) -> tuple[Chart, float]:
    """A chart that was looked at each so many milliseconds, and when it was looked at last."""
    chart, busy, at, end = Chart(most), set[str](), 0.0, moves[-1][0] + 2 * PAUSE + 2 * every
    while at < end:
        at += every
        some = [move for move in moves if at - every < move[0] <= at]
        for _, name, state in some:
            (busy.add if state == RUNNING else busy.discard)(name)
        chart.see(some, at, len(busy), slots)
    return chart, at


@given(COURSES, st.floats(20, 700), st.sampled_from([1, 5]))
def test_at_every_moment_the_chart_agrees_with_the_lanes(
    courses: list[list[tuple[float, float]]], every: float, slots: int
) -> None:
    moves = moves_of(courses)
    chart, end = drawn(moves, every, slots=slots)
    assert chart.taken == chart.series.points  # who follows has what comes as a whole
    assert all(two[0] > one[0] for one, two in pairwise(chart.taken))
    moments = sorted({at for lane in chart.lanes.values() for at, _ in lane.moves} | {end})
    for one, two in pairwise(moments):
        if two - one < 1:
            continue
        lanes, (_, running, *states) = chart.shown((one + two) / 2), value_at(chart.taken, (one + two) / 2)
        assert dict(zip(STATES, states, strict=True)) == {state: lanes[state] for state in STATES}
        assert (running > 0) == (lanes[RUNNING] > 0) or lanes["TERMINATING"]
        assert running >= lanes[RUNNING]
        if slots == 1:
            assert running <= lanes[RUNNING] + lanes["TERMINATING"]


@given(COURSES, st.integers(2, 40))
@example([[(300.0, 50.0)] * 6] * 2, 2)
def test_however_few_points_are_stored_they_are_correct(courses: list[list[tuple[float, float]]], most: int) -> None:
    moves = moves_of(courses)
    chart, end = drawn(moves, 100)
    bounded, _ = drawn(moves, 100, most)
    for points in (coarser_points(chart.taken, end, most), bounded.series.points):
        assert len(points) <= most
        assert points[-1][1:] == chart.taken[-1][1:]
        recent = [point for point in chart.taken if point[0] >= points[0][0]]
        assert max(point[2] for point in points) >= max(point[2] for point in recent)
        for one, two in pairwise(chart.taken):  # a time without requests that is longer than what may be merged
            middle, merged = (one[0] + two[0]) / 2, COARSEST * resolution(end - one[0])
            if one[2] == 0 and two[0] - one[0] > 2 * merged:
                assert value_at(points, middle)[1] == 0


def test_minutes_without_a_call_stay_minutes_without_a_call() -> None:
    moves = moves_of([[(120_000.0, 30.0)] * 40])
    chart, end = drawn(moves, 1000)
    points = coarser_points(chart.taken, end, 60)
    assert len(points) == 60
    calls = [(at, until) for (at, _, state), (until, _, _) in pairwise(moves) if state == RUNNING]
    for at, until in calls:
        values = [value_at(points, moment)[1] for moment in (at - 1, (at + until) / 2, until + 1)]
        assert values == [0, at >= points[0][0], 0]


def test_requests_in_flight_follow_the_busy_runners_between_two_samples() -> None:
    series = PointSeries(STATES, 100)
    series.move("a", IDLE, 0.0)
    series.sample(0.0, 0, 0, 4)
    series.move("a", RUNNING, 10.0)
    series.sample(20.0, 2, 3, 4)
    series.move("a", IDLE, 30.0)
    series.sample(40.0, 0, 0, 4)
    series.settle(40.0)
    assert [point[:3] for point in series.points] == [[0, 0, 0], [10, 0, 1], [20, 2, 3], [30, 2, 0], [40, 0, 0]]
    series.move("a", RUNNING, 50.0)
    series.sample(50.0, 0, 4, 4)
    series.move("a", "DRAINING", 60.0)
    series.settle(60.0)
    assert series.points[-1][:3] == [60, 0, 4]  # a draining runner keeps what it has
    assert (series.has_news, len(series.take()), series.has_news) == (True, 7, False)
    series.move("a", "TERMINATING", 60.0)  # at the moment of a point that was taken
    series.settle(60.0)
    assert [point[0] for point in series.take()] == [60.1]
