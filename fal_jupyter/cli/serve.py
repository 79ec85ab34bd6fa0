"""``fal-jupyter serve FILE.py::Class``: serves an app in the foreground until SIGINT or SIGTERM, and cleans up completely.

With ``--json``, standard output has exactly one line, when the first runner is ready. Everything else goes to standard error.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import socket
import traceback
from pathlib import Path
from types import FrameType

from fal_jupyter.cli.dry_run import dry_run
from fal_jupyter.cli.terminal import print_message, sentence, show_output
from fal_jupyter.cli.waiting import wait_readable
from fal_jupyter.client import serving
from fal_jupyter.client.client import Client
from fal_jupyter.client.handle import AppHandle
from fal_jupyter.commands import parser
from fal_jupyter.domain.errors import FalJupyterError, GatewayStopped, SetupFailed
from fal_jupyter.fal.project import app_of_target
from fal_jupyter.local_modules import LOOK_EVERY, EditWatch
from fal_jupyter.protocol.api import Event
from fal_jupyter.settings import working_directory

GATEWAY_PATIENCE = 15.0  # seconds for the gateway to drain


class _Stopped(Exception):
    """SIGINT or SIGTERM was received."""


def run(args: argparse.Namespace) -> int:
    """Serve until a signal, the end of the gateway or a failure; return the exit status."""
    signal.signal(signal.SIGTERM, _raise_stopped)
    signal.signal(signal.SIGINT, _raise_stopped)
    client = Client(kind="serve", name=Path(args.file.partition("::")[0]).name, port=args.port or 0, idle_exit=0.0)
    out = os.dup(1)
    os.dup2(2, 1)  # output of the user's file must not precede the JSON line
    try:
        return _serve(args, client, out)
    except _Stopped:
        return 0
    except SetupFailed as error:
        print_message(f"{error.traceback}\n{sentence(error)}" if error.traceback else sentence(error))
    except FalJupyterError as error:
        print_message(sentence(error))
    except Exception as error:
        print_message(_user_traceback(error))
    finally:
        _shut_down(client)
        os.close(out)
    return 1


def _serve(args: argparse.Namespace, client: Client, out: int) -> int:
    name, _, class_name = args.file.partition("::")
    path, overrides = Path(name), parser.overrides(args)
    project = app_of_target(args.file, working_directory(), command="fal-jupyter serve")
    if project is not None:
        path, class_name = project.path, project.symbol
        overrides = {key: value for key, value in project.overrides.items() if value is not None} | overrides
    if args.dry_run:
        loaded = serving.load_file(path, class_name, project)
        for line in dry_run(loaded, overrides, env=args.env or "auto", secret_store=client.secret_store):
            print_message(f"fal-jupyter: {line}")
        return 0
    handle = serving.serve_file(
        path,
        class_name,
        client=client,
        overrides=overrides,
        take_over=args.take_over,
        env=args.env or "auto",
        report=print_message,
        project=project,
    )
    for message in serving.missing_secrets(handle.spec, client.secret_store):
        print_message(f"fal-jupyter: {message}")
    handle.wait(_show_output)
    if args.json:
        os.write(out, (json.dumps(_ready(handle)) + "\n").encode())
    elif not args.quiet:
        text = f"{handle.app} is ready at {handle.url}\nkey: {handle.key}\nCtrl-C stops it.\n"
        os.write(out, text.encode())
    assert client.lease is not None
    _wait_for_end(client.lease.socket, handle.call_reports.edits, handle.spec.class_name)
    client.lease.wait_for_gateway(GATEWAY_PATIENCE)  # it drains our app
    print_message("fal-jupyter: the gateway has ended, and the app with it")
    return 1


def _wait_for_end(lease: socket.socket, edits: EditWatch, class_name: str) -> None:
    """Wait until the gateway closes the *lease*; reports *edits* of the user's modules meanwhile.

    Raises:
        _Stopped: a signal came.
    """
    while not wait_readable(lease.fileno(), LOOK_EVERY if edits else None):
        for message in edits.news(class_name, "serve it again"):
            print_message(f"fal-jupyter: {message}")


def _ready(handle: AppHandle) -> dict[str, object]:
    return {
        "app": handle.app,
        "base": handle.base,
        "url": handle.url,
        "key": handle.key,
        "endpoints": handle.endpoints,
    }


def _shut_down(client: Client) -> None:
    """Stop the app gracefully, end the lease, and wait for the gateway if no one else uses it.

    A second signal stops immediately.
    """
    try:
        if client.lease is not None and client.lease.alive:
            client.stop_all()
    except _Stopped:
        pass
    except GatewayStopped as error:
        print_message(sentence(error))
        client.close()
        return
    for signal_number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signal_number, signal.SIG_IGN)
    if client.leave() and client.lease is not None:
        client.lease.wait_for_gateway(GATEWAY_PATIENCE)
    client.close()


def _show_output(event: Event) -> None:
    if event["event"] == "output":
        show_output(event["text"])
    elif event["event"] == "waiting":
        print_message(f"fal-jupyter: it {event['detail']}")


def _raise_stopped(signal_number: int, frame: FrameType | None) -> None:
    raise _Stopped


def _user_traceback(error: Exception) -> str:
    message = traceback.TracebackException.from_exception(error)
    package = str(Path(__file__).parent.parent)
    first = next(
        (i for i, frame in enumerate(message.stack) if not frame.filename.startswith(package)), len(message.stack)
    )
    message.stack = traceback.StackSummary.from_list(message.stack[first:])
    return "".join(message.format())
