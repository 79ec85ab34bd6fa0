"""The fleet: facts in, whole lists of orders compared; and a world of random facts that checks every invariant."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from fal_jupyter.domain.events import (
    AnnounceFailure,
    AnnounceRevision,
    AnswerRequest,
    AppAdopted,
    AppPublished,
    AppScaled,
    AppStopped,
    AppUnloaded,
    CancelRequest,
    DispatchRequest,
    FailRequest,
    FleetCommand,
    FleetEvent,
    ForgetApp,
    KillRunner,
    LeaseEnded,
    PingRunner,
    RequestAborted,
    RequestArrived,
    RequestFinished,
    RunnerExited,
    RunnerFailed,
    RunnerPingAnswered,
    RunnerReady,
    RunnerSpawned,
    RunnerStopRequested,
    StartRefused,
    StartRunner,
    StopRunner,
    TimerFired,
)
from fal_jupyter.domain.fleet.app_phases import AppPhase
from fal_jupyter.domain.fleet.deadlines import next_deadline
from fal_jupyter.domain.fleet.fleet import Fleet
from fal_jupyter.domain.requests.request import MAX_WAITING
from fal_jupyter.domain.runners.health import HealthRules
from fal_jupyter.domain.runners.runner import IllegalRunnerTransition, Runner, State
from fal_jupyter.domain.scaling.policy import SECOND
from fal_jupyter.domain.spec import AppSpec, Scaling
from tests.support.examples import examples


class World:
    """A fleet and a clock that only moves when told."""

    def __init__(self) -> None:
        self.fleet = Fleet()
        self.now = 1000 * SECOND

    def tell(self, fact: FleetEvent, after: float = 0) -> list[FleetCommand]:
        self.now += round(after * SECOND)
        orders = self.fleet.handle(fact, self.now)
        self.fleet.check()
        return orders

    def sleep(self) -> list[FleetCommand]:
        """Let time pass until the fleet's own timer."""
        assert self.fleet.wake_at is not None
        self.now = max(self.now, self.fleet.wake_at)
        return self.tell(TimerFired())

    def publish(
        self,
        revision: int = 1,
        lease: str = "L",
        alias: str = "hello",
        health: HealthRules | None = None,
        **scaling: Any,
    ) -> list[FleetCommand]:
        spec = AppSpec(class_name="Hello", alias=alias, scaling=Scaling(**scaling), health=health)
        return self.tell(AppPublished(alias, spec, revision, lease))

    def serve(self, **scaling: Any) -> World:
        """An app whose first runner is ready."""
        self.publish(**scaling)
        self.tell(RunnerSpawned("hello-1"))
        self.tell(RunnerReady("hello-1"))
        return self

    def state(self, runner_id: str) -> State | None:
        runner = self.fleet.runner(runner_id)
        return runner.state if runner else None


@pytest.fixture
def world() -> World:
    return World()


def test_a_published_app_starts_one_runner_even_without_demand(world: World) -> None:
    assert world.publish() == [StartRunner("hello-1", "hello", 1)]
    assert world.tell(RunnerSpawned("hello-1")) == []
    assert world.state("hello-1") is State.SETUP
    assert world.tell(RunnerReady("hello-1")) == [AnnounceRevision("hello", 1)]
    assert world.state("hello-1") is State.IDLE


def test_the_runner_of_a_publication_has_keep_alive_from_its_start(world: World) -> None:
    world.serve(keep_alive=300)

    assert world.tell(TimerFired(), after=299.9) == []
    assert world.sleep() == [StopRunner("hello-1", "idle for keep_alive=300 s")]
    assert world.tell(RunnerExited("hello-1", "exited with status 0")) == []
    assert world.fleet.wake_at is None


def test_a_runner_that_no_request_uses_leaves_after_ten_seconds(world: World) -> None:
    world.serve(keep_alive=300, max_concurrency=2)
    world.tell(RequestArrived("hello", "a"))
    world.tell(RequestArrived("hello", "b"))  # needs a second runner, which comes after the first one is free
    world.tell(RequestFinished("a"))
    world.tell(RequestFinished("b"))
    world.tell(RunnerSpawned("hello-2"))
    world.tell(RunnerReady("hello-2"))

    assert world.tell(TimerFired(), after=9.9) == []
    assert world.sleep() == [StopRunner("hello-2", "not used within 10 s")]
    assert world.tell(RunnerExited("hello-2", "exited with status 0")) == []
    assert world.sleep() == [StopRunner("hello-1", "idle for keep_alive=300 s")]
    assert world.tell(RunnerExited("hello-1", "exited with status 0")) == []
    assert world.tell(RunnerExited("hello-1", "exited with status 0")) == []
    assert world.fleet.wake_at is None


def test_an_event_loop_that_does_not_turn_while_others_wait_costs_its_runner(world: World) -> None:
    world.serve(max_multiplexing=4)
    world.tell(RequestArrived("hello", "a"))
    assert world.tell(RequestArrived("hello", "b"), after=1) == [DispatchRequest("b", "hello-1")]

    assert world.tell(TimerFired(), after=4.9) == []
    assert [world.sleep() for _ in range(3)] == [[PingRunner("hello-1")]] * 3
    orders = world.sleep()

    why = "its event loop did not turn for 15 s with 2 requests in it"
    told = f"the runner was ended: {why}"
    assert orders[:3] == [
        FailRequest("a", 503, "runner_disconnected", told),
        FailRequest("b", 503, "runner_disconnected", told),
        KillRunner("hello-1", why, stacks=True),
    ]
    assert world.now == 1021 * SECOND
    assert world.tell(RunnerExited("hello-1", "killed by SIGABRT"))[-1:] != [KillRunner("hello-1", why, stacks=True)]


