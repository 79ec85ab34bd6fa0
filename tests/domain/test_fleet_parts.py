"""The parts of the fleet one by one: state and time in, commands out."""

from __future__ import annotations

import pytest

from fal_jupyter.domain.cancellation import FORCE_AFTER, KILL_AFTER
from fal_jupyter.domain.durations import SECOND
from fal_jupyter.domain.events import (
    AnnounceFailure,
    AnnounceRevision,
    AnnounceWaiting,
    AnswerRequest,
    AppPublished,
    AppScaled,
    CancelRequest,
    CheckRunnerHealth,
    DispatchRequest,
    FailRequest,
    ForgetApp,
    HealthCheckCompleted,
    KillRunner,
    LogRunnerRemark,
    PingRunner,
    RequestArrived,
    RunnerExited,
    StartRefused,
    StartRunner,
    StopRunner,
)
from fal_jupyter.domain.fleet.app_lifecycle import AppLifecycle
from fal_jupyter.domain.fleet.app_phases import AppPhase
from fal_jupyter.domain.fleet.autoscaler import Autoscaler
from fal_jupyter.domain.fleet.deadlines import next_deadline
from fal_jupyter.domain.fleet.dispatching import whole_seconds
from fal_jupyter.domain.fleet.health_checks import HealthChecks
from fal_jupyter.domain.fleet.liveness_checks import LivenessChecks
from fal_jupyter.domain.fleet.routing import choose_runner
from fal_jupyter.domain.fleet.starting import RunnerStarts
from fal_jupyter.domain.requests.request import MAX_WAITING, RequestPhase
from fal_jupyter.domain.resources.machines import Allotment
from fal_jupyter.domain.runners.health import EVERY, HealthRules
from fal_jupyter.domain.runners.liveness import PING_EVERY, PINGS
from fal_jupyter.domain.runners.runner import State
from fal_jupyter.domain.spec import AppSpec, Scaling
from tests.domain.fleet_parts import Parts

ONE_GPU = Allotment("GPU", 1, ("g0",), ("GPU 0",))
NOW = 1000 * SECOND


# --- stopping ---------------------------------------------------------------------------------------------------------
def test_a_stopped_runner_gets_its_grace_and_a_killed_one_is_killed_once() -> None:
    parts = Parts()
    runner = parts.runner()

    assert parts.stops.stop(runner, "why", NOW) == [StopRunner(runner.id, "why")]
    assert (runner.state, runner.since, runner.killed) == (State.TERMINATING, NOW, False)
    assert parts.stops.kill(runner, "late", NOW + 1) == [KillRunner(runner.id, "late")]
    assert (runner.since, runner.killed) == (NOW, True)
    assert parts.stops.kill(runner, "again", NOW + 2) == []


def test_a_drained_runner_closes_what_has_no_end_of_its_own() -> None:
    parts = Parts(max_multiplexing=3)
    runner = parts.runner()
    parts.in_flight("call", runner)
    parts.in_flight("socket", runner, long_lived=True)

    assert parts.stops.drain(parts.app, runner, NOW) == [CancelRequest("socket", runner.id, "politely")]
    assert runner.state is State.DRAINING


@pytest.mark.parametrize(
    ("state", "kill", "commands", "left"),
    [
        (State.CRASH_BACKOFF, False, [], None),
        (State.PENDING, False, [KillRunner("hello-1", "why")], State.TERMINATING),
        (State.SETUP, False, [StopRunner("hello-1", "why")], State.TERMINATING),
        (State.IDLE, False, [StopRunner("hello-1", "why")], State.TERMINATING),
        (State.IDLE, True, [KillRunner("hello-1", "why")], State.TERMINATING),
        (State.TERMINATING, False, [], State.TERMINATING),
        (State.TERMINATING, True, [KillRunner("hello-1", "why")], State.TERMINATING),
    ],
)
def test_how_a_runner_is_ended_depends_on_how_far_it_is(
    state: State, kill: bool, commands: list[object], left: State | None
) -> None:
    parts = Parts()
    runner = parts.runner(state)

    assert parts.stops.end(parts.app, runner, "why", NOW, kill=kill) == commands
    assert (runner.state if runner.id in parts.app.runners else None) is left


def test_only_a_runner_that_is_not_ready_is_ended_for_being_late() -> None:
    parts = Parts()
    ready, starting, slot = parts.runner(), parts.runner(State.SETUP), parts.runner(State.CRASH_BACKOFF)

    assert parts.stops.end_unready(parts.app, ready, "why", NOW) == []
    assert parts.stops.end_unready(parts.app, starting, "why", NOW) == [KillRunner(starting.id, "why")]
    assert parts.stops.end_unready(parts.app, slot, "why", NOW) == []
    assert slot.id not in parts.app.runners


