"""Reports which request blocks the event loop for the others, by a thread that pings the loop.

It runs only while several requests are in the runner. The gateway ends a runner whose loop is blocked for longer
(:mod:`fal_jupyter.domain.fleet.fleet`); this tells the owner why.
"""

from __future__ import annotations

import asyncio
import os
import sys
import sysconfig
import threading
from collections.abc import Callable
from types import FrameType

LOOK_EVERY = 2.0
BLOCKED_AFTER = 3.0
_PACKAGE_DIRECTORY = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
_LIBRARIES = (_PACKAGE_DIRECTORY, sysconfig.get_paths()["stdlib"], sysconfig.get_paths()["purelib"], "<frozen")


class LoopWatch:
    """Watches the loop of the thread that makes it.

    Args:
        report: called from the watching thread with the running task (None: unknown), the location in user code
            (``file:line in function``, or ``""``) and for how many seconds the loop has been blocked.
    """

    def __init__(self, report: Callable[[asyncio.Task[object] | None, str, float], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        self._report = report
        self._several = threading.Event()
        self._watch_thread: threading.Thread | None = None

    def several(self, yes: bool) -> None:
        """Start or stop watching: whether several requests are running."""
        if not yes:
            self._several.clear()
            return
        self._several.set()
        if self._watch_thread is None:
            self._watch_thread = threading.Thread(target=self._watch, name="fal-jupyter-loop-watch", daemon=True)
            self._watch_thread.start()

    def _watch(self) -> None:
        pause = threading.Event()
        while True:
            self._several.wait()
            responded = threading.Event()
            try:
                self._loop.call_soon_threadsafe(responded.set)
            except RuntimeError:
                return  # the loop has ended
            if not responded.wait(BLOCKED_AFTER):
                task = asyncio.current_task(self._loop)
                frame = sys._current_frames().get(self._thread)
                self._report(task, _location(frame), BLOCKED_AFTER)
                responded.wait()
            pause.wait(LOOK_EVERY)


def _location(frame: FrameType | None) -> str:
    """The innermost line of user code."""
    while frame is not None:
        if not frame.f_code.co_filename.startswith(_LIBRARIES):
            return f"{frame.f_code.co_filename}:{frame.f_lineno} in {frame.f_code.co_name}"
        frame = frame.f_back
    return ""
