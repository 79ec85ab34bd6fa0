"""Commands of ``fal-jupyter`` without the time of their imports: each runs in a fork of a process that has imported them.

A process of its own spends a third of a second of CPU on imports; a fork, a few milliseconds. The process that forks starts with
the first command and ends with the tests' process.
"""

from __future__ import annotations

import atexit
import functools
import gc
import importlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Self

from fal_jupyter.cli.main import main

PRELOADED = (  # what commands import when they run
    "fal_jupyter.cli.gateway",
    "fal_jupyter.cli.serve",
    "fal_jupyter.commands.command_backend",
    "fal_jupyter.commands.handlers",
    "fal_jupyter.portability.examine",
    "pydantic",
)
REQUEST_LIMIT = 1 << 17  # bytes: arguments and environment
FD_COUNT = 4  # the connection of the command, and its three standard streams


class CommandServer:
    """The process that forks, seen from the tests' process."""

    def __init__(self) -> None:
        self._connection, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with other:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.support.command_server", str(other.fileno())],
                pass_fds=[other.fileno()],
                cwd=Path(__file__).parent.parent.parent,
                env={name: value for name, value in os.environ.items() if not name.startswith("FAL_")},
                stdin=subprocess.DEVNULL,
            )
        self._python = _of_python(os.environ)
        atexit.register(self._close)

    def run(
        self, arguments: Sequence[str], env: Mapping[str, str], cwd: Path, *, stdin: str, timeout: float
    ) -> subprocess.CompletedProcess[str]:
        """Run ``fal-jupyter`` with these arguments to its end.

        Raises:
            ValueError: a variable of Python itself is not as it was when the server started, and a fork would not heed it.
            subprocess.TimeoutExpired: it did not end in time, and is killed.
        """
        if differing := dict(_of_python(env).items() ^ self._python.items()):
            raise ValueError(
                f"{', '.join(sorted(differing))}: run this command as a process of its own (serve.COMMAND)"
            )
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with ours, _MemoryFile(stdin) as given, _MemoryFile() as out, _MemoryFile() as err:
            with theirs:
                request = json.dumps([list(arguments), dict(env), str(cwd)]).encode()
                socket.send_fds(self._connection, [request], [theirs.fileno(), given.fd, out.fd, err.fd])
            pid = int(ours.recv(64))
            ours.settimeout(timeout)
            try:
                status = int(ours.recv(64))
            except TimeoutError:
                os.kill(pid, signal.SIGKILL)
                raise subprocess.TimeoutExpired(list(arguments), timeout, out.text, err.text) from None
            return subprocess.CompletedProcess(list(arguments), status, out.text, err.text)

    def _close(self) -> None:
        self._connection.close()
        self._process.wait(30)


def _of_python(env: Mapping[str, str]) -> dict[str, str]:
    """What the interpreter reads when it starts."""
    return {name: value for name, value in env.items() if name.startswith("PYTHON")}


class _MemoryFile:
    """A standard stream of a command."""

    def __init__(self, text: str = "") -> None:
        self.fd = os.memfd_create("stream")
        os.write(self.fd, text.encode())
        os.lseek(self.fd, 0, os.SEEK_SET)

    @property
    def text(self) -> str:
        return Path(f"/proc/self/fd/{self.fd}").read_text()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self.fd)


@functools.cache
def server() -> CommandServer:
    """Return the server of this process."""
    return CommandServer()


def _serve(connection: socket.socket) -> list[str]:
    """Fork for each request until the other end closes; return in a fork with the arguments of its command."""
    while True:
        message, fds, _, _ = socket.recv_fds(connection, REQUEST_LIMIT, FD_COUNT)
        with suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG) != (0, 0):
                pass
        if not message:
            os._exit(0)
        if os.fork():
            for fd in fds:
                os.close(fd)
            continue
        connection.close()
        answer, *streams = fds
        arguments, env, directory = json.loads(message)
        if pid := os.fork():
            with socket.socket(fileno=answer) as answering:
                answering.send(str(pid).encode())
                _, status = os.waitpid(pid, 0)
                answering.send(str(os.waitstatus_to_exitcode(status)).encode())
            os._exit(0)
        os.close(answer)
        for number, fd in enumerate(streams):
            os.dup2(fd, number)
            os.close(fd)
        os.chdir(directory)
        sys.path[0] = directory
        os.environ.clear()
        os.environ.update(env)
        return list(arguments)


if __name__ == "__main__":
    for module in PRELOADED:
        importlib.import_module(module)
    gc.freeze()
    sys.exit(main(_serve(socket.socket(fileno=int(sys.argv[1])))))
