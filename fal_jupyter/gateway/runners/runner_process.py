"""Runner processes, and the template processes that fork them."""

from __future__ import annotations

import asyncio
import codecs
import logging
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final, Protocol

from fal_jupyter.domain.environments.start_time import template_environment
from fal_jupyter.domain.text.token_bucket import TokenBucket
from fal_jupyter.gateway.runners.channel import GatewayChannel
from fal_jupyter.gateway.runners.frame_dump import FrameDump
from fal_jupyter.gateway.runners.template_messages import (
    ForkCommand,
    KillCommand,
    SignalCommand,
    TemplateCommand,
    TemplateEvent,
    decode_event,
    encode_command,
)
from fal_jupyter.installed import Installed
from fal_jupyter.processes import ends_within, is_stopped
from fal_jupyter.protocol.api import Environment, Machine
from fal_jupyter.protocol.frames import WINDOW, Frame

log = logging.getLogger("fal_jupyter.launcher")
ABORT_GRACE: Final = 0.5  # seconds for a runner to print its stacks
CUT_OFF_GRACE: Final = 1.0  # seconds for a runner to exit once its channel has closed
CHECK_EVERY: Final = 5.0  # seconds after which a template that has not executed a command is checked, repeatedly
KILL_PATIENCE: Final = 60.0  # seconds for a template to kill a runner; it may be busy with a large import
END_PATIENCE: Final = 20.0  # seconds for a template to end its process tree
PIPE_READ: Final = 64 * 1024
PIPE_READS: Final = 4


class RunnerEvents(Protocol):
    """Receives runners' events (:class:`fal_jupyter.gateway.engine.runner_executor.RunnerExecutor`)."""

    def runner_frame(self, runner_id: str, frame: Frame) -> None:
        """A frame of stream 0 arrived."""

    def runner_printed(self, runner_id: str, text: str) -> None:
        """The runner wrote text to its file descriptor 1 or 2."""

    def runner_refused(self, runner_id: str, reason: str) -> None:
        """The machine could not start the runner."""

    def runner_exited(self, runner_id: str, reason: str, *, lost: bool = False) -> None:
        """The runner and its orphans have ended; this is its last event. *lost*: it ended with its template, which is not a failure of its app."""


@dataclass(frozen=True, slots=True)
class RunnerLoad:
    """Launch data of a runner: the LOAD frame, and the parts of it that concern its process."""

    environment: Environment
    machine: Machine
    frame: bytes


