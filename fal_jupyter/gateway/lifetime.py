"""When a gateway ends: without owners and without requests, at once or after a while."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from fal_jupyter.gateway.auth.leases import Leases

log = logging.getLogger("fal_jupyter.gateway")
LINGER: Final = 2.0  # seconds without an owner after which a gateway ends whose Jupyter server has ended
UNUSED_EXIT: Final = 30.0  # seconds for a first owner, where no other time is set


class Lifetime:
    """Stops a gateway that nobody needs.

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
        self._leases_when_unused = -1  # how many there had been when it was asked to end with the last of them

    @property
    def is_ending(self) -> bool:
        """True while it drains, and while only requests of stopped apps keep it from draining."""
        return self.stopping.is_set() or (not self._leases.living and not self._idle_exit)

    def reconsider(self) -> None:
        """An owner or a request came or ended: stop now, later, or not."""
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

        An owner that comes before that cancels it.
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