def test_an_event_loop_that_turns_now_and_then_is_left_alone(world: World) -> None:
    world.serve(max_multiplexing=4, request_timeout=1000)
    for name in "ab":
        world.tell(RequestArrived("hello", name))
    for _ in range(20):
        assert world.sleep() == [PingRunner("hello-1")]
        assert world.sleep() == [PingRunner("hello-1")]
        assert world.tell(RunnerPingAnswered("hello-1"), after=1) == []
    world.tell(RequestFinished("a", False))
    assert world.sleep() == []  # one alone stops nobody else
    assert world.fleet.runner("hello-1").liveness.due == 0  # type: ignore[union-attr]
    world.tell(RequestArrived("hello", "c"))
    assert world.sleep() == [PingRunner("hello-1")]


def test_a_request_alone_is_never_asked_for_a_sign_of_life(world: World) -> None:
    world.serve(max_multiplexing=4, request_timeout=1000)
    world.tell(RequestArrived("hello", "a"))
    assert world.tell(TimerFired(), after=900) == []
    assert world.tell(RunnerPingAnswered("hello-1")) == []
    assert world.tell(RunnerPingAnswered("nobody")) == []


def test_a_gateway_that_slept_finds_no_runner_guilty(world: World) -> None:
    world.serve(max_multiplexing=4, request_timeout=1000)
    for name in "ab":
        world.tell(RequestArrived("hello", name))
    world.sleep()
    assert world.tell(TimerFired(), after=60) == [PingRunner("hello-1")]  # a minute of silence, but one question only
    assert world.tell(RunnerPingAnswered("hello-1")) == []
    assert world.sleep() == [PingRunner("hello-1")]


def test_the_timer_is_exact_with_many_apps_and_many_changes(world: World) -> None:
    for number in range(40):
        world.publish(alias=f"app{number}", request_timeout=10 + number)
        world.tell(RunnerSpawned(f"app{number}-1"))
        world.tell(RunnerReady(f"app{number}-1"))
    for turn in range(400):  # each fact compares the heap with every app's own timer (Fleet.check)
        world.tell(RequestArrived(f"app{turn % 40}", f"r{turn}"), after=0.001)
        world.tell(RequestFinished(f"r{turn}", False), after=0.001)
    for keep_alive in range(900, 600, -1):  # ever earlier: what is on the heap below is of no use any more
        world.tell(AppScaled("app7", Scaling(keep_alive=keep_alive)))
    assert len(world.fleet._state.timers) < 2 * 40 + 70
    while world.fleet.wake_at is not None:
        for order in world.sleep():
            if isinstance(order, StopRunner):
                world.tell(RunnerExited(order.runner_id, "exited with status 0"))


def test_a_warm_runner_stays(world: World) -> None:
    world.serve(warm=1)

    assert world.tell(TimerFired(), after=100_000) == []
    assert world.state("hello-1") is State.IDLE


def test_an_unloaded_app_has_no_runner_until_the_next_request(world: World) -> None:
    world.serve(warm=1)
    world.tell(RequestArrived("hello", "q1"))
    world.tell(RequestFinished("q1"))
    why = "the user unloaded the app; the next request starts a runner"

    assert world.tell(AppUnloaded("hello")) == [StopRunner("hello-1", why)]
    assert world.tell(RunnerExited("hello-1", "exited with status 0"), after=1) == []
    assert world.fleet.apps["hello"].runners == {}
    world.now += 3600 * SECOND
    assert world.tell(TimerFired()) == []
    assert world.tell(RequestArrived("hello", "q2")) == [StartRunner("hello-2", "hello", 1)]
    world.tell(RunnerSpawned("hello-2"))
    assert world.tell(RunnerReady("hello-2")) == [DispatchRequest("q2", "hello-2")]
    world.tell(RequestFinished("q2"))
    assert world.tell(TimerFired(), after=3600) == []
    assert world.state("hello-2") is State.IDLE


def test_a_runner_that_is_unloaded_at_work_answers_first(world: World) -> None:
    world.serve(warm=1)
    world.tell(RequestArrived("hello", "q1"))

    assert world.tell(AppUnloaded("hello")) == []
    assert world.state("hello-1") is State.DRAINING
    assert world.tell(RequestFinished("q1")) == [StopRunner("hello-1", "its last request is answered")]


def test_unloading_cancels_a_start_that_nobody_waits_for(world: World) -> None:
    world.publish(warm=1)

    assert world.tell(AppUnloaded("hello")) == [
        KillRunner("hello-1", "the user unloaded the app; the next request starts a runner")
    ]
    assert world.tell(AppUnloaded("nobody")) == []


def test_unloading_leaves_a_start_that_somebody_waits_for(world: World) -> None:
    world.publish(warm=1)
    world.tell(RequestArrived("hello", "q1"))

    assert world.tell(AppUnloaded("hello")) == []
    world.tell(RunnerSpawned("hello-1"))
    assert world.tell(RunnerReady("hello-1")) == [AnnounceRevision("hello", 1), DispatchRequest("q1", "hello-1")]


def test_a_change_of_scaling_or_a_publication_wakes_an_unloaded_app(world: World) -> None:
    world.serve(warm=1)
    world.tell(AppUnloaded("hello"))
    world.tell(RunnerExited("hello-1", "exited with status 0"))

    assert world.tell(AppScaled("hello", Scaling(min_concurrency=1))) == [StartRunner("hello-2", "hello", 1)]


