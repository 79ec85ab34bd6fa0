"""Handles what child processes of user code inherit from a runner but must not use.

A forked child gets the event loop's signal wake-up descriptor: its signals would wake (and stop) the runner. It also inherits the call stack
of the endpoint: a child that returns from there would continue to serve requests beside its parent.

A spawned child (``multiprocessing``'s spawn and forkserver contexts, joblib's loky) starts with a new interpreter and imports the parent's
``__main__``: :mod:`fal_jupyter.runner.child_main` replaces it, and loads the runner's code.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import traceback
import types
from importlib.machinery import ModuleSpec

SPAWNED = "fal_jupyter.runner.child_main"
LOAD_VARIABLE = "FAL_JUPYTER_RUNNER_LOAD"
FINISHING = 2.0
_is_child = False
_local = threading.local()


def isolate_children() -> None:
    """Reset the signals of children that user code forks from now on.

    SIGTERM is blocked from the fork until the child has its own disposition, for ``start(); terminate()``.
    """
    os.register_at_fork(before=_hold_signals, after_in_parent=_release_signals, after_in_child=_forked)


def _hold_signals() -> None:
    _local.former = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGTERM,))


def _release_signals() -> None:
    signal.pthread_sigmask(signal.SIG_SETMASK, _local.former)


def _forked() -> None:
    global _is_child
    _is_child = True
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # replaces the loop's handler; handlers of user code stay
    _release_signals()


def end_returned_child(error: BaseException | None = None) -> None:
    """End this process if it is a forked child: it returned from the user code that forked it, or raised *error*."""
    if not _is_child:
        return
    status = 0
    try:
        if isinstance(error, SystemExit):
            status = error.code if isinstance(error.code, int) else int(error.code is not None)
        elif error is not None:
            traceback.print_exception(error)
            status = 1
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(status)


def finish() -> None:
    """Make ``multiprocessing`` remove its semaphores, pools and folders, as at the exit of an ordinary Python process.

    After ``FINISHING`` seconds the process ends anyway, and its children with it.
    """
    util = sys.modules.get("multiprocessing.util")
    if util is not None:
        finishing = threading.Thread(target=util._run_finalizers, daemon=True)
        finishing.start()
        finishing.join(FINISHING)


def enter_main() -> None:
    """Replace ``__main__`` for user code, so that objects shipped from a notebook find their names there."""
    main = types.ModuleType("__main__")
    main.__spec__ = ModuleSpec(SPAWNED, None)
    main.__dict__["__builtins__"] = __builtins__
    sys.modules["__main__"] = main


def offer_load(load: bytes | memoryview) -> None:
    """Let spawned children read this runner's code from a memory file of this process."""
    fd = os.memfd_create("fal_jupyter_load")
    view = memoryview(load)
    while view:
        view = view[os.write(fd, view) :]
    os.environ[LOAD_VARIABLE] = f"/proc/{os.getpid()}/fd/{fd}"
