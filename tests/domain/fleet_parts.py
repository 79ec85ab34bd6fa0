"""A fleet's state in the middle of its life, for the tests of single parts."""

from __future__ import annotations

from typing import Any

from fal_jupyter.domain.fleet.app import FleetApp
from fal_jupyter.domain.fleet.app_phases import AppPhase
from fal_jupyter.domain.fleet.cancelling import RequestCancellations
from fal_jupyter.domain.fleet.dispatching import RequestDispatcher
from fal_jupyter.domain.fleet.fleet_state import FleetState
from fal_jupyter.domain.fleet.stopping import RunnerStops
from fal_jupyter.domain.requests.request import FleetRequest
from fal_jupyter.domain.resources.machines import Allotment
from fal_jupyter.domain.runners.health import HealthRules
from fal_jupyter.domain.runners.runner import Runner, State
from fal_jupyter.domain.spec import AppSpec, Scaling


class Parts:
    """One app named ``hello`` whose revision 1 serves, and the parts at the bottom of the fleet."""

    def __init__(
        self, *, health: HealthRules | None = None, allotment: Allotment | None = None, **scaling: Any
    ) -> None:
        self.state = FleetState()
        spec = AppSpec(class_name="Hello", alias="hello", scaling=Scaling(**scaling), health=health)
        allotments = {1: allotment} if allotment is not None else {}
        self.app = FleetApp("hello", "L", 1, {1: spec}, allotments, phase=AppPhase.ACTIVE, serving=1)
        self.state.apps["hello"] = self.app
        self.stops = RunnerStops(self.state)
        self.cancellations = RequestCancellations(self.state, self.stops)
        self.dispatcher = RequestDispatcher(self.state, self.cancellations)

    def runner(self, state: State = State.IDLE, now: int = 0) -> Runner:
        """One more runner of the app, in that state."""
        return self.state.add_runner(self.app, state, now)

    def request(self, name: str, now: int = 0, **options: Any) -> FleetRequest:
        """A request that is nowhere yet."""
        request = FleetRequest(name, "hello", now, **options)
        self.state.app_of_request[name] = self.app
        return request

    def waiting(self, name: str, now: int = 0, **options: Any) -> FleetRequest:
        """A request that waits."""
        self.app.waiting[name] = request = self.request(name, now, **options)
        return request

    def in_flight(self, name: str, runner: Runner, now: int = 0, **options: Any) -> FleetRequest:
        """A request that a runner has."""
        request = self.request(name, now, **options)
        self.dispatcher.dispatch(self.app, request, runner, now)
        return request
