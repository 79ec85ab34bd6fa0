"""The complete state for panels: apps, runners, devices, the machine. It is rebuilt for each frame, so it cannot be stale."""

from __future__ import annotations

import time
from dataclasses import asdict, replace

from fal_jupyter.domain.fleet.app import FleetApp
from fal_jupyter.domain.fleet.app_phases import AppPhase
from fal_jupyter.domain.runners.runner import READY, STARTING, Runner, State
from fal_jupyter.domain.spec import option_rules
from fal_jupyter.gateway.apps.deployment import Deployment
from fal_jupyter.gateway.auth.leases import LeaseHolder
from fal_jupyter.gateway.devices.resource_usage import UNKNOWN, ResourceUsage
from fal_jupyter.gateway.engine.engine import Engine
from fal_jupyter.gateway.engine.listings import endpoint_states
from fal_jupyter.gateway.engine.request_history import AppHistory, wall_ms
from fal_jupyter.protocol.feed import (
    AppState,
    DeviceState,
    Failure,
    GatewayState,
    HostState,
    OptionRule,
    RunnerState,
    Waiting,
)

SHOWN_WAITING = 20
_NOTHING = AppHistory()


def options() -> list[OptionRule]:
    """Every scaling option with its bounds and fal's default."""
    return [*option_rules()]


def app_state(
    engine: Engine, published: Deployment, gateway: GatewayState, holder: LeaseHolder, usage: ResourceUsage
) -> AppState:
    """The current state of one app."""
    record = engine.fleet_app(published.alias) or _stopped(published)
    newest, now = published.newest, time.monotonic()
    serving = published.revisions.get(record.serving)  # its setup time is shown until the newest one has one
    history = engine.history.apps.get(published.alias, _NOTHING)
    endpoints = endpoint_states(newest.spec)
    return AppState(
        app=f"{gateway['owner']}/{published.alias}",
        alias=published.alias,
        class_name=newest.spec.class_name,
        state=_word(record),
        owner_kind=holder.kind,
        owner_name=holder.name,
        owner_pid=holder.pid,
        owner_memory=usage.owners.get(holder.pid, UNKNOWN).total,
        owner_shared=usage.owners.get(holder.pid, UNKNOWN).shared,
        auth=newest.spec.auth,
        machine=newest.machine_description,
        url=engine.url(published.alias, gateway["base"]),
        revision=published.last,
        serving=record.serving,
        code_since=(serving.code_since if serving is not None else 0) or record.serving,
        verdict=published.verdict,
        verdict_reason=published.verdict_reason,
        endpoints=[endpoint for endpoint in endpoints if endpoint["protocol"] == "http"],
        sockets=[endpoint for endpoint in endpoints if endpoint["protocol"] != "http"],
        about=newest.spec.about,
        scaling=asdict(record.scaling),
        by_class=asdict(newest.spec.scaling),
        overrides=dict(published.overrides),
        reason=record.reason,
        setup_ms=newest.setup_ms or (serving.setup_ms if serving is not None else 0.0),
        unloaded=record.is_unloaded,
        runners=[_runner(engine, runner, usage) for runner in record.runners.values()],
        queue=_queue(engine, record),
        waiting=len(record.waiting),
        in_flight=len(record.in_flight),
        stats=history.stats(int(wall_ms(now) / 1000)),
        by_endpoint=history.by_endpoint(int(wall_ms(now) / 1000)),
        log=published.log.total,
        failure=_failure(published, record),
        taken_from=published.taken_from,
    )


def _stopped(published: Deployment) -> FleetApp:
    """A record for an app that was stopped: its scaling, and no runners."""
    newest = published.newest
    spec = replace(newest.spec, scaling=newest.spec.scaling.changed(published.overrides))
    return FleetApp(published.alias, published.lease, published.last, {published.last: spec}, phase=AppPhase.STOPPING)


def _word(app: FleetApp) -> str:
    states = {runner.state for runner in app.runners.values()}
    if states & READY:
        return "Ready"
    if app.backoff.failures:
        return "Failing"
    if states & STARTING:
        return "Starting"
    if app.is_launching or app.starved:
        return "Starting"
    return "Stopped" if app.is_stopping else "Zero"


def _runner(engine: Engine, runner: Runner, usage: ResourceUsage) -> RunnerState:
    live = engine.runners.get(runner.id)
    return RunnerState(
        id=runner.id,
        pid=live.pid if live is not None else 0,
        state=str(runner.state),
        since=wall_ms(runner.since / 1e9),
        devices=list(runner.devices),
        served=runner.served,
        in_flight=runner.in_flight,
        revision=runner.revision,
        memory=usage.runners.get(runner.id, UNKNOWN).total,
        shared=usage.runners.get(runner.id, UNKNOWN).shared,
        setup_ms=live.setup_ms if live is not None else 0.0,
    )


def _queue(engine: Engine, app: FleetApp) -> list[Waiting]:
    listed = []
    for request in list(app.waiting.values())[:SHOWN_WAITING]:
        live = engine.live_request(request.id)
        path = live.description.path if live is not None else ""
        listed.append(Waiting(id=request.id, path=path, since=wall_ms(request.arrived / 1e9)))
    return listed


def _failure(published: Deployment, app: FleetApp) -> Failure | None:
    if published.failed is None:
        return None
    again = wall_ms(app.backoff.retry_at / 1e9) if app.backoff.failures else 0.0
    return {**published.failed, "retry_at": again}


def device_states(engine: Engine, usage: ResourceUsage) -> list[DeviceState]:
    """The machine's GPUs, and the runner or other gateway that holds each."""
    states = []
    holders: dict[str, tuple[str, str, str]] = {}
    for app in engine.fleet_apps():
        for runner in app.runners.values():
            if runner.state is not State.CRASH_BACKOFF:
                for device_id in runner.devices:
                    holders[device_id] = (f"{app.spec.class_name} of {app.owner or 'a program'}", app.alias, runner.id)
    for device in engine.deployments.hardware.devices:
        holder, alias, runner_id = holders.get(device.id) or (engine.device_holder(device.id), "", "")
        used, busy = usage.devices.get(device.id, (-1, -1.0))
        states.append(
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
    return states


def host_state(engine: Engine, usage: ResourceUsage) -> HostState:
    """The machine's cores and memory."""
    hardware = engine.deployments.hardware
    return HostState(memory=hardware.memory, used=usage.used, cores=hardware.cores, busy=usage.busy)
