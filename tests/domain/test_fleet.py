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
    """A fleet and a clock that only moves when a test moves it."""

    def __init__(self) -> None:
        self.fleet = Fleet()
        self.now = 1000 * SECOND

    def handle(self, event: FleetEvent, after: float = 0) -> list[FleetCommand]:
        self.now += round(after * SECOND)
        commands = self.fleet.handle(event, self.now)
        self.fleet.check()
        return commands

    def sleep(self) -> list[FleetCommand]:
        """Let time pass until the fleet's own timer."""
        assert self.fleet.wake_at is not None
        self.now = max(self.now, self.fleet.wake_at)
        return self.handle(TimerFired())

    def publish(
        self,
        revision: int = 1,
        lease: str = "L",
        alias: str = "hello",
        health: HealthRules | None = None,
        **scaling: Any,
    ) -> list[FleetCommand]:
        spec = AppSpec(class_name="Hello", alias=alias, scaling=Scaling(**scaling), health=health)
        return self.handle(AppPublished(alias, spec, revision, lease))

    def serve(self, **scaling: Any) -> World:
        """An app whose first runner is ready."""
        self.publish(**scaling)
        self.handle(RunnerSpawned("hello-1"))
        self.handle(RunnerReady("hello-1"))
        return self

    def state(self, runner_id: str) -> State | None:
        runner = self.fleet.runner(runner_id)
        return runner.state if runner else None


@pytest.fixture
def world() -> World:
    return World()


def test_a_published_app_starts_one_runner_even_without_demand(world: World) -> None:
    assert world.publish() == [StartRunner("hello-1", "hello", 1)]
    assert world.handle(RunnerSpawned("hello-1")) == []
    assert world.state("hello-1") is State.SETUP
    assert world.handle(RunnerReady("hello-1")) == [AnnounceRevision("hello", 1)]
    assert world.state("hello-1") is State.IDLE


def test_the_runner_of_a_publication_has_keep_alive_from_its_start(world: World) -> None:
    world.serve(keep_alive=300)

    assert world.handle(TimerFired(), after=299.9) == []
    assert world.sleep() == [StopRunner("hello-1", "idle for keep_alive=300 s")]
    assert world.handle(RunnerExited("hello-1", "exited with status 0")) == []
    assert world.fleet.wake_at is None


def test_a_runner_that_no_request_uses_leaves_after_ten_seconds(world: World) -> None:
    world.serve(keep_alive=300, max_concurrency=2)
    world.handle(RequestArrived("hello", "a"))
    world.handle(RequestArrived("hello", "b"))  # needs a second runner, which comes after the first one is free
    world.handle(RequestFinished("a"))
    world.handle(RequestFinished("b"))
    world.handle(RunnerSpawned("hello-2"))
    world.handle(RunnerReady("hello-2"))

    assert world.handle(TimerFired(), after=9.9) == []
    assert world.sleep() == [StopRunner("hello-2", "not used within 10 s")]
    assert world.handle(RunnerExited("hello-2", "exited with status 0")) == []
    assert world.sleep() == [StopRunner("hello-1", "idle for keep_alive=300 s")]
    assert world.handle(RunnerExited("hello-1", "exited with status 0")) == []
    assert world.handle(RunnerExited("hello-1", "exited with status 0")) == []
    assert world.fleet.wake_at is None


def test_an_event_loop_that_does_not_turn_while_others_wait_costs_its_runner(world: World) -> None:
    world.serve(max_multiplexing=4)
    world.handle(RequestArrived("hello", "a"))
    assert world.handle(RequestArrived("hello", "b"), after=1) == [DispatchRequest("b", "hello-1")]

    assert world.handle(TimerFired(), after=4.9) == []
    assert [world.sleep() for _ in range(3)] == [[PingRunner("hello-1")]] * 3
    commands = world.sleep()

    why = "its event loop was blocked for 15 s with 2 requests in it"
    message = f"the runner was ended: {why}"
    assert commands[:3] == [
        FailRequest("a", 503, "runner_disconnected", message),
        FailRequest("b", 503, "runner_disconnected", message),
        KillRunner("hello-1", why, stacks=True),
    ]
    assert world.now == 1021 * SECOND
    assert world.handle(RunnerExited("hello-1", "killed by SIGABRT"))[-1:] != [KillRunner("hello-1", why, stacks=True)]


def test_an_event_loop_that_turns_now_and_then_is_left_alone(world: World) -> None:
    world.serve(max_multiplexing=4, request_timeout=1000)
    for name in "ab":
        world.handle(RequestArrived("hello", name))
    for _ in range(20):
        assert world.sleep() == [PingRunner("hello-1")]
        assert world.sleep() == [PingRunner("hello-1")]
        assert world.handle(RunnerPingAnswered("hello-1"), after=1) == []
    world.handle(RequestFinished("a", False))
    assert world.sleep() == []  # one alone stops nobody else
    assert world.fleet.runner("hello-1").liveness.due == 0  # type: ignore[union-attr]
    world.handle(RequestArrived("hello", "c"))
    assert world.sleep() == [PingRunner("hello-1")]


def test_a_lone_request_causes_no_liveness_probe(world: World) -> None:
    world.serve(max_multiplexing=4, request_timeout=1000)
    world.handle(RequestArrived("hello", "a"))
    assert world.handle(TimerFired(), after=900) == []
    assert world.handle(RunnerPingAnswered("hello-1")) == []
    assert world.handle(RunnerPingAnswered("nobody")) == []