def test_a_decision_tells_its_direction_and_the_runners_before_and_after(world: World) -> None:
    world.serve(max_concurrency=3, keep_alive=60)
    for number in range(3):
        world.tell(RequestArrived("hello", f"q{number}"))
    for runner in ("hello-2", "hello-3"):
        world.tell(RunnerSpawned(runner))
        world.tell(RunnerReady(runner))
    for number in range(3):
        world.tell(RequestFinished(f"q{number}"))
    world.tell(TimerFired(), after=61)

    told = [(d.kind, d.before, d.after) for d in world.fleet.apps["hello"].decisions.recent]
    assert told == [("up", 0, 1), ("up", 1, 2), ("up", 2, 3), ("down", 3, 0)]
    assert len(world.fleet.apps["hello"].decisions.undrawn) == 4


def test_a_request_goes_to_a_free_runner_at_once_and_the_next_waits_for_another(world: World) -> None:
    world.serve(warm=1, max_concurrency=2)

    assert world.tell(RequestArrived("hello", "a")) == [DispatchRequest("a", "hello-1")]
    assert world.tell(RequestArrived("hello", "b")) == [StartRunner("hello-2", "hello", 1)]
    assert world.tell(RequestFinished("a")) == [DispatchRequest("b", "hello-1")]
    assert world.tell(RequestFinished("b")) == []
    assert world.sleep() == [KillRunner("hello-2", "not needed any more")]  # it did not come up in ten seconds


def test_a_used_runner_leaves_after_keep_alive(world: World) -> None:
    world.serve(keep_alive=60)
    world.tell(RequestArrived("hello", "a"))
    world.tell(RequestFinished("a"), after=5)

    assert world.tell(TimerFired(), after=59.9) == []
    assert world.sleep() == [StopRunner("hello-1", "idle for keep_alive=60 s")]


def test_multiplexing_fills_a_runner_to_its_limit_and_never_over(world: World) -> None:
    world.serve(warm=1, max_concurrency=1, max_multiplexing=2)

    assert world.tell(RequestArrived("hello", "a")) == [DispatchRequest("a", "hello-1")]
    assert world.tell(RequestArrived("hello", "b")) == [DispatchRequest("b", "hello-1")]
    assert world.tell(RequestArrived("hello", "c")) == []
    assert world.tell(RequestFinished("a")) == [DispatchRequest("c", "hello-1")]


def test_an_old_runner_takes_as_many_requests_as_its_own_revision_says(world: World) -> None:
    world.serve(max_concurrency=1)
    world.tell(RequestArrived("hello", "a"))
    world.publish(2, max_multiplexing=2)

    assert DispatchRequest("b", "hello-1") not in world.tell(RequestArrived("hello", "b"))
    assert world.tell(RequestFinished("a"))[:1] == [DispatchRequest("b", "hello-1")]


def test_a_request_that_is_told_to_end_costs_nobody_a_runner_while_it_has_time(world: World) -> None:
    world.serve(warm=1, max_multiplexing=2)
    world.tell(RequestArrived("hello", "a"))
    world.tell(RequestArrived("hello", "b"))
    world.tell(RequestAborted("a", insist=True))

    assert world.tell(RequestFinished("b")) == []
    assert world.state("hello-1") is State.RUNNING


def test_an_app_is_cold_until_a_runner_is_ready(world: World) -> None:
    world.publish()
    assert world.fleet.apps["hello"].is_cold
    world.tell(RunnerSpawned("hello-1"))
    world.tell(RunnerReady("hello-1"))
    assert not world.fleet.apps["hello"].is_cold


def test_of_two_ready_runners_the_one_used_last_is_chosen_so_that_the_other_ages_out(world: World) -> None:
    world.serve(min_concurrency=2, max_multiplexing=2)
    world.tell(RunnerSpawned("hello-2"))
    world.tell(RunnerReady("hello-2"), after=1)

    assert world.tell(RequestArrived("hello", "a"), after=1) == [DispatchRequest("a", "hello-2")]
    assert world.tell(RequestArrived("hello", "b"), after=1) == [DispatchRequest("b", "hello-1")]


def test_a_changed_source_is_served_by_new_runners_while_the_old_serve_on(world: World) -> None:
    world.serve(warm=1)
    world.tell(RequestArrived("hello", "old"))

    assert world.publish(2, warm=1) == [StartRunner("hello-2", "hello", 2)]
    assert world.tell(RequestArrived("hello", "waits")) == []
    assert world.tell(RequestFinished("old")) == [DispatchRequest("waits", "hello-1")]
    world.tell(RunnerSpawned("hello-2"))
    assert world.tell(RunnerReady("hello-2")) == [AnnounceRevision("hello", 2)]
    assert world.state("hello-1") is State.DRAINING
    assert world.tell(RequestArrived("hello", "new")) == [DispatchRequest("new", "hello-2")]
    assert world.tell(RequestFinished("waits")) == [StopRunner("hello-1", "its last request is answered")]
    assert world.tell(RunnerExited("hello-1", "exited with status 0")) == []


def test_with_max_concurrency_one_the_old_runner_makes_room_first(world: World) -> None:
    world.serve(warm=1, max_concurrency=1)

    assert world.publish(2, warm=1, max_concurrency=1) == [StopRunner("hello-1", "makes room for revision 2")]
    assert world.tell(RequestArrived("hello", "a")) == []
    assert world.tell(RunnerExited("hello-1", "gone")) == [StartRunner("hello-2", "hello", 2)]
    world.tell(RunnerSpawned("hello-2"))
    assert world.tell(RunnerReady("hello-2")) == [AnnounceRevision("hello", 2), DispatchRequest("a", "hello-2")]


