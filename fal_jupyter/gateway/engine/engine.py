"""The engine: stamps facts with the monotonic clock, asks the fleet, carries out its orders. It decides nothing."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import msgspec

from fal_jupyter.domain import events as m
from fal_jupyter.domain.errors import FalJupyterError
from fal_jupyter.domain.fleet.fleet import Fleet
from fal_jupyter.domain.spec import AppSpec
from fal_jupyter.gateway.apps.deployment import Deployment
from fal_jupyter.gateway.apps.deployments import Deployments
from fal_jupyter.gateway.devices.device_locks import DeviceLocks
from fal_jupyter.gateway.engine.request_history import RequestHistory, wall_ms
from fal_jupyter.gateway.requests.cancel_signals import CancelSignals
from fal_jupyter.gateway.requests.health_probes import HealthProbes
from fal_jupyter.gateway.requests.proxied_request import ProxiedRequest
from fal_jupyter.gateway.runners.launcher import Launcher
from fal_jupyter.gateway.runners.load_messages import LoadMessages
from fal_jupyter.gateway.storage.redaction import error_without_secrets
from fal_jupyter.protocol import frames
from fal_jupyter.protocol.api import (
    ENDING,
    ENDING_SENTENCE,
    H_CHECK,
    H_HINTS,
    H_TIMEOUT_TYPE,
    RUN,
    Event,
)
from fal_jupyter.protocol.feed import FRAME_REQUESTS, Failure
from fal_jupyter.protocol.frames import Frame, Kind
from fal_jupyter.settings import Settings

log = logging.getLogger("fal_jupyter.engine")
LATE = 500_000_000  # nanoseconds; no load of ours keeps the loop for so long
CATCH_UP = 200_000_000
MOST_HINTS = 100
_encode = msgspec.json.encode


def _nobody(*_: str) -> None:
    """Nobody looks."""


class Engine:
    """Facts in, orders out: the hub between exchanges, runners and the fleet."""

    def __init__(
        self,
        settings: Settings,
        environment: Mapping[str, str],
        files: int,
        on_quiet: Callable[[], None],
        loads: LoadMessages,
    ) -> None:
        self.settings, self.loads = settings, loads
        self.cookies: dict[str, set[str]] = {}
        self.fleet = Fleet()
        self.launcher = Launcher(self, environment, files)
        self.cancel_signals = CancelSignals(self.launcher)
        self.claims = DeviceLocks(settings.runtime, settings.state)
        self.deployments = Deployments(settings, self.fleet, self.tell, on_quiet)
        self.published = self.deployments.published
        self.exchanges: dict[str, ProxiedRequest] = {}
        self._starting: dict[str, tuple[Deployment, int]] = {}
        self.history = RequestHistory(FRAME_REQUESTS)
        self.setup_ms: dict[str, float] = {}
        self.on_news: Callable[[], None] = _nobody
        self._starts: dict[str, float] = {}
        self._started = ("", 0.0)  # the runner that is ready just now, and since when it was starting
        self._hints: dict[str, str] = {}
        self._checks = HealthProbes(self.launcher, self.fleet, self.tell, self._show_error)
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0
        self._catching_up = False
        self._loop = asyncio.get_running_loop()
        self._on_quiet = on_quiet
        self.all_gone = asyncio.Event()
        self.ending = False  # we drain: what waits is refused as what comes now is
        self._carry_out: dict[type, Callable[[Any], None]] = {
            m.StartRunner: self._start_runner,
            m.DispatchRequest: self._dispatch,
            m.FailRequest: self._fail_request,
            m.CancelRequest: self._cancel_request,
            m.AnswerRequest: self._answer_request,
            m.PingRunner: self._ping_runner,
            m.CheckRunner: self._check_runner,
            m.RemarkRunner: lambda order: self._remark(order.runner_id, order.text),
            m.StopRunner: self._stop_runner,
            m.KillRunner: self._kill_runner,
            m.AnnounceRevision: self._announce_revision,
            m.AnnounceFailure: self._announce_failure,
            m.AnnounceWaiting: self._announce_waiting,
            m.ForgetApp: self._forget_app,
        }

    # --- facts --------------------------------------------------------------------------------------------------
    def tell(self, fact: m.FleetEvent) -> None:
        """Hand a fact to the fleet and carry out what it orders."""
        for order in self.fleet.handle(fact, time.monotonic_ns()):
            self._carry_out[type(order)](order)
        self.on_news()
        wake_at = self.fleet.wake_at
        if wake_at is not None and not self._catching_up and (self._timer is None or wake_at < self._timer_at):
            self._arm(wake_at)

    def _arm(self, wake_at: int) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = wake_at
        delay = max(0, wake_at - time.monotonic_ns()) / 1e9
        self._timer = self._loop.call_later(delay + 0.0005, self._woke)

    def _woke(self) -> None:
        self._timer = None
        now = time.monotonic_ns()
        self._catching_up = not self._catching_up and now > self._timer_at + LATE
        if (
            self._catching_up
        ):  # we were stopped, or the machine slept: read what came before anybody is judged by the clock
            self._arm(now + CATCH_UP)
        else:
            self.tell(m.TimerFired())

    # --- what the exchanges tell --------------------------------------------------------------------------------
    def cancel(self, request_id: str) -> bool:
        """The owner wants a request's end; False when there is none of that id."""
        exchange = self.exchanges.get(request_id)
        if exchange is None or exchange.finished:
            return False
        exchange.cancel_by_owner()
        return True

    def spec_of(self, alias: str) -> AppSpec | None:
        app = self.published.get(alias)
        return app.newest.spec if app else None

    def is_stopped(self, alias: str) -> bool:
        return alias in self.deployments.stopped and alias not in self.published

    def request_arrived(self, exchange: ProxiedRequest) -> None:
        self.exchanges[exchange.id] = exchange
        record = self.fleet.apps.get(exchange.alias)
        exchange.expect_start(cold=record is not None and record.is_cold)
        self.tell(exchange.arrival())

    def request_aborted(self, exchange: ProxiedRequest) -> None:
        if not exchange.dispatched and self.exchanges.pop(exchange.id, None) is not None:
            self.history.ended(exchange)
        if exchange.dispatched and not exchange.cancellation_requested:
            self.cancel_signals.hung_up(exchange, self.spec_of(exchange.alias))
        self.tell(m.RequestAborted(exchange.id, insist=exchange.cancellation_requested, force=exchange.owned))
        if not self.exchanges:
            self._on_quiet()

    def request_finished(self, exchange: ProxiedRequest, *, replace: bool) -> None:
        if self.exchanges.pop(exchange.id, None) is not None:
            self._end_output(exchange)
            self.history.ended(exchange)
            self.tell(m.RequestFinished(exchange.id, replace))
            if not self.exchanges:
                self._on_quiet()

    def drain_output(self, exchange: ProxiedRequest) -> None:
        self.launcher.drain_output(exchange.runner_id)

    def request_printed(self, exchange: ProxiedRequest, stream: int, text: str) -> None:
        if (app := self.published.get(exchange.alias)) is not None:
            app.log.write(exchange.runner_id, exchange.id, stream, text)
            self.on_news()

    def remark(self, exchange: ProxiedRequest, text: str) -> None:
        if (app := self.published.get(exchange.alias)) is not None:
            app.log.remark(exchange.runner_id, f"{exchange.id}: {text}")

    def without_secrets(self, exchange: ProxiedRequest, text: str) -> str:
        app = self.published.get(exchange.alias)
        return app.log.redact(text) if app is not None else text

    def runner_header(self, exchange: ProxiedRequest, name: str, value: str) -> None:
        if name == H_CHECK:
            self.tell(m.RunnerCheckAsked(exchange.runner_id))
        elif name == H_HINTS and self._hints.get(exchange.runner_id) != value:
            self._hints[exchange.runner_id] = value
            hints = frozenset(hint for hint in value.split(",")[:MOST_HINTS] if hint)
            self.tell(m.RunnerHinted(exchange.runner_id, hints))

    def _end_output(self, exchange: ProxiedRequest) -> None:
        exchange.output_ended()
        app = self.published.get(exchange.alias)
        if app is None:
            return
        app.log.end(exchange.runner_id, exchange.id)
        if exchange.record.error is not None:
            app.log.write(exchange.runner_id, exchange.id, 2, exchange.record.error["text"])
            app.log.end(exchange.runner_id, exchange.id)

    # --- what the launcher tells --------------------------------------------------------------------------------
    def runner_frame(self, runner_id: str, frame: Frame) -> None:
        app, revision = self._starting.get(runner_id) or (None, 0)
        if app is None:
            return
        if frame.kind == Kind.HELLO:
            app.tell(revision, Event(event="state", runner=runner_id, state="SETUP"))
            self.tell(m.RunnerSpawned(runner_id))
        elif frame.kind == Kind.OUTPUT:
            text = frame.payload[1:].decode("utf-8", "replace")
            self._outside_output(app, revision, runner_id, frame.payload[0], text)
        elif frame.kind == Kind.READY:
            times = msgspec.json.decode(frame.payload)
            found = app.revisions.get(revision)
            self.setup_ms[runner_id] = times["setup_ms"]
            if found is not None:
                found.failed, found.setup_ms = False, times["setup_ms"]
            app.tell(
                revision,
                Event(event="ready", runner=runner_id, setup_ms=times["setup_ms"], load_ms=times["load_ms"]),
            )
            self._runner_ready(app.alias, runner_id)
        elif frame.kind == Kind.FAILED:
            error = error_without_secrets(msgspec.json.decode(frame.payload), app.log.redact)
            app.log.write(runner_id, "", 2, error["text"])
            app.last_error = error
            found = app.revisions.get(revision)
            if found is not None:
                found.errors[runner_id] = error
            self.tell(m.RunnerFailed(runner_id, f"{error['type']}: {error['message']}"))
        elif frame.kind == Kind.PONG:
            self.tell(m.RunnerAnswered(runner_id))
        elif frame.kind == Kind.EXITING:
            app.log.remark(runner_id, msgspec.json.decode(frame.payload)["reason"])

    def _runner_ready(self, alias: str, runner_id: str) -> None:
        """Let the runner take what waits. Requests that it takes at once waited for its start; so did, without a ready runner, those that wait on."""
        began = self._starts.pop(runner_id, 0.0)
        self._started = (runner_id, began)
        self.tell(m.RunnerReady(runner_id))
        self._started = ("", 0.0)
        if any(e.runner_id == runner_id and e.clock.starting > 0 for e in self.exchanges.values()):
            self.history.start_awaited(alias)
        record = self.fleet.apps.get(alias)
        if record is not None and not record.is_cold:
            for exchange in self.exchanges.values():
                if exchange.alias == alias:
                    exchange.start_ended(began)

    def _outside_output(self, app: Deployment, revision: int, runner_id: str, which: int, text: str) -> None:
        app.log.write(runner_id, "", which, text)
        self.on_news()
        found = app.revisions.get(revision)
        if found is not None and not found.over:
            app.tell(revision, Event(event="output", runner=runner_id, stream=which, text=app.log.redact(text)))

    def runner_printed(self, runner_id: str, text: str) -> None:
        app, revision = self._starting.get(runner_id) or (None, 0)
        if app is None:
            return
        listeners = [e for e in self.exchanges.values() if e.runner_id == runner_id and not e.finished]
        if len(listeners) == 1:
            listeners[0].on_frame(Frame(Kind.OUTPUT, 0, b"\x02" + text.encode("utf-8", "replace")))
        else:
            self._outside_output(app, revision, runner_id, 2, text)

    def runner_refused(self, runner_id: str, reason: str) -> None:
        self._starting.pop(runner_id, None)
        runner = self.fleet.runner(runner_id)
        self.claims.release(runner.devices if runner is not None else ())
        self.tell(m.StartRefused(runner_id, reason))

    def runner_exited(self, runner_id: str, reason: str, *, lost: bool = False) -> None:
        known = self._starting.pop(runner_id, None)
        self._starts.pop(runner_id, None)
        self._hints.pop(runner_id, None)
        self.setup_ms.pop(runner_id, None)
        runner = self.fleet.runner(runner_id)
        self.claims.release(runner.devices if runner is not None else ())
        if known is not None:
            known[0].log.end(runner_id, "")
            known[0].log.remark(runner_id, f"runner {reason}")
        self.tell(m.RunnerExited(runner_id, reason, lost=lost))
        self.launcher.release(self.deployments.environments())

    # --- orders -------------------------------------------------------------------------------------------------
    def _start_runner(self, order: m.StartRunner) -> None:
        app = self.published.get(order.alias) or self.deployments.leaving[order.alias]
        if not self._claim(order):
            return
        self._starting[order.runner_id] = (app, order.revision)
        self._starts[order.runner_id] = time.monotonic()
        load = self.loads.make(app, order)
        app.tell(order.revision, Event(event="state", runner=order.runner_id, state="PENDING"))
        self.launcher.start(order.runner_id, load)

    def _claim(self, order: m.StartRunner) -> bool:
        """Claim the runner's devices among all gateways of this machine; where one is taken, the fleet hears of it."""
        try:
            taken, holder = self.claims.claim(order.devices) if order.devices else ([], "")
        except (OSError, FalJupyterError) as error:
            self._loop.call_soon(self.tell, m.StartRefused(order.runner_id, f"its devices cannot be claimed: {error}"))
            return False
        if taken:
            names = {device.id: f"GPU {device.index}" for device in self.deployments.hardware.devices}
            why = ", ".join(f"{names.get(device, device)} is held by {holder}" for device in taken)
            self._loop.call_soon(self.tell, m.StartRefused(order.runner_id, why, tuple(taken)))
            for device in taken:
                self.claims.tell_when_free(device, lambda device: self.tell(m.DeviceFreed(device)))
        return not taken

    def _dispatch(self, order: m.DispatchRequest) -> None:
        exchange = self.exchanges[order.request_id]
        channel = self.launcher.channel(order.runner_id)
        runner = self.fleet.runner(order.runner_id)
        if channel is None or runner is None:
            exchange.not_delivered()  # the runner's end is about to be reported
            return
        started, began = self._started
        exchange.dispatch(channel, order.runner_id, runner.revision, began if order.runner_id == started else 0.0)

    def _fail_request(self, order: m.FailRequest) -> None:
        exchange = self.exchanges.get(order.request_id)
        if exchange is None:
            return
        if self.ending and not exchange.dispatched and order.error_type == "runner_scheduling_failure":
            order = replace(
                order, error_type=ENDING, detail=ENDING_SENTENCE, retry_after=1
            )  # it waited: nothing has begun
        if exchange.undelivered and order.error_type == "runner_disconnected" and order.request_id:
            exchange.requeue()  # the runner had ended before it got the request: another one may have it
            self._loop.call_soon(self.tell, exchange.arrival())
            return
        del self.exchanges[order.request_id]
        app = self.deployments.find(exchange.alias)
        error = None
        if app is not None and not exchange.dispatched and order.error_type == "runner_scheduling_failure":
            error = app.last_error
        self._end_output(exchange)
        more = [(H_TIMEOUT_TYPE, "user")] if order.by_caller else []
        exchange.fail(
            order.status, order.error_type, order.detail, retry_after=order.retry_after, error=error, headers=more
        )
        self.history.ended(exchange)
        if not self.exchanges:
            self._on_quiet()

    def _cancel_request(self, order: m.CancelRequest) -> None:
        exchange = self.exchanges.get(order.request_id)
        if exchange is not None:
            exchange.cancel(order.how)

    def _answer_request(self, order: m.AnswerRequest) -> None:
        exchange = self.exchanges.get(order.request_id)
        if exchange is not None:
            exchange.fail(order.status, order.error_type, order.detail)

    def _ping_runner(self, order: m.PingRunner) -> None:
        channel = self.launcher.channel(order.runner_id)
        if channel is not None:
            channel.send(frames.encode(Kind.PING, 0))

    def _show_error(self, runner_id: str, text: str) -> None:
        known = self._starting.get(runner_id)
        if known is not None:
            known[0].log.write(runner_id, "", 2, text)
            known[0].log.end(runner_id, "")

    def _check_runner(self, order: m.CheckRunner) -> None:
        self._checks.ask(order.runner_id, order.rules)

    def _stop_runner(self, order: m.StopRunner) -> None:
        self._remark(order.runner_id, f"stopping: {order.reason}")
        channel = self.launcher.channel(order.runner_id)
        if channel is not None:
            channel.send(frames.encode(Kind.SHUTDOWN, 0, _encode({"reason": order.reason})))

    def _kill_runner(self, order: m.KillRunner) -> None:
        self._remark(order.runner_id, f"killed: {order.reason}")
        self.launcher.kill(order.runner_id, stacks=order.stacks)

    def _remark(self, runner_id: str, text: str) -> None:
        log.info("%s %s", runner_id, text)
        known = self._starting.get(runner_id)
        if known is not None:
            known[0].log.remark(runner_id, text)

    def _announce_revision(self, order: m.AnnounceRevision) -> None:
        app = self.published.get(order.alias)
        if app is not None:
            app.last_error = app.failed = None
            app.forget_before(order.revision)

    def _announce_failure(self, order: m.AnnounceFailure) -> None:
        app = self.published.get(order.alias)
        revision = app.revisions.get(order.revision) if app else None
        if app is None or revision is None:
            return
        revision.failed = True
        error = revision.errors.pop(order.runner_id, None)
        app.last_error = error
        app.failed = Failure(
            time=wall_ms(time.monotonic()), revision=order.revision, text=order.error, error=error, retry_at=0.0
        )
        app.tell(
            order.revision,
            Event(event="failed", runner=order.runner_id, error=error, detail=order.error, retry_in=order.retry_in),
        )

    def _announce_waiting(self, order: m.AnnounceWaiting) -> None:
        app = self.published.get(order.alias)
        if app is not None:
            app.tell(order.revision, Event(event="waiting", detail=order.reason))

    def _forget_app(self, order: m.ForgetApp) -> None:
        app = self.deployments.leaving.get(order.alias)
        if app is not None and not any(a.alias == order.alias for a in self.fleet.all_apps() if a.over and a.runners):
            del self.deployments.leaving[order.alias]
            app.ended.set()
            if order.alias not in self.published:
                self.loads.app_ended(order.alias)
                self.cookies.pop(order.alias, None)
                app.log.close()
        self.launcher.release(self.deployments.environments())
        if not list(self.fleet.all_apps()):
            self.all_gone.set()

    async def close(self) -> None:
        """Stop every app, wait for the runners' ends, end the templates."""
        self.all_gone.clear()
        for alias in list(self.published):
            self.deployments.stop(alias, kill=False)
        if list(self.fleet.all_apps()):
            await self.all_gone.wait()
        await self.launcher.close()

    # --- listings -----------------------------------------------------------------------------------------------
    def url(self, alias: str, base: str) -> str:
        """The prefix of the app's endpoints."""
        return f"{base}{RUN}{self.settings.owner}/{alias}"