def test_a_gateway_that_slept_finds_no_runner_guilty(world: World) -> None:
    world.serve(max_multiplexing=4, request_timeout=1000)
    for name in "ab":
        world.handle(RequestArrived("hello", name))
    world.sleep()
    assert world.handle(TimerFired(), after=60) == [PingRunner("hello-1")]  # a minute of silence, but one question only
    assert world.handle(RunnerPingAnswered("hello-1")) == []
    assert world.sleep() == [PingRunner("hello-1")]


def test_the_timer_is_exact_with_many_apps_and_many_changes(world: World) -> None:
    for number in range(40):
        world.publish(alias=f"app{number}", request_timeout=10 + number)
        world.handle(RunnerSpawned(f"app{number}-1"))
        world.handle(RunnerReady(f"app{number}-1"))
    for turn in range(400):  # each fact compares the heap with every app's own timer (Fleet.check)
        world.handle(RequestArrived(f"app{turn % 40}", f"r{turn}"), after=0.001)
        world.handle(RequestFinished(f"r{turn}", False), after=0.001)
    for keep_alive in range(900, 600, -1):  # ever earlier: what is on the heap below is of no use any more
        world.handle(AppScaled("app7", Scaling(keep_alive=keep_alive)))
    assert len(world.fleet._state.timers) < 2 * 40 + 70
    while world.fleet.wake_at is not None:
        for command in world.sleep():
            if isinstance(command, StopRunner):
                world.handle(RunnerExited(command.runner_id, "exited with status 0"))


def test_a_warm_runner_stays(world: World) -> None:
    world.serve(warm=1)

    assert world.handle(TimerFired(), after=100_000) == []
    assert world.state("hello-1") is State.IDLE


def test_an_unloaded_app_has_no_runner_until_the_next_request(world: World) -> None:
    world.serve(warm=1)
    world.handle(RequestArrived("hello", "q1"))
    world.handle(RequestFinished("q1"))
    why = "the user unloaded the app; the next request starts a runner"

    assert world.handle(AppUnloaded("hello")) == [StopRunner("hello-1", why)]
    assert world.handle(RunnerExited("hello-1", "exited with status 0"), after=1) == []
    assert world.fleet.apps["hello"].runners == {}
    world.now += 3600 * SECOND
    assert world.handle(TimerFired()) == []
    assert world.handle(RequestArrived("hello", "q2")) == [StartRunner("hello-2", "hello", 1)]
    world.handle(RunnerSpawned("hello-2"))
    assert world.handle(RunnerReady("hello-2")) == [DispatchRequest("q2", "hello-2")]
    world.handle(RequestFinished("q2"))
    assert world.handle(TimerFired(), after=3600) == []
    assert world.state("hello-2") is State.IDLE


def test_a_runner_that_is_unloaded_at_work_answers_first(world: World) -> None:
    world.serve(warm=1)
    world.handle(RequestArrived("hello", "q1"))

    assert world.fleet.apps["hello"].has_supply
    assert world.handle(AppUnloaded("hello")) == []
    assert world.state("hello-1") is State.DRAINING
    assert not world.fleet.apps["hello"].has_supply  # so that a start by hand is not lost
    assert world.handle(RequestFinished("q1")) == [StopRunner("hello-1", "its last request is answered")]


def test_a_start_after_an_unload_says_that_it_waits_for_the_ending_runner(world: World) -> None:
    world.serve(max_concurrency=1)
    world.handle(RequestArrived("hello", "q1"))
    world.handle(AppUnloaded("hello"))

    assert world.handle(RequestArrived("hello", "q2")) == []
    assert world.fleet.apps["hello"].reason == (
        "the next runner starts when hello-1 has ended, as max_concurrency is 1"
    )
    world.handle(RequestFinished("q1"))
    assert world.handle(RunnerExited("hello-1", "exited with status 0")) == [StartRunner("hello-2", "hello", 1)]


def test_unloading_cancels_an_unneeded_start(world: World) -> None:
    world.publish(warm=1)

    assert world.handle(AppUnloaded("hello")) == [
        KillRunner("hello-1", "the user unloaded the app; the next request starts a runner")
    ]
    assert world.handle(AppUnloaded("nobody")) == []


def test_unloading_keeps_a_start_with_waiting_requests(world: World) -> None:
    world.publish(warm=1)
    world.handle(RequestArrived("hello", "q1"))

    assert world.handle(AppUnloaded("hello")) == []
    world.handle(RunnerSpawned("hello-1"))
    assert world.handle(RunnerReady("hello-1")) == [AnnounceRevision("hello", 1), DispatchRequest("q1", "hello-1")]


def test_a_change_of_scaling_or_a_publication_wakes_an_unloaded_app(world: World) -> None:
    world.serve(warm=1)
    world.handle(AppUnloaded("hello"))
    world.handle(RunnerExited("hello-1", "exited with status 0"))

    assert world.handle(AppScaled("hello", Scaling(min_concurrency=1))) == [StartRunner("hello-2", "hello", 1)]


def test_a_decision_has_its_direction_and_the_runners_before_and_after(world: World) -> None:
    world.serve(max_concurrency=3, keep_alive=60)
    for number in range(3):
        world.handle(RequestArrived("hello", f"q{number}"))
    for runner in ("hello-2", "hello-3"):
        world.handle(RunnerSpawned(runner))
        world.handle(RunnerReady(runner))
    for number in range(3):
        world.handle(RequestFinished(f"q{number}"))
    world.handle(TimerFired(), after=61)

    decisions = [(d.kind, d.before, d.after) for d in world.fleet.apps["hello"].decisions.recent]
    assert decisions == [("up", 0, 1), ("up", 1, 2), ("up", 2, 3), ("down", 3, 0)]
    assert len(world.fleet.apps["hello"].decisions.undrawn) == 4