# --- routing ----------------------------------------------------------------------------------------------------------
def test_no_runner_is_chosen_before_a_revision_serves() -> None:
    parts = Parts()
    parts.runner()
    parts.app.serving = 0
    assert choose_runner(parts.app) is None


def test_the_only_runner_is_chosen_while_it_has_a_free_slot() -> None:
    parts = Parts(max_multiplexing=2)
    runner = parts.runner(State.SETUP)
    assert choose_runner(parts.app) is None
    runner.state = State.IDLE
    assert choose_runner(parts.app) is runner
    parts.in_flight("a", runner)
    parts.in_flight("b", runner)
    assert choose_runner(parts.app) is None


def test_of_several_the_one_with_the_hint_then_the_least_loaded_of_the_latest_is_chosen() -> None:
    parts = Parts(max_multiplexing=2)
    first, second, third = (parts.runner() for _ in range(3))
    first.used, second.used, third.used = 1, 3, 2
    first.hints = frozenset({"lora"})

    assert choose_runner(parts.app) is second
    assert choose_runner(parts.app, "lora") is first
    assert choose_runner(parts.app, "unknown") is second
    parts.in_flight("a", second)
    parts.in_flight("b", second)
    assert choose_runner(parts.app) is third


# --- dispatching ------------------------------------------------------------------------------------------------------
def test_a_dispatched_request_is_with_its_runner_and_sets_the_timer() -> None:
    parts = Parts(max_multiplexing=2, request_timeout=30)
    runner = parts.runner()

    request = parts.request("a")
    assert parts.dispatcher.dispatch(parts.app, request, runner, NOW) == DispatchRequest("a", runner.id)
    assert (request.phase, runner.state, runner.requests) == (RequestPhase.IN_FLIGHT, State.RUNNING, {"a"})
    assert parts.app.wake_at == NOW + 30 * SECOND
    parts.in_flight("b", runner, NOW + 1)  # two in one event loop: it is pinged
    assert parts.app.wake_at == NOW + 1 + PING_EVERY == runner.liveness.due


def test_waiting_requests_are_dispatched_by_priority_as_long_as_there_is_a_slot() -> None:
    parts = Parts(max_multiplexing=2)
    runner = parts.runner()
    for name, low in (("low", True), ("first", False), ("second", False)):
        parts.waiting(name, low=low)

    commands = parts.dispatcher.dispatch_waiting(parts.app, NOW)

    assert commands == [DispatchRequest("first", runner.id), DispatchRequest("second", runner.id)]
    assert list(parts.app.waiting) == ["low"]
    assert parts.dispatcher.dispatch_waiting(Parts().app, NOW) == []


def test_a_request_is_refused_while_nothing_can_start_and_when_too_many_wait() -> None:
    parts = Parts()
    event = RequestArrived("hello", "new")
    assert parts.dispatcher.refusal(parts.app, event, NOW) is None

    for number in range(MAX_WAITING):
        parts.waiting(f"q{number}")
    full = parts.dispatcher.refusal(parts.app, event, NOW)
    assert full is not None
    assert (full.status, full.retry_after) == (503, 1)
    assert parts.dispatcher.refusal(parts.app, RequestArrived("hello", "job", queued=True), NOW) is None

    parts.app.backoff.start_failed(NOW)
    failing = parts.dispatcher.refusal(parts.app, event, NOW + SECOND)
    assert failing is not None
    assert (failing.status, failing.retry_after) == (503, 29)


def test_requests_that_are_out_of_time_are_answered() -> None:
    parts = Parts(max_multiplexing=4, request_timeout=10, startup_timeout=20)
    runner = parts.runner()
    parts.in_flight("socket", runner, NOW, long_lived=True)
    parts.in_flight("old", runner, NOW)
    parts.in_flight("young", runner, NOW + SECOND)
    parts.waiting("patient", NOW - 30 * SECOND)
    parts.waiting("hurried", NOW, start_by=NOW + 5 * SECOND, limited_by_caller=True)

    commands = parts.dispatcher.expire(parts.app, NOW + 10 * SECOND)

    assert commands == [
        AnswerRequest("old", 504, "request_timeout", "the request ran longer than request_timeout (10 s)"),
        CancelRequest("old", runner.id, "tell"),
        FailRequest(
            "hurried", 504, "request_timeout", "Request timed out: no runner had it within 5 s (the caller's limit)",
            by_caller=True,
        ),
        FailRequest("patient", 503, "runner_scheduling_failure", "no runner of hello was free within 30 s"),
    ]  # fmt: skip
    assert not parts.app.waiting


