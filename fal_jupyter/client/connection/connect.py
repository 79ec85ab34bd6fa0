"""Find the gateway of a state directory, or start one: race-free, and within a bounded time."""

from __future__ import annotations

import fcntl
import logging
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

from fal_jupyter import forks
from fal_jupyter.client.connection.waiting import silent
from fal_jupyter.domain import errors
from fal_jupyter.domain.errors import GatewayError, GatewayUnreachable, StateRefused
from fal_jupyter.processes import peer_of
from fal_jupyter.settings import Settings
from fal_jupyter.state import address_of, check_state

log = logging.getLogger("fal_jupyter.client")
CONNECT_PATIENCE = 15.0  # seconds for a gateway to accept a connection while its backlog is full
START_PATIENCE = 60.0  # seconds for a gateway to start; it waits up to 30 for the previous one
FOREGROUND_IDLE_EXIT = 365 * 86400.0  # seconds: a gateway in the foreground waits for Ctrl-C
MOST_STARTS = 3  # for gateways that are killed while they start
_KILLING = (signal.SIGTERM, signal.SIGINT, signal.SIGKILL)
LOOK_AGAIN = 0.02  # seconds between two attempts to take a lock: flock(2) has no time limit
MOST_WORDS = 1 << 20  # bytes of gateway.err
_CARRIED = ("PATH", "HOME", "USER", "LOGNAME", "LANG", "TMPDIR", "TZ", "VIRTUAL_ENV", "SHELL")
_CARRIED_PREFIXES = ("LC_", "XDG_")


def dial(settings: Settings, *, wait: bool = True) -> socket.socket:
    """Connect to the gateway's socket.

    Args:
        wait: False returns a non-blocking socket, and raises BlockingIOError if the backlog is full.

    Raises:
        OSError: no process listens there.
        GatewayUnreachable: another user's process does, or a gateway that accepts no more connections.
    """
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    forks.closed_in_child(sock)
    sock.setblocking(wait)
    try:
        with address_of(settings.socket) as address:
            if wait:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, _timeval(CONNECT_PATIENCE))
            try:
                sock.connect(address)
            except BlockingIOError:
                if not wait:
                    raise
                raise silent(_holder_of(settings.life_lock), CONNECT_PATIENCE) from None
            if wait:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, _timeval(0))
        _, uid = peer_of(sock)
        if uid != os.getuid():
            raise GatewayUnreachable(
                f"a process of another user (uid {uid}) answers on {settings.socket}",
                hint="set FAL_JUPYTER_STATE to a directory of your own",
            )
    except BaseException:
        sock.close()
        raise
    return sock


def _timeval(seconds: float) -> bytes:
    return struct.pack("ll", int(seconds), 0)


def _holder_of(lock: os.PathLike[str]) -> int:
    """Return the process id in a lock file; 0 if it has none."""
    try:
        with open(lock, "rb") as file:
            text = file.read(32).strip()
    except OSError:
        return 0
    return int(text) if text.isdigit() else 0


def peer_pid(sock: socket.socket) -> int:
    """Return the process that listens at the other end."""
    return peer_of(sock)[0]


def ensure_gateway(settings: Settings, *, idle_exit: float = 600.0) -> bool:
    """Make sure that a gateway answers; returns True when it was started here.

    Raises:
        StateRefused: other users can access the state directory.
        GatewayUnreachable: none could be started; the message says why.
    """
    check_state(settings.state)
    if _answering(settings) is not None:
        return False
    with _start_lock(settings):
        if _answering(settings) is not None:
            return False
        for starts_left in reversed(range(MOST_STARTS)):
            try:
                process = _start(settings, idle_exit)
                break
            except _Killed as killed:  # while it started, which is not its fault
                if not starts_left:
                    raise GatewayUnreachable(killed.message, hint=killed.hint) from None
        process.returncode = 0  # detached: nothing waits for it
        return True


def start_in_foreground(settings: Settings) -> subprocess.Popen[bytes]:
    """Start a gateway that also logs to this process's standard error; returns its process, for the caller to wait for.

    Raises:
        GatewayError: one is already running.
        StateRefused: other users can access the state directory.
        GatewayUnreachable: it could not be started; the message says why.
    """
    check_state(settings.state)
    with _start_lock(settings):
        if (pid := _answering(settings)) is not None:
            raise GatewayError(
                f"a gateway is already running in {settings.state} (process {pid})",
                hint=f"type: kill {pid}, which stops its apps, or set FAL_JUPYTER_STATE to another directory",
            )
        return _start(settings, FOREGROUND_IDLE_EXIT, foreground=True)


