"""A queued request from submission to answer, and its status for callers at each moment (W46 to W66)."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal, TypedDict

from fal_jupyter.domain.queue.retries import Attempts

MOST_LINES = 5000  # log lines stored per job …
MOST_LOG = 1 << 20  # … and their characters; the oldest are dropped first
LONGEST_LINE = 1 << 16  # characters; a longer line becomes several entries
ENTRY = 300  # bytes of a log entry in addition to its text
CANCELLED = (499, "client_cancelled", "the request was cancelled")
Cancelled = Literal["dropped", "asked", "forced", "over"]


class LogEntry(TypedDict):
    """A line that a request's code printed, in the form that fal has."""

    message: str
    level: str
    source: str
    timestamp: str


class JobState(StrEnum):
    """fal's names; a job that failed or was cancelled is COMPLETED too."""

    IN_QUEUE = "IN_QUEUE"
    IN_PROGRESS = "IN_PROGRESS"
    COMPLETED = "COMPLETED"


class IllegalJobTransition(Exception):
    """An event that cannot happen in the job's state: an internal error."""


@dataclass(slots=True)
class Job:
    """One job. Times are wall-clock seconds.

    Attributes:
        id: also the id of its request.
        status: that of its answer, 0 before there is one.
        error: the message of a failure, ``""`` if there is none.
        error_type: fal's name for the failure, ``""`` if there is none.
        logs: what it printed, as fal's log entries.
        dropped_lines: how many of them were dropped.
        log_size: characters of the stored ones.
        cancelled: it ended by its cancellation, without an answer of the app.
        cancel_requested: it was cancelled while running: the app decides how it ends.
        attempts: number of attempts.
    """

    id: str
    alias: str
    submitted: float
    state: JobState = JobState.IN_QUEUE
    started: float = 0.0
    ended: float = 0.0
    status: int = 0
    error: str = ""
    error_type: str = ""
    cancelled: bool = False
    cancel_requested: bool = False
    logs: list[LogEntry] = field(default_factory=list)
    dropped_lines: int = 0
    log_size: int = 0
    attempts: Attempts = field(default_factory=Attempts)
    _open: dict[int, str] = field(default_factory=dict)

    def start(self, now: float) -> None:
        """A runner has it. A second start (its first runner had already ended) changes nothing."""
        if self.state is JobState.COMPLETED:
            if not self.cancelled:
                raise IllegalJobTransition(f"{self.id} has ended and cannot start")
            return
        self.state, self.started = JobState.IN_PROGRESS, self.started or now

    def put_back(self) -> None:
        """Its runner had ended: it waits again."""
        if self.state is JobState.IN_PROGRESS:
            self.state = JobState.IN_QUEUE

    def try_again(self, note: str, timestamp: str) -> None:
        """An attempt failed and another one follows: it waits again. *note* goes to its log."""
        self._close_lines(timestamp)
        self._keep(2, [note], timestamp)
        self.state, self.started = JobState.IN_QUEUE, 0.0

    def print(self, stream: int, text: str, timestamp: str) -> None:
        """It printed *text* (stream 1: stdout, 2: stderr). A line is complete at a line break, or when it is too long; output after the job's end is ignored."""
        if self.state is JobState.COMPLETED:
            return
        *lines, rest = (self._open.pop(stream, "") + text).split("\n")
        pieces = [piece for line in lines for piece in _pieces(line)]
        *full, rest = _pieces(rest)
        if rest:
            self._open[stream] = rest
        self._keep(stream, pieces + full, timestamp)

    def _keep(self, stream: int, lines: list[str], timestamp: str) -> None:
        level = "STDERR" if stream == 2 else "STDOUT"
        self.logs += [LogEntry(message=line, level=level, source="USER", timestamp=timestamp) for line in lines]
        self.log_size += sum(map(len, lines))
        over = max(0, len(self.logs) - MOST_LINES)
        dropped = sum(len(entry["message"]) for entry in self.logs[:over])
        while self.log_size - dropped > MOST_LOG:
            dropped += len(self.logs[over]["message"])
            over += 1
        del self.logs[:over]
        self.log_size -= dropped
        self.dropped_lines += over

    def _close_lines(self, timestamp: str) -> None:
        for stream in sorted(self._open):
            self._keep(stream, [self._open.pop(stream)], timestamp)

    def end(self, status: int, error: str, error_type: str, now: float, timestamp: str) -> bool:
        """Its answer is complete; False if it had already ended (cancelled)."""
        if self.state is JobState.COMPLETED:
            return False
        self._close_lines(timestamp)
        if self.cancel_requested and status == CANCELLED[0]:  # the app ended it, as requested
            error_type, error = error_type or CANCELLED[1], CANCELLED[2]
        if error and not error_type:  # the app itself answered with the error
            error_type = "runner_server_error" if status >= 500 else "bad_request"
        self.state, self.ended, self.status, self.error, self.error_type = (
            JobState.COMPLETED, now, status, error, error_type,
        )  # fmt: skip
        return True

    def cancel(self, now: float, timestamp: str, *, force: bool = False) -> Cancelled:
        """Cancel it: a waiting one ends immediately; a running one continues until the app ends it, unless *force* is given.

        Source: fal's documentation, "Handle request cancellations".
        """
        if self.state is JobState.COMPLETED:
            return "over"
        if self.state is JobState.IN_PROGRESS and not force:
            self.cancel_requested = True
            return "asked"
        outcome: Cancelled = "dropped" if self.state is JobState.IN_QUEUE else "forced"
        status, error_type, error = CANCELLED
        self.end(status, error, error_type, now, timestamp)
        self.cancelled = True
        return outcome

    @property
    def log_bytes(self) -> int:
        """Approximate size of its log in memory."""
        return self.log_size + ENTRY * len(self.logs)

    def lines_from(self, start: int) -> tuple[list[LogEntry], int]:
        """Return the log entries from index *start*, counted over all entries ever, and the total number of entries."""
        total = self.dropped_lines + len(self.logs)
        return self.logs[max(0, start - self.dropped_lines) :], total

    def metrics(self) -> dict[str, float | None]:
        """Seconds that it ran, once it has ended."""
        ran = self.ended - self.started if self.started and self.ended else None
        return {"inference_time": round(ran, 4) if ran is not None else None}

    def view(self, position: int, urls: dict[str, str], logs: list[LogEntry] | None) -> dict[str, object]:
        """Return the body of a status answer; *logs* is None if they were not asked for."""
        view: dict[str, object] = {"status": str(self.state), "request_id": self.id, **urls}
        if self.state is JobState.IN_QUEUE:
            view["queue_position"] = position
            return view
        view["logs"] = logs
        if self.state is JobState.COMPLETED:
            view["metrics"] = self.metrics()
            if self.error_type:
                view |= {"error": self.error, "error_type": self.error_type}
        return view


def _pieces(line: str) -> list[str]:
    return [line[at : at + LONGEST_LINE] for at in range(0, max(1, len(line)), LONGEST_LINE)]
