"""The warm fork source and supervisor: ``python -P -m fal_jupyter.runner.template FD``, one process for each interpreter (and for each
set of variables that take effect when a process starts, ``LD_LIBRARY_PATH``, ``OMP_NUM_THREADS`` …, which its runners inherit).

It imports what every runner needs, stays single-threaded, and forks runners on request. It is a child subreaper, so
that it adopts processes that user code leaves behind when a runner ends; and it ends its process tree when the gateway
ends (end of the control socket).

Control socket: AF_UNIX SOCK_SEQPACKET, one JSON object per packet.

gateway → template
    ``{"op": "fork", "runner_id", "preload": [module…], "memory"}`` (limit in bytes, 0: none) with two descriptors: the runner's end of its
    channel and the write end of its output pipe · ``{"op": "kill", "runner_id"}`` · ``{"op": "signal", "runner_id", "signal"}``
template → gateway
    ``{"event": "up", "pid", "imports_ms", "installed", "no_data"}`` (the fields of :class:`fal_jupyter.installed.Installed`; why ``/data`` is not mounted) · ``{"event": "forked", "runner_id", "pid"}`` ·
    ``{"event": "refused", "runner_id", "reason"}`` · ``{"event": "over_memory", "runner_id", "used"}`` (it was killed) · ``{"event": "exited", "runner_id", "status", "peak"}`` (bytes of memory;
    its orphans have ended by then)
"""

from __future__ import annotations

import importlib
import json
import logging
import os
import select
import signal
import socket
import subprocess
import sys
import time
import traceback
from dataclasses import asdict

import msgspec

from fal_jupyter import process_logging, settings
from fal_jupyter.domain.environments.literal_data import PLACE_VARIABLE
from fal_jupyter.installed import installed_here
from fal_jupyter.processes import (
    CLEANING,
    PR_SET_PDEATHSIG,
    become_subreaper,
    end_cleaners,
    end_orphans,
    prctl,
    set_file_limit,
    why_refused,
)
from fal_jupyter.runner import guard
from fal_jupyter.runner.process import data_mount, trust
from fal_jupyter.runner.process.memory_limit import MemoryLimits
from fal_jupyter.runner.process.reseed import CopiedGenerators

BASE_IMPORTS = (
    "fastapi",
    "fastapi.encoders",
    "fastapi.routing",
    "pydantic",
    "anyio._backends._asyncio",
    "cloudpickle",
    "msgspec",
    "asyncio",
    "uvloop",
    "threadpoolctl",
    "fal_jupyter.fal",
    "fal_jupyter.shipping",
    "fal_jupyter.runner.lifecycle",
)
PRELOADABLE = ("numpy", "torch", "PIL")
log = logging.getLogger("fal_jupyter.template")


class _Command(msgspec.Struct):
    """A command of the gateway (:mod:`fal_jupyter.gateway.runners.template_messages`): fork, kill or signal."""

    op: str
    runner_id: str
    preload: list[str] = []
    memory: int = 0
    signal: int = 0


