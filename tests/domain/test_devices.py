"""Apps that want devices: which start, which wait and why, which make room."""

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
    def publish(
        self, alias: str, allotment: Allotment, revision: int = 1, owner: str = "", **scaling: Any
    ) -> list[Any]:
        spec = AppSpec(class_name=alias.title(), alias=alias, scaling=Scaling(**scaling))
        return self.handle(AppPublished(alias, spec, revision, "L", allotment, owner))

    def ready(self, runner_id: str) -> list[Any]:
        return [*self.handle(RunnerSpawned(runner_id)), *self.handle(RunnerReady(runner_id))]

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
    assert machine.publish("a", TWO) == [StartRunner("a-1", "a", 1, ("g0",))]
    assert machine.publish("b", TWO) == [StartRunner("b-1", "b", 1, ("g1",))]


def test_an_app_without_a_device_waits_and_its_reason_names_the_holder(machine: Machine) -> None:
    machine.publish("embedder", ONE, owner="search.ipynb", warm=1)
    machine.ready("embedder-1")

    reason = "waits for a device: GPU 0 is held by Embedder of search.ipynb"
    assert machine.publish("b", ONE, warm=1) == [AnnounceWaiting("b", 1, reason)]
    assert machine.handle(RequestArrived("b", "r")) == []  # told once
    assert machine.fleet.apps["b"].reason == reason
    assert machine.handle(AppStopped("embedder")) == [StopRunner("embedder-1", "the app was stopped")]
    commands = machine.handle(RunnerExited("embedder-1", "exited with status 0"))
    assert commands[-1] == StartRunner("b-1", "b", 1, ("g0",))
    assert machine.ready("b-1") == [AnnounceRevision("b", 1), DispatchRequest("r", "b-1")]


def test_an_app_that_needs_several_devices_waits_for_all(machine: Machine) -> None:
    machine.publish("a", ONE, warm=1)
    reason = "waits for a device: GPU 0 is held by A; GPU 1 alone is not enough"
    assert machine.publish("pair", BOTH) == [AnnounceWaiting("pair", 1, reason)]
    machine.handle(AppStopped("a", kill=True))
    assert machine.handle(RunnerExited("a-1", "killed by SIGKILL"))[-1] == StartRunner(
        "pair-1", "pair", 1, ("g0", "g1")
    )


def test_more_runners_start_only_where_devices_are(machine: Machine) -> None:
    machine.publish("a", TWO, max_concurrency=5, keep_alive=60)
    machine.ready("a-1")
    commands = [command for name in "wxyz" for command in machine.handle(RequestArrived("a", name))]
    assert [o for o in commands if isinstance(o, StartRunner)] == [StartRunner("a-2", "a", 1, ("g1",))]
    machine.ready("a-2")
    assert machine.handle(RequestFinished("w")) == [DispatchRequest("y", "a-1")]
    assert machine.devices() == {"a-1": ("g0",), "a-2": ("g1",)}


def test_a_new_revision_takes_the_device_over_from_the_old(machine: Machine) -> None:
    machine.publish("a", ONE, warm=1)
    machine.ready("a-1")
    commands = machine.publish("a", ONE, revision=2, warm=1)
    assert StopRunner("a-1", "makes room for revision 2") in commands
    assert machine.handle(RunnerExited("a-1", "exited with status 0"))[-1] == StartRunner("a-2", "a", 2, ("g0",))
    assert AnnounceRevision("a", 2) in machine.ready("a-2")


def test_a_failed_start_gives_its_device_back(machine: Machine) -> None:
    machine.publish("a", ONE, warm=1)
    machine.handle(RunnerSpawned("a-1"))
    machine.handle(RunnerFailed("a-1", "ValueError: x"))
    assert machine.publish("b", ONE)[-1] == AnnounceWaiting("b", 1, "waits for a device: GPU 0 is held by A")
    assert StartRunner("b-1", "b", 1, ("g0",)) in machine.handle(RunnerExited("a-1", "exited with status 3"))
    machine.handle(TimerFired(), after=31)  # the back-off of a is over, and nothing is free
    assert machine.devices() == {"b-1": ("g0",)}
    machine.handle(AppStopped("b", kill=True))
    machine.handle(RunnerExited("b-1", "killed by SIGKILL"))
    assert list(machine.devices().values()) == [("g0",)]


