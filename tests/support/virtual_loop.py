"""An event loop with a virtual clock, which a test advances; it does not wait for descriptors."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import Context
from typing import Any, TypeVarTuple, Unpack

Ts = TypeVarTuple("Ts")


class VirtualLoop(asyncio.BaseEventLoop):
    """Callbacks and timers only."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1000.0
        self._soon: list[asyncio.Handle] = []
        self._timers: list[asyncio.TimerHandle] = []

    def time(self) -> float:
        return self.now

    def get_debug(self) -> bool:
        return False

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        raise AssertionError(context)

    def call_soon(
        self, callback: Callable[[Unpack[Ts]], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.Handle:
        handle = asyncio.Handle(callback, args, self, context)
        self._soon.append(handle)
        return handle

    def call_later(
        self, delay: float, callback: Callable[[Unpack[Ts]], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.TimerHandle:
        timer = asyncio.TimerHandle(self.now + delay, callback, args, self, context)
        self._timers.append(timer)
        return timer

    def call_at(
        self, when: float, callback: Callable[[Unpack[Ts]], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.TimerHandle:
        return self.call_later(when - self.now, callback, *args, context=context)

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        if handle in self._timers:  # it has not run yet
            self._timers.remove(handle)

    def create_future(self) -> asyncio.Future[Any]:
        return asyncio.Future(loop=self)

    def advance(self, seconds: float = 0.0) -> None:
        """Run what is ready, and the timers of the next *seconds* in their order."""
        end = self.now + seconds
        while True:
            while self._soon:
                handle = self._soon.pop(0)
                if not handle.cancelled():
                    handle._run()
            due = [timer for timer in self._timers if timer.when() <= end]
            if not due:
                break
            first = min(due, key=asyncio.TimerHandle.when)
            self._timers.remove(first)
            self.now = max(self.now, first.when())
            first._run()
        self.now = end


@contextmanager
def virtual_loop() -> Iterator[VirtualLoop]:
    """Make a virtual loop the running one."""
    loop = VirtualLoop()
    asyncio.events._set_running_loop(loop)
    try:
        yield loop
    finally:
        asyncio.events._set_running_loop(None)
        loop.close()