def test_a_failed_request_is_nowhere_any_more() -> None:
    parts = Parts()
    runner = parts.runner()
    request = parts.in_flight("a", runner)
    parts.cancellations.begin(parts.app, request, "tell", "was cancelled", NOW)

    assert parts.dispatcher.fail(parts.app, request, 503, "x", "y", 3) == FailRequest("a", 503, "x", "y", 3)
    assert (runner.requests, parts.app.in_flight, parts.app.cancellations) == (set(), {}, {})
    assert parts.state.app_of_request == {}


def test_only_requests_that_have_waited_long_enough_fail() -> None:
    parts = Parts()
    for at in (1, 2, 3):
        parts.waiting(f"q{at}", at)
    failed = parts.dispatcher.fail_waiting(parts.app, 503, "x", "y", arrived_by=2)
    assert failed == [FailRequest("q1", 503, "x", "y"), FailRequest("q2", 503, "x", "y")]


@pytest.mark.parametrize(("duration", "seconds"), [(0, 1), (1, 1), (SECOND, 1), (SECOND + 1, 2)])
def test_retry_after_is_whole_seconds_and_never_zero(duration: int, seconds: int) -> None:
    assert whole_seconds(duration) == seconds


# --- cancelling -------------------------------------------------------------------------------------------------------
def test_a_caller_that_hangs_up_costs_one_notice() -> None:
    parts = Parts()
    runner = parts.runner()
    request = parts.in_flight("a", runner)

    assert parts.cancellations.abandon(request) == [CancelRequest("a", runner.id, "tell")]
    assert parts.cancellations.abandon(request) == []
    assert request.phase is RequestPhase.ABANDONED


def test_a_cancelled_request_is_notified_then_forced_then_its_runner_is_replaced() -> None:
    parts = Parts()
    runner = parts.runner()
    request = parts.in_flight("a", runner)

    assert parts.cancellations.begin(parts.app, request, "tell", "was cancelled", NOW) == [
        CancelRequest("a", runner.id, "tell")
    ]
    assert parts.cancellations.begin(parts.app, request, "tell", "was cancelled", NOW) == []
    assert parts.app.wake_at == NOW + FORCE_AFTER
    assert parts.cancellations.take_due_steps(parts.app, NOW + FORCE_AFTER - 1) == []
    assert parts.cancellations.take_due_steps(parts.app, NOW + FORCE_AFTER) == [CancelRequest("a", runner.id, "force")]
    why = "a request that was cancelled did not end"
    assert parts.cancellations.take_due_steps(parts.app, NOW + FORCE_AFTER + KILL_AFTER) == [
        KillRunner(runner.id, why, stacks=True)
    ]
    assert request.phase is RequestPhase.OVERDUE
    assert parts.cancellations.replace_stuck(parts.app, runner, NOW) == []  # it is killed already


def test_others_in_a_stuck_runner_finish_before_it_is_replaced() -> None:
    parts = Parts(max_multiplexing=2)
    runner = parts.runner()
    stuck = parts.in_flight("stuck", runner)
    parts.in_flight("other", runner)
    parts.cancellations.begin(parts.app, stuck, "force", "was cancelled", NOW)

    assert parts.cancellations.replace_stuck(parts.app, runner, NOW) == []  # it is not overdue yet
    assert parts.cancellations.take_due_steps(parts.app, NOW + KILL_AFTER) == []
    assert runner.state is State.DRAINING
    assert parts.cancellations.replace_stuck(parts.app, runner, NOW) == []  # it drains already


# --- liveness ---------------------------------------------------------------------------------------------------------
def test_a_blocked_event_loop_costs_its_runner_and_all_its_requests() -> None:
    parts = Parts(max_multiplexing=2)
    checks = LivenessChecks(parts.dispatcher, parts.stops)
    runner = parts.runner()
    for name in "ab":
        parts.in_flight(name, runner, NOW)

    assert checks.ping_due(parts.app, NOW + PING_EVERY - 1) == []
    for turn in range(1, PINGS + 1):
        assert checks.ping_due(parts.app, NOW + turn * PING_EVERY) == [PingRunner(runner.id)]
    commands = checks.ping_due(parts.app, NOW + (PINGS + 1) * PING_EVERY)

    assert [type(c) for c in commands] == [FailRequest, FailRequest, KillRunner]
    assert (runner.killed, runner.liveness.due, len(parts.app.backoff.deaths)) == (True, 0, 1)


