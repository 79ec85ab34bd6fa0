"""The deployed apps: publishing a class, scaling, restarting and stopping an app, and the end of its owner.

The fleet decides; this module stores the revisions (:mod:`fal_jupyter.gateway.apps.deployment`) and reports the events.
"""

from __future__ import annotations

import functools
import logging
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from typing import Final

from fal_jupyter.domain import events as m
from fal_jupyter.domain.fleet.fleet import Fleet
from fal_jupyter.domain.resources import machines
from fal_jupyter.domain.resources.machines import Allotment, Hardware
from fal_jupyter.domain.revisions import compare
from fal_jupyter.domain.spec import AppSpec, scaling_options
from fal_jupyter.gateway.apps.deployment import MAX_EVENTS, Deployment, Revision
from fal_jupyter.gateway.devices import hardware
from fal_jupyter.gateway.storage.logs import Log, forget_old
from fal_jupyter.protocol.api import DecisionRecord, Event, PublishHead, ScalingRecord
from fal_jupyter.settings import Settings

MOST_STOPPED: Final = 20  # stopped apps that can be started again
log = logging.getLogger("fal_jupyter.engine")


class Deployments:
    """The apps of one gateway.

    Args:
        report: sends an event to the fleet.
        on_idle: called when the apps of an owner begin to end.

    Attributes:
        published: those that can be called, by alias.
        leaving: stopped apps whose runners are ending.
        stopped: those that can be started again.
    """

    def __init__(
        self, settings: Settings, fleet: Fleet, report: Callable[[m.FleetEvent], None], on_idle: Callable[[], None]
    ) -> None:
        self.published: dict[str, Deployment] = {}
        self.leaving: dict[str, Deployment] = {}
        self.stopped: dict[str, Deployment] = {}
        self._settings = settings
        self._fleet = fleet
        self._report = report
        self._on_idle = on_idle

    def find(self, alias: str) -> Deployment | None:
        """The app of that name, or one of that name that is ending or was stopped."""
        return self.published.get(alias) or self.leaving.get(alias) or self.stopped.get(alias)

    def spec_of(self, alias: str) -> AppSpec | None:
        """The spec of the app's target revision, or None if there is no such app."""
        app = self.published.get(alias)
        return app.newest.spec if app is not None else None

    def is_stopped(self, alias: str) -> bool:
        """True for an app that was stopped and can be started again."""
        return alias in self.stopped and alias not in self.published

    def known(self) -> list[Deployment]:
        """The apps that panels show: the published ones, and those that can be started again."""
        return [*self.published.values(), *self.stopped.values()]

    def environments(self) -> set[str]:
        """The isolated environments that new runners may get."""
        return {name for app in [*self.published.values(), *self.leaving.values()] for name in app.environments()}

    @functools.cached_property
    def hardware(self) -> Hardware:
        """The hardware of this machine; detected on first use."""
        return hardware.read(self._settings)

    def publish(
        self, alias: str, head: PublishHead, spec: AppSpec, payload: bytes, owner: str
    ) -> tuple[str, str, Deployment]:
        """Publish an app for an authorized owner; returns ``(verdict, reason, app)``.

        Raises:
            NoSuchMachine: it requires a machine type that is not available here.
            BadSetting: the setting of simulated GPUs is invalid.
        """
        visible = machines.visible(self.hardware.devices, head["environment"]["env"].get("CUDA_VISIBLE_DEVICES"))
        allotment = machines.allot(
            spec.class_name, spec.machine_type, spec.num_gpus, replace(self.hardware, devices=visible)
        )
        app = self.published.get(alias)
        if app is not None:
            spec.scaling.changed(app.overrides)  # refused before anything is changed
            app.overrides = _in_effect(spec, app.overrides)
        if app is None:
            app = self._open(alias, head["lease"])
            self._new_revision(app, head, spec, payload, allotment, owner)
            return "new", "first publication", app
        if app.lease != head["lease"]:
            app.lease = head["lease"]
            self._report(m.AppAdopted(alias, head["lease"], owner))
        newest = app.newest
        verdict = compare(newest.fingerprint, head["fingerprint"])
        if verdict.kind == "nothing" and not newest.failed:
            return "nothing", verdict.reason, app
        if verdict.kind == "scaled" and not newest.failed:
            newest.spec, newest.fingerprint = spec, dict(head["fingerprint"])
            self._report(m.AppScaled(alias, spec.scaling.changed(app.overrides)))
            return "scaled", verdict.reason, app
        self._new_revision(app, head, spec, payload, allotment, owner)
        reason = "the last start failed" if verdict.kind == "nothing" else verdict.reason
        return "rebuild", reason, app

    def _new_revision(
        self, app: Deployment, head: PublishHead, spec: AppSpec, payload: bytes, allotment: Allotment, owner: str
    ) -> None:
        app.last += 1
        app.revisions[app.last] = Revision(
            app.last,
            spec,
            head["kind"],
            head["source"],
            head["modules"],
            head["environment"],
            dict(head["fingerprint"]),
            payload,
            allotment,
        )
        log.info("published %s revision %s (%d bytes)", app.alias, app.last, len(payload))
        acting = replace(spec, scaling=spec.scaling.changed(app.overrides))
        self._report(m.AppPublished(app.alias, acting, app.last, head["lease"], allotment, owner))

    def _open(self, alias: str, lease: str) -> Deployment:
        """Create the record of an app that is not published; a stopped one keeps its log, its revision numbers and its former owners."""
        directory, former = self._settings.app_logs, self.stopped.pop(alias, None)
        if former is None:
            app = Deployment(alias, lease, Log(directory / f"{alias}.log"))
        else:
            former.log.reopen()
            app = Deployment(alias, lease, former.log, last=former.last, taken_from=former.taken_from)
        self.published[alias] = app
        forget_old(directory, self.published)
        return app

    def scale(self, alias: str, changes: Mapping[str, object] | None) -> ScalingRecord | None:
        """Change the scaling of a running app, or (None) reset it; None if there is no such app.

        Raises:
            AppRuleBroken: an option does not exist, or the values are inconsistent; nothing is changed then.
        """
        app = self.published.get(alias)
        if app is None:
            return None
        overrides = {} if changes is None else app.overrides | scaling_options(changes)
        scaling = app.newest.spec.scaling.changed(overrides)
        app.overrides = _in_effect(app.newest.spec, overrides)
        self._report(m.AppScaled(alias, scaling))
        return self.scaling(alias)

    def scaling(self, alias: str) -> ScalingRecord | None:
        """An app's scaling, and its last decisions; None if there is no such app."""
        app, record = self.published.get(alias), self._fleet.apps.get(alias)
        if app is None or record is None:
            return None
        now = time.monotonic_ns()
        return ScalingRecord(
            app=f"{self._settings.owner}/{alias}",
            scaling=asdict(record.scaling),
            by_class=asdict(app.newest.spec.scaling),
            overrides=dict(app.overrides),
            seen=record.seen(),
            decisions=[
                DecisionRecord(seconds_ago=round((now - d.at) / 1e9, 3), seen=d.seen, decided=d.reason)
                for d in record.decisions.recent
            ],
        )

    def restart(self, alias: str) -> int | None:
        """Start new runners of the published class; the old ones drain when the first is ready. Returns the revision."""
        app = self.published.get(alias)
        if app is None:
            return None
        self._republish(app, app.newest, "restarted manually", self._fleet.apps[alias].owner)
        return app.last

    def wake(self, alias: str) -> None:
        """Start one runner of an app that has none except ending ones, as a request would.

        ``keep_alive`` ends the runner where no request comes.
        """
        app, record = self.published[alias], self._fleet.apps[alias]
        if not record.has_supply:
            newest = app.newest
            acting = replace(newest.spec, scaling=newest.spec.scaling.changed(app.overrides))
            self._report(m.AppPublished(alias, acting, app.last, app.lease, newest.allotment, record.owner))

    def start(self, alias: str, owner: str) -> int | None:
        """Publish a stopped app unchanged, with its former scaling; returns the revision, None if none was stopped."""
        former = self.stopped.get(alias)
        if former is None:
            return None
        app = self._open(alias, former.lease)
        app.overrides = former.overrides
        self._republish(app, former.newest, "started manually", owner)
        return app.last

    def _republish(self, app: Deployment, revision: Revision, reason: str, owner: str) -> None:
        """Publish a revision again, under a new number."""
        app.last += 1
        app.revisions[app.last] = replace(
            revision,
            number=app.last,
            code_since=revision.code_since or revision.number,
            failed=False,
            events=deque(maxlen=MAX_EVENTS),
            event_count=0,
            over=False,
            errors={},
        )
        acting = replace(revision.spec, scaling=revision.spec.scaling.changed(app.overrides))
        app.verdict, app.verdict_reason = "restart", reason
        self._report(m.AppPublished(app.alias, acting, app.last, app.lease, revision.allotment, owner))

    def stop(self, alias: str, *, kill: bool) -> bool:
        """Stop an app; False if there is none of that name. It can be started again while its owner is running."""
        if alias not in self.published:
            return False
        self.stopped[alias] = app = self._retire(alias)
        app.forget_before(app.last)
        while len(self.stopped) > MOST_STOPPED:
            del self.stopped[next(iter(self.stopped))]
        self._report(m.AppStopped(alias, kill))
        return True

    def owner_renamed(self, lease: str, owner: str) -> None:
        """An owner has another display name: sentences about its apps have it from now on."""
        for alias in [alias for alias, app in self.published.items() if app.lease == lease]:
            self._report(m.AppAdopted(alias, lease, owner))

    def lease_ended(self, lease: str) -> None:
        """An owner has ended: end its apps."""
        self.stopped = {alias: app for alias, app in self.stopped.items() if app.lease != lease}
        for alias in [a for a, app in self.published.items() if app.lease == lease]:
            self._retire(alias)
        self._report(m.LeaseEnded(lease))
        self._on_idle()

    def _retire(self, alias: str) -> Deployment:
        app = self.published.pop(alias)
        self.leaving[alias] = app
        for number in list(app.revisions):
            app.add_event(number, Event(event="gone", detail="the app was stopped"))
        return app


def _in_effect(spec: AppSpec, overrides: Mapping[str, float]) -> dict[str, float]:
    """The values set by hand that the class does not say itself; the scaling is the same without the others."""
    scaling, by_class = spec.scaling.changed(overrides), asdict(spec.scaling)
    kept = dict(overrides)
    for name, value in overrides.items():
        others = {other: kept[other] for other in kept if other != name}
        if value == by_class[name] and spec.scaling.changed(others) == scaling:
            kept = others
    return kept