def test_a_request_goes_to_a_free_runner_at_once_and_the_next_waits_for_another(world: World) -> None:
    world.serve(warm=1, max_concurrency=2)

    assert world.handle(RequestArrived("hello", "a")) == [DispatchRequest("a", "hello-1")]
    assert world.handle(RequestArrived("hello", "b")) == [StartRunner("hello-2", "hello", 1)]
    assert world.handle(RequestFinished("a")) == [DispatchRequest("b", "hello-1")]
    assert world.handle(RequestFinished("b")) == []
    assert world.sleep() == [KillRunner("hello-2", "no longer needed")]  # it did not come up in ten seconds


def test_a_used_runner_leaves_after_keep_alive(world: World) -> None:
    world.serve(keep_alive=60)
    world.handle(RequestArrived("hello", "a"))
    world.handle(RequestFinished("a"), after=5)

    assert world.handle(TimerFired(), after=59.9) == []
    assert world.sleep() == [StopRunner("hello-1", "idle for keep_alive=60 s")]


def test_multiplexing_fills_a_runner_to_its_limit_and_never_over(world: World) -> None:
    world.serve(warm=1, max_concurrency=1, max_multiplexing=2)

    assert world.handle(RequestArrived("hello", "a")) == [DispatchRequest("a", "hello-1")]
    assert world.handle(RequestArrived("hello", "b")) == [DispatchRequest("b", "hello-1")]
    assert world.handle(RequestArrived("hello", "c")) == []
    assert world.handle(RequestFinished("a")) == [DispatchRequest("c", "hello-1")]


def test_an_old_runner_keeps_the_multiplexing_of_its_revision(world: World) -> None:
    world.serve(max_concurrency=1)
    world.handle(RequestArrived("hello", "a"))
    world.publish(2, max_multiplexing=2)

    assert DispatchRequest("b", "hello-1") not in world.handle(RequestArrived("hello", "b"))
    assert world.handle(RequestFinished("a"))[:1] == [DispatchRequest("b", "hello-1")]


def test_a_cancelled_request_does_not_end_its_runner_within_the_grace_period(world: World) -> None:
    world.serve(warm=1, max_multiplexing=2)
    world.handle(RequestArrived("hello", "a"))
    world.handle(RequestArrived("hello", "b"))
    world.handle(RequestAborted("a", insist=True))

    assert world.handle(RequestFinished("b")) == []
    assert world.state("hello-1") is State.RUNNING


def test_an_app_is_cold_until_a_runner_is_ready(world: World) -> None:
    world.publish()
    assert world.fleet.apps["hello"].is_cold
    world.handle(RunnerSpawned("hello-1"))
    world.handle(RunnerReady("hello-1"))
    assert not world.fleet.apps["hello"].is_cold


def test_of_two_ready_runners_the_one_used_last_is_chosen_so_that_the_other_ages_out(world: World) -> None:
    world.serve(min_concurrency=2, max_multiplexing=2)
    world.handle(RunnerSpawned("hello-2"))
    world.handle(RunnerReady("hello-2"), after=1)

    assert world.handle(RequestArrived("hello", "a"), after=1) == [DispatchRequest("a", "hello-2")]
    assert world.handle(RequestArrived("hello", "b"), after=1) == [DispatchRequest("b", "hello-1")]


def test_a_changed_source_is_served_by_new_runners_while_the_old_serve_on(world: World) -> None:
    world.serve(warm=1)
    world.handle(RequestArrived("hello", "old"))

    assert world.publish(2, warm=1) == [StartRunner("hello-2", "hello", 2)]
    assert world.handle(RequestArrived("hello", "waits")) == []
    assert world.handle(RequestFinished("old")) == [DispatchRequest("waits", "hello-1")]
    world.handle(RunnerSpawned("hello-2"))
    assert world.handle(RunnerReady("hello-2")) == [AnnounceRevision("hello", 2)]
    assert world.state("hello-1") is State.DRAINING
    assert world.handle(RequestArrived("hello", "new")) == [DispatchRequest("new", "hello-2")]
    assert world.handle(RequestFinished("waits")) == [StopRunner("hello-1", "its last request is answered")]
    assert world.handle(RunnerExited("hello-1", "exited with status 0")) == []


def test_with_max_concurrency_one_the_old_runner_makes_room_first(world: World) -> None:
    world.serve(warm=1, max_concurrency=1)

    assert world.publish(2, warm=1, max_concurrency=1) == [StopRunner("hello-1", "makes room for revision 2")]
    assert world.handle(RequestArrived("hello", "a")) == []
    assert world.handle(RunnerExited("hello-1", "gone")) == [StartRunner("hello-2", "hello", 2)]
    world.handle(RunnerSpawned("hello-2"))
    assert world.handle(RunnerReady("hello-2")) == [AnnounceRevision("hello", 2), DispatchRequest("a", "hello-2")]


def test_a_revision_that_does_not_start_leaves_the_old_one_serving(world: World) -> None:
    world.serve(warm=1)
    world.publish(2, warm=1)
    world.handle(RunnerSpawned("hello-2"))

    assert world.handle(RunnerFailed("hello-2", "ValueError: bad")) == [
        AnnounceFailure("hello", 2, "hello-2", "ValueError: bad", -1)
    ]
    assert world.handle(RunnerExited("hello-2", "exited with status 3")) == []
    assert world.handle(RequestArrived("hello", "a")) == [DispatchRequest("a", "hello-1")]
    assert "revision 1 keeps serving" in world.fleet.apps["hello"].reason