def test_a_revision_that_does_not_start_leaves_the_old_one_serving(world: World) -> None:
    world.serve(warm=1)
    world.publish(2, warm=1)
    world.tell(RunnerSpawned("hello-2"))

    assert world.tell(RunnerFailed("hello-2", "ValueError: bad")) == [
        AnnounceFailure("hello", 2, "hello-2", "ValueError: bad", -1)
    ]
    assert world.tell(RunnerExited("hello-2", "exited with status 3")) == []
    assert world.tell(RequestArrived("hello", "a")) == [DispatchRequest("a", "hello-1")]
    assert "revision 1 serves on" in world.fleet.apps["hello"].reason


def test_other_starts_of_a_failed_revision_are_ended(world: World) -> None:
    world.serve(min_concurrency=2)
    world.tell(RunnerSpawned("hello-2"))
    world.tell(RunnerReady("hello-2"))
    assert world.publish(2, min_concurrency=2) == [
        StartRunner("hello-3", "hello", 2),
        StartRunner("hello-4", "hello", 2),
    ]
    world.tell(RunnerSpawned("hello-3"))

    assert world.tell(RunnerFailed("hello-3", "E: x")) == [
        AnnounceFailure("hello", 2, "hello-3", "E: x", -1),
        KillRunner("hello-4", "revision 2 failed"),
    ]


@pytest.mark.parametrize("fact", [RunnerReady("hello-2"), RunnerFailed("hello-2", "E: x")])
def test_a_runner_of_the_old_revision_that_was_still_starting_decides_nothing_about_the_new(
    world: World, fact: FleetEvent
) -> None:
    world.serve(min_concurrency=2)
    world.tell(RunnerSpawned("hello-2"))
    world.publish(2, min_concurrency=1)

    assert world.tell(fact) == []
    assert world.fleet.apps["hello"].serving == 1


def test_a_republication_ends_the_starts_of_the_one_before(world: World) -> None:
    world.publish(1)

    assert world.publish(2) == [
        KillRunner("hello-1", "revision 2 was published"), StartRunner("hello-2", "hello", 2),
    ]  # fmt: skip


def test_a_failed_setup_fails_those_who_wait_and_backs_off(world: World) -> None:
    world.publish(warm=1)
    world.tell(RunnerSpawned("hello-1"))
    world.tell(RequestArrived("hello", "a"))
    orders = world.tell(RunnerFailed("hello-1", "ValueError: bad"))
    detail = "hello could not start (ValueError); the next attempt is in 30 s"

    assert orders == [
        AnnounceFailure("hello", 1, "hello-1", "ValueError: bad", 30.0),
        FailRequest("a", 503, "runner_scheduling_failure", detail, 30),
    ]
    assert world.tell(RunnerExited("hello-1", "exited with status 3")) == []
    (late,) = world.tell(RequestArrived("hello", "b"), after=10)
    assert isinstance(late, FailRequest)
    assert (late.status, late.retry_after) == (503, 20)
    assert world.sleep() == [StartRunner("hello-2", "hello", 1)]
    world.tell(RunnerSpawned("hello-2"))
    again = world.tell(RunnerExited("hello-2", "killed by SIGSEGV"))
    assert again[0] == AnnounceFailure(
        "hello", 1, "hello-2", "the runner ended before it was ready: killed by SIGSEGV", 60.0
    )


def test_starts_that_were_lost_with_their_template_are_tried_again_three_times(world: World) -> None:
    world.publish(warm=1)
    world.tell(RunnerSpawned("hello-1"))
    world.tell(RequestArrived("hello", "a"))
    for number in (1, 2, 3):
        lost = world.tell(RunnerExited(f"hello-{number}", "its template ended (killed by SIGKILL)", lost=True), after=2)
        assert lost == [StartRunner(f"hello-{number + 1}", "hello", 1)]
    assert "another is started" in world.fleet.apps["hello"].decisions.recent[-2].reason
    failed = world.tell(RunnerExited("hello-4", "its template ended (killed by SIGKILL)", lost=True), after=2)
    assert [type(order) for order in failed] == [AnnounceFailure, FailRequest]


def test_starts_that_were_lost_with_one_template_count_once(world: World) -> None:
    world.publish(warm=5)
    for number in range(1, 6):
        assert world.tell(RunnerExited(f"hello-{number}", "its template ended", lost=True), after=0.01)
    assert world.fleet.apps["hello"].backoff.lost == 1
    world.tell(RunnerSpawned("hello-6"))
    world.tell(RunnerReady("hello-6"))
    assert world.fleet.apps["hello"].backoff.lost == 0


def test_a_new_revision_after_a_failure_starts_at_once(world: World) -> None:
    world.publish(warm=1)
    world.tell(RunnerSpawned("hello-1"))
    world.tell(RunnerFailed("hello-1", "E: x"))
    orders = world.publish(2, warm=1)

    assert StartRunner("hello-3", "hello", 2) in orders


def test_a_setup_that_hangs_is_killed_with_its_stacks_and_its_callers_get_504(world: World) -> None:
    world.publish(startup_timeout=5, warm=1)
    world.tell(RunnerSpawned("hello-1"))
    world.tell(RequestArrived("hello", "a"))
    orders = world.sleep()

    assert orders[0] == KillRunner("hello-1", "setup() outlived startup_timeout (5 s)", stacks=True)
    assert isinstance(orders[1], AnnounceFailure)
    assert isinstance(orders[2], FailRequest)
    assert (orders[2].status, orders[2].error_type) == (504, "startup_timeout")
    assert world.tell(RunnerExited("hello-1", "killed by SIGABRT")) == []


def test_a_failed_start_beside_ready_runners_fails_nobody(world: World) -> None:
    world.serve(min_concurrency=1, max_concurrency=2)
    world.tell(RequestArrived("hello", "a"))
    world.tell(RequestArrived("hello", "b"))
    world.tell(RunnerSpawned("hello-2"))

    assert world.tell(RunnerFailed("hello-2", "E: x")) == [AnnounceFailure("hello", 1, "hello-2", "E: x", 30.0)]
    assert world.tell(RequestFinished("a")) == [DispatchRequest("b", "hello-1")]


