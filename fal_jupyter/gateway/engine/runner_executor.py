"""Executes the fleet's commands about runners, and handles the runners' events."""

from __future__ import annotations

import asyncio
import logging
import time
import traceback
from collections.abc import Callable
from typing import Any

import msgspec

from fal_jupyter.domain import events as m
from fal_jupyter.domain.errors import FalJupyterError
from fal_jupyter.gateway.apps.deployments import Deployments
from fal_jupyter.gateway.devices.device_locks import DeviceLocks
from fal_jupyter.gateway.engine.request_executor import RequestExecutor
from fal_jupyter.gateway.requests.health_probes import HealthProbes
from fal_jupyter.gateway.runners.launcher import Launcher
from fal_jupyter.gateway.runners.live_runner import LiveRunner, LiveRunners, RunnerLifeEvent
from fal_jupyter.gateway.runners.load_messages import LoadMessages
from fal_jupyter.gateway.runners.runner_process import RunnerEvents
from fal_jupyter.gateway.storage.redaction import error_without_secrets
from fal_jupyter.protocol import frames
from fal_jupyter.protocol.api import ErrorDescription, Event
from fal_jupyter.protocol.frames import Frame, Kind

log = logging.getLogger("fal_jupyter.engine")
STDERR = 2
_encode = msgspec.json.encode


class _Ready(msgspec.Struct):
    """Payload of a READY frame."""

    setup_ms: float
    load_ms: float


class _Exiting(msgspec.Struct):
    """Payload of an EXITING frame."""

    reason: str


