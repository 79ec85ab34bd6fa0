"""Executes the fleet's commands about apps: events for a revision's followers, and the end of an app."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

from fal_jupyter.domain import events as m
from fal_jupyter.domain.fleet.fleet import Fleet
from fal_jupyter.gateway.apps.deployments import Deployments
from fal_jupyter.gateway.engine.request_history import wall_ms
from fal_jupyter.protocol.api import Event
from fal_jupyter.protocol.feed import Failure


class AppExecutor:
    """Executes commands about apps.

    Args:
        on_forgotten: called with the alias when an app has ended completely.
        release_environments: called when an app has ended.

    Attributes:
        all_ended: set when no app is left, including ending ones.
    """

    def __init__(
        self,
        fleet: Fleet,
        deployments: Deployments,
        on_forgotten: Callable[[str], None],
        release_environments: Callable[[], None],
    ) -> None:
        self._fleet, self._deployments = fleet, deployments
        self._on_forgotten, self._release_environments = on_forgotten, release_environments
        self.all_ended = asyncio.Event()
        self.commands: dict[type, Callable[[Any], None]] = {
            m.AnnounceRevision: self._announce_revision,
            m.AnnounceFailure: self._announce_failure,
            m.AnnounceWaiting: self._announce_waiting,
            m.ForgetApp: self._forget_app,
        }

    def _announce_revision(self, command: m.AnnounceRevision) -> None:
        app = self._deployments.published.get(command.alias)
        if app is not None:
            app.last_error = app.failed = None
            app.forget_before(command.revision)

    def _announce_failure(self, command: m.AnnounceFailure) -> None:
        app = self._deployments.published.get(command.alias)
        revision = app.revisions.get(command.revision) if app else None
        if app is None or revision is None:
            return
        revision.failed = True
        error = revision.errors.pop(command.runner_id, None)
        app.last_error = error
        app.failed = Failure(
            time=wall_ms(time.monotonic()), revision=command.revision, text=command.error, error=error, retry_at=0.0
        )
        app.add_event(
            command.revision,
            Event(
                event="failed", runner=command.runner_id, error=error, detail=command.error, retry_in=command.retry_in
            ),
        )

    def _announce_waiting(self, command: m.AnnounceWaiting) -> None:
        app = self._deployments.published.get(command.alias)
        if app is not None:
            app.add_event(command.revision, Event(event="waiting", detail=command.reason))

    def _forget_app(self, command: m.ForgetApp) -> None:
        alias = command.alias
        app = self._deployments.leaving.get(alias)
        if app is not None and not any(a.alias == alias for a in self._fleet.all_apps() if a.is_stopping and a.runners):
            del self._deployments.leaving[alias]
            app.ended.set()
            if alias not in self._deployments.published:
                self._on_forgotten(alias)
                app.log.close()
        self._release_environments()
        if not list(self._fleet.all_apps()):
            self.all_ended.set()

    async def wait_until_all_ended(self) -> None:
        """Wait for the runners of stopped apps."""
        self.all_ended.clear()
        if list(self._fleet.all_apps()):
            await self.all_ended.wait()
