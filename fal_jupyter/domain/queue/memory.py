"""Accounts for the queue's memory: bodies of open requests, answers, and records of finished jobs.

Everything in memory is counted here. A submission beyond the limits is refused, an answer beyond them fails its job, and
finished jobs are forgotten, the oldest first.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

MOST_OVER = 1000  # finished jobs that can still be queried

Refusal = Literal["too many", "too much", "too large"]


def size_text(size: int) -> str:
    """Format a number of bytes (``512 MiB``)."""
    amount, unit = float(size), "bytes"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        if amount < 1024:
            break
        amount, unit = amount / 1024, larger
    return f"{amount:.4g} {unit}"


@dataclass(slots=True, kw_only=True)
class QueueMemory:
    """Memory used by each job, by its id.

    Attributes:
        most_bytes: limit for all open requests, and separately for all answers and logs.
        most_jobs: limit for the number of open requests.
        request_bytes: current size of open requests.
        answer_bytes: current size of incoming answers and of finished jobs.
    """

    most_bytes: int
    most_jobs: int
    request_bytes: int = 0
    answer_bytes: int = 0
    _requests: dict[str, int] = field(default_factory=dict)
    _answers: dict[str, int] = field(default_factory=dict)
    _over: dict[str, int] = field(default_factory=dict)

    @property
    def jobs(self) -> int:
        """Number of open requests."""
        return len(self._requests)

    def hold(self, job: str, size: int) -> Refusal | None:
        """Count *size* bytes of a request's body (received so far), unless that is refused: then nothing changes."""
        if size > self.most_bytes:
            return "too large"
        if job not in self._requests and len(self._requests) >= self.most_jobs:
            return "too many"
        more = size - self._requests.get(job, 0)
        if self.request_bytes + more > self.most_bytes:
            return "too much"
        self.request_bytes += more
        self._requests[job] = size
        return None

    def release(self, job: str) -> None:
        """Release the memory of the request's body."""
        self.request_bytes -= self._requests.pop(job, 0)

    def answer(self, job: str, size: int) -> tuple[list[str], bool]:
        """Count *size* bytes of an incoming answer; returns the jobs to forget for it, and False if it cannot be stored."""
        self.answer_bytes += size - self._answers.get(job, 0)
        self._answers[job] = size
        return self._make_room(0), self.answer_bytes <= self.most_bytes

    def ended(self, job: str, size: int) -> list[str]:
        """The job has finished and *size* bytes of it are stored; returns the jobs to forget for them."""
        self.release(job)
        self.answer_bytes += size - self._answers.pop(job, 0)
        self._over[job] = size
        return self._make_room(1)  # its own caller must find it, however small the limit is

    def _make_room(self, least: int) -> list[str]:
        forgotten = []
        while len(self._over) > MOST_OVER or (len(self._over) > least and self.answer_bytes > self.most_bytes):
            oldest = next(iter(self._over))
            self.answer_bytes -= self._over.pop(oldest)
            forgotten.append(oldest)
        return forgotten