def test_other_starts_of_a_failed_revision_are_ended(world: World) -> None:
    world.serve(min_concurrency=2)
    world.handle(RunnerSpawned("hello-2"))
    world.handle(RunnerReady("hello-2"))
    assert world.publish(2, min_concurrency=2) == [
        StartRunner("hello-3", "hello", 2),
        StartRunner("hello-4", "hello", 2),
    ]
    world.handle(RunnerSpawned("hello-3"))

    assert world.handle(RunnerFailed("hello-3", "E: x")) == [
        AnnounceFailure("hello", 2, "hello-3", "E: x", -1),
        KillRunner("hello-4", "revision 2 failed"),
    ]


@pytest.mark.parametrize("event", [RunnerReady("hello-2"), RunnerFailed("hello-2", "E: x")])
def test_a_runner_of_the_old_revision_that_was_still_starting_decides_nothing_about_the_new(
    world: World, event: FleetEvent
) -> None:
    world.serve(min_concurrency=2)
    world.handle(RunnerSpawned("hello-2"))
    world.publish(2, min_concurrency=1)

    assert world.handle(event) == []
    assert world.fleet.apps["hello"].serving == 1


def test_a_republication_ends_the_starts_of_the_one_before(world: World) -> None:
    world.publish(1)

    assert world.publish(2) == [
        KillRunner("hello-1", "revision 2 was published"), StartRunner("hello-2", "hello", 2),
    ]  # fmt: skip


def test_a_failed_setup_fails_waiting_requests_and_backs_off(world: World) -> None:
    world.publish(warm=1)
    world.handle(RunnerSpawned("hello-1"))
    world.handle(RequestArrived("hello", "a"))
    commands = world.handle(RunnerFailed("hello-1", "ValueError: bad"))
    detail = "hello could not start (ValueError); the next attempt is in 30 s"

    assert commands == [
        AnnounceFailure("hello", 1, "hello-1", "ValueError: bad", 30.0),
        FailRequest("a", 503, "runner_scheduling_failure", detail, 30),
    ]
    assert world.handle(RunnerExited("hello-1", "exited with status 3")) == []
    (late,) = world.handle(RequestArrived("hello", "b"), after=10)
    assert isinstance(late, FailRequest)
    assert (late.status, late.retry_after) == (503, 20)
    assert world.sleep() == [StartRunner("hello-2", "hello", 1)]
    world.handle(RunnerSpawned("hello-2"))
    again = world.handle(RunnerExited("hello-2", "killed by SIGSEGV"))
    assert again[0] == AnnounceFailure(
        "hello", 1, "hello-2", "the runner ended before it was ready: killed by SIGSEGV", 60.0
    )


def test_starts_that_were_lost_with_their_template_are_tried_again_three_times(world: World) -> None:
    world.publish(warm=1)
    world.handle(RunnerSpawned("hello-1"))
    world.handle(RequestArrived("hello", "a"))
    for number in (1, 2, 3):
        lost = world.handle(
            RunnerExited(f"hello-{number}", "its template ended (killed by SIGKILL)", lost=True), after=2
        )
        assert lost == [StartRunner(f"hello-{number + 1}", "hello", 1)]
    assert "starting another" in world.fleet.apps["hello"].decisions.recent[-2].reason
    failed = world.handle(RunnerExited("hello-4", "its template ended (killed by SIGKILL)", lost=True), after=2)
    assert [type(command) for command in failed] == [AnnounceFailure, FailRequest]


def test_starts_that_were_lost_with_one_template_count_once(world: World) -> None:
    world.publish(warm=5)
    for number in range(1, 6):
        assert world.handle(RunnerExited(f"hello-{number}", "its template ended", lost=True), after=0.01)
    assert world.fleet.apps["hello"].backoff.lost == 1
    world.handle(RunnerSpawned("hello-6"))
    world.handle(RunnerReady("hello-6"))
    assert world.fleet.apps["hello"].backoff.lost == 0


def test_a_new_revision_after_a_failure_starts_at_once(world: World) -> None:
    world.publish(warm=1)
    world.handle(RunnerSpawned("hello-1"))
    world.handle(RunnerFailed("hello-1", "E: x"))
    commands = world.publish(2, warm=1)

    assert StartRunner("hello-3", "hello", 2) in commands


def test_a_setup_that_hangs_is_killed_with_its_stacks_and_its_callers_get_504(world: World) -> None:
    world.publish(startup_timeout=5, warm=1)
    world.handle(RunnerSpawned("hello-1"))
    world.handle(RequestArrived("hello", "a"))
    commands = world.sleep()

    assert commands[0] == KillRunner("hello-1", "setup() exceeded startup_timeout (5 s)", stacks=True)
    assert isinstance(commands[1], AnnounceFailure)
    assert isinstance(commands[2], FailRequest)
    assert (commands[2].status, commands[2].error_type) == (504, "startup_timeout")
    assert world.handle(RunnerExited("hello-1", "killed by SIGABRT")) == []


def test_a_failed_start_beside_ready_runners_fails_no_request(world: World) -> None:
    world.serve(min_concurrency=1, max_concurrency=2)
    world.handle(RequestArrived("hello", "a"))
    world.handle(RequestArrived("hello", "b"))
    world.handle(RunnerSpawned("hello-2"))

    assert world.handle(RunnerFailed("hello-2", "E: x")) == [AnnounceFailure("hello", 1, "hello-2", "E: x", 30.0)]
    assert world.handle(RequestFinished("a")) == [DispatchRequest("b", "hello-1")]