class RunnerExecutor:
    """Executes commands about runners, and reports the runners' events to the fleet (:class:`RunnerEvents` of the launcher).

    Args:
        runners: the runners that have not ended; this object adds and removes them.
        make_launcher: creates the launcher of runners, which reports their events to its argument.
        report: sends an event to the fleet.
        on_output: called when a runner prints.
    """

    def __init__(
        self,
        runners: LiveRunners,
        requests: RequestExecutor,
        deployments: Deployments,
        loads: LoadMessages,
        device_locks: DeviceLocks,
        make_launcher: Callable[[RunnerEvents], Launcher],
        report: Callable[[m.FleetEvent], None],
        on_output: Callable[[], None],
    ) -> None:
        self._runners, self._requests, self._deployments = runners, requests, deployments
        self._loads, self._device_locks, self._report, self._on_output = loads, device_locks, report, on_output
        self._loop = asyncio.get_running_loop()
        self.launcher = make_launcher(self)
        self._probes = HealthProbes(runners, report)
        self.commands: dict[type, Callable[[Any], None]] = {
            m.StartRunner: self._start,
            m.PingRunner: self._ping,
            m.CheckRunnerHealth: self._check,
            m.LogRunnerRemark: self._remark,
            m.StopRunner: self._stop,
            m.KillRunner: self._kill,
        }

    # --- commands -----------------------------------------------------------------------------------------------
    def _start(self, command: m.StartRunner) -> None:
        if not self._lock_devices(command):
            return
        try:
            self._launch(command)
        except Exception as error:  # the fleet would wait for ever for a runner without a process
            log.exception("%s could not be started", command.runner_id)
            reason = "".join(traceback.format_exception_only(error)).strip()
            self._remove(command.runner_id)
            self._device_locks.release(command.devices)
            refused = m.StartRefused(command.runner_id, f"the gateway failed at its start: {reason}")
            self._loop.call_soon(self._report, refused)

    def _launch(self, command: m.StartRunner) -> None:
        app = self._deployments.published.get(command.alias) or self._deployments.leaving[command.alias]
        runner = LiveRunner(command.runner_id, app, command.revision, command.devices, time.monotonic())
        self._runners.add(runner)
        load = self._loads.make(app, command)
        runner.publish(Event(event="state", runner=runner.id, state="PENDING"))
        runner.process = self.launcher.start(runner.id, load)

    def _lock_devices(self, command: m.StartRunner) -> bool:
        """Lock the runner's devices among all gateways of this machine; reports if another gateway holds one."""
        if not command.devices:
            return True
        try:
            unavailable, holder = self._device_locks.claim(command.devices)
        except (OSError, FalJupyterError) as error:
            refused = m.StartRefused(command.runner_id, f"its devices cannot be locked: {error}")
            self._loop.call_soon(self._report, refused)
            return False
        if unavailable:
            names = {device.id: f"GPU {device.index}" for device in self._deployments.hardware.devices}
            reason = ", ".join(f"{names.get(device, device)} is held by {holder}" for device in unavailable)
            self._loop.call_soon(self._report, m.StartRefused(command.runner_id, reason, tuple(unavailable)))
            for device in unavailable:
                self._device_locks.notify_when_free(device, lambda device: self._report(m.DeviceReleased(device)))
        return not unavailable

    def _ping(self, command: m.PingRunner) -> None:
        channel = self._runners.channel(command.runner_id)
        if channel is not None:
            channel.send(frames.encode(Kind.PING, 0))

    def _check(self, command: m.CheckRunnerHealth) -> None:
        self._probes.probe(command.runner_id, command.rules)

    def _remark(self, command: m.LogRunnerRemark) -> None:
        self._note(command.runner_id, command.text)

    def _stop(self, command: m.StopRunner) -> None:
        runner = self._note(command.runner_id, f"stopping: {command.reason}")
        if runner is not None:
            runner.move(RunnerLifeEvent.STOPPED)
            if runner.channel is not None:
                runner.channel.send(frames.encode(Kind.SHUTDOWN, 0, _encode({"reason": command.reason})))

    def _kill(self, command: m.KillRunner) -> None:
        runner = self._note(command.runner_id, f"killed: {command.reason}")
        if runner is not None:
            runner.move(RunnerLifeEvent.STOPPED)
            if runner.process is not None:
                runner.process.kill(stacks=command.stacks)

    def _note(self, runner_id: str, text: str) -> LiveRunner | None:
        """Write a line about a runner into the gateway's log and into its app's; returns the runner, if it lives."""
        log.info("%s %s", runner_id, text)
        runner = self._runners.get(runner_id)
        if runner is not None:
            runner.remark(text)
        return runner

    # --- events -------------------------------------------------------------------------------------------------
    def runner_frame(self, runner_id: str, frame: Frame) -> None:
        """A frame of stream 0 arrived."""
        runner = self._runners.get(runner_id)
        if runner is None:
            return
        if frame.kind == Kind.HELLO:
            runner.publish(Event(event="state", runner=runner_id, state="SETUP"))
            self._report(m.RunnerSpawned(runner_id))
        elif frame.kind == Kind.OUTPUT:
            self._publish_output(runner, frame.payload[0], frame.payload[1:].decode("utf-8", "replace"))
        elif frame.kind == Kind.READY:
            self._ready(runner, msgspec.json.decode(frame.payload, type=_Ready))
        elif frame.kind == Kind.FAILED:
            self._failed(runner, msgspec.json.decode(frame.payload, type=ErrorDescription))
        elif frame.kind == Kind.PONG:
            self._report(m.RunnerPingAnswered(runner_id))
        elif frame.kind == Kind.EXITING:
            runner.remark(msgspec.json.decode(frame.payload, type=_Exiting).reason)

    def _ready(self, runner: LiveRunner, ready: _Ready) -> None:
        runner.setup_ms = ready.setup_ms
        revision = runner.app.revisions.get(runner.revision)
        if revision is not None:
            revision.failed, revision.setup_ms = False, ready.setup_ms
        runner.publish(Event(event="ready", runner=runner.id, setup_ms=ready.setup_ms, load_ms=ready.load_ms))
        self._report(m.RunnerReady(runner.id))  # requests dispatched while it is still STARTING waited for its start
        runner.move(RunnerLifeEvent.SET_UP)
        self._requests.runner_started(runner)

    def _failed(self, runner: LiveRunner, raised: ErrorDescription) -> None:
        error = error_without_secrets(raised, runner.app.log.redact)
        runner.write_output(STDERR, error["text"])
        runner.app.last_error = error
        revision = runner.app.revisions.get(runner.revision)
        if revision is not None:
            revision.errors[runner.id] = error
        runner.move(RunnerLifeEvent.STOPPED)
        self._report(m.RunnerFailed(runner.id, f"{error['type']}: {error['message']}"))

    def _publish_output(self, runner: LiveRunner, stream: int, text: str) -> None:
        runner.write_output(stream, text)
        self._on_output()
        revision = runner.app.revisions.get(runner.revision)
        if revision is not None and not revision.over:
            text = runner.app.log.redact(text)
            runner.publish(Event(event="output", runner=runner.id, stream=stream, text=text))

    def runner_printed(self, runner_id: str, text: str) -> None:
        """The runner wrote to its file descriptor 1 or 2: the output of its only request, or of none."""
        runner = self._runners.get(runner_id)
        if runner is None:
            return
        request = self._requests.only_request_of(runner_id)
        if request is not None:
            request.on_frame(Frame(Kind.OUTPUT, 0, bytes((STDERR,)) + text.encode("utf-8", "replace")))
        else:
            self._publish_output(runner, STDERR, text)

    def runner_refused(self, runner_id: str, reason: str) -> None:
        """The machine could not start the runner."""
        self._remove(runner_id)
        self._report(m.StartRefused(runner_id, reason))

    def runner_exited(self, runner_id: str, reason: str, *, lost: bool = False) -> None:
        """The runner's process has ended."""
        runner = self._remove(runner_id)
        if runner is not None:
            runner.end_output()
            runner.remark(f"runner {reason}")
        self._report(m.RunnerExited(runner_id, reason, lost=lost))
        self.release_environments()

    def _remove(self, runner_id: str) -> LiveRunner | None:
        runner = self._runners.remove(runner_id)
        if runner is not None:
            runner.move(RunnerLifeEvent.EXITED)
            self._device_locks.release(runner.devices)
        return runner

    # --- templates ----------------------------------------------------------------------------------------------
    def release_environments(self) -> None:
        """End the templates of isolated environments that no app uses."""
        self.launcher.release(self._deployments.environments())
