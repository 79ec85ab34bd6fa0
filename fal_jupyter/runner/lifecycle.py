"""The lifecycle of one runner: load, setup, serve, teardown.

Order (fal's lifespan): environment → import of the class → instance → application → ``setup()`` on the main thread
(async: on the loop) → requests → ``handle_exit()`` → requests in flight → ``teardown()`` → exit.
"""

from __future__ import annotations

import asyncio
import importlib
import inspect
import logging
import os
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from fal_jupyter import fal, settings
from fal_jupyter.fal import context
from fal_jupyter.fal.ref import set_current_app
from fal_jupyter.protocol import frames
from fal_jupyter.protocol.api import PROTOCOL, LoadHead
from fal_jupyter.protocol.frames import Frame, Kind
from fal_jupyter.runner.application import endpoints, failures, lifespan, uploads
from fal_jupyter.runner.channel import RunnerChannel
from fal_jupyter.runner.output import capture, displays
from fal_jupyter.runner.process import children, data_mount, front_end_variables, limits, trust
from fal_jupyter.runner.process.loops import LoopRunner
from fal_jupyter.runner.requests.request_server import RequestServer

log = logging.getLogger("fal_jupyter.runner")
T = TypeVar("T")
_encode = msgspec.json.encode
RUNNER_VARIABLE = "FAL_JUPYTER_RUNNER"


def main(sock: socket.socket) -> int:
    """Run a runner on *sock* until the gateway ends it; returns the exit status."""
    channel = RunnerChannel(sock)
    channel.send(frames.encode(Kind.HELLO, 0, _encode({"protocol": PROTOCOL, "pid": os.getpid()})))
    frame = channel.wait_for_frame(lambda f: f.kind in (Kind.LOAD, Kind.SHUTDOWN))
    if frame.kind == Kind.SHUTDOWN:
        return 0
    output = capture.install(channel)
    displays.install(output)
    children.isolate_children()
    head_json, payload = frames.decode_load(frame.payload)
    head = msgspec.json.decode(head_json, type=LoadHead)
    status = RunnerLifecycle(channel, output, head, frame.payload).run(payload)
    children.finish()
    return status


class RunnerLifecycle:
    """One instance of the user's class, and its lifecycle."""

    def __init__(self, channel: RunnerChannel, output: capture.OutputCapture, head: LoadHead, load: bytes) -> None:
        self.channel, self.output, self.head, self._load = channel, output, head, load
        self.instance: Any = None
        self.stopping: asyncio.Event | None = None
        self.server: RequestServer | None = None
        self.lifespan: lifespan.Lifespan | None = None

    def run(self, payload: bytes) -> int:
        began = time.monotonic()
        phase = "load"
        try:
            enter_environment(self.head)
            sources = [*self.head["source"].values(), *(module["text"] for module in self.head["modules"].values())]
            runner = LoopRunner(settings.read().loop, sources)
            children.enter_main()
            children.offer_load(self._load)
            self._load = b""
            cls = load_class(self.head, payload)
            _raise_threads()
            self.instance = cls(_allow_init=True)
            set_current_app(self.instance)
            app = endpoints.build(self.instance)
            loaded = time.monotonic()
            phase = "setup"
            os.environ["FAL_RUNNER_STATE"] = "SETUP"
            _enter_context()
            if lifespan.is_default(app, self.instance):
                result = self.instance.setup()
                if inspect.isawaitable(result):
                    runner.get().get_loop().run_until_complete(_await(result))
            else:
                self.lifespan = lifespan.Lifespan(app)
                runner.get().get_loop().run_until_complete(self.lifespan.enter())
            _raise_threads()
        except BaseException as error:
            return self._failed(error, phase)
        os.environ["FAL_RUNNER_STATE"] = "RUNNING"
        self.output.flush()
        times = {"setup_ms": _ms(time.monotonic() - loaded), "load_ms": _ms(loaded - began)}
        state = self.lifespan.state if self.lifespan is not None else {}
        self.server = RequestServer(self.channel, self.output, app, self.instance, self.head, state)
        log.debug("ready: %s", times)
        self.channel.send(frames.encode(Kind.READY, 0, _encode(times)))
        try:
            return runner.run(self._serve(self.server), self._escaped)
        finally:
            self.server.leaving = True
            runner.close()

    def _escaped(self, error: BaseException) -> None:
        """A task of user code raised an exception that leaves the event loop: ``sys.exit()`` ends the runner, as in an endpoint."""
        assert self.server is not None
        if issubclass(type(error), SystemExit):
            self.server.exit_requested.set(f"a task of the app called sys.exit({failures.code_of(error)})")
            return
        print(
            f"fal_jupyter: a task of the app raised:\n{failures.describe(error, 'request')['text']}",
            file=sys.stderr,
        )

    def _failed(self, error: BaseException, phase: str) -> int:
        self.output.flush()
        log.debug("failed in %s: %s", phase, type(error).__name__)
        described = failures.describe(error, phase)
        if message := limits.over_memory(error) or data_mount.missing(error):
            failures.note(described, message)
        self.channel.send(frames.encode(Kind.FAILED, 0, failures.encode(described)))
        self.channel.flush(2)
        return 3  # uvicorn's exit status when the lifespan fails

    async def _serve(self, server: RequestServer) -> int:
        loop = asyncio.get_running_loop()
        self.stopping = asyncio.Event()
        loop.add_signal_handler(signal.SIGTERM, self.stopping.set)
        handlers: dict[int, Callable[[Frame], None]] = {
            Kind.SHUTDOWN: lambda _: self._stop(),
            Kind.PING: lambda f: self.channel.send(frames.encode(Kind.PONG, 0, f.payload)),
        }

        def readable() -> None:
            for frame in self.channel.receive():
                handler = handlers.get(frame.kind)
                if handler is None:
                    server.handle(frame)
                else:
                    handler(frame)

        loop.add_reader(self.channel.sock, readable)
        readable()
        leaving = asyncio.ensure_future(server.exit_requested.wait())
        await asyncio.wait({asyncio.ensure_future(self.stopping.wait()), leaving}, return_when="FIRST_COMPLETED")
        if leaving.done():
            self.output.flush()
            self.channel.send(frames.encode(Kind.EXITING, 0, _encode({"reason": leaving.result()})))
            self.channel.flush(2)
            return 1
        return await self._leave(server)

    def _stop(self) -> None:
        assert self.stopping is not None
        self.stopping.set()

    async def _leave(self, server: RequestServer) -> int:
        try:
            result = self.instance.handle_exit()
            if inspect.isawaitable(result):  # fal never awaits it, so an async one does not run there (C24)
                await result
        except BaseException as error:
            print(f"Error in handle_exit: {failures.text_of(error)}", file=sys.stderr)
        await server.drained()
        os.environ["FAL_RUNNER_STATE"] = "TERMINATING"
        status = 0
        try:
            if self.lifespan is not None:
                await self.lifespan.leave()
            else:
                result = self.instance.teardown()
                if inspect.isawaitable(result):
                    await result
        except BaseException as error:
            print(failures.describe(error, "teardown")["text"], file=sys.stderr)
            status = 1
        self.output.flush()
        self.channel.flush(1)
        return status


