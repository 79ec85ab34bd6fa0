"""Runs a custom lifespan of the class, over ASGI as uvicorn does.

Apps that do not override :meth:`fal.App.lifespan` do not use this: their ``setup()`` runs on the main thread without a
running event loop, so that it can call ``asyncio.run``.
"""

from __future__ import annotations

import asyncio
from typing import Any

from fastapi import FastAPI

from fal_jupyter.fal.app import App


def is_default(app: FastAPI, instance: Any) -> bool:
    """True if the lifespan of *app* is only ``setup()`` and ``teardown()``."""
    own = getattr(instance.lifespan, "__func__", None) is App.lifespan
    return own and app.router.lifespan_context == instance.lifespan


class Lifespan:
    """One task from startup to shutdown: context managers and task groups must be left in the task that entered them.

    Attributes:
        state: what the lifespan yielded; each request gets a copy as ``request.state``.
    """

    def __init__(self, app: FastAPI) -> None:
        self.state: dict[str, Any] = {}
        self._app = app
        self._started, self._ending = asyncio.Event(), asyncio.Event()
        self._start_requested = False
        self._task: asyncio.Task[None] | None = None

    async def enter(self) -> None:
        """Run the lifespan up to its ``yield``.

        Raises:
            BaseException: raised by user code before it.
            RuntimeError: it ended without an exception before it.
        """
        self._task = asyncio.get_running_loop().create_task(self._run())
        started = asyncio.ensure_future(self._started.wait())
        await asyncio.wait({self._task, started}, return_when=asyncio.FIRST_COMPLETED)
        if not started.done():
            started.cancel()
            self._task.result()
            raise RuntimeError("the lifespan ended before its yield")

    async def leave(self) -> None:
        """Run the rest.

        Raises:
            BaseException: raised by user code in it.
        """
        assert self._task is not None
        self._ending.set()
        await self._task

    async def _run(self) -> None:
        scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": self.state}
        await self._app(scope, self._receive, self._send)

    async def _receive(self) -> dict[str, str]:
        if not self._start_requested:
            self._start_requested = True
            return {"type": "lifespan.startup"}
        await self._ending.wait()
        return {"type": "lifespan.shutdown"}

    async def _send(self, message: Any) -> None:
        if message["type"] == "lifespan.startup.complete":
            self._started.set()
