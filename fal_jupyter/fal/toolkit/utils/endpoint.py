"""``cancel_on_disconnect``: an endpoint's work ends when its caller leaves (docs/contract.md, C104)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any


@asynccontextmanager
async def cancel_on_disconnect(request: Any) -> AsyncIterator[None]:
    """Cancel the block when the caller of *request* hangs up; the code after the block continues."""
    import anyio  # start-up

    async with anyio.create_task_group() as group:

        async def watch() -> None:
            while (await request.receive())["type"] != "http.disconnect":
                pass
            group.cancel_scope.cancel()

        group.start_soon(watch)
        try:
            yield
        finally:
            group.cancel_scope.cancel()
