"""Local processes: a template for each interpreter (and set of start-time variables), runners forked from it, their output pipes, and their ends."""

from __future__ import annotations

import asyncio
import codecs
import json
import logging
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from fal_jupyter.domain.environments.start_time import start_time_difference, template_environment
from fal_jupyter.domain.text.token_bucket import TokenBucket
from fal_jupyter.gateway.runners.channel import GatewayChannel
from fal_jupyter.installed import Installed
from fal_jupyter.processes import end_cleaners, end_orphans, ends_within, is_stopped, oom_kills, why_refused
from fal_jupyter.protocol.api import Environment, Machine
from fal_jupyter.protocol.frames import WINDOW, Frame

log = logging.getLogger("fal_jupyter.launcher")
ABORT_GRACE = 0.5
CUT_OFF_GRACE = 1.0
LOOK = 5.0  # seconds after which a template that does not answer an order is looked at, again and again
MOST_SILENT = 60.0  # seconds for a template to end a runner; it may be importing something large meanwhile
END_PATIENCE = 20.0  # seconds for a template to end its tree
PIPE_READ = 64 * 1024
PIPE_READS = 4


class RunnerEvents(Protocol):
    """Who hears of runners (:class:`fal_jupyter.gateway.engine.engine.Engine`)."""

    def runner_frame(self, runner_id: str, frame: Frame) -> None:
        """A frame of stream 0."""

    def runner_printed(self, runner_id: str, text: str) -> None:
        """Text on the runner's file descriptors 1 or 2."""

    def runner_refused(self, runner_id: str, reason: str) -> None:
        """The machine could not start it."""

    def runner_exited(self, runner_id: str, reason: str, *, lost: bool = False) -> None:
        """It and its orphans have ended; nothing more comes from it. *lost*: it ended with its template, which is no failure of its app."""


@dataclass(frozen=True, slots=True)
class RunnerLoad:
    """What a runner is started with: the LOAD frame, and the parts of it that concern its process."""

    environment: Environment
    machine: Machine
    frame: bytes


@dataclass
class RunnerProcess:
    """A runner's process."""

    id: str
    template: TemplateProcess
    channel: GatewayChannel
    pipe: int
    machine: Machine
    isolated: str = ""
    pid: int = 0
    killed: bool = False
    cut_off: bool = False
    over_memory: int = 0  # bytes that it had when it was ended for that
    dropped: int = 0
    allowance: TokenBucket = field(default_factory=TokenBucket)
    decoder: codecs.IncrementalDecoder = field(default_factory=lambda: codecs.getincrementaldecoder("utf-8")("replace"))


TemplateKey = tuple[str, tuple[tuple[str, str | None], ...]]


def template_key(python: str, start_env: Mapping[str, str | None]) -> TemplateKey:
    """What the runners that a template forks have in common."""
    return python, tuple(sorted(start_env.items()))


class TemplateProcess:
    """One template process and its control socket. *start_env* are its runners' start-time variables where they are not ours."""

    def __init__(
        self,
        python: str,
        start_env: Mapping[str, str | None],
        environment: Mapping[str, str],
        files: int,
        on_event: Callable[[TemplateProcess, dict[str, Any]], None],
        isolated: str = "",
    ) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        command = [python, "-P", "-m", "fal_jupyter.runner.template", str(theirs.fileno()), str(files)]
        with theirs:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, pass_fds=(theirs.fileno(),), cwd="/",
                env=template_environment(environment, start_env, isolated=bool(isolated)),
                start_new_session=True,
            )  # fmt: skip
        ours.setblocking(False)
        self.key = template_key(python, start_env)
        self.python, self.isolated, self._control, self._on_event = python, isolated, ours, on_event
        self.up = self.gone = False
        self.fault = ""  # why it was ended by force
        self.installed: Installed | None = None  # known once it is up
        self._waiting: list[tuple[bytes, list[int]]] = []
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(ours, self._readable)

    def order(self, descriptors: tuple[int, ...] = (), **order: Any) -> None:
        """Send an order; the descriptors are duplicated, so that the caller may close its own at once.

        Raises:
            OSError: they cannot be, there are too many open.
        """
        if self.gone:
            return
        copies: list[int] = []
        try:
            for fd in descriptors:
                copies.append(os.dup(fd))
        except OSError:
            for fd in copies:
                os.close(fd)
            raise
        self._waiting.append((json.dumps(order).encode(), copies))
        self._flush()

    def _flush(self) -> None:
        while self._waiting:
            data, fds = self._waiting[0]
            try:
                socket.send_fds(self._control, [data], fds)
            except BlockingIOError:
                self._loop.add_writer(self._control, self._flush)
                return
            except OSError:
                pass  # it is gone; the end of the socket is about to be read
            for fd in fds:
                os.close(fd)
            self._waiting.pop(0)
        self._loop.remove_writer(self._control)

    def _readable(self) -> None:
        try:
            packet = self._control.recv(65536)
        except BlockingIOError:
            return
        except OSError:
            packet = b""
        self._on_event(self, json.loads(packet) if packet else {"event": "gone"})

    def end(self, fault: str) -> None:
        """End it by force. It is a child that was not waited for, so its pid cannot be another process's."""
        if not self.gone:
            self.fault = fault
            log.warning("template %s %s: it is ended", self.process.pid, fault)
            self.process.kill()

    def wait(self) -> None:
        """Wait in a thread until the process has ended, by force where it does not end by itself."""
        pidfd = os.pidfd_open(self.process.pid)
        try:
            if not ends_within(pidfd, LOOK) and (
                is_stopped(self.process.pid) or not ends_within(pidfd, END_PATIENCE - LOOK)
            ):
                signal.pidfd_send_signal(pidfd, signal.SIGKILL)
        finally:
            os.close(pidfd)
        self.process.wait()

    def leave(self) -> None:
        """Have the template end by itself; it is gone when its end of the control socket is closed."""
        self._control.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """Close the control socket: the template ends its whole tree, and itself."""
        if not self.gone:
            self.gone = True
            self._loop.remove_reader(self._control)
            self._loop.remove_writer(self._control)
            self._control.close()
            for _, fds in self._waiting:
                for fd in fds:
                    os.close(fd)


