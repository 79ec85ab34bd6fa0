"""A real kernel, driven as a front end drives it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty
from typing import Any

from jupyter_client import launcher
from jupyter_client.manager import KernelManager
from jupyter_client.provisioning import local_provisioner

from tests.support import command_server
from tests.support.state import is_running

PROBE_EVERY = 5.0  # seconds


def _launch(cmd: list[str], **options: Any) -> subprocess.Popen[bytes] | command_server.Forked:
    """Start a kernel as jupyter_client does. One of this Python is a fork of a process that has imported IPython: 0.3 s of CPU less."""
    usual, env = [sys.executable, "-m", "ipykernel_launcher"], options.get("env") or os.environ
    if cmd[:3] != usual or options.keys() - {"env", "cwd"} or not command_server.kernel_server().heeds(env):
        return launcher.launch_kernel(cmd, **options)
    given = {**env, "JPY_PARENT_PID": str(os.getpid())}
    return command_server.kernel_server().start_kernel(cmd[3:], given, Path(options.get("cwd") or Path.cwd()))


local_provisioner.launch_kernel = _launch


class KernelEnded(Exception):
    """The kernel's process has ended."""


@dataclass
class Cell:
    """The outputs of one executed cell, in order."""

    status: str = "none"
    ename: str = ""
    evalue: str = ""
    traceback: str = ""
    outputs: list[dict[str, Any]] = field(default_factory=list)
    updates: list[dict[str, Any]] = field(default_factory=list)
    stray: list[dict[str, Any]] = field(default_factory=list)
    seconds: float = 0.0
    idle: set[str] = field(default_factory=set)  # requests whose end the kernel has published

    def take(self, message: dict[str, Any], msg_id: str) -> None:
        """Sort a message of the iopub channel in; *msg_id* is the cell's request."""
        kind, content = message["msg_type"], message["content"]
        parent = message["parent_header"].get("msg_id", "")
        mine = parent == msg_id
        if kind == "status" and content["execution_state"] == "idle":
            self.idle.add(parent)
        elif kind == "update_display_data" and mine:
            self.updates.append(content)
        elif kind in {"stream", "display_data", "execute_result", "error"}:
            output = {"output_type": kind, **content}
            (self.outputs if mine else self.stray).append(output)
            if kind == "error" and mine:
                self.ename, self.evalue = content["ename"], content["evalue"]
                self.traceback = "\n".join(content["traceback"])

    @property
    def text(self) -> str:
        """Standard output and standard error, in order."""
        return "".join(o["text"] for o in self.outputs if o["output_type"] == "stream")

    @property
    def result(self) -> str:
        """The text of the cell's result, or ''."""
        return "".join(o["data"].get("text/plain", "") for o in self.outputs if o["output_type"] == "execute_result")

    @property
    def html(self) -> str:
        return "\n".join(
            o["data"]["text/html"]
            for o in self.outputs
            if o["output_type"] == "display_data" and "text/html" in o["data"]
        )

    @property
    def shown(self) -> str:
        """The text/plain form of everything displayed."""
        return "\n".join(o["data"].get("text/plain", "") for o in self.outputs if o["output_type"] == "display_data")

    @property
    def calls(self) -> list[dict[str, Any]]:
        return [call for o in self.outputs for call in o.get("metadata", {}).get("fal_jupyter", {}).get("calls", [])]

    def ok(self) -> Cell:
        assert self.status == "ok", f"{self.ename}: {self.evalue}\n{self.traceback}"
        return self


class Kernel:
    """One kernel process; ``run`` executes a cell and returns its outputs."""

    def __init__(self, state: Path, directory: Path, env: dict[str, str] | None = None, kernel_name: str = "python3"):
        # not TCP: a kernel binds its ports some time after they were found free, and another process may have them by then
        self.sockets = tempfile.mkdtemp(prefix="fj-kernel-")
        self.manager = KernelManager(
            kernel_name=kernel_name, transport="ipc", connection_file=os.path.join(self.sockets, "kernel.json")
        )
        environment = dict(os.environ, FAL_JUPYTER_STATE=str(state), PYTHONDONTWRITEBYTECODE="1", **(env or {}))
        self.manager.start_kernel(
            cwd=str(directory), env=environment, extra_arguments=["--InteractiveShell.colors=NoColor"]
        )
        self.client = self.manager.client()
        self.client.start_channels()
        try:
            self.client.wait_for_ready(timeout=60)
        except BaseException:
            self.close()
            raise

    @property
    def pid(self) -> int:
        return int(self.manager.provisioner.pid)  # type: ignore[union-attr, attr-defined]

    def start(self, code: str) -> str:
        """Send a cell, do not wait."""
        return str(self.client.execute(code))

    def finish(self, msg_id: str, timeout: float = 60, until: Callable[[Cell], bool] | None = None) -> Cell:
        """Collect the cell's outputs until it is idle (or *until* returns true)."""
        cell, began = Cell(), time.monotonic()
        while True:
            left = timeout - (time.monotonic() - began)
            assert left > 0, f"the cell did not end in {timeout} s; so far: {cell}"
            cell.take(self.client.get_iopub_msg(timeout=left), msg_id)
            if msg_id in cell.idle:
                break
            if until is not None and until(cell):
                return cell
        reply = self.client.get_shell_msg(timeout=timeout)
        while reply["parent_header"].get("msg_id") != msg_id:
            reply = self.client.get_shell_msg(timeout=timeout)
        cell.status = reply["content"]["status"]
        cell.seconds = time.monotonic() - began
        return cell

    def run(self, code: str, timeout: float = 60) -> Cell:
        return self.finish(self.start(code), timeout)

    def run_probed(self, code: str, timeout: float = 60) -> Cell:
        """Run a cell in a kernel that SIGINT may hit at any moment; its status stays ``none`` where no reply comes.

        ipykernel drops the reply (and may drop the idle status) of a request that a SIGINT meets outside the cell's code. It answers
        requests in order, so nothing of the cell comes after the answer to a probe.

        Raises:
            KernelEnded: a SIGINT between two requests ends the kernel's loop.
        """
        cell, began, last = Cell(), time.monotonic(), -PROBE_EVERY
        msg_id, probes, answered = self.start(code), set[str](), set[str]()
        while True:
            cell.seconds = time.monotonic() - began
            assert cell.seconds < timeout, f"the cell did not end in {timeout} s; so far: {cell}"
            if cell.seconds - last >= PROBE_EVERY:  # a probe may be dropped too
                probes.add(str(self.client.kernel_info()))
                last = cell.seconds
                if not is_running(self.pid):
                    raise KernelEnded
            with suppress(Empty):
                while True:
                    reply = self.client.get_shell_msg(timeout=0)
                    answered.add(reply["parent_header"].get("msg_id"))
                    if reply["parent_header"].get("msg_id") == msg_id:
                        cell.status = reply["content"]["status"]
            if probes & answered & cell.idle:
                return cell
            with suppress(Empty):
                cell.take(self.client.get_iopub_msg(timeout=0.1), msg_id)

    def interrupt(self) -> None:
        self.manager.interrupt_kernel()

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)

    def close(self, *, now: bool = False) -> None:
        """End the kernel, by a signal if it is *now*."""
        self.client.stop_channels()
        if self.manager.has_kernel:
            self.manager.shutdown_kernel(now=now)
            self.manager.cleanup_resources()
        shutil.rmtree(self.sockets, ignore_errors=True)


@contextmanager
def kernel(state: Path, directory: Path, **options: Any) -> Iterator[Kernel]:
    running = Kernel(state, directory, **options)
    try:
        yield running
    finally:
        running.close()
