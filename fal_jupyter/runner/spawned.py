"""A runner that is not forked: ``python -P -m fal_jupyter.runner.spawned TEMPLATE_PID CHANNEL_FD``.

For templates with more than one thread (a ``sitecustomize`` or a ``.pth`` file that starts one): a fork
would have only the forking thread, and the locks that the others held.
"""

from __future__ import annotations

import os
import socket
import sys

from fal_jupyter import process_logging, settings
from fal_jupyter.runner import guard


def main() -> None:
    """Install the guard, then run an ordinary runner."""
    parent, channel = int(sys.argv[1]), int(sys.argv[2])
    guard.arm(parent)
    guard.close_other_descriptors({channel})
    guard.show_stacks_on_abort()
    process_logging.log_to_stderr(settings.read())
    from fal_jupyter.runner import lifecycle  # start-up

    os._exit(lifecycle.main(socket.socket(fileno=channel)))


if __name__ == "__main__":
    main()
