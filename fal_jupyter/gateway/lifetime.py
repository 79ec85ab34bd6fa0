"""Decides when a gateway ends: without owners and requests, immediately or after a delay."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from fal_jupyter.gateway.auth.leases import Leases

log = logging.getLogger("fal_jupyter.gateway")
LINGER: Final = 2.0  # seconds without an owner after which a gateway ends whose Jupyter server has ended
UNUSED_EXIT: Final = 30.0  # seconds to wait for a first owner, by default


class Lifetime:
    """Stops an unused gateway.

    Args:
        leases: its owners.
        has_requests: true while a request runs or waits.
        on_stop: called once, when it begins to drain.
        idle_exit: seconds for which it waits for another owner; 0: it ends with its last one.

    Attributes:
        stopping: set once it drains.
    """

    def __init__(
        self, leases: Leases, has_requests: Callable[[], bool], on_stop: Callable[[], None], idle_exit: float
    ) -> None:
        self._leases, self._has_requests, self._on_stop, self._idle_exit = leases, has_requests, on_stop, idle_exit
        self.stopping = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._leases_when_unused = -1  # number of leases so far when it was requested to end with the last one

    @property
    def is_ending(self) -> bool:
        """True while it drains, and while only requests of stopped apps keep it from draining."""
        return self.stopping.is_set() or (not self._leases.living and not self._idle_exit)

    def reconsider(self) -> None:
        """An owner or a request began or ended: stop now, later, or not."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._leases.living or self._has_requests():
            return
        if not self._idle_exit and self._leases.total:
            self._stop_if_idle()
            return
        unused = self._leases_when_unused == self._leases.total
        wait = LINGER if unused else self._idle_exit or UNUSED_EXIT
        self._timer = asyncio.get_running_loop().call_later(wait, self._stop_if_idle)

    def stop_when_unused(self) -> None:
        """Do not wait for another owner once the last one has ended, since the Jupyter server of these kernels ends.

        A new owner before that cancels it.
        """
        self._leases_when_unused = self._leases.total
        self.reconsider()

    def _stop_if_idle(self) -> None:
        if not self._leases.living and not self._has_requests():
            log.info("no leases left, shutting down")
            self.stop()

    def stop(self) -> None:
        """Begin to drain; a second call does nothing."""
        if not self.stopping.is_set():
            self.stopping.set()
            self._on_stop()