def test_a_request_that_is_alone_again_ends_the_pings() -> None:
    parts = Parts(max_multiplexing=2)
    checks = LivenessChecks(parts.dispatcher, parts.stops)
    runner = parts.runner()
    parts.in_flight("a", runner, NOW)
    parts.dispatcher.fail(parts.app, parts.in_flight("b", runner, NOW), 503, "x", "y")

    assert checks.ping_due(parts.app, NOW + PING_EVERY) == []
    assert runner.liveness.due == 0


# --- health -----------------------------------------------------------------------------------------------------------
RULES = HealthRules(path="/health", threshold=1, start_period=0)


def test_a_ready_runner_is_checked_regularly_and_replaced_when_it_is_unhealthy() -> None:
    parts = Parts(health=RULES)
    checks = HealthChecks(parts.state, parts.stops)
    runner = parts.runner()
    assert not checks.is_checked(parts.app, runner)
    checks.begin(parts.app, runner, NOW)
    assert checks.is_checked(parts.app, runner)

    assert checks.check_due(parts.app, NOW + EVERY - 1) == []
    assert checks.check_due(parts.app, NOW + EVERY) == [CheckRunnerHealth(runner.id, RULES)]
    assert checks.completed(parts.app, runner, HealthCheckCompleted(runner.id, True), NOW + EVERY) == []
    assert checks.completed(parts.app, runner, HealthCheckCompleted(runner.id, False, "answered 500"), NOW + EVERY) == [
        StopRunner(runner.id, "its health check failed (answered 500)")
    ]


def test_an_unhealthy_runner_finishes_its_requests() -> None:
    parts = Parts(health=RULES)
    checks = HealthChecks(parts.state, parts.stops)
    runner = parts.runner()
    checks.begin(parts.app, runner, NOW)
    parts.in_flight("a", runner, NOW)

    commands = checks.completed(parts.app, runner, HealthCheckCompleted(runner.id, False, "timed out"), NOW)

    assert commands == [
        LogRunnerRemark(runner.id, "its health check failed (timed out); it gets no new requests"),
    ]
    assert runner.state is State.DRAINING
    runner.health.due = NOW  # type: ignore[union-attr]
    assert checks.check_due(parts.app, NOW) == []
    assert runner.health is None


def test_an_app_without_rules_is_not_checked() -> None:
    parts = Parts()
    checks = HealthChecks(parts.state, parts.stops)
    runner = parts.runner()
    checks.begin(parts.app, runner, NOW)
    checks.demand(parts.app, runner, NOW)
    assert (runner.health, parts.app.wake_at) == (None, None)


# --- starting ---------------------------------------------------------------------------------------------------------
def starts_of(parts: Parts) -> RunnerStarts:
    return RunnerStarts(parts.state, parts.dispatcher, parts.stops)


def test_a_ready_runner_of_a_new_revision_takes_over() -> None:
    parts = Parts()
    parts.app.publish(AppSpec(class_name="Hello", alias="hello"), 2, Allotment())
    runner = parts.runner(State.SETUP)
    parts.app.backoff.start_failed(NOW)

    assert starts_of(parts).ready(parts.app, runner, NOW) == [AnnounceRevision("hello", 2)]
    assert (parts.app.serving, set(parts.app.specs), parts.app.phase) == (2, {2}, AppPhase.ACTIVE)
    assert parts.app.backoff.failures == 0


def test_a_failed_start_fails_the_requests_that_wait_unless_a_runner_is_ready() -> None:
    parts = Parts()
    runner = parts.runner(State.TERMINATING)
    parts.waiting("a")

    assert starts_of(parts).failed(parts.app, runner, "ValueError: x", NOW) == [
        AnnounceFailure("hello", 1, runner.id, "ValueError: x", 30.0),
        FailRequest(
            "a", 503, "runner_scheduling_failure", "hello could not start (ValueError); the next attempt is in 30 s", 30
        ),
    ]
    parts.runner(State.IDLE)
    parts.waiting("b")
    assert starts_of(parts).failed(parts.app, runner, "ValueError: x", NOW) == [
        AnnounceFailure("hello", 1, runner.id, "ValueError: x", 60.0)
    ]


