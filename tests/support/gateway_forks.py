"""Gateways without the time of their imports: each is a fork of a process that has imported what a gateway imports.

A process of its own spends half a second of CPU on imports, and tests start hundreds of gateways. Those that :mod:`fal_jupyter.client` starts in
the tests' process, or in the commands and kernels that it forks (:mod:`tests.support.command_server`), are forks. All others start as a user's do:
those of ``serve.COMMAND``, of Jupyter servers, of a test that writes the command out, and those with other variables that Python reads at its start.
"""

from __future__ import annotations

import atexit
import fcntl
import gc
import importlib
import json
import os
import signal
import socket
import subprocess
import sys
import weakref
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

GATEWAY = [sys.executable, "-P", "-m", "fal_jupyter.gateway"]
ROOT = Path(__file__).parent.parent.parent
PRELOADED = ("fal_jupyter.gateway.__main__", "uvloop")
READ_AT_START = ("PYTHON", "LC_", "LANG", "TZ", "LD_")
REQUEST_LIMIT = 1 << 17  # bytes: arguments and environment
MOST_FDS = 16
SPARE_FDS = 200  # above those that a gateway is given


class _Forking:
    """Where forks are asked for: the socket of the process that forks, and what that one's Python has read at its start."""

    def __init__(self, connection: socket.socket, read: Mapping[str, str]) -> None:
        self.connection, self._read = connection, dict(read)

    def heeds(self, env: Mapping[str, str]) -> bool:
        """True where Python would read nothing else at its start."""
        return _read_at_start(env).items() <= self._read.items()


_forking: _Forking | None = None


def install() -> None:
    """Let gateways that this process starts be forks; the process that forks starts with the first of them.

    Two methods of the class are exchanged, and not the class: apps of tests send it to their runners by its name.
    """
    for name in _REPLACED:
        setattr(subprocess.Popen, name, vars(_Starting)[name])


def install_inherited(fd: int) -> None:
    """Let gateways that this process starts be forks of the process that another one of the tests has started."""
    global _forking
    _forking = _Forking(socket.socket(fileno=fd), _read_at_start(os.environ))
    install()


def inherited() -> list[int]:
    """Return the descriptors that a process has to inherit for :func:`install_inherited`: one or none."""
    forking = _started()
    return [] if forking is None else [forking.connection.fileno()]


def _started() -> _Forking | None:
    """Return the process that forks; None in `make coverage`, which measures gateways of their own."""
    global _forking
    if _forking is None and "COVERAGE_PROCESS_START" not in os.environ:
        ours, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        env = {name: value for name, value in os.environ.items() if not name.startswith("FAL_")}
        with other:
            process = subprocess.Popen(
                [sys.executable, "-m", __name__, str(other.fileno()), GATEWAY[-1]],  # forks are known by that word
                pass_fds=[other.fileno()],
                cwd=ROOT,
                env=env | {"ROOM": "x" * 500},
                stdin=subprocess.DEVNULL,
            )
        atexit.register(_end, process, os.getpid())
        _forking = _Forking(ours, _read_at_start(env))
    return _forking


def _end(process: subprocess.Popen[bytes], of: int) -> None:
    if os.getpid() == of:
        process.kill()
        process.wait()


def _read_at_start(env: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in env.items() if name.startswith(READ_AT_START) and name != "PYTHONUNBUFFERED"}


_REPLACED = ("_execute_child", "_try_wait", "_internal_poll")
_execute_child, _try_wait, _internal_poll = (vars(subprocess.Popen)[name] for name in _REPLACED)


