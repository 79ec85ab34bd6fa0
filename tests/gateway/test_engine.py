"""The engine at work on a fleet: runners and requests of a pretend machine, without processes."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from fal_jupyter import settings
from fal_jupyter.domain import events as m
from fal_jupyter.domain.spec import AppSpec
from fal_jupyter.domain.transitions import IllegalTransition
from fal_jupyter.gateway.changes import Changes
from fal_jupyter.gateway.engine.engine import DRAIN_PATIENCE, Engine
from fal_jupyter.gateway.requests.buffered_calls import BufferedCall, BufferedCalls
from fal_jupyter.gateway.runners.live_runner import (
    LIFE,
    LiveRunner,
    RunnerLife,
    RunnerLifeEvent,
)
from fal_jupyter.protocol import frames
from fal_jupyter.protocol.frames import Frame, Kind
from tests.support.virtual_loop import VirtualLoop, virtual_loop

READY = b'{"setup_ms": 12.5, "load_ms": 1.0}'


class Channel:
    """A runner's channel; *alive* is False once its process has ended."""

    def __init__(self) -> None:
        self.alive = True
        self.streams: dict[int, Any] = {}
        self.sent: list[Frame] = []
        self._numbers = itertools.count(1)
        self._decoder = frames.Decoder()

    def open(self, listener: Any) -> int:
        number = next(self._numbers)
        self.streams[number] = listener
        return number

    def close_stream(self, stream: int) -> None:
        self.streams.pop(stream, None)

    def send(self, data: bytes, payload: bytes = b"") -> bool:
        if self.alive:
            self.sent += self._decoder.feed(data + payload)
        return self.alive

    def answer(self, body: bytes) -> None:
        """Answer the only request."""
        ((number, listener),) = self.streams.items()
        data = frames.encode_message(Kind.RESPONSE, number, b'{"status":200,"headers":[]}', body, end=True)
        (frame,) = frames.Decoder().feed(data)
        listener.on_frame(frame)


class Launcher:
    """Runners without processes."""

    def __init__(self, events: Any) -> None:
        self.events = events
        self.channels: dict[str, Channel] = {}
        self.killed: list[str] = []

    def start(self, runner_id: str, load: object) -> Any:
        channel = self.channels[runner_id] = Channel()
        return SimpleNamespace(
            channel=channel,
            pid=4711,
            isolated="",
            kill=lambda *, stacks: self.killed.append(runner_id),
            read_output=lambda: None,
        )

    def release(self, wanted: object) -> None: ...

    async def close(self) -> None: ...

    def frame(self, runner_id: str, kind: Kind, payload: bytes = b"") -> None:
        self.events.runner_frame(runner_id, Frame(kind, 0, payload))

    def exit(self, runner_id: str) -> None:
        self.channels[runner_id].alive = False
        self.events.runner_exited(runner_id, "exited with status 3")


class World:
    """An engine with one app, ``a``, and its pretend machine."""

    def __init__(self, engine: Engine, launcher: Launcher, loop: VirtualLoop, log: list[str], loads: Any) -> None:
        self.engine, self.launcher, self.loop, self.log, self.loads = engine, launcher, loop, log, loads
        self.calls = BufferedCalls(engine.requests)

    def publish(self) -> None:
        environment = {"python": "", "env": {}, "preload": [], "cwd": "/", "sys_path": [], "isolated": ""}
        head: Any = {
            "lease": "lease", "kind": "pickle", "source": {}, "modules": {}, "environment": environment, "fingerprint": {},
        }  # fmt: skip
        self.engine.deployments.publish("a", head, AppSpec(class_name="A", alias="a"), b"", "a notebook")

    def ready(self, runner_id: str) -> None:
        self.launcher.frame(runner_id, Kind.HELLO)
        self.launcher.frame(runner_id, Kind.READY, READY)

    def call(self) -> tuple[str, BufferedCall]:
        return self.calls.call("a", "POST", "/", "", [], b"")

    def runner(self, runner_id: str = "a-1") -> LiveRunner:
        runner = self.engine.runners.get(runner_id)
        assert runner is not None
        return runner


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    config = settings.read({"FAL_JUPYTER_STATE": str(tmp_path)})
    log: list[str] = []
    loads: Any = SimpleNamespace(make=lambda app, command: None, app_ended=lambda alias: log.append(f"{alias} ended"))
    launchers: list[Launcher] = []

    def make_launcher(events: Any) -> Any:
        launchers.append(Launcher(events))
        return launchers[0]

    with virtual_loop() as loop:
        changes = Changes()
        engine = Engine(config, loads, make_launcher, changes, lambda: log.append("idle"))
        changes.subscribe(lambda: log.append("changed"))
        yield World(engine, launchers[0], loop, log, loads)