def test_a_revision_that_does_not_start_is_withdrawn() -> None:
    parts = Parts()
    parts.app.publish(AppSpec(class_name="Hello", alias="hello"), 2, Allotment())
    failed, other = parts.runner(State.TERMINATING), parts.runner(State.SETUP)

    assert starts_of(parts).failed(parts.app, failed, "E: x", NOW) == [
        AnnounceFailure("hello", 2, failed.id, "E: x", -1),
        KillRunner(other.id, "revision 2 failed"),
    ]
    assert (parts.app.revision, set(parts.app.specs)) == (1, {1})


def test_an_exit_counts_as_a_failed_start_a_death_or_nothing() -> None:
    parts = Parts()
    starts = starts_of(parts)
    starting, lost, idle, stopped = (
        parts.runner(state) for state in (State.SETUP, State.PENDING, State.IDLE, State.TERMINATING)
    )
    assert starts.exited(parts.app, lost, RunnerExited(lost.id, "lost", lost=True), NOW) == []
    assert (parts.app.backoff.lost, parts.app.backoff.failures) == (1, 0)
    assert [type(c) for c in starts.exited(parts.app, starting, RunnerExited(starting.id, "died"), NOW)] == [
        AnnounceFailure
    ]
    assert starts.exited(parts.app, idle, RunnerExited(idle.id, "died"), NOW) == []
    assert len(parts.app.backoff.deaths) == 1
    assert starts.exited(parts.app, stopped, RunnerExited(stopped.id, "exited"), NOW) == []
    assert (parts.app.runners, len(parts.app.backoff.deaths)) == ({}, 1)


def test_a_refused_start_waits_and_a_device_of_another_gateway_is_out_of_reach() -> None:
    parts = Parts(allotment=ONE_GPU)
    starts = starts_of(parts)
    first = parts.runner(State.PENDING)
    assert starts.start(parts.app, first, NOW) == StartRunner(first.id, "hello", 1, ("g0",))

    assert starts.refused(parts.app, first, StartRefused(first.id, "held elsewhere", ("g0",)), NOW) == []
    assert parts.state.device_released
    assert parts.state.placement.room(ONE_GPU, NOW) == 0
    assert parts.app.backoff.blocked_until == 0

    parts.app.phase = AppPhase.LAUNCHING
    second = parts.runner(State.PENDING)
    assert starts.refused(parts.app, second, StartRefused(second.id, "no processes"), NOW) == [
        AnnounceFailure("hello", 1, second.id, "no processes", 20.0)
    ]
    assert parts.app.backoff.blocked_until == NOW + 20 * SECOND


# --- apps -------------------------------------------------------------------------------------------------------------
def test_publishing_adds_an_app_or_a_revision_and_ends_unneeded_starts() -> None:
    parts = Parts()
    lifecycle = AppLifecycle(parts.state, parts.dispatcher, parts.stops)
    spec = AppSpec(class_name="Hello", alias="hello")
    lifecycle.publish(AppPublished("hello", spec, 2, "L"), NOW)
    starting = parts.runner(State.SETUP)

    app, commands = lifecycle.publish(AppPublished("hello", spec, 3, "M", owner="two.ipynb"), NOW)

    assert app is parts.app
    assert (app.lease, app.owner, app.revision, set(app.specs)) == ("M", "two.ipynb", 3, {1, 3})
    assert commands == [KillRunner(starting.id, "revision 3 was published")]
    other, commands = lifecycle.publish(AppPublished("other", spec, 1, "L"), NOW)
    assert (parts.state.apps["other"], commands) == (other, [])


def test_more_multiplexing_takes_waiting_requests_in() -> None:
    parts = Parts(max_multiplexing=1)
    runner = parts.runner()
    parts.in_flight("a", runner)
    parts.waiting("b")
    lifecycle = AppLifecycle(parts.state, parts.dispatcher, parts.stops)

    assert lifecycle.rescale(parts.app, AppScaled("hello", Scaling(max_multiplexing=2)), NOW) == [
        DispatchRequest("b", runner.id)
    ]


def test_an_unloaded_app_ends_its_runners_busy_ones_after_their_requests() -> None:
    parts = Parts()
    idle, busy, starting = parts.runner(), parts.runner(), parts.runner(State.SETUP)
    parts.in_flight("a", busy)
    lifecycle = AppLifecycle(parts.state, parts.dispatcher, parts.stops)

    commands = lifecycle.unload(parts.app, NOW)

    assert [(type(c), c.runner_id) for c in commands] == [(StopRunner, idle.id), (KillRunner, starting.id)]  # type: ignore[union-attr]
    assert (busy.state, parts.app.phase) == (State.DRAINING, AppPhase.UNLOADED)


