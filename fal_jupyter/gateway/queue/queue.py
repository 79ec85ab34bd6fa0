"""The queue: requests whose callers do not wait on a connection. In memory, which ``domain/queue/memory`` counts and bounds."""

from __future__ import annotations

import asyncio
import datetime
import time
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass, field, replace
from http.client import responses
from typing import TYPE_CHECKING

from fal_jupyter.domain.queue.jobs import Cancelled, Job, JobState
from fal_jupyter.domain.queue.memory import QueueMemory, Refusal, size_text
from fal_jupyter.domain.queue.retries import MOST_ATTEMPTS, AttemptFailure
from fal_jupyter.gateway.changes import Changes
from fal_jupyter.gateway.http.response_writer import Headers, failure_body
from fal_jupyter.gateway.queue.attempt_states import ATTEMPT, AttemptEvent, AttemptState
from fal_jupyter.gateway.requests.data_plane import request_head
from fal_jupyter.gateway.requests.proxied_request import ProxiedRequest
from fal_jupyter.gateway.requests.request_description import RequestDescription
from fal_jupyter.protocol.api import H_ERROR_TYPE, H_TIMEOUT_TYPE
from fal_jupyter.settings import QUEUE_BYTES_VARIABLE, QUEUE_LENGTH_VARIABLE, Settings

if TYPE_CHECKING:
    from fal_jupyter.gateway.engine.request_executor import RequestExecutor

_DROPPED_HEADERS = frozenset({"x-fal-request-id", "content-length", "transfer-encoding", "connection"})


@dataclass(slots=True, kw_only=True)
class Submission:
    """What a caller submits: *below* is the path below the app, *body* complete; its bytes are already counted under *id*.

    *once*: it is not retried; *retries*: its caller's number of retries per condition.
    """

    id: str
    alias: str
    below: str
    query: str
    method: str
    headers: Iterable[tuple[str, str]]
    body: bytes
    low: bool = False
    start_within: float = 0.0
    hint: str = ""
    once: bool = False
    retries: dict[str, int] = field(default_factory=dict)
    content_type: str = field(default="application/json")


