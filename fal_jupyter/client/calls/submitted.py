"""``job = Hello.submit.generate(...)``: a request in the gateway's queue, with the names of fal's own client."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Generator, Iterable, Iterator
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import quote, urlencode

import msgspec

from fal_jupyter.client.calls.events import ServerSentEvents
from fal_jupyter.client.calls.interface import CallingClient
from fal_jupyter.client.calls.results import failure
from fal_jupyter.client.connection.answer import Answer, OnOutput
from fal_jupyter.client.connection.control_connection import decoded
from fal_jupyter.client.connection.flows import Item, Stream, in_thread, iterate, iterate_async, run, run_async
from fal_jupyter.domain.errors import (
    BadArguments,
    FalJupyterError,
    GatewayError,
    GatewayStopped,
    NotServed,
    RequestError,
)
from fal_jupyter.domain.text.nearest import hint_for
from fal_jupyter.protocol.api import (
    H_HINT,
    H_PRIORITY,
    H_START_WITHIN,
    Q_FORCE,
    Q_WEBHOOK,
    QUEUE,
    EndRecord,
    Timing,
)

if TYPE_CHECKING:
    from fal_jupyter.client.calls.request_parts import RequestParts
    from fal_jupyter.domain.spec import AppSpec

_ID = re.compile(r"[A-Za-z0-9-]{1,64}")


# --- statuses of a request: names and fields of fal_client ----------------------------------------------------------
@dataclass
class Queued:
    """It is waiting; *position* requests of its app are ahead of it."""

    position: int


@dataclass
class InProgress:
    """A runner works on it. *logs* are its lines so far, if requested."""

    logs: list[dict[str, object]] | None


@dataclass
class Completed:
    """It has ended. *error* and *error_type* give the reason if it failed or was cancelled."""

    logs: list[dict[str, object]] | None
    metrics: dict[str, object] = field(default_factory=dict)
    error: str | None = None
    error_type: str | None = None


Status = Queued | InProgress | Completed


class _StatusRecord(msgspec.Struct):
    """A status as the queue sends it."""

    status: str
    queue_position: int = 0
    logs: list[dict[str, object]] | None = None
    metrics: dict[str, object] = msgspec.field(default_factory=dict)
    error: str | None = None
    error_type: str | None = None


def status_of(record: _StatusRecord, logs: list[dict[str, object]] | None) -> Status:
    """Return the status in *record*, with *logs* in place of its own."""
    if record.status == "IN_QUEUE":
        return Queued(record.queue_position)
    if record.status == "IN_PROGRESS":
        return InProgress(logs)
    return Completed(logs, record.metrics, record.error, record.error_type)


class _Tail:
    """Collects the log lines of a status stream, which sends each line once."""

    def __init__(self, with_logs: bool) -> None:
        self._decoder = ServerSentEvents()
        self._logs: list[dict[str, object]] | None = [] if with_logs else None

    def feed(self, data: bytes) -> Iterator[Status]:
        """Take bytes; return the statuses that are complete now, each with all lines so far."""
        for event in self._decoder.feed(data):
            if isinstance(event, dict):
                record = msgspec.convert(event, _StatusRecord)
                if self._logs is not None:
                    self._logs = [*self._logs, *(record.logs or ())]
                yield status_of(record, self._logs)


class Events:
    """A request's statuses as they change, the first at once, the last is :class:`Completed`: with ``for`` or ``async for``.

    Raises:
        RequestError: while it is iterated over: the gateway does not know the request, or has ended.
    """

    def __init__(self, job: QueuedRequest, with_logs: bool) -> None:
        self._job, self._with_logs = job, with_logs

    def __repr__(self) -> str:
        return f"<events of {self._job.request_id}: iterate over them>"

    def __iter__(self) -> Iterator[Status]:
        yield from iterate(self._statuses())

    async def __aiter__(self) -> AsyncIterator[Status]:
        async with aclosing(iterate_async(self._statuses())) as statuses:
            async for status in statuses:
                yield status

    def _statuses(self) -> Stream[Status, None]:
        return self._job._follow(with_logs=self._with_logs)


class SubmittingApp(Protocol):
    """The app whose requests are queued (:class:`fal_jupyter.client.handle.AppHandle`)."""

    spec: AppSpec

    @property
    def app(self) -> str:
        """Its id, ``owner/alias``."""

    @property
    def client(self) -> CallingClient:
        """The gateway that has it."""

    @property
    def base(self) -> str:
        """``http://127.0.0.1:PORT``."""

    @property
    def on_output(self) -> OnOutput | None:
        """Receives what the endpoint prints during one call."""

    def endpoint_at(self, path: str) -> str:
        """The method's name of the endpoint at *path*, ``""`` where there is none."""

    def value_of(self, name: str, answer: Answer) -> object:
        """Return the value of an answer of the endpoint *name*.

        Raises:
            RequestError: the answer is a failure.
        """

    def queue_call(
        self, name: str, args: tuple[object, ...], kwargs: dict[str, object], options: SubmitOptions
    ) -> QueuedRequest:
        """Put a call of the endpoint *name* into the queue."""