LATE = "the request ran longer than request_timeout (10 s)"
STUCK = KillRunner("hello-1", "a request that outlived request_timeout (10 s) did not end", stacks=True)


def test_a_request_that_runs_too_long_gets_504_and_is_told_then_forced_then_its_runner_replaced(world: World) -> None:
    world.serve(warm=1, request_timeout=10, max_concurrency=1)
    world.tell(RequestArrived("hello", "a"))
    began = world.now

    assert world.sleep() == [AnswerRequest("a", 504, "request_timeout", LATE), CancelRequest("a", "hello-1", "tell")]
    assert (world.now - began) / SECOND == 10
    assert world.sleep() == [CancelRequest("a", "hello-1", "force")]
    assert (world.now - began) / SECOND == 11
    assert world.sleep() == [STUCK]
    assert (world.now - began) / SECOND == 16
    (told, start) = world.tell(RunnerExited("hello-1", "killed by SIGABRT"))
    assert isinstance(told, FailRequest)  # nobody hears it: the caller was answered
    assert start == StartRunner("hello-2", "hello", 1)


def test_a_request_that_ends_when_it_is_told_leaves_its_runner_as_it_was(world: World) -> None:
    world.serve(warm=1, request_timeout=10, max_concurrency=1)
    world.tell(RequestArrived("hello", "a"))
    world.sleep()
    world.tell(RequestFinished("a"), after=0.5)
    assert world.tell(RequestArrived("hello", "b")) == [DispatchRequest("b", "hello-1")]
    assert world.fleet.apps["hello"].cancellations == {}


def test_others_in_a_stuck_requests_runner_finish_before_it_is_replaced(world: World) -> None:
    world.serve(warm=1, request_timeout=10, max_multiplexing=3, max_concurrency=2)
    world.tell(RequestArrived("hello", "a"))
    began = world.now
    world.tell(RequestArrived("hello", "b"), after=9.5)
    world.tell(RequestArrived("hello", "socket", long_lived=True))
    seen: list[FleetCommand] = []
    while world.now < began + 16 * SECOND:
        seen += [order for order in world.sleep() if not isinstance(order, PingRunner)]
    assert seen == [
        AnswerRequest("a", 504, "request_timeout", LATE),
        CancelRequest("a", "hello-1", "tell"),
        CancelRequest("a", "hello-1", "force"),
        CancelRequest("socket", "hello-1", "politely"),  # it drains: what has no end of its own is asked for one
        StartRunner("hello-2", "hello", 1),
    ]
    assert STUCK not in world.tell(RequestFinished("socket"))
    assert STUCK in world.tell(RequestFinished("b"))


def test_who_insists_on_the_end_of_a_request_gets_it(world: World) -> None:
    world.serve(warm=1, max_multiplexing=2, max_concurrency=1)
    world.tell(RequestArrived("hello", "a"))
    world.tell(RequestArrived("hello", "b"))
    assert world.tell(RequestAborted("a", insist=True)) == [CancelRequest("a", "hello-1", "tell")]
    assert world.tell(RequestAborted("b")) == [CancelRequest("b", "hello-1")]
    assert world.tell(RequestAborted("b", insist=True, force=True)) == [CancelRequest("b", "hello-1", "force")]
    assert world.tell(RequestAborted("b", insist=True)) == []
    killed = KillRunner("hello-1", "a request that was cancelled did not end", stacks=True)
    steps: list[FleetCommand] = []
    while killed not in steps:
        steps += [order for order in world.sleep() if not isinstance(order, PingRunner)]
    assert steps == [CancelRequest("a", "hello-1", "force"), killed]  # both are stuck; it is killed once


def test_a_request_that_has_to_start_in_time_and_does_not_gets_504(world: World) -> None:
    world.serve(warm=1, max_concurrency=1)
    world.tell(RequestArrived("hello", "busy"))
    world.tell(RequestArrived("hello", "patient"))
    world.tell(RequestArrived("hello", "caller", start_within=5))
    world.tell(RequestArrived("hello", "job", queued=True, start_within=2.5))
    told = "Request timed out: no runner had it within 2.5 s (the caller's limit)"
    assert world.sleep() == [FailRequest("job", 504, "request_timeout", told, by_caller=True)]
    (late,) = world.sleep()
    assert isinstance(late, FailRequest)
    assert (late.request_id, late.by_caller) == ("caller", True)
    assert world.tell(RequestFinished("busy")) == [DispatchRequest("patient", "hello-1")]
    assert world.tell(RequestArrived("hello", "started", start_within=1), after=1) == []
    assert world.tell(RequestFinished("patient"), after=0.5) == [DispatchRequest("started", "hello-1")]
    assert world.tell(TimerFired(), after=60) == []  # it is the start that had a limit


def test_an_app_may_say_how_soon_its_requests_have_to_start(world: World) -> None:
    spec = AppSpec(
        class_name="Hello", alias="hello", scaling=Scaling(warm=1, max_concurrency=1, request_start_timeout=3)
    )
    world.tell(AppPublished("hello", spec, 1, "L"))
    world.tell(RequestArrived("hello", "a"))
    told = "Request timed out: no runner had it within 3 s (request_start_timeout)"
    assert world.sleep() == [FailRequest("a", 504, "request_timeout", told)]


