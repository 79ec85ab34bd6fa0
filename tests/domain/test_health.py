"""Health checks and hints of runners, on the virtual clock."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fal_jupyter.domain.durations import SECOND
from fal_jupyter.domain.events import (
    CheckRunnerHealth,
    DispatchRequest,
    HealthCheckCompleted,
    HealthCheckRequested,
    LogRunnerRemark,
    RequestArrived,
    RequestFinished,
    RunnerExited,
    RunnerHintsChanged,
    RunnerReady,
    RunnerSpawned,
    RunnerStopRequested,
    StartRunner,
    StopRunner,
)
from fal_jupyter.domain.runners.health import EVERY, Health, HealthRules
from fal_jupyter.domain.spec import AppSpec
from tests.domain.test_fleet import World

RULES = HealthRules(path="/health", start_period=60)


@pytest.fixture
def world() -> World:
    return World()


def checked(world: World, healthy: bool, detail: str = "answered 500") -> list[Any]:
    return world.handle(HealthCheckCompleted("hello-1", healthy, detail))


def test_a_check_comes_every_fifteen_seconds_and_three_failures_after_the_start_period_replace_the_runner(
    world: World,
) -> None:
    world.serve(health=RULES, min_concurrency=1)
    ready = world.now
    for number in range(1, 4):  # within the start period: told, and of no consequence
        assert world.sleep() == [CheckRunnerHealth("hello-1", RULES)]
        assert world.now == ready + number * EVERY
        assert checked(world, healthy=False) == []
    for _ in range(2):
        assert world.sleep() == [CheckRunnerHealth("hello-1", RULES)]
        assert checked(world, healthy=False) == []
    world.sleep()
    why = "its health check failed (answered 500)"
    assert checked(world, healthy=False) == [StopRunner("hello-1", why), StartRunner("hello-2", "hello", 1)]


def test_an_answer_in_between_begins_the_count_anew(world: World) -> None:
    world.serve(health=HealthRules(path="/health", start_period=0, threshold=2), min_concurrency=1)
    for healthy in (False, True, False, True):
        world.sleep()
        assert checked(world, healthy) == []
    assert world.fleet.runner("hello-1").health.failures == 0  # type: ignore[union-attr]


def test_a_busy_runner_finishes_what_it_has(world: World) -> None:
    world.serve(
        health=HealthRules(path="/health", start_period=0, threshold=1),
        max_multiplexing=2,
        request_timeout=600,
        min_concurrency=1,
    )
    world.handle(RequestArrived("hello", "a"))
    world.sleep()
    commands = checked(world, healthy=False)

    why = "its health check failed (answered 500)"
    assert commands == [
        LogRunnerRemark("hello-1", f"{why}; it gets no new requests"),
        StartRunner("hello-2", "hello", 1),
    ]
    assert world.handle(RequestFinished("a", False))[0] == StopRunner("hello-1", "its last request is answered")


def test_a_check_requested_by_the_app_needs_one_failure(world: World) -> None:
    rules = HealthRules(path="/health", regularly=False)
    world.serve(health=rules, min_concurrency=1)
    world.handle(RequestArrived("hello", "a"))
    world.handle(RequestFinished("a", False))
    assert world.handle(HealthCheckRequested("hello-1")) == []
    assert world.sleep() == [CheckRunnerHealth("hello-1", rules)]
    assert world.handle(HealthCheckRequested("hello-1")) == []  # another while that is on its way: once more after it
    assert checked(world, healthy=True) == []
    assert world.sleep() == [CheckRunnerHealth("hello-1", rules)]
    assert checked(world, healthy=False)[0] == StopRunner("hello-1", "its health check failed (answered 500)")
    assert world.handle(HealthCheckRequested("hello-1")) == []  # it is leaving
    assert checked(world, healthy=False) == []


def test_without_health_rules_no_check_runs(world: World) -> None:
    world.serve()
    assert world.handle(HealthCheckRequested("hello-1")) == []
    assert checked(world, healthy=False) == []
    assert world.fleet.runner("hello-1").health is None  # type: ignore[union-attr]
    for event in (HealthCheckRequested("no"), HealthCheckCompleted("no", False), RunnerHintsChanged("no", frozenset())):
        assert world.handle(event) == []


def test_a_draining_runner_is_not_checked(world: World) -> None:
    world.serve(health=RULES, max_multiplexing=2, termination_grace_period_seconds=30)
    world.handle(RunnerStopRequested("hello-1"))
    assert world.sleep() == []  # when its check would have been due
    assert world.fleet.runner("hello-1").health is None  # type: ignore[union-attr]


def test_a_runner_of_a_revision_that_is_forgotten_is_left_alone(world: World) -> None:
    world.serve(health=HealthRules(path="/health", start_period=0, threshold=1), min_concurrency=1)
    runner = world.fleet.runner("hello-1")
    assert runner is not None
    app = world.fleet.apps["hello"]
    app.specs = {app.revision: AppSpec(class_name="Hello", alias="hello", scaling=app.scaling)}
    assert checked(world, healthy=False) == []
    assert not [command for command in world.sleep() if isinstance(command, CheckRunnerHealth)]


def test_five_unhealthy_runners_in_a_minute_open_the_circuit(world: World) -> None:
    world.serve(health=HealthRules(path="/health", regularly=False), min_concurrency=1)
    for number in range(1, 6):
        name = f"hello-{number}"
        world.handle(HealthCheckRequested(name))
        world.sleep()
        world.handle(HealthCheckCompleted(name, False, "answered 500"))
        world.handle(RunnerExited(name, "exited with status 0"))
        if number < 5:
            world.handle(RunnerSpawned(f"hello-{number + 1}"))
            world.handle(RunnerReady(f"hello-{number + 1}"))
    assert world.fleet.apps["hello"].backoff.failures == 1


@given(
    st.lists(st.tuples(st.booleans(), st.integers(1, 20)), max_size=30),
    st.integers(0, 5),
    st.integers(0, 120),
)
def test_a_runner_is_unhealthy_exactly_after_that_many_failures_in_a_row(
    answers: list[tuple[bool, int]], threshold: int, start: int
) -> None:
    rules, health, now, failures = HealthRules(path="/", threshold=threshold, start_period=start), Health(0), 0, 0
    health.begin(rules, now)
    for healthy, seconds in answers:
        now += seconds * SECOND
        health.begin_check()
        verdict = health.answered(rules, healthy, now)
        failures = 0 if healthy else failures + (now >= start * SECOND)
        assert verdict == (not healthy and failures >= max(1, threshold))
        assert health.due == now + EVERY


def test_a_request_goes_to_the_runner_that_matches_its_hint(world: World) -> None:
    world.serve(min_concurrency=2, max_concurrency=2, max_multiplexing=2)
    world.handle(RunnerSpawned("hello-2"))
    world.handle(RunnerReady("hello-2"), after=1)
    world.handle(RunnerHintsChanged("hello-1", frozenset({"flux", "sdxl"})))
    assert world.handle(RequestArrived("hello", "a")) == [DispatchRequest("a", "hello-2")]  # the one used last
    assert world.handle(RequestArrived("hello", "b", hint="flux")) == [DispatchRequest("b", "hello-1")]
    assert world.handle(RequestArrived("hello", "c", hint="flux")) == [DispatchRequest("c", "hello-1")]
    assert world.handle(RequestArrived("hello", "d", hint="flux")) == [
        DispatchRequest("d", "hello-2")
    ]  # never waits for it
    world.handle(RequestArrived("hello", "e", hint="other"))
    world.handle(RequestArrived("hello", "f", hint="flux"))
    assert world.handle(RequestFinished("d", False)) == [DispatchRequest("e", "hello-2")]
    assert world.handle(RequestFinished("c", False)) == [DispatchRequest("f", "hello-1")]


def test_rules_travel_as_json() -> None:
    spec = AppSpec(class_name="Hello", alias="hello", health=RULES)
    assert AppSpec.from_json(spec.to_json()) == spec
    assert AppSpec.from_json({**spec.to_json(), "health": {"path": "/x", "unknown": 1}}).health == HealthRules(
        path="/x"
    )