def test_a_device_of_another_gateway_is_tried_again_later_and_others_at_once(machine: Machine) -> None:
    machine.publish("a", TWO, warm=1)
    reason = "GPU 0 is held by process 7"
    assert machine.handle(StartRefused("a-1", reason, ("g0",))) == [StartRunner("a-2", "a", 1, ("g1",))]
    assert (
        machine.fleet.why_held_elsewhere("g0", machine.now),
        machine.fleet.why_held_elsewhere("g1", machine.now),
    ) == (
        reason,
        "",
    )
    waiting = machine.publish("b", ONE)
    assert waiting == [AnnounceWaiting("b", 1, f"waits for a device: {reason}")]
    machine.now += 19_000_000_000
    assert machine.handle(TimerFired()) == []
    assert machine.sleep() == [StartRunner("b-1", "b", 1, ("g0",))]
    assert machine.handle(StartRefused("b-1", reason, ("g0",))) == [
        AnnounceWaiting("b", 1, f"waits for a device: {reason}")
    ]
    assert machine.handle(DeviceReleased("g0")) == [StartRunner("b-2", "b", 1, ("g0",))]  # or as soon as it is free
    assert machine.handle(DeviceReleased("g1")) == []


def test_the_taker_of_an_app_is_named_as_holder(machine: Machine) -> None:
    machine.publish("a", ONE, owner="one.ipynb", warm=1)
    machine.handle(AppAdopted("a", "M", "two.ipynb"))
    assert machine.publish("b", ONE) == [AnnounceWaiting("b", 1, "waits for a device: GPU 0 is held by A of two.ipynb")]


def test_a_device_of_another_gateway_is_named_until_it_may_be_tried_again(machine: Machine) -> None:
    machine.publish("a", ONE)
    machine.handle(StartRefused("a-1", "GPU 0 is held by another gateway", ("g0",)))
    assert machine.fleet.why_held_elsewhere("g0", machine.now) == "GPU 0 is held by another gateway"
    assert machine.fleet.why_held_elsewhere("g0", machine.now + 20_000_000_000) == ""


STEPS = st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 9), st.integers(0, 40)), max_size=80)


@given(STEPS)
def test_whatever_happens_no_device_has_two_runners_and_everybody_is_served_in_the_end(
    steps: list[tuple[str, int, int]],
) -> None:
    machine, allotments = Machine(), {"a": ONE, "b": TWO, "c": BOTH}
    revision: Counter[str] = Counter()
    open_requests: set[str] = set()

    def track_requests(commands: list[Any]) -> None:
        for command in commands:
            if isinstance(command, DispatchRequest):
                open_requests.add(command.request_id)

    for number, (alias, kind, wait) in enumerate(steps):
        machine.now += wait * 1_000_000_000
        runners = [r for app in machine.fleet.all_apps() for r in app.runners.values()]
        runner = runners[number % len(runners)] if runners else None
        if kind == 0:
            revision[alias] += 1
            track_requests(machine.publish(alias, allotments[alias], revision[alias], max_concurrency=3))
        elif kind in (1, 2) and revision[alias]:
            track_requests(machine.handle(RequestArrived(alias, f"q{number}")))
        elif kind == 3 and open_requests:
            track_requests(machine.handle(RequestFinished(open_requests.pop())))
        elif kind in (4, 5) and runner is not None:
            track_requests([*machine.handle(RunnerSpawned(runner.id)), *machine.handle(RunnerReady(runner.id))])
        elif kind == 6 and runner is not None and runner.state is not State.CRASH_BACKOFF:
            track_requests(machine.handle(RunnerExited(runner.id, "killed by SIGKILL")))
        elif kind == 7 and runner is not None and runner.state is State.PENDING and runner.devices:
            track_requests(machine.handle(StartRefused(runner.id, "held elsewhere", runner.devices)))
        elif kind == 8:
            track_requests(machine.handle(AppStopped(alias)))
        else:
            track_requests(machine.handle(TimerFired()))
        lent = [device for devices in machine.devices().values() for device in devices]
        assert len(lent) == len(set(lent))
    for _ in range(200):  # let everything end: no demand, every stop is followed
        for app in list(machine.fleet.apps):
            machine.handle(AppStopped(app, kill=True))
        for app in list(machine.fleet.all_apps()):
            for runner in list(app.runners):
                machine.handle(RunnerExited(runner, "killed by SIGKILL"))
    assert machine.devices() == {}
    assert machine.publish("z", BOTH)[-1:] == [StartRunner("z-1", "z", 1, ("g0", "g1"))] or (
        machine.fleet.apps["z"].starved  # a device that was refused a moment ago
    )
