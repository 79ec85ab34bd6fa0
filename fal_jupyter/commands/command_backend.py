"""Access of commands to the gateway; it never starts one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from fal_jupyter import settings
from fal_jupyter.client.client import Client
from fal_jupyter.client.connection.control_connection import ErrorResponse
from fal_jupyter.commands import app_doctor, doctor
from fal_jupyter.commands.doctor import DoctorReport
from fal_jupyter.commands.grammar import Front
from fal_jupyter.domain.errors import BadSetting, FalJupyterError, GatewayError, NotServed
from fal_jupyter.filestore import FileStore
from fal_jupyter.protocol.api import A_KEYS, AppRecord, ClientEnv, LogRecord, RunnerRecord, ScalingRecord
from fal_jupyter.protocol.feed import AppState, KeyRecord, RequestState
from fal_jupyter.secret_store import SecretStore
from fal_jupyter.state import check_state


class GatewayBackend:
    """The backend of all front ends; without a gateway, all lists are empty."""

    front: Front = "shell"

    def __init__(self, client: Client | None = None) -> None:
        self._settings = client.settings if client is not None else settings.read()
        self._client = client or Client(self._settings)

    def apps(self) -> list[AppRecord]:
        """Return the apps of this user."""
        return self._client.control.apps()

    def runners(self) -> list[RunnerRecord]:
        """Return the runners of this user."""
        return self._client.control.runners()

    def logs(self, alias: str, *, lines: int, runner: str, request: str) -> list[LogRecord]:
        """Return the last lines of output of an app's runners."""
        return self._client.control.logs(alias, lines=lines, runner=runner, request=request)

    def requests(self) -> list[RequestState]:
        """Return the recorded requests of all apps."""
        line = self._client.control.snapshot()
        return line["requests"] if line is not None else []

    def show_requests(self, records: list[RequestState]) -> bool:
        """Return ``False``: a terminal prints text."""
        return False

    def scaling(self, alias: str) -> ScalingRecord:
        """Return an app's scaling and the reasons for it."""
        return self._client.control.scaling(alias)

    def scale(self, alias: str, changes: Mapping[str, object] | None) -> ScalingRecord:
        """Change an app's scaling; ``None`` resets all changes."""
        return self._client.control.scale(alias, changes)

    def startable_apps(self) -> list[AppState]:
        """Return the apps of this user, including stopped ones."""
        line = self._client.control.snapshot()
        return line["apps"] if line is not None else []

    def start_app(self, alias: str) -> None:
        """Start a stopped app, or a runner of an app without one."""
        self._client.control.start(alias)

    def stop_app(self, alias: str, *, kill: bool) -> None:
        """Stop an app and its runners."""
        self._client.stop(alias, kill=kill)

    def stop_runner(self, runner_id: str, *, kill: bool) -> None:
        """Stop one runner."""
        self._client.control.stop_runner(runner_id, kill=kill)

    def doctor(self) -> DoctorReport:
        """Diagnose the installation."""
        try:
            report = self._client.control.doctor()
        except FalJupyterError as error:
            return doctor.examine(self._settings, None, [], trouble=str(error))
        if report is None:
            return doctor.examine(self._settings, None, [])
        return doctor.examine(self._settings, report["gateway"], report["processes"])

    def examined(self, name: str) -> list[app_doctor.Report]:
        """Report differences from the cloud for the apps of ``FILE.py`` or ``FILE.py::Class``."""
        return app_doctor.examine_file(name, SecretStore(self._settings.state)) if name else []

    def client_env(self) -> ClientEnv:
        """Return the environment variables that connect fal's client to the gateway."""
        return self._client.control.client_env()

    def secret_store(self) -> SecretStore:
        """Return the store of secrets and persistent keys; creates and checks the state directory."""
        check_state(self._settings.state)
        return SecretStore(self._settings.state)

    def keys_changed(self) -> None:
        """Make a running gateway reload the persistent keys."""
        try:
            self._client.control.ask("POST", A_KEYS)
        except NotServed:
            pass

    def valid_keys(self) -> list[KeyRecord]:
        """Return the keys that open the running gateway; none without one, or where it does not answer."""
        try:
            keys = self._client.control.ask_bounded("GET", A_KEYS, list[KeyRecord])
        except (OSError, GatewayError):
            return []
        return [] if isinstance(keys, ErrorResponse) else keys

    def revoke_key(self, key_id: str) -> bool:
        """Revoke a key of the running gateway; False if it has none of that id."""
        if re.fullmatch(r"\w{1,64}", key_id, re.ASCII) is None:
            return False  # no id, and no part of an address
        try:
            answer = self._client.control.ask_bounded("DELETE", f"{A_KEYS}/{key_id}", dict[str, str])
        except OSError:
            return False
        return not isinstance(answer, ErrorResponse)

    def data(self) -> Path:
        """Return the folder that backs ``/data``; creates it."""
        check_state(self._settings.state)
        self._settings.data.mkdir(mode=0o700, exist_ok=True)
        return self._settings.data

    def file_store(self) -> FileStore:
        """Return the file store of the local CDN."""
        return FileStore(self._settings.files, self._settings.cdn_bytes)

    def environments(self) -> Path:
        """Return the folder of isolated environments."""
        return self._settings.environments

    def settings(self) -> dict[str, str]:
        """Return the settings of this user, which apply to all front ends."""
        return {
            "state": str(self._settings.state),
            "owner": self._settings.owner,
            "max_body": str(self._settings.max_body),
        }

    def show_panel(self, alias: str, tab: str) -> bool:
        """Return ``False``: a terminal has no panels."""
        return False

    def show_dashboard(self) -> bool:
        """Return ``False``: a terminal has no panels."""
        return False

    def configure(self, setting: str, value: str) -> None:
        """Raise :class:`BadSetting`: the command line has no settings of its own."""
        raise BadSetting(f"{setting} is a setting of a notebook", hint=f"in a notebook: %fal config {setting} {value}")


class ShellBackend(GatewayBackend):
    """The backend of the command line."""
