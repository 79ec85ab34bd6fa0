"""Detects a timer that fires far too late: the machine was suspended, or the process was stopped."""

from __future__ import annotations

from typing import Final

LATE: Final = 500_000_000  # nanoseconds; the gateway's own work never blocks its event loop for so long
CATCH_UP: Final = 200_000_000  # time to read what arrived meanwhile, before time limits are checked


class SuspensionGuard:
    """Delays the timer once after a suspension, so that pending events are handled before time limits.

    Attributes:
        catching_up: the timer fired too late and was set again; it must not be moved.
    """

    __slots__ = ("catching_up",)

    def __init__(self) -> None:
        self.catching_up = False

    def fired(self, due: int, now: int) -> int | None:
        """Return when the timer has to fire again, or None if its event is to be handled now.

        Args:
            due: when the timer should have fired (monotonic nanoseconds).
            now: the present moment.
        """
        self.catching_up = not self.catching_up and now > due + LATE
        return now + CATCH_UP if self.catching_up else None
