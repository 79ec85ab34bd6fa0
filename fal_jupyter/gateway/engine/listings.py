"""Runners and apps as the records that lists show."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from fal_jupyter.domain.runners.runner import State
from fal_jupyter.domain.spec import AppSpec
from fal_jupyter.gateway.apps.deployment import Deployment
from fal_jupyter.gateway.auth.leases import LeaseHolder
from fal_jupyter.protocol.api import AppRecord, EndpointState, RunnerRecord

if TYPE_CHECKING:
    from fal_jupyter.gateway.engine.engine import Engine


def runner_records(engine: Engine, owner: str) -> list[RunnerRecord]:
    """Every runner, including those that are ending."""
    pids = engine.runners.pids()
    return [
        RunnerRecord(
            app=f"{owner}/{runner.alias}",
            runner_id=runner.id,
            pid=pids.get(runner.id, 0),
            state=str(runner.state),
            devices=list(runner.devices),
            served=runner.served,
            in_flight=runner.in_flight,
            revision=runner.revision,
        )
        for app in engine.fleet_apps()
        for runner in app.runners.values()
    ]


def endpoint_states(spec: AppSpec) -> list[EndpointState]:
    """The records of a class's endpoints."""
    return [
        EndpointState(name=e.name, path=e.path, signature=e.signature, doc=e.doc, protocol=e.protocol, yields=e.yields)
        for e in spec.endpoints
    ]


def app_record(engine: Engine, app: Deployment, owner: str, base: str, holder: LeaseHolder) -> AppRecord | None:
    """One published app; None if the fleet no longer has such an app."""
    record = engine.fleet_app(app.alias)
    if record is None:
        return None
    states = [str(r.state) for r in record.runners.values()]
    spec = app.newest.spec
    return AppRecord(
        app=f"{owner}/{app.alias}",
        alias=app.alias,
        class_name=spec.class_name,
        owner_kind=holder.kind,
        owner_name=holder.name,
        owner_pid=holder.pid,
        auth=spec.auth,
        revision=app.last,
        serving=record.serving,
        endpoints=endpoint_states(spec),
        runners={state: states.count(state) for state in State if state in states},
        waiting=len(record.waiting),
        in_flight=len(record.in_flight),
        served=record.served,
        url=engine.url(app.alias, base),
        scaling=asdict(record.scaling),
        reason=record.reason,
        setup_ms=app.newest.setup_ms,
        machine=app.newest.machine_description,
        environments=sorted(app.environments() | engine.runners.isolated(record.runners)),
    )