class Template:
    """The loop of the template process. *environ* is what a runner that cannot be forked starts with."""

    def __init__(self, control: socket.socket, environ: dict[str, str], no_data: str) -> None:
        self.control, self.environ, self.no_data = control, environ, no_data
        self.runners: dict[int, str] = {}
        self.cleaners: dict[int, float] = {}  # orphans that are still cleaning up, and their deadlines
        self.generators = CopiedGenerators()
        self.memory = MemoryLimits()
        read, write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self.wakeup, self._write = read, write
        signal.set_wakeup_fd(write, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # only the end of the control socket ends the supervisor

    def run(self) -> None:
        began = time.monotonic()
        installed = asdict(installed_here())  # before the imports: changes during them count as changes
        for name in BASE_IMPORTS:
            self._import(name)
        imports_ms = round((time.monotonic() - began) * 1000, 1)
        log.debug("template %s is up: imports took %s ms", os.getpid(), imports_ms)
        self._send_event(event="up", pid=os.getpid(), imports_ms=imports_ms, installed=installed, no_data=self.no_data)
        trust.default_authorities()  # inherited by runners
        poller = select.poll()
        poller.register(self.control, select.POLLIN)
        poller.register(self.wakeup, select.POLLIN)
        while True:
            ready = {fd for fd, _ in poller.poll(self._milliseconds_left())}
            if self.wakeup in ready:
                os.read(self.wakeup, 4096)
            self._reap()
            self._end_late_cleaners()
            self._end_exceeding()
            if self.control.fileno() in ready and not self._handle_command():
                break
        self._end_everything()

    def _import(self, name: str) -> None:
        try:
            importlib.import_module(name)
        except ImportError:
            pass  # an optional one (uvloop), which the runner does not need either

    def _send_event(self, **event: object) -> None:
        try:
            self.control.send(json.dumps(event).encode())
        except OSError:
            pass  # the gateway has ended; the end of the socket is read next

    def _handle_command(self) -> bool:
        try:
            packet, fds, _, _ = socket.recv_fds(self.control, 65536, 2)
        except ConnectionResetError:  # it ended before it had read our message
            return False
        if not packet:
            return False
        command = msgspec.json.decode(packet, type=_Command)
        runner_id = command.runner_id
        if command.op == "fork":
            try:
                self._fork(runner_id, command, fds)
            except OSError as error:
                self._send_event(event="refused", runner_id=runner_id, reason=why_refused(error))
            finally:
                for fd in fds:
                    os.close(fd)
        else:
            number = signal.SIGKILL if command.op == "kill" else command.signal
            for pid, name in self.runners.items():
                if name == runner_id:
                    os.kill(pid, number)  # our child, not reaped yet: the pid cannot be another's
        return True

    def _fork(self, runner_id: str, command: _Command, fds: list[int]) -> None:
        channel, output = fds
        for name in command.preload:
            if name in PRELOADABLE:
                self._import(name)
        if len(os.listdir("/proc/self/task")) > 1:
            pid = self._spawn(channel, output)
        else:
            self.generators.look()
            pid = os.fork()
            if pid == 0:
                _become_runner(os.getppid(), channel, output, self.generators)
        self.runners[pid] = runner_id
        self.memory.add(pid, command.memory)
        log.debug("%s is process %s", runner_id, pid)
        self._send_event(event="forked", runner_id=runner_id, pid=pid)

    def _spawn(self, channel: int, output: int) -> int:
        command = [sys.executable, "-P", "-m", "fal_jupyter.runner.spawned", str(os.getpid()), str(channel)]
        child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            pass_fds=(channel,),
            env=self.environ,
            start_new_session=True,
        )
        child.returncode = 0  # reaped by the template's own loop
        return child.pid

    def _reap(self) -> None:
        ended: list[tuple[str, int, int]] = []
        while True:
            try:
                pid, status, used = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                break
            if pid == 0:
                break
            self.cleaners.pop(pid, None)
            self.memory.forget(pid)
            if (runner_id := self.runners.pop(pid, None)) is not None:
                ended.append((runner_id, status, used.ru_maxrss * 1024))
        if ended:
            for pid in end_orphans({*self.runners, *self.cleaners}):
                self.cleaners[pid] = time.monotonic() + CLEANING
        for runner_id, status, peak in ended:
            log.debug("%s ended with status %s", runner_id, status)
            self._send_event(event="exited", runner_id=runner_id, status=status, peak=peak)

    def _end_late_cleaners(self) -> None:
        now = time.monotonic()
        for pid in [pid for pid, deadline in self.cleaners.items() if deadline <= now]:
            os.kill(pid, signal.SIGKILL)
            del self.cleaners[pid]

    def _end_exceeding(self) -> None:
        for pid, used in self.memory.exceeded().items():
            self._send_event(event="over_memory", runner_id=self.runners[pid], used=used)
            os.kill(pid, signal.SIGKILL)
            self.memory.forget(pid)

    def _milliseconds_left(self) -> float | None:
        """Milliseconds until the next deadline; None: there is none."""
        timeouts = [deadline - time.monotonic() for deadline in self.cleaners.values()]
        if (look := self.memory.seconds_left()) is not None:
            timeouts.append(look)
        return max(1.0, min(timeouts) * 1000) if timeouts else None

    def _end_everything(self) -> None:
        end_cleaners(end_orphans(()))


def _become_runner(parent: int, channel: int, output: int, generators: CopiedGenerators) -> None:
    """In the forked child: never returns."""
    status = 70
    try:
        guard.arm(parent)
        os.dup2(output, 1)
        os.dup2(output, 2)
        channel = os.dup2(channel, 3) if channel != 3 else 3
        guard.close_other_descriptors({3})
        guard.show_stacks_on_abort()
        generators.reseed()
        from fal_jupyter.runner import lifecycle

        status = lifecycle.main(socket.socket(fileno=channel))
    except SystemExit as stop:
        status = stop.code if isinstance(stop.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        try:
            sys.stdout.flush()
            sys.stderr.flush()
        finally:
            os._exit(status)


def main() -> None:
    """Run the template on the control socket whose descriptor is the first argument; the second limits open files."""
    folder = os.environ.pop(PLACE_VARIABLE, "")
    why_not = data_mount.enter(folder) if folder else ""  # before prctl: new credentials reset its settings
    become_subreaper()
    prctl(PR_SET_PDEATHSIG, signal.SIGCONT)  # a stopped template must see the end of its gateway, too
    set_file_limit(int(sys.argv[2]))
    environ = dict(os.environ)
    os.environ["OPENBLAS_NUM_THREADS"] = "1"  # otherwise numpy starts a thread, which a fork would lose
    control = socket.socket(fileno=int(sys.argv[1]))
    os.set_inheritable(control.fileno(), False)
    process_logging.log_to_stderr(settings.read())  # inherited by runners
    Template(control, environ, why_not).run()


if __name__ == "__main__":
    main()
