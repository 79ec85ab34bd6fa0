"""The earliest deadline of an app."""

from __future__ import annotations

from fal_jupyter.domain.durations import nanoseconds
from fal_jupyter.domain.fleet.app import FleetApp
from fal_jupyter.domain.fleet.dispatching import max_wait


def next_deadline(app: FleetApp) -> int | None:
    """When a request's limit passes, a step of a cancellation is due, or a runner is pinged or checked; None: never.

    Requests are in order of their arrival or dispatch, so the first without a cancellation is the first to time out.
    """
    deadlines = []
    for request in app.in_flight.values():
        if not request.long_lived and request.id not in app.cancellations:
            deadlines.append(request.dispatched + nanoseconds(app.scaling.request_timeout))
            break
    if (first := app.waiting.first_caller) is not None:
        deadlines.append(first.arrived + max_wait(app))
    if app.waiting.start_by:
        deadlines.append(app.waiting.start_by)
    for runner in app.runners.values():
        if runner.liveness.due:
            deadlines.append(runner.liveness.due)
        if runner.health is not None and runner.health.due:
            deadlines.append(runner.health.due)
    deadlines += [c.due for c in app.cancellations.values() if c.due is not None]
    return min(deadlines, default=None)
