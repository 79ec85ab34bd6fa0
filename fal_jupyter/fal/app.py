"""``fal.App``, as the documentation has it: options at definition, endpoints as descriptors, hooks for the runner."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from typing import Any, ClassVar

from fal_jupyter.domain.errors import AppRuleBroken
from fal_jupyter.domain.spec import derive_app_name
from fal_jupyter.fal import context, options, remote
from fal_jupyter.fal.endpoint import Endpoint, RouteSignature

_DEFAULT_HOST_KWARGS: dict[str, Any] = {
    "_scheduler": "nomad",
    "_scheduler_options": {"storage_region": "us-east"},
    "resolver": "uv",
    "keep_alive": 60,
}


class ServingWarning(UserWarning):
    """Something about the class will not work as it reads."""


class MisspeltOption(ServingWarning):
    """A class attribute or keyword that looks like an option of fal's, but is none."""


class _ClassFact:
    """``Hello.url`` and its like: asked of the running app, unless the class or an instance has its own."""

    def __init__(self, doc: str) -> None:
        self.__doc__ = doc

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, instance: Any, owner: type) -> Any:
        if instance is not None:
            raise AttributeError(f"{owner.__name__!r} object has no attribute {self.name!r}")
        if owner is App:
            return self
        handle = remote.handle_for_call(owner)
        found = getattr(handle, self.name, None)
        if found is None:
            raise AttributeError(f"{owner.__name__}.{self.name} comes with a later release of fal_jupyter")
        return found


class App:
    """Base class of apps: subclass it, write ``setup`` and endpoints, put ``%%fal_app`` above the cell.

    Options are class variables (``keep_alive = 300``), class keywords (``class A(fal.App, keep_alive=300)``) or
    entries of ``host_kwargs``; a class variable wins. Wrong ones raise at definition, misspelt ones warn.
    """

    requirements: ClassVar[Any] = []
    requirements_context_dir: ClassVar[str | None] = None
    local_python_modules: ClassVar[list[str]] = []
    machine_type: ClassVar[str | list[str]] = "S"
    num_gpus: ClassVar[int | None] = None
    regions: ClassVar[list[str] | None] = None
    host_kwargs: ClassVar[dict[str, Any]] = _DEFAULT_HOST_KWARGS
    app_name: ClassVar[str | None] = None
    app_auth: ClassVar[str | None] = None
    app_files: ClassVar[list[str]] = []
    app_files_ignore: ClassVar[list[str]] = [r"\.pyc$", r"__pycache__/", r"\.git/", r"\.DS_Store$"]
    app_files_context_dir: ClassVar[str | None] = None
    request_timeout: ClassVar[float | None] = None
    request_start_timeout: ClassVar[float | None] = None
    startup_timeout: ClassVar[float | None] = None
    metrics_port: ClassVar[int | None] = None
    min_concurrency: ClassVar[int | None] = None
    max_concurrency: ClassVar[int | None] = None
    concurrency_buffer: ClassVar[int | None] = None
    concurrency_buffer_perc: ClassVar[int | None] = None
    scaling_delay: ClassVar[float | None] = None
    max_multiplexing: ClassVar[int | None] = None
    kind: ClassVar[str | None] = None
    image: ClassVar[Any] = None
    local_file_path: ClassVar[str | None] = None
    skip_retry_conditions: ClassVar[list[str] | None] = None
    retry_config: ClassVar[Any] = None
    termination_grace_period_seconds: ClassVar[float | None] = None
    secrets: ClassVar[list[str] | None] = None
    data_mounts: ClassVar[list[str] | None] = None
    version: ClassVar[str] = "unknown"
    isolate_channel: ClassVar[Any] = None

    url = _ClassFact("The address of the endpoints, a prefix: ``f'{Hello.url}/'`` is the endpoint at ``/``.")
    key = _ClassFact("The key that calls from outside send as ``Authorization: Key …``.")
    app = _ClassFact("``owner/alias``, as fal's clients name the app.")
    aio = _ClassFact("The endpoints as coroutines: ``await Hello.aio.hi()``.")
    stream = _ClassFact("Streaming calls.")
    submit = _ClassFact("Calls through the queue.")

    def __init_subclass__(cls, **kwargs: Any) -> None:
        name = kwargs.pop("name", None)
        super().__init_subclass__()
        if cls.__init__ is not App.__init__:
            raise AppRuleBroken("App classes should not override __init__ directly. Use setup() instead.")
        _check_options(cls, kwargs)
        inherited = {k: v for k, v in cls.host_kwargs.items() if v is not None}
        own = {k: v for k, v in _variables(cls).items() if v is not None and k not in _NOT_HOST}
        kept = {k: getattr(cls, k) for k in inherited if k in vars(cls) and k not in ("host_kwargs",)}
        cls.host_kwargs = {**inherited, **kwargs, **own, **kept}
        cls.app_name = cls.app_name or name or derive_app_name(cls.__name__)
        _check_together(cls)

    def __init__(self, *, _allow_init: bool = False) -> None:
        if not _allow_init and not os.environ.get("IS_ISOLATE_AGENT"):
            kind = type(self).__name__
            raise NotImplementedError(
                f"{kind} is started by its runners: put %%fal_app above the cell, or call fal_jupyter.serve({kind}), "
                f"then call its endpoints ({kind}.endpoint(...)). For an instance here and now write "
                f"{kind}(_allow_init=True)."
            )

    # --- what user code overrides -------------------------------------------------------------------------------
    def setup(self) -> Any:
        """Load what the endpoints need; called once a runner, before any request. May be ``async``."""

    def teardown(self) -> Any:
        """Called once, after the last request of a runner that ends in order. May be ``async``."""

    def handle_exit(self) -> None:
        """Called as soon as the runner is told to end, while requests may still be running."""

    def health(self) -> Any:
        """The answer of ``GET /health``."""
        return {"version": self.version}

    def provide_hints(self) -> list[str]:
        """Routing hints of this runner; sent as ``x-fal-runner-hints``."""
        raise NotImplementedError

    @property
    def current_request(self) -> context.RequestContext | None:
        """The request being answered; None outside of a runner."""
        return context.current()

    # --- what the runner asks -----------------------------------------------------------------------------------
    @classmethod
    def get_endpoints(cls) -> list[str]:
        """The endpoints' paths, in alphabetical order of their methods' names."""
        return [endpoint.route_signature.path for _, endpoint in endpoints_of(cls)]

    def collect_routes(self) -> dict[RouteSignature, Any]:
        """Route → bound method, sorted by path; of two equal routes the method whose name sorts last serves."""
        routes = {e.route_signature: e.__get__(self, type(self)) for _, e in endpoints_of(type(self))}
        return dict(sorted(routes.items(), key=lambda item: item[0].path))


