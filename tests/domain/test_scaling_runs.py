"""Properties of single steps of the scaling policy (P6, P7, P9, P11) and of whole runs (P12–P14, P16), on a virtual clock."""

from __future__ import annotations

import heapq
import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fal_jupyter.domain import events as m
from fal_jupyter.domain.fleet.fleet import Fleet
from fal_jupyter.domain.runners.runner import READY, STARTING, SUPPLY, State
from fal_jupyter.domain.scaling import policy
from fal_jupyter.domain.scaling.policy import (
    SECOND,
    Cancel,
    Drain,
    Kill,
    Observation,
    Start,
    Terminate,
    Wake,
    decide,
)
from fal_jupyter.domain.spec import AppSpec, Scaling
from tests.domain.test_scaling import applied, configs, observations, s, supply
from tests.support.examples import examples


# --- steps ------------------------------------------------------------------------------------------------------------
@given(configs, observations())
def test_p6_stops_never_reduce_supply_below_the_floor(config: Scaling, obs: Observation) -> None:
    decision = decide(config, obs)
    current = {r.id for r in obs.runners if r.revision == obs.revision and r.state in SUPPLY}
    outlived = sum(isinstance(a, Kill) and a.limit == "startup" and a.runner_id in current for a in decision.actions)
    stopped = sum(isinstance(a, Terminate | Cancel | Drain) and a.runner_id in current for a in decision.actions)

    assert not stopped or supply(obs) - outlived - stopped >= min(decision.keep, config.max_concurrency)


@given(configs, observations())
@settings(max_examples=examples(400))
def test_p7_deciding_again_at_once_adds_nothing_but_what_an_end_made_room_for(
    config: Scaling, obs: Observation
) -> None:
    first = decide(config, obs)
    ended = any(isinstance(a, Cancel | Kill | Terminate | Drain) for a in first.actions)
    again = decide(config, applied(config, obs, first))

    more = [a for a in again.actions if not (ended and isinstance(a, Start))]
    old = {r.id for r in obs.runners if r.revision != obs.revision}
    assert [a for a in more if not (isinstance(a, Terminate | Cancel | Drain) and a.runner_id in old)] == []


@given(configs, st.integers(0, 60))
def test_p9_more_of_anything_wants_no_fewer_runners_and_more_multiplexing_no_more(config: Scaling, volume: int) -> None:
    wanted = policy.target(config, volume)
    for more in (
        replace(config, concurrency_buffer=config.concurrency_buffer + 1),
        replace(config, concurrency_buffer_perc=config.concurrency_buffer_perc + 10),
        replace(config, min_concurrency=min(config.min_concurrency + 1, config.max_concurrency)),
        replace(config, max_concurrency=config.max_concurrency + 1),
    ):
        assert policy.target(more, volume) >= wanted
    assert policy.target(replace(config, max_multiplexing=config.max_multiplexing + 1), volume) <= wanted


@given(configs, observations())
def test_p11_while_starts_fail_one_probe_at_a_time(config: Scaling, obs: Observation) -> None:
    if not obs.failures:
        return
    begun = [a for a in decide(config, obs).actions if isinstance(a, Wake) or (isinstance(a, Start) and not a.backoff)]
    starting = [r for r in obs.runners if r.state in STARTING and r.revision == obs.revision and not r.killed]
    assert len(begun) <= 1
    assert not begun or not [r for r in starting if r.state is State.PENDING]


