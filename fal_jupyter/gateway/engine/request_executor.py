"""Executes the fleet's commands about requests, and handles the requests' events."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection
from functools import partial
from typing import Any

from fal_jupyter.domain import events as m
from fal_jupyter.domain.fleet.fleet import Fleet
from fal_jupyter.domain.requests.failures import Ending, failure_to_send, is_caused_by_last_start
from fal_jupyter.domain.runners.hints import hints_of
from fal_jupyter.gateway.apps.deployments import Deployments
from fal_jupyter.gateway.engine.request_history import RequestHistory
from fal_jupyter.gateway.http.response_writer import FAILED
from fal_jupyter.gateway.requests.cancel_signals import CancelSignals
from fal_jupyter.gateway.requests.proxied_request import ProxiedRequest
from fal_jupyter.gateway.runners.live_runner import LiveRunner, LiveRunners, RunnerLife
from fal_jupyter.gateway.storage.kept_inputs import KeptInputs
from fal_jupyter.protocol.api import ENDING, ENDING_SENTENCE, H_CHECK, H_HINTS, H_TIMEOUT_TYPE
from fal_jupyter.protocol.feed import BODY_BOUND, FRAME_REQUESTS

log = logging.getLogger("fal_jupyter.engine")
MOST_COOKIES = 200  # names stored per app

_STARTING = RunnerLife.STARTING  # a name of this module: looking a member up in its enum costs ten times as much


class RequestExecutor:
    """Executes commands about requests, and reports the requests' events to the fleet.

    The data plane, the queue and panels send their requests through it
    (:class:`fal_jupyter.gateway.requests.data_plane.Apps`).

    Args:
        report: sends an event to the fleet.
        on_change: called when a request prints or begins to answer.
        on_idle: called when the last request has ended.
        inputs: stores large bodies.

    Attributes:
        live: the requests that have not ended, by id.
        cookies: names of the cookies that each app has set.
        ending: set while the gateway drains.
    """

    def __init__(
        self,
        fleet: Fleet,
        runners: LiveRunners,
        deployments: Deployments,
        report: Callable[[m.FleetEvent], None],
        on_change: Callable[[], None],
        on_idle: Callable[[], None],
        inputs: KeptInputs,
    ) -> None:
        self._inputs = inputs
        self._fleet, self._runners, self._deployments = fleet, runners, deployments
        self._report, self._on_change, self._on_idle = report, on_change, on_idle
        self._loop = asyncio.get_running_loop()
        self.live: dict[str, ProxiedRequest] = {}
        self.cookies: dict[str, set[str]] = {}
        self.history = RequestHistory(FRAME_REQUESTS)
        self.cancel_signals = CancelSignals(runners)
        self.ending: Ending | None = None
        self.spec_of, self.is_stopped = deployments.spec_of, deployments.is_stopped
        self.commands: dict[type, Callable[[Any], None]] = {
            m.DispatchRequest: self._dispatch,
            m.FailRequest: self._fail,
            m.CancelRequest: self._cancel,
            m.AnswerRequest: self._answer,
        }

    def begin_ending(self) -> None:
        """Refuse waiting requests, like new ones, from now on."""
        self.ending = Ending(ENDING, ENDING_SENTENCE)

    # --- commands -----------------------------------------------------------------------------------------------
    def _dispatch(self, command: m.DispatchRequest) -> None:
        request, runner = self.live[command.request_id], self._runners.get(command.runner_id)
        channel = runner.channel if runner is not None else None
        if runner is None or channel is None:
            request.not_delivered()  # the runner's end will be reported next
            return
        starting_since = runner.start_began if runner.life is _STARTING else 0.0
        try:
            request.dispatch(channel, runner.id, runner.revision, starting_since)
        except Exception:  # the fleet would count it as running until its time limit
            log.exception("%s could not be sent to %s", request.id, runner.id)
            request.fail(500, "internal_error", FAILED)
            self._loop.call_soon(partial(self.request_finished, request, replace=True))

    def _fail(self, command: m.FailRequest) -> None:
        request = self.live.get(command.request_id)
        if request is None:
            return
        dispatched = request.dispatched
        failure = failure_to_send(command, dispatched=dispatched, undelivered=request.undelivered, ending=self.ending)
        if failure is None:
            request.requeue()
            self._loop.call_soon(self._arrive_again, request)
            return
        del self.live[request.id]
        app = self._deployments.find(request.alias)
        error = app.last_error if app is not None and is_caused_by_last_start(failure, dispatched=dispatched) else None
        self._end_output(request)
        headers = [(H_TIMEOUT_TYPE, "user")] if failure.by_caller else []
        request.fail(
            failure.status,
            failure.error_type,
            failure.detail,
            retry_after=failure.retry_after,
            error=error,
            headers=headers,
        )
        self.history.ended(request)
        if not self.live:
            self._on_idle()

    def _arrive_again(self, request: ProxiedRequest) -> None:
        if request.id in self.live:  # its caller may have disconnected meanwhile
            self._report(request.description.arrival())

    def _cancel(self, command: m.CancelRequest) -> None:
        request = self.live.get(command.request_id)
        if request is not None:
            request.cancel(command.how)

    def _answer(self, command: m.AnswerRequest) -> None:
        request = self.live.get(command.request_id)
        if request is not None:
            request.fail(command.status, command.error_type, command.detail)

    # --- events of requests -------------------------------------------------------------------------------------
    def request_arrived(self, request: ProxiedRequest) -> None:
        """Enough of it has arrived for a runner to begin."""
        self.live[request.id] = request
        app = self._fleet.apps.get(request.alias)
        request.expect_start(cold=app is not None and app.is_cold)
        self._report(request.description.arrival())

    def keep_input(self, request: ProxiedRequest) -> None:
        """Record a large body beside the request."""
        description = request.description
        if request.body.bytes_received > BODY_BOUND and not description.websocket:
            request.body.keep_in(self._inputs.begin(description.content_type))

    def request_aborted(self, request: ProxiedRequest) -> None:
        """Its caller disconnected, or its owner cancelled it."""
        if not request.dispatched:
            if self.live.pop(request.id, None) is not None:
                self.history.ended(request)
        elif not request.cancellation_requested:
            self.cancel_signals.hung_up(request, self._deployments.spec_of(request.alias))
        self._report(m.RequestAborted(request.id, insist=request.cancellation_requested, force=request.owned))
        if not self.live:
            self._on_idle()

    def response_began(self, request: ProxiedRequest) -> None:
        """Its answer comes in pieces, the first of which is here: panels show it as streaming."""
        self._on_change()

    def request_finished(self, request: ProxiedRequest, *, replace: bool) -> None:
        """The runner's last byte arrived."""
        if self.live.get(request.id) is request:  # attempts of a queued request share its id
            del self.live[request.id]
            self._end_output(request)
            self.history.ended(request)
            self._report(m.RequestFinished(request.id, replace))
            if not self.live:
                self._on_idle()

    def drain_output(self, request: ProxiedRequest) -> None:
        """Read the output of child processes of user code, before the answer that follows it."""
        runner = self._runners.get(request.runner_id)
        if runner is not None and runner.process is not None:
            runner.process.read_output()

    def request_printed(self, request: ProxiedRequest, stream: int, text: str) -> None:
        """User code printed during the request."""
        if (app := self._deployments.published.get(request.alias)) is not None:
            app.log.write(request.runner_id, request.id, stream, text)
            self._on_change()

    def cookie_set(self, request: ProxiedRequest, name: str) -> None:
        """Record the name of a cookie that the app set."""
        names = self.cookies.setdefault(request.alias, set())
        if len(names) < MOST_COOKIES:
            names.add(name)

    def runner_header(self, request: ProxiedRequest, name: str, value: str) -> None:
        """Handle an answer's header about the runner."""
        if name == H_CHECK:
            self._report(m.HealthCheckRequested(request.runner_id))
        elif name == H_HINTS:
            runner = self._runners.get(request.runner_id)
            if runner is not None and runner.hints != value:
                runner.hints = value
                self._report(m.RunnerHintsChanged(runner.id, hints_of(value)))

    def remark(self, request: ProxiedRequest, text: str) -> None:
        """Write a line about the request's runner into the app's log."""
        if (app := self._deployments.published.get(request.alias)) is not None:
            app.log.remark(request.runner_id, f"{request.id}: {text}")

    def without_secrets(self, request: ProxiedRequest, text: str) -> str:
        """Return the app's output without secrets."""
        app = self._deployments.published.get(request.alias)
        return app.log.redact(text) if app is not None else text

    def _end_output(self, request: ProxiedRequest) -> None:
        request.observer.ended()
        app = self._deployments.published.get(request.alias)
        if app is None:
            return
        app.log.end(request.runner_id, request.id)
        if request.record.error is not None:
            app.log.write(request.runner_id, request.id, 2, request.record.error["text"])
            app.log.end(request.runner_id, request.id)

    # --- requests and their runners -----------------------------------------------------------------------------
    def runner_started(self, runner: LiveRunner) -> None:
        """A runner became ready: record for how long requests waited for its start.

        Requests dispatched to it immediately waited for it; so did, if no runner was ready, those still waiting.
        """
        if any(request.runner_id == runner.id and request.clock.starting > 0 for request in self.live.values()):
            self.history.start_awaited(runner.alias)
        app = self._fleet.apps.get(runner.alias)
        if app is not None and not app.is_cold:
            for request in self.live.values():
                if request.alias == runner.alias:
                    request.start_ended(runner.start_began)

    def only_request_of(self, runner_id: str) -> ProxiedRequest | None:
        """The only request of a runner; None if there are several or none."""
        requests = [r for r in self.live.values() if r.runner_id == runner_id and not r.finished]
        return requests[0] if len(requests) == 1 else None

    def cancel(self, request_id: str) -> bool:
        """Cancel a request for its owner; False if there is none of that id."""
        request = self.live.get(request_id)
        if request is None or request.finished:
            return False
        request.cancel_by_owner()
        return True

    def cookies_of(self, alias: str) -> Collection[str]:
        """Names of the cookies that an app has set."""
        return self.cookies.get(alias, ())

    def position(self, alias: str, request_id: str) -> int:
        """How many requests of its app are dispatched before that one."""
        app = self._fleet.apps.get(alias)
        return app.ahead_of(request_id) if app is not None else 0

    def waiting(self, alias: str) -> int:
        """How many requests wait for that app."""
        app = self._fleet.apps.get(alias)
        return len(app.waiting) if app is not None else 0
