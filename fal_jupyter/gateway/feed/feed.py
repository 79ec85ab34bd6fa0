"""The feed of the panels: after changes, at most four times a second, one frame is built, encoded once, and sent to all.

Timelines are written with or without listeners, so that a panel opened later shows the past. While nothing
changes, only a periodic beat is sent to the listeners.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from enum import Enum, auto
from typing import TYPE_CHECKING

from fal_jupyter.domain.timeline.lanes import PAUSE
from fal_jupyter.gateway.devices.resource_usage import ResourceMeter, ResourceUsage, used_by
from fal_jupyter.gateway.engine.request_history import answers, newest_result, outside_loads, state_of, wall_ms
from fal_jupyter.gateway.feed.snapshot import app_state, device_states, host_state, options
from fal_jupyter.gateway.feed.timelines import Timelines
from fal_jupyter.gateway.record_json import encode_record
from fal_jupyter.protocol.feed import (
    BEAT_EVERY,
    FRAME_REQUESTS,
    FRAMES_PER_SECOND,
    AppState,
    FeedLine,
    GatewayState,
    Picture,
    RequestState,
    Timeline,
)

if TYPE_CHECKING:
    from fal_jupyter.domain.fleet.app import FleetApp
    from fal_jupyter.domain.runners.runner import Runner
    from fal_jupyter.gateway.apps.deployment import Deployment
    from fal_jupyter.gateway.auth.leases import Leases
    from fal_jupyter.gateway.changes import Changes
    from fal_jupyter.gateway.engine.engine import Engine
    from fal_jupyter.settings import Settings

EVERY = 1 / FRAMES_PER_SECOND
PICTURED_REQUESTS = 12
PICTURED_LINES = 20
PICTURED_LINE = 2000  # characters of each
SOON = 0.02  # seconds; changes within them share a frame
SETTLE = 5.0  # seconds after which time-dependent figures are sent again


class NextLine(Enum):
    """The next message of the feed's timer."""

    NOTHING = auto()
    FRAME = auto()  # something changed
    REFRESH = auto()  # a frame for time-dependent figures
    BEAT = auto()


class FeedConnection:
    """One panel's connection. *send* accepts encoded lines and returns False while the panel has unread data."""

    def __init__(self, send: Callable[[bytes], bool]) -> None:
        self.send = send
        self.behind = False