@dataclass
class Launcher:
    """Starts, kills and watches runners. *files* is their soft limit of open files; ours is higher."""

    watcher: RunnerEvents
    environment: Mapping[str, str]
    files: int
    templates: dict[TemplateKey, TemplateProcess] = field(default_factory=dict)
    processes: dict[str, RunnerProcess] = field(default_factory=dict)
    replaced: list[TemplateProcess] = field(
        default_factory=list
    )  # their packages changed; each ends with its last runner
    leaving: list[TemplateProcess] = field(default_factory=list)  # no runner is left, they end by themselves
    _cleaning: dict[asyncio.Future[None], list[int]] = field(default_factory=dict)  # orphans that still clean up
    _ooms: int = field(default_factory=lambda: oom_kills())

    def start(self, runner_id: str, load: RunnerLoad) -> None:
        """Start a runner and send it its LOAD frame; what becomes of it comes to the watcher."""
        loop = asyncio.get_running_loop()
        environment = load.environment
        if environment["isolated"] and not os.path.exists(environment["python"]):
            told = f"its environment {environment['isolated']} was removed: run the cell again, or serve the file again"
            loop.call_soon(self.watcher.runner_refused, runner_id, told)
            return
        try:
            template = self._template(environment)
            ours, theirs = socket.socketpair()
            for end in (ours, theirs):  # a window of a body fits, so that its sender seldom waits
                end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, WINDOW)
            try:
                read, write = os.pipe2(os.O_CLOEXEC)
            except OSError:
                ours.close()
                theirs.close()
                raise
        except OSError as error:
            loop.call_soon(self.watcher.runner_refused, runner_id, why_refused(error))
            return
        os.set_blocking(read, False)
        channel = GatewayChannel(
            ours,
            lambda frame: self.watcher.runner_frame(runner_id, frame),
            lambda: self._channel_ended(runner_id),
        )
        process = self.processes[runner_id] = RunnerProcess(
            runner_id, template, channel, read, load.machine, environment["isolated"]
        )
        loop.add_reader(read, self._printed, runner_id)
        try:
            template.order(
                (theirs.fileno(), write),
                op="fork",
                runner_id=runner_id,
                preload=environment["preload"],
                memory=load.machine["memory"],
            )
        except OSError as error:
            self._forget(process)
            loop.call_soon(self.watcher.runner_refused, runner_id, why_refused(error))
            return
        finally:
            theirs.close()
            os.close(write)
        channel.send(load.frame)
        loop.call_later(LOOK, self._look_at, process, "start", 0.0)

    def _look_at(self, process: RunnerProcess, order: str, asked: float) -> None:
        """Look at a template that has not carried out an order yet: a stopped one would block the runner, its callers and the gateway."""
        template = process.template
        if (order == "start" and process.pid) or template.gone or self.processes.get(process.id) is not process:
            return
        if is_stopped(template.process.pid):
            template.end(f"was stopped and did not answer for {LOOK:g} s")
        elif order == "kill" and time.monotonic() > asked + MOST_SILENT:
            template.end(f"did not end a runner within {MOST_SILENT:g} s")
        else:
            asyncio.get_running_loop().call_later(LOOK, self._look_at, process, order, asked)

    def _order_kill(self, process: RunnerProcess) -> None:
        process.template.order(op="kill", runner_id=process.id)
        asyncio.get_running_loop().call_later(LOOK, self._look_at, process, "kill", time.monotonic())

    def _channel_ended(self, runner_id: str) -> None:
        asyncio.get_running_loop().call_later(CUT_OFF_GRACE, self._cut_off, runner_id)

    def _cut_off(self, runner_id: str) -> None:
        """Its channel ended a moment ago: if it has not ended itself, it cannot be reached any more."""
        process = self.processes.get(runner_id)
        if process is not None:
            process.cut_off = True
            self._order_kill(process)

    def _template(self, environment: Environment) -> TemplateProcess:
        python, isolated = environment["python"], environment["isolated"]
        start_env = start_time_difference(environment["env"], self.environment, isolated=bool(isolated))
        template = self.templates.get(template_key(python, start_env))
        if template is not None and template.installed is not None and template.installed.changed():
            log.info("packages of %s have changed: template %s is replaced", python, template.process.pid)
            self._replace(template)
            template = None
        if template is None or template.gone:
            self._end_unused(python)
            template = TemplateProcess(python, start_env, self.environment, self.files, self._event, isolated)
            self.templates[template.key] = template
            log.info("template %s for %s", template.process.pid, python)
        return template

    def _end_unused(self, python: str) -> None:
        """End the templates of *python* for special variables that have no runner, so that each edit of one does not leave one behind."""
        used = {process.template.key for process in self.processes.values()}
        for template in list(self.templates.values()):
            if template.python == python and template.key[1] and template.key not in used and not template.gone:
                self._leave(template)

    def _replace(self, template: TemplateProcess) -> None:
        """Start no runner from this template any more; those that it has go on."""
        del self.templates[template.key]
        self.replaced.append(template)
        self._end_replaced()

    def _end_replaced(self) -> None:
        used = {id(process.template) for process in self.processes.values()}
        for template in [t for t in self.replaced if id(t) not in used]:
            self.replaced.remove(template)
            self._leave(template)

    def _leave(self, template: TemplateProcess) -> None:
        if self.templates.get(template.key) is template:
            del self.templates[template.key]
        self.leaving.append(template)
        template.leave()
        asyncio.get_running_loop().call_later(END_PATIENCE, template.end, f"did not end within {END_PATIENCE:g} s")

    def isolated_of(self, runners: Collection[str]) -> set[str]:
        """The isolated environments that these runners have."""
        return {p.isolated for p in self.processes.values() if p.isolated and p.id in runners}

    def release(self, wanted: Collection[str]) -> None:
        """End the templates of isolated environments that no runner has and that are not among *wanted*, by name.

        Those of kernels stay: the next app starts at once.
        """
        wanted = {*wanted, *(process.isolated for process in self.processes.values())}
        for template in list(self.templates.values()):
            if template.isolated and template.isolated not in wanted and not template.gone:
                self._leave(template)

    def channel(self, runner_id: str) -> GatewayChannel | None:
        """The runner's channel, or None when it is gone."""
        process = self.processes.get(runner_id)
        return process.channel if process else None

    def kill(self, runner_id: str, *, stacks: bool) -> None:
        """End the runner's whole tree; with *stacks*, its threads' stacks are printed first."""
        process = self.processes.get(runner_id)
        if process is None:
            return
        process.killed = True
        if stacks:
            process.template.order(op="signal", runner_id=runner_id, signal=int(signal.SIGABRT))
            loop = asyncio.get_running_loop()
            loop.call_later(ABORT_GRACE, self._order_kill, process)
        else:
            self._order_kill(process)

    def _event(self, template: TemplateProcess, event: dict[str, Any]) -> None:
        if event["event"] == "gone":
            self._template_gone(template)
            return
        if event["event"] == "up":
            template.up, template.installed = True, Installed(**event["installed"])
            if event["no_data"]:
                log.warning("template %s: /data is not mounted: %s", template.process.pid, event["no_data"])
            return
        runner_id = event["runner_id"]
        process = self.processes.get(runner_id)
        if process is None:
            return
        if event["event"] == "forked":
            process.pid = event["pid"]
        elif event["event"] == "refused":
            self._forget(process)
            self.watcher.runner_refused(runner_id, event["reason"])
        elif event["event"] == "over_memory":
            process.over_memory = event["used"]
        elif event["event"] == "exited":
            self._ended(process, self._how(process, event["status"], event["peak"]))

    def _how(self, process: RunnerProcess, status: int, peak: int) -> str:
        """Say how a runner ended, and why, where that can be known. *peak* is the most memory it had, in bytes."""
        if process.cut_off:
            return "had closed its connection to the gateway (its code closed file descriptors), and was ended"
        if process.over_memory:
            return (
                f"ran over the memory of machine type {process.machine['type']}, with its children and shared memory: "
                f"the limit is {process.machine['memory'] / 1e6:,.0f} MB, it had {process.over_memory / 1e6:,.0f} MB"
            )
        ooms, self._ooms = self._ooms, oom_kills()
        if (
            self._ooms > ooms
            and not process.killed
            and os.WIFSIGNALED(status)
            and os.WTERMSIG(status) == signal.SIGKILL
        ):
            return (
                f"killed by SIGKILL: the machine (or its cgroup) ran out of memory; its peak was {peak / 1e6:,.0f} MB"
            )
        return exit_sentence(status)

    def _ended(self, process: RunnerProcess, reason: str, *, lost: bool = False) -> None:
        process.channel.drain()
        self._printed(process.id)
        if process.dropped:
            self._pass_on(process, b"")
        self._forget(process)
        self.watcher.runner_exited(process.id, reason, lost=lost)

    def _forget(self, process: RunnerProcess) -> None:
        self.processes.pop(process.id, None)
        asyncio.get_running_loop().remove_reader(process.pipe)
        os.close(process.pipe)
        process.channel.close()
        self._end_replaced()

    def _template_gone(self, template: TemplateProcess) -> None:
        template.close()
        if self.templates.get(template.key) is template:
            del self.templates[template.key]
        for others in (self.replaced, self.leaving):
            if template in others:
                others.remove(template)
        template.process.wait()
        self._kill_orphans()
        how = template.fault and f"its template {template.fault}, and was ended"
        reason = how or f"its template ended ({exit_sentence(template.process.returncode, code=True)})"
        if template.key[1] and not template.up:
            reason += f" before it was up: with {', '.join(name for name, _ in template.key[1])} as the app has it"
        lost = template.up or not template.key[1]
        for process in [p for p in self.processes.values() if p.template is template]:
            self._ended(process, reason, lost=lost)

    def _kill_orphans(self) -> None:
        """What a killed template leaves comes to us, a subreaper: end every child that is no template."""
        templates = {t.process.pid for t in (*self.templates.values(), *self.replaced, *self.leaving)}
        known = {pid for cleaners in self._cleaning.values() for pid in cleaners}
        if cleaners := end_orphans(templates | known):
            ending = asyncio.get_running_loop().run_in_executor(None, end_cleaners, cleaners)
            self._cleaning[ending] = cleaners
            ending.add_done_callback(self._cleaning.pop)

    def drain_output(self, runner_id: str) -> None:
        """Take what is in the runner's output pipe now."""
        self._printed(runner_id)

    def _printed(self, runner_id: str) -> None:
        process = self.processes.get(runner_id)
        if process is None:
            return
        for _ in range(PIPE_READS):  # then the others' turn: a flood must not hold the loop
            try:
                data = os.read(process.pipe, PIPE_READ)
            except BlockingIOError:
                break
            if not data:
                asyncio.get_running_loop().remove_reader(process.pipe)
                break
            self._pass_on(process, data)
            if len(data) < PIPE_READ:
                break

    def _pass_on(self, process: RunnerProcess, data: bytes) -> None:
        if not process.allowance.take(len(data), time.monotonic()):
            process.dropped += len(data)
            process.decoder.reset()
            return
        if process.dropped:
            told = f"\n[fal_jupyter: {process.dropped:,} bytes were printed too fast and dropped]\n"
            process.dropped = 0
            self.watcher.runner_printed(process.id, told)
        if text := process.decoder.decode(data):  # a character may come in two writes
            self.watcher.runner_printed(process.id, text)

    async def close(self) -> None:
        """End every template and with it every runner; done when they are gone."""
        loop = asyncio.get_running_loop()
        templates = (*self.templates.values(), *self.replaced, *self.leaving)
        for template in templates:
            template.close()
        await asyncio.gather(*(loop.run_in_executor(None, template.wait) for template in templates))
        self.templates.clear()
        self.replaced.clear()
        self.leaving.clear()
        self._kill_orphans()
        await asyncio.gather(*self._cleaning)


def exit_sentence(status: int, *, code: bool = False) -> str:
    """Say how a process ended, from its wait status (or, with *code*, from Popen's return code)."""
    ended = status if code else os.waitstatus_to_exitcode(status)
    if ended < 0:
        try:
            return f"killed by {signal.Signals(-ended).name}"
        except ValueError:
            return f"killed by signal {-ended}"
    return f"exited with status {ended}"