def test_every_life_of_a_runner_ends_and_an_illegal_move_changes_nothing(world: World) -> None:
    assert set(LIFE) == set(RunnerLife)
    assert all(row.get(RunnerLifeEvent.EXITED) is RunnerLife.GONE for row in LIFE.values() if row)
    world.publish()
    runner = world.runner()
    runner.move(RunnerLifeEvent.EXITED)
    for event in RunnerLifeEvent:
        with pytest.raises(IllegalTransition, match=f"{event} cannot happen in the state gone"):
            runner.move(event)
        assert runner.life is RunnerLife.GONE


def test_a_runner_has_one_record_from_its_start_to_the_end_of_its_process(world: World) -> None:
    world.publish()
    runner = world.runner()
    assert (runner.life, runner.pid, runner.setup_ms, runner.revision) == (RunnerLife.STARTING, 4711, 0.0, 1)
    world.ready("a-1")
    assert (runner.life, runner.setup_ms) == (RunnerLife.READY, 12.5)
    assert world.engine.serving_revision("a") == 1
    assert world.engine.ready_runner("a", 1) is runner
    assert world.engine.stop_runner("a-1", kill=True)
    assert (runner.life, world.launcher.killed) == (RunnerLife.STOPPING, ["a-1"])
    world.launcher.exit("a-1")
    assert (runner.life, world.engine.runners.get("a-1")) == (RunnerLife.GONE, None)
    assert not world.engine.stop_runner("a-1", kill=True)


def test_only_what_a_runner_takes_while_it_starts_has_waited_for_its_start(world: World) -> None:
    world.publish()
    first, _ = world.call()
    world.ready("a-1")
    request = world.engine.live_request(first)
    assert request is not None
    assert request.clock.starting > 0
    world.launcher.channels["a-1"].answer(b"one")
    second, answer = world.call()
    request = world.engine.live_request(second)
    assert request is not None
    assert request.clock.starting == 0
    world.launcher.channels["a-1"].answer(b"two")
    assert answer.body() == b"two"
    assert world.engine.history.apps["a"].cold_starts == 1
    assert world.log[-1] == "idle"


def test_a_request_whose_runner_had_ended_already_waits_for_the_next_one(world: World) -> None:
    world.publish()
    world.ready("a-1")
    world.launcher.channels["a-1"].alive = False
    request_id, answer = world.call()
    request = world.engine.live_request(request_id)
    assert request is not None
    assert request.undelivered
    world.launcher.exit("a-1")
    world.loop.advance()
    assert world.engine.requests.waiting("a") == 1
    world.ready("a-2")
    world.launcher.channels["a-2"].answer(b"late")
    assert (answer.status, answer.body()) == (200, b"late")


def test_a_caller_that_leaves_before_its_undelivered_request_is_queued_again_leaves_nothing_behind(
    world: World,
) -> None:
    world.publish()
    world.ready("a-1")
    world.launcher.channels["a-1"].alive = False
    request_id, _ = world.call()
    request = world.engine.live_request(request_id)
    assert request is not None
    world.launcher.exit("a-1")  # it is queued again in the next turn of the event loop
    request.disconnect()
    world.loop.advance()
    assert world.engine.requests.waiting("a") == 0
    _, answer = world.call()
    world.ready("a-2")
    world.launcher.channels["a-2"].answer(b"the next one's")
    assert answer.body() == b"the next one's"


@pytest.mark.parametrize(("ending", "error_type"), [(True, "gateway_ending"), (False, "runner_scheduling_failure")])
def test_what_waits_when_the_app_stops_is_refused_by_the_reason(world: World, ending: bool, error_type: str) -> None:
    world.publish()
    _, answer = world.call()
    if ending:
        world.engine.requests.begin_ending()
    world.engine.deployments.stop("a", kill=True)
    assert answer.status == 503
    assert msgspec.json.decode(answer.body())["error_type"] == error_type
    world.launcher.exit("a-1")
    assert "a ended" in world.log