LATE = "the request ran longer than request_timeout (10 s)"
STUCK = KillRunner("hello-1", "a request that exceeded request_timeout (10 s) did not end", stacks=True)


def test_a_timed_out_request_gets_504_is_cancelled_then_forced_then_its_runner_replaced(world: World) -> None:
    world.serve(warm=1, request_timeout=10, max_concurrency=1)
    world.handle(RequestArrived("hello", "a"))
    began = world.now

    assert world.sleep() == [AnswerRequest("a", 504, "request_timeout", LATE), CancelRequest("a", "hello-1", "tell")]
    assert (world.now - began) / SECOND == 10
    assert world.sleep() == [CancelRequest("a", "hello-1", "force")]
    assert (world.now - began) / SECOND == 11
    assert world.sleep() == [STUCK]
    assert (world.now - began) / SECOND == 16
    (failure, start) = world.handle(RunnerExited("hello-1", "killed by SIGABRT"))
    assert isinstance(failure, FailRequest)  # nobody hears it: the caller was answered
    assert start == StartRunner("hello-2", "hello", 1)


def test_a_request_that_ends_when_cancelled_keeps_its_runner(world: World) -> None:
    world.serve(warm=1, request_timeout=10, max_concurrency=1)
    world.handle(RequestArrived("hello", "a"))
    world.sleep()
    world.handle(RequestFinished("a"), after=0.5)
    assert world.handle(RequestArrived("hello", "b")) == [DispatchRequest("b", "hello-1")]
    assert world.fleet.apps["hello"].cancellations == {}


def test_others_in_a_stuck_requests_runner_finish_before_it_is_replaced(world: World) -> None:
    world.serve(warm=1, request_timeout=10, max_multiplexing=3, max_concurrency=2)
    world.handle(RequestArrived("hello", "a"))
    began = world.now
    world.handle(RequestArrived("hello", "b"), after=9.5)
    world.handle(RequestArrived("hello", "socket", long_lived=True))
    issued: list[FleetCommand] = []
    while world.now < began + 16 * SECOND:
        issued += [command for command in world.sleep() if not isinstance(command, PingRunner)]
    assert issued == [
        AnswerRequest("a", 504, "request_timeout", LATE),
        CancelRequest("a", "hello-1", "tell"),
        CancelRequest("a", "hello-1", "force"),
        CancelRequest("socket", "hello-1", "politely"),  # it drains: what has no end of its own is asked for one
        StartRunner("hello-2", "hello", 1),
    ]
    assert STUCK not in world.handle(RequestFinished("socket"))
    assert STUCK in world.handle(RequestFinished("b"))


def test_a_forced_cancellation_ends_the_request(world: World) -> None:
    world.serve(warm=1, max_multiplexing=2, max_concurrency=1)
    world.handle(RequestArrived("hello", "a"))
    world.handle(RequestArrived("hello", "b"))
    assert world.handle(RequestAborted("a", insist=True)) == [CancelRequest("a", "hello-1", "tell")]
    assert world.handle(RequestAborted("b")) == [CancelRequest("b", "hello-1")]
    assert world.handle(RequestAborted("b", insist=True, force=True)) == [CancelRequest("b", "hello-1", "force")]
    assert world.handle(RequestAborted("b", insist=True)) == []
    killed = KillRunner("hello-1", "a request that was cancelled did not end", stacks=True)
    steps: list[FleetCommand] = []
    while killed not in steps:
        steps += [command for command in world.sleep() if not isinstance(command, PingRunner)]
    assert steps == [CancelRequest("a", "hello-1", "force"), killed]  # both are stuck; it is killed once


def test_a_request_that_has_to_start_in_time_and_does_not_gets_504(world: World) -> None:
    world.serve(warm=1, max_concurrency=1)
    world.handle(RequestArrived("hello", "busy"))
    world.handle(RequestArrived("hello", "patient"))
    world.handle(RequestArrived("hello", "caller", start_within=5))
    world.handle(RequestArrived("hello", "job", queued=True, start_within=2.5))
    message = "Request timed out: no runner had it within 2.5 s (the caller's limit)"
    assert world.sleep() == [FailRequest("job", 504, "request_timeout", message, by_caller=True)]
    (late,) = world.sleep()
    assert isinstance(late, FailRequest)
    assert (late.request_id, late.by_caller) == ("caller", True)
    assert world.handle(RequestFinished("busy")) == [DispatchRequest("patient", "hello-1")]
    assert world.handle(RequestArrived("hello", "started", start_within=1), after=1) == []
    assert world.handle(RequestFinished("patient"), after=0.5) == [DispatchRequest("started", "hello-1")]
    assert world.handle(TimerFired(), after=60) == []  # it is the start that had a limit


def test_an_app_may_limit_the_start_time_of_its_requests(world: World) -> None:
    spec = AppSpec(
        class_name="Hello", alias="hello", scaling=Scaling(warm=1, max_concurrency=1, request_start_timeout=3)
    )
    world.handle(AppPublished("hello", spec, 1, "L"))
    world.handle(RequestArrived("hello", "a"))
    message = "Request timed out: no runner had it within 3 s (request_start_timeout)"
    assert world.sleep() == [FailRequest("a", 504, "request_timeout", message)]


def test_the_limit_of_waiting_can_be_changed_while_the_app_runs(world: World) -> None:
    world.serve(warm=1, max_concurrency=1)
    world.handle(RequestArrived("hello", "busy"))
    rules = world.fleet.apps["hello"].scaling
    world.handle(AppScaled("hello", rules.changed({"request_start_timeout": 2})))
    world.handle(RequestArrived("hello", "waits"))
    (given_up,) = world.sleep()
    assert isinstance(given_up, FailRequest)
    assert (given_up.request_id, given_up.status) == ("waits", 504)
    world.handle(AppScaled("hello", rules.changed({"request_start_timeout": 0})))
    world.handle(RequestArrived("hello", "patient", queued=True))
    assert world.handle(TimerFired(), after=100) == []


