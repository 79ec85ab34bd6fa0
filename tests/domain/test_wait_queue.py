"""Who waits for an app, and what is known of them without a search: the same answers as a search gives."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from fal_jupyter.domain import events as m
from fal_jupyter.domain.fleet.fleet import Fleet
from fal_jupyter.domain.requests.request import FleetRequest
from fal_jupyter.domain.requests.wait_queue import WaitQueue
from fal_jupyter.domain.runners.runner import State
from fal_jupyter.domain.scaling.policy import SECOND, Observation, RunnerView, decide, target
from fal_jupyter.domain.spec import AppSpec, Scaling


class Queueing(RuleBasedStateMachine):
    """Requests come, go in any order, and come again under the same id."""

    def __init__(self) -> None:
        super().__init__()
        self.line, self.plain, self.now = WaitQueue(), dict[str, FleetRequest](), 0

    @rule(
        name=st.sampled_from("abcdefgh"), later=st.integers(0, 2), low=st.booleans(), queued=st.booleans(),
        within=st.sampled_from([0, 0, 1, 3]),
    )  # fmt: skip
    def arrives(self, name: str, later: int, low: bool, queued: bool, within: int) -> None:
        self.now += later
        request = FleetRequest(name, "a", self.now, low=low, queued=queued, start_by=self.now + within if within else 0)
        self.plain.pop(name, None)
        self.line[name] = self.plain[name] = request

    @precondition(lambda self: self.plain)
    @rule(data=st.data())
    def leaves(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.plain)))
        assert self.line.pop(name) is self.plain.pop(name)

    @precondition(lambda self: self.plain)
    @rule()
    def is_dispatched(self) -> None:
        expected = next((r for r in self.plain.values() if not r.low), next(iter(self.plain.values())))
        assert self.line.next is expected
        del self.line[expected.id], self.plain[expected.id]

    @invariant()
    def answers_as_a_search_does(self) -> None:
        self.line.check()
        waiting = list(self.plain.values())
        assert list(self.line.values()) == waiting
        assert len(self.line) == len(waiting)
        assert self.line.start_by == min((r.start_by for r in waiting if r.start_by), default=0)
        assert self.line.first_caller is next((r for r in waiting if not r.queued), None)
        late = self.line.late(self.now)
        assert sorted(r.id for r in late) == sorted(r.id for r in waiting if 0 < r.start_by <= self.now)
        assert [r.start_by for r in late] == sorted(r.start_by for r in late)
        assert list(self.line.arrived_by(self.now - 1)) == [
            r for r in waiting if not r.queued and r.arrived <= self.now - 1
        ]


TestQueueing = Queueing.TestCase


def test_removing_an_absent_request_raises() -> None:
    with pytest.raises(KeyError):
        del WaitQueue()["a"]


@given(
    st.lists(st.integers(0, 110)).map(sorted),
    st.integers(0, 60),
    st.integers(1, 3),
    st.booleans(),
)
def test_a_decision_counts_as_a_look_at_each_request_does(
    seconds: list[int], delay: int, multiplexing: int, alive: bool
) -> None:
    config = Scaling(max_concurrency=1000, scaling_delay=delay, max_multiplexing=multiplexing)
    now, waiting = 100 * SECOND, [at * SECOND for at in seconds]
    runners = (RunnerView("r", State.PENDING, now),) if alive else ()
    waits = delay * SECOND if alive else 0

    decision = decide(config, Observation(now, runners=runners, waiting=waiting))

    assert decision.desired == target(config, sum(at <= now and at + waits <= now for at in waiting))
    assert decision.keep == target(config, sum(at <= now for at in waiting))
    wakes = [at if at > now else at + waits for at in waiting]
    assert decision.wake_at == min((at for at in wakes if at > now), default=None)


class Counted(list[int]):
    """Moments that count how often one of them is looked at."""

    looked = 0

    def __getitem__(self, index):  # type: ignore[no-untyped-def,override]
        self.looked += 1
        return super().__getitem__(index)

    def __iter__(self):  # type: ignore[no-untyped-def,override]
        raise AssertionError("all of them are looked at")


@pytest.mark.parametrize("most", [10_000])
def test_a_decision_with_many_waiting_looks_at_few_of_them(most: int) -> None:
    waiting = Counted(range(most))
    decide(Scaling(max_concurrency=3), Observation(100 * SECOND, waiting=waiting))
    assert 0 < waiting.looked < 60


def test_an_event_with_many_waiting_requests_looks_at_few_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """The whole fleet, a request from its arrival to its dispatch: nobody walks along the line."""

    def walked(_: object) -> None:
        raise AssertionError("somebody walked along the line")

    fleet, now = Fleet(), 1000 * SECOND
    handle: Callable[[m.FleetEvent], list[m.FleetCommand]] = lambda event: fleet.handle(event, now)  # noqa: E731
    handle(m.AppPublished("a", AppSpec(class_name="A", alias="a", scaling=Scaling(max_concurrency=1)), 1, "L"))
    handle(m.RunnerSpawned("a-1"))
    handle(m.RunnerReady("a-1"))
    for number in range(20):
        handle(m.RequestArrived("a", f"r{number}", queued=number % 2 == 0, low=number % 3 == 0, start_within=9.0))
    monkeypatch.setattr(WaitQueue, "__iter__", walked)
    monkeypatch.setattr(WaitQueue, "values", walked)
    handle(m.RequestArrived("a", "last"))
    assert [type(command) for command in handle(m.RequestFinished("r0", False))] == [m.DispatchRequest]
    assert handle(m.RequestAborted("last")) == []
    assert len(fleet.apps["a"].waiting) == 18


def test_a_request_over_two_limits_at_once_is_answered_once() -> None:
    fleet, now = Fleet(), 1000 * SECOND
    limits = Scaling(max_concurrency=1, startup_timeout=50, request_timeout=10)
    fleet.handle(m.AppPublished("a", AppSpec(class_name="A", alias="a", scaling=limits), 1, "L"), now)
    fleet.handle(m.RequestArrived("a", "both", start_within=60.0), now + SECOND)
    fleet.handle(m.RequestArrived("a", "one"), now + SECOND)
    fleet.handle(m.RunnerSpawned("a-1"), now + 20 * SECOND)  # so that its setup is not over before them

    commands = fleet.handle(m.TimerFired(), now + 61 * SECOND)

    failed = [(o.request_id, o.status) for o in commands if isinstance(o, m.FailRequest)]
    assert failed == [("both", 504), ("one", 503)]
