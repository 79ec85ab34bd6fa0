"""``fal.function`` and ``fal.wrap_app``: what the real package makes of functions and apps for its platform (C3 to C5, C14 to C19).

Here they are defined, checked and run in this process (``run_local``); calling one remotely is the platform's alone.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import metadata
from typing import Any

from fal_jupyter.domain.text.nearest import nearest
from fal_jupyter.fal.classes.options import SET_BY_FAL
from fal_jupyter.fal.exceptions import FalServerlessException
from fal_jupyter.fal.hosts import LocalHost
from fal_jupyter.fal.unsupported import ComesLater

HOST_KEYS = frozenset({
    "_base_image", "_scheduler", "_scheduler_options", "app_files", "app_files_context_dir", "app_files_ignore",
    "concurrency_buffer", "concurrency_buffer_perc", "data_mounts", "health_check_config", "keep_alive",
    "machine_type", "machine_types", "max_concurrency", "max_multiplexing", "metadata", "metrics_port",
    "min_concurrency", "num_gpus", "private_logs", "regions", "request_start_timeout", "request_timeout",
    "requirements_context_dir", "retry_config", "scaling_delay", "secrets", "setup_function",
    "skip_retry_conditions", "startup_timeout", "termination_grace_period_seconds",
})  # fmt: skip
GATEWAY_KEYS = frozenset({"exposed_port", "serve"})
ENVIRONMENT_KEYS: Mapping[str, tuple[str, ...]] = {
    "virtualenv": ("compile_bytecode", "force", "python_version", "requirements", "resolver"),
    "container": ("force", "image", "python_version", "requirements", "resolver"),
    "conda": ("channels", "env_dict", "env_yml_str", "packages", "pip", "python_version"),
}
SERVE_REQUIREMENTS = ("uvicorn", "starlette_exporter", "packaging", "structlog", "tomli", "tomli-w", "httpx>=0.20")
REALTIME_REQUIREMENTS = ("websockets", "msgpack")


@dataclass
class Options:
    """Options of one function, by who reads them: the platform, the environment's builder, the gateway."""

    host: dict[str, Any] = field(default_factory=dict)
    environment: dict[str, Any] = field(default_factory=dict)
    gateway: dict[str, Any] = field(default_factory=dict)

    def add_requirements(self, more: list[str]) -> None:
        """Add requirements to those of the environment, as one more layer where those are layers.

        Raises:
            ValueError: what is there is neither a list of strings nor a list of such lists.
        """
        present = self.environment.setdefault("requirements", [])
        if present is None:
            raise AttributeError("'NoneType' object has no attribute 'extend'")
        flat = isinstance(present, list) and all(isinstance(item, str) for item in present)
        layers = isinstance(present, list) and all(
            isinstance(item, list) and all(isinstance(line, str) for line in item) for item in present
        )
        if not flat and not layers:
            raise ValueError("requirements must be a list of strings or a list of lists of strings.")
        present_lines = present if flat else [line for layer in present for line in layer]
        if not set(more) <= set(present_lines):
            self.environment["requirements"] = [*present, *more] if flat else [*present, more]


def unrecognised_kind(kind: object) -> str:
    """The real package's sentence about a kind of environment that does not exist."""
    near = nearest(kind, ENVIRONMENT_KEYS) if isinstance(kind, str) else ""
    message = f"Unrecognised environment kind {kind!r}. Only {', '.join(ENVIRONMENT_KEYS)} are supported."
    return f"{message} Did you mean {near!r}?" if near else message


def sorted_options(kind: str, values: Mapping[str, Any]) -> Options:
    """Sort *values* into :class:`Options`.

    Raises:
        ValueError: the kind or an option does not exist; with the one that was probably meant.
    """
    if kind not in ENVIRONMENT_KEYS:
        raise ValueError(unrecognised_kind(kind))
    options = Options(environment={"kind": kind})
    of_kinds = {key for keys in ENVIRONMENT_KEYS.values() for key in keys}
    for name, value in values.items():
        if name == "force_env_build":
            if value and kind != "conda":
                options.environment["force"] = True
        elif name in GATEWAY_KEYS:
            options.gateway[name] = value
        elif name in ENVIRONMENT_KEYS[kind]:
            options.environment[name] = value
        elif name in HOST_KEYS:
            options.host[name] = value
        elif name in of_kinds:
            supported = ", ".join(map(repr, ENVIRONMENT_KEYS[kind]))
            raise ValueError(
                f"Unsupported option {name!r} for environment kind {kind!r}. Supported keys for this kind are: {supported}."
            )
        else:
            near = nearest(name, [*HOST_KEYS, *GATEWAY_KEYS, *of_kinds])
            raise ValueError(f"Unrecognised option {name!r}." + (f" Did you mean {near!r}?" if near else ""))
    return options


