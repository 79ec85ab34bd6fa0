"""Builds the LOAD frame of a new runner: its environment, its machine, and the variables that fal's platform sets for a runner."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from fal_jupyter import settings
from fal_jupyter.domain import events as m
from fal_jupyter.domain.environments.literal_data import PLACE_VARIABLE, needs_mount
from fal_jupyter.domain.environments.runner_variables import (
    LocalAccess,
    RunnerIdentity,
    access_variables,
    calls_the_cloud,
    identity_variables,
)
from fal_jupyter.domain.errors import BadSetting
from fal_jupyter.gateway.apps.deployment import Deployment, Revision
from fal_jupyter.gateway.auth.app_keys import AppKeys
from fal_jupyter.gateway.runners.runner_process import RunnerLoad
from fal_jupyter.protocol import frames
from fal_jupyter.protocol.api import CDN, LoadHead, Machine
from fal_jupyter.secret_store import SecretStore
from fal_jupyter.settings import Settings

_encode = msgspec.json.encode


@dataclass(frozen=True, slots=True)
class GatewayPorts:
    """The open ports of 127.0.0.1 (0: closed), and the file of the certificate authority of the TLS port."""

    plain: int = 0
    tls: int = 0
    authority: str = ""


class LoadMessages:
    """Builds LOAD frames. *ports* returns the open ports."""

    def __init__(
        self, settings: Settings, secret_store: SecretStore, keys: AppKeys, ports: Callable[[], GatewayPorts]
    ) -> None:
        self._settings, self._secret_store, self._keys, self._ports = settings, secret_store, keys, ports

    def make(self, app: Deployment, command: m.StartRunner) -> RunnerLoad:
        """Return the launch data of a new runner of *app*."""
        revision, ports = app.revisions[command.revision], self._ports()
        environment = app.with_secrets(revision, self._secret_store)
        owner = self._settings.owner
        identity = RunnerIdentity(owner=owner, alias=app.alias, revision=command.revision, runner_id=command.runner_id)
        environment["env"] = self._variables(environment["env"], identity, ports)
        environment["env"].pop(PLACE_VARIABLE, None)
        if self._mounts_data(revision, environment["env"]):
            environment["env"][PLACE_VARIABLE] = str(self._settings.data)
        machine = Machine(
            type=revision.allotment.type_of(command.devices),
            devices=list(command.devices),
            cores=revision.allotment.cores,
            memory=revision.allotment.memory,
            turn=int(command.runner_id.rpartition("-")[2]),
        )
        head = LoadHead(
            app=f"{owner}/{app.alias}",
            alias=app.alias,
            runner_id=command.runner_id,
            revision=command.revision,
            kind=revision.kind,
            class_name=revision.spec.class_name,
            source=revision.source,
            modules=revision.modules,
            environment=environment,
            multiplex=revision.spec.scaling.max_multiplexing,
            request_timeout=revision.spec.scaling.request_timeout,
            cdn=f"http://127.0.0.1:{ports.plain}{CDN.rstrip('/')}" if ports.plain else "",
            authority=ports.authority if calls_here(environment["env"]) else "",
            machine=machine,
        )
        return RunnerLoad(environment, machine, frames.encode_load(_encode(head), revision.payload))

    def _variables(self, env: Mapping[str, str], identity: RunnerIdentity, ports: GatewayPorts) -> dict[str, str]:
        variables = {**env, **identity_variables(env, identity, str(self._settings.data), hugging_face_of(env))}
        if calls_here(env) and ports.tls:
            access = LocalAccess(key=self._keys.key_of(identity.alias), port=ports.plain, tls_port=ports.tls)
            variables |= access_variables(env, access)
        return variables

    def _mounts_data(self, revision: Revision, env: Mapping[str, str]) -> bool:
        sources = [*revision.source.values(), *(module["text"] for module in revision.modules.values())]
        try:
            return needs_mount(settings.mount_data(env), sources)
        except BadSetting:  # reported where it was set; the gateway ignores it
            return False

    def app_ended(self, alias: str) -> None:
        """The app's last runner has ended."""
        self._keys.end(alias)


def calls_here(env: Mapping[str, str]) -> bool:
    """True if ``fal_client`` in a runner with these variables calls this gateway: it speaks TLS only."""
    return not calls_the_cloud(env)


def hugging_face_of(env: Mapping[str, str]) -> dict[str, str]:
    """The user's existing Hugging Face files, by variable name: downloaded models, and the token of a login."""
    cache = env.get("XDG_CACHE_HOME") or os.path.join(env.get("HOME") or os.path.expanduser("~"), ".cache")
    folder = Path(cache, "huggingface")
    paths = {"HF_HUB_CACHE": folder / "hub", "HF_TOKEN_PATH": folder / "token"}
    return {name: str(path) for name, path in paths.items() if path.exists()}
