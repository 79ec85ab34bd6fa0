"""Requests that have ended: the last ones of each app with their bodies, and figures of all of them. In memory only."""

from __future__ import annotations

import base64
import logging
import math
import time
from collections import deque
from typing import TYPE_CHECKING

import msgspec

from fal_jupyter.protocol.feed import (
    CANCELLED,
    KEPT_ENDPOINTS,
    KEPT_REQUESTS,
    Body,
    Display,
    EndpointStats,
    RequestState,
    Stats,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fal_jupyter.gateway.requests.proxied_request import ProxiedRequest
    from fal_jupyter.protocol.api import ErrorDescription

log = logging.getLogger("fal_jupyter.engine")
BODIES_BOUND = 32 << 20  # bytes of all bodies that are kept
SAMPLE = 512  # calls that percentiles are taken of
SPAN = 5  # seconds of one column of the spark line …
SPANS = 60  # … and how many it has
RATE_OVER = 10  # seconds
ERROR_BOUND = 300
_NO_ENDPOINT = (404, 405)  # a path that no endpoint has gets no figures of its own
_WALL = time.time() - time.monotonic()  # once: a wall clock that jumps must not reorder what is told


def wall_ms(monotonic: float) -> float:
    """Give the wall clock's milliseconds since 1970 at a moment of the monotonic clock (seconds)."""
    return round((monotonic + _WALL) * 1000, 1)


def state_of(exchange: ProxiedRequest) -> RequestState:
    """A request as it is now, over or not."""
    timing, description, record = exchange.timing(), exchange.description, exchange.record
    if not exchange.is_open:
        state = "done"
    elif not exchange.dispatched:
        state = "waiting"
    else:
        state = "streaming" if record.status else "running"
    return RequestState(
        id=exchange.id,
        alias=exchange.alias,
        method=description.method,
        path=description.path,
        state=state,
        origin=description.origin,
        cell=description.cell[1],
        cell_number=description.cell[0],
        began=wall_ms(exchange.clock.began),
        status=record.status,
        **timing,
        revision=exchange.revision,
        runner=exchange.runner_id,
        cold=timing["start_ms"] > 0,
        bytes_in=exchange.body.bytes_received,
        bytes_out=record.bytes_sent,
        content_type=record.content_type,
        error="",
    )


class RecordedRequest:
    """One request that has ended."""

    __slots__ = (
        "alias", "bytes_in", "bytes_out", "cell", "cold", "content_type", "error", "got", "head", "id", "method", "moments", "origin", "path", "revision", "runner",
        "sent", "sent_type", "shown", "size", "status", "told",
    )  # fmt: skip

    def __init__(self, exchange: ProxiedRequest, now: float) -> None:
        description, record = exchange.description, exchange.record
        self.id, self.alias, self.method, self.path = exchange.id, exchange.alias, description.method, description.path
        self.origin, self.cell, self.moments = description.origin, description.cell, exchange.timestamps(now)
        self.cold = self.moments.starting > 0 or (self.moments.cold and not exchange.dispatched)
        self.status = record.status or CANCELLED
        self.revision, self.runner = exchange.revision, exchange.runner_id
        self.bytes_in, self.bytes_out = exchange.body.bytes_received, record.bytes_sent
        self.content_type = record.content_type
        self.head = description.head
        self.error: ErrorDescription | None = record.error
        self.told = record.detail
        self.sent, self.sent_type = exchange.body.sample, description.content_type
        self.got = record.body()
        self.shown = record.displays
        self.size = len(self.sent) + len(self.got) + record.displays_size

    def state(self) -> RequestState:
        """As the panels see it."""
        timing = self.moments.timing()
        error = f"{self.error['type']}: {self.error['message']}" if self.error is not None else self.told
        return RequestState(
            id=self.id,
            alias=self.alias,
            method=self.method,
            path=self.path,
            state="done",
            origin=self.origin,
            cell=self.cell[1],
            cell_number=self.cell[0],
            began=wall_ms(self.moments.began),
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

    def input(self) -> Body | None:
        """What the caller sent, or None where it is not kept any more."""
        return body_of(self.sent, self.sent_type, self.bytes_in)

    def output(self) -> Body | None:
        """What the app answered, or None where it is not kept any more."""
        return body_of(self.got, self.content_type, self.bytes_out)


def query_of(head: bytes) -> str:
    """Give the query of a request by the head that its runner got, which has no token."""
    query = msgspec.json.decode(head).get("query", "") if head else ""
    return query if isinstance(query, str) else ""


def displays_of(shown: Iterable[tuple[str, bytes, str]]) -> list[Display]:
    """Give the pictures that a request displayed; those that are not kept have their text only."""
    return [Display(content_type=kind, base64=base64.b64encode(data).decode(), text=text) for kind, data, text in shown]


def body_of(data: bytes, content_type: str, size: int) -> Body | None:
    """Give the kept part of a body of *size* bytes; None where nothing of it is kept though it had something."""
    if size and not data:
        return None
    cut = len(data) < size
    try:
        return Body(content_type=content_type, size=size, text=_text(data, cut), base64="", truncated=cut)
    except UnicodeDecodeError:
        coded = base64.b64encode(data).decode()
        return Body(content_type=content_type, size=size, text="", base64=coded, truncated=cut)


def _text(data: bytes, cut: bool) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        if cut and error.end == len(data) and error.start > len(data) - 4:  # the cut went through a character
            return data[: error.start].decode()
        raise


class _Figures:
    """Calls, failures and times, of an app or of one of its endpoints."""

    def __init__(self) -> None:
        self.calls = self.failed = self.cancelled = self.cold = 0
        self._totals: deque[float] = deque(maxlen=SAMPLE)
        self._sorted: list[float] | None = []
        self._seconds: deque[list[int]] = deque(maxlen=SPAN * SPANS)

    def count(self, kept: RecordedRequest, second: int) -> None:
        self.calls += 1
        self.failed += kept.status >= 400 and kept.status != CANCELLED
        self.cancelled += kept.status == CANCELLED
        self.cold += kept.cold
        self._totals.append(1000 * (kept.moments.now - kept.moments.began))
        self._sorted = None
        if self._seconds and self._seconds[-1][0] == second:
            self._seconds[-1][1] += 1
        else:
            self._seconds.append([second, 1])

    def quiet(self, second: int) -> bool:
        return not self._seconds or self._seconds[-1][0] < second - SPAN * SPANS

    @property
    def totals(self) -> list[float]:
        """Milliseconds of the last calls, ascending; sorted anew only after a call."""
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
    """One app's requests and figures."""

    def __init__(self) -> None:
        self.requests: deque[RecordedRequest] = deque()
        self.cold_starts = 0
        self._all = _Figures()
        self._by_path: dict[str, _Figures] = {}

    def count(self, kept: RecordedRequest, second: int) -> None:
        """Take a request into the figures; it ended in *second* of the wall clock."""
        self._all.count(kept, second)
        figures = self._by_path.get(kept.path)
        if figures is None:
            if kept.status in _NO_ENDPOINT or len(self._by_path) >= KEPT_ENDPOINTS:
                return
            figures = self._by_path[kept.path] = _Figures()
        figures.count(kept, second)

    def quiet(self, second: int) -> bool:
        """True when no figure changes any more by time alone."""
        return self._all.quiet(second)

    def stats(self, second: int) -> Stats:
        """The figures at *second* of the wall clock."""
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
        """The figures of each path that was called, in the order of their first calls."""
        return [
            EndpointStats(
                path=path,
                calls=one.calls,
                failed=one.failed,
                cancelled=one.cancelled,
                sample=len(one.totals),
                p50_ms=quantile(one.totals, 0.5),
                p95_ms=quantile(one.totals, 0.95),
                max_ms=quantile(one.totals, 1),
                spark=one.over_time(second)[0],
            )
            for path, one in self._by_path.items()
        ]


def quantile(ordered: list[float], share: float) -> float:
    return round(ordered[max(0, math.ceil(share * len(ordered)) - 1)], 3) if ordered else 0.0


class RequestHistory:
    """All apps' requests that have ended.

    *fresh* are those since somebody last took them (:meth:`take_fresh`), the latest ones only.
    """

    def __init__(self, most_fresh: int) -> None:
        self.apps: dict[str, AppHistory] = {}
        self._bodies: dict[str, RecordedRequest] = {}
        self._bytes = 0
        self._most_fresh = most_fresh
        self._fresh: deque[RecordedRequest] = deque()
        self._awaited: set[str] = set()
        self._missed: list[RecordedRequest] = []
        self._skipped = 0

    def ended(self, exchange: ProxiedRequest) -> None:
        """Keep a request that has ended just now."""
        now = time.monotonic()
        kept = RecordedRequest(exchange, now)
        log.debug("request %s of %s ended: %s %s, status %s", kept.id, kept.alias, kept.method, kept.path, kept.status)
        app = self._of(kept.alias)
        app.count(kept, int(now + _WALL))
        app.requests.append(kept)
        if len(app.requests) > KEPT_REQUESTS:
            self._drop_bodies(app.requests.popleft())
        if (former := self._bodies.get(kept.id)) is not None:  # an earlier attempt of a queued request
            self._drop_bodies(former)
        if kept.size:
            self._bodies[kept.id] = kept
            self._bytes += kept.size
            while self._bytes > BODIES_BOUND:
                self._drop_bodies(next(iter(self._bodies.values())))
        self._fresh.append(kept)
        if len(self._fresh) > self._most_fresh:
            oldest = self._fresh.popleft()
            if oldest.id in self._awaited:  # it was shown as running: its end must be told
                self._missed.append(oldest)
            else:
                self._skipped += 1

    def start_awaited(self, alias: str) -> None:
        """A runner has started that a request waited for."""
        self._of(alias).cold_starts += 1

    def _of(self, alias: str) -> AppHistory:
        app = self.apps.get(alias)
        if app is None:
            app = self.apps[alias] = AppHistory()
        return app

    def _drop_bodies(self, kept: RecordedRequest) -> None:
        if self._bodies.pop(kept.id, None) is not None:
            self._bytes -= kept.size
            kept.sent = kept.got = b""
            kept.shown = [(kind, b"", text) for kind, _, text in kept.shown]
            kept.size = 0

    def take_fresh(self, shown: set[str]) -> tuple[list[RecordedRequest], int]:
        """Give what has ended since the last call, and how many more; *shown* are those that are told as running now."""
        found = [*self._missed, *self._fresh]
        skipped, self._skipped = self._skipped, 0
        self._missed, self._awaited = [], shown
        self._fresh.clear()
        return found, skipped

    def find(self, request_id: str) -> RecordedRequest | None:
        """The request, if it is still kept."""
        for app in self.apps.values():
            for kept in reversed(app.requests):
                if kept.id == request_id:
                    return kept
        return None

    def forget(self, alias: str) -> None:
        """The app is over."""
        app = self.apps.pop(alias, None)
        if app is not None:
            for kept in app.requests:
                self._drop_bodies(kept)
