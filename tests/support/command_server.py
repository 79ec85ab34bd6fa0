"""Commands of ``fal-jupyter``, and kernels, without the time of their imports: each runs in a fork of a process that has imported them.

A process of its own spends a third of a second of CPU on imports; a fork, a few milliseconds. A process that forks starts with
the first command, another with the first kernel; they end with the tests' process. That for kernels has nothing of ``fal_jupyter``,
which a kernel imports when it loads the extension.
"""

from __future__ import annotations

import atexit
import ctypes
import functools
import gc
import importlib
import io
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Self, cast

from tests.support import gateway_forks

PRELOADED = {
    "command": (  # what commands import when they run
        "fal_jupyter.cli.main",
        "fal_jupyter.cli.gateway",
        "fal_jupyter.cli.serve",
        "fal_jupyter.commands.command_backend",
        "fal_jupyter.commands.handlers",
        "fal_jupyter.portability.examine",
        "pydantic",
    ),
    "kernel": (  # what a kernel imports until it is ready
        "ipykernel.kernelapp",
        "ipykernel.debugger",
        "IPython.core.completerlib",
        "IPython.core.logger",
        "IPython.core.oinspect",
        "IPython.extensions.storemagic",
        "sqlite3",
        "tornado.platform.asyncio",
        "tornado.queues",
    ),
}
PR_SET_PDEATHSIG = 1
FD_COUNT = 4  # the connection of the command, and its three standard streams


class CommandServer:
    """The process that forks, seen from the tests' process; *kind* is what its forks become, ``command`` or ``kernel``."""

    def __init__(self, kind: str, env: Mapping[str, str]) -> None:
        self._connection, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with other:
            gateways = gateway_forks.inherited()
            numbers = [str(fd) for fd in (other.fileno(), *gateways)]
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.support.command_server", kind, *numbers],
                pass_fds=[other.fileno(), *gateways],
                cwd=Path(__file__).parent.parent.parent,
                env={n: value for n, value in env.items() if not n.startswith("FAL_")} | {"ROOM": "x" * 500},
                stdin=subprocess.DEVNULL,
            )
        self._python = _of_python(env)
        atexit.register(self._close)

    def run(
        self, arguments: Sequence[str], env: Mapping[str, str], cwd: Path, *, stdin: str, timeout: float
    ) -> subprocess.CompletedProcess[str]:
        """Run ``fal-jupyter`` with these arguments to its end.

        Raises:
            ValueError: a variable of Python itself is not as it was when the server started, and a fork would not heed it.
            subprocess.TimeoutExpired: it did not end in time, and is killed.
        """
        with _MemoryFile(stdin) as given, _MemoryFile() as out, _MemoryFile() as err:
            with self._fork(arguments, env, cwd, [given.fd, out.fd, err.fd]) as ours:
                pid = int(ours.recv(64))
                ours.settimeout(timeout)
                try:
                    status = int(ours.recv(64))
                except TimeoutError:
                    os.kill(pid, signal.SIGKILL)
                    raise subprocess.TimeoutExpired(list(arguments), timeout, out.text, err.text) from None
            return subprocess.CompletedProcess(list(arguments), status, out.text, err.text)

    def start(self, arguments: Sequence[str], env: Mapping[str, str], cwd: Path) -> Forked:
        """Start ``fal-jupyter`` with these arguments and pipes for its output.

        Raises:
            ValueError: as for :meth:`run`.
        """
        (out, out_end), (err, err_end) = os.pipe(), os.pipe()
        given = os.open(os.devnull, os.O_RDONLY)
        try:
            answering = self._fork(arguments, env, cwd, [given, out_end, err_end])
        except BaseException:
            os.close(out)
            os.close(err)
            raise
        finally:
            for fd in (given, out_end, err_end):
                os.close(fd)
        return Forked(list(arguments), answering, open(out), open(err))

    def start_kernel(self, arguments: Sequence[str], env: Mapping[str, str], cwd: Path) -> Forked:
        """Start a kernel, with our own standard streams, in a session of its own.

        Raises:
            ValueError: as for :meth:`run`.
        """
        with open(os.devnull) as nothing:
            return Forked(list(arguments), self._fork(arguments, env, cwd, [nothing.fileno(), 1, 2]))

    def heeds(self, env: Mapping[str, str]) -> bool:
        """True unless a variable of Python itself is not as it was when the server started, which a fork would not heed."""
        return not self._differing(env)

    def _differing(self, env: Mapping[str, str]) -> list[str]:
        differing = dict(_of_python(env).items() ^ self._python.items())
        return sorted(differing.keys() - {"PYTHONUNBUFFERED"})

    def _fork(self, arguments: Sequence[str], env: Mapping[str, str], cwd: Path, streams: list[int]) -> socket.socket:
        """Return where the process id and the exit status of a new fork will be told."""
        if differing := self._differing(env):
            raise ValueError(f"{', '.join(differing)}: run this command as a process of its own (serve.COMMAND)")
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            request = json.dumps([list(arguments), dict(env), str(cwd)]).encode()
            socket.send_fds(self._connection, [request], [theirs.fileno(), *streams])
        return ours

    def _close(self) -> None:
        self._connection.close()
        self._process.wait(30)


