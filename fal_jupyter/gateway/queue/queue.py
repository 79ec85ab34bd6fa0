"""The queue: requests whose callers do not wait on a connection. In memory, which ``domain.queue_memory`` counts and bounds."""

from __future__ import annotations

import asyncio
import datetime
import time
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass, field, replace
from http.client import responses
from typing import TYPE_CHECKING, Any

from fal_jupyter.domain.queue.jobs import Cancelled, Job, JobState
from fal_jupyter.domain.queue.memory import QueueMemory, Refusal, size_text
from fal_jupyter.domain.queue.retries import MOST_ATTEMPTS, AttemptFailure
from fal_jupyter.gateway.http.response_writer import Headers, failure_body
from fal_jupyter.gateway.requests.data_plane import request_head
from fal_jupyter.gateway.requests.proxied_request import ProxiedRequest
from fal_jupyter.gateway.requests.request_description import RequestDescription
from fal_jupyter.protocol.api import H_ERROR_TYPE, H_TIMEOUT_TYPE
from fal_jupyter.settings import QUEUE_BYTES_VARIABLE, QUEUE_LENGTH_VARIABLE, Settings

if TYPE_CHECKING:
    from fal_jupyter.gateway.engine.request_executor import RequestExecutor

_NOT_KEPT = frozenset({"x-fal-request-id", "content-length", "transfer-encoding", "connection"})


