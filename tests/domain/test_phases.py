"""The transition tables of apps, requests and runners: every move that exists, and that no other changes anything."""

from __future__ import annotations

import itertools

import pytest

from fal_jupyter.domain.fleet.app import FleetApp
from fal_jupyter.domain.fleet.app_phases import APP_MOVES, AppEvent, AppPhase, IllegalAppTransition
from fal_jupyter.domain.requests.request import (
    REQUEST_MOVES,
    FleetRequest,
    IllegalFleetRequestTransition,
    RequestPhase,
)
from fal_jupyter.domain.runners.runner import MOVES, IllegalRunnerTransition, Runner, State
from fal_jupyter.domain.spec import AppSpec

ENDING = {AppPhase.STOPPING, AppPhase.ORPHANED}


def app(phase: AppPhase) -> FleetApp:
    return FleetApp("hello", "L", 1, {1: AppSpec(class_name="Hello", alias="hello")}, phase=phase)


@pytest.mark.parametrize(("phase", "event"), list(itertools.product(AppPhase, AppEvent)))
def test_an_app_moves_by_its_table_or_not_at_all(phase: AppPhase, event: AppEvent) -> None:
    moved = app(phase)
    if event in APP_MOVES[phase]:
        moved.move(event)
        assert moved.phase is APP_MOVES[phase][event]
    else:
        with pytest.raises(IllegalAppTransition, match=f"{event} cannot happen to an app that is {phase}"):
            moved.move(event)
        assert moved.phase is phase


def test_an_app_that_has_ended_never_comes_back() -> None:
    for phase in ENDING:
        assert set(APP_MOVES[phase].values()) <= ENDING


@pytest.mark.parametrize("phase", AppPhase)
def test_an_app_is_in_one_phase_at_a_time(phase: AppPhase) -> None:
    current = app(phase)
    assert [current.is_launching, current.is_unloaded, current.is_stopping].count(True) == (
        phase is not AppPhase.ACTIVE
    )


@pytest.mark.parametrize(("source", "target"), list(itertools.product(RequestPhase, RequestPhase)))
def test_a_request_moves_by_its_table_or_not_at_all(source: RequestPhase, target: RequestPhase) -> None:
    request = FleetRequest("q", "hello", 0, phase=source)
    if target in REQUEST_MOVES[source]:
        request.move(target)
        assert request.phase is target
    else:
        with pytest.raises(IllegalFleetRequestTransition, match=f"q cannot go from {source} to {target}"):
            request.move(target)
        assert request.phase is source


@pytest.mark.parametrize(("source", "target"), list(itertools.product(State, State)))
def test_a_runner_moves_by_its_table_or_not_at_all(source: State, target: State) -> None:
    runner = Runner("hello-1", "hello", 1, source, 5)
    if target in MOVES[source]:
        runner.move(target, 9)
        assert (runner.state, runner.since) == (target, 9)
    else:
        with pytest.raises(IllegalRunnerTransition):
            runner.move(target, 9)
        assert (runner.state, runner.since) == (source, 5)


@pytest.mark.parametrize(
    "moves", [REQUEST_MOVES, MOVES, {phase: set(row.values()) for phase, row in APP_MOVES.items()}]
)
def test_a_table_names_every_state(moves: dict[str, set[str]]) -> None:
    assert set().union(*moves.values()) <= moves.keys()
