"""Worked examples of the scaling policy, and its invariants."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from fal_jupyter.domain.runners.runner import SUPPLY, State
from fal_jupyter.domain.scaling import policy
from fal_jupyter.domain.scaling.policy import (
    SECOND,
    Cancel,
    Drain,
    Kill,
    Observation,
    RunnerView,
    ScalingDecision,
    Start,
    Terminate,
    Wake,
    decide,
)
from fal_jupyter.domain.spec import Scaling


def s(seconds: float) -> int:
    return int(seconds * SECOND)


def rules(
    m: int = 0, M: int = 10, b: int = 0, p: int = 0, d: float = 0, x: int = 1, k: float = 60, **more: float
) -> Scaling:
    return Scaling(
        min_concurrency=m, max_concurrency=M, concurrency_buffer=b, concurrency_buffer_perc=p, scaling_delay=d,
        max_multiplexing=x, keep_alive=k, **more,  # type: ignore[arg-type]
    )  # fmt: skip


def idle(name: str, since: float, *, fresh: bool = False) -> RunnerView:
    return RunnerView(name, State.IDLE, s(since), 0, 0 if fresh else 1)


def busy(name: str, in_flight: int = 1) -> RunnerView:
    return RunnerView(name, State.RUNNING, s(90), in_flight, in_flight)


def at(state: State, name: str, since: float = 90) -> RunnerView:
    return RunnerView(name, state, s(since))


def seen(*runners: RunnerView, w: tuple[float, ...] = (), now: float = 100, **more: int) -> Observation:
    return Observation(s(now), runners=runners, waiting=tuple(sorted(s(t) for t in w)), **more)


P, S, C = State.PENDING, State.SETUP, State.CRASH_BACKOFF
EXAMPLES = {
    1: (rules(), seen(), 0, [], None),
    2: (rules(), seen(w=(100,)), 1, [Start()], None),
    3: (rules(M=3), seen(w=(100,) * 5), 3, [Start()] * 3, None),
    4: (rules(), seen(at(S, "a", 95), at(S, "b", 95), w=(95, 95, 99)), 3, [Start()], 695),
    5: (rules(x=4), seen(busy("a", 4), w=(99,) * 5), 3, [Start()] * 2, None),
    6: (rules(m=1, b=1), seen(idle("a", 0)), 1, [], None),
    7: (rules(m=1, b=1), seen(busy("a"), busy("b"), busy("c")), 4, [Start()], None),
    8: (rules(m=3, b=2), seen(busy("a"), idle("b", 0), idle("c", 0)), 3, [], None),
    9: (rules(m=3, b=2), seen(busy("a"), busy("b"), idle("c", 0)), 4, [Start()], None),
    10: (rules(b=2, x=4, M=6), seen(idle("a", 0, fresh=True), idle("b", 0, fresh=True)), 2, [], None),
    11: (rules(b=2, x=4, M=6), seen(*(busy(n, c) for n, c in zip("abcde", (4, 4, 4, 4, 1), strict=True))), 6, [Start()], None),
    12: (rules(b=1, p=20, M=20), seen(*(busy(n) for n in "abcdefghij")), 12, [Start()] * 2, None),
    13: (rules(p=20), seen(idle("a", 30)), 0, [Terminate("a", "idle for keep_alive=60 s")], None),
    14: (rules(d=30), seen(busy("a"), w=(90,)), 1, [], 120),
    15: (rules(d=30), seen(busy("a"), w=(70,)), 2, [Start()], None),
    16: (rules(d=30), seen(w=(100,)), 1, [Start()], None),
    17: (rules(), seen(idle("a", 41)), 0, [], 101),
    18: (rules(), seen(idle("a", 40)), 0, [Terminate("a", "idle for keep_alive=60 s")], None),
    19: (rules(k=300), seen(idle("a", 90, fresh=True)), 0, [Terminate("a", "not used within 10 s")], None),
    20: (
        rules(m=1), seen(idle("a", 10), idle("b", 100), idle("c", 150), now=200), 1,
        [Terminate("a", "idle for keep_alive=60 s"), Terminate("b", "idle for keep_alive=60 s")], None,
    ),
    21: (rules(), seen(w=(50,), failures=2, last_failure=s(80)), 1, [Start(backoff=True)], 140),
    22: (
        rules(), seen(at(C, "a"), at(C, "b"), w=(50, 50), now=140, failures=2, last_failure=s(80)), 2, [Wake("a")], None,
    ),
    23: (rules(), seen(at(P, "a", 99), at(C, "b"), at(S, "c", 90)), 0, [Cancel("b"), Cancel("a")], 690),
    24: (
        rules(M=2), seen(idle("a", 99), idle("b", 98), busy("c"), busy("d")), 2,
        [Terminate("b", "over max_concurrency=2"), Terminate("a", "over max_concurrency=2")], None,
    ),
    25: (
        rules(startup_timeout=60), seen(at(S, "a", 40), w=(40,)), 1, [Kill("a", "startup"), Start(backoff=True)], 130,
    ),
}  # fmt: skip


@pytest.mark.parametrize("number", EXAMPLES)
def test_worked_example(number: int) -> None:
    config, obs, desired, actions, wake = EXAMPLES[number]
    decision = decide(config, obs)

    assert (decision.desired, list(decision.actions)) == (desired, actions)
    assert decision.wake_at == (None if wake is None else s(wake))


def test_one_whose_process_is_on_its_way_is_dropped_when_it_was_too_many_for_as_long_as_an_unused_one_may_be() -> None:
    too_many = seen(at(P, "a", 92), at(P, "b", 93), idle("c", 90), last_no_surplus_at=s(95))

    assert decide(rules(b=1, k=300), too_many).actions == ()
    assert decide(rules(b=1, k=300), too_many).wake_at == s(105)
    assert list(decide(rules(b=1, k=300), replace(too_many, now=s(105))).actions) == [Cancel("b"), Cancel("a")]
    assert list(decide(rules(b=1, k=3), too_many).actions) == [Cancel("b"), Cancel("a")]  # the warm one is what stays
    assert list(decide(rules(b=1, k=300, M=2), too_many).actions) == [Cancel("b")]  # over max_concurrency


def test_runners_of_an_old_revision_leave_when_a_new_one_is_ready() -> None:
    old = [replace(r, revision=1) for r in (idle("a", 99), busy("b"), at(S, "c"), at(P, "d"), at(C, "e"))]
    obs = seen(*old, replace(idle("z", 99), revision=2), revision=2)
    why = "revision 2 took over"

    assert list(decide(rules(k=300), obs).actions) == [
        Terminate("a", why), Drain("b", why), Terminate("c", why), Cancel("d"), Cancel("e"),
    ]  # fmt: skip


def test_old_runners_stay_while_the_new_one_starts() -> None:
    obs = seen(idle("a", 0), replace(at(S, "z", 99), revision=2), revision=2, pending_first_runner=1)

    assert decide(rules(), obs).actions == ()


def test_at_the_maximum_one_idle_old_runner_makes_room_and_one_at_a_time() -> None:
    obs = seen(idle("a", 50), idle("b", 40), revision=2, pending_first_runner=1)
    leaving = seen(idle("a", 50), at(State.TERMINATING, "b", 99), revision=2, pending_first_runner=1)

    assert list(decide(rules(M=2), obs).actions) == [Terminate("b", "makes room for revision 2")]
    assert decide(rules(M=2), leaving).actions == ()


def test_a_drained_runner_is_stopped_when_its_last_request_is_answered() -> None:
    assert decide(rules(), seen(at(State.DRAINING, "a"))).actions == (Terminate("a", "its last request is answered"),)
    assert decide(rules(), seen(replace(at(State.DRAINING, "a"), in_flight=1))).actions == ()


def test_a_runner_that_outlives_its_grace_is_killed_once() -> None:
    leaving = at(State.TERMINATING, "a", 95)

    assert decide(rules(), seen(leaving)).actions == (Kill("a", "grace"),)
    assert decide(rules(), seen(leaving, now=99)).wake_at == s(100)
    assert decide(rules(), seen(replace(leaving, killed=True))).actions == ()
    assert decide(rules(), seen(leaving, shutdown=True)).actions == (Kill("a", "grace"),)


def test_busy_runners_over_a_lowered_maximum_drain_fewest_in_flight_first() -> None:
    obs = seen(busy("a", 2), busy("b", 1), busy("c", 3))

    assert decide(rules(M=2, x=4), obs).actions == (Drain("b", "over max_concurrency=2"),)


def test_a_refused_start_is_tried_again_when_its_wait_is_over() -> None:
    assert decide(rules(), seen(w=(99,), blocked_until=s(110))) == ScalingDecision(
        1, 1, (), s(110), "0 of 1 wanted runners are there"
    )
    assert decide(rules(), seen(w=(99,), now=110, blocked_until=s(110))).actions == (Start(),)


def test_a_due_probe_starts_at_once_where_no_slot_waits() -> None:
    obs = seen(w=(50, 50), now=140, failures=2, last_failure=s(80))

    assert decide(rules(), obs).actions == (Start(), Start(backoff=True))


def test_a_waiting_slot_wakes_when_starts_succeed_again() -> None:
    assert decide(rules(), seen(at(C, "a"), w=(50,))).actions == (Wake("a"),)


def test_old_setups_that_outlive_startup_timeout_are_killed_without_a_failure_of_the_new_revision() -> None:
    obs = seen(at(S, "a", 10), replace(at(S, "z", 99), revision=2), revision=2, pending_first_runner=1)

    assert decide(rules(startup_timeout=60), obs).actions == (Kill("a", "startup"),)


# --- properties -----------------------------------------------------------------------------------------------------
configs = st.builds(
    lambda m, extra, b, p, d, x, k: rules(m, max(1, m + extra), b, p, d, x, k),
    st.integers(0, 4), st.integers(0, 6), st.integers(0, 3), st.sampled_from([0, 20, 50, 100]), st.sampled_from([0, 5, 30]),
    st.integers(1, 4), st.sampled_from([0, 1, 10, 60]),
)  # fmt: skip


@st.composite
def observations(draw: st.DrawFn, multiplexing: int = 4) -> Observation:
    runners = []
    for index in range(draw(st.integers(0, 8))):
        state = draw(st.sampled_from(list(State)))
        flying = draw(st.integers(1, multiplexing)) if state in (State.RUNNING, State.DRAINING) else 0
        since = s(draw(st.integers(0, 100)))
        revision = draw(st.sampled_from([2, 2, 2, 1]))
        served = max(flying, draw(st.integers(0, 3)))
        runners.append(RunnerView(f"r{index}", state, since, flying, served, revision))
    waiting = tuple(sorted(s(draw(st.integers(0, 110))) for _ in range(draw(st.integers(0, 8)))))
    failures = draw(st.sampled_from([0, 0, 0, 1, 3]))
    return Observation(
        s(100),
        2,
        tuple(runners),
        waiting,
        failures,
        s(draw(st.integers(0, 100))) if failures else 0,
        draw(st.integers(0, 1)),
    )


def supply(obs: Observation) -> int:
    return sum(r.revision == obs.revision and r.state in SUPPLY and not r.killed for r in obs.runners)


def applied(config: Scaling, obs: Observation, decision: ScalingDecision) -> Observation:
    """What there is once the actions are carried out: PENDING and SETUP begin at once, kills and stops are on their way."""
    runners = {r.id: r for r in obs.runners}
    failures, last = obs.failures, obs.last_failure
    for number, action in enumerate(decision.actions):
        if isinstance(action, Start):
            state = State.CRASH_BACKOFF if action.backoff else State.PENDING
            runners[f"new{number}"] = RunnerView(f"new{number}", state, obs.now, revision=obs.revision)
            continue
        runner = runners[action.runner_id]
        if isinstance(action, Wake):
            runners[runner.id] = replace(runner, state=State.PENDING, since=obs.now)
        elif isinstance(action, Cancel) and runner.state is State.CRASH_BACKOFF:
            del runners[runner.id]
        elif isinstance(action, Drain):
            runners[runner.id] = replace(runner, state=State.DRAINING, since=obs.now)
        elif isinstance(action, Terminate):
            runners[runner.id] = replace(runner, state=State.TERMINATING, since=obs.now)
        else:
            runners[runner.id] = replace(runner, state=State.TERMINATING, since=obs.now, killed=True)
            if isinstance(action, Kill) and action.limit == "startup" and runner.revision == obs.revision:
                failures, last = failures + 1, obs.now
    return replace(obs, runners=tuple(runners.values()), failures=failures, last_failure=last)


@given(configs, observations())
def test_desired_and_keep_stay_within_the_limits(config: Scaling, obs: Observation) -> None:
    decision = decide(config, obs)

    assert min(config.floor, config.max_concurrency) <= decision.desired <= config.max_concurrency
    assert decision.keep >= decision.desired


@given(configs, observations())
def test_no_start_exceeds_the_maximum_nor_meets_a_sufficient_supply(config: Scaling, obs: Observation) -> None:
    decision = decide(config, obs)
    starts = sum(isinstance(a, Start) for a in decision.actions)

    assert not starts or len(obs.runners) + starts <= max(config.max_concurrency, len(obs.runners))
    if starts:
        killed = sum(isinstance(a, Kill) and a.limit == "startup" for a in decision.actions)
        assert supply(obs) - killed < decision.desired


@given(configs, observations())
def test_a_runner_with_requests_is_never_terminated(config: Scaling, obs: Observation) -> None:
    flying = {r.id: r.in_flight for r in obs.runners}

    assert all(flying[a.runner_id] == 0 for a in decide(config, obs).actions if isinstance(a, Terminate | Cancel))


@given(configs, observations())
def test_nothing_starts_in_the_same_breath_as_an_idle_one_of_its_kind_stops(config: Scaling, obs: Observation) -> None:
    decision = decide(config, obs)
    current = {r.id for r in obs.runners if r.revision == obs.revision and r.state is State.IDLE}

    started = any(isinstance(a, Start) for a in decision.actions)
    stopped = any(isinstance(a, Terminate) and a.runner_id in current for a in decision.actions)
    assert not (started and stopped)


@given(configs, observations(), st.integers(0, 200))
def test_nothing_happens_before_the_timer_if_nothing_changes(config: Scaling, obs: Observation, later: int) -> None:
    decision = decide(config, obs)
    for _ in range(3):  # most states call for an action at once
        if decision.actions:
            obs = applied(config, obs, decision)
            decision = decide(config, obs)
    assume(not decision.actions)
    now = obs.now + s(later)
    assume(decision.wake_at is None or now < decision.wake_at)

    assert decide(config, replace(obs, now=now)).actions == ()


@given(configs, observations(), st.integers(0, 10**15))
def test_a_decision_does_not_depend_on_when_the_clock_began(config: Scaling, obs: Observation, shift: int) -> None:
    moved = replace(
        obs,
        now=obs.now + shift,
        runners=tuple(replace(r, since=r.since + shift) for r in obs.runners),
        waiting=tuple(t + shift for t in obs.waiting),
        last_failure=obs.last_failure + shift if obs.failures else 0,
        blocked_until=0,
    )
    here, there = decide(config, obs), decide(config, moved)

    assert here.actions == there.actions
    assert here.wake_at == (None if there.wake_at is None else there.wake_at - shift)


@given(configs, observations(), st.randoms())
def test_a_decision_does_not_depend_on_the_order_of_what_is_seen(
    config: Scaling, obs: Observation, chance: object
) -> None:
    runners = list(obs.runners)
    chance.shuffle(runners)  # type: ignore[attr-defined]

    assert decide(config, obs) == decide(config, replace(obs, runners=tuple(runners)))


@given(configs, st.integers(0, 50))
def test_more_requests_never_want_fewer_runners(config: Scaling, volume: int) -> None:
    assert policy.target(config, volume) <= policy.target(config, volume + 1)


@pytest.mark.parametrize(("failures", "wait"), [(1, 30), (2, 60), (20, 600), (50, 600)])
def test_back_off_grows_by_thirty_seconds_up_to_ten_minutes(failures: int, wait: int) -> None:
    assert policy.retry_at(failures, s(5)) == s(5 + wait)


def test_a_start_that_waits_for_an_ending_runner_says_so() -> None:
    why = "the next runner starts when a has ended, as max_concurrency is 1"
    leaving = at(State.DRAINING, "a")

    assert decide(rules(M=1), replace(seen(w=(99,)), runners=(replace(leaving, in_flight=1),))).held == why
    assert decide(rules(M=1), seen(at(State.TERMINATING, "a"), pending_first_runner=1)).held == why
    assert decide(rules(M=1), seen(replace(leaving, in_flight=1))).held == ""  # nothing is wanted
    assert decide(rules(M=2), seen(replace(leaving, in_flight=1), w=(99,))).held == ""  # one starts beside it
    assert decide(rules(M=1), seen(busy("a"), revision=2, pending_first_runner=1)).held == why  # an old one at work
    killed = replace(at(State.TERMINATING, "a"), killed=True)
    assert decide(rules(M=1), seen(killed, w=(99,))).held == why


@pytest.mark.parametrize(
    ("most", "leaving", "working", "who"),
    [
        (1, "ab", "", "a and b have"),
        (1, "abc", "", "a, b and c have"),
        (1, "abcd", "", "4 of 4 runners have"),  # max_concurrency was lowered
        (2, "abc", "", "2 of a, b, c have"),
        (2, "b", "a", "b has"),
        (2, "", "ab", "1 of a, b has"),
        (1, "b", "a", "a and b have"),
        (4, "", "abcd", "1 of 4 runners has"),
    ],
)
def test_a_held_start_names_the_runners_that_must_end(most: int, leaving: str, working: str, who: str) -> None:
    runners = [replace(at(State.DRAINING, name), in_flight=1) for name in leaving] + [busy(name) for name in working]
    held = decide(rules(M=most), seen(*runners, revision=2, pending_first_runner=1)).held
    assert held == f"the next runner starts when {who} ended, as max_concurrency is {most}"
