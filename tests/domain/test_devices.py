"""Apps that want devices: who starts, who waits and is told why, who makes room."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fal_jupyter.domain.events import (
    AnnounceRevision,
    AnnounceWaiting,
    AppAdopted,
    AppPublished,
    AppStopped,
    DeviceReleased,
    DispatchRequest,
    RequestArrived,
    RequestFinished,
    RunnerExited,
    RunnerFailed,
    RunnerReady,
    RunnerSpawned,
    StartRefused,
    StartRunner,
    StopRunner,
    TimerFired,
)
from fal_jupyter.domain.resources.machines import Allotment
from fal_jupyter.domain.runners.runner import State
from fal_jupyter.domain.spec import AppSpec, Scaling
from tests.domain.test_fleet import World

ONE = Allotment("GPU", 1, ("g0",), ("GPU 0",))
TWO = Allotment("GPU", 1, ("g0", "g1"), ("GPU 0", "GPU 1"))
BOTH = Allotment("GPU", 2, ("g0", "g1"), ("GPU 0", "GPU 1"))


class Machine(World):
    def want(self, alias: str, allotment: Allotment, revision: int = 1, owner: str = "", **scaling: Any) -> list[Any]:
        spec = AppSpec(class_name=alias.title(), alias=alias, scaling=Scaling(**scaling))
        return self.tell(AppPublished(alias, spec, revision, "L", allotment, owner))

    def ready(self, runner_id: str) -> list[Any]:
        return [*self.tell(RunnerSpawned(runner_id)), *self.tell(RunnerReady(runner_id))]

    def devices(self) -> dict[str, tuple[str, ...]]:
        return {
            r.id: r.devices
            for app in self.fleet.all_apps()
            for r in app.runners.values()
            if r.state is not State.CRASH_BACKOFF
        }


@pytest.fixture
def machine() -> Machine:
    return Machine()


def test_a_runner_starts_with_its_devices(machine: Machine) -> None:
    assert machine.want("a", TWO) == [StartRunner("a-1", "a", 1, ("g0",))]
    assert machine.want("b", TWO) == [StartRunner("b-1", "b", 1, ("g1",))]


def test_who_finds_no_device_waits_and_is_told_who_holds_it(machine: Machine) -> None:
    machine.want("embedder", ONE, owner="search.ipynb", warm=1)
    machine.ready("embedder-1")

    told = "waits for a device: GPU 0 is held by Embedder of search.ipynb"
    assert machine.want("b", ONE, warm=1) == [AnnounceWaiting("b", 1, told)]
    assert machine.tell(RequestArrived("b", "r")) == []  # told once
    assert machine.fleet.apps["b"].reason == told
    assert machine.tell(AppStopped("embedder")) == [StopRunner("embedder-1", "the app was stopped")]
    gone = machine.tell(RunnerExited("embedder-1", "exited with status 0"))
    assert gone[-1] == StartRunner("b-1", "b", 1, ("g0",))
    assert machine.ready("b-1") == [AnnounceRevision("b", 1), DispatchRequest("r", "b-1")]


def test_who_needs_several_waits_until_all_are_there(machine: Machine) -> None:
    machine.want("a", ONE, warm=1)
    told = "waits for a device: GPU 0 is held by A; GPU 1 alone is too few"
    assert machine.want("pair", BOTH) == [AnnounceWaiting("pair", 1, told)]
    machine.tell(AppStopped("a", kill=True))
    assert machine.tell(RunnerExited("a-1", "killed by SIGKILL"))[-1] == StartRunner("pair-1", "pair", 1, ("g0", "g1"))


def test_more_runners_start_only_where_devices_are(machine: Machine) -> None:
    machine.want("a", TWO, max_concurrency=5, keep_alive=60)
    machine.ready("a-1")
    orders = [order for name in "wxyz" for order in machine.tell(RequestArrived("a", name))]
    assert [o for o in orders if isinstance(o, StartRunner)] == [StartRunner("a-2", "a", 1, ("g1",))]
    machine.ready("a-2")
    assert machine.tell(RequestFinished("w")) == [DispatchRequest("y", "a-1")]
    assert machine.devices() == {"a-1": ("g0",), "a-2": ("g1",)}


def test_a_new_revision_takes_the_device_over_from_the_old(machine: Machine) -> None:
    machine.want("a", ONE, warm=1)
    machine.ready("a-1")
    orders = machine.want("a", ONE, revision=2, warm=1)
    assert StopRunner("a-1", "makes room for revision 2") in orders
    assert machine.tell(RunnerExited("a-1", "exited with status 0"))[-1] == StartRunner("a-2", "a", 2, ("g0",))
    assert AnnounceRevision("a", 2) in machine.ready("a-2")


def test_a_failed_start_gives_its_device_back(machine: Machine) -> None:
    machine.want("a", ONE, warm=1)
    machine.tell(RunnerSpawned("a-1"))
    machine.tell(RunnerFailed("a-1", "ValueError: x"))
    assert machine.want("b", ONE)[-1] == AnnounceWaiting("b", 1, "waits for a device: GPU 0 is held by A")
    assert StartRunner("b-1", "b", 1, ("g0",)) in machine.tell(RunnerExited("a-1", "exited with status 3"))
    machine.tell(TimerFired(), after=31)  # the back-off of a is over, and nothing is free
    assert machine.devices() == {"b-1": ("g0",)}
    machine.tell(AppStopped("b", kill=True))
    machine.tell(RunnerExited("b-1", "killed by SIGKILL"))
    assert list(machine.devices().values()) == [("g0",)]


def test_a_device_of_another_gateway_is_tried_again_later_and_others_at_once(machine: Machine) -> None:
    machine.want("a", TWO, warm=1)
    held = "GPU 0 is held by process 7"
    assert machine.tell(StartRefused("a-1", held, ("g0",))) == [StartRunner("a-2", "a", 1, ("g1",))]
    assert (
        machine.fleet.why_held_elsewhere("g0", machine.now),
        machine.fleet.why_held_elsewhere("g1", machine.now),
    ) == (
        held,
        "",
    )
    waiting = machine.want("b", ONE)
    assert waiting == [AnnounceWaiting("b", 1, f"waits for a device: {held}")]
    machine.now += 19_000_000_000
    assert machine.tell(TimerFired()) == []
    assert machine.sleep() == [StartRunner("b-1", "b", 1, ("g0",))]
    assert machine.tell(StartRefused("b-1", held, ("g0",))) == [AnnounceWaiting("b", 1, f"waits for a device: {held}")]
    assert machine.tell(DeviceReleased("g0")) == [StartRunner("b-2", "b", 1, ("g0",))]  # or as soon as it is free
    assert machine.tell(DeviceReleased("g1")) == []


def test_the_taker_of_an_app_is_named_as_holder(machine: Machine) -> None:
    machine.want("a", ONE, owner="one.ipynb", warm=1)
    machine.tell(AppAdopted("a", "M", "two.ipynb"))
    assert machine.want("b", ONE) == [AnnounceWaiting("b", 1, "waits for a device: GPU 0 is held by A of two.ipynb")]


def test_a_device_of_another_gateway_is_named_until_it_may_be_tried_again(machine: Machine) -> None:
    machine.want("a", ONE)
    machine.tell(StartRefused("a-1", "GPU 0 is held by another gateway", ("g0",)))
    assert machine.fleet.why_held_elsewhere("g0", machine.now) == "GPU 0 is held by another gateway"
    assert machine.fleet.why_held_elsewhere("g0", machine.now + 20_000_000_000) == ""


STEPS = st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 9), st.integers(0, 40)), max_size=80)


@given(STEPS)
def test_whatever_happens_no_device_has_two_runners_and_everybody_is_served_in_the_end(
    steps: list[tuple[str, int, int]],
) -> None:
    machine, wants = Machine(), {"a": ONE, "b": TWO, "c": BOTH}
    revision: Counter[str] = Counter()
    open_requests: set[str] = set()

    def heed(orders: list[Any]) -> None:
        for order in orders:
            if isinstance(order, DispatchRequest):
                open_requests.add(order.request_id)

    for number, (alias, kind, wait) in enumerate(steps):
        machine.now += wait * 1_000_000_000
        runners = [r for app in machine.fleet.all_apps() for r in app.runners.values()]
        one = runners[number % len(runners)] if runners else None
        if kind == 0:
            revision[alias] += 1
            heed(machine.want(alias, wants[alias], revision[alias], max_concurrency=3))
        elif kind in (1, 2) and revision[alias]:
            heed(machine.tell(RequestArrived(alias, f"q{number}")))
        elif kind == 3 and open_requests:
            heed(machine.tell(RequestFinished(open_requests.pop())))
        elif kind in (4, 5) and one is not None:
            heed([*machine.tell(RunnerSpawned(one.id)), *machine.tell(RunnerReady(one.id))])
        elif kind == 6 and one is not None and one.state is not State.CRASH_BACKOFF:
            heed(machine.tell(RunnerExited(one.id, "killed by SIGKILL")))
        elif kind == 7 and one is not None and one.state is State.PENDING and one.devices:
            heed(machine.tell(StartRefused(one.id, "held elsewhere", one.devices)))
        elif kind == 8:
            heed(machine.tell(AppStopped(alias)))
        else:
            heed(machine.tell(TimerFired()))
        lent = [device for devices in machine.devices().values() for device in devices]
        assert len(lent) == len(set(lent))
    for _ in range(200):  # let everything end: no demand, every stop is followed
        for app in list(machine.fleet.apps):
            machine.tell(AppStopped(app, kill=True))
        for app in list(machine.fleet.all_apps()):
            for runner in list(app.runners):
                machine.tell(RunnerExited(runner, "killed by SIGKILL"))
    assert machine.devices() == {}
    assert machine.want("z", BOTH)[-1:] == [StartRunner("z-1", "z", 1, ("g0", "g1"))] or (
        machine.fleet.apps["z"].starved  # a device that was refused a moment ago
    )