async def _await(awaitable: Awaitable[T]) -> T:
    return await awaitable


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 2)


def _enter_context() -> None:
    context.start_serving()


def enter_environment(head: LoadHead) -> None:
    """Recreate the kernel's state when the cell ran: variables, working directory, path; and install ``fal``."""
    environment = head["environment"]
    own = settings.read().environment() | ({settings.CDN_VARIABLE: head["cdn"]} if head["cdn"] else {})
    os.environ.clear()
    os.environ.update(environment["env"])
    os.environ.update(own)
    os.environ["IS_ISOLATE_AGENT"] = "1"  # user code tests it, as in the cloud
    os.environ[RUNNER_VARIABLE] = head["runner_id"]
    limits.pin(head["machine"], os.environ)
    limits.confine(head["machine"], os.environ)
    time.tzset()
    os.chdir(environment["cwd"])
    sys.path[:] = list(dict.fromkeys([*environment["sys_path"], *sys.path]))
    sys.argv[:] = [head["app"]]
    importlib.invalidate_caches()
    front_end_variables.leave_behind(os.environ, isolated=bool(environment["isolated"]))
    if environment["isolated"]:
        front_end_variables.enter_environment_of(sys.prefix, os.environ)
    tempfile.tempdir = None  # the template may have cached it
    if head["authority"]:
        trust.trust(head["authority"])
    enter_imports(head)


def enter_imports(head: LoadHead) -> None:
    """Install what user code imports: ``fal``, the app's own modules, and a ``fal_client`` that uploads to the gateway."""
    from fal_jupyter import fal, shipping  # start-up

    fal.install()
    shipping.provide_modules(head["modules"])
    uploads.redirect()


class ClassInFile(msgspec.Struct):
    """Payload of a class that is loaded from its file."""

    path: str
    folders: list[str]
    class_name: str


def load_class(head: LoadHead, payload: bytes) -> Any:
    """Return the user's class, from our pickle or from its file."""
    try:
        return _load_class(head, payload)
    except ModuleNotFoundError as error:
        if head["environment"]["isolated"]:
            error.add_note(
                f"{head['class_name']} runs in an isolated environment, which has only the packages of its requirements: "
                f"add the package of {error.name!r} to them, or serve it with --env kernel."
            )
        raise


def _load_class(head: LoadHead, payload: bytes) -> Any:
    if head["kind"] == "pickle":
        from fal_jupyter import shipping  # start-up

        return shipping.unpack(payload, head["source"])
    from fal_jupyter.shipping.files.source_files import run_source  # start-up

    where = msgspec.json.decode(payload, type=ClassInFile)
    module = run_source(Path(where.path), head["source"][where.path], where.folders)
    cls = getattr(module, where.class_name)
    return cls if isinstance(cls, type) else _class_of(cls)


def _class_of(served: object) -> Any:
    return fal.served_app(served)


def _raise_threads() -> None:
    """Restore the thread counts that the template reduced."""
    cores = len(os.sched_getaffinity(0))
    torch: Any = sys.modules.get("torch")
    if hasattr(torch, "set_num_threads"):  # a module of that name need not be PyTorch
        torch.set_num_threads(_thread_count(cores, "OMP_NUM_THREADS", "MKL_NUM_THREADS"))
    if "numpy" in sys.modules:
        import threadpoolctl  # start-up

        threads = _thread_count(cores, "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS")
        threadpoolctl.threadpool_limits(threads, user_api="blas")


def _thread_count(cores: int, *variables: str) -> int:
    """The number of threads in the first of these variables that is set, as the libraries read them; else *cores*."""
    values = (os.environ.get(variable, "") for variable in variables)
    return next((int(number) for number in values if number.isdecimal() and int(number) > 0), cores)
