"""``fal-jupyter gateway``: the gateway of the state directory in the foreground, until SIGINT or SIGTERM."""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
from dataclasses import replace

from fal_jupyter import settings
from fal_jupyter.cli.terminal import print_message
from fal_jupyter.cli.waiting import wait_readable
from fal_jupyter.client.connection import connect


def run(args: argparse.Namespace) -> int:
    """Start the gateway, show its log and wait for its end; returns its exit status.

    Raises:
        GatewayError: one runs already, or it cannot be started.
        BadSetting: a variable has a value that cannot be used.
    """
    chosen = settings.read()
    if args.debug:
        chosen = replace(chosen, log_level="DEBUG")
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # `nohup` outlives the terminal
            signal.signal(number, signal.default_int_handler)
    process = connect.start_in_foreground(chosen)
    try:
        if args.json:
            print(json.dumps({"state": str(chosen.state), "pid": process.pid}), flush=True)
        else:
            print_message(f"the gateway of {chosen.state} is up (process {process.pid}); Ctrl-C ends it and its apps")
        _wait_for_end(process)
    except KeyboardInterrupt:
        process.terminate()  # requests under way are finished first; a second Ctrl-C does not wait for that
        _wait_for_end(process)
    return 1 if process.wait() else 0


def _wait_for_end(process: subprocess.Popen[bytes]) -> None:
    """Wait until *process* has ended.

    Raises:
        KeyboardInterrupt: a signal came.
    """
    if process.poll() is not None:
        return
    ended = os.pidfd_open(process.pid)
    try:
        wait_readable(ended)
    finally:
        os.close(ended)