@dataclass(slots=True, kw_only=True)
class Submission:
    """What a caller submits: *below* is the path below the app, *body* complete; its bytes are counted under *id* already.

    *once*: it is not retried; *retries*: its caller's own number of retries for each condition.
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
    """One job's way back (:class:`fal_jupyter.gateway.http.response_writer.ResponseWriter`, and the watcher of each of its attempts).

    A failed attempt may be followed by another one, after a wait and after the end of the request in its runner.
    """

    def __init__(self, job: Job, asked: Submission, queue: Queue) -> None:
        self.job = job
        self.submitted = time.monotonic()
        self.asked: Submission | None = asked  # both until the job is over: they have the request's body
        self.exchange: ProxiedRequest | None = None
        self._queue = queue
        self._wait: float | None = None  # seconds until the next attempt, once there is to be one
        self._let_go = False
        self._timer: asyncio.TimerHandle | None = None
        self.status, self.headers, self.size = 0, [("content-type", "application/json")], 0
        self._pieces: list[bytes] = []
        self._changed = asyncio.Event()

    # --- the exchange's side ------------------------------------------------------------------------------------
    def respond(self, status: int, headers: Headers, body: bytes) -> None:
        """The head is here, and the first (or whole) body."""
        if self.job.attempts.number > 1 and self._is_refused(headers):
            return  # no runner had the last attempt: the answer of the one before it stands
        self.status = status
        self.headers = [(name, value) for name, value in headers if name.lower() not in _NOT_KEPT]
        self._pieces, self.size = [], 0
        self.write(body)

    def _is_refused(self, headers: Headers) -> bool:
        begun = self.exchange is not None and self.exchange.dispatched
        return not begun and (H_ERROR_TYPE, "runner_scheduling_failure") in headers

    def write(self, data: bytes) -> asyncio.Future[None] | None:
        """More body."""
        if data and self.job.state is not JobState.COMPLETED:
            self._pieces.append(data)
            self.size += len(data)
            if not self._queue.has_room_for(self):
                self.fail(507, "internal_error", TOO_LARGE_AN_ANSWER)
        return None

    def backed_up(self) -> bool:
        """Memory always takes more."""
        return False

    def finish(self) -> None:
        """The answer is complete."""
        exchange, told = self.exchange, dict(self.headers).get(H_ERROR_TYPE, "")
        ours = (
            exchange is not None and exchange.record.detail and told != "runner_incomplete_response"
        )  # a head that HTTP cannot carry
        if not self._is_retried(
            AttemptFailure(self.status, told if ours else "", exchange.record.needs_retry if exchange else None)
        ):
            self._end(self.status)

    def drop(self) -> None:
        """The answer broke off."""
        if self.job.state is not JobState.COMPLETED:
            self._answer(502, "runner_incomplete_response", "the answer of the app broke off")
            if not self._is_retried(AttemptFailure(502, "runner_incomplete_response")):
                self._end_request()
                self._end(502)

    def fail(self, status: int, error_type: str, detail: str, headers: Iterable[tuple[str, str]] = ()) -> None:
        """End it with an answer of the gateway, which replaces what has come from the app."""
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
        """Nobody hangs up here: who wants the job's end says so."""

    def dispatched(self) -> None:
        """A runner has it."""
        self.job.start(time.time())
        self._tell()

    def taken_back(self) -> None:
        """Its runner was dead already."""
        self.job.put_back()
        if self.job.cancel_asked:  # nothing runs any more that could end it
            self.cancel()
        self._tell()

    def printed(self, which: int, text: str) -> None:
        """It printed."""
        self.job.print(which, text, stamp())
        self._tell()

    def ended(self) -> None:
        """The attempt is over for its runner too."""
        self._let_go = True
        self._arm()

    # --- attempts -----------------------------------------------------------------------------------------------
    def _is_retried(self, failure: AttemptFailure) -> bool:
        """True where another attempt follows (that may be decided already: an answer breaks off, then its stream ends)."""
        if self._wait is not None:
            return True
        job, exchange = self.job, self.exchange
        if exchange is None or not exchange.dispatched or job.cancel_asked or job.state is JobState.COMPLETED:
            return False
        number, wait = job.attempts.number, self._queue.wait_before_retry(self, failure)
        if wait is None:
            return False
        why = " ".join(filter(None, (str(self.status), failure.error_type)))
        note = f"attempt {number} of at most {MOST_ATTEMPTS} failed ({why}); retrying in {wait:g} s"
        job.try_again(f"[fal_jupyter] {note}", stamp())
        exchange.remark(note)
        self._wait = wait
        self._arm()
        self._tell()
        return True

    def _arm(self) -> None:
        if self._wait is not None and self._let_go and self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._wait, self._try_again)

    def _try_again(self) -> None:
        self._wait = self._timer = None
        self._let_go = False
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
        self._tell()

    def cancel(self, *, force: bool = False) -> Cancelled:
        """Cancel it; gives what that meant (:meth:`fal_jupyter.domain.queue.jobs.Job.cancel`)."""
        asked = self.job.cancel(time.time(), stamp(), force=force)
        if asked in ("dropped", "forced"):
            self._pieces, self.size = [], 0
            self._end_request()
            self._queue.ended(self)
            self._tell()
        return asked

    def _end_request(self) -> None:
        """End the request, after the caller of this method has returned, and free its body."""
        if self.exchange is not None:
            asyncio.get_running_loop().call_soon(self.exchange.abort)
        self._release()

    def _release(self) -> None:
        """Nothing more is sent: free the body, and cancel an attempt that is due."""
        self.exchange = self.asked = self._wait = None
        if self._timer is not None:
            self._timer.cancel()

    def _tell(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    # --- the callers' side --------------------------------------------------------------------------------------
    def body(self) -> bytes:
        """The whole answer."""
        return b"".join(self._pieces)

    async def changes(self, ping: float) -> AsyncIterator[bool]:
        """Yield True at once and after each change until the job is over, False after *ping* seconds without one."""
        while True:
            change = self._changed
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
        """How many requests of its app are before it."""
        return self._requests.position(call.job.alias, call.job.id)

    def submit(self, asked: Submission) -> QueuedCall:
        """Take a job in; it is on its way when this returns."""
        call = QueuedCall(Job(asked.id, asked.alias, time.time()), asked, self)
        self._jobs[asked.id] = call
        self.begin(call)
        return call

    def begin(self, call: QueuedCall) -> None:
        """Begin an attempt: the first one, or another one after a failure."""
        asked = call.asked
        assert asked is not None
        left = asked.start_within
        if call.job.attempts.number > 1:
            if self._requests.spec_of(asked.alias) is None:  # stopped meanwhile
                call.give_up()
                return
            if asked.start_within and (left := call.submitted + asked.start_within - time.monotonic()) <= 0:
                told = f"the request was not with a runner within {asked.start_within:g} s, all attempts together"
                call.fail(504, "request_timeout", told, [(H_TIMEOUT_TYPE, "user")])
                return
        pairs = [(n, v) for n, v in asked.headers if n not in ("content-length", "transfer-encoding")]
        head = request_head(
            asked.id, asked.method, asked.below, asked.query, [*pairs, ("content-length", str(len(asked.body)))]
        )
        description = RequestDescription(
            id=asked.id,
            alias=asked.alias,
            head=head,
            method=asked.method,
            path=asked.below,
            origin="queue",
            content_type=asked.content_type,
            hint=asked.hint,
            start_within=left,
            low_priority=asked.low,
        )
        exchange = ProxiedRequest(self._requests, call, description, observer=call)
        call.exchange = exchange
        if asked.body:
            exchange.receive(asked.body)
        exchange.end_of_body()

    def wait_before_retry(self, call: QueuedCall, failure: AttemptFailure) -> float | None:
        """Give the seconds until the next attempt of a job whose attempt failed so; None where there is none."""
        asked, spec = call.asked, self._requests.spec_of(call.job.alias)
        if asked is None or spec is None or asked.once:
            return None
        rules = replace(spec.retry, budgets=asked.retries) if asked.retries else spec.retry
        return call.job.attempts.next(failure, rules)

    def find(self, alias: str, request_id: str) -> QueuedCall | None:
        """The job of that id, under its own app only."""
        call = self._jobs.get(request_id)
        return call if call is not None and call.job.alias == alias else None

    def waiting(self, alias: str) -> int:
        """How many requests wait for that app."""
        return self._requests.waiting(alias)

    def hold(self, request_id: str, size: int) -> tuple[int, str]:
        """Count *size* bytes of a body that comes in; gives the status and the sentence of a refusal, or 0."""
        refused = self.memory.hold(request_id, size)
        return (413 if refused == "too large" else 429, refusal_sentence(refused, self.memory)) if refused else (0, "")

    def has_room_for(self, call: QueuedCall) -> bool:
        """Count what has come of the answer; False where it is more than can be kept."""
        forgotten, fits = self.memory.answer(call.job.id, call.size)
        self._forget(forgotten)
        return fits

    def ended(self, call: QueuedCall) -> None:
        """The job is over."""
        self._forget(self.memory.ended(call.job.id, call.size + call.job.log_bytes))

    def _forget(self, jobs: list[str]) -> None:
        for job in jobs:
            del self._jobs[job]


TOO_LARGE_AN_ANSWER = f"the answer is larger than what the queue keeps ({QUEUE_BYTES_VARIABLE}): call the app directly, or return a fal.toolkit.File"


def refusal_sentence(refused: Refusal, memory: QueueMemory) -> str:
    """Say why a request is not taken, and what to do."""
    bound = size_text(memory.most_bytes)
    if refused == "too large":
        return f"the body is larger than the {bound} that the queue holds ({QUEUE_BYTES_VARIABLE}): upload it as a file, or call the app directly"
    if refused == "too many":
        return (
            f"queue full: {memory.jobs} requests are not over ({QUEUE_LENGTH_VARIABLE}); wait for some, or cancel them"
        )
    return (
        f"queue full: {memory.jobs} requests with {size_text(memory.request_bytes)} of the {bound} that it holds are not over"
        f" ({QUEUE_BYTES_VARIABLE}); wait for some, or cancel them"
    )


def stamp() -> str:
    """Now, as fal's log entries have it."""
    return datetime.datetime.now(datetime.UTC).isoformat()


def answer_of(call: QueuedCall) -> tuple[int, list[tuple[str, str]], Any]:
    """Give status, headers and body of a finished job's answer."""
    job = call.job
    if job.cancelled:
        told = {"detail": job.error, "error_type": job.error_type, "request_id": job.id}
        return job.status, [("content-type", "application/json"), (H_ERROR_TYPE, job.error_type)], told
    headers = call.headers
    if job.error_type and not any(name.lower() == H_ERROR_TYPE for name, _ in headers):
        headers = [*headers, (H_ERROR_TYPE, job.error_type)]
    return call.status, headers, call.body()