class Feed:
    """All listeners of one gateway.

    Args:
        changes: notifies of every event in the engine.
        leases: the owners of the apps.
        identity: returns the gateway's identity and current addresses.
    """

    def __init__(
        self,
        engine: Engine,
        changes: Changes,
        settings: Settings,
        leases: Leases,
        identity: Callable[[], GatewayState],
    ) -> None:
        self._engine, self._settings, self._leases, self._identity = engine, settings, leases, identity
        self.timelines = Timelines()
        self._listeners: set[FeedConnection] = set()
        self._loop = asyncio.get_running_loop()
        self._next = NextLine.NOTHING
        self._last = 0.0
        self._seq = 0
        self._timer: asyncio.TimerHandle | None = None
        self._meter: ResourceMeter | None = None
        changes.subscribe(self.mark_changed)

    # --- changes ------------------------------------------------------------------------------------------------
    def mark_changed(self) -> None:
        """Something changed: build a frame soon. Called for every event, so it must be cheap."""
        if self._next is not NextLine.FRAME:
            self._next = NextLine.FRAME  # first, since the calls below may re-enter this method
            self._measure()
            now = self._loop.time()
            self._observe()  # also records what begins and ends before the next frame
            self._schedule(NextLine.FRAME, max(now + SOON, self._last + EVERY))

    def _schedule(self, line: NextLine, at: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._next = line
        self._timer = self._loop.call_at(at, self._beat if line is NextLine.BEAT else self._frame)

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._next, self._timer = NextLine.NOTHING, None

    def _observe(self) -> None:
        now = self._time()  # not the loop's time, which may be older than the changes
        for moment, runner, state in self._engine.take_moves():
            self.timelines.of(runner.alias).moved(runner, str(state), wall_ms(moment / 1e9))
        apps: dict[str, list[FleetApp]] = {alias: [] for alias in self.timelines.apps}
        for app in self._engine.fleet_apps():
            apps.setdefault(app.alias, []).append(app)
        for alias, records in apps.items():
            self.timelines.of(alias).observe(records, now)

    # --- frames -------------------------------------------------------------------------------------------------
    def _frame(self) -> None:
        """Build a frame of the changes, and send it."""
        now = self._loop.time()
        self._cancel_timer()
        self._last = now
        self._observe()
        self._forget_ended_apps()
        if not self._listeners:
            self._engine.history.take_new(set())
            for app in self.timelines.apps.values():
                app.news()
            return
        running = self._running()
        ended, skipped = self._engine.history.take_new({r["id"] for r in running if r["state"] != "done"})
        news = {alias: new for alias, app in self.timelines.apps.items() if (new := app.news()) is not None}
        self._seq += 1
        line = self._line("frame", [*(recorded.state() for recorded in ended), *running], news)
        line["skipped"] = skipped
        data = encode_record(line) + b"\n"
        for listener in list(self._listeners):
            self._send(listener, data)
        self._wait_for_beat()

    def _wait_for_beat(self) -> None:
        """Send another frame for time-dependent figures, or a beat if there are none."""
        if self._next is NextLine.FRAME:
            return
        now = self._loop.time()
        if not all(app.settled for app in self.timelines.apps.values()):
            self._schedule(NextLine.REFRESH, now + PAUSE / 1000)
        elif all(app.quiet(int(wall_ms(now) / 1000)) for app in self._engine.history.apps.values()):
            self._schedule(NextLine.BEAT, now + BEAT_EVERY)
        else:
            self._schedule(NextLine.REFRESH, now + SETTLE)

    def _beat(self) -> None:
        self._cancel_timer()
        data = encode_record(FeedLine(kind="beat", time=self._time())) + b"\n"
        for listener in list(self._listeners):
            if listener.behind:
                self._send(listener, b"")  # otherwise it would miss data until the next change
            else:
                listener.send(data)
        if self._listeners and self._next is NextLine.NOTHING:
            self._schedule(NextLine.BEAT, self._loop.time() + BEAT_EVERY)

    def _send(self, listener: FeedConnection, data: bytes) -> None:
        """Send a frame; a listener that was behind gets a snapshot instead, once it accepts data again."""
        if listener.behind:
            data = self.snapshot()
        listener.behind = not listener.send(data)

    def _forget_ended_apps(self) -> None:
        aliases = {app.alias for app in self._engine.deployments.known()}
        for alias in [alias for alias in self.timelines.apps if alias not in aliases]:
            self.timelines.forget(alias)
            self._engine.history.forget(alias)

    # --- listeners ----------------------------------------------------------------------------------------------
    def listen(self, send: Callable[[bytes], bool]) -> FeedConnection:
        """Add a listener, which immediately gets a snapshot."""
        listener = FeedConnection(send)
        listener.behind = not send(self.snapshot())
        self._listeners.add(listener)
        self._measure()
        if self._timer is None and self._listeners:
            self._wait_for_beat()
        return listener

    def leave(self, listener: FeedConnection) -> None:
        """The listener has disconnected."""
        self._listeners.discard(listener)
        if not self._listeners:
            if self._meter is not None:
                self._meter.close()
            if self._next is not NextLine.FRAME:
                self._cancel_timer()

    def _measure(self) -> None:
        """Measure what runners and owners use, as long as there are listeners and apps."""
        if self._listeners:
            if self._meter is None:
                self._meter = ResourceMeter(
                    self._engine.runners.pids,
                    self._owners,
                    self._measures_devices,
                    self._measured,
                    self.mark_changed,
                )
            self._meter.look()

    def _owners(self) -> set[int]:
        """The processes that own apps."""
        known = self._engine.deployments.known()
        return {self._leases.holder_of(app.lease).pid for app in known} - {0}

    @property
    def _measures_devices(self) -> bool:
        return bool(self._engine.deployments.hardware.devices) and not self._settings.fake_gpus

    def _measured(self, usage: ResourceUsage) -> None:
        """Record the usage of each app's runners."""
        at = self._time()
        apps: dict[str, list[Runner]] = {alias: [] for alias in self.timelines.apps}
        for app in self._engine.fleet_apps():
            apps.setdefault(app.alias, []).extend(app.runners.values())
        for alias, runners in apps.items():
            self.timelines.of(alias).measured(at, used_by(runners, usage))

    def _running(self) -> list[RequestState]:
        return [state_of(request) for request in list(self._engine.requests.live.values())[:FRAME_REQUESTS]]

    def close(self) -> None:
        """Close the feed at the gateway's end."""
        self._listeners.clear()
        self._cancel_timer()
        if self._meter is not None:
            self._meter.close()

    # --- lines --------------------------------------------------------------------------------------------------
    def snapshot(self) -> bytes:
        """The complete state as one encoded line; the following frames contain later changes."""
        if self._next is NextLine.FRAME:
            self._frame()  # otherwise the next frame would repeat the snapshot's content
        self._observe()
        requests = [recorded.state() for app in self._engine.history.apps.values() for recorded in app.requests]
        requests += self._running()
        aliases = {app.alias for app in self._engine.deployments.known()}
        whole = {alias: app.whole() for alias, app in self.timelines.apps.items() if alias in aliases}
        line = self._line("snapshot", requests, whole)
        line["options"] = options()
        return encode_record(line) + b"\n"

    def picture(self, alias: str) -> Picture:
        """One published app's state, reduced for a saved notebook."""
        usage = self._meter.usage if self._meter is not None else ResourceUsage()
        history = self._engine.history.apps.get(alias)
        ended = list(history.requests) if history is not None else []
        by_hand = outside_loads(ended)
        pictured = [recorded.state() for recorded in ended[-PICTURED_REQUESTS:]]
        requests = sorted(pictured, key=lambda request: -request["began"])
        timeline = self.timelines.of(alias)
        self._observe()
        published = next(app for app in self._engine.deployments.known() if app.alias == alias)
        lines = published.log.read(PICTURED_LINES)
        return Picture(
            time=self._time(),
            app=self._app(published, usage, self._identity()),
            requests=requests,
            timeline=timeline.thin(self._time()),
            logs=[{**line, "text": line["text"][-PICTURED_LINE:]} for line in lines],
            outputs=[],
            last=None,
            answers=answers(by_hand),
            newest=newest_result(by_hand),
        )

    def _line(self, kind: str, requests: list[RequestState], timelines: dict[str, Timeline]) -> FeedLine:
        usage = self._meter.usage if self._meter is not None else ResourceUsage()
        identity = self._identity()
        return FeedLine(
            kind=kind,
            time=self._time(),
            seq=self._seq,
            gateway=identity,
            apps=[self._app(app, usage, identity) for app in self._engine.deployments.known()],
            devices=device_states(self._engine, usage),
            host=host_state(self._engine, usage),
            requests=requests,
            skipped=0,
            timelines=timelines,
        )

    def _app(self, published: Deployment, usage: ResourceUsage, identity: GatewayState) -> AppState:
        return app_state(self._engine, published, identity, self._leases.holder_of(published.lease), usage)

    def _time(self) -> float:
        return wall_ms(time.monotonic())
