"""A lane never shows a runner idle while it ran, and busy only through pauses too short to see."""

from __future__ import annotations

from bisect import bisect_right
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fal_jupyter.domain.runners.runner import Runner, State
from fal_jupyter.domain.timeline.lanes import GONE, IDLE, PAUSE, RUNNING, LaneMoves, Move, coarser, resolution

RUNS = st.lists(st.tuples(st.floats(0.1, 3000), st.floats(0.1, 2000)), min_size=1, max_size=60)
"""Runs of a runner: the pause before each, and how long it took, in milliseconds."""


def lane_of(runs: list[tuple[float, float]], most: int = 10_000, *, looks: bool = True) -> tuple[LaneMoves, list[Move]]:
    """A lane that received runs, and all that happened."""
    lane, at = LaneMoves(most), 0.0
    happened: list[Move] = [(0.0, "PENDING"), (1.0, "SETUP"), (2.0, IDLE)]
    for pause, length in runs:
        at = max(at, 2.0) + pause
        happened += [(at, RUNNING), (at + length, IDLE)]
        at += length
    for moment, state in happened:
        if looks:
            lane.settle(moment)
        lane.enter(state, moment)
    lane.settle(at + PAUSE + 1)
    return lane, happened


def state_at(moves: list[Move], moment: float) -> str:
    return moves[bisect_right([at for at, _ in moves], moment) - 1][1]


@given(RUNS, st.booleans())
def test_a_run_is_never_drawn_idle_and_a_visible_pause_never_busy(runs: list[tuple[float, float]], looks: bool) -> None:
    lane, happened = lane_of(runs, looks=looks)
    for (at, state), (until, _) in pairwise(happened):
        middle = (at + until) / 2
        assert state_at(lane.moves, middle) == state or (state == IDLE and until - at < PAUSE + 1e-6)
    assert [move for move in lane.moves if move not in happened] == []  # each move at its exact time
    assert state_at(lane.moves, 1e12) == IDLE


@given(RUNS, st.integers(8, 30))
@example([(2 * PAUSE, 5.0)] * 20 + [(PAUSE / 2, 5.0)], 8)
def test_however_few_changes_are_stored_a_run_is_never_drawn_idle(runs: list[tuple[float, float]], most: int) -> None:
    lane, happened = lane_of(runs, most)
    assert len(lane.moves) <= most + 1
    assert lane.moves[0] == happened[0]
    for (at, state), (until, _) in pairwise(happened):
        if state != IDLE:
            assert state_at(lane.moves, (at + until) / 2) == state


@given(RUNS)
@example([(2 * PAUSE, 5.0)] * 2)
def test_increments_add_up_to_the_whole_series(runs: list[tuple[float, float]]) -> None:
    lane, increments = LaneMoves(10_000), []
    at = 0.0
    for pause, length in runs:
        for state, more in ((RUNNING, pause), (IDLE, length)):
            at += more
            lane.enter(state, at)
            lane.settle(at)
            increments += lane.take()
    lane.settle(at + PAUSE + 1)
    assert [*increments, *lane.take()] == lane.moves


def test_a_pause_is_reported_late_and_never_lost() -> None:
    lane = LaneMoves(100)
    for state, at in ((IDLE, 0), (RUNNING, 100), (IDLE, 105)):
        lane.enter(state, at)
    lane.settle(105 + PAUSE / 2)
    assert (lane.moves, lane.settled) == ([(0, IDLE), (100, RUNNING)], False)
    lane.settle(105 + PAUSE)
    assert (lane.moves, lane.settled) == ([(0, IDLE), (100, RUNNING), (105, IDLE)], True)
    lane.enter(RUNNING, 500)
    lane.enter(IDLE, 510)
    lane.enter("TERMINATING", 520)  # a pause that ends otherwise is one
    lane.enter(GONE, 515)  # clocks that disagree do not turn a lane back
    lane.enter(GONE, 530)  # a state that is entered again is one
    assert lane.moves[3:] == [(500, RUNNING), (510, IDLE), (520, "TERMINATING"), (520, GONE)]


@pytest.mark.parametrize(("age", "pause"), [(0, PAUSE), (60_000, PAUSE), (60_001, 1000), (300_000, 1000), (1e9, 6000)])
def test_older_pauses_have_to_be_longer(age: float, pause: float) -> None:
    assert resolution(age) == pause


def test_a_lane_without_pauses_is_not_shortened() -> None:
    moves: list[Move] = [(0, "PENDING"), (1, "SETUP"), (2, RUNNING), (3, "DRAINING"), (4, "TERMINATING"), (5, GONE)]
    assert coarser(moves, 10, 2) == moves
    assert coarser([(0, IDLE), (1, RUNNING), (2, IDLE)], 10, 1) == [(0, IDLE), (1, RUNNING), (2, IDLE)]


@given(st.lists(st.tuples(st.integers(1, 400), st.sampled_from(["call", "call", "call", "read"])), max_size=60))
def test_what_a_runner_does_not_note_no_lane_would_have_shown(steps: list[tuple[int, str]]) -> None:
    """Two lanes: of the moves that the runner noted, and of all moves that it made."""
    runner = Runner("a-1", "a", 1, State.PENDING, 0)
    noted, all_moves = LaneMoves(1000), LaneMoves(1000)
    made: list[tuple[int, str]] = [(0, "PENDING")]

    def read(now: int) -> None:
        for at, state in made:
            all_moves.enter(state, at)
        made.clear()
        while runner.moved:
            moment, _, state = runner.moved.popleft()
            noted.enter(str(state), moment // 1_000_000)
        for lane in (noted, all_moves):
            lane.settle(now)

    now = 0
    for state in (State.SETUP, State.IDLE):
        now += 10
        runner.move(state, now * 1_000_000)
        made.append((now, str(state)))
    for pause, what in steps:
        now += pause
        if what == "read":
            read(now)
        elif runner.state is State.IDLE:
            runner.resume(now * 1_000_000)
            runner.served += 1
            made.append((now, "RUNNING"))
        else:
            runner.enter(State.IDLE, now * 1_000_000)
            made.append((now, "IDLE"))
    read(now + 1000)
    assert noted.moves == all_moves.moves
