"""Indexes the apps of one gateway by alias, runner and request, and holds what they share: devices and timers."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator

from fal_jupyter.domain.events import FleetCommand
from fal_jupyter.domain.fleet.app import FleetApp
from fal_jupyter.domain.fleet.timers import Timers
from fal_jupyter.domain.resources.placement import Placement
from fal_jupyter.domain.runners.runner import MAX_UNREAD_MOVES, Moved, Runner, State

Commands = list[FleetCommand]


class FleetState:
    """What the parts of the fleet share.

    Attributes:
        apps: published apps by alias; *ending* are those that were stopped and still have runners.
        app_of_runner: the app of each runner. app_of_request: the app of each request that waits or is in flight.
        moved: state changes of runners, for the timelines.
        device_released: a device was released; apps that wait for one are evaluated again.
    """

    def __init__(self) -> None:
        self.apps: dict[str, FleetApp] = {}
        self.ending: list[FleetApp] = []
        self.app_of_runner: dict[str, FleetApp] = {}
        self.app_of_request: dict[str, FleetApp] = {}
        self.moved: deque[Moved] = deque(maxlen=MAX_UNREAD_MOVES)
        self.placement = Placement()
        self.device_released = False
        self.timers = Timers()
        self._numbers: Counter[str] = Counter()  # never reused, also when an app is published again

    def all_apps(self) -> Iterator[FleetApp]:
        """Every app, those that are ending too."""
        yield from self.apps.values()
        yield from self.ending

    def add_runner(self, app: FleetApp, state: State, now: int) -> Runner:
        """Add a runner of the target revision to the app."""
        self._numbers[app.alias] += 1
        runner = Runner(
            f"{app.alias}-{self._numbers[app.alias]}", app.alias, app.revision, state, now, moved=self.moved
        )
        app.runners[runner.id] = runner
        self.app_of_runner[runner.id] = app
        return runner

    def remove_runner(self, app: FleetApp, runner: Runner, now: int) -> None:
        """Remove a runner without a process, and release its devices."""
        runner.mark_ended(now)
        del app.runners[runner.id], self.app_of_runner[runner.id]
        self.device_released = self.placement.release(runner.id) or self.device_released

    def end_app(self, app: FleetApp) -> None:
        """Free the alias; the app is kept until its last runner has ended."""
        del self.apps[app.alias]
        self.ending.append(app)

    def remove_app(self, app: FleetApp) -> None:
        """Remove an ending app."""
        self.ending.remove(app)
        self.timers.set(app, None)

    def wake_by(self, app: FleetApp, at: int) -> None:
        """Evaluate the app at that time or earlier."""
        if app.wake_at is None or at < app.wake_at:
            self.timers.set(app, at)

    def check(self) -> None:
        """Assert what must hold between two events."""
        for app in self.all_apps():
            app.check()
        assert {r for app in self.all_apps() for r in app.runners} == set(self.app_of_runner)
        self.placement.check(set(self.app_of_runner))
        wakes = [app.wake_at for app in self.all_apps() if app.wake_at is not None]
        assert self.timers.earliest == min(wakes, default=None)
        requests = {r for app in self.all_apps() for r in (*app.waiting, *app.in_flight)}
        assert requests == set(self.app_of_request)