class RunnerProcess:
    """A runner's process, from the command to fork it until it has ended.

    Attributes:
        pid: 0 until it is forked.
        channel: frames to and from the runner.
        isolated: name of its isolated environment, or ``""``.
        killed: the gateway ended it.
        cut_off: its channel closed although the process was still running; the gateway ended it.
        over_memory: bytes that it used when it was ended for that, else 0.

    Raises:
        OSError: there are too many open files, or the descriptors cannot be sent to its template.
    """

    def __init__(
        self,
        runner_id: str,
        template: TemplateProcess,
        load: RunnerLoad,
        events: RunnerEvents,
        dump: FrameDump | None,
    ) -> None:
        self.id, self.template, self.machine = runner_id, template, load.machine
        self.isolated = load.environment["isolated"]
        self.pid = self.over_memory = 0
        self.killed = self.cut_off = False
        self._events = events
        self._loop = asyncio.get_running_loop()
        self._dropped = 0  # bytes printed faster than the bucket refills
        self._bucket = TokenBucket()
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        gateway_end, runner_end = socket.socketpair()
        for end in (gateway_end, runner_end):  # a body's window fits, so that its sender rarely waits
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, WINDOW)
        try:
            self._pipe, write = os.pipe2(os.O_CLOEXEC)
        except OSError:
            gateway_end.close()
            runner_end.close()
            raise
        os.set_blocking(self._pipe, False)
        on_frame = partial(events.runner_frame, runner_id)
        self.channel = (
            GatewayChannel(gateway_end, on_frame, self._channel_ended)
            if dump is None
            else dump.channel(runner_id, gateway_end, on_frame, self._channel_ended)
        )
        self._loop.add_reader(self._pipe, self.read_output)
        template.runners[runner_id] = self
        command = ForkCommand(runner_id, load.environment["preload"], load.machine["memory"])
        try:
            template.send(command, (runner_end.fileno(), write))
        except Exception:
            self.close()
            raise
        finally:
            runner_end.close()
            os.close(write)
        self.channel.send(load.frame)
        self._loop.call_later(CHECK_EVERY, self._check_fork)

    @property
    def _is_over(self) -> bool:
        return self.template.closed or self.template.runners.get(self.id) is not self

    # --- its end ------------------------------------------------------------------------------------------------
    def kill(self, *, stacks: bool) -> None:
        """End the runner's whole process tree; with *stacks*, its threads' stacks are printed first."""
        self.killed = True
        if stacks:
            self.template.send(SignalCommand(self.id, int(signal.SIGABRT)))
            self._loop.call_later(ABORT_GRACE, self._send_kill)
        else:
            self._send_kill()

    def _send_kill(self) -> None:
        self.template.send(KillCommand(self.id))
        self._loop.call_later(CHECK_EVERY, self._check_kill, time.monotonic() + KILL_PATIENCE)

    def _channel_ended(self) -> None:
        self._loop.call_later(CUT_OFF_GRACE, self._cut_off)

    def _cut_off(self) -> None:
        """The channel closed a moment ago: a process that has not exited since can no longer be reached."""
        if self.template.runners.get(self.id) is self:
            self.cut_off = True
            self._send_kill()

    def _check_fork(self) -> None:
        if not self.pid and not self._is_over and not self._end_stopped_template():
            self._loop.call_later(CHECK_EVERY, self._check_fork)

    def _check_kill(self, deadline: float) -> None:
        if self._is_over or self._end_stopped_template():
            return
        if time.monotonic() > deadline:
            self.template.end(f"did not end a runner within {KILL_PATIENCE:g} s")
        else:
            self._loop.call_later(CHECK_EVERY, self._check_kill, deadline)

    def _end_stopped_template(self) -> bool:
        """End a template that was stopped (SIGSTOP): it would block the runner, its callers and the gateway. True if it was."""
        if not is_stopped(self.template.process.pid):
            return False
        self.template.end(f"was stopped and did not answer for {CHECK_EVERY:g} s")
        return True

    def close(self) -> None:
        """Close the gateway's ends of the channel and of the output pipe."""
        self.template.runners.pop(self.id, None)
        self._loop.remove_reader(self._pipe)
        os.close(self._pipe)
        self._pipe = -1
        self.channel.close()

    # --- its output ---------------------------------------------------------------------------------------------
    def drain(self) -> None:
        """Read the remaining data of an ended process in its channel and its output pipe."""
        self.channel.drain()
        self.read_output()
        if self._dropped:
            self._pass_on(b"")

    def read_output(self) -> None:
        """Read the available data of the output pipe."""
        for _ in range(PIPE_READS if self._pipe >= 0 else 0):  # bounded: excessive output must not block the event loop
            try:
                data = os.read(self._pipe, PIPE_READ)
            except BlockingIOError:
                break
            if not data:
                self._loop.remove_reader(self._pipe)
                break
            self._pass_on(data)
            if len(data) < PIPE_READ:
                break

    def _pass_on(self, data: bytes) -> None:
        if not self._bucket.take(len(data), time.monotonic()):
            self._dropped += len(data)
            self._decoder.reset()
            return
        if self._dropped:
            notice = f"\n[fal_jupyter: {self._dropped:,} bytes were printed too fast and dropped]\n"
            self._dropped = 0
            self._events.runner_printed(self.id, notice)
        if text := self._decoder.decode(data):  # a character may be split between two writes
            self._events.runner_printed(self.id, text)


TemplateKey = tuple[str, tuple[tuple[str, str | None], ...]]


def template_key(python: str, start_env: Mapping[str, str | None]) -> TemplateKey:
    """Common properties of the runners of one template."""
    return python, tuple(sorted(start_env.items()))


