"""Client of the gateway's control plane. A gateway is started only for apps of this process."""

from __future__ import annotations

import json
import socket
from collections.abc import Container, Iterable, Iterator, Mapping
from typing import Any, Protocol
from urllib.parse import quote, urlencode

from fal_jupyter.client.connection import connect, http
from fal_jupyter.client.connection import lease as leases
from fal_jupyter.client.connection.control_connection import decoded
from fal_jupyter.client.connection.flows import run
from fal_jupyter.client.connection.response import Response, read_whole, request_next
from fal_jupyter.client.connection.waiting import MOST_GATEWAYS, NotSent, silent
from fal_jupyter.domain.errors import AppRuleBroken, GatewayError, NotServed
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

    def ask(self, method: str, target: str, body: bytes = b"") -> tuple[int, Any]:
        """Send a request, however long its response takes; returns status and JSON value.

        Raises:
            NotServed: no gateway runs.
        """
        try:
            response = self.open(method, target, (), body)
        except OSError:
            raise NotServed("no gateway is running") from None
        return response.status, json.loads(response.read())

    def ask_bounded(self, method: str, target: str, body: bytes = b"") -> tuple[int, Any]:
        """Send a request; returns status and JSON value within ``PATIENCE``. A request that an ended gateway has not read is sent to the next one.

        Raises:
            OSError: no gateway runs, or it ended later.
            GatewayError: it failed, or is stopped.
        """
        request = http.request(method, target, body)
        for gateways_left in reversed(range(MOST_GATEWAYS)):
            with self._connections.dial_running() as sock:
                gateway = connect.peer_pid(sock)
                try:
                    connection, data = run(read_whole(sock, request, PATIENCE))
                    value = decoded(connection.status, data) if data else None
                except NotSent:
                    if not gateways_left:
                        raise
                    continue
                except TimeoutError:
                    raise silent(gateway, PATIENCE) from None
                except ValueError:
                    raise leases.NotAGateway() from None
            if value is not None and connection.refused:
                raise ConnectionRefusedError(value["detail"])
            return connection.status, value
        raise AssertionError("unreachable")

    def _read(self, target: str, absent: object) -> Any:
        """Read a record; *absent* if no gateway runs."""
        try:
            status, value = self.ask_bounded("GET", target)
        except OSError:
            return absent
        if status == 404:
            raise NotServed(str(value["detail"]))
        return value

    # --- what runs ----------------------------------------------------------------------------------------------
    def hello(self) -> Hello | None:
        """The gateway that runs, or None."""
        record: Hello | None = self._read(A_HELLO, None)
        return record

    def apps(self) -> list[AppRecord]:
        """All apps of this user's gateway."""
        records: list[AppRecord] = self._read(A_APPS, [])
        return records

    def runners(self) -> list[RunnerRecord]:
        """All runners."""
        records: list[RunnerRecord] = self._read(A_RUNNERS, [])
        return records

    def logs(self, alias: str, *, lines: int = 100, request: str = "", runner: str = "") -> list[LogRecord]:
        """An app's last lines."""
        query = urlencode({"lines": lines, "request": request, "runner": runner})
        records: list[LogRecord] = self._read(f"{A_APPS}/{quote(alias)}/logs?{query}", [])
        return records

    def doctor(self) -> DoctorRecord | None:
        """The gateway and its processes, or None."""
        record: DoctorRecord | None = self._read(A_DOCTOR, None)
        return record

    def snapshot(self) -> FeedLine | None:
        """Everything that runs, or None if no gateway does."""
        try:
            response = self.open("GET", A_SNAPSHOT)
        except OSError:
            return None
        line: FeedLine = response.value()
        return line if response.status == 200 else None

    def feed(self) -> Iterator[FeedLine]:
        """The feed's lines as they arrive, until the gateway ends.

        Raises:
            OSError: no gateway runs.
        """
        for line in self.open("GET", A_FEED).lines():
            yield json.loads(line)

    def request(self, request_id: str) -> RequestDetail:
        """The record of one request.

        Raises:
            NotServed: it is no longer stored, or no gateway runs.
        """
        status, value = self.ask("GET", A_REQUEST.format(id=quote(request_id, safe="")))
        if status != 200:
            raise NotServed(str(value["detail"]))
        detail: RequestDetail = value
        return detail

    def failure_of(self, request_id: str) -> ErrorDescription | None:
        """The exception of user code during one of our requests, or None if there is no record of one."""
        try:
            return self.request(request_id)["error"]
        except NotServed:
            return None

    def picture(self, alias: str) -> Picture | None:
        """An app as a saved notebook shows it, or None if it does not run."""
        try:
            status, value = self.ask("GET", f"{A_APPS}/{quote(alias, safe='')}/picture")
        except NotServed:
            return None
        return value if status == 200 else None

    # --- changes ------------------------------------------------------------------------------------------------
    def client_env(self) -> ClientEnv:
        """Open the TLS port and create a key, for fal's client in another process.

        Raises:
            NotServed: there is no gateway.
            GatewayError: the port could not be opened.
        """
        try:
            status, value = self.ask_bounded("POST", A_CLIENT_ENV)
        except OSError:
            status, value = 409, {"detail": "no gateway is running, so there is nothing to call"}
        if status == 409:
            raise NotServed(str(value["detail"]), hint="run a %%fal_app cell, or: fal-jupyter serve FILE.py::Class")
        if status >= 400:
            raise GatewayError(str(value["detail"]))
        environment: ClientEnv = value
        return environment

    def scaling(self, alias: str) -> ScalingRecord:
        """How an app scales, and why it did what it did.

        Raises:
            NotServed: there is no such app.
        """
        return self._scaling("GET", alias, b"")

    def scale(self, alias: str, changes: Mapping[str, object] | None) -> ScalingRecord:
        """Change the scaling of a running app; None takes every change back.

        Raises:
            AppRuleBroken: an option does not exist, or the values do not go together.
            NotServed: there is no such app.
        """
        change = {"reset": True} if changes is None else {"set": dict(changes)}
        return self._scaling("POST", alias, json.dumps(change).encode())

    def _scaling(self, method: str, alias: str, body: bytes) -> ScalingRecord:
        target = f"{A_APPS}/{quote(alias)}/scaling"
        try:
            if alias in self._own_apps:
                response = self._connections.open(method, target, (), body)
                status, value = response.status, response.value()
            else:
                status, value = self.ask_bounded(method, target, body)
        except OSError:
            raise NotServed("no gateway is running, so there is nothing to scale") from None
        if status == 404:
            raise NotServed(str(value["detail"]))
        if status >= 400:
            raise AppRuleBroken(str(value["detail"]), hint=value.get("hint", ""))
        record: ScalingRecord = value
        return record

    def start(self, alias: str) -> None:
        """Start an app that was stopped, as it was.

        Raises:
            NotServed: there is no gateway, or no such app whose owner is still running.
        """
        try:
            status, value = self.ask_bounded("POST", f"{A_APPS}/{quote(alias)}/start")
        except OSError:
            raise NotServed("no gateway is running, so there is nothing to start") from None
        if status >= 400:
            raise NotServed(str(value["detail"]))

    def stop_app(self, alias: str, *, kill: bool, wait: bool) -> None:
        """Stop an app; with *wait*, return when its last runner has ended.

        Raises:
            NotServed: there is no gateway, or no such app.
        """
        self._delete(f"{A_APPS}/{quote(alias)}?kill={int(kill)}&wait={int(wait)}")

    def stop_runner(self, runner_id: str, *, kill: bool = False) -> None:
        """Stop one runner.

        Raises:
            NotServed: there is no gateway, or no such runner.
        """
        self._delete(f"{A_RUNNERS}/{quote(runner_id)}?kill={int(kill)}&wait=0")

    def _delete(self, target: str) -> None:
        try:
            status, value = self.ask_bounded("DELETE", target)
        except OSError:
            raise NotServed("no gateway is running, so there is nothing to stop") from None
        if status == 404:
            raise NotServed(str(value["detail"]))

    def shutdown(self) -> None:
        """Make the gateway drain everything and exit."""
        self.ask_bounded("POST", A_SHUTDOWN)