def test_an_error_of_setup_is_the_answer_to_what_waited_for_it(world: World) -> None:
    world.publish()
    _, answer = world.call()
    world.launcher.frame("a-1", Kind.HELLO)
    error = {"type": "ValueError", "message": "no", "text": "ValueError: no\n", "frames": [], "phase": "setup"}
    world.launcher.frame("a-1", Kind.FAILED, msgspec.json.encode(error))
    assert world.runner().life is RunnerLife.STOPPING
    assert answer.status == 503
    app = world.engine.deployments.published["a"]
    assert (app.last_error, app.newest.failed) == (error, True)


def test_a_start_that_raises_is_refused_and_the_next_one_is_made(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    def raising(app: object, command: m.StartRunner) -> None:
        raise UnicodeEncodeError("utf-8", "a\udcff", 1, 2, "surrogates not allowed")

    world.loads.make = raising
    world.publish()
    world.loop.advance()
    app = world.engine.deployments.published["a"]
    (failed,) = [event for event in app.newest.events if event["event"] == "failed"]
    assert failed["detail"].startswith(
        "the gateway failed at its start: UnicodeEncodeError: 'utf-8' codec can't encode"
    )
    assert world.engine.runners.get("a-1") is None
    assert "Traceback" in caplog.text
    world.loads.make = lambda app, command: None
    world.publish()
    _, answer = world.call()
    (runner_id,) = world.launcher.channels
    world.ready(runner_id)
    world.launcher.channels[runner_id].answer(b"later")
    assert answer.body() == b"later"


def test_an_engine_whose_starts_raise_ends_at_once(world: World) -> None:
    world.loads.make = lambda app, command: 1 / 0
    world.publish()
    world.loop.advance()
    ending = asyncio.ensure_future(world.engine.close(), loop=world.loop)
    world.loop.advance()
    assert ending.done()


def test_an_engine_ends_although_a_runner_does_not(world: World, caplog: pytest.LogCaptureFixture) -> None:
    world.publish()
    world.ready("a-1")
    ending = asyncio.ensure_future(world.engine.close(), loop=world.loop)
    world.loop.advance(DRAIN_PATIENCE - 1)
    assert not ending.done()
    world.loop.advance(1)
    assert ending.done()
    assert "did not end within 45 s" in caplog.text


def test_a_command_that_raises_does_not_drop_the_others(
    world: World, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.publish()
    waiting = [world.call()[1] for _ in range(3)]
    ended, failures = world.engine.history.ended, [OSError(28, "No space left on device")]

    def record(request: Any) -> None:
        if failures:
            raise failures.pop()
        ended(request)

    monkeypatch.setattr(world.engine.history, "ended", record)
    world.engine.deployments.stop("a", kill=True)
    assert [answer.status for answer in waiting] == [503, 503, 503]
    assert world.launcher.killed == list(world.launcher.channels)
    assert "FailRequest failed" in caplog.text


def test_a_request_that_cannot_be_sent_fails_and_frees_its_runner(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.publish()
    world.ready("a-1")
    with monkeypatch.context() as patch:
        patch.setattr(world.launcher.channels["a-1"], "send", lambda data, payload=b"": 1 / 0)
        _, answer = world.call()
    assert answer.status == 500
    world.loop.advance()
    app = world.engine.fleet_app("a")
    assert app is not None
    assert not app.in_flight
    _, answer = world.call()
    world.launcher.exit("a-1")
    world.ready("a-2")
    world.launcher.channels["a-2"].answer(b"of another runner")
    assert answer.body() == b"of another runner"


def test_changes_call_their_subscribers_and_wake_who_waits_once() -> None:
    changes, calls = Changes(), list[int]()
    changes.subscribe(lambda: calls.append(1))
    changes.notify()
    event = changes.next()
    assert (calls, event.is_set()) == ([1], False)
    assert changes.next() is event
    changes.notify()
    assert event.is_set()
    assert not changes.next().is_set()