def test_a_direct_request_has_a_waiting_limit_beside_unlimited_ones(world: World) -> None:
    world.serve(warm=1, max_concurrency=1, request_timeout=100, startup_timeout=10)
    world.handle(RequestArrived("hello", "socket", long_lived=True))
    world.handle(RequestArrived("hello", "job", queued=True))
    world.handle(RequestArrived("hello", "plain"))
    (expired,) = world.sleep()
    assert isinstance(expired, FailRequest)
    assert (expired.request_id, expired.status) == ("plain", 503)


def test_a_websocket_has_no_time_limit_and_a_queued_request_waits_for_ever(world: World) -> None:
    world.serve(warm=1, request_timeout=10, max_concurrency=1)
    world.handle(RequestArrived("hello", "socket", long_lived=True))
    world.handle(RequestArrived("hello", "job", queued=True))
    world.handle(RequestArrived("hello", "low", queued=True, low=True))
    world.handle(RequestArrived("hello", "other", queued=True))
    app = world.fleet.apps["hello"]
    assert next_deadline(app) is None
    assert [app.ahead_of(name) for name in ("job", "other", "low", "socket")] == [0, 1, 2, 0]
    assert world.handle(TimerFired(), after=100_000) == []
    assert world.handle(RequestFinished("socket")) == [DispatchRequest("job", "hello-1")]
    assert world.handle(RequestFinished("job")) == [DispatchRequest("other", "hello-1")]
    assert world.handle(RequestFinished("other")) == [DispatchRequest("low", "hello-1")]


def test_a_request_beside_a_websocket_has_its_time_limit(world: World) -> None:
    world.serve(min_concurrency=2, request_timeout=30)
    world.handle(RunnerSpawned("hello-2"))
    world.handle(RunnerReady("hello-2"))
    world.handle(RequestArrived("hello", "socket", long_lived=True))
    world.handle(TimerFired(), after=1000)  # what was due for the websocket's own dispatch is over
    assert [type(command) for command in world.handle(RequestArrived("hello", "call"))] == [DispatchRequest]
    began = world.now

    assert [type(command) for command in world.sleep()] == [AnswerRequest, CancelRequest]
    assert world.now == began + 30 * SECOND


def test_a_request_never_waits_without_a_bound(world: World) -> None:
    world.serve(warm=1, max_concurrency=1, request_timeout=100, startup_timeout=10)
    world.handle(RequestArrived("hello", "a"))
    world.handle(RequestArrived("hello", "b"))
    world.handle(RequestAborted("a"))
    world.fleet.apps["hello"].in_flight["a"].dispatched += 1000 * SECOND  # a runner that never answers

    assert world.handle(TimerFired(), after=110) == [
        FailRequest("b", 503, "runner_scheduling_failure", "no runner of hello was free within 110 s"),
    ]  # fmt: skip


def test_a_runner_that_dies_in_service_is_replaced_at_once_and_its_callers_get_503(world: World) -> None:
    world.serve(warm=1)
    world.handle(RequestArrived("hello", "a"))
    detail = "the runner ended while it had this request (killed by SIGKILL)"

    assert world.handle(RunnerExited("hello-1", "killed by SIGKILL")) == [
        FailRequest("a", 503, "runner_disconnected", detail),
        StartRunner("hello-2", "hello", 1),
    ]


def test_a_runner_that_keeps_dying_is_tried_one_at_a_time(world: World) -> None:
    world.serve(warm=1)
    for number in range(1, 5):
        assert world.handle(RunnerExited(f"hello-{number}", "died"), after=1)[-1] == StartRunner(
            f"hello-{number + 1}", "hello", 1
        )
        world.handle(RunnerSpawned(f"hello-{number + 1}"))
        world.handle(RunnerReady(f"hello-{number + 1}"))
    assert world.handle(RunnerExited("hello-5", "died"), after=1) == []
    assert world.sleep() == [StartRunner("hello-6", "hello", 1)]
    world.handle(RunnerSpawned("hello-6"))
    world.handle(RunnerReady("hello-6"))
    assert world.handle(RunnerExited("hello-6", "died"), after=70) == [StartRunner("hello-7", "hello", 1)]


def test_a_runner_that_requests_replacement_is_drained(world: World) -> None:
    world.serve(warm=1)
    world.handle(RequestArrived("hello", "a"))

    assert world.handle(RequestFinished("a", replace=True)) == [
        StopRunner("hello-1", "its last request is answered"), StartRunner("hello-2", "hello", 1),
    ]  # fmt: skip


def test_a_disconnect_before_dispatch_drops_the_request_and_after_it_reaches_the_runner(world: World) -> None:
    world.serve(warm=1, max_concurrency=1)
    world.handle(RequestArrived("hello", "a"))
    world.handle(RequestArrived("hello", "b"))

    assert world.handle(RequestAborted("b")) == []
    assert world.handle(RequestAborted("a")) == [CancelRequest("a", "hello-1")]
    assert world.handle(RequestAborted("a")) == []
    (failure, start) = world.handle(RunnerExited("hello-1", "gone"))
    assert isinstance(failure, FailRequest)  # for the books: nobody is there who hears it
    assert start == StartRunner("hello-2", "hello", 1)