class QueuedCall:
    """One job: the writer of its answer (:class:`fal_jupyter.gateway.http.response_writer.ResponseWriter`) and the observer of its attempts.

    A failed attempt may be followed by another one, after a wait and after the end of the request in its runner.

    Attributes:
        submitted: monotonic seconds.
        submission, request: the submission and the current attempt; both None once the job has ended, since they hold its body.
        status, headers, size: those of the answer; the size of its body is in bytes.
    """

    def __init__(self, job: Job, submission: Submission, queue: Queue) -> None:
        self.job = job
        self.submitted = time.monotonic()
        self.submission: Submission | None = submission
        self.request: ProxiedRequest | None = None
        self._queue = queue
        self._attempt = AttemptState.RUNNING
        self._wait = 0.0  # seconds until the next attempt
        self._timer: asyncio.TimerHandle | None = None
        self.status, self.headers, self.size = 0, [("content-type", "application/json")], 0
        self._pieces: list[bytes] = []
        self._changes = Changes()

    # --- the answer ---------------------------------------------------------------------------------------------
    def respond(self, status: int, headers: Headers, body: bytes) -> None:
        """Receive the head and the first (or complete) body."""
        if self.job.attempts.number > 1 and self._is_refused(headers):
            return  # no runner had the last attempt: the previous one's answer applies
        self.status = status
        self.headers = [(name, value) for name, value in headers if name.lower() not in _DROPPED_HEADERS]
        self._pieces, self.size = [], 0
        self.write(body)

    def _is_refused(self, headers: Headers) -> bool:
        dispatched = self.request is not None and self.request.dispatched
        return not dispatched and (H_ERROR_TYPE, "runner_scheduling_failure") in headers

    def write(self, data: bytes) -> asyncio.Future[None] | None:
        """More body."""
        if data and self.job.state is not JobState.COMPLETED:
            self._pieces.append(data)
            self.size += len(data)
            if not self._queue.has_room_for(self):
                self.fail(507, "internal_error", TOO_LARGE_AN_ANSWER)
        return None

    def backed_up(self) -> bool:
        """Never: memory always accepts more."""
        return False

    def finish(self) -> None:
        """The answer is complete."""
        request, error_type = self.request, dict(self.headers).get(H_ERROR_TYPE, "")
        if request is None or not request.record.detail or error_type == "runner_incomplete_response":
            error_type = ""  # the app's own answer, or one with an invalid head
        needs_retry = request.record.needs_retry if request is not None else None
        if not self._is_retried(AttemptFailure(self.status, error_type, needs_retry)):
            self._end(self.status)

    def drop(self) -> None:
        """The answer was cut off."""
        if self.job.state is not JobState.COMPLETED:
            self._answer(502, "runner_incomplete_response", "the app's answer was cut off")
            if not self._is_retried(AttemptFailure(502, "runner_incomplete_response")):
                self._end_request()
                self._end(502)

    def fail(self, status: int, error_type: str, detail: str, headers: Iterable[tuple[str, str]] = ()) -> None:
        """End it with an answer of the gateway, which replaces any answer of the app."""
        if self.job.state is not JobState.COMPLETED:
            self._answer(status, error_type, detail, headers)
            self._end_request()
            self._end(status)

    def _answer(self, status: int, error_type: str, detail: str, headers: Iterable[tuple[str, str]] = ()) -> None:
        self.status = status
        self.headers = [("content-type", "application/json"), (H_ERROR_TYPE, error_type), *headers]
        self._pieces = [failure_body(self.job.id, error_type, detail)]
        self.size = len(self._pieces[0])

    def on_close(self, callback: Callable[[], None]) -> None:
        """Ignored: there is no connection that could close; a job is ended by :meth:`cancel`."""

    def dispatched(self) -> None:
        """A runner has it."""
        self.job.start(time.time())
        self._changes.notify()

    def taken_back(self) -> None:
        """Its runner had ended already."""
        self.job.put_back()
        if self.job.cancel_requested:  # nothing is running that could end it
            self.cancel()
        self._changes.notify()

    def printed(self, which: int, text: str) -> None:
        """It printed."""
        self.job.print(which, text, stamp())
        self._changes.notify()

    def ended(self) -> None:
        """The attempt has ended in its runner, too."""
        self._move(AttemptEvent.RELEASED)

    # --- attempts -----------------------------------------------------------------------------------------------
    def _move(self, event: AttemptEvent) -> None:
        self._attempt = ATTEMPT[self._attempt][event]
        if self._attempt is AttemptState.DUE:
            self._timer = asyncio.get_running_loop().call_later(self._wait, self._try_again)

    def _is_retried(self, failure: AttemptFailure) -> bool:
        """True if another attempt follows (which may already be decided: an answer is cut off, then its stream ends)."""
        if self._attempt in (AttemptState.FAILED, AttemptState.DUE):
            return True
        job, request = self.job, self.request
        if request is None or not request.dispatched or job.cancel_requested or job.state is JobState.COMPLETED:
            return False
        number, wait = job.attempts.number, self._queue.wait_before_retry(self, failure)
        if wait is None:
            return False
        reason = " ".join(filter(None, (str(self.status), failure.error_type)))
        note = f"attempt {number} of at most {MOST_ATTEMPTS} failed ({reason}); retrying in {wait:g} s"
        job.try_again(f"[fal_jupyter] {note}", stamp())
        request.remark(note)
        self._wait = wait
        self._move(AttemptEvent.FAILED)
        self._changes.notify()
        return True

    def _try_again(self) -> None:
        self._timer = None
        self._move(AttemptEvent.STARTED)
        self._queue.begin(self)

    def give_up(self) -> None:
        """End it with the answer of its last attempt."""
        self._end(self.status)

    def _end(self, status: int) -> None:
        header = {name.lower(): value for name, value in self.headers}
        error_type = header.get(H_ERROR_TYPE, "")
        error = "" if status < 400 else f"{status} {responses.get(status, '')}".strip()
        if self.job.end(status, error, error_type, time.time(), stamp()):
            self._release()
            self._queue.ended(self)
        self._changes.notify()

    def cancel(self, *, force: bool = False) -> Cancelled:
        """Cancel it; returns the effect (:meth:`fal_jupyter.domain.queue.jobs.Job.cancel`)."""
        outcome = self.job.cancel(time.time(), stamp(), force=force)
        if outcome in ("dropped", "forced"):
            self._pieces, self.size = [], 0
            self._end_request()
            self._queue.ended(self)
            self._changes.notify()
        return outcome

    def _end_request(self) -> None:
        """End the request after the caller of this method has returned, and free its body."""
        if self.request is not None:
            asyncio.get_running_loop().call_soon(self.request.abort)
        self._release()

    def _release(self) -> None:
        """Free the body, and cancel a scheduled attempt."""
        self.request = self.submission = None
        self._move(AttemptEvent.ENDED)
        if self._timer is not None:
            self._timer.cancel()

    # --- its readers --------------------------------------------------------------------------------------------
    def body(self) -> bytes:
        """The complete answer."""
        return b"".join(self._pieces)

    async def changes(self, ping: float) -> AsyncIterator[bool]:
        """Yield True immediately and after each change until the job has ended, False after *ping* seconds without one."""
        while True:
            change = self._changes.next()
            yield True
            if self.job.state is JobState.COMPLETED:
                return
            while True:
                try:
                    async with asyncio.timeout(ping):
                        await change.wait()
                    break
                except TimeoutError:
                    yield False


