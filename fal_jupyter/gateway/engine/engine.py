"""Reports events to the fleet and executes the resulting commands: the engine makes no decisions."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Callable, Iterator
from typing import Any

from fal_jupyter.domain import events as m
from fal_jupyter.domain.fleet.app import FleetApp
from fal_jupyter.domain.fleet.fleet import Fleet
from fal_jupyter.domain.fleet.suspension import SuspensionGuard
from fal_jupyter.domain.runners.runner import READY, Moved
from fal_jupyter.gateway.apps.deployments import Deployments
from fal_jupyter.gateway.changes import Changes
from fal_jupyter.gateway.devices.device_locks import DeviceLocks
from fal_jupyter.gateway.engine.app_executor import AppExecutor
from fal_jupyter.gateway.engine.recorder import FleetRecorder
from fal_jupyter.gateway.engine.request_executor import RequestExecutor
from fal_jupyter.gateway.engine.request_history import RecordedRequest
from fal_jupyter.gateway.engine.runner_executor import RunnerExecutor
from fal_jupyter.gateway.requests.proxied_request import ProxiedRequest
from fal_jupyter.gateway.runners.launcher import Launcher
from fal_jupyter.gateway.runners.live_runner import LiveRunner, LiveRunners
from fal_jupyter.gateway.runners.load_messages import LoadMessages
from fal_jupyter.gateway.runners.runner_process import RunnerEvents
from fal_jupyter.gateway.storage.kept_inputs import KeptInputs
from fal_jupyter.protocol.api import RUN
from fal_jupyter.settings import Settings

log = logging.getLogger("fal_jupyter.engine")
DRAIN_PATIENCE = 45.0  # seconds: the longest grace period is 30 s


class FleetTimer:
    """Calls *fire* when the fleet's next time limit passes.

    Attributes:
        latest: the current timer; an earlier time limit must be set with :meth:`wake_by` (monotonic nanoseconds).
    """

    def __init__(self, fire: Callable[[], None]) -> None:
        self._fire = fire
        self._loop = asyncio.get_running_loop()
        self._handle: asyncio.TimerHandle | None = None
        self._due = 0
        self.latest: float = math.inf
        self._suspension = SuspensionGuard()

    def wake_by(self, due: int) -> None:
        """Fire at *due* at the latest."""
        if not self._suspension.catching_up:
            self._set(due)
            self.latest = due

    def _set(self, due: int) -> None:
        if self._handle is not None:
            self._handle.cancel()
        self._due = due
        delay = max(0, due - time.monotonic_ns()) / 1e9
        self._handle = self._loop.call_later(delay + 0.0005, self._fired)

    def _fired(self) -> None:
        self._handle, self.latest = None, math.inf
        later = self._suspension.fired(self._due, time.monotonic_ns())
        if later is not None:
            self._set(later)
        else:
            self._fire()


class Engine:
    """Runs the fleet of one gateway.

    Args:
        loads: builds the launch data of a runner.
        make_launcher: creates the launcher of runners, which reports their events to its argument.
        changes: notified after each event.
        on_idle: called when no caller's request is running.
        recorder: records the fleet's events and commands.

    Attributes:
        deployments: the published apps.
        requests: the requests that have not ended, and what the data plane needs.
        runners: the runners that have not ended.
        history: the requests that have ended.
    """

    def __init__(
        self,
        settings: Settings,
        loads: LoadMessages,
        make_launcher: Callable[[RunnerEvents], Launcher],
        changes: Changes,
        on_idle: Callable[[], None],
        recorder: FleetRecorder | None = None,
    ) -> None:
        self._owner, self._loads, self._changes, self._recorder = settings.owner, loads, changes, recorder
        self._fleet = Fleet()
        self._timer = FleetTimer(lambda: self.handle(m.TimerFired()))
        self.runners = LiveRunners()
        self.deployments = Deployments(settings, self._fleet, self.handle, on_idle)
        self._inputs = KeptInputs(settings.state)
        self.requests = RequestExecutor(
            self._fleet, self.runners, self.deployments, self.handle, changes.notify, on_idle, self._inputs
        )
        self.history = self.requests.history
        locks = DeviceLocks(settings.runtime, settings.state)
        self._runner_executor = RunnerExecutor(
            self.runners, self.requests, self.deployments, loads, locks, make_launcher, self.handle, changes.notify
        )
        self._app_executor = AppExecutor(
            self._fleet, self.deployments, self._app_forgotten, self._runner_executor.release_environments
        )
        self._execute: dict[type, Callable[[Any], None]] = {
            **self.requests.commands,
            **self._runner_executor.commands,
            **self._app_executor.commands,
        }

    def handle(self, event: m.FleetEvent) -> None:
        """Send an event to the fleet, and execute the resulting commands."""
        now = time.monotonic_ns()
        commands = self._fleet.handle(event, now)
        if self._recorder is not None:
            self._recorder.record(now, event, commands)
        for command in commands:
            try:
                self._execute[type(command)](command)
            except Exception:  # the other commands concern other apps, runners and callers
                log.exception("%s failed", type(command).__name__)
        self._changes.notify()
        if (wake_at := self._fleet.wake_at) is not None and wake_at < self._timer.latest:
            self._timer.wake_by(wake_at)

    def _app_forgotten(self, alias: str) -> None:
        self._loads.app_ended(alias)
        self.requests.cookies.pop(alias, None)

    async def close(self) -> None:
        """Stop every app, wait for the runners' ends, end the templates, and with them what did not end in time."""
        for alias in list(self.deployments.published):
            self.deployments.stop(alias, kill=False)
        try:
            async with asyncio.timeout(DRAIN_PATIENCE):
                await self._app_executor.wait_until_all_ended()
        except TimeoutError:
            log.error("the apps did not end within %g s", DRAIN_PATIENCE)
        await self._runner_executor.launcher.close()
        self._inputs.close()

    # --- used by handlers ---------------------------------------------------------------------------------------
    def url(self, alias: str, base: str) -> str:
        """The prefix of the app's endpoints."""
        return f"{base}{RUN}{self._owner}/{alias}"

    def serving_revision(self, alias: str) -> int:
        """The revision that answers the app's requests; 0 before the first is ready, or without such an app."""
        app = self._fleet.apps.get(alias)
        return app.serving if app is not None else 0

    def ready_runner(self, alias: str, revision: int) -> LiveRunner | None:
        """The least busy ready runner of a revision, or None."""
        app = self._fleet.apps.get(alias)
        ready = [r for r in app.runners.values() if r.state in READY and r.revision == revision] if app else []
        runner = min(ready, key=lambda r: r.in_flight, default=None)
        return self.runners.get(runner.id) if runner is not None else None

    def stop_runner(self, runner_id: str, *, kill: bool) -> bool:
        """Stop one runner; False if there is none of that id."""
        if self._fleet.runner(runner_id) is None:
            return False
        self.handle(m.RunnerStopRequested(runner_id, kill))
        return True

    def unload(self, alias: str) -> None:
        """End the app's runners; the next request starts one."""
        self.handle(m.AppUnloaded(alias))

    def live_request(self, request_id: str) -> ProxiedRequest | None:
        """The request of that id, if it has not ended."""
        return self.requests.live.get(request_id)

    def ended_request(self, request_id: str) -> RecordedRequest | None:
        """The request of that id, if it has ended and is stored."""
        return self.history.find(request_id)

    def template_pids(self) -> list[int]:
        """The templates that have runners or can start some."""
        return self._runner_executor.launcher.template_pids()

    # --- used by lists and panels -------------------------------------------------------------------------------
    def fleet_app(self, alias: str) -> FleetApp | None:
        """The fleet's record of a published app, to be read only."""
        return self._fleet.apps.get(alias)

    def fleet_apps(self) -> Iterator[FleetApp]:
        """The fleet's records of all apps, including ending ones, to be read only."""
        return self._fleet.all_apps()

    def take_moves(self) -> Iterator[Moved]:
        """Return and clear the state changes of runners since the last call."""
        moved = self._fleet.moved
        while moved:
            yield moved.popleft()

    def device_holder(self, device: str) -> str:
        """Which other gateway holds a device, if known, or ``""``."""
        return self._fleet.why_held_elsewhere(device, time.monotonic_ns())
