"""Where ``fal.function`` could run: this process (``fal.local``) or fal's platform, which is only named here."""

from __future__ import annotations

from dataclasses import dataclass


class FalServerlessError(Exception):
    """A function could not be sent to fal's platform."""


class FalMissingDependencyError(FalServerlessError):
    """A module that a function needs is not there."""


@dataclass(frozen=True)
class FalServerlessKeyCredentials:
    """A key of fal's platform, in its two halves; nothing here uses it."""

    key_id: str
    key_secret: str


class Host:
    """Where a function runs."""


@dataclass(frozen=True)
class LocalHost(Host):
    """A function on this host runs in this process."""


@dataclass(frozen=True)
class FalServerlessHost(Host):
    """fal's platform: accepted wherever the real package takes it, never called.

    Attributes:
        url: host name of the platform's API.
        credentials: a :class:`FalServerlessKeyCredentials`, or None.
    """

    url: str = "api.alpha.fal.ai"
    local_file_path: str = ""
    local_project_root: str = ""
    credentials: FalServerlessKeyCredentials | None = None
    environment_name: str | None = None
    requirements_context_dir: str = ""
