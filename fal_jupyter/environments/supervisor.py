"""Runs one command, and ends its process tree when its caller is gone.

``python -P -m fal_jupyter.environments.supervisor OWNER_PID COMMAND…``: exits with the command's status.
The command is ended early when standard input closes (the caller gave up) or when the process *OWNER_PID* has ended for any reason.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys

from fal_jupyter.processes import become_subreaper, children_of

OF_THIS_PYTHON = (
    "PYTHONHOME",
    "PYTHONPATH",
    "VIRTUAL_ENV",
)  # they would make an installer use another environment than its own


def main() -> int:
    """Run the command; returns its exit status."""
    owner = int(sys.argv[1])
    become_subreaper()
    try:
        owner_end = os.pidfd_open(owner)
    except OSError:
        return 1
    environment = {name: value for name, value in os.environ.items() if name not in OF_THIS_PYTHON}
    command = subprocess.Popen(sys.argv[2:], stdin=subprocess.DEVNULL, env=environment)
    poller = select.poll()
    for descriptor in (0, owner_end, os.pidfd_open(command.pid)):
        poller.register(descriptor, select.POLLIN | select.POLLHUP)
    try:
        poller.poll()
        status = command.poll()
        return 1 if status is None else status
    finally:
        while children := children_of(os.getpid()):
            for pid in children:
                os.kill(pid, signal.SIGKILL)
            for pid in children:
                os.waitpid(pid, 0)


if __name__ == "__main__":
    sys.exit(main())