class IsolatedFunction:
    """A function with its options. ``func`` and ``raw_func`` are the function itself."""

    def __init__(self, function: Callable[..., Any], options: Options, host: Any = None) -> None:
        functools.update_wrapper(self, function)
        self.host = host
        self.raw_func = self.func = function
        self.options = options
        self.app_name: str | None = None
        self.app_auth: str | None = None

    def run_local(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function in this process."""
        return self.raw_func(*args, **kwargs)

    def on(self, host: Any = None, **config: Any) -> IsolatedFunction:
        """Return a copy with other options."""
        kind = config.pop("kind", self.options.environment.get("kind", "virtualenv"))
        options = sorted_options(kind, config)
        mine = self.options
        merged = Options(
            mine.host | options.host, mine.environment | options.environment, mine.gateway | options.gateway
        )
        return IsolatedFunction(self.raw_func, merged, self.host if host is None else host)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call it where it belongs: in this process on ``fal.local``; a remote call is the platform's alone."""
        if isinstance(self.host, LocalHost):
            return self.raw_func(*args, **kwargs)
        raise self._remote(f"{self._name}(...)")

    def submit(self, *args: Any, **kwargs: Any) -> Any:
        """A remote call: the platform's alone."""
        raise self._remote(f"{self._name}.submit(...)")

    def spawn(self, *args: Any, **kwargs: Any) -> Any:
        """A remote call: the platform's alone."""
        raise self._remote(f"{self._name}.spawn(...)")

    @property
    def _name(self) -> str:
        return getattr(self.raw_func, "__name__", "the function")

    def _remote(self, written: str) -> ComesLater:
        return ComesLater(
            f"{written} runs on fal's platform, which fal_jupyter is not",
            hint=f"{self._name}.run_local(...) runs it here; for a warm process of its own, make it an endpoint of a fal.App",
        )

    def __repr__(self) -> str:
        return f"<fal.function {self._name}>"


def function(
    kind: str | Callable[..., Any] = "virtualenv",  # with an image it is always "container", as in the real package
    *,
    host: Any = None,
    local_python_modules: list[str] | None = None,
    **config: Any,
) -> Any:
    """Mark a function for fal's platform; see :class:`IsolatedFunction`.

    Raises:
        ValueError: an option does not exist.
    """
    if callable(kind):
        return function()(kind)
    if config.get("image"):
        kind = "container"
    if kind == "container" and config.get("app_files"):
        raise ValueError("app_files is not supported for container apps.")
    options = sorted_options(kind, config)

    def mark(wrapped: Callable[..., Any]) -> IsolatedFunction:
        _check_modules(local_python_modules)
        return IsolatedFunction(wrapped, copy.deepcopy(options), host)

    return mark


def _check_modules(names: object) -> None:
    if names is None:
        return
    if not isinstance(names, list):
        raise ValueError(f"local_python_modules must be a list of module names as strings, got {names!r}")
    for at, name in enumerate(names):
        if not isinstance(name, str):
            raise ValueError(
                f"local_python_modules must be a list of module names as strings, got {name!r} at index {at}"
            )


def cached(wrapped: Callable[..., Any]) -> Callable[..., Any]:
    """Keep a function's results as long as this process lives."""
    return functools.cache(wrapped)


def wrap_app(cls: type[Any], **config: Any) -> IsolatedFunction:
    """Return what ``fal deploy`` would send of an app: its options sorted, its OpenAPI document as metadata.

    Raises:
        FalServerlessException: the app cannot be built; its cause says why.
        TypeError: an option is given twice, or one that fal sets itself.
        ValueError: an option does not exist, or has no meaning for the app's kind of environment.
    """
    config.pop("limit_max_requests", None)
    metadata = cls.build_metadata()
    hosted = dict(cls.host_kwargs)
    kind = hosted.pop("kind", "virtualenv")
    of_class = {
        "requirements": copy.copy(cls.requirements),
        "machine_type": cls.machine_type,
        "num_gpus": cls.num_gpus,
        "regions": cls.regions,
    }
    of_fal = dict(zip(SET_BY_FAL, (metadata, 8080, False), strict=True))
    options = _given_once(of_class, hosted, config, of_fal)
    _check_modules(cls.local_python_modules)
    if kind == "container" and hosted.get("app_files"):
        raise ValueError("app_files is not supported for container apps.")

    def initialize_and_serve(**_: Any) -> None:
        raise ComesLater(f"{cls.__name__} is served by fal_jupyter.serve({cls.__name__})")

    wrapped = IsolatedFunction(initialize_and_serve, sorted_options(kind, options))
    wrapped.options.add_requirements([*_pins(), *SERVE_REQUIREMENTS])
    if any(route.is_websocket for route in cls(_allow_init=True).collect_routes()):
        wrapped.options.add_requirements(list(REALTIME_REQUIREMENTS))
    wrapped.app_name, wrapped.app_auth = cls.app_name, cls.app_auth
    return wrapped


def _given_once(*parts: Mapping[str, Any]) -> dict[str, Any]:
    """Join what the real package passes to ``fal.function`` as keywords, which Python refuses to take twice."""
    options: dict[str, Any] = {}
    for part in parts:
        for name in part:
            if name in options:
                raise TypeError(f"fal.api.api.function() got multiple values for keyword argument {name!r}")
        options.update(part)
    return options


def _pins() -> list[str]:
    """The versions that a class is pickled with."""
    pins = []
    for name in ("fastapi", "pydantic", "tblib"):
        try:
            pins.append(f"{name}=={metadata.version(name)}")
        except metadata.PackageNotFoundError:
            pins.append(name)
    return pins


def metadata_of(app: Any) -> dict[str, Any]:
    """Return the OpenAPI document of an app's instance.

    Raises:
        FalServerlessException: it cannot be built; its cause says why.
    """
    try:
        document: dict[str, Any] = app._build_app().openapi()
        return document
    except Exception as error:
        raise FalServerlessException("Failed to generate OpenAPI metadata for function") from error