@contextmanager
def _start_lock(settings: Settings) -> Iterator[None]:
    """Hold the lock of the process that starts a gateway."""
    try:
        lock = os.open(settings.start_lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        settings.logs.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise StateRefused(
            f"the state directory {settings.state} cannot be written: {error.strerror}",
            hint="free some space, or set FAL_JUPYTER_STATE to a directory on another disk",
        ) from None
    try:
        _take(lock, settings)
        yield
    finally:
        os.close(lock)


class _Killed(GatewayUnreachable):
    """The gateway was ended by a signal while it started."""


def _take(lock: int, settings: Settings) -> None:
    """Take the lock, which another process holds while it starts a gateway."""
    deadline = time.monotonic() + 1.5 * START_PATIENCE
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise silent(
                    _holder_of(settings.start_lock), 1.5 * START_PATIENCE, "the process that starts a gateway"
                ) from None
            time.sleep(LOOK_AGAIN)
        else:
            break
    os.ftruncate(lock, 0)
    os.pwrite(lock, str(os.getpid()).encode(), 0)


def _answering(settings: Settings) -> int | None:
    """Return the process id of the running gateway (0: of another PID namespace); None if there is none."""
    try:
        with dial(settings) as sock:
            return peer_pid(sock)
    except OSError:
        return None


def _start(settings: Settings, idle_exit: float, *, foreground: bool = False) -> subprocess.Popen[bytes]:
    read, write = os.pipe2(os.O_CLOEXEC)
    command = [
        sys.executable,
        "-P",
        "-m",
        "fal_jupyter.gateway",
        "--ready-fd",
        str(write),
        "--idle-exit",
        str(idle_exit),
    ]
    if foreground:
        command.append("--foreground")
    try:
        with _last_words(settings) as file:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=None if foreground else file,
                stderr=None if foreground else file,
                pass_fds=(write,),
                env=_environment(settings),
                cwd="/",
                start_new_session=True,
            )
    except OSError as error:
        os.close(read)
        raise GatewayUnreachable(f"the gateway cannot be started: {error.strerror or error}") from None
    finally:
        os.close(write)
    with os.fdopen(read, "rb") as pipe:
        try:
            _wait_until_up(process, pipe, settings)
        except BaseException:
            if foreground:
                process.terminate()
            raise
    log.debug("started the gateway of %s: process %s", settings.state, process.pid)
    return process


def _wait_until_up(process: subprocess.Popen[bytes], pipe: BinaryIO, settings: Settings) -> None:
    from fal_jupyter.client.connection.control_connection import StartOutcome, decoded  # start-up

    poller = select.poll()
    poller.register(pipe, select.POLLIN)
    if not poller.poll(1000 * START_PATIENCE):
        refused = silent(process.pid, START_PATIENCE)
        process.send_signal(signal.SIGKILL)  # our own child, which no client uses yet
        process.wait()
        raise refused
    answer = pipe.read()
    if not answer:
        process.wait()
        kind = _Killed if -process.returncode in _KILLING else GatewayUnreachable
        raise kind(
            f"the gateway ended while it started (status {process.returncode})",
            hint=f"its last output is in {settings.logs / 'gateway.err'}",
        )
    outcome = decoded(answer, StartOutcome)
    if not outcome.ok:
        process.wait()
        kind = getattr(errors, outcome.kind, GatewayUnreachable)
        raise kind(outcome.error, hint=outcome.hint)


def _last_words(settings: Settings) -> BinaryIO:
    """Open the file for the gateways' standard streams; it is truncated when it has grown too large."""
    fd = os.open(settings.logs / "gateway.err", os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    if os.fstat(fd).st_size > MOST_WORDS:
        os.ftruncate(fd, 0)
    return os.fdopen(fd, "ab")


def _environment(settings: Settings) -> dict[str, str]:
    """The gateway's environment variables: none of the user's, since apps bring their own."""
    carried = {
        name: value for name, value in os.environ.items() if name in _CARRIED or name.startswith(_CARRIED_PREFIXES)
    }
    if "PYTHONPATH" in os.environ:
        carried["PYTHONPATH"] = os.environ["PYTHONPATH"]  # where fal_jupyter itself may be installed
    return carried | settings.environment()
