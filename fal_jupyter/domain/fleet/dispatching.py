"""Handles requests from arrival to end: dispatched immediately, waiting, refused, or timed out."""

from __future__ import annotations

import math

from fal_jupyter.domain import events as m
from fal_jupyter.domain.durations import SECOND, nanoseconds
from fal_jupyter.domain.fleet.app import FleetApp
from fal_jupyter.domain.fleet.cancelling import RequestCancellations
from fal_jupyter.domain.fleet.fleet_state import Commands, FleetState
from fal_jupyter.domain.fleet.routing import choose_runner
from fal_jupyter.domain.requests.request import MAX_WAITING, FleetRequest, RequestPhase
from fal_jupyter.domain.runners.runner import Runner

_IN_FLIGHT = RequestPhase.IN_FLIGHT


class RequestDispatcher:
    """Dispatches, queues and refuses requests."""

    def __init__(self, state: FleetState, cancellations: RequestCancellations) -> None:
        self._state, self._cancellations = state, cancellations

    def dispatch(self, app: FleetApp, request: FleetRequest, runner: Runner, now: int) -> m.DispatchRequest:
        """Send a request to a runner with a free slot."""
        request.phase, request.runner_id, request.dispatched = _IN_FLIGHT, runner.id, now
        app.in_flight[request.id] = request
        if not runner.requests:
            runner.resume(now)
        runner.requests.add(request.id)
        runner.served += 1
        runner.used = now
        if len(runner.requests) == 2 and not runner.liveness.due:
            runner.liveness.watch(now)
            self._state.wake_by(app, runner.liveness.due)
        if len(app.in_flight) == 1 or not _has_limit(next(iter(app.in_flight.values()))):
            self._state.wake_by(app, now + nanoseconds(app.scaling.request_timeout))
        return m.DispatchRequest(request.id, runner.id)

    def dispatch_waiting(self, app: FleetApp, now: int) -> Commands:
        """Send waiting requests to runners, in order, while there is a free slot."""
        commands: Commands = []
        while app.waiting:
            request = app.waiting.next
            if (runner := choose_runner(app, request.hint)) is None:
                break
            del app.waiting[request.id]
            commands.append(self.dispatch(app, request, runner, now))
        return commands

    def refusal(self, app: FleetApp, event: m.RequestArrived, now: int) -> m.FailRequest | None:
        """Refuse a request if no runner is available and none can start, or too many requests are waiting; None if it may wait."""
        if app.cannot_start(now):
            seconds = whole_seconds(app.backoff.retry_at - now)
            detail = f"{app.alias} cannot start: {app.reason}; the next attempt is in {seconds} s"
            return m.FailRequest(event.request_id, 503, "runner_scheduling_failure", detail, seconds)
        if len(app.waiting) >= MAX_WAITING and not event.queued:
            detail = f"queue full: {len(app.waiting)} requests are waiting for {app.alias}"
            return m.FailRequest(event.request_id, 503, "runner_scheduling_failure", detail, 1)
        return None

    def fail(
        self, app: FleetApp, request: FleetRequest, status: int, error_type: str, detail: str, retry_after: int = 0
    ) -> m.FailRequest:
        """End a request with a failure, wherever it is."""
        app.waiting.pop(request.id, None)
        app.in_flight.pop(request.id, None)
        app.cancellations.pop(request.id, None)
        self._state.app_of_request.pop(request.id, None)
        if request.runner_id:
            app.runners[request.runner_id].requests.discard(request.id)
        by_caller = request.limited_by_caller and error_type == "request_timeout"
        return m.FailRequest(request.id, status, error_type, detail, retry_after, by_caller)

    def fail_waiting(
        self,
        app: FleetApp,
        status: int,
        error_type: str,
        detail: str,
        retry_after: int = 0,
        arrived_by: float = math.inf,
    ) -> Commands:
        """Fail the waiting requests (that arrived at *arrived_by* or before)."""
        return [
            self.fail(app, request, status, error_type, detail, retry_after)
            for request in list(app.waiting.values())
            if request.arrived <= arrived_by
        ]

    def expire(self, app: FleetApp, now: int) -> Commands:
        """Answer the requests whose time limit has passed; those that are with a runner are cancelled there."""
        commands: Commands = []
        limit = app.scaling.request_timeout
        for request in list(app.in_flight.values()):
            if request.long_lived or request.id in app.cancellations:
                continue
            if now < request.dispatched + nanoseconds(limit):
                break
            detail = f"the request ran longer than request_timeout ({limit:g} s)"
            commands.append(m.AnswerRequest(request.id, 504, "request_timeout", detail))
            reason = f"exceeded request_timeout ({limit:g} s)"
            commands += self._cancellations.begin(app, request, "tell", reason, now)
        late = app.waiting.late(now)
        without_runner = [
            request for request in app.waiting.arrived_by(now - max_wait(app)) if not 0 < request.start_by <= now
        ]
        commands += [self.fail(app, request, 504, "request_timeout", _not_started(request)) for request in late]
        detail = f"no runner of {app.alias} was free within {max_wait(app) // SECOND} s"
        commands += [self.fail(app, request, 503, "runner_scheduling_failure", detail) for request in without_runner]
        return commands


def max_wait(app: FleetApp) -> int:
    """The longest time that a request waits for a runner: one start and one full request before it."""
    return nanoseconds(app.scaling.startup_timeout) + nanoseconds(app.scaling.request_timeout)


def whole_seconds(duration: int) -> int:
    """A duration for ``Retry-After``: seconds, rounded up, at least 1."""
    return max(1, math.ceil(duration / SECOND))


def _has_limit(request: FleetRequest) -> bool:
    """True if request_timeout has not yet passed, so that it passes before that of any request dispatched later."""
    return request.phase is _IN_FLIGHT and not request.long_lived


def _not_started(request: FleetRequest) -> str:
    seconds = (request.start_by - request.arrived) / SECOND
    limit = "the caller's limit" if request.limited_by_caller else "request_start_timeout"
    return f"Request timed out: no runner had it within {seconds:g} s ({limit})"
