"""Exceptions of user code in anyio's worker threads (dependencies, generators, background tasks): makes sure that they cannot stop the event loop.

anyio passes an exception on in a callback of the loop, where it reads the exception's ``__class__``. If that raises, the awaiting
request hangs, or the loop ends.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import anyio.to_thread


def guard(carried: Callable[[BaseException], BaseException]) -> None:
    """Pass exceptions of ``anyio.to_thread.run_sync`` through *carried*; a second call does nothing.

    Starlette and FastAPI look the function up in its module at each call.
    """
    run_sync = anyio.to_thread.run_sync
    if hasattr(run_sync, "__wrapped__"):
        return

    @wraps(run_sync)
    async def guarded(func: Callable[..., Any], *args: Any, **options: Any) -> Any:
        def call(*arguments: object) -> Any:
            try:
                return func(*arguments)
            except BaseException as error:
                if (failure := carried(error)) is error:
                    raise
                raise failure from None

        return await run_sync(call, *args, **options)

    anyio.to_thread.run_sync = guarded  # type: ignore[assignment]