class Queue:
    """All jobs of this gateway, by id."""

    def __init__(self, requests: RequestExecutor, settings: Settings) -> None:
        self._requests = requests
        self._jobs: dict[str, QueuedCall] = {}
        self.memory = QueueMemory(most_bytes=settings.queue_bytes, most_jobs=settings.queue_length)

    def position(self, call: QueuedCall) -> int:
        """How many requests of its app are ahead of it."""
        return self._requests.position(call.job.alias, call.job.id)

    def submit(self, submission: Submission) -> QueuedCall:
        """Add a job, and begin its first attempt."""
        call = QueuedCall(Job(submission.id, submission.alias, time.time()), submission, self)
        self._jobs[submission.id] = call
        self.begin(call)
        return call

    def begin(self, call: QueuedCall) -> None:
        """Begin an attempt: the first one, or a retry."""
        sent = call.submission
        if sent is None:  # it has ended
            return
        time_left = sent.start_within
        if call.job.attempts.number > 1:
            if self._requests.spec_of(sent.alias) is None:  # stopped meanwhile
                call.give_up()
                return
            if sent.start_within and (time_left := call.submitted + sent.start_within - time.monotonic()) <= 0:
                detail = f"the request was not dispatched to a runner within {sent.start_within:g} s, over all attempts"
                call.fail(504, "request_timeout", detail, [(H_TIMEOUT_TYPE, "user")])
                return
        pairs = [(name, value) for name, value in sent.headers if name not in ("content-length", "transfer-encoding")]
        pairs.append(("content-length", str(len(sent.body))))
        description = RequestDescription(
            id=sent.id,
            alias=sent.alias,
            head=request_head(sent.id, sent.method, sent.below, sent.query, pairs),
            method=sent.method,
            path=sent.below,
            origin="queue",
            content_type=sent.content_type,
            hint=sent.hint,
            start_within=time_left,
            low_priority=sent.low,
        )
        call.request = request = ProxiedRequest(self._requests, call, description, observer=call)
        if sent.body:
            request.receive(sent.body)
        request.end_of_body()

    def wait_before_retry(self, call: QueuedCall, failure: AttemptFailure) -> float | None:
        """Return the seconds until the next attempt after a failure; None if there is none."""
        sent, spec = call.submission, self._requests.spec_of(call.job.alias)
        if sent is None or spec is None or sent.once:
            return None
        rules = replace(spec.retry, budgets=sent.retries) if sent.retries else spec.retry
        return call.job.attempts.next(failure, rules)

    def find(self, alias: str, request_id: str) -> QueuedCall | None:
        """The job of that id, if it belongs to the app."""
        call = self._jobs.get(request_id)
        return call if call is not None and call.job.alias == alias else None

    def waiting(self, alias: str) -> int:
        """How many requests wait for that app."""
        return self._requests.waiting(alias)

    def hold(self, request_id: str, size: int) -> tuple[int, str]:
        """Count *size* bytes of an incoming body; returns status and message of a refusal, or 0."""
        refused = self.memory.hold(request_id, size)
        return (413 if refused == "too large" else 429, refusal_sentence(refused, self.memory)) if refused else (0, "")

    def has_room_for(self, call: QueuedCall) -> bool:
        """Count the received part of the answer; False if it is more than can be stored."""
        evicted, fits = self.memory.answer(call.job.id, call.size)
        self._forget(evicted)
        return fits

    def ended(self, call: QueuedCall) -> None:
        """The job has ended."""
        self._forget(self.memory.ended(call.job.id, call.size + call.job.log_bytes))

    def _forget(self, jobs: list[str]) -> None:
        for job in jobs:
            del self._jobs[job]


TOO_LARGE_AN_ANSWER = f"the answer is larger than the queue's memory limit ({QUEUE_BYTES_VARIABLE}): call the app directly, or return a fal.toolkit.File"


def refusal_sentence(refused: Refusal, memory: QueueMemory) -> str:
    """Describe why a request is refused, and what to do."""
    bound = size_text(memory.most_bytes)
    if refused == "too large":
        return f"the body is larger than the queue's memory limit of {bound} ({QUEUE_BYTES_VARIABLE}): upload it as a file, or call the app directly"
    if refused == "too many":
        return f"queue full: {memory.jobs} requests are open ({QUEUE_LENGTH_VARIABLE}); wait for some, or cancel them"
    return (
        f"queue full: {memory.jobs} open requests use {size_text(memory.request_bytes)} of {bound}"
        f" ({QUEUE_BYTES_VARIABLE}); wait for some, or cancel them"
    )


def stamp() -> str:
    """The current time in the form of fal's log entries."""
    return datetime.datetime.now(datetime.UTC).isoformat()


def answer_of(call: QueuedCall) -> tuple[int, list[tuple[str, str]], bytes | dict[str, str]]:
    """Return status, headers and body of a finished job's answer."""
    job = call.job
    if job.cancelled:
        body = {"detail": job.error, "error_type": job.error_type, "request_id": job.id}
        return job.status, [("content-type", "application/json"), (H_ERROR_TYPE, job.error_type)], body
    headers = call.headers
    if job.error_type and not any(name.lower() == H_ERROR_TYPE for name, _ in headers):
        headers = [*headers, (H_ERROR_TYPE, job.error_type)]
    return call.status, headers, call.body()
