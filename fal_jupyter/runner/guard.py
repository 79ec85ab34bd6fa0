"""First steps of a runner: it cannot outlive its template, and its own children cannot escape it."""

from __future__ import annotations

import faulthandler
import os
import resource
import signal

from fal_jupyter.processes import PR_SET_PDEATHSIG, become_subreaper, prctl


def die_with_parent(parent: int) -> None:
    """Make the kernel send SIGKILL when *parent*'s main thread ends; end immediately if it already has.

    The signal is tied to the thread that forked, so the template forks from its only thread.
    """
    prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def arm(parent: int) -> None:
    """Make this process a runner: own session, killed with its template, adopts its orphans, default signals.

    SIGINT is ignored: a Jupyter interrupt is for the kernel; calls are cancelled through the gateway.
    """
    die_with_parent(parent)
    become_subreaper()
    if os.getsid(0) != os.getpid():
        os.setsid()
    for number in (signal.SIGTERM, signal.SIGCHLD, signal.SIGHUP, signal.SIGPIPE):
        signal.signal(number, signal.SIG_DFL if number != signal.SIGPIPE else signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.set_wakeup_fd(-1)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # SIGABRT is used for stack dumps, not for core files


def show_stacks_on_abort() -> None:
    """On SIGABRT write the stacks of all threads to file descriptor 2 (the output pipe), then end by the signal."""
    faulthandler.enable(file=2, all_threads=True)


def close_other_descriptors(keep: set[int]) -> None:
    """Close every descriptor but 0, 1, 2 and *keep*: otherwise a fork inherits the sockets of its siblings."""
    for name in os.listdir("/proc/self/fd"):
        fd = int(name)
        if fd > 2 and fd not in keep:
            try:
                os.close(fd)
            except OSError:
                pass  # the directory listing's own descriptor
