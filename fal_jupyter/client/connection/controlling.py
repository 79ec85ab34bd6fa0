"""The part of the client that changes what runs. None of it starts a gateway, but for an app of this process."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from fal_jupyter.client.connection.watching import Watching
from fal_jupyter.domain.errors import AppRuleBroken, GatewayError, NotServed
from fal_jupyter.protocol.api import A_APPS, A_CLIENT_ENV, A_RUNNERS, A_SHUTDOWN, ClientEnv, ScalingRecord


class Controlling(Watching):
    """Scaling, stopping, and the way here for other programs."""

    def client_env(self) -> ClientEnv:
        """Have the TLS port opened and a key made, for fal's client in another process.

        Raises:
            NotServed: nobody serves anything.
            GatewayError: the port could not be opened.
        """
        try:
            status, answer = self._ask("POST", A_CLIENT_ENV)
        except OSError:
            status, answer = 409, {"detail": "no gateway is running, so there is nothing that a client could call"}
        if status == 409:
            raise NotServed(str(answer["detail"]), hint="run a %%fal_app cell, or: fal-jupyter serve FILE.py::Class")
        if status >= 400:
            raise GatewayError(str(answer["detail"]))
        found: ClientEnv = answer
        return found

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
        asked = {"reset": True} if changes is None else {"set": dict(changes)}
        return self._scaling("POST", alias, json.dumps(asked).encode())

    def _scaling(self, method: str, alias: str, body: bytes) -> ScalingRecord:
        try:
            status, answer = self._ask_of(alias, method, f"{A_APPS}/{quote(alias)}/scaling", body)
        except OSError:
            raise NotServed("no gateway is running, so there is nothing to scale") from None
        if status == 404:
            raise NotServed(str(answer["detail"]))
        if status >= 400:
            raise AppRuleBroken(str(answer["detail"]), hint=answer.get("hint", ""))
        found: ScalingRecord = answer
        return found

    def _ask_of(self, alias: str, method: str, target: str, body: bytes) -> tuple[int, Any]:
        return self._ask(method, target, body)

    def start(self, alias: str) -> None:
        """Start an app that was stopped, as it was.

        Raises:
            NotServed: there is no gateway, or no such app that its owner still has.
        """
        try:
            status, answer = self._ask("POST", f"{A_APPS}/{quote(alias)}/start")
        except OSError:
            raise NotServed("no gateway is running, so there is nothing to start") from None
        if status >= 400:
            raise NotServed(str(answer["detail"]))

    def stop_runner(self, runner_id: str, *, kill: bool = False) -> None:
        """Stop one runner."""
        self._delete(f"{A_RUNNERS}/{quote(runner_id)}", kill)

    def _delete(self, target: str, kill: bool, wait: bool = False) -> None:
        try:
            status, answer = self._ask("DELETE", f"{target}?kill={int(kill)}&wait={int(wait)}")
        except OSError:
            raise NotServed("no gateway is running, so there is nothing to stop") from None
        if status == 404:
            raise NotServed(str(answer["detail"]))

    def shutdown(self) -> None:
        """Ask the gateway to drain everything and exit."""
        self._ask("POST", A_SHUTDOWN)
