"""Load tests of an app: N calls, C at a time, with live percentiles for a panel."""

from __future__ import annotations

import asyncio
import time
from bisect import insort
from collections.abc import AsyncIterator, Callable, Iterable
from typing import TypedDict

from tornado.iostream import StreamClosedError

from fal_jupyter.domain.text.json_forms import encode_json
from fal_jupyter.gateway.api.handlers import Handler
from fal_jupyter.gateway.engine.request_history import quantile
from fal_jupyter.gateway.requests.buffered_calls import CONTENT_TYPE, NO_TARGET, BufferedCall, BufferedCalls, target_of
from fal_jupyter.gateway.requests.proxied_request import ProxiedRequest

MOST_CALLS, MOST_AT_ONCE = 100_000, 256
BEAT = 0.25  # seconds between two reports
_METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE"})


class LoadTestReport(TypedDict):
    """Progress of a load test: counts, seconds since its start, calls per second, and times of calls that succeeded in milliseconds."""

    done: int
    failed: int
    running: int
    total: int
    seconds: float
    rate: float
    p50_ms: float
    p95_ms: float
    max_ms: float
    over: bool


class _Measured(BufferedCall):
    """A response of the load test: its status and end are counted, its body is discarded."""

    finished_at = 0.0  # monotonic seconds: when the history of requests takes its time, too

    def finish(self) -> None:
        self.finished_at = time.monotonic()
        super().finish()

    def _keep(self, data: bytes) -> None:
        self.size += len(data)
        self._changes.notify()


class LoadTest:
    """N calls of one endpoint, C at a time; it ends early when :meth:`stop` is called."""

    def __init__(self, begin: Callable[[BufferedCall], ProxiedRequest], total: int, at_once: int) -> None:
        self._begin, self.total, self._at_once = begin, total, min(at_once, total)
        self._times: list[float] = []  # of calls that succeeded, ascending
        self._started = self._done = self._failed = 0
        self._running: set[ProxiedRequest] = set()
        self._began = time.monotonic()

    async def follow(self) -> AsyncIterator[LoadTestReport]:
        """Make the calls, and yield a report four times a second; the last one has ``over``."""
        workers = [asyncio.ensure_future(self._work()) for _ in range(self._at_once)]
        try:
            waiting = set(workers)
            while waiting:
                _, waiting = await asyncio.wait(waiting, timeout=BEAT)
                yield self.report(over=not waiting)
        finally:
            for worker in workers:
                worker.cancel()
            for request in list(self._running):
                request.disconnect()

    async def _work(self) -> None:
        while self._started < self.total:
            self._started += 1
            answer = _Measured()
            request = self._begin(answer)
            self._running.add(request)
            try:
                await answer.ended()
            finally:
                self._running.discard(request)
            self._done += 1
            if answer.broken or answer.status >= 400:
                self._failed += 1
            else:
                insort(self._times, request.clock.at(answer.finished_at).timing()["total_ms"])

    def report(self, *, over: bool) -> LoadTestReport:
        """The current progress."""
        ordered, passed = self._times, max(time.monotonic() - self._began, 1e-6)
        return LoadTestReport(
            done=self._done,
            failed=self._failed,
            running=len(self._running),
            total=self.total,
            seconds=round(passed, 3),
            rate=self._done / passed,
            p50_ms=quantile(ordered, 0.5),
            p95_ms=quantile(ordered, 0.95),
            max_ms=quantile(ordered, 1),
            over=over,
        )


class LoadTestHandler(Handler):
    """``POST /admin/apps/{alias}/load?path=&method=&calls=&at_once=``: the body is that of each call; the answer is a report per line."""

    _task: asyncio.Task[None] | None = None

    async def post(self, alias: str) -> None:
        target = target_of(self.get_query_argument("path", "/"), self.get_query_argument("method", "POST"), _METHODS)
        total, at_once = self._number("calls", MOST_CALLS), self._number("at_once", MOST_AT_ONCE)
        if alias not in self.gateway.deployments.published:
            self.fail(404, "not_served", f"no app {alias} is running")
        elif target is None:
            self.fail(400, "bad_request", NO_TARGET)
        elif total is None or at_once is None:
            problem = f"calls is 1 to {MOST_CALLS} and at_once 1 to {MOST_AT_ONCE}"
            self.fail(400, "bad_request", problem)
        else:
            kind = self.request.headers.get("content-type", "application/json")
            headers = (
                ("accept", "*/*"),
                ("host", "localhost"),
                ("content-type", kind if CONTENT_TYPE.fullmatch(kind) else "application/json"),
            )
            await self._run(
                LoadTest(_caller(self.gateway.calls, (alias, *target), headers, self.request.body), total, at_once)
            )

    def _number(self, name: str, most: int) -> int | None:
        text = self.get_query_argument(name, "")
        return int(text) if text.isascii() and text.isdigit() and len(text) < 9 and 1 <= int(text) <= most else None

    async def _run(self, run: LoadTest) -> None:
        self.set_header("content-type", "application/x-ndjson")
        self._task = asyncio.current_task()
        reports = run.follow()
        try:
            async for report in reports:
                self.write(encode_json(report) + b"\n")
                await self.flush()
        except (StreamClosedError, asyncio.CancelledError):
            return  # the panel disconnected, which ends the load
        finally:
            await reports.aclose()  # type: ignore[attr-defined]

    def on_connection_close(self) -> None:
        """The panel stopped the load, or was closed."""
        if self._task is not None:
            self._task.cancel()


def _caller(
    calls: BufferedCalls, target: tuple[str, str, str, str], headers: Iterable[tuple[str, str]], body: bytes
) -> Callable[[BufferedCall], ProxiedRequest]:
    return lambda answer: calls.begin(answer, *target, headers, body, origin="load")[1]