class QueuedRequest:
    """A request in the queue. ``get()`` waits for its value, as a plain call does; ``await job`` in an asynchronous cell.

    It runs whether or not a caller waits for it, and its answer is kept for a while. Another process, or this one after a
    restart, gets it by ``Hello.submit.get_handle(request_id)``.

    Attributes:
        request_id: its id. endpoint: the method's name, ``""`` where only the id is known.
        response_url, status_url, cancel_url: for other callers, which need the key.
    """

    def __init__(self, handle: SubmittingApp, endpoint: str, request_id: str, gateway: int = 0) -> None:
        self._handle, self._client = handle, handle.client
        self.endpoint, self.request_id, self._gateway = endpoint, request_id, gateway
        self._address = f"{QUEUE}{handle.app}/requests/{request_id}"
        self._last: Status | None = None
        self._printed = 0

    @property
    def response_url(self) -> str:
        """URL of its answer."""
        return f"{self._handle.base}{self._address}"

    @property
    def status_url(self) -> str:
        """URL of its status."""
        return f"{self.response_url}/status"

    @property
    def cancel_url(self) -> str:
        """URL that cancels it on ``PUT``."""
        return f"{self.response_url}/cancel"

    def __repr__(self) -> str:
        match self._last:
            case None:
                state = "submitted"
            case Queued(position):
                state = f"queued, {position} before it"
            case InProgress():
                state = "in progress"
            case Completed(error=error):
                state = f"failed: {error}" if error else "completed"
        return f"<request {self.request_id} of {self._name}: {state}>"

    @property
    def _name(self) -> str:
        return f"{self._handle.spec.class_name}.{self.endpoint or 'submit'}"

    # --- status -----------------------------------------------------------------------------------------------------
    def status(self, *, with_logs: bool = False) -> Status:
        """Return :class:`Queued`, :class:`InProgress` or :class:`Completed`.

        Raises:
            RequestError: the gateway does not know it, or no longer.
        """
        record = decoded(self._fetch("GET", f"{self._address}/status?logs={int(with_logs)}"), _StatusRecord)
        self._last = status_of(record, record.logs)
        return self._last

    def iter_events(self, *, with_logs: bool = False) -> Events:
        """Return its statuses as they change, for ``for`` and ``async for``."""
        return Events(self, with_logs)

    def cancel(self, *, force: bool = False) -> None:
        """Cancel it: a waiting request is dropped; a running one continues until the app ends it.

        The app gets ``POST {path}/cancel`` with the same request id, as on fal. Without such an endpoint the request runs on.

        Args:
            force: end a running request in any case: an exception is raised in its code, then its runner is replaced.

        Raises:
            RequestError: it has already ended (400), or is unknown (404).
        """
        self._fetch("PUT", f"{self._address}/cancel" + (f"?{Q_FORCE}=1" if force else ""))

    # --- its value --------------------------------------------------------------------------------------------------
    def get(self) -> Any:
        """Wait until it has ended and return the endpoint's answer; its output is printed as it arrives.

        Raises:
            RequestError: it failed or was cancelled; the user's own traceback is in it.
        """
        __tracebackhide__ = True
        try:
            return run(self._result())
        except KeyboardInterrupt as stop:
            _goes_on(stop, self._name)
            raise

    def __await__(self) -> Generator[Any, None, Any]:
        return run_async(self._result()).__await__()

    def _result(self) -> Stream[Status, object]:
        yield from self._follow(with_logs=True, show=self._show)
        return (yield from in_thread(self._value))

    def _show(self, status: Status) -> None:
        """Print the lines that were not printed yet."""
        show = self._handle.on_output
        if isinstance(status, Queued) or show is None or status.logs is None:
            return
        for line in status.logs[self._printed :]:
            self._printed += 1  # before it is shown: an interrupt at that moment must not show it twice
            show(2 if line["level"] == "STDERR" else 1, f"{line['message']}\n")

    def _value(self) -> object:
        __tracebackhide__ = True
        answer, gateway = self._request("GET", self._address)
        if answer.status == 404 and self._gateway not in (0, gateway):
            raise _lost()
        try:
            recorded = self._client.control.request(self.request_id)
        except NotServed:  # of another gateway, or too old: only its answer is available
            recorded = None
        if recorded is not None:
            record = recorded["request"]
            answer.error = recorded["error"]
            answer.end = EndRecord(
                request_id=self.request_id,
                status=answer.status,
                revision=record["revision"],
                runner=record["runner"],
                timing=Timing(
                    queue_ms=record["queue_ms"],
                    start_ms=record["start_ms"],
                    transfer_ms=record["transfer_ms"],
                    run_ms=record["run_ms"],
                    stream_ms=record["stream_ms"],
                    total_ms=record["total_ms"],
                ),
            )
            self.endpoint = self.endpoint or self._handle.endpoint_at(record["path"])
        return self._handle.value_of(self.endpoint, answer)

    # --- requests ---------------------------------------------------------------------------------------------------
    def _follow(self, *, with_logs: bool, show: Callable[[Status], None] | None = None) -> Stream[Status, None]:
        """Yield its statuses as they change, and *show* each."""
        status: Status | None = None
        tail, target = _Tail(with_logs), f"{self._address}/status/stream?logs={int(with_logs)}"
        try:
            response = yield from self._client.connections.opening("GET", target)
        except (OSError, GatewayError) as error:
            raise _lost(error) from None
        try:
            if response.status != 200:
                body = yield from response.receive_all()
                raise self._failed(response.status, response.headers, body, response.gateway)
            while piece := (yield from response.receive()):
                for status in tail.feed(piece):
                    self._last = status
                    if show is not None:
                        show(status)  # its own OSError (a closed pipe) is not the gateway's
                    yield Item(status)
        except GatewayError as error:
            raise _lost(error) from None
        finally:
            response.drop()
        if not isinstance(status, Completed):
            raise _lost()

    def _fetch(self, method: str, target: str) -> bytes:
        answer, gateway = self._request(method, target)
        if answer.status >= 400:
            raise self._failed(answer.status, dict(answer.headers), answer.body, gateway)
        return answer.body

    def _request(self, method: str, target: str) -> tuple[Answer, int]:
        try:
            response = self._client.connections.open(method, target)
            answer = Answer(status=response.status, headers=list(response.headers.items()), body=response.read())
            return answer, response.gateway
        except (OSError, GatewayError) as error:
            raise _lost(error) from None

    def _failed(self, status: int, headers: dict[str, str], body: bytes, gateway: int) -> FalJupyterError:
        if status == 404 and self._gateway not in (0, gateway):
            return _lost()
        if _status_in(body) == "ALREADY_COMPLETED":
            body = b'{"detail": "the request is over already"}'
        error = failure(Answer(status=status, headers=list(headers.items()), body=body), self._name)
        if status == 404:
            error.hint = "a gateway forgets its queue when it ends, and the oldest answers when there are too many"
        return error