@pytest.mark.parametrize("owner_ended", [False, True])
def test_an_ended_app_frees_its_alias_and_fails_the_requests_that_wait(owner_ended: bool) -> None:
    parts = Parts()
    runner = parts.runner()
    parts.waiting("a")
    lifecycle = AppLifecycle(parts.state, parts.dispatcher, parts.stops)

    commands = (
        lifecycle.end_without_owner(parts.app, NOW) if owner_ended else lifecycle.stop(parts.app, NOW, kill=False)
    )

    assert [type(c) for c in commands] == [FailRequest, StopRunner]
    assert (parts.state.apps, parts.state.ending) == ({}, [parts.app])
    assert parts.app.phase is (AppPhase.ORPHANED if owner_ended else AppPhase.STOPPING)
    assert runner.state is State.TERMINATING


# --- autoscaler -------------------------------------------------------------------------------------------------------
def test_a_waiting_request_starts_a_runner_and_sets_the_timer() -> None:
    parts = Parts(startup_timeout=5, request_timeout=7)
    parts.waiting("a", NOW)
    autoscaler = Autoscaler(parts.state, starts_of(parts), parts.stops)

    assert autoscaler.decide(parts.app, NOW) == [StartRunner("hello-1", "hello", 1)]
    assert parts.app.wake_at == NOW + 12 * SECOND == next_deadline(parts.app)
    assert autoscaler.decide(parts.app, NOW) == []  # it is on its way


def test_waiting_for_a_device_is_announced_once_and_ends_when_it_is_released() -> None:
    parts = Parts(allotment=ONE_GPU)
    starts = starts_of(parts)
    autoscaler = Autoscaler(parts.state, starts, parts.stops)
    parts.state.placement.out_of_reach("g0", NOW + 20 * SECOND, "GPU 0 is held by another gateway")
    parts.app.phase = AppPhase.LAUNCHING

    reason = "waits for a device: GPU 0 is held by another gateway"
    assert autoscaler.decide(parts.app, NOW) == [AnnounceWaiting("hello", 1, reason)]
    assert autoscaler.decide(parts.app, NOW) == []
    assert (parts.app.starved, parts.app.wake_at) == (True, NOW + 20 * SECOND)
    assert autoscaler.decide_starved(NOW) == []  # nothing was released
    parts.state.placement.in_reach("g0")
    parts.state.device_released = True
    assert autoscaler.decide_starved(NOW) == [StartRunner("hello-1", "hello", 1, ("g0",))]


def test_an_ended_app_is_forgotten_with_its_last_runner() -> None:
    parts = Parts()
    runner = parts.runner(State.TERMINATING, NOW)
    autoscaler = Autoscaler(parts.state, starts_of(parts), parts.stops)
    parts.app.phase = AppPhase.STOPPING
    parts.state.end_app(parts.app)

    assert autoscaler.decide(parts.app, NOW) == []
    assert autoscaler.decide(parts.app, NOW + 5 * SECOND) == [
        KillRunner(runner.id, "it did not end within its grace period")
    ]
    parts.state.remove_runner(parts.app, runner, NOW)
    assert autoscaler.decide(parts.app, NOW) == [ForgetApp("hello")]
    assert (list(parts.state.all_apps()), parts.app.wake_at) == ([], None)


# --- deadlines --------------------------------------------------------------------------------------------------------
def test_the_earliest_of_all_limits_is_the_deadline() -> None:
    parts = Parts(max_multiplexing=3, startup_timeout=100, request_timeout=50, health=RULES)
    runner = parts.runner()
    assert next_deadline(parts.app) is None
    parts.waiting("a", NOW)
    assert next_deadline(parts.app) == NOW + 150 * SECOND
    parts.waiting("b", NOW, start_by=NOW + 120 * SECOND)
    assert next_deadline(parts.app) == NOW + 120 * SECOND
    request = parts.in_flight("c", runner, NOW)
    assert next_deadline(parts.app) == NOW + 50 * SECOND
    HealthChecks(parts.state, parts.stops).begin(parts.app, runner, NOW)
    assert next_deadline(parts.app) == NOW + EVERY
    parts.in_flight("d", runner, NOW)
    assert next_deadline(parts.app) == NOW + PING_EVERY
    parts.cancellations.begin(parts.app, request, "tell", "was cancelled", NOW)
    assert next_deadline(parts.app) == NOW + FORCE_AFTER
