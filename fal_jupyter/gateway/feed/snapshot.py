"""The whole state as panels see it: apps, runners, devices, the machine; built anew for each frame, so nobody holds a second truth."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

from fal_jupyter.domain.fleet.app import FleetApp
from fal_jupyter.domain.runners.runner import READY, STARTING, State
from fal_jupyter.domain.scaling.policy import retry_at
from fal_jupyter.domain.spec import option_rules
from fal_jupyter.gateway.apps.deployment import Deployment
from fal_jupyter.gateway.devices.resource_usage import ResourceUsage
from fal_jupyter.gateway.engine.engine import Engine
from fal_jupyter.gateway.engine.request_history import AppHistory, wall_ms
from fal_jupyter.protocol.feed import (
    AppState,
    DeviceState,
    EndpointState,
    Failure,
    HostState,
    OptionRule,
    RunnerState,
    Waiting,
)

SHOWN_WAITING = 20
_NOTHING = AppHistory()


def options() -> list[OptionRule]:
    """Every scaling option with its bounds and fal's default."""
    return [OptionRule(**rule) for rule in option_rules()]  # type: ignore[typeddict-item]


def app_state(
    engine: Engine, published: Deployment, base: str, holder: Mapping[str, Any], usage: ResourceUsage
) -> AppState:
    """One app now."""
    record = engine.fleet.apps.get(published.alias) or _stopped(published)
    newest, now = published.newest, time.monotonic()
    history = engine.history.apps.get(published.alias, _NOTHING)
    endpoints = [
        EndpointState(name=e.name, path=e.path, signature=e.signature, doc=e.doc, protocol=e.protocol, yields=e.yields)
        for e in newest.spec.endpoints
    ]
    return AppState(
        app=f"{engine.settings.owner}/{published.alias}",
        alias=published.alias,
        class_name=newest.spec.class_name,
        state=_word(record),
        owner_kind=holder.get("kind", ""),
        owner_name=holder.get("name", ""),
        owner_pid=holder.get("pid", 0),
        auth=newest.spec.auth,
        machine=newest.place,
        url=engine.url(published.alias, base),
        revision=published.last,
        serving=record.serving,
        verdict=published.verdict,
        told=published.told,
        endpoints=[one for one in endpoints if one["protocol"] == "http"],
        sockets=[one for one in endpoints if one["protocol"] != "http"],
        about=newest.spec.about,
        scaling=asdict(record.scaling),
        by_class=asdict(newest.spec.scaling),
        overrides=dict(published.overrides),
        reason=record.reason,
        setup_ms=newest.setup_ms,
        asleep=record.unloaded,
        runners=[_runner(engine, published, record, runner_id, usage) for runner_id in record.runners],
        queue=_queue(engine, record),
        waiting=len(record.waiting),
        in_flight=len(record.in_flight),
        stats=history.stats(int(wall_ms(now) / 1000)),
        by_endpoint=history.by_endpoint(int(wall_ms(now) / 1000)),
        log=published.log.total,
        failure=_failure(published, record),
    )


def _stopped(published: Deployment) -> FleetApp:
    """What there is to tell of an app that was stopped: its scaling, and that nothing of it runs."""
    newest = published.newest
    spec = replace(newest.spec, scaling=newest.spec.scaling.changed(published.overrides))
    return FleetApp(
        published.alias, published.lease, published.last, {published.last: spec}, pending_first_runner=0, over=True
    )


def _word(app: FleetApp) -> str:
    states = {runner.state for runner in app.runners.values()}
    if states & READY:
        return "Ready"
    if app.failures:
        return "Failing"
    if states & STARTING:
        return "Starting"
    if app.pending_first_runner or app.starved:
        return "Starting"
    return "Stopped" if app.over else "Zero"


def _runner(engine: Engine, published: Deployment, app: FleetApp, runner_id: str, usage: ResourceUsage) -> RunnerState:
    runner = app.runners[runner_id]
    process = engine.launcher.processes.get(runner_id)
    return RunnerState(
        id=runner.id,
        pid=process.pid if process else 0,
        state=str(runner.state),
        since=wall_ms(runner.since / 1e9),
        devices=list(runner.devices),
        served=runner.served,
        in_flight=runner.in_flight,
        revision=runner.revision,
        memory=usage.runners.get(runner_id, 0),
        setup_ms=engine.setup_ms.get(runner_id, 0.0),
    )


def _queue(engine: Engine, app: FleetApp) -> list[Waiting]:
    found = []
    for request in list(app.waiting.values())[:SHOWN_WAITING]:
        exchange = engine.exchanges.get(request.id)
        path = exchange.description.path if exchange is not None else ""
        found.append(Waiting(id=request.id, path=path, since=wall_ms(request.arrived / 1e9)))
    return found


def _failure(published: Deployment, app: FleetApp) -> Failure | None:
    if published.failed is None:
        return None
    again = wall_ms(retry_at(app.failures, app.last_failure) / 1e9) if app.failures else 0.0
    return Failure(**{**published.failed, "retry_at": again})  # type: ignore[typeddict-item]


def device_states(engine: Engine, usage: ResourceUsage) -> list[DeviceState]:
    """The machine's GPUs and who has them."""
    now, found = time.monotonic_ns(), []
    holders: dict[str, tuple[str, str, str]] = {}
    for app in engine.fleet.all_apps():
        for runner in app.runners.values():
            if runner.state is not State.CRASH_BACKOFF:
                for held in runner.devices:
                    holders[held] = (f"{app.spec.class_name} of {app.owner or 'a program'}", app.alias, runner.id)
    for device in engine.deployments.hardware.devices:
        holder, alias, runner_id = holders.get(device.id) or (engine.fleet.held_elsewhere(device.id, now), "", "")
        used, busy = usage.devices.get(device.id, (-1, -1.0))
        found.append(
            DeviceState(
                id=device.id,
                index=device.index,
                name=device.name,
                memory=device.memory,
                used=used,
                busy=busy,
                holder=holder,
                alias=alias,
                runner=runner_id,
            )
        )
    return found


def host_state(engine: Engine, usage: ResourceUsage) -> HostState:
    """The machine itself."""
    hardware = engine.deployments.hardware
    return HostState(memory=hardware.memory, used=usage.used, cores=hardware.cores, busy=usage.busy)