class Submit:
    """``Hello.submit.generate(...)`` puts a call into the queue and returns a :class:`QueuedRequest` immediately.

    ``Hello.submit(priority="low").generate(...)`` sets options: *priority* ``"normal"`` or ``"low"``, *start_timeout* in seconds,
    *webhook_url* for the result, *hint* for a runner, further *headers*. By id: ``get_handle``, and ``status``, ``result``,
    ``cancel`` where no endpoint has that name.
    """

    def __init__(self, handle: SubmittingApp, names: Iterable[str], options: SubmitOptions | None = None) -> None:
        self._handle, self._names, self._options = handle, tuple(names), options or SubmitOptions()

    def __call__(
        self,
        *args: object,
        priority: str | None = None,
        start_timeout: float | None = None,
        webhook_url: str | None = None,
        hint: str | None = None,
        headers: dict[str, str] | None = None,
        **others: object,
    ) -> Submit:
        """Return the same with options for the calls that follow.

        Raises:
            BadArguments: *priority* is neither ``"normal"`` nor ``"low"``, or an endpoint's arguments are given.
        """
        if args or others:
            message = f"{self._call_text}(...) takes how to queue: priority, start_timeout, webhook_url, hint, headers"
            hint_of_place = (
                f"arguments go behind an endpoint's name: {self._call_text}.{next(iter(self._names), 'name')}(...)"
            )
            raise BadArguments(message, hint=hint_of_place)
        if priority not in (None, "normal", "low"):
            raise BadArguments(f"priority is 'normal' or 'low', not {priority!r}")
        options = [(H_PRIORITY, priority), (H_START_WITHIN, start_timeout), (H_HINT, hint)]
        all_headers = {**(headers or {}), **{name: str(value) for name, value in options if value is not None}}
        return Submit(self._handle, self._names, SubmitOptions(tuple(all_headers.items()), webhook_url))

    def get_handle(self, request_id: str) -> QueuedRequest:
        """Return a request that was submitted before, by this process or another.

        Raises:
            BadArguments: that is not a request id.
        """
        if not isinstance(request_id, str) or not _ID.fullmatch(request_id):
            raise BadArguments(f"{request_id!r:.80} is not a request id", hint="job.request_id has it")
        return QueuedRequest(self._handle, "", request_id)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name.startswith("_"):
            raise AttributeError(name)
        if name in self._names:
            return self._submitter(name)
        by_id: dict[str, Callable[..., Any]] = {
            "status": lambda request_id, *, with_logs=False: self.get_handle(request_id).status(with_logs=with_logs),
            "result": lambda request_id: self.get_handle(request_id).get(),
            "cancel": lambda request_id, *, force=False: self.get_handle(request_id).cancel(force=force),
        }
        if name in by_id:
            return by_id[name]
        meant = hint_for(name, self._names) if self._names else "there are: none"
        raise AttributeError(f"{self._call_text} has no endpoint {name!r}; {meant}", name=name, obj=self)

    def _submitter(self, name: str) -> Callable[..., QueuedRequest]:
        def submit(*args: object, **kwargs: object) -> QueuedRequest:
            __tracebackhide__ = True
            return self._handle.queue_call(name, args, kwargs, self._options)

        submit.__name__ = name
        return submit

    def __dir__(self) -> list[str]:
        return [*dict.fromkeys([*self._names, "get_handle", "status", "result", "cancel"])]

    @property
    def _call_text(self) -> str:
        return f"{self._handle.spec.class_name}.submit"

    def __repr__(self) -> str:
        return f"<{self._call_text}: {', '.join(self._names) or 'no endpoints'}>"