def test_the_limit_of_waiting_can_be_changed_while_the_app_runs(world: World) -> None:
    world.serve(warm=1, max_concurrency=1)
    world.tell(RequestArrived("hello", "busy"))
    rules = world.fleet.apps["hello"].scaling
    world.tell(AppScaled("hello", rules.changed({"request_start_timeout": 2})))
    world.tell(RequestArrived("hello", "waits"))
    (given_up,) = world.sleep()
    assert isinstance(given_up, FailRequest)
    assert (given_up.request_id, given_up.status) == ("waits", 504)
    world.tell(AppScaled("hello", rules.changed({"request_start_timeout": 0})))
    world.tell(RequestArrived("hello", "patient", queued=True))
    assert world.tell(TimerFired(), after=100) == []


def test_who_waits_on_a_connection_has_a_bound_beside_those_that_wait_for_ever(world: World) -> None:
    world.serve(warm=1, max_concurrency=1, request_timeout=100, startup_timeout=10)
    world.tell(RequestArrived("hello", "socket", long_lived=True))
    world.tell(RequestArrived("hello", "job", queued=True))
    world.tell(RequestArrived("hello", "plain"))
    (expired,) = world.sleep()
    assert isinstance(expired, FailRequest)
    assert (expired.request_id, expired.status) == ("plain", 503)


def test_a_websocket_has_no_time_limit_and_a_queued_request_waits_for_ever(world: World) -> None:
    world.serve(warm=1, request_timeout=10, max_concurrency=1)
    world.tell(RequestArrived("hello", "socket", long_lived=True))
    world.tell(RequestArrived("hello", "job", queued=True))
    world.tell(RequestArrived("hello", "low", queued=True, low=True))
    world.tell(RequestArrived("hello", "other", queued=True))
    app = world.fleet.apps["hello"]
    assert next_deadline(app) is None
    assert [app.ahead_of(name) for name in ("job", "other", "low", "socket")] == [0, 1, 2, 0]
    assert world.tell(TimerFired(), after=100_000) == []
    assert world.tell(RequestFinished("socket")) == [DispatchRequest("job", "hello-1")]
    assert world.tell(RequestFinished("job")) == [DispatchRequest("other", "hello-1")]
    assert world.tell(RequestFinished("other")) == [DispatchRequest("low", "hello-1")]


def test_a_request_beside_a_websocket_has_its_time_limit(world: World) -> None:
    world.serve(min_concurrency=2, request_timeout=30)
    world.tell(RunnerSpawned("hello-2"))
    world.tell(RunnerReady("hello-2"))
    world.tell(RequestArrived("hello", "socket", long_lived=True))
    world.tell(TimerFired(), after=1000)  # what was due for the websocket's own dispatch is over
    assert [type(order) for order in world.tell(RequestArrived("hello", "call"))] == [DispatchRequest]
    began = world.now

    assert [type(order) for order in world.sleep()] == [AnswerRequest, CancelRequest]
    assert world.now == began + 30 * SECOND


def test_a_request_never_waits_without_a_bound(world: World) -> None:
    world.serve(warm=1, max_concurrency=1, request_timeout=100, startup_timeout=10)
    world.tell(RequestArrived("hello", "a"))
    world.tell(RequestArrived("hello", "b"))
    world.tell(RequestAborted("a"))
    world.fleet.apps["hello"].in_flight["a"].dispatched += 1000 * SECOND  # a runner that never answers

    assert world.tell(TimerFired(), after=110) == [
        FailRequest("b", 503, "runner_scheduling_failure", "no runner of hello was free within 110 s"),
    ]  # fmt: skip


def test_a_runner_that_dies_in_service_is_replaced_at_once_and_its_callers_get_503(world: World) -> None:
    world.serve(warm=1)
    world.tell(RequestArrived("hello", "a"))
    detail = "the runner ended while it had this request (killed by SIGKILL)"

    assert world.tell(RunnerExited("hello-1", "killed by SIGKILL")) == [
        FailRequest("a", 503, "runner_disconnected", detail),
        StartRunner("hello-2", "hello", 1),
    ]


def test_a_runner_that_keeps_dying_is_tried_one_at_a_time(world: World) -> None:
    world.serve(warm=1)
    for number in range(1, 5):
        assert world.tell(RunnerExited(f"hello-{number}", "died"), after=1)[-1] == StartRunner(
            f"hello-{number + 1}", "hello", 1
        )
        world.tell(RunnerSpawned(f"hello-{number + 1}"))
        world.tell(RunnerReady(f"hello-{number + 1}"))
    assert world.tell(RunnerExited("hello-5", "died"), after=1) == []
    assert world.sleep() == [StartRunner("hello-6", "hello", 1)]
    world.tell(RunnerSpawned("hello-6"))
    world.tell(RunnerReady("hello-6"))
    assert world.tell(RunnerExited("hello-6", "died"), after=70) == [StartRunner("hello-7", "hello", 1)]


def test_a_runner_that_asks_to_be_replaced_is_drained(world: World) -> None:
    world.serve(warm=1)
    world.tell(RequestArrived("hello", "a"))

    assert world.tell(RequestFinished("a", replace=True)) == [
        StopRunner("hello-1", "its last request is answered"), StartRunner("hello-2", "hello", 1),
    ]  # fmt: skip


def test_a_caller_who_hangs_up_before_dispatch_is_dropped_and_after_it_is_told_to_the_runner(world: World) -> None:
    world.serve(warm=1, max_concurrency=1)
    world.tell(RequestArrived("hello", "a"))
    world.tell(RequestArrived("hello", "b"))

    assert world.tell(RequestAborted("b")) == []
    assert world.tell(RequestAborted("a")) == [CancelRequest("a", "hello-1")]
    assert world.tell(RequestAborted("a")) == []
    (told, start) = world.tell(RunnerExited("hello-1", "gone"))
    assert isinstance(told, FailRequest)  # for the books: nobody is there who hears it
    assert start == StartRunner("hello-2", "hello", 1)