def test_a_flood_is_refused_beyond_what_may_wait(world: World) -> None:
    world.publish(max_concurrency=1)
    for number in range(MAX_WAITING):
        world.fleet.handle(RequestArrived("hello", str(number)), world.now)
    (refused,) = world.handle(RequestArrived("hello", "one more"))

    assert isinstance(refused, FailRequest)
    assert (refused.status, refused.retry_after) == (503, 1)


def test_a_start_that_the_machine_refuses_is_tried_again_after_twenty_seconds(world: World) -> None:
    world.publish(warm=1)
    world.handle(RequestArrived("hello", "a"))

    assert world.handle(StartRefused("hello-1", "no processes")) == [
        AnnounceFailure("hello", 1, "hello-1", "no processes", 20.0)
    ]
    assert world.sleep() == [StartRunner("hello-2", "hello", 1)]
    commands = world.handle(StartRefused("hello-2", "no processes"))
    assert [type(command) for command in commands] == [AnnounceFailure, FailRequest]
    world.fleet.apps["hello"].phase = AppPhase.ACTIVE
    world.sleep()
    assert world.handle(StartRefused("hello-3", "no processes")) == []


def test_other_scaling_acts_on_the_runners_that_live(world: World) -> None:
    world.serve(warm=1)

    assert world.handle(AppScaled("hello", Scaling(min_concurrency=2))) == [StartRunner("hello-2", "hello", 1)]


def test_a_change_of_settings_is_a_decision_and_one_that_changes_nothing_is_none(world: World) -> None:
    world.serve(warm=1, max_concurrency=2)
    app = world.fleet.apps["hello"]
    before = app.scaling
    world.handle(AppScaled("hello", before))
    world.handle(AppScaled("hello", before.changed({"max_concurrency": 4, "keep_alive": 120})))

    reasons = [d.reason for d in app.decisions.recent if "settings" in d.reason]
    assert reasons == ["the settings were changed: max_concurrency 2 → 4, keep_alive 10 → 120, warm 1 → 0"]


def test_a_stop_by_hand_is_a_decision(world: World) -> None:
    world.serve(warm=1)
    app = world.fleet.apps["hello"]
    world.handle(AppStopped("hello"))

    last = app.decisions.recent[-1]
    assert (last.kind, last.before, last.after, last.reason) == ("down", 1, 0, "the app was stopped")


def test_an_ended_owner_takes_its_apps_along_and_hastily(world: World) -> None:
    world.serve(warm=1, max_concurrency=1)
    world.publish(alias="other", lease="M")
    world.handle(RequestArrived("hello", "a"))
    world.handle(RequestArrived("hello", "b"))
    commands = world.handle(LeaseEnded("L"))

    assert isinstance(commands[0], FailRequest)
    assert commands[1] == StopRunner("hello-1", "the notebook or program that owned the app has ended")
    assert list(world.fleet.apps) == ["other"]
    assert world.handle(TimerFired(), after=1) == [KillRunner("hello-1", "it did not end within its grace period")]
    assert [type(o) for o in world.handle(RunnerExited("hello-1", "killed"))] == [FailRequest, ForgetApp]


def test_an_adopted_app_outlives_its_former_owner(world: World) -> None:
    world.serve(warm=1)
    world.handle(AppAdopted("hello", "M"))

    assert world.handle(LeaseEnded("L")) == []
    assert world.handle(LeaseEnded("M"))


def test_a_stopped_app_ends_its_runners_and_its_name_is_free_at_once(world: World) -> None:
    world.serve(warm=1)
    assert world.handle(AppStopped("hello")) == [StopRunner("hello-1", "the app was stopped")]
    assert world.handle(RequestArrived("hello", "a")) == [
        FailRequest("a", 503, "runner_scheduling_failure", "the app was stopped")
    ]
    assert world.publish() == [StartRunner("hello-2", "hello", 1)]
    assert world.handle(RunnerExited("hello-1", "exited with status 0")) == [ForgetApp("hello")]
    assert world.handle(AppStopped("hello", kill=True)) == [KillRunner("hello-2", "the app was stopped")]
    assert world.handle(RunnerExited("hello-2", "killed")) == [ForgetApp("hello")]


def test_stopping_an_app_in_back_off_forgets_it_at_once(world: World) -> None:
    world.publish(warm=1)
    world.handle(RunnerSpawned("hello-1"))
    world.handle(RunnerFailed("hello-1", "E: x"))
    world.handle(RunnerExited("hello-1", "exited"))

    assert world.state("hello-2") is State.CRASH_BACKOFF
    assert world.handle(AppStopped("hello")) == [ForgetApp("hello")]


@pytest.mark.parametrize("kill", [True, False])
def test_a_runner_that_the_user_stops_is_replaced_if_it_is_needed(world: World, kill: bool) -> None:
    world.serve(warm=1)
    command: FleetCommand = (
        KillRunner("hello-1", "the user killed it") if kill else StopRunner("hello-1", "the user stopped it")
    )

    assert world.handle(RunnerStopRequested("hello-1", kill)) == [command, StartRunner("hello-2", "hello", 1)]
    assert world.handle(RunnerStopRequested("hello-1", False)) == []
    assert world.handle(RunnerStopRequested("hello-2", False)) == [
        KillRunner("hello-2", "the user killed it"), StartRunner("hello-3", "hello", 1),
    ]  # fmt: skip


def test_a_slot_in_back_off_can_be_dropped_by_the_user(world: World) -> None:
    world.publish(warm=1)
    world.handle(RunnerSpawned("hello-1"))
    world.handle(RunnerFailed("hello-1", "E: x"))
    world.handle(RunnerStopRequested("hello-2", False))

    assert world.state("hello-2") is None