@dataclass(frozen=True, slots=True)
class SubmitOptions:
    """Options of a queued request."""

    headers: tuple[tuple[str, str], ...] = ()
    webhook_url: str | None = None


def submit(handle: SubmittingApp, name: str, parts: RequestParts, options: SubmitOptions) -> QueuedRequest:
    """Put a request into the queue; it is queued when this returns.

    Raises:
        RequestError: it was refused: an option is invalid, or its app does not exist.
    """
    query = [parts.query] if parts.query else []
    query += [urlencode({Q_WEBHOOK: options.webhook_url})] if options.webhook_url else []
    target = f"{QUEUE}{handle.app}{quote(parts.path, safe='/')}" + (f"?{'&'.join(query)}" if query else "")
    headers = (("content-type", parts.content_type), *options.headers, *parts.headers)
    try:
        response = handle.client.connections.open("POST", target, headers, parts.body)
        answer = Answer(status=response.status, headers=list(response.headers.items()), body=response.read())
    except (OSError, GatewayError) as error:
        raise _lost(error) from None
    except ValueError as error:
        raise BadArguments(str(error)) from None
    if answer.status >= 400:
        raise failure(answer, f"{handle.spec.class_name}.submit.{name}")
    return QueuedRequest(handle, name, decoded(answer.body, _Accepted).request_id, response.gateway)


class _Accepted(msgspec.Struct):
    """The response to a submission."""

    request_id: str


def _status_in(body: bytes) -> str:
    try:
        return decoded(body, _StatusRecord).status
    except (ValueError, GatewayError):  # a failure, which has none
        return ""


def _lost(error: Exception | None = None) -> FalJupyterError:
    if isinstance(error, GatewayStopped):
        return error
    return RequestError(
        "the gateway has ended, and its queue with it",
        status=503,
        error_type="internal_error",
        hint="submit it again: a new gateway is started for it",
    )


def _goes_on(stop: KeyboardInterrupt, name: str) -> None:
    """The interrupt as one line: the request itself continues."""
    message = f"KeyboardInterrupt: no longer waiting; {name}() is still running: job.get() waits for it again, job.cancel() ends it"
    stop._render_traceback_ = lambda: [message]  # type: ignore[attr-defined]
