"""``fal-jupyter serve`` as a user runs it, and a small HTTP caller."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fal_jupyter import settings
from fal_jupyter.client.client import Client
from fal_jupyter.commands import handlers, parser
from fal_jupyter.commands.command_backend import ShellBackend
from tests.support import command_server
from tests.support.http_answer import Answer
from tests.support.state import state_directory

Env = Mapping[str, str | None] | None  # differences from our own environment; None removes a variable
COMMAND = [sys.executable, "-m", "fal_jupyter.cli.main"]


class Served:
    """A running ``fal-jupyter serve``; ``post`` calls its endpoints with its key."""

    def __init__(self, state: Path, target: str, *options: str, env: Env = None, prefix: Sequence[str] = ()) -> None:
        self.state = state
        given = {**os.environ, "FAL_JUPYTER_STATE": str(state), "PYTHONUNBUFFERED": "1", **(env or {})}
        variables = {name: value for name, value in given.items() if value is not None}
        words = ["serve", target, "--json", *options]
        self.process: subprocess.Popen[str] | command_server.Forked
        if prefix or COMMAND[0] != sys.executable or not command_server.server().heeds(variables):
            self.process = subprocess.Popen(
                [*prefix, *COMMAND, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=variables
            )
        else:  # a fork of a process that has imported what it needs
            self.process = command_server.server().start(words, variables, Path.cwd())
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        fcntl.fcntl(self.process.stderr, fcntl.F_SETPIPE_SZ, 1 << 20)  # not read while waiting for the first line
        line = self.process.stdout.readline()
        if not line:
            _, errors = self.process.communicate(timeout=30)
            raise AssertionError(f"serve ended with {self.process.returncode}: {errors}")
        self.ready: dict[str, Any] = json.loads(line)

    def request(
        self,
        path: str = "/",
        body: Any = None,
        *,
        method: str = "POST",
        key: str | None = "own",
        headers: dict[str, str] | None = None,
        timeout: float = 60,
    ) -> Answer:
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        sent = {"content-type": "application/json", **(headers or {})}
        if key is not None:
            sent["authorization"] = f"Key {self.ready['key'] if key == 'own' else key}"
        url = self.ready["url"].rstrip("/") + path
        request = urllib.request.Request(url, data=data, method=method, headers=sent)
        try:
            with urllib.request.urlopen(request, timeout=timeout) as answer:
                return Answer(answer.status, {k.lower(): v for k, v in answer.headers.items()}, answer.read())
        except urllib.error.HTTPError as error:
            with error:
                return Answer(error.code, {k.lower(): v for k, v in error.headers.items()}, error.read())

    def stop(self, number: int = signal.SIGINT, timeout: float = 20) -> tuple[int, str, str]:
        """Send a signal; returns (exit status, rest of standard output, standard error)."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        out, err = self.process.communicate(timeout=timeout)
        return self.process.wait(), out, err


@contextmanager
def served(state: Path, target: str, *options: str, env: Env = None, prefix: Sequence[str] = ()) -> Iterator[Served]:
    """Serve *target*; *prefix* is a command that runs the command after it (``unshare …``, ``prlimit …``)."""
    running = Served(state, target, *options, env=env, prefix=prefix)
    try:
        yield running
    finally:
        running.stop()


@contextmanager
def kept_state() -> Iterator[Path]:
    """A state directory whose gateway, with the default settings, stays until the end: serving there starts no gateway and no template."""
    with state_directory() as path:
        client = Client(settings.read(os.environ | {"FAL_JUPYTER_STATE": str(path)}), idle_exit=0.0)
        client.ensure()
        yield path
        client.close()


def runners(state: Path) -> list[dict[str, Any]]:
    """Every runner, as ``fal-jupyter runners`` lists them."""
    found: list[dict[str, Any]] = _listing(state, "runners")
    return found


def apps(state: Path) -> list[dict[str, Any]]:
    """Every app, as ``fal-jupyter apps`` lists them."""
    found: list[dict[str, Any]] = _listing(state, "apps")
    return found


def doctor(state: Path) -> dict[str, Any]:
    """The gateway and every process of ours, as ``fal-jupyter doctor`` lists them."""
    found: dict[str, Any] = _listing(state, "doctor")
    return found


def _listing(state: Path, verb: str) -> Any:
    """Run a command in this process: a separate one takes half a second, and tests that wait for a change repeat it often."""
    client = Client(settings.read(os.environ | {"FAL_JUPYTER_STATE": str(state)}))
    try:
        outcome = handlers.execute(parser.parse_command([verb, "--json"], "shell"), ShellBackend(client))
        return json.loads(json.dumps(outcome.data))
    finally:
        client.close()


def command(
    state: Path, *arguments: str, env: Env = None, cwd: Path | None = None, stdin: str = "", timeout: float = 60
) -> subprocess.CompletedProcess[str]:
    """Run ``fal-jupyter …`` to its end, in a fork of a process that has imported it."""
    given = {**os.environ, "FAL_JUPYTER_STATE": str(state), **(env or {})}
    variables = {name: value for name, value in given.items() if value is not None}
    return command_server.server().run(arguments, variables, cwd or Path.cwd(), stdin=stdin, timeout=timeout)
