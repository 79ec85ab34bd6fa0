"""Code that waits, written once for threads and for asyncio.

A flow is a generator. It yields what it has to wait for (:class:`Wait`, :class:`InThread`, :class:`OnLoop`) and is resumed when that
is ready: by :func:`run` and :func:`iterate`, which block the calling thread, or by :func:`run_async` and :func:`iterate_async`, which
await on an event loop. httpx drives its authentication, and psycopg its protocol, in the same way.

A stream is a flow that yields values (:class:`Item`) between its waits.
"""

from __future__ import annotations

import asyncio
import select
import socket
from collections.abc import AsyncGenerator, Callable, Generator
from typing import Any, Generic, TypeVar

T = TypeVar("T")
V = TypeVar("V")


class Wait:
    """Wait until a socket can be read or written; the flow gets False if that took longer than *seconds*.

    Args:
        events: ``select.POLLIN`` or ``select.POLLOUT``.
    """

    __slots__ = ("_events", "_seconds", "_socket")

    def __init__(self, sock: socket.socket, events: int, seconds: float) -> None:
        self._socket, self._events, self._seconds = sock, events, seconds

    def block(self) -> bool:
        """Wait in the calling thread."""
        poller = select.poll()
        poller.register(self._socket, self._events)
        return bool(poller.poll(1000 * self._seconds))

    async def suspend(self) -> bool:
        """Wait on the running event loop."""
        loop = asyncio.get_running_loop()
        ready: asyncio.Future[bool] = loop.create_future()
        reading, descriptor = self._events == select.POLLIN, self._socket.fileno()
        (loop.add_reader if reading else loop.add_writer)(descriptor, _resolve, ready, True)
        timer = loop.call_later(self._seconds, _resolve, ready, False)
        try:
            return await ready
        finally:
            timer.cancel()
            (loop.remove_reader if reading else loop.remove_writer)(descriptor)


def _resolve(future: asyncio.Future[bool], value: bool) -> None:
    if not future.done():
        future.set_result(value)


class InThread:
    """Call a blocking function; on an event loop, in a separate thread.

    Args:
        discard: receives the function's result if the task was cancelled meanwhile.
    """

    __slots__ = ("_discard", "_function", "_is_abandoned", "result")

    def __init__(self, function: Callable[[], Any], discard: Callable[[Any], object] | None = None) -> None:
        self._function, self._discard, self._is_abandoned = function, discard, False
        self.result: Any = None

    def block(self) -> bool:
        """Call it in the calling thread."""
        self.result = self._function()
        return True

    async def suspend(self) -> bool:
        """Call it in another thread."""
        try:
            await asyncio.to_thread(self._call)
        except asyncio.CancelledError:
            self._is_abandoned = True
            self._drop()
            raise
        return True

    def _call(self) -> None:
        self.result = self._function()
        if self._is_abandoned:  # this or the cancelled task sees both; if both do, it is discarded twice
            self._drop()

    def _drop(self) -> None:
        if self._discard is not None and self.result is not None:
            self._discard(self.result)


class OnLoop(InThread):
    """Call a function of an object that has a synchronous and an asynchronous form; the latter's result is awaited."""

    __slots__ = ()

    async def suspend(self) -> bool:
        """Call it and await its result."""
        self.result = await self._function()
        return True


class Item(Generic[V]):
    """A value of a stream. :func:`run` and :func:`run_async`, which use only what a stream returns, continue immediately."""

    __slots__ = ("value",)

    def __init__(self, value: V) -> None:
        self.value = value

    def block(self) -> bool:
        """Nothing to wait for."""
        return True

    async def suspend(self) -> bool:
        """Nothing to wait for."""
        return True


Flow = Generator[Wait | InThread, bool, T]
Stream = Generator[Wait | InThread | Item[V], bool, T]


def in_thread(function: Callable[[], T], discard: Callable[[T], object] | None = None) -> Flow[T]:
    """Return the result of *function*, which may block; it goes to *discard* if the flow was cancelled meanwhile."""
    step = InThread(function, discard)
    yield step
    result: T = step.result
    return result


def on_loop(function: Callable[[], Any]) -> Flow[Any]:
    """Return the result of *function*; on an event loop it is awaited."""
    step = OnLoop(function)
    yield step
    return step.result


def run(flow: Stream[Any, T]) -> T:
    """Drive *flow* in the calling thread. An interrupt is raised inside it first, so that it closes what it opened."""
    try:
        step = next(flow)
        while True:
            try:
                ready = step.block()
            except BaseException as error:
                step = flow.throw(error)
            else:
                step = flow.send(ready)
    except StopIteration as end:
        result: T = end.value
        return result
    finally:
        flow.close()


async def run_async(flow: Stream[Any, T]) -> T:
    """Drive *flow* on the running event loop. A cancellation is raised inside it first."""
    try:
        step = next(flow)
        while True:
            try:
                ready = await step.suspend()
            except BaseException as error:
                step = flow.throw(error)
            else:
                step = flow.send(ready)
    except StopIteration as end:
        result: T = end.value
        return result
    finally:
        flow.close()


def iterate(stream: Stream[V, object]) -> Generator[V, None, None]:
    """Drive *stream* in the calling thread; returns its values. Leaving the loop closes it."""
    try:
        step = next(stream)
        while True:
            if isinstance(step, Item):
                yield step.value
                step = next(stream)
                continue
            try:
                ready = step.block()
            except BaseException as error:
                step = stream.throw(error)
            else:
                step = stream.send(ready)
    except StopIteration:
        return
    finally:
        stream.close()


async def iterate_async(stream: Stream[V, object]) -> AsyncGenerator[V, None]:
    """Drive *stream* on the running event loop; returns its values. Leaving the loop closes it."""
    try:
        step = next(stream)
        while True:
            if isinstance(step, Item):
                yield step.value
                step = next(stream)
                continue
            try:
                ready = await step.suspend()
            except BaseException as error:
                step = stream.throw(error)
            else:
                step = stream.send(ready)
    except StopIteration:
        return
    finally:
        stream.close()
