"""``Hello.hi.map(...)``: one call per item, several at a time; the first failure or an interrupt ends them all."""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from queue import Empty, SimpleQueue
from typing import Generic, Protocol, TypeVar

from fal_jupyter.client.connection.ongoing_calls import Calls

PROGRESS_EVERY = 0.5  # seconds

T = TypeVar("T")
V = TypeVar("V")


class Progress(Protocol):
    """Shows the progress of a map."""

    def update(self, done: int) -> None:
        """Update the number of answered calls."""

    def close(self, done: int) -> None:
        """The map has ended, complete or not."""


class _NotMade(Exception):
    """A call that was not made because another one had failed."""


class ConcurrentMap(Generic[T, V]):
    """The calls of one map. Leaving its ``with`` block cancels the running ones; the others are never made.

    Args:
        call: makes the call of an item, given its index and a handle that cancels it. Runs in a pool thread, in a copy of the mapping
            thread's context, so that output appears below the mapping cell.
        progress: shows how many calls are answered.
    """

    def __init__(
        self, call: Callable[[int, T, Calls], V], items: Sequence[T], concurrency: int, progress: Progress | None
    ) -> None:
        self._call, self._items, self._progress = call, items, progress
        self._calls, self._has_failed, self._done = Calls(), threading.Event(), 0
        threads = max(1, min(concurrency, len(items)))
        self._pool = ThreadPoolExecutor(max_workers=threads, thread_name_prefix="fal-jupyter-map")

    def __enter__(self) -> ConcurrentMap[T, V]:
        return self

    def __exit__(self, *_: object) -> None:
        self._calls.cancel()
        self._pool.shutdown(wait=False, cancel_futures=True)
        if self._progress is not None:
            self._progress.close(self._done)

    def _call_one(self, number: int, item: T) -> V:
        if self._has_failed.is_set():  # before the mapping thread has seen the failure
            raise _NotMade
        try:
            return self._call(number, item, self._calls)
        except BaseException:
            self._has_failed.set()
            raise

    def values(self) -> list[V]:
        """Wait for all calls; returns their values in the items' order.

        Raises:
            Exception: that of the first call that failed; a note names the item.
        """
        numbers = {
            self._pool.submit(contextvars.copy_context().run, self._call_one, number, item): number
            for number, item in enumerate(self._items)
        }
        ended: SimpleQueue[Future[V]] = SimpleQueue()
        for future in numbers:
            future.add_done_callback(ended.put)
        under_way = len(numbers)
        while under_way:
            try:
                future = ended.get(timeout=None if self._progress is None else PROGRESS_EVERY)
            except Empty:  # the remaining time changes although no call ended
                self._show_progress()
                continue
            under_way -= 1
            error = future.exception()
            if isinstance(error, _NotMade):
                continue
            if error is not None:
                number = numbers[future]
                error.add_note(f"item {number} of {len(self._items)}: {self._items[number]!r:.200}")
                raise error
            self._done += 1
            if ended.empty():
                self._show_progress()
        return [future.result() for future in numbers]

    def _show_progress(self) -> None:
        if self._progress is not None:
            self._progress.update(self._done)
