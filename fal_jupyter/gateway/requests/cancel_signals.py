"""Signals to running code that its request was cancelled: ``POST {path}/cancel`` with the same request id.

Source: fal's documentation, "Handle request cancellations". What follows is up to the app; without such an endpoint the request
runs on. The signal goes beside the runner's requests and takes none of their places.
"""

from __future__ import annotations

import asyncio

from fal_jupyter.domain.spec import AppSpec
from fal_jupyter.gateway.requests.buffered_calls import ask_aside
from fal_jupyter.gateway.requests.proxied_request import ProxiedRequest
from fal_jupyter.gateway.runners.live_runner import LiveRunners

PATIENCE = 30.0  # seconds that a cancel endpoint may take


def cancel_path(path: str) -> str:
    """Give the path of the cancel endpoint of *path* (``/slow`` → ``/slow/cancel``, ``/`` → ``/cancel``)."""
    return f"{path.rstrip('/')}/cancel"


class CancelSignals:
    """The signals that are on their way: one at a time for each request."""

    def __init__(self, runners: LiveRunners) -> None:
        self._runners = runners
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def send(self, exchange: ProxiedRequest) -> None:
        """Tell the runner that has the request; a second call while the first is on its way does nothing."""
        if exchange.id in self._tasks or not exchange.dispatched:
            return
        task = asyncio.get_running_loop().create_task(self._send(exchange))
        self._tasks[exchange.id] = task
        task.add_done_callback(lambda _: self._tasks.pop(exchange.id, None))

    def hung_up(self, exchange: ProxiedRequest, spec: AppSpec | None) -> None:
        """Tell the runner that the caller of a direct request is gone, where the app has an endpoint for that."""
        wanted = cancel_path(exchange.description.path)
        if spec is not None and any(endpoint.path == wanted for endpoint in spec.endpoints):
            self.send(exchange)

    async def _send(self, exchange: ProxiedRequest) -> None:
        channel = self._runners.channel(exchange.runner_id)
        if channel is None:
            return
        held = await ask_aside(
            channel,
            exchange.runner_id,
            exchange.revision,
            exchange.alias,
            cancel_path(exchange.description.path),
            PATIENCE,
            method="POST",
            request_id=exchange.id,
            on_output=exchange.printed_aside,
        )
        if held.error:
            exchange.printed_aside(2, held.error)
