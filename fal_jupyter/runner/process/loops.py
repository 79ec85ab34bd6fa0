"""Chooses a runner's event loop: uvloop's, or asyncio's own if user code patches its loop.

``nest_asyncio.apply()`` makes a running loop reentrant, which only a loop written in Python can be. The choice is made when the loop is
first needed: after the import of the class, and after a ``setup()`` that is not async.
"""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import Callable, Coroutine, Iterable
from contextlib import suppress
from typing import Literal

_PATCHERS = ("nest_asyncio", "nest_asyncio2")
_NAMED = re.compile(r"\bnest_asyncio2?\b")


class LoopRunner:
    """An ``asyncio.Runner`` that is made at its first use.

    Args:
        requested: ``auto`` detects whether the loop must be asyncio's own. sources: the user's code, which is searched for that.
    """

    def __init__(self, requested: Literal["auto", "asyncio", "uvloop"], sources: Iterable[str]) -> None:
        self._requested, self._sources = requested, sources
        self._runner: asyncio.Runner | None = None

    def get(self) -> asyncio.Runner:
        """Return the runner."""
        if self._runner is None:
            self._runner = asyncio.Runner() if self._is_plain() else _of_uvloop()
        return self._runner

    def run(self, main: Coroutine[object, object, int], escaped: Callable[[BaseException], None]) -> int:
        """Run *main* to its end.

        asyncio lets a KeyboardInterrupt or SystemExit of any task out of its loop. Such a task has failed, *escaped* is called with the exception,
        and the loop continues.
        """
        loop = self.get().get_loop()
        task = loop.create_task(main)
        _complete(loop, task, escaped)
        _complete(
            loop, loop.create_task(asyncio.sleep(0)), escaped
        )  # the loop is closed next: uvloop may have a pending stop
        return task.result()

    def close(self) -> None:
        """Cancel remaining tasks, and close the loop."""
        with suppress(
            RuntimeError
        ):  # uvloop may stop once more after an exception that escaped; the process ends anyway
            self.get().close()

    def _is_plain(self) -> bool:
        if self._requested != "auto":
            return self._requested == "asyncio"
        return any(name in sys.modules for name in _PATCHERS) or any(map(_NAMED.search, self._sources))


def _complete(
    loop: asyncio.AbstractEventLoop, task: asyncio.Task[object], escaped: Callable[[BaseException], None]
) -> None:
    while not task.done():
        try:
            loop.run_until_complete(task)
        except (KeyboardInterrupt, SystemExit) as error:
            escaped(error)
        except Exception:
            pass  # the task's own, which its result() raises; or uvloop has stopped once more after one that escaped


def _of_uvloop() -> asyncio.Runner:
    try:
        import uvloop
    except ImportError:
        return asyncio.Runner()
    return asyncio.Runner(loop_factory=uvloop.new_event_loop)