class _Starting(subprocess.Popen[Any]):
    """Methods of Popen that start a gateway as such a fork, and all else as it is."""

    _answering: int  # a descriptor, only of a fork: a gateway outlives the object of its start

    def _execute_child(
        self, args: Any, executable: Any, preexec_fn: Any, close_fds: Any, pass_fds: Any, cwd: Any, env: Any, startupinfo: Any,
        creationflags: Any, shell: Any, p2cread: int, p2cwrite: int, c2pread: int, c2pwrite: int, errread: int, errwrite: int, *more: Any,
    ) -> None:  # fmt: skip
        """What the constructor calls last."""
        given = os.environ if env is None else env
        is_gateway = cwd == "/" and isinstance(args, list) and args[: len(GATEWAY)] == GATEWAY
        forking = _started() if is_gateway else None
        if forking is None or not forking.heeds(given):
            options = (args, executable, preexec_fn, close_fds, pass_fds, cwd, env, startupinfo, creationflags, shell)
            pipes = (p2cread, p2cwrite, c2pread, c2pwrite, errread, errwrite)
            _execute_child(self, *options, *pipes, *more)
            return
        try:
            streams = [fd if fd != -1 else number for number, fd in enumerate((p2cread, c2pwrite, errwrite))]
            request = json.dumps([args[len(GATEWAY) :], dict(given), str(cwd), list(pass_fds)]).encode()
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            with theirs:
                socket.send_fds(forking.connection, [request], [theirs.fileno(), *streams, *pass_fds])
            self.pid = int(ours.recv(64))
            self._answering = ours.detach()
            weakref.finalize(self, os.close, self._answering)
            self._child_created = True
        finally:
            cast(Any, self)._close_pipe_fds(p2cread, p2cwrite, c2pread, c2pwrite, errread, errwrite)

    def _try_wait(self, wait_flags: int) -> tuple[int, int]:
        if "_answering" not in vars(self):
            return cast("tuple[int, int]", _try_wait(self, wait_flags))
        os.set_blocking(self._answering, not wait_flags & os.WNOHANG)
        try:
            return self.pid, int(os.read(self._answering, 64) or signal.SIGKILL)
        except BlockingIOError:
            return 0, 0

    def _internal_poll(self, *state: Any, **more: Any) -> int | None:
        if "_answering" not in vars(self) or self.returncode is not None:
            return cast("int | None", _internal_poll(self, *state, **more))
        pid, status = self._try_wait(os.WNOHANG)
        if pid == self.pid:
            cast(Any, self)._handle_exitstatus(status)
        return self.returncode


def forked_request(connection: socket.socket, most_fds: int) -> tuple[bytes, list[int]]:
    """Fork for each request until the other end closes; return in a fork with the request and its descriptors."""
    while True:
        message, fds, _, _ = socket.recv_fds(connection, REQUEST_LIMIT, most_fds)
        with suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG) != (0, 0):
                pass
        if not message:
            os._exit(0)
        if not os.fork():
            connection.close()
            return message, fds
        for fd in fds:
            os.close(fd)


def _serve(connection: socket.socket) -> list[str]:
    """Fork for each request; return in a fork with the arguments of its gateway."""
    message, fds = forked_request(connection, MOST_FDS)
    arguments, env, directory, numbers = json.loads(message)
    with socket.socket(fileno=fds[0]) as answering:
        if pid := os.fork():
            for fd in fds[1:]:
                os.close(fd)
            _, status = os.waitpid(pid, 0)
            with suppress(OSError):  # who asked has ended
                answering.send(str(status).encode())
            os._exit(0)
        os.setsid()
        answering.send(str(os.getpid()).encode())
    spare = [fcntl.fcntl(fd, fcntl.F_DUPFD, SPARE_FDS) for fd in fds[1:]]
    for fd, number in zip(spare, [0, 1, 2, *numbers], strict=True):
        os.dup2(fd, number)
    for fd in {*fds[1:], *spare} - {0, 1, 2, *numbers}:
        os.close(fd)
    os.chdir(directory)
    os.environ.clear()
    os.environ.update(env)
    return list(arguments)


if __name__ == "__main__":
    from tests.support.command_server import show_state  # not where it is only installed: a kernel

    for module in PRELOADED:
        importlib.import_module(module)
    gc.freeze()
    given = _serve(socket.socket(fileno=int(sys.argv[1])))
    show_state(os.environ["FAL_JUPYTER_STATE"])
    del sys.path[0]  # that of the tests
    sys.argv = [GATEWAY[-1], *given]
    importlib.import_module(PRELOADED[0]).main()
