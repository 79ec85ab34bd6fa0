"""Chooses the runner for the next request of an app."""

from __future__ import annotations

from fal_jupyter.domain.fleet.app import FleetApp
from fal_jupyter.domain.runners.runner import READY, Runner
from fal_jupyter.domain.scaling.policy import target


def choose_runner(app: FleetApp, hint: str = "") -> Runner | None:
    """Return the runner for the next request, or None if no slot is free.

    A runner with the request's *hint* is preferred (fal: "Optimize Routing Behavior"). Otherwise it is the one with the fewest
    requests among as many of the most recently used runners as demand requires: surplus runners stay idle and expire.
    """
    if app.serving not in app.specs:
        return None
    slots = app.specs[app.serving].scaling.max_multiplexing  # the serving revision's limit, not a newer one's
    if len(app.runners) == 1:  # nearly always
        (only,) = app.runners.values()
        is_open = only.revision == app.serving and only.state in READY and len(only.requests) < slots
        return only if is_open else None
    ready = [r for r in app.runners.values() if r.revision == app.serving and r.state in READY]
    free = [r for r in ready if len(r.requests) < slots]
    if len(free) < 2:
        return free[0] if free else None
    if hint and (matching := [r for r in free if hint in r.hints]):
        return min(matching, key=_load)
    ready.sort(key=lambda r: r.used, reverse=True)
    preferred = ready[: max(1, target(app.scaling, len(app.in_flight) + len(app.waiting) + 1))]
    return min((r for r in preferred if len(r.requests) < slots), key=_load, default=free[0])


def _load(runner: Runner) -> tuple[int, int]:
    """Number of requests, then time since last use: the smallest is preferred."""
    return len(runner.requests), -runner.used
