"""Settings that are objects: ``HealthCheck``, what it becomes in ``host_kwargs``, and ``RetryConfig``."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from fal_jupyter.domain.errors import AppRuleBroken
from fal_jupyter.domain.queue.retries import CONDITIONS
from fal_jupyter.fal.hosts import FalServerlessKeyCredentials as FalServerlessKeyCredentials

RETRY_CONDITIONS = CONDITIONS

_NOTE = (
    "Note: HealthCheck's failure_threshold and start_period_seconds are ignored when call_regularly is set to False. "
    "See https://docs.fal.ai/serverless/development/add-health-check-endpoint#manual-health-checks for details."
)


@dataclass(frozen=True, kw_only=True)
class HealthCheck:
    """Marks an endpoint as the app's health check. ``None`` leaves the platform's default.

    Attributes:
        start_period_seconds: seconds after the start in which failures do not count.
        timeout_seconds: seconds that one check may take.
        failure_threshold: failures in a row after which the runner is replaced.
        call_regularly: check every 15 s, or only after requests that ask for it.
        method: HTTP method of the check.
    """

    start_period_seconds: int | None = None
    timeout_seconds: int | None = None
    failure_threshold: int | None = None
    call_regularly: bool | None = None
    method: str | None = None

    def __post_init__(self) -> None:
        for name in ("start_period_seconds", "timeout_seconds", "failure_threshold"):
            value = getattr(self, name)
            if value is not None and (isinstance(value, bool) or not isinstance(value, (int, float))):
                raise AppRuleBroken(f"HealthCheck's {name} must be a number, but it is {value!r}")
            if value is not None and value < 0:
                raise AppRuleBroken(f"HealthCheck's {name} is {value}, but it must be 0 or more")
        ignored = self.failure_threshold is not None or self.start_period_seconds is not None
        if self.call_regularly is False and ignored:
            print(_NOTE)


@dataclass(frozen=True)
class ApplicationHealthCheckConfig:
    """A :class:`HealthCheck` with the path of its endpoint, as ``host_kwargs["health_check_config"]`` has it."""

    path: str
    start_period_seconds: int | None = None
    timeout_seconds: int | None = None
    failure_threshold: int | None = None
    call_regularly: bool | None = None
    method: str = "POST"

    @staticmethod
    def of(path: str, check: HealthCheck) -> ApplicationHealthCheckConfig:
        """Join a path and its check."""
        return ApplicationHealthCheckConfig(
            path,
            check.start_period_seconds,
            check.timeout_seconds,
            check.failure_threshold,
            check.call_regularly,
            check.method or "POST",
        )


class RunnerState(Enum):
    """States of a runner on fal's platform."""

    RUNNING = "RUNNING"
    PENDING = "PENDING"
    SETUP = "SETUP"
    DOCKER_PULL = "DOCKER_PULL"
    DEAD = "DEAD"
    DRAINING = "DRAINING"
    TERMINATING = "TERMINATING"
    TERMINATED = "TERMINATED"
    IDLE = "IDLE"
    CRASH_BACKOFF = "CRASH_BACKOFF"


class ReplaceState(Enum):
    """Whether the platform replaces a runner."""

    NO_REPLACE = "NO_REPLACE"
    WILL_REPLACE = "WILL_REPLACE"
    DID_REPLACE = "DID_REPLACE"


@dataclass
class RetryConfig:
    """How often a queued request is retried, for each condition; None leaves the default."""

    timeout: int | None = None
    server_error: int | None = None
    connection_error: int | None = None

    def to_dict(self) -> dict[str, dict[str, int]]:
        """Return the form that ``host_kwargs`` takes; negative numbers count as 0.

        Raises:
            AppRuleBroken: no condition is set.
        """
        chosen = {
            name: {"retries": max(0, int(value))}
            for name in ("timeout", "server_error", "connection_error")
            if (value := getattr(self, name)) is not None
        }
        if not chosen:
            raise AppRuleBroken("RetryConfig must have at least one condition.")
        return chosen
