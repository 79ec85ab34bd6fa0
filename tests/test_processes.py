"""Processes as the operating system tells of them."""

from __future__ import annotations

import fcntl
import os
import resource
import signal
import subprocess
from collections.abc import Iterator
from contextlib import suppress

import pytest

from fal_jupyter.processes import ends_within


@pytest.fixture
def pidfd() -> Iterator[int]:
    """A descriptor of a process, with a number that select(2) does not take."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, hard), hard))
    with subprocess.Popen(["sleep", "60"]) as process:
        low = os.pidfd_open(process.pid)
        high = fcntl.fcntl(low, fcntl.F_DUPFD_CLOEXEC, 1500)
        os.close(low)
        yield high
        os.close(high)
        with suppress(ProcessLookupError):
            process.kill()
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_the_end_of_a_process_is_seen_by_any_descriptor(pidfd: int) -> None:
    assert not ends_within(pidfd, 0)
    signal.pidfd_send_signal(pidfd, signal.SIGKILL)
    assert ends_within(pidfd, 30)
