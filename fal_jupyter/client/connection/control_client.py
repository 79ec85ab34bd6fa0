"""Client of the gateway's control plane. A gateway is started only for apps of this process."""

from __future__ import annotations

import json
import socket
from collections.abc import Container, Iterable, Iterator, Mapping
from typing import Protocol, TypeVar
from urllib.parse import quote, urlencode

from fal_jupyter.client.connection import connect, http
from fal_jupyter.client.connection import lease as leases
from fal_jupyter.client.connection.control_connection import ErrorResponse, decoded, record_or_error
from fal_jupyter.client.connection.flows import run
from fal_jupyter.client.connection.response import Response, read_whole, request_next
from fal_jupyter.client.connection.waiting import MOST_GATEWAYS, NotSent, silent
from fal_jupyter.domain.errors import AppRuleBroken, AppTaken, GatewayError, NotServed
from fal_jupyter.protocol.api import (
    A_APPS,
    A_CLIENT_ENV,
    A_DOCTOR,
    A_FEED,
    A_HELLO,
    A_REQUEST,
    A_RUNNERS,
    A_SHUTDOWN,
    A_SNAPSHOT,
    AppRecord,
    ClientEnv,
    DoctorRecord,
    ErrorDescription,
    Hello,
    LogRecord,
    RunnerRecord,
    ScalingRecord,
)
from fal_jupyter.protocol.feed import FeedLine, Picture, RequestDetail

T = TypeVar("T")
PATIENCE = 60.0  # seconds for a response of the control plane, which never waits for user code


class ControlConnections(Protocol):
    """Connections to the gateway (:class:`fal_jupyter.client.connection.connector.GatewayConnector`)."""

    def dial_running(self) -> socket.socket:
        """Connect to the gateway that runs.

        Raises:
            OSError: none is running.
        """

    def open(
        self, method: str, target: str, headers: Iterable[tuple[str, str]] = (), body: http.Body = b""
    ) -> Response:
        """Send a request; if the gateway has ended, another one is started and this process's apps are published there.

        Raises:
            OSError, GatewayError: it ended during the request, or none is available.
        """


