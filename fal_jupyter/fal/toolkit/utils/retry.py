"""``@retry``: call a function again where it fails (docs/contract.md, C132)."""

from __future__ import annotations

import asyncio
import functools
import inspect
import random
import time
import traceback
from collections.abc import Callable
from typing import Any, Literal

BackoffType = Literal["exponential", "fixed"]


def retry(
    max_retries: int = 3,
    base_delay: float = 1.0,
    max_delay: float = 60.0,
    backoff_type: BackoffType = "exponential",
    jitter: bool = False,
    should_retry: Callable[[Exception], bool] | None = None,
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Try up to *max_retries* times, waiting *base_delay* seconds, twice as long each time up to *max_delay*.

    Args:
        backoff_type: ``fixed`` waits *base_delay* each time.
        jitter: wait half to one and a half of that.
        should_retry: False for an exception ends it at once.
    """

    def wait_after(attempt: int) -> float:
        growing = base_delay * 2 ** (attempt - 1) if backoff_type == "exponential" else base_delay
        return min(growing, max_delay) * (random.uniform(0.5, 1.5) if jitter else 1.0)

    def failed(error: Exception, attempt: int) -> float:
        """Return the seconds to wait, or raise where it is over."""
        if should_retry is not None and not should_retry(error):
            raise error
        print(f"Retrying {attempt} of {max_retries}...")
        if attempt == max_retries:
            print(f"Max retries reached. Raising exception: {error}")
            traceback.print_exception(error)
            raise error
        return wait_after(attempt)

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def again_async(*args: Any, **kwargs: Any) -> Any:
                for attempt in range(1, max_retries + 1):
                    try:
                        return await function(*args, **kwargs)
                    except Exception as error:
                        await asyncio.sleep(failed(error, attempt))
                return None

            return again_async

        @functools.wraps(function)
        def again(*args: Any, **kwargs: Any) -> Any:
            for attempt in range(1, max_retries + 1):
                try:
                    return function(*args, **kwargs)
                except Exception as error:
                    time.sleep(failed(error, attempt))
            return None

        return again

    return decorate
