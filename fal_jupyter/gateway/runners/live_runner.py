"""The gateway's record of a runner, from the command to start it until its process has ended."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import StrEnum
from typing import Final

from fal_jupyter.domain.transitions import transition_table
from fal_jupyter.gateway.apps.deployment import Deployment
from fal_jupyter.gateway.runners.channel import GatewayChannel
from fal_jupyter.gateway.runners.runner_process import RunnerProcess
from fal_jupyter.protocol.api import Event


class RunnerLife(StrEnum):
    """The lifecycle of a runner's process. Its use (idle, draining …) is the fleet's state."""

    STARTING = "starting"  # its setup has not ended
    READY = "ready"
    STOPPING = "stopping"  # it was stopped, or its setup failed
    GONE = "gone"


class RunnerLifeEvent(StrEnum):
    """Events of a runner's lifecycle."""

    SET_UP = "set up"
    STOPPED = "stopped"
    EXITED = "exited"


LIFE: Final = transition_table(
    {
        RunnerLife.STARTING: {
            RunnerLifeEvent.SET_UP: RunnerLife.READY,
            RunnerLifeEvent.STOPPED: RunnerLife.STOPPING,
            RunnerLifeEvent.EXITED: RunnerLife.GONE,
        },
        RunnerLife.READY: {
            RunnerLifeEvent.SET_UP: RunnerLife.READY,  # user code can write to the runner's channel: a second READY changes nothing
            RunnerLifeEvent.STOPPED: RunnerLife.STOPPING,
            RunnerLifeEvent.EXITED: RunnerLife.GONE,
        },
        RunnerLife.STOPPING: {
            RunnerLifeEvent.SET_UP: RunnerLife.STOPPING,  # it was sent before the command to stop arrived
            RunnerLifeEvent.STOPPED: RunnerLife.STOPPING,  # a stopped runner is killed after its grace period
            RunnerLifeEvent.EXITED: RunnerLife.GONE,
        },
        RunnerLife.GONE: {},
    }
)


class LiveRunner:
    """One runner.

    Attributes:
        app, revision: the served app and revision.
        devices: the devices locked for it.
        start_began: monotonic seconds.
        life: changed by :meth:`move` only.
        process: None until the launcher has made one.
        setup_ms: 0.0 until it is ready.
        hints: the last header with its hints.
    """

    __slots__ = ("app", "devices", "hints", "id", "life", "process", "revision", "setup_ms", "start_began")

    def __init__(self, runner_id: str, app: Deployment, revision: int, devices: tuple[str, ...], now: float) -> None:
        self.id, self.app, self.revision, self.devices, self.start_began = runner_id, app, revision, devices, now
        self.life = RunnerLife.STARTING
        self.process: RunnerProcess | None = None
        self.setup_ms = 0.0
        self.hints = ""

    @property
    def alias(self) -> str:
        """The log of its app."""
        return self.app.alias

    @property
    def channel(self) -> GatewayChannel | None:
        """Frames to and from it; None before it has a process."""
        return self.process.channel if self.process is not None else None

    @property
    def pid(self) -> int:
        """0 before it has a process."""
        return self.process.pid if self.process is not None else 0

    def move(self, event: RunnerLifeEvent) -> None:
        """Change its life.

        Raises:
            IllegalTransition: the transition is illegal; nothing is changed.
        """
        self.life = LIFE[self.life][event]

    def write_output(self, stream: int, text: str) -> None:
        """Write text that belongs to no request into the app's log."""
        self.app.log.write(self.id, "", stream, text)

    def end_output(self) -> None:
        """End the line that is still open in the app's log."""
        self.app.log.end(self.id, "")

    def remark(self, text: str) -> None:
        """Write a line about it into the app's log."""
        self.app.log.remark(self.id, text)

    def publish(self, event: Event) -> None:
        """Add an event to the history of its revision."""
        self.app.add_event(self.revision, event)


class LiveRunners:
    """All runners whose processes have not ended, by id."""

    def __init__(self) -> None:
        self._by_id: dict[str, LiveRunner] = {}

    def __iter__(self) -> Iterator[LiveRunner]:
        return iter(self._by_id.values())

    def add(self, runner: LiveRunner) -> None:
        """Add a new runner."""
        self._by_id[runner.id] = runner

    def get(self, runner_id: str) -> LiveRunner | None:
        """The runner of that id, or None when there is none or it has ended."""
        return self._by_id.get(runner_id)

    def remove(self, runner_id: str) -> LiveRunner | None:
        """Remove and return a runner that has ended."""
        return self._by_id.pop(runner_id, None)

    def channel(self, runner_id: str) -> GatewayChannel | None:
        """The runner's channel, or None when there is no such process."""
        runner = self._by_id.get(runner_id)
        return runner.channel if runner is not None else None

    def pids(self) -> dict[str, int]:
        """The processes, by runner id."""
        return {runner.id: runner.pid for runner in self if runner.pid}

    def isolated(self, runner_ids: Iterable[str]) -> set[str]:
        """The isolated environments that these runners use."""
        processes = (runner.process for runner_id in runner_ids if (runner := self.get(runner_id)) is not None)
        return {process.isolated for process in processes if process is not None and process.isolated}