class ControlClient:
    """Requests to the control plane: what runs, how it scales, and changes of both.

    Args:
        own_apps: aliases of the apps of this process. If the gateway has ended, such an app is published again before its scaling is
            queried.
    """

    def __init__(self, connections: ControlConnections, own_apps: Container[str] = ()) -> None:
        self._connections, self._own_apps = connections, own_apps

    # --- requests -----------------------------------------------------------------------------------------------
    def open(self, method: str, target: str, headers: Iterable[tuple[str, str]] = (), body: bytes = b"") -> Response:
        """Send a request; returns the response as soon as its head has arrived.

        Raises:
            OSError: no gateway runs.
        """
        return run(request_next(self._connections.dial_running, http.request(method, target, body, headers)))

    def ask(self, method: str, target: str, body: bytes = b"") -> tuple[int, object]:
        """Send a request, however long its response takes; returns status and JSON value.

        Raises:
            NotServed: no gateway runs.
        """
        response = self._open_running(method, target, body)
        value: object = json.loads(response.read())
        return response.status, value

    def _open_running(self, method: str, target: str, body: bytes = b"") -> Response:
        try:
            return self.open(method, target, (), body)
        except OSError:
            raise NotServed("no gateway is running") from None

    def ask_bounded(self, method: str, target: str, kind: type[T], body: bytes = b"") -> T | ErrorResponse:
        """Send a request; returns the record within ``PATIENCE``. A request that an ended gateway has not read is sent to the next one.

        Raises:
            OSError: no gateway runs, or it ended later.
            GatewayError: it failed, is stopped, or its response is not a *kind*.
        """
        request = http.request(method, target, body)
        for gateways_left in reversed(range(MOST_GATEWAYS)):
            with self._connections.dial_running() as sock:
                gateway = connect.peer_pid(sock)
                try:
                    connection, data = run(read_whole(sock, request, PATIENCE))
                    answer = record_or_error(connection.status, data, kind)
                except NotSent:
                    if not gateways_left:
                        raise
                    continue
                except TimeoutError:
                    raise silent(gateway, PATIENCE) from None
                except ValueError:
                    raise leases.NotAGateway() from None
            if isinstance(answer, ErrorResponse) and connection.refused:
                raise ConnectionRefusedError(answer.detail)
            return answer
        raise AssertionError("unreachable")

    def _read(self, target: str, kind: type[T]) -> T | None:
        """Read a record; None if no gateway runs."""
        try:
            answer = self.ask_bounded("GET", target, kind)
        except OSError:
            return None
        if isinstance(answer, ErrorResponse):
            raise (NotServed if answer.status == 404 else GatewayError)(answer.detail, hint=answer.hint)
        return answer

    # --- what runs ----------------------------------------------------------------------------------------------
    def hello(self) -> Hello | None:
        """The gateway that runs, or None."""
        return self._read(A_HELLO, Hello)

    def apps(self) -> list[AppRecord]:
        """All apps of this user's gateway."""
        return self._read(A_APPS, list[AppRecord]) or []

    def runners(self) -> list[RunnerRecord]:
        """All runners."""
        return self._read(A_RUNNERS, list[RunnerRecord]) or []

    def logs(self, alias: str, *, lines: int = 100, request: str = "", runner: str = "") -> list[LogRecord]:
        """An app's last lines."""
        query = urlencode({"lines": lines, "request": request, "runner": runner})
        return self._read(f"{A_APPS}/{quote(alias)}/logs?{query}", list[LogRecord]) or []

    def doctor(self) -> DoctorRecord | None:
        """The gateway and its processes, or None."""
        return self._read(A_DOCTOR, DoctorRecord)

    def snapshot(self) -> FeedLine | None:
        """Everything that runs, or None if no gateway does."""
        try:
            response = self.open("GET", A_SNAPSHOT)
        except OSError:
            return None
        line = response.record(FeedLine)
        return None if isinstance(line, ErrorResponse) else line

    def feed(self) -> Iterator[FeedLine]:
        """The feed's lines as they arrive, until the gateway ends.

        Raises:
            OSError: no gateway runs.
        """
        for line in self.open("GET", A_FEED).lines():
            yield decoded(line, FeedLine)

    def request(self, request_id: str) -> RequestDetail:
        """The record of one request.

        Raises:
            NotServed: it is no longer stored, or no gateway runs.
        """
        response = self._open_running("GET", A_REQUEST.format(id=quote(request_id, safe="")))
        detail = response.record(RequestDetail)
        if isinstance(detail, ErrorResponse):
            raise NotServed(detail.detail)
        return detail

    def failure_of(self, request_id: str) -> ErrorDescription | None:
        """The exception of user code during one of our requests, or None if there is no record of one, or no gateway any more."""
        try:
            return self.request(request_id)["error"]
        except (NotServed, GatewayError, OSError):
            return None

    def picture(self, alias: str) -> Picture | None:
        """An app as a saved notebook shows it, or None if it does not run."""
        try:
            picture = self._open_running("GET", f"{A_APPS}/{quote(alias, safe='')}/picture").record(Picture)
        except NotServed:
            return None
        return None if isinstance(picture, ErrorResponse) else picture

    # --- changes ------------------------------------------------------------------------------------------------
    def client_env(self) -> ClientEnv:
        """Open the TLS port and create a key, for fal's client in another process.

        Raises:
            NotServed: there is no gateway.
            GatewayError: the port could not be opened.
        """
        try:
            environment = self.ask_bounded("POST", A_CLIENT_ENV, ClientEnv)
        except OSError:
            environment = ErrorResponse("no gateway is running, so there is nothing to call", status=409)
        if isinstance(environment, ErrorResponse) and environment.status == 409:
            raise NotServed(environment.detail, hint="run a %%fal_app cell, or: fal-jupyter serve FILE.py::Class")
        if isinstance(environment, ErrorResponse):
            raise GatewayError(environment.detail)
        return environment

    def scaling(self, alias: str) -> ScalingRecord:
        """How an app scales, and why it did what it did.

        Raises:
            NotServed: there is no such app.
        """
        return self._scaling("GET", alias, b"")

    def scale(self, alias: str, changes: Mapping[str, object] | None, *, lease: str = "") -> ScalingRecord:
        """Change the scaling of a running app; None takes every change back.

        Args:
            lease: the id of the lease that must have the app, ``""`` for any.

        Raises:
            AppRuleBroken: an option does not exist, or the values do not go together.
            AppTaken: another lease has it. NotServed: there is no such app.
        """
        change = {"reset": True} if changes is None else {"set": dict(changes)}
        return self._scaling("POST", alias, json.dumps(change).encode(), lease)

    def _scaling(self, method: str, alias: str, body: bytes, lease: str = "") -> ScalingRecord:
        target = f"{A_APPS}/{quote(alias)}/scaling" + (f"?lease={lease}" if lease else "")
        try:
            if alias in self._own_apps:
                record = self._connections.open(method, target, (), body).record(ScalingRecord)
            else:
                record = self.ask_bounded(method, target, ScalingRecord, body)
        except OSError:
            raise NotServed("no gateway is running, so there is nothing to scale") from None
        if isinstance(record, ErrorResponse):
            _refuse_taken(alias, record)
            raise (NotServed if record.status == 404 else AppRuleBroken)(record.detail, hint=record.hint)
        return record

    def start(self, alias: str) -> None:
        """Start an app that was stopped, as it was.

        Raises:
            NotServed: there is no gateway, or no such app whose owner is still running.
        """
        try:
            answer = self.ask_bounded("POST", f"{A_APPS}/{quote(alias)}/start", dict[str, object])
        except OSError:
            raise NotServed("no gateway is running, so there is nothing to start") from None
        if isinstance(answer, ErrorResponse):
            raise NotServed(answer.detail)

    def stop_app(self, alias: str, *, kill: bool, wait: bool, lease: str = "") -> None:
        """Stop an app; with *wait*, return when its last runner has ended.

        Args:
            lease: the id of the lease that must have the app, ``""`` for any.

        Raises:
            AppTaken: another lease has it.
            NotServed: there is no gateway, or no such app.
        """
        own = f"&lease={lease}" if lease else ""
        _refuse_taken(alias, self._delete(f"{A_APPS}/{quote(alias)}?kill={int(kill)}&wait={int(wait)}{own}"))

    def stop_runner(self, runner_id: str, *, kill: bool = False) -> None:
        """Stop one runner.

        Raises:
            NotServed: there is no gateway, or no such runner.
        """
        self._delete(f"{A_RUNNERS}/{quote(runner_id)}?kill={int(kill)}&wait=0")

    def _delete(self, target: str) -> dict[str, object] | ErrorResponse:
        try:
            answer = self.ask_bounded("DELETE", target, dict[str, object])
        except OSError:
            raise NotServed("no gateway is running, so there is nothing to stop") from None
        if isinstance(answer, ErrorResponse) and answer.status == 404:
            raise NotServed(answer.detail)
        return answer

    def shutdown(self) -> None:
        """Make the gateway drain everything and exit."""
        self.ask_bounded("POST", A_SHUTDOWN, dict[str, object])


def _refuse_taken(alias: str, answer: object) -> None:
    """Raise AppTaken if *answer* refuses the change because another process has the app."""
    if isinstance(answer, ErrorResponse) and answer.holder is not None:
        raise AppTaken(
            f"the app {alias!r} belongs to {answer.holder.name} (process {answer.holder.pid}), which took it over",
            hint="take it back with --take-over",
        )
