"""Requests that have ended: the last ones of each app with their bodies, and statistics over all. In memory only."""

from __future__ import annotations

import base64
import logging
import math
import time
from collections import deque
from typing import TYPE_CHECKING

import msgspec

from fal_jupyter.domain.requests.outputs import may_give_output
from fal_jupyter.protocol.feed import (
    CANCELLED,
    MAX_ENDPOINTS,
    MAX_REQUESTS,
    Body,
    Display,
    EndpointStats,
    RequestState,
    Stats,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from fal_jupyter.gateway.requests.proxied_request import ProxiedRequest
    from fal_jupyter.gateway.requests.request_description import RequestDescription
    from fal_jupyter.gateway.requests.request_timestamps import RequestTimestamps
    from fal_jupyter.gateway.storage.kept_inputs import KeptInput
    from fal_jupyter.protocol.api import ErrorDescription

log = logging.getLogger("fal_jupyter.engine")
BODIES_BOUND = 32 << 20  # bytes of all recorded bodies
SAMPLE = 512  # calls that succeeded, for percentiles
SPAN = 5  # seconds per column of the sparkline …
SPANS = 60  # … and the number of columns
RATE_OVER = 10  # seconds
ERROR_BOUND = 300
_NO_ENDPOINT = (404, 405)  # an unknown path gets no separate statistics
_WALL = time.time() - time.monotonic()  # read once: a jump of the wall clock must not reorder requests


def wall_ms(monotonic: float) -> float:
    """Convert a time of the monotonic clock (seconds) to milliseconds since 1970."""
    return round((monotonic + _WALL) * 1000, 1)


def state_of(request: ProxiedRequest) -> RequestState:
    """Return the state of a request that has not been recorded yet."""
    timing, description, record = request.timing(), request.description, request.record
    if not request.is_open:
        state = "done"
    elif not request.dispatched:
        state = "waiting"
    else:
        state = "streaming" if record.status else "running"
    return RequestState(
        id=request.id,
        alias=request.alias,
        method=description.method,
        path=description.path,
        state=state,
        origin=description.origin,
        cell=description.cell[1],
        cell_number=description.cell[0],
        began=wall_ms(request.clock.began),
        status=record.status,
        **timing,
        revision=request.revision,
        runner=request.runner_id,
        cold=timing["start_ms"] > 0,
        bytes_in=request.body.bytes_received,
        bytes_out=record.bytes_sent,
        content_type=record.content_type,
        error="",
    )


class RecordedRequest(msgspec.Struct, eq=False, gc=False):
    """One request that has ended."""

    id: str
    alias: str
    description: RequestDescription
    timestamps: RequestTimestamps
    cold: bool
    status: int
    revision: int
    runner: str
    bytes_in: int
    bytes_out: int
    content_type: str
    error: ErrorDescription | None
    detail: str
    request_body: bytes
    response_body: bytes
    displays: list[tuple[str, bytes, str]]
    size: int
    kept_input: KeptInput | None = None

    @staticmethod
    def of(request: ProxiedRequest, now: float) -> RecordedRequest:
        """Record a request that ended at *now*."""
        record, body, timestamps = request.record, request.body, request.clock.at(now)
        request_body, response_body, kept = body.sample, record.body(), body.kept
        if kept is not None:
            if not body.is_read:
                kept.release()  # the rest of its body never came
                kept = None
            elif (outline := kept.outline) is not None:
                request_body = outline  # it says more than the beginning, and is shorter
        return RecordedRequest(
            request.id,
            request.alias,
            request.description,
            timestamps,
            timestamps.starting > 0 or (timestamps.cold and not request.dispatched),
            record.status or CANCELLED,
            request.revision,
            request.runner_id,
            body.bytes_received,
            record.bytes_sent,
            record.content_type,
            record.error,
            record.detail,
            request_body,
            response_body,
            record.displays,
            len(request_body) + len(response_body) + record.displays_size,
            kept,
        )

    @property
    def is_load(self) -> bool:
        """Whether a load made it, with hundreds of the same."""
        return self.description.origin == "load"

    def has_failed(self) -> bool:
        """Whether it failed: a status of 400 or more, or an answer that broke off; a cancelled request has not."""
        return self.status != CANCELLED and (self.status >= 400 or self.error is not None or bool(self.detail))

    def state(self) -> RequestState:
        """The record for panels."""
        description, timing = self.description, self.timestamps.timing()
        error = f"{self.error['type']}: {self.error['message']}" if self.error is not None else self.detail
        return RequestState(
            id=self.id,
            alias=self.alias,
            method=description.method,
            path=description.path,
            state="done",
            origin=description.origin,
            cell=description.cell[1],
            cell_number=description.cell[0],
            began=wall_ms(self.timestamps.began),
            status=self.status,
            **timing,
            revision=self.revision,
            runner=self.runner,
            cold=self.cold,
            bytes_in=self.bytes_in,
            bytes_out=self.bytes_out,
            content_type=self.content_type,
            error=error[:ERROR_BOUND],
        )

    def __str__(self) -> str:
        return (
            f"{self.id} of {self.alias} ended: {self.description.method} {self.description.path}, status {self.status}"
        )

    def input(self) -> Body | None:
        """The request's body, or None if it was dropped."""
        return input_of(self.request_body, self.description.content_type, self.bytes_in, self.kept_input)

    def output(self) -> Body | None:
        """The answer's body, or None if it was dropped."""
        return body_of(self.response_body, self.content_type, self.bytes_out)


def outside_loads(ended: Iterable[RecordedRequest]) -> list[RecordedRequest]:
    """Return the requests that no load made, newest first."""
    return sorted((one for one in ended if not one.is_load), key=lambda one: -one.timestamps.began)


def answers(requests: Sequence[RecordedRequest]) -> list[str]:
    """Return the ids of those of :func:`outside_loads` that may have given an output."""
    return [one.id for one in requests if may_give_output(one.status, one.content_type)]


def newest_result(requests: Sequence[RecordedRequest]) -> str:
    """Return the id of the newest of :func:`outside_loads` that a panel made, else of the newest one, else ``""``."""
    of_panels = (one.id for one in requests if one.description.origin == "panel")
    return next(of_panels, requests[0].id if requests else "")


def input_of(sample: bytes, content_type: str, size: int, kept: KeptInput | None) -> Body | None:
    """Return what is recorded of a request's body: its beginning, or the outline of a large one."""
    body = body_of(sample, content_type, size)
    return body if body is None or kept is None else kept.describe(body)


def query_of(head: bytes) -> str:
    """Return the query in the head that the runner received, which has no token."""
    query = msgspec.json.decode(head).get("query", "") if head else ""
    return query if isinstance(query, str) else ""


def displays_of(displays: Iterable[tuple[str, bytes, str]]) -> list[Display]:
    """Return the pictures that a request displayed; those whose data was dropped have only their text."""
    return [
        Display(content_type=kind, base64=base64.b64encode(data).decode(), text=text) for kind, data, text in displays
    ]


def body_of(data: bytes, content_type: str, size: int) -> Body | None:
    """Return the recorded part of a body of *size* bytes; None if nothing of a non-empty body is recorded."""
    if size and not data:
        return None
    truncated = len(data) < size
    try:
        return Body(content_type=content_type, size=size, text=_text(data, truncated), base64="", truncated=truncated)
    except UnicodeDecodeError:
        encoded = base64.b64encode(data).decode()
        return Body(content_type=content_type, size=size, text="", base64=encoded, truncated=truncated)


def _text(data: bytes, truncated: bool) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        if truncated and error.end == len(data) and error.start > len(data) - 4:  # truncated within a character
            return data[: error.start].decode()
        raise


class _CallStatistics:
    """Calls, failures and times, of an app or of one of its endpoints. Only calls that succeeded have a time: how long a
    failure took says nothing about the endpoint."""

    def __init__(self) -> None:
        self.calls = self.failed = self.cancelled = self.cold = 0
        self._totals: deque[float] = deque(maxlen=SAMPLE)
        self._sorted: list[float] | None = []
        self._seconds: deque[list[int]] = deque(maxlen=SPAN * SPANS)  # seconds with calls, and their number
        self._last = [-1, 0]  # the newest second

    def count(self, recorded: RecordedRequest, total_ms: float, second: int) -> None:
        self.calls += 1
        if recorded.status == CANCELLED:
            self.cancelled += 1
        elif recorded.has_failed():
            self.failed += 1
        else:
            self._totals.append(total_ms)
            self._sorted = None
        if recorded.cold:
            self.cold += 1
        if self._last[0] == second:
            self._last[1] += 1
        else:
            self._last = [second, 1]
            self._seconds.append(self._last)

    def quiet(self, second: int) -> bool:
        return self._last[0] < second - SPAN * SPANS

    @property
    def totals(self) -> list[float]:
        """Milliseconds of the last calls that succeeded, ascending; sorted again only after a call."""
        if self._sorted is None:
            self._sorted = sorted(self._totals)
        return self._sorted

    def over_time(self, second: int) -> tuple[list[int], int]:
        """Calls by span, and those of the last seconds, at *second* of the wall clock."""
        latest = second // SPAN
        spark = [0] * SPANS
        recent = 0
        for when, calls in self._seconds:
            column = when // SPAN - latest + SPANS - 1
            if 0 <= column < SPANS:
                spark[column] += calls
            if when > second - RATE_OVER:
                recent += calls
        return spark, recent


class AppHistory:
    """One app's requests and statistics."""

    def __init__(self) -> None:
        self.requests: deque[RecordedRequest] = deque()
        self.cold_starts = 0
        self._loads = 0  # of the requests
        self._all = _CallStatistics()
        self._by_path: dict[str, _CallStatistics] = {}

    def add(self, recorded: RecordedRequest) -> RecordedRequest | None:
        """Record a request, and return the one that is dropped for it: of a load as long as those are more than half."""
        self.requests.append(recorded)
        self._loads += recorded.is_load
        if len(self.requests) <= MAX_REQUESTS:
            return None
        position = 0
        if self._loads > MAX_REQUESTS // 2:
            position = next(index for index, one in enumerate(self.requests) if one.is_load)
        dropped = self.requests[position]
        del self.requests[position]
        self._loads -= dropped.is_load
        return dropped

    def count(self, recorded: RecordedRequest, second: int) -> None:
        """Count a request, which ended in *second* of the wall clock."""
        timestamps, path = recorded.timestamps, recorded.description.path
        total_ms = 1000 * (timestamps.now - timestamps.began)
        self._all.count(recorded, total_ms, second)
        statistics = self._by_path.get(path)
        if statistics is None:
            if recorded.status in _NO_ENDPOINT or len(self._by_path) >= MAX_ENDPOINTS:
                return
            statistics = self._by_path[path] = _CallStatistics()
        statistics.count(recorded, total_ms, second)

    def quiet(self, second: int) -> bool:
        """True if no figure changes with time."""
        return self._all.quiet(second)

    def stats(self, second: int) -> Stats:
        """The statistics at *second* of the wall clock."""
        totals = self._all.totals
        spark, recent = self._all.over_time(second)
        return Stats(
            calls=self._all.calls,
            failed=self._all.failed,
            cancelled=self._all.cancelled,
            cold=self._all.cold,
            cold_starts=self.cold_starts,
            rate=recent / RATE_OVER,
            sample=len(totals),
            p50_ms=quantile(totals, 0.5),
            p95_ms=quantile(totals, 0.95),
            max_ms=quantile(totals, 1),
            spark=spark,
            spark_time=second // SPAN * SPAN * 1000.0,
        )

    def by_endpoint(self, second: int) -> list[EndpointStats]:
        """The statistics by path, in the order of the first calls."""
        return [
            EndpointStats(
                path=path,
                calls=statistics.calls,
                failed=statistics.failed,
                cancelled=statistics.cancelled,
                sample=len(statistics.totals),
                p50_ms=quantile(statistics.totals, 0.5),
                p95_ms=quantile(statistics.totals, 0.95),
                max_ms=quantile(statistics.totals, 1),
                spark=statistics.over_time(second)[0],
            )
            for path, statistics in self._by_path.items()
        ]


def quantile(ordered: list[float], share: float) -> float:
    return round(ordered[max(0, math.ceil(share * len(ordered)) - 1)], 3) if ordered else 0.0


class RequestHistory:
    """The ended requests of all apps.

    Those since the last :meth:`take_new` are also stored separately, up to *most_new*.
    """

    def __init__(self, most_new: int) -> None:
        self.apps: dict[str, AppHistory] = {}
        self._bodies: dict[str, RecordedRequest] = {}
        self._bytes = 0
        self._most_new = most_new
        self._new: deque[RecordedRequest] = deque()
        self._awaited: set[str] = set()
        self._missed: list[RecordedRequest] = []
        self._skipped = 0

    def ended(self, request: ProxiedRequest) -> None:
        """Record a request that has ended just now."""
        now = time.monotonic()
        recorded = RecordedRequest.of(request, now)
        if log.isEnabledFor(logging.DEBUG):
            log.debug("request %s", recorded)
        app = self._of(recorded.alias)
        app.count(recorded, int(now + _WALL))
        if (oldest := app.add(recorded)) is not None:
            self._drop_bodies(oldest)
        if (former := self._bodies.get(recorded.id)) is not None:  # an earlier attempt of a queued request
            self._drop_bodies(former)
        if recorded.size:
            self._bodies[recorded.id] = recorded
            self._bytes += recorded.size
            while self._bytes > BODIES_BOUND:
                self._drop_bodies(next(iter(self._bodies.values())))
        self._new.append(recorded)
        if len(self._new) > self._most_new:
            oldest = self._new.popleft()
            if oldest.id in self._awaited:  # it was shown as running, so its end must be shown too
                self._missed.append(oldest)
            else:
                self._skipped += 1

    def start_awaited(self, alias: str) -> None:
        """Count the start of a runner that a request waited for."""
        self._of(alias).cold_starts += 1

    def _of(self, alias: str) -> AppHistory:
        app = self.apps.get(alias)
        if app is None:
            app = self.apps[alias] = AppHistory()
        return app

    def _drop_bodies(self, recorded: RecordedRequest) -> None:
        if self._bodies.pop(recorded.id, None) is not None:
            self._bytes -= recorded.size
            recorded.request_body = recorded.response_body = b""
            if recorded.kept_input is not None:
                recorded.kept_input.release()
                recorded.kept_input = None
            if recorded.displays:
                recorded.displays = [(kind, b"", text) for kind, _, text in recorded.displays]
            recorded.size = 0

    def take_new(self, running: set[str]) -> tuple[list[RecordedRequest], int]:
        """Return the requests that ended since the last call, and how many more; *running* are the ids that are shown as running."""
        ended = [*self._missed, *self._new]
        skipped, self._skipped = self._skipped, 0
        self._missed, self._awaited = [], running
        self._new.clear()
        return ended, skipped

    def find(self, request_id: str) -> RecordedRequest | None:
        """The request of that id, if it is recorded."""
        for app in self.apps.values():
            for recorded in reversed(app.requests):
                if recorded.id == request_id:
                    return recorded
        return None

    def forget(self, alias: str) -> None:
        """Drop the requests of an app that has ended."""
        app = self.apps.pop(alias, None)
        if app is not None:
            for recorded in app.requests:
                self._drop_bodies(recorded)
