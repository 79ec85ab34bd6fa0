"""The handle of a running app, on which ``Hello.hi(...)`` and ``fal_jupyter.app(Hello)`` are built."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, Protocol

from fal_jupyter.client.call_reports import CallReports, map_item
from fal_jupyter.client.calls.arguments.arguments import Arguments
from fal_jupyter.client.calls.interrupts import one_line, shorten
from fal_jupyter.client.calls.realtime_session import RealtimeSession
from fal_jupyter.client.calls.request_parts import RequestParts
from fal_jupyter.client.calls.results import Results, failure
from fal_jupyter.client.calls.streaming import Streamed
from fal_jupyter.client.calls.submitted import QueuedRequest, Submit, SubmitOptions, submit
from fal_jupyter.client.client import Client
from fal_jupyter.client.concurrent_map import ConcurrentMap
from fal_jupyter.client.connection.answer import Answer, OnOutput
from fal_jupyter.client.connection.ongoing_calls import Calls
from fal_jupyter.domain.errors import BadArguments, FalJupyterError, NotServed, SetupFailed
from fal_jupyter.domain.spec import AppSpec
from fal_jupyter.domain.text.nearest import hint_for
from fal_jupyter.fal.classes.realtime_options import RealtimeOptions
from fal_jupyter.local_modules import EditWatch
from fal_jupyter.protocol.api import Event, LogRecord, Published, RunnerRecord, ScalingRecord
from fal_jupyter.shipping.packing import Shipment

_batches = itertools.count(1)


class TakesArguments(Protocol):
    """Builds a request from a call's arguments."""

    def place(self, args: tuple[object, ...], kwargs: dict[str, object]) -> RequestParts:
        """Fit them to the endpoint."""


class _Aio:
    """``handle.aio.hi(...)``: endpoints as coroutines."""

    def __init__(self, handle: AppHandle) -> None:
        self._handle = handle

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name not in self._handle.methods:
            message = f"{self._handle.spec.class_name}.aio has no endpoint {name!r}"
            raise AttributeError(f"{message}; {hint_for(name, self._handle.methods)}", name=name, obj=self)

        async def call(*args: object, **kwargs: object) -> Any:
            return await self._handle.acall(name, args, kwargs)

        call.__name__ = name
        return call


class _Names:
    """``handle.stream.chat(...)``, ``handle.realtime.talk(...)``: another way to call the endpoints of *names*."""

    def __init__(self, class_name: str, what: str, names: Iterable[str], make: Callable[..., object]) -> None:
        self._label, self._names, self._make = f"{class_name}.{what}", tuple(names), make

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name.startswith("_") or name not in self._names:
            meant = hint_for(name, self._names) if self._names else "there are: none"
            raise AttributeError(f"{self._label} has no endpoint {name!r}; {meant}", name=name, obj=self)

        def reach(*args: object, **kwargs: object) -> Any:
            __tracebackhide__ = True
            return self._make(name, args, kwargs)

        reach.__name__ = name
        return reach

    def __dir__(self) -> list[str]:
        return list(self._names)

    def __repr__(self) -> str:
        return f"<{self._label}: {', '.join(self._names) or 'no endpoints'}>"


def _taker(client: Client, alias: str) -> str:
    """The other process that has the name of an app; ``""`` where this one has it, as after a restart of the app."""
    if alias not in client.publications:  # that of another notebook, or of the process this one was forked from
        return ""
    try:
        record = next((app for app in client.control.apps() if app["alias"] == alias), None)
    except (OSError, FalJupyterError):  # its gateway ends
        return ""
    is_others = record is not None and record["owner_pid"] not in (0, os.getpid())
    return f"{record['owner_name']} (process {record['owner_pid']})" if record is not None and is_others else ""