def test_a_flood_is_refused_beyond_what_may_wait(world: World) -> None:
    world.publish(max_concurrency=1)
    for number in range(MAX_WAITING):
        world.fleet.handle(RequestArrived("hello", str(number)), world.now)
    (refused,) = world.tell(RequestArrived("hello", "one more"))

    assert isinstance(refused, FailRequest)
    assert (refused.status, refused.retry_after) == (503, 1)


def test_a_start_that_the_machine_refuses_is_tried_again_after_twenty_seconds(world: World) -> None:
    world.publish(warm=1)
    world.tell(RequestArrived("hello", "a"))

    assert world.tell(StartRefused("hello-1", "no processes")) == [
        AnnounceFailure("hello", 1, "hello-1", "no processes", 20.0)
    ]
    assert world.sleep() == [StartRunner("hello-2", "hello", 1)]
    orders = world.tell(StartRefused("hello-2", "no processes"))
    assert [type(order) for order in orders] == [AnnounceFailure, FailRequest]
    world.fleet.apps["hello"].phase = AppPhase.ACTIVE
    world.sleep()
    assert world.tell(StartRefused("hello-3", "no processes")) == []


def test_other_scaling_acts_on_the_runners_that_live(world: World) -> None:
    world.serve(warm=1)

    assert world.tell(AppScaled("hello", Scaling(min_concurrency=2))) == [StartRunner("hello-2", "hello", 1)]


def test_an_ended_owner_takes_its_apps_along_and_hastily(world: World) -> None:
    world.serve(warm=1, max_concurrency=1)
    world.publish(alias="other", lease="M")
    world.tell(RequestArrived("hello", "a"))
    world.tell(RequestArrived("hello", "b"))
    orders = world.tell(LeaseEnded("L"))

    assert isinstance(orders[0], FailRequest)
    assert orders[1] == StopRunner("hello-1", "the notebook or program that owned the app has ended")
    assert list(world.fleet.apps) == ["other"]
    assert world.tell(TimerFired(), after=1) == [KillRunner("hello-1", "it did not end within its grace")]
    assert [type(o) for o in world.tell(RunnerExited("hello-1", "killed"))] == [FailRequest, ForgetApp]


def test_an_adopted_app_outlives_its_former_owner(world: World) -> None:
    world.serve(warm=1)
    world.tell(AppAdopted("hello", "M"))

    assert world.tell(LeaseEnded("L")) == []
    assert world.tell(LeaseEnded("M"))


def test_a_stopped_app_ends_its_runners_and_its_name_is_free_at_once(world: World) -> None:
    world.serve(warm=1)
    assert world.tell(AppStopped("hello")) == [StopRunner("hello-1", "the app was stopped")]
    assert world.tell(RequestArrived("hello", "a")) == [
        FailRequest("a", 503, "runner_scheduling_failure", "the app was stopped")
    ]
    assert world.publish() == [StartRunner("hello-2", "hello", 1)]
    assert world.tell(RunnerExited("hello-1", "exited with status 0")) == [ForgetApp("hello")]
    assert world.tell(AppStopped("hello", kill=True)) == [KillRunner("hello-2", "the app was stopped")]
    assert world.tell(RunnerExited("hello-2", "killed")) == [ForgetApp("hello")]


def test_stopping_an_app_in_back_off_forgets_it_at_once(world: World) -> None:
    world.publish(warm=1)
    world.tell(RunnerSpawned("hello-1"))
    world.tell(RunnerFailed("hello-1", "E: x"))
    world.tell(RunnerExited("hello-1", "exited"))

    assert world.state("hello-2") is State.CRASH_BACKOFF
    assert world.tell(AppStopped("hello")) == [ForgetApp("hello")]


@pytest.mark.parametrize("kill", [True, False])
def test_a_runner_that_the_user_stops_is_replaced_if_it_is_wanted(world: World, kill: bool) -> None:
    world.serve(warm=1)
    order: FleetCommand = (
        KillRunner("hello-1", "the user killed it") if kill else StopRunner("hello-1", "the user stopped it")
    )

    assert world.tell(RunnerStopRequested("hello-1", kill)) == [order, StartRunner("hello-2", "hello", 1)]
    assert world.tell(RunnerStopRequested("hello-1", False)) == []
    assert world.tell(RunnerStopRequested("hello-2", False)) == [
        KillRunner("hello-2", "the user killed it"), StartRunner("hello-3", "hello", 1),
    ]  # fmt: skip


def test_a_slot_in_back_off_can_be_dropped_by_the_user(world: World) -> None:
    world.publish(warm=1)
    world.tell(RunnerSpawned("hello-1"))
    world.tell(RunnerFailed("hello-1", "E: x"))
    world.tell(RunnerStopRequested("hello-2", False))

    assert world.state("hello-2") is None


def test_facts_of_what_is_no_more_change_nothing(world: World) -> None:
    world.serve(warm=1)
    stale = [
        RunnerSpawned("x"), RunnerReady("x"), RunnerFailed("x", "e"), RunnerExited("x", "e"), StartRefused("x", "e"),
        RunnerStopRequested("x"), RequestAborted("x"), RequestFinished("x"), AppScaled("x", Scaling()), AppAdopted("x", "L"),
        AppStopped("x"), LeaseEnded("x"), RunnerSpawned("hello-1"), RunnerReady("hello-1"), RunnerFailed("hello-1", "late"),
        TimerFired(),
    ]  # fmt: skip

    assert [world.tell(fact) for fact in stale] == [[]] * len(stale)


