"""A runner that is not forked: ``python -P -m fal_jupyter.runner.fresh TEMPLATE_PID CHANNEL_FD``.

For apps whose environment acts when a process starts (``LD_LIBRARY_PATH``, ``OMP_NUM_THREADS`` …), and for templates
that found themselves with more than one thread.
"""

from __future__ import annotations

import os
import socket
import sys

from fal_jupyter.runner import guard


def main() -> None:
    """Arm the guard, then be an ordinary runner."""
    parent, channel = int(sys.argv[1]), int(sys.argv[2])
    guard.arm(parent)
    guard.close_other_descriptors({channel})
    guard.show_stacks_on_abort()
    from fal_jupyter.runner import host

    os._exit(host.main(socket.socket(fileno=channel)))


if __name__ == "__main__":
    main()