def test_events_of_what_has_ended_change_nothing(world: World) -> None:
    world.serve(warm=1)
    stale = [
        RunnerSpawned("x"), RunnerReady("x"), RunnerFailed("x", "e"), RunnerExited("x", "e"), StartRefused("x", "e"),
        RunnerStopRequested("x"), RequestAborted("x"), RequestFinished("x"), AppScaled("x", Scaling()), AppAdopted("x", "L"),
        AppStopped("x"), LeaseEnded("x"), RunnerSpawned("hello-1"), RunnerReady("hello-1"), RunnerFailed("hello-1", "late"),
        TimerFired(),
    ]  # fmt: skip

    assert [world.handle(event) for event in stale] == [[]] * len(stale)


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

    def handle(self, event: FleetEvent, after: float = 0) -> None:
        for command in self.world.handle(event, after):
            if isinstance(command, StartRunner):
                self.runners.append(command.runner_id)
            elif isinstance(command, DispatchRequest):
                assert command.request_id in self.open
                self.dispatched[command.request_id] = command.runner_id
            elif isinstance(command, FailRequest):
                assert command.request_id in self.open, "answered twice"
                self.open.discard(command.request_id)
                self.dispatched.pop(command.request_id, None)

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
        self.handle(AppPublished(alias, AppSpec(class_name="A", alias=alias, scaling=rules), self.revision, lease))

    @rule(alias=st.sampled_from(["a", "b"]), long_lived=st.booleans(), queued=st.booleans(), low=st.booleans())
    def arrive(self, alias: str, long_lived: bool, queued: bool, low: bool) -> None:
        self.count += 1
        self.open.add(f"q{self.count}")
        self.handle(RequestArrived(alias, f"q{self.count}", long_lived, queued, low))

    @rule(data=st.data())
    def progress(self, data: st.DataObject) -> None:
        if self.runners:
            runner = data.draw(st.sampled_from(self.runners))
            kind: Any = data.draw(st.sampled_from([RunnerSpawned, RunnerReady, RunnerReady, "exit", "fail", "refuse"]))
            if kind == "exit":
                self.runners.remove(runner)
                self.handle(RunnerExited(runner, "exited"))
            elif kind == "fail":
                self.handle(RunnerFailed(runner, "E: x"))
            elif kind == "refuse":
                record = self.world.fleet.runner(runner)
                if record is not None and record.state is State.PENDING:
                    self.runners.remove(runner)
                    self.handle(StartRefused(runner, "no"))
            else:
                self.handle(kind(runner))

    @rule(data=st.data(), replace=st.booleans())
    def finish(self, data: st.DataObject, replace: bool) -> None:
        if self.dispatched:
            request = data.draw(st.sampled_from(sorted(self.dispatched)))
            del self.dispatched[request]
            self.open.discard(request)
            self.handle(RequestFinished(request, replace))

    @rule(data=st.data())
    def abort(self, data: st.DataObject) -> None:
        if self.open:
            request = data.draw(st.sampled_from(sorted(self.open)))
            if request not in self.dispatched:
                self.open.discard(request)
            self.handle(RequestAborted(request, insist=data.draw(st.booleans()), force=data.draw(st.booleans())))

    @rule(seconds=st.sampled_from([0.5, 1, 3, 10, 31]))
    def time_passes(self, seconds: float) -> None:
        self.handle(TimerFired(), after=seconds)

    @rule(alias=st.sampled_from(["a", "b"]), kill=st.booleans())
    def stop(self, alias: str, kill: bool) -> None:
        self.handle(AppStopped(alias, kill))

    @rule(alias=st.sampled_from(["a", "b"]))
    def unload(self, alias: str) -> None:
        self.handle(AppUnloaded(alias))

    @rule(lease=st.sampled_from(["L", "M"]))
    def owner_ends(self, lease: str) -> None:
        self.handle(LeaseEnded(lease))

    @invariant()
    def no_runner_is_over_its_multiplexing(self) -> None:
        self.world.fleet.check()

    def teardown(self) -> None:
        for lease in ("L", "M"):
            self.handle(LeaseEnded(lease))
        for runner in list(self.runners):
            self.handle(RunnerExited(runner, "exited"))
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
    world.handle(AppStopped("one", kill=True))
    world.handle(RunnerExited("one-1", "killed by SIGKILL"))
    assert world.publish(alias="one")[-1].runner_id == "one-2"  # logs know one-1 already


def test_every_state_of_a_runner_is_noted_with_its_time(world: World) -> None:
    world.serve()
    assert [(at, runner.id, state) for at, runner, state in world.fleet.moved] == [
        (world.now, "hello-1", state) for state in (State.PENDING, State.SETUP, State.IDLE)
    ]


def test_a_pause_that_no_timeline_shows_is_noted_only_if_its_beginning_has_been_read(world: World) -> None:
    world.serve()
    world.fleet.moved.clear()

    def call(after: float) -> None:
        world.handle(RequestArrived("hello", "a"), after)

    def states() -> list[str]:
        return [state for _, _, state in world.fleet.moved]

    call(5)
    for _ in range(3):  # each pause is shorter than 250 ms
        world.handle(RequestFinished("a"))
        call(0.2)
    assert states() == [State.RUNNING]
    world.handle(RequestFinished("a"))
    call(0.3)
    assert states() == [State.RUNNING, State.IDLE, State.RUNNING]
    world.handle(RequestFinished("a"))
    world.fleet.moved.clear()
    call(0)
    assert states() == [State.RUNNING]
