"""Whether runners can see the persistent folder at ``/data`` on this machine: tried once, in a process of its own."""

from __future__ import annotations

import functools
import subprocess
import sys

from fal_jupyter import settings

PATIENCE = 10.0  # seconds


def is_mounted() -> bool:
    """True if runners of apps that name ``/data`` see the persistent folder there."""
    return settings.read().mount_data != "off" and not why_not()


@functools.cache
def why_not() -> str:
    """Return why :mod:`fal_jupyter.runner.process.data_mount` cannot put a folder at ``/data``, or ``""``."""
    command = [sys.executable, "-P", "-m", "fal_jupyter.runner.process.data_mount", "/etc"]
    try:
        tried = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    return tried.stdout.strip() if tried.returncode == 0 else "it cannot be tried"
