"""What verbs ask of the gateway, without ever starting one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fal_jupyter import settings
from fal_jupyter.client.client import Client
from fal_jupyter.commands import app_doctor, doctor
from fal_jupyter.commands.definitions import Front
from fal_jupyter.domain.errors import BadSetting, FalJupyterError, NotServed
from fal_jupyter.filestore import FileStore
from fal_jupyter.protocol.api import A_KEYS, AppRecord, ClientEnv, LogRecord, RunnerRecord, ScalingRecord
from fal_jupyter.protocol.feed import AppState, RequestState
from fal_jupyter.secret_store import SecretStore
from fal_jupyter.state import check_state


class GatewayBackend:
    """The desk of every front; without a gateway all lists are empty."""

    front: Front = "shell"

    def __init__(self, client: Client | None = None) -> None:
        self._settings = client.settings if client is not None else settings.read()
        self._client = client or Client(self._settings)

    def apps(self) -> list[AppRecord]:
        """Every app of this user."""
        return self._client.control.apps()

    def runners(self) -> list[RunnerRecord]:
        """Every runner of this user."""
        return self._client.control.runners()

    def logs(self, alias: str, *, lines: int, runner: str, request: str) -> list[LogRecord]:
        """The last lines that runners of an app printed."""
        return self._client.control.logs(alias, lines=lines, runner=runner, request=request)

    def requests(self) -> list[RequestState]:
        """The requests of every app that are known yet."""
        line = self._client.control.snapshot()
        return line["requests"] if line is not None else []

    def show_requests(self, records: list[RequestState]) -> bool:
        """A terminal has their text."""
        return False

    def scaling(self, alias: str) -> ScalingRecord:
        """How an app scales, and why."""
        return self._client.control.scaling(alias)

    def scale(self, alias: str, changes: Mapping[str, object] | None) -> ScalingRecord:
        """Change how an app scales; None takes every change back."""
        return self._client.control.scale(alias, changes)

    def startable_apps(self) -> list[AppState]:
        """Every app of this user, those that were stopped included."""
        line = self._client.control.snapshot()
        return line["apps"] if line is not None else []

    def start_app(self, alias: str) -> None:
        """Start an app that was stopped, or a runner of one that has none."""
        self._client.control.start(alias)

    def stop_app(self, alias: str, *, kill: bool) -> None:
        """End an app and its runners."""
        self._client.stop(alias, kill=kill)

    def stop_runner(self, runner_id: str, *, kill: bool) -> None:
        """End one runner."""
        self._client.control.stop_runner(runner_id, kill=kill)

    def doctor(self) -> dict[str, Any]:
        """What runs and what is wrong."""
        try:
            found = self._client.control.doctor()
        except FalJupyterError as error:
            return doctor.examine(self._settings, None, [], trouble=str(error))
        if found is None:
            return doctor.examine(self._settings, None, [])
        return doctor.examine(self._settings, found["gateway"], found["processes"])

    def examined(self, which: str) -> list[app_doctor.Report]:
        """What would be different in the cloud for the apps of a file, ``FILE.py`` or ``FILE.py::Class``."""
        return app_doctor.examine_file(which, SecretStore(self._settings.state)) if which else []

    def client_env(self) -> ClientEnv:
        """What fal's client needs to come here by its environment."""
        return self._client.control.client_env()

    def secret_store(self) -> SecretStore:
        """Secrets and lasting keys, in a state directory that is there and ours alone."""
        check_state(self._settings.state)
        return SecretStore(self._settings.state)

    def keys_changed(self) -> None:
        """Have a running gateway read the lasting keys; one that starts later reads them by itself."""
        try:
            self._client.control.ask("POST", A_KEYS)
        except NotServed:
            pass

    def data(self) -> Path:
        """The folder that ``/data`` is here."""
        check_state(self._settings.state)
        self._settings.data.mkdir(mode=0o700, exist_ok=True)
        return self._settings.data

    def file_store(self) -> FileStore:
        """The files of the local CDN."""
        return FileStore(self._settings.files, self._settings.cdn_bytes)

    def environments(self) -> Path:
        """The folder of isolated environments."""
        return self._settings.environments

    def settings(self) -> dict[str, str]:
        """The settings that hold for every front of this user."""
        return {
            "state": str(self._settings.state),
            "owner": self._settings.owner,
            "max_body": str(self._settings.max_body),
        }

    def show_panel(self, alias: str, tab: str) -> bool:
        """A terminal has no panels."""
        return False

    def show_dashboard(self) -> bool:
        """A terminal has no panels."""
        return False

    def configure(self, setting: str, value: str) -> None:
        """The command line keeps no settings."""
        raise BadSetting(f"{setting} is a setting of a notebook", hint=f"in a notebook: %fal config {setting} {value}")


class ShellBackend(GatewayBackend):
    """The desk of the command line."""
