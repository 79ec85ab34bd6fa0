"""Waits for a gateway as long as a call lasts, but not for a stopped process."""

from __future__ import annotations

from fal_jupyter.domain.errors import GatewayStopped, GatewayUnreachable
from fal_jupyter.processes import is_stopped

LOOK = 5.0  # seconds without an answer after which the gateway's process is checked
MOST_GATEWAYS = 5  # that a request is sent to, if they end before it has begun
MOST_UNREAD = 16 * 1024
"""Bytes of a request that the operating system delivers in one piece, so that the gateway reads all or none of it.

unix(7) resets a connection whose other end is closed with unread data, or before it was accepted (a killed process keeps
listening for a moment); one whose data was read just ends. So a reset of a short request shows that it was not read.
"""
STOPPED_LOOKS = 3  # number of checks in a row: a debugger may stop it for a moment


class Patience:
    """Detects a stopped gateway *pid*: call :meth:`look` after every ``LOOK`` seconds without data."""

    def __init__(self, pid: int) -> None:
        self._pid, self._stopped = pid, 0

    def look(self) -> None:
        """Check the process.

        Raises:
            GatewayStopped: it is stopped, and was at the previous checks.
        """
        self._stopped = self._stopped + 1 if is_stopped(self._pid) else 0
        if self._stopped >= STOPPED_LOOKS:
            raise silent(self._pid, STOPPED_LOOKS * LOOK)


def silent(pid: int, seconds: float, who: str = "the gateway") -> GatewayUnreachable:
    """Return the error of a process that did not answer; *pid* is 0 if it is not known."""
    if is_stopped(pid):
        return GatewayStopped(
            f"{who} (process {pid}) is stopped and has not answered for {seconds:g} s",
            hint=f"continue it with: kill -CONT {pid}, or end it with: kill -KILL {pid}",
        )
    named = f"{who} (process {pid})" if pid else who
    return GatewayUnreachable(
        f"{named} has not answered for {seconds:g} s", hint=f"end it with: kill -KILL {pid}" if pid else ""
    )


class NotSent(ConnectionError):
    """The gateway read nothing of a request, so it has not begun."""