class Forked:
    """A command that runs, as far as :class:`subprocess.Popen` has it."""

    stdin = None

    def __init__(
        self, args: list[str], answering: socket.socket, stdout: IO[str] | None = None, stderr: IO[str] | None = None
    ) -> None:
        self.args = args
        self.stdout, self.stderr = stdout, stderr
        self.returncode: int | None = None
        self._answering = answering
        self._readers: list[_Reader] = []
        self.pid = int(answering.recv(64))

    def poll(self) -> int | None:
        """Return the exit status if it has ended."""
        with suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end; return the exit status, negative for a signal.

        Raises:
            subprocess.TimeoutExpired: it has not ended in time.
        """
        if self.returncode is None:
            self._answering.settimeout(timeout)
            try:
                self.returncode = int(self._answering.recv(64))
            except (TimeoutError, BlockingIOError):
                raise subprocess.TimeoutExpired(self.args, timeout or 0) from None
            self._answering.close()
        return self.returncode

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """Return what it still writes to its two streams until its end.

        Raises:
            subprocess.TimeoutExpired: it has not ended in time; the next call returns all the same.
        """
        if not self._readers:
            self._readers = [_Reader(stream) for stream in (self.stdout, self.stderr) if stream]
        for reader in self._readers:
            reader.join(timeout)
            if reader.is_alive():
                raise subprocess.TimeoutExpired(self.args, timeout or 0)
        self.wait(timeout)
        out, err = (reader.text for reader in self._readers)
        return out, err

    def send_signal(self, number: int) -> None:
        """Send a signal unless it is known to have ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """Send SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Send SIGKILL."""
        self.send_signal(signal.SIGKILL)


class _Reader(threading.Thread):
    """Reads a stream to its end and closes it."""

    def __init__(self, stream: IO[str]) -> None:
        super().__init__(daemon=True)
        self._stream, self.text = stream, ""
        self.start()

    def run(self) -> None:
        with self._stream as stream:
            self.text = stream.read()


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
    """Return this process's server of commands."""
    return CommandServer("command", os.environ)


@functools.cache
def kernel_server() -> CommandServer:
    """Return this process's server of kernels, which write no byte code, as :class:`tests.support.kernel.Kernel` has it."""
    return CommandServer("kernel", os.environ | {"PYTHONDONTWRITEBYTECODE": "1"})


def _serve(connection: socket.socket, kernels: bool) -> list[str]:
    """Fork for each request; return in a fork with the arguments of its command."""
    message, fds = gateway_forks.forked_request(connection, FD_COUNT)
    answer, *streams = fds
    arguments, env, directory = json.loads(message)
    answering = socket.socket(fileno=answer)
    if pid := os.fork():
        if kernels:  # it hears that its parent has ended, and ends
            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
        answering.send(str(os.waitstatus_to_exitcode(status)).encode())
        os._exit(0)
    if kernels:
        os.setsid()  # before it is told of: its whole group will get signals
    with answering:
        answering.send(str(os.getpid()).encode())
    for number, fd in enumerate(streams):
        os.dup2(fd, number)
        os.close(fd)
    os.chdir(directory)
    sys.path[0] = directory
    os.environ.clear()
    os.environ.update(env)
    show_state(env.get("FAL_JUPYTER_STATE", ""))
    if env.get("PYTHONUNBUFFERED"):
        for stream in (sys.stdout, sys.stderr):
            cast(io.TextIOWrapper, stream).reconfigure(write_through=True)
    return list(arguments)


def show_state(state: str) -> None:
    """Name this state directory in the initial environment, by which :func:`tests.support.state.processes_of` finds processes."""
    fields = Path("/proc/self/stat").read_text().rsplit(")", 1)[1].split()
    start, end = map(int, fields[47:49])  # env_start and env_end
    shown = f"FAL_JUPYTER_STATE={state}".encode()
    if len(shown) < end - start:  # the variable ROOM sees to it
        ctypes.memmove(start, shown.ljust(end - start, b"\0"), end - start)


def _become_kernel(arguments: list[str]) -> None:
    """Go on as ``python -m ipykernel_launcher`` does."""
    del sys.path[0]  # the working directory, which IPython puts there again
    for name in [name for name in sys.modules if name.partition(".")[0] == "tests"]:
        del sys.modules[name]
    sys.argv = [cast(str, importlib.import_module("ipykernel_launcher").__file__), *arguments]
    parent = f"--IPKernelApp.parent_handle={os.getppid()}"  # ipykernel read the variable for it at its import
    importlib.import_module("ipykernel.kernelapp").launch_new_instance([*arguments, parent])


if __name__ == "__main__":
    kind, own, *others = sys.argv[1:]
    for module in PRELOADED[kind]:
        importlib.import_module(module)
    for number in others:
        gateway_forks.install_inherited(int(number))
    gc.freeze()
    given = _serve(socket.socket(fileno=int(own)), kind == "kernel")
    if kind == "kernel":
        _become_kernel(given)
    else:
        sys.exit(importlib.import_module("fal_jupyter.cli.main").main(given))