def test_an_illegal_move_raises_and_changes_nothing() -> None:
    runner = Runner("a", "hello", 1, State.IDLE, 5)

    with pytest.raises(IllegalRunnerTransition):
        runner.move(State.SETUP, 9)
    assert (runner.state, runner.since) == (State.IDLE, 5)


class Chaos(RuleBasedStateMachine):
    """Any facts in any order: invariants hold, every request gets exactly one end, nothing is left at the end."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.runners: list[str] = []
        self.open: set[str] = set()
        self.ended: set[str] = set()
        self.dispatched: dict[str, str] = {}
        self.revision = 0
        self.count = 0

    def tell(self, fact: FleetEvent, after: float = 0) -> None:
        for order in self.world.tell(fact, after):
            if isinstance(order, StartRunner):
                self.runners.append(order.runner_id)
            elif isinstance(order, DispatchRequest):
                assert order.request_id in self.open
                self.dispatched[order.request_id] = order.runner_id
            elif isinstance(order, FailRequest):
                assert order.request_id in self.open, "answered twice"
                self.open.discard(order.request_id)
                self.dispatched.pop(order.request_id, None)

    @rule(
        x=st.integers(1, 3), low=st.integers(0, 2), extra=st.integers(0, 2), k=st.sampled_from([0, 1, 20]),
        alias=st.sampled_from(["a", "b"]), lease=st.sampled_from(["L", "M"]),
    )  # fmt: skip
    def publish(self, x: int, low: int, extra: int, k: int, alias: str, lease: str) -> None:
        self.revision += 1
        rules = Scaling(
            min_concurrency=low, max_concurrency=max(1, low + extra), max_multiplexing=x, keep_alive=k,
            startup_timeout=5, request_timeout=30, termination_grace_period_seconds=2,
        )  # fmt: skip
        self.tell(AppPublished(alias, AppSpec(class_name="A", alias=alias, scaling=rules), self.revision, lease))

    @rule(alias=st.sampled_from(["a", "b"]), long_lived=st.booleans(), queued=st.booleans(), low=st.booleans())
    def arrive(self, alias: str, long_lived: bool, queued: bool, low: bool) -> None:
        self.count += 1
        self.open.add(f"q{self.count}")
        self.tell(RequestArrived(alias, f"q{self.count}", long_lived, queued, low))

    @rule(data=st.data())
    def progress(self, data: st.DataObject) -> None:
        if self.runners:
            runner = data.draw(st.sampled_from(self.runners))
            kind: Any = data.draw(st.sampled_from([RunnerSpawned, RunnerReady, RunnerReady, "exit", "fail", "refuse"]))
            if kind == "exit":
                self.runners.remove(runner)
                self.tell(RunnerExited(runner, "exited"))
            elif kind == "fail":
                self.tell(RunnerFailed(runner, "E: x"))
            elif kind == "refuse":
                found = self.world.fleet.runner(runner)
                if found is not None and found.state is State.PENDING:
                    self.runners.remove(runner)
                    self.tell(StartRefused(runner, "no"))
            else:
                self.tell(kind(runner))

    @rule(data=st.data(), replace=st.booleans())
    def finish(self, data: st.DataObject, replace: bool) -> None:
        if self.dispatched:
            request = data.draw(st.sampled_from(sorted(self.dispatched)))
            del self.dispatched[request]
            self.open.discard(request)
            self.tell(RequestFinished(request, replace))

    @rule(data=st.data())
    def abort(self, data: st.DataObject) -> None:
        if self.open:
            request = data.draw(st.sampled_from(sorted(self.open)))
            if request not in self.dispatched:
                self.open.discard(request)
            self.tell(RequestAborted(request, insist=data.draw(st.booleans()), force=data.draw(st.booleans())))

    @rule(seconds=st.sampled_from([0.5, 1, 3, 10, 31]))
    def time_passes(self, seconds: float) -> None:
        self.tell(TimerFired(), after=seconds)

    @rule(alias=st.sampled_from(["a", "b"]), kill=st.booleans())
    def stop(self, alias: str, kill: bool) -> None:
        self.tell(AppStopped(alias, kill))

    @rule(alias=st.sampled_from(["a", "b"]))
    def unload(self, alias: str) -> None:
        self.tell(AppUnloaded(alias))

    @rule(lease=st.sampled_from(["L", "M"]))
    def owner_ends(self, lease: str) -> None:
        self.tell(LeaseEnded(lease))

    @invariant()
    def no_runner_is_over_its_multiplexing(self) -> None:
        self.world.fleet.check()

    def teardown(self) -> None:
        for lease in ("L", "M"):
            self.tell(LeaseEnded(lease))
        for runner in list(self.runners):
            self.tell(RunnerExited(runner, "exited"))
        fleet = self.world.fleet
        assert not list(fleet.all_apps())
        assert fleet.wake_at is None
        waiting = self.open - set(self.dispatched)
        assert not waiting, f"never answered: {waiting}"


Chaos.TestCase.settings = settings(max_examples=examples(150), stateful_step_count=40)
TestChaos = Chaos.TestCase


def test_runners_are_numbered_in_each_app_and_no_number_comes_twice(world: World) -> None:
    for alias in ("one", "two"):
        assert world.publish(alias=alias)[-1].runner_id == f"{alias}-1"
    world.tell(AppStopped("one", kill=True))
    world.tell(RunnerExited("one-1", "killed by SIGKILL"))
    assert world.publish(alias="one")[-1].runner_id == "one-2"  # logs know one-1 already


def test_every_state_of_a_runner_is_noted_with_its_time(world: World) -> None:
    world.serve()
    assert [(at, runner.id, state) for at, runner, state in world.fleet.moved] == [
        (world.now, "hello-1", state) for state in (State.PENDING, State.SETUP, State.IDLE)
    ]