class TemplateProcess:
    """One template process, its control socket and its runners.

    Args:
        python: the interpreter.
        start_env: start-time variables of its runners that differ from the gateway's.
        environment: the gateway's variables.
        files: soft limit of open files of its runners.
        on_event: receives the template's events; None when it has ended.
        isolated: name of the isolated environment, or ``""``.

    Attributes:
        closed: its control socket is closed, so that it accepts no more commands.
        fault: why it was killed.
        installed: the installed packages of its interpreter, known once it is up.
        runners: by id, those that it forked (or is about to fork) and that have not ended.
    """

    def __init__(
        self,
        python: str,
        start_env: Mapping[str, str | None],
        environment: Mapping[str, str],
        files: int,
        on_event: Callable[[TemplateProcess, TemplateEvent | None], None],
        isolated: str = "",
    ) -> None:
        parent_end, child_end = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        command = [python, "-P", "-m", "fal_jupyter.runner.template", str(child_end.fileno()), str(files)]
        with child_end:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, pass_fds=(child_end.fileno(),), cwd="/",
                env=template_environment(environment, start_env, isolated=bool(isolated)),
                start_new_session=True,
            )  # fmt: skip
        parent_end.setblocking(False)
        self.key = template_key(python, start_env)
        self.python, self.isolated, self._control, self._on_event = python, isolated, parent_end, on_event
        self.runners: dict[str, RunnerProcess] = {}
        self.closed = False
        self.fault = ""
        self.installed: Installed | None = None
        self._pending: list[tuple[bytes, list[int]]] = []
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(parent_end, self._readable)

    @property
    def is_up(self) -> bool:
        """True once it has imported what its runners need."""
        return self.installed is not None

    def send(self, command: TemplateCommand, descriptors: tuple[int, ...] = ()) -> None:
        """Send a command; the descriptors are duplicated, so the caller may close its own at once.

        Raises:
            OSError: they cannot be duplicated because too many are open.
        """
        if self.closed:
            return
        copies: list[int] = []
        try:
            for fd in descriptors:
                copies.append(os.dup(fd))
        except OSError:
            for fd in copies:
                os.close(fd)
            raise
        self._pending.append((encode_command(command), copies))
        self._flush()

    def _flush(self) -> None:
        while self._pending:
            data, fds = self._pending[0]
            try:
                socket.send_fds(self._control, [data], fds)
            except BlockingIOError:
                self._loop.add_writer(self._control, self._flush)
                return
            except OSError:
                pass  # it has ended; the end of the socket is read next
            for fd in fds:
                os.close(fd)
            self._pending.pop(0)
        self._loop.remove_writer(self._control)

    def _readable(self) -> None:
        try:
            packet = self._control.recv(65536)
        except BlockingIOError:
            return
        except OSError:
            packet = b""
        self._on_event(self, decode_event(packet) if packet else None)

    def end(self, fault: str) -> None:
        """Kill it. It is an unreaped child, so its pid cannot belong to another process."""
        if not self.closed:
            self.fault = fault
            log.warning("template %s %s: it is ended", self.process.pid, fault)
            self.process.kill()

    def wait(self) -> None:
        """Wait in a thread until the process has ended; kill it if it does not end by itself."""
        pidfd = os.pidfd_open(self.process.pid)
        try:
            if not ends_within(pidfd, CHECK_EVERY) and (
                is_stopped(self.process.pid) or not ends_within(pidfd, END_PATIENCE - CHECK_EVERY)
            ):
                signal.pidfd_send_signal(pidfd, signal.SIGKILL)
        finally:
            os.close(pidfd)
        self.process.wait()

    def leave(self) -> None:
        """Make the template end by itself; it has ended when its end of the control socket is closed."""
        self._control.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """Close the control socket: the template ends its whole process tree, and itself."""
        if not self.closed:
            self.closed = True
            self._loop.remove_reader(self._control)
            self._loop.remove_writer(self._control)
            self._control.close()
            for _, fds in self._pending:
                for fd in fds:
                    os.close(fd)
