"""Decides when an app's next start may happen, by its failed starts and crashes so far."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from fal_jupyter.domain.durations import SECOND, nanoseconds
from fal_jupyter.domain.scaling.policy import retry_at

DEATHS_OPEN_THE_CIRCUIT = 5  # deaths while serving within DEATH_WINDOW (reliability row 8)
DEATH_WINDOW = nanoseconds(60)
LOST_STARTS = 3  # consecutive starts lost with their template that are repeated before they count as failed
REFUSED_RETRY = 20 * SECOND  # "no hardware" waits a fixed 20 s and does not escalate (fal, "Runners")


@dataclass(slots=True)
class StartBackoff:
    """Counts failures of one app's runners. Times are monotonic nanoseconds.

    Attributes:
        failures: consecutive failed starts; *last_failure* is the time of the last one.
        blocked_until: no start before this: the machine refused one.
        lost: consecutive starts that were lost with their template; *lost_at* is the time of the last one.
        deaths: times of crashes while serving, in the last minute.
    """

    failures: int = 0
    last_failure: int = 0
    blocked_until: int = 0
    lost: int = 0
    lost_at: int = 0
    deaths: deque[int] = field(default_factory=deque)

    @property
    def retry_at(self) -> int:
        """Time of the next attempt after a failed start."""
        return retry_at(self.failures, self.last_failure)

    def is_blocking(self, now: int) -> bool:
        """True while a start has failed and the next attempt is not due."""
        return bool(self.failures) and now < self.retry_at

    def start_failed(self, now: int) -> int:
        """Count a failed start; returns how long the next one waits."""
        self.failures, self.last_failure = self.failures + 1, now
        return self.retry_at - now

    def start_lost(self, now: int) -> bool:
        """Count a start that was lost with its template, simultaneous ones as one; False after too many in a row."""
        if now > self.lost_at + SECOND:
            self.lost, self.lost_at = self.lost + 1, now
        return self.lost <= LOST_STARTS

    def start_refused(self, now: int) -> None:
        """The machine could not start a runner, which is not a failure of the app."""
        self.blocked_until = now + REFUSED_RETRY

    def start_succeeded(self) -> None:
        """A runner of the target revision is ready."""
        self.failures = self.lost = 0

    def runner_died(self, now: int) -> None:
        """Count a crash while serving; after too many in a minute, starts are tried one at a time, as after failed ones."""
        self.deaths.append(now)
        while now > self.deaths[0] + DEATH_WINDOW:
            self.deaths.popleft()
        if len(self.deaths) >= DEATHS_OPEN_THE_CIRCUIT:
            self.failures, self.last_failure = max(1, self.failures), now

    def revision_published(self) -> None:
        """A new source starts immediately: a corrected typo does not wait 30 s."""
        self.failures = self.blocked_until = self.lost = 0

    def revision_withdrawn(self) -> None:
        """The revision whose starts failed is obsolete."""
        self.failures = 0