# --- whole runs ---------------------------------------------------------------------------------------------------------
class Run:
    """The real fleet among runners that take *boot* seconds to come up and *setup* to be ready, and requests that take *work*."""

    def __init__(self, rules: Scaling, *, boot: float = 0.01, setup: float = 2.0, seed: int = 0) -> None:
        self.fleet, self.now, self.boot, self.setup = Fleet(), 1000 * SECOND, boot, setup
        self.chance = random.Random(seed)
        self.coming: list[tuple[int, int, m.FleetEvent]] = []
        self.turn = 0
        self.work: dict[str, float] = {}
        self.dispatched: set[str] = set()
        self.failed: set[str] = set()
        self.moves: list[tuple[int, str]] = []
        self.schedule(0, m.AppPublished("app", AppSpec(class_name="App", alias="app", scaling=rules), 1, "L"))

    def schedule(self, after: float, event: m.FleetEvent) -> None:
        self.turn += 1
        heapq.heappush(self.coming, (self.now + s(after), self.turn, event))

    def request(self, name: str, after: float, work: float) -> None:
        self.work[name] = work
        self.schedule(after, m.RequestArrived("app", name))

    def until(self, moment: int) -> None:
        """Let everything happen that happens until *moment*."""
        while True:
            wake = self.fleet.wake_at
            due = self.coming[0][0] if self.coming else None
            following = min((t for t in (wake, due) if t is not None), default=None)
            if following is None or following > moment:
                self.now = max(self.now, moment)
                return
            self.now = max(self.now, following)
            event = heapq.heappop(self.coming)[2] if due is not None and due <= self.now else m.TimerFired()
            for command in self.fleet.handle(event, self.now):
                self.execute(command)
            self.fleet.check()

    def execute(self, command: m.FleetCommand) -> None:
        if isinstance(command, m.StartRunner):
            self.moves.append((self.now, "start"))
            self.schedule(self.boot, m.RunnerSpawned(command.runner_id))
            self.schedule(self.boot + self.setup, m.RunnerReady(command.runner_id))
        elif isinstance(command, m.DispatchRequest):
            self.dispatched.add(command.request_id)
            self.schedule(self.work[command.request_id], m.RequestFinished(command.request_id, False))
        elif isinstance(command, m.StopRunner | m.KillRunner):
            self.moves.append((self.now, "stop"))
            self.schedule(0.05, m.RunnerExited(command.runner_id, "exited with status 0"))
        elif isinstance(command, m.PingRunner):
            self.schedule(0, m.RunnerPingAnswered(command.runner_id))
        elif isinstance(command, m.FailRequest):
            self.failed.add(command.request_id)

    def ready(self) -> int:
        return sum(r.state in READY for app in self.fleet.all_apps() for r in app.runners.values())


runs = st.tuples(
    configs.map(lambda c: replace(c, scaling_delay=min(c.scaling_delay, 5))),
    st.lists(st.tuples(st.floats(0, 100), st.floats(0.01, 8)), max_size=40),
    st.sampled_from([0.1, 2.0, 20.0]),
)


@given(runs)
def test_p12_p13_every_request_is_dispatched_and_afterwards_only_the_floor_stays(
    case: tuple[Scaling, list[tuple[float, float]], float],
) -> None:
    rules, requests, setup = case
    run = Run(rules, setup=setup)
    for number, (after, work) in enumerate(requests):
        run.request(f"r{number}", after, work)
    run.until(run.now + s(3000))

    assert run.dispatched == set(run.work)
    assert run.failed == set()
    assert run.ready() == policy.target(rules, 0)
    after = max((moment for moment, _ in run.moves), default=run.now)
    assert after <= 1000 * SECOND + s(100 + 40 * 8 + 40 * setup + 2 * 60 + 30)
    assert not run.fleet.apps["app"].in_flight


@pytest.mark.parametrize(
    "rules", [Scaling(), Scaling(max_multiplexing=4), Scaling(concurrency_buffer=2), Scaling(min_concurrency=3)]
)
@pytest.mark.parametrize("work", [1.4, 0.3], ids=["two or three at a time", "one or none at a time"])
def test_p14_a_steady_load_starts_and_stops_nothing_once_it_has_settled(rules: Scaling, work: float) -> None:
    run = Run(rules, setup=1.0)
    for number in range(600):  # for five minutes; what falls for a moment between two calls is no change of load
        run.request(f"r{number}", 0.5 * number, work)
    run.until(run.now + s(100))
    settled = run.now
    run.until(run.now + s(195))

    assert [move for moment, move in run.moves if moment > settled] == []
    assert len(run.dispatched) > 550


def test_p14_a_spare_runner_whose_process_is_slower_than_a_call_comes_up_beside_a_caller_in_a_loop() -> None:
    run = Run(Scaling(min_concurrency=1, concurrency_buffer=1), boot=0.5)
    run.until(run.now + s(5))
    for number in range(1000):  # 4 ms of each 10
        run.request(f"r{number}", 0.01 * number, 0.004)
    run.until(run.now + s(10))

    assert [move for _, move in run.moves] == ["start", "start"]
    assert run.ready() == 2


@given(runs, st.integers(1, 60))
@settings(max_examples=examples(40))
def test_p16_a_decision_has_no_memory_but_what_it_sees(
    case: tuple[Scaling, list[tuple[float, float]], float], second: int
) -> None:
    rules, requests, setup = case
    run = Run(rules, setup=setup)
    for number, (after, work) in enumerate(requests):
        run.request(f"r{number}", after, work)
    run.until(run.now + s(second))
    app = run.fleet.apps["app"]

    seen = app.observe(run.now)
    assert decide(rules, seen) == decide(rules, app.observe(run.now))
    assert [
        a for a in decide(rules, seen).actions if isinstance(a, Start)
    ] == []  # all that follows has been done already
