"""An event loop in a thread of its own, for servers of tests."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager


@contextmanager
def loop_thread(
    serve: Callable[[], Awaitable[None]],
    loop: asyncio.AbstractEventLoop,
    ready: threading.Event,
    stopping: asyncio.Event,
) -> Iterator[None]:
    """Run *serve*, which sets *ready* and returns after *stopping* is set, until the block ends."""
    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()), daemon=True)
    thread.start()
    try:
        assert ready.wait(20)
        yield
    finally:
        loop.call_soon_threadsafe(stopping.set)
        thread.join(20)
        loop.close()
