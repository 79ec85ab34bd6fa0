"""What the engine knows, as the records that lists and panels show."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from fal_jupyter.domain.runners.runner import State
from fal_jupyter.gateway.apps.deployment import Deployment
from fal_jupyter.protocol.api import AppRecord, RunnerRecord

if TYPE_CHECKING:
    from fal_jupyter.gateway.engine.engine import Engine


def runner_records(engine: Engine) -> list[RunnerRecord]:
    """Every runner, those that are leaving too."""
    return [
        RunnerRecord(
            app=f"{engine.settings.owner}/{runner.alias}",
            runner_id=runner.id,
            pid=p.pid if (p := engine.launcher.processes.get(runner.id)) else 0,
            state=str(runner.state),
            devices=list(runner.devices),
            served=runner.served,
            in_flight=runner.in_flight,
            revision=runner.revision,
        )
        for app in engine.fleet.all_apps()
        for runner in app.runners.values()
    ]


def app_record(engine: Engine, app: Deployment, base: str, holder: Mapping[str, Any]) -> AppRecord:
    """One app, for listings."""
    record = engine.fleet.apps[app.alias]
    states = [str(r.state) for r in record.runners.values()]
    spec = app.newest.spec
    return AppRecord(
        app=f"{engine.settings.owner}/{app.alias}",
        alias=app.alias,
        class_name=spec.class_name,
        owner_kind=holder.get("kind", ""),
        owner_name=holder.get("name", ""),
        owner_pid=holder.get("pid", 0),
        auth=spec.auth,
        revision=app.last,
        serving=record.serving,
        endpoints=[asdict(e) for e in spec.endpoints],
        runners={state: states.count(state) for state in State if state in states},
        waiting=len(record.waiting),
        in_flight=len(record.in_flight),
        served=record.served,
        url=engine.url(app.alias, base),
        scaling=asdict(record.scaling),
        reason=record.reason,
        setup_ms=app.newest.setup_ms,
        machine=app.newest.place,
        environments=sorted(app.environments() | engine.launcher.isolated_of(record.runners)),
    )
