"""Signals to running code that its request was cancelled: ``POST {path}/cancel`` with the same request id.

Source: fal's documentation, "Handle request cancellations". The app decides how to react; without such an endpoint the request
continues. The signal is sent outside of the fleet and occupies no slot.
"""

from __future__ import annotations

import asyncio

from fal_jupyter.domain.spec import AppSpec
from fal_jupyter.gateway.requests.buffered_calls import internal_call
from fal_jupyter.gateway.requests.proxied_request import ProxiedRequest
from fal_jupyter.gateway.runners.live_runner import LiveRunners

PATIENCE = 30.0  # seconds that a cancel endpoint may take


def cancel_path(path: str) -> str:
    """Return the path of the cancel endpoint of *path* (``/slow`` → ``/slow/cancel``, ``/`` → ``/cancel``)."""
    return f"{path.rstrip('/')}/cancel"


class CancelSignals:
    """The pending signals: one at a time for each request."""

    def __init__(self, runners: LiveRunners) -> None:
        self._runners = runners
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def send(self, request: ProxiedRequest) -> None:
        """Notify the runner that has the request; a second call while the first is pending does nothing."""
        if request.id in self._tasks or not request.dispatched:
            return
        task = asyncio.get_running_loop().create_task(self._send(request))
        self._tasks[request.id] = task
        task.add_done_callback(lambda _: self._tasks.pop(request.id, None))

    def hung_up(self, request: ProxiedRequest, spec: AppSpec | None) -> None:
        """Notify the runner of a disconnect of a direct request's caller, if the app has an endpoint for that."""
        path = cancel_path(request.description.path)
        if spec is not None and any(endpoint.path == path for endpoint in spec.endpoints):
            self.send(request)

    async def _send(self, request: ProxiedRequest) -> None:
        channel = self._runners.channel(request.runner_id)
        if channel is None:
            return
        call = await internal_call(
            channel,
            request.runner_id,
            request.revision,
            request.alias,
            cancel_path(request.description.path),
            PATIENCE,
            method="POST",
            request_id=request.id,
            on_output=request.printed_aside,
        )
        if call.error:
            request.printed_aside(2, call.error)