_NOT_HOST = frozenset(
    {
        "requirements", "local_python_modules", "machine_type", "num_gpus", "regions", "host_kwargs", "app_name",
        "app_auth", "local_file_path", "version", "app_files_ignore",
    }
)  # fmt: skip


def endpoints_of(cls: type) -> list[tuple[str, Endpoint]]:
    """Method name and descriptor of every endpoint, in alphabetical order of the names."""
    found = []
    for name in sorted({name for base in cls.__mro__ for name in vars(base)}):
        holder = next(base for base in cls.__mro__ if name in vars(base))
        value = vars(holder)[name]
        if isinstance(value, Endpoint):
            found.append((name, value))
    return found


def _variables(cls: type[App]) -> dict[str, Any]:
    """Options set as class variables anywhere below App."""
    below = [base for base in cls.__mro__ if base is not App and issubclass(base, App)]
    return {name: getattr(cls, name) for name in options.OPTIONS if any(name in vars(base) for base in below)}


def _check_options(cls: type[App], keywords: Mapping[str, Any]) -> None:
    for name, value in keywords.items():
        if name not in options.KNOWN:
            raise options.unrecognised(name)
        options.check(name, value, cls.__name__)
    for name, value in vars(cls).items():
        if name in options.OPTIONS:
            if isinstance(value, Endpoint) or callable(value):
                continue  # an endpoint called like an option is an endpoint
            options.check(name, value, cls.__name__)
        elif not callable(value) and not isinstance(value, Endpoint | property | classmethod | staticmethod):
            meant = options.misspelt(name)
            if meant is not None:
                warnings.warn(
                    f"{cls.__name__}.{name} is not an option of fal.App; did you mean {meant}? It has no effect as it is.",
                    MisspeltOption,
                    stacklevel=4,
                )
    for name, value in (vars(cls).get("host_kwargs") or {}).items():
        if name not in options.KNOWN:
            raise options.unrecognised(name)
        options.check(name, value, cls.__name__)


def _check_together(cls: type[App]) -> None:
    low, high = cls.host_kwargs.get("min_concurrency"), cls.host_kwargs.get("max_concurrency")
    if low is not None and low > (10 if high is None else high):
        raise AppRuleBroken(
            f"min_concurrency is {low} but max_concurrency is {10 if high is None else high}: "
            "the minimum cannot exceed the maximum",
            hint=f"write max_concurrency = {low} or a smaller min_concurrency",
            where=cls.__name__,
        )
    if cls.app_files_context_dir is not None and not cls.app_files:
        raise AppRuleBroken("app_files_context_dir is only supported when app_files is provided")
    if cls.image is not None and cls.app_files:
        raise AppRuleBroken("app_files is not supported for container apps.")
    paths: dict[RouteSignature, str] = {}
    checks = [n for n, e in endpoints_of(cls) if e.route_signature.health_check is not None]
    if len(checks) > 1:
        raise AppRuleBroken("Multiple health check endpoints found. An app can only have one health check endpoint.")
    for name, endpoint in endpoints_of(cls):
        route = endpoint.route_signature
        if route.is_websocket and route.health_check is not None:
            raise AppRuleBroken("Health check endpoints cannot be websocket endpoints.")
        if not route.path.startswith("/"):
            warnings.warn(
                f"the path {route.path!r} of {cls.__name__}.{name} does not begin with '/', so no address reaches it",
                ServingWarning,
                stacklevel=4,
            )
        if route in paths:
            warnings.warn(
                f"{cls.__name__}.{paths[route]} and {cls.__name__}.{name} have the same path {route.path!r}: "
                f"{name} serves it (the last by name, as in fal's own package), {paths[route]} is never called",
                ServingWarning,
                stacklevel=4,
            )
        paths[route] = name
