"""Recreates a state directory that is removed or moved while its gateway runs."""

from __future__ import annotations

import asyncio
import logging
import os
import sqlite3
from typing import Final

from fal_jupyter.domain.errors import FalJupyterError, GatewayError
from fal_jupyter.gateway.apps.deployments import Deployments
from fal_jupyter.gateway.auth.leases import Leases
from fal_jupyter.gateway.lifetime import Lifetime
from fal_jupyter.gateway.listeners.listeners import Listeners
from fal_jupyter.gateway.storage.state_lock import StateDirectoryWatch, bind, is_current_lock, take_life_lock
from fal_jupyter.gateway.storage.store import Store
from fal_jupyter.settings import Settings
from fal_jupyter.state import check_state

log = logging.getLogger("fal_jupyter.gateway")
SETTLE: Final = 0.2  # seconds for the removal of the state directory to finish


class StateRecovery:
    """Watches the state directory, and restores lock, socket, store and logs. *lock* is the descriptor of the life lock."""

    def __init__(
        self,
        settings: Settings,
        lock: int,
        *,
        store: Store,
        listeners: Listeners,
        deployments: Deployments,
        leases: Leases,
        lifetime: Lifetime,
    ) -> None:
        self._settings, self._lock, self._store, self._listeners = settings, lock, store, listeners
        self._deployments, self._leases, self._lifetime = deployments, leases, lifetime
        self._watch: StateDirectoryWatch | None = None

    def watch(self) -> None:
        """Begin to watch the state directory."""
        try:
            self._watch = StateDirectoryWatch(self._settings, self._lost)
        except OSError as error:  # the number of watches per user is limited; then a lost directory is not detected
            log.warning("%s: %s", error, error.strerror)

    def close(self) -> None:
        """Stop watching, and remove the socket, unless another gateway already serves there."""
        if self._watch is not None:
            self._watch.close()
        if is_current_lock(self._settings, self._lock):
            self._settings.socket.unlink(missing_ok=True)

    def _lost(self) -> None:
        if not self._lifetime.stopping.is_set():
            log.warning("%s was removed or moved; recreating it", self._settings.state)
            asyncio.get_running_loop().call_later(SETTLE, lambda: asyncio.ensure_future(self._restore()))

    async def _restore(self) -> None:
        """Recreate the state directory.

        If another gateway was started there meanwhile, that one owns it: this one ends, and its owners use the other.
        """
        if self._lifetime.stopping.is_set():
            return
        if not self._leases.living:
            self._lifetime.stop()
            return
        settings = self._settings
        try:
            check_state(settings.state)
            if not is_current_lock(settings, self._lock):
                self._lock, former = take_life_lock(settings), self._lock
                os.close(former)
            settings.logs.mkdir(mode=0o700, exist_ok=True)
            for handler in logging.getLogger().handlers:
                handler.close()  # it reopens its file with the next line
            for app in self._deployments.published.values():
                app.log.reopen()
            await self._store.reopen()
            await self._listeners.listen(bind(settings))
            self.watch()
        except GatewayError as error:
            log.error("%s; this one ends", error)
            self._lifetime.stop()
        except (OSError, FalJupyterError, sqlite3.Error):
            log.exception("the state directory could not be recreated; requests to the port are still served")
        else:
            log.info("%s was recreated", settings.state)
