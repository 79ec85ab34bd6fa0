"""What an app is, as data: names, scaling, endpoints. Derived from the class in the user's process, read by the gateway.

All durations are seconds as fal writes them; the fleet turns them into integer nanoseconds.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Literal, TypedDict

from fal_jupyter.domain.errors import AppRuleBroken
from fal_jupyter.domain.json_fields import elements, rebuilt, texts
from fal_jupyter.domain.queue.retries import RetryRules
from fal_jupyter.domain.runners.health import HealthRules
from fal_jupyter.domain.text.nearest import hint_for

Auth = Literal["private", "public", "shared"]

DEFAULT_KEEP_ALIVE = 10  # the seed page; the SDK's own class says 60 (scaling-policy R1)
DEFAULT_MAX_CONCURRENCY = 10
DEFAULT_REQUEST_TIMEOUT = 3600
DEFAULT_STARTUP_TIMEOUT = 600
DEFAULT_GRACE = 5
UNUSED_AFTER = 10  # seconds after which an unused runner is stopped (fal: "Scale your application")


def derive_app_name(class_name: str) -> str:
    """Return the app name that fal derives from a class name: ``MyGoodApp`` → ``my-good-app``, ``SDXL`` → ``s-d-x-l``.

    Runs of one capital and following small ASCII letters are joined with ``-``; all else is dropped
    (the real package's rule, measured on fal 1.83).

    Raises:
        AppRuleBroken: *class_name* is empty.
    """
    if not class_name:
        raise AppRuleBroken("Cannot derive app name from ''. Please use --app-name to specify a name explicitly.")
    words = re.findall(r"[A-Z][a-z]*", class_name)
    if words:
        return "-".join(words).lower()
    if "_" in class_name:
        return "-".join(part for part in class_name.split("_") if part).lower()
    return class_name.lower()


@dataclass(frozen=True, slots=True, kw_only=True)
class Scaling:
    """How many runners an app has, and how long things may take. Names and defaults are fal's.

    ``request_start_timeout`` is the limit in seconds for dispatching a request to a runner; 0: unlimited.
    ``warm`` is our own: runners kept ready while the owner is running, for an app whose class has no
    scaling options (0 is fal's behaviour).
    """

    min_concurrency: int = 0
    max_concurrency: int = DEFAULT_MAX_CONCURRENCY
    concurrency_buffer: int = 0
    concurrency_buffer_perc: int = 0
    scaling_delay: float = 0
    max_multiplexing: int = 1
    keep_alive: float = DEFAULT_KEEP_ALIVE
    startup_timeout: float = DEFAULT_STARTUP_TIMEOUT
    request_timeout: float = DEFAULT_REQUEST_TIMEOUT
    termination_grace_period_seconds: float = DEFAULT_GRACE
    request_start_timeout: float = 0
    warm: int = 0

    def __post_init__(self) -> None:
        for name, (low, high) in LIMITS.items():
            value = getattr(self, name)
            if value < low or (high is not None and value > high):
                span = f"{low} or more" if high is None else f"{low} to {high}"
                raise AppRuleBroken(f"{name} is {value}, but it must be {span}", where=name)
        if self.min_concurrency > self.max_concurrency:
            raise AppRuleBroken(
                f"min_concurrency is {self.min_concurrency} but max_concurrency is {self.max_concurrency}: "
                "the minimum cannot exceed the maximum",
                hint=f"raise max_concurrency to {self.min_concurrency} or lower min_concurrency",
                where="min_concurrency",
            )

    def changed(self, changes: Mapping[str, object]) -> Scaling:
        """Return this scaling with some options changed while the app runs.

        Setting ``min_concurrency`` or ``keep_alive`` disables the default warm runner.

        Raises:
            AppRuleBroken: there is no such option, or the values are inconsistent.
        """
        options = scaling_options(changes)
        sets_own = {"min_concurrency", "keep_alive"} & options.keys() and "warm" not in options
        return replace(self, **{**options, **({"warm": 0} if sets_own else {})})  # type: ignore[arg-type]

    @property
    def floor(self) -> int:
        """Runners that are never stopped by demand: the larger of ``min_concurrency`` and ``warm``, within the maximum."""
        return min(max(self.min_concurrency, self.warm), self.max_concurrency)


SECONDS = frozenset(
    {
        "scaling_delay",
        "keep_alive",
        "startup_timeout",
        "request_timeout",
        "termination_grace_period_seconds",
        "request_start_timeout",
    }
)
LIMITS: Mapping[str, tuple[int, int | None]] = {
    "min_concurrency": (0, None),
    "max_concurrency": (1, None),
    "concurrency_buffer": (0, None),
    "concurrency_buffer_perc": (0, None),
    "scaling_delay": (0, None),
    "max_multiplexing": (1, None),
    "keep_alive": (0, None),
    "startup_timeout": (1, None),
    "request_timeout": (1, None),
    "termination_grace_period_seconds": (0, 30),
    "request_start_timeout": (0, None),
    "warm": (0, None),
}


def scaling_options(given: Mapping[str, object]) -> dict[str, float]:
    """Return *given* as scaling options and their values; whether the values are consistent is not checked.

    Raises:
        AppRuleBroken: there is no such option, or its value is not a number of its kind.
    """
    options: dict[str, float] = {}
    for name, value in given.items():
        if name not in LIMITS:
            raise AppRuleBroken(f"there is no scaling option {name!r}", hint=hint_for(name, LIMITS))
        if (isinstance(value, int) and not isinstance(value, bool)) or (
            isinstance(value, float) and name in SECONDS and math.isfinite(value)
        ):
            options[name] = value
        else:
            what = "a number of seconds" if name in SECONDS else "a whole number"
            raise AppRuleBroken(f"{name} is {value!r}, but it must be {what}", where=name)
    return options


class ScalingOptionRule(TypedDict):
    """A scaling option for people: its bounds (*high* None: no bound), fal's default, and its unit (``"s"`` or ``""``)."""

    name: str
    low: int | float
    high: int | float | None
    default: int | float
    unit: str


def option_rules() -> list[ScalingOptionRule]:
    """Every scaling option."""
    usual = Scaling()
    return [
        {
            "name": name,
            "low": low,
            "high": high,
            "default": getattr(usual, name),
            "unit": "s" if name in SECONDS else "",
        }
        for name, (low, high) in LIMITS.items()
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointSpec:
    """One endpoint: the method's name, its path, its signature and docstring as text for cards and help, and its protocol:
    ``http``, ``websocket`` (raw) or ``realtime``. *yields*: it is a generator, whose answer is one line of JSON per value."""

    name: str
    path: str
    signature: str = "()"
    doc: str = ""
    protocol: str = "http"
    yields: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class AppSpec:
    """The gateway's description of an app's class.

    Attributes:
        class_name: as written by the user.
        alias: second half of ``owner/alias``.
        auth: who may call: ``private`` and ``shared`` require a valid key, ``public`` does not.
        endpoints: as the class has them, its own before those of its bases.
        machine_type: machine types in order of preference; for display only.
        secrets: names of the secrets that its runners get; None: all.
        health: how its runners' health is checked; None: not at all.
        cors: origins of web pages that may read its answers.
        retry: which failures of queued requests are retried.
        about: Markdown for cards, from a docstring.
    """

    class_name: str
    alias: str
    auth: Auth = "private"
    endpoints: tuple[EndpointSpec, ...] = ()
    scaling: Scaling = field(default_factory=Scaling)
    machine_type: tuple[str, ...] = ()
    num_gpus: int | None = None
    requirements: tuple[str, ...] = ()
    secrets: tuple[str, ...] | None = None
    health: HealthRules | None = None
    cors: tuple[str, ...] = ()
    retry: RetryRules = field(default_factory=RetryRules)
    about: str = ""

    def path_of(self, requested: str) -> str:
        """Return the endpoint's path that *requested* means: itself, or the one with (or without) a trailing slash where only
        that exists. A gateway does not redirect."""
        for endpoint in self.endpoints:
            if endpoint.path == requested:
                return requested
        toggled = requested[:-1] if requested.endswith("/") else f"{requested}/"
        return toggled if any(endpoint.path == toggled for endpoint in self.endpoints) else requested

    def to_json(self) -> dict[str, object]:
        """Return plain JSON values."""
        return asdict(self)

    @staticmethod
    def from_json(data: Mapping[str, object]) -> AppSpec:
        """Rebuild from :meth:`to_json`; unknown fields are ignored, so that an older reader accepts a newer writer.

        Raises:
            AppRuleBroken: a field is missing, out of range or of another form.
        """
        try:
            secrets, health = data.get("secrets"), data.get("health")
            return rebuilt(
                AppSpec,
                data,
                endpoints=tuple(rebuilt(EndpointSpec, endpoint) for endpoint in elements(data.get("endpoints", ()))),
                scaling=rebuilt(Scaling, data.get("scaling", {})),
                machine_type=texts(data.get("machine_type", ())),
                requirements=texts(data.get("requirements", ())),
                secrets=None if secrets is None else texts(secrets),
                health=HealthRules.from_json(health) if health else None,
                cors=texts(data.get("cors", ())),
                retry=RetryRules.from_json(data.get("retry", {})),
            )
        except TypeError as error:
            raise AppRuleBroken(f"the app's description is incomplete: {error}") from error