class AppHandle:
    """A published app, for its owner.

    Attributes:
        alias: second half of its id. url: prefix of the endpoints' addresses. key: for other callers.
        stream, realtime: ``stream.chat(...)`` gives the pieces of an answer as they come, ``realtime.talk()`` a websocket session.
        submit: ``submit.generate(...)`` puts a request into the queue.
        spec, shipment, published: what was published, and the gateway's response.
        reports: shows notices and records of its calls.
        ready: the event of the first ready runner.
    """

    def __init__(
        self,
        client: Client,
        spec: AppSpec,
        published: Published,
        methods: Mapping[str, Callable[..., object]],
        shipment: Shipment | None,
        talks: Mapping[str, RealtimeOptions | None] | None = None,
        edits: EditWatch | None = None,
    ) -> None:
        self.client, self.spec, self.published, self.shipment = client, spec, published, shipment
        self.methods = dict(methods)
        self.alias = published["alias"]
        self.aio = _Aio(self)
        self.call_reports = CallReports(spec.class_name, edits or EditWatch(), partial(_taker, client, self.alias))
        self.ready: Event | None = None
        self._paths = {e.name: e.path for e in spec.endpoints}
        self._talks = dict(talks or {})
        plain = [name for name in self.methods if name not in self._talks]
        self._arguments: Mapping[str, TakesArguments] = {
            n: Arguments(n, self._paths[n], self.methods[n]) for n in plain
        }
        self.stream = _Names(spec.class_name, "stream", plain, self._stream)
        self.realtime = _Names(spec.class_name, "realtime", self._talks, self._open_session)
        self.submit = Submit(self, plain)
        self._results: dict[str, Results] = {}

    @property
    def app(self) -> str:
        """Its id at the current gateway: ``owner/alias``, with the owner of who started the gateway."""
        return self.published["app"]

    @property
    def revision(self) -> int:
        """Its revision at the current gateway."""
        return self.published["revision"]

    @property
    def key(self) -> str:
        """The key of this process's lease."""
        return self.client.key

    @property
    def base(self) -> str:
        """``http://127.0.0.1:PORT``."""
        return self.client.base

    @property
    def url(self) -> str:
        """The prefix of the endpoints' addresses in the user's browser: below the Jupyter server if it has our extension."""
        return self.call_reports.hooks.outside() or self.local_url

    @property
    def local_url(self) -> str:
        """The prefix of the endpoints' addresses for programs on this machine, which need the key."""
        return f"{self.base}/run/{self.app}"

    @property
    def endpoints(self) -> list[str]:
        """The paths."""
        return [e.path for e in self.spec.endpoints]

    def __repr__(self) -> str:
        return f"<app {self.app}, revision {self.revision}>"

    def __getattr__(self, name: str) -> Callable[..., Any]:
        """``handle.hi(...)`` calls the endpoint ``hi``; use ``handle.call("logs", ...)`` for a name that the handle itself has."""
        methods = self.__dict__.get("methods", {})
        if name not in methods:
            meant = hint_for(name, methods) if methods and not name.startswith("_") else ""
            message = f"{type(self).__name__!r} object has no attribute {name!r}"
            raise AttributeError(f"{message}; {meant}" if meant else message, name=name, obj=self)

        def call(*args: object, **kwargs: object) -> Any:
            __tracebackhide__ = True
            return self.call(name, args, kwargs)

        call.__name__ = name
        return call

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *self.methods})

    # --- calls --------------------------------------------------------------------------------------------------
    def call(
        self, name: str, args: tuple[object, ...], kwargs: dict[str, object], *, calls: Calls | None = None
    ) -> Any:
        """Call the endpoint method *name* and return its value. *calls* may be cancelled by another thread.

        Raises:
            BadArguments: the arguments do not fit.
            RequestError: the call failed; the user's own traceback is in it.
        """
        __tracebackhide__ = True
        parts = self._parts(name, args, kwargs)
        try:
            on_output = self._output_with_notices()  # first: it may publish the app again
            answer = self.client.call(self.app, parts, on_output=on_output, calls=calls)
        except KeyboardInterrupt as stop:
            shorten(stop, f"{self.spec.class_name}.{name}()")
            raise
        return self.value_of(name, answer)

    async def acall(self, name: str, args: tuple[object, ...], kwargs: dict[str, object]) -> Any:
        """The same, to be awaited."""
        parts = self._parts(name, args, kwargs)
        with one_line(f"{self.spec.class_name}.{name}()"):
            await self.client.aensure()
            on_output = self._output_with_notices()
            answer = await self.client.acall(self.app, parts, on_output=on_output)
        await self.call_reports.ask_publisher(answer, self.revision)
        return self.value_of(name, answer)

    def map(self, name: str, items: Iterable[object], /, *, concurrency: int = 8) -> list[Any]:
        """Call once for each item, *concurrency* at a time; answers in the items' order.

        An item that is a tuple gives the positional arguments. The first failure, or an interrupt, ends it immediately:
        running calls are cancelled, the others are never made.

        Raises:
            BadArguments: *concurrency* is less than 1, or an item does not fit the endpoint.
            RequestError: that of the first call that failed; a note names the item.
        """
        __tracebackhide__ = True
        if concurrency < 1:
            raise BadArguments(f"concurrency is {concurrency}, but it must be 1 or more")
        batch, todo = next(_batches), list(items)
        hooks = self.call_reports.hooks
        progress = hooks.on_map(name, len(todo)) if hooks.on_map is not None else None

        def call_item(number: int, item: object, calls: Calls) -> object:
            map_item.set((batch, number))
            return self.call(name, item if isinstance(item, tuple) else (item,), {}, calls=calls)

        try:
            with ConcurrentMap(call_item, todo, concurrency, progress) as calls:
                values = calls.values()
                if hooks.on_value is not None:
                    hooks.on_value(values)
                return values
        except KeyboardInterrupt as stop:
            shorten(stop, f"{self.spec.class_name}.{name}.map()")
            raise

    def _stream(self, name: str, args: tuple[object, ...], kwargs: dict[str, object]) -> Streamed:
        parts = self._parts(name, args, kwargs)
        on_output = self._output_with_notices()
        request = self.client.request_for(self.app, parts)

        def finished(answer: Answer) -> None:
            self.call_reports.finished(name, answer, self.revision)
            self._raise_failure(name, answer)

        where = f"{self.spec.class_name}.stream.{name}"
        return Streamed(self.client.connections, self.alias, request, on_output, finished, where)

    def _open_session(self, name: str, args: tuple[object, ...], kwargs: dict[str, object]) -> RealtimeSession:
        if args:
            raise BadArguments(f"{name} takes query parameters by name only; inputs are sent: ws.send(...)")
        on_output = self._output_with_notices()
        return RealtimeSession(
            self.client,
            self.app,
            self._paths[name],
            self.methods[name],
            self._talks[name],
            kwargs,
            self.call_reports.hooks.name_places,
            f"{self.spec.class_name}.realtime.{name}",
            on_output,
            lambda answered: self.call_reports.older_revision(answered, self.revision),
        )

    def queue_call(
        self, name: str, args: tuple[object, ...], kwargs: dict[str, object], options: SubmitOptions
    ) -> QueuedRequest:
        __tracebackhide__ = True
        parts = self._parts(name, args, kwargs)
        self._output_with_notices()  # first: it may publish the app again
        return submit(self, name, parts, options)

    def endpoint_at(self, path: str) -> str:
        """The method's name of the endpoint at *path*, ``""`` where there is none."""
        return next((name for name, own_path in self._paths.items() if own_path == path), "")

    def _parts(self, name: str, args: tuple[object, ...], kwargs: dict[str, object]) -> RequestParts:
        arguments = self._arguments.get(name)
        if name in self._talks:
            how = f"with {self.spec.class_name}.realtime.{name}() as ws: …"
            raise BadArguments(f"{name} is a WebSocket endpoint; open a session instead", hint=how)
        if arguments is None:
            raise NotServed(f"{self.spec.class_name} has no endpoint {name!r}", hint=hint_for(name, self.methods))
        return arguments.place(args, kwargs)

    def _output_with_notices(self) -> OnOutput | None:
        self.client.ensure()
        notices = self.client.publications.notices
        while notices:
            self.call_reports.notice(notices.pop(0))
        self.call_reports.edited_modules()
        return self.on_output

    @property
    def on_output(self) -> OnOutput | None:
        """Receives what the endpoint prints during one call."""
        return self.call_reports.new_output()

    def value_of(self, name: str, answer: Answer) -> object:
        """Return the value of an answer of the endpoint *name*, and report the call.

        Raises:
            RequestError: the answer is a failure.
        """
        hint = ""
        if name in self._arguments:
            hint = self.call_reports.stream_hint(name, answer, has_endpoint_stream="stream" in self.methods)
        self.call_reports.finished(name, answer, self.revision, hint)
        self._raise_failure(name or "submit", answer)
        results = self._results.get(name)
        if results is None:
            results = self._results[name] = Results(self.methods.get(name, _unknown))
        notice, value = results.notice, results.value(answer)
        if results.notice != notice:
            self.call_reports.notice(f"{self.spec.class_name}.{results.notice}")
        on_value = self.call_reports.hooks.on_value
        if on_value is not None and not map_item.get()[0]:
            on_value(value)
        return value

    def _raise_failure(self, name: str, answer: Answer) -> None:
        if answer.status >= 400 or answer.aborted:
            error = failure(answer, f"{self.spec.class_name}.{name}")
            error.traceback = self.call_reports.hooks.name_places(error.traceback)
            raise error

    # --- lifecycle ---------------------------------------------------------------------------------------------------
    def wait(self, on_event: Callable[[Event], None] | None = None) -> None:
        """Wait until the first runner of this revision is ready.

        Raises:
            SetupFailed: it could not start (the user's traceback is in it), or its start was never reported.
        """
        is_ready = False
        for event in self.client.events(self.alias, self.published):
            if on_event is not None:
                on_event(event)
            if event["event"] == "ready":
                self.ready, is_ready = event, True
            elif event["event"] == "failed":
                error = _setup_failed(self.spec.class_name, event)
                error.traceback = self.call_reports.hooks.name_places(error.traceback)
                raise error
            elif event["event"] == "gone":
                raise NotServed(f"{self.spec.class_name} was stopped while it started")
        if not is_ready:
            raise SetupFailed(
                f"the start of {self.spec.class_name} was never reported",
                hint=f"see fal-jupyter logs {self.alias}, and run it again",
            )

    def runners(self) -> list[RunnerRecord]:
        """This app's runners."""
        return [r for r in self.client.control.runners() if r["app"] == self.app]

    def logs(self, lines: int = 100) -> list[LogRecord]:
        """The last lines that the app printed."""
        return self.client.control.logs(self.alias, lines=lines)

    def scale(self, **options: float) -> ScalingRecord:
        """Change scaling while the app runs, by fal's names (``max_concurrency=4``); without any, take all changes back.

        Raises:
            AppRuleBroken: an option does not exist, or the values do not go together.
            AppTaken: another process took the app over.
        """
        return self.client.scale(self.alias, options or None)

    def scaling(self) -> ScalingRecord:
        """How the app scales now, and its last decisions."""
        return self.client.control.scaling(self.alias)

    def stop(self, *, kill: bool = False) -> None:
        """Stop the app.

        Raises:
            AppTaken: another process took it over. NotServed: it was stopped already.
        """
        self.client.stop(self.alias, kill=kill, own=True)


def _unknown() -> Any:
    """Placeholder for the endpoint of a request of which only the id is known: its answers are plain values."""


def _setup_failed(class_name: str, event: Event) -> SetupFailed:
    error = event.get("error")
    if error is not None:
        phase = "setup()" if error["phase"] == "setup" else "its import in the runner"
        raised = f"{error['type']}: {error['message']}" if error["message"] else error["type"]
        return SetupFailed(f"{class_name} could not start: {phase} raised {raised}", traceback=error["text"])
    return SetupFailed(f"{class_name} could not start: {event['detail']}")
