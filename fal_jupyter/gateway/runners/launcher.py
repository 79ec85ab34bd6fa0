"""Starts runners: keeps a template process for each interpreter (and set of start-time variables), which forks them, and reports their ends."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import Collection, Iterator, Mapping

from fal_jupyter.domain.environments.start_time import start_time_difference
from fal_jupyter.gateway.runners.frame_dump import FrameDump
from fal_jupyter.gateway.runners.runner_process import (
    END_PATIENCE,
    RunnerEvents,
    RunnerLoad,
    RunnerProcess,
    TemplateKey,
    TemplateProcess,
    template_key,
)
from fal_jupyter.gateway.runners.template_messages import (
    ForkRefused,
    MemoryExceeded,
    ProcessExited,
    ProcessForked,
    TemplateEvent,
    TemplateUp,
)
from fal_jupyter.processes import end_cleaners, end_orphans, oom_kills, why_refused
from fal_jupyter.protocol.api import Environment

log = logging.getLogger("fal_jupyter.launcher")


class Launcher:
    """The templates of one gateway, and the runners forked from them.

    Args:
        events: receives what the runners do.
        environment: the gateway's variables.
        files: soft limit of open files of each runner; the gateway's own is higher.
        dump: receives all frames, for debugging.
    """

    def __init__(
        self, events: RunnerEvents, environment: Mapping[str, str], files: int, dump: FrameDump | None = None
    ) -> None:
        self._events, self._environment, self._files, self._dump = events, environment, files, dump
        self._loop = asyncio.get_running_loop()
        self._current: dict[TemplateKey, TemplateProcess] = {}
        self._replaced: list[TemplateProcess] = []  # their packages changed; each ends with its last runner
        self._leaving: list[TemplateProcess] = []  # without runners; they are ending
        self._orphans: dict[asyncio.Future[None], list[int]] = {}  # pids that are still cleaning up
        self._oom_kills = oom_kills()

    def start(self, runner_id: str, load: RunnerLoad) -> RunnerProcess | None:
        """Start a runner and send it its LOAD frame; None if the machine cannot, which is also reported as an event."""
        environment = load.environment
        if environment["isolated"] and not os.path.exists(environment["python"]):
            reason = (
                f"its environment {environment['isolated']} was removed: run the cell again, or serve the file again"
            )
            self._loop.call_soon(self._events.runner_refused, runner_id, reason)
            return None
        try:
            return RunnerProcess(runner_id, self._template(environment), load, self._events, self._dump)
        except OSError as error:
            self._end_replaced()
            self._loop.call_soon(self._events.runner_refused, runner_id, why_refused(error))
            return None

    # --- templates ----------------------------------------------------------------------------------------------
    def _all(self) -> Iterator[TemplateProcess]:
        yield from (*self._current.values(), *self._replaced, *self._leaving)

    def template_pids(self) -> list[int]:
        """The templates that have runners or can start some."""
        return [template.process.pid for template in (*self._current.values(), *self._replaced)]

    def _template(self, environment: Environment) -> TemplateProcess:
        python, isolated = environment["python"], environment["isolated"]
        start_env = start_time_difference(environment["env"], self._environment, isolated=bool(isolated))
        template = self._current.get(template_key(python, start_env))
        if template is not None and template.installed is not None and template.installed.changed():
            log.info("packages of %s have changed: template %s is replaced", python, template.process.pid)
            self._replace(template)
            template = None
        if template is None or template.closed:
            self._end_unused(python)
            template = TemplateProcess(
                python, start_env, self._environment, self._files, self._template_event, isolated
            )
            self._current[template.key] = template
            log.info("template %s for %s", template.process.pid, python)
        return template

    def _end_unused(self, python: str) -> None:
        """End the templates of *python* for special variables that have no runner, so that edits of variables do not leave unused ones behind."""
        used = {template.key for template in self._all() if template.runners}
        for template in list(self._current.values()):
            if template.python == python and template.key[1] and template.key not in used and not template.closed:
                self._leave(template)

    def _replace(self, template: TemplateProcess) -> None:
        """Start no more runners from this template; existing ones continue."""
        del self._current[template.key]
        self._replaced.append(template)
        self._end_replaced()

    def _end_replaced(self) -> None:
        for template in [template for template in self._replaced if not template.runners]:
            self._replaced.remove(template)
            self._leave(template)

    def _leave(self, template: TemplateProcess) -> None:
        if self._current.get(template.key) is template:
            del self._current[template.key]
        self._leaving.append(template)
        template.leave()
        self._loop.call_later(END_PATIENCE, template.end, f"did not end within {END_PATIENCE:g} s")

    def release(self, needed: Collection[str]) -> None:
        """End the templates of isolated environments that no runner uses and that are not in *needed*, by name.

        Those of kernels stay, so that the next app starts quickly.
        """
        used = {process.isolated for template in self._all() for process in template.runners.values()}
        for template in list(self._current.values()):
            if template.isolated and template.isolated not in {*needed, *used} and not template.closed:
                self._leave(template)

    # --- their events -------------------------------------------------------------------------------------------
    def _template_event(self, template: TemplateProcess, event: TemplateEvent | None) -> None:
        if event is None:
            self._template_ended(template)
            return
        if isinstance(event, TemplateUp):
            template.installed = event.installed
            if event.no_data:
                log.warning("template %s: /data is not mounted: %s", template.process.pid, event.no_data)
            return
        log.debug("template %s: %s", template.process.pid, event)
        process = template.runners.get(event.runner_id)
        if process is None:
            return
        if isinstance(event, ProcessForked):
            process.pid = event.pid
        elif isinstance(event, ForkRefused):
            self._close(process)
            self._events.runner_refused(process.id, event.reason)
        elif isinstance(event, MemoryExceeded):
            process.over_memory = event.used
        else:
            self._process_ended(process, self._end_sentence(process, event))

    def _end_sentence(self, process: RunnerProcess, event: ProcessExited) -> str:
        """Describe how a runner ended, and why, if known."""
        if process.cut_off:
            return "had closed its connection to the gateway (its code closed file descriptors), and was ended"
        if process.over_memory:
            return (
                f"exceeded the memory of machine type {process.machine['type']}, with its children and shared memory: "
                f"the limit is {process.machine['memory'] / 1e6:,.0f} MB, it had {process.over_memory / 1e6:,.0f} MB"
            )
        before, self._oom_kills = self._oom_kills, oom_kills()
        if (
            self._oom_kills > before
            and not process.killed
            and os.WIFSIGNALED(event.status)
            and os.WTERMSIG(event.status) == signal.SIGKILL
        ):
            return (
                "killed by SIGKILL: the machine (or its cgroup) ran out of memory; "
                f"its peak was {event.peak / 1e6:,.0f} MB"
            )
        return exit_sentence(event.status)

    def _process_ended(self, process: RunnerProcess, reason: str, *, lost: bool = False) -> None:
        process.drain()
        self._close(process)
        self._events.runner_exited(process.id, reason, lost=lost)

    def _close(self, process: RunnerProcess) -> None:
        process.close()
        self._end_replaced()

    def _template_ended(self, template: TemplateProcess) -> None:
        template.close()
        if self._current.get(template.key) is template:
            del self._current[template.key]
        for others in (self._replaced, self._leaving):
            if template in others:
                others.remove(template)
        template.process.wait()
        self._end_orphans()
        forced = template.fault and f"its template {template.fault}, and was ended"
        reason = forced or f"its template ended ({exit_sentence(template.process.returncode, code=True)})"
        if template.key[1] and not template.is_up:
            reason += f" before it was up: with {', '.join(name for name, _ in template.key[1])} as the app has it"
        lost = template.is_up or not template.key[1]
        for process in list(template.runners.values()):
            self._process_ended(process, reason, lost=lost)

    def _end_orphans(self) -> None:
        """The gateway, a subreaper, adopts processes of a killed template: end every child that is not a template."""
        templates = {template.process.pid for template in self._all()}
        cleaning = {pid for cleaners in self._orphans.values() for pid in cleaners}
        if cleaners := end_orphans(templates | cleaning):
            ending = self._loop.run_in_executor(None, end_cleaners, cleaners)
            self._orphans[ending] = cleaners
            ending.add_done_callback(self._orphans.pop)

    async def close(self) -> None:
        """End every template and with it every runner; returns when they have ended."""
        templates = list(self._all())
        for template in templates:
            template.close()
        await asyncio.gather(*(self._loop.run_in_executor(None, template.wait) for template in templates))
        self._current.clear()
        self._replaced.clear()
        self._leaving.clear()
        self._end_orphans()
        await asyncio.gather(*self._orphans)


def exit_sentence(status: int, *, code: bool = False) -> str:
    """Describe how a process ended, from its wait status (or, with *code*, from Popen's return code)."""
    ended = status if code else os.waitstatus_to_exitcode(status)
    if ended < 0:
        try:
            return f"killed by {signal.Signals(-ended).name}"
        except ValueError:
            return f"killed by signal {-ended}"
    return f"exited with status {ended}"
