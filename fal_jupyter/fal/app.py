"""``fal.App``: what a user's class inherits."""

from __future__ import annotations

import importlib
import inspect
import logging
import os
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, ClassVar

from fal_jupyter.domain.errors import AppRuleBroken
from fal_jupyter.domain.spec import AppSpec
from fal_jupyter.fal.app_client import AppClient, AppClientError
from fal_jupyter.fal.billing import declaration_of
from fal_jupyter.fal.classes.class_facts import ClassFact
from fal_jupyter.fal.classes.definition import DEFAULT_HOST_KWARGS, define
from fal_jupyter.fal.classes.describe import describe_app
from fal_jupyter.fal.classes.endpoints import endpoint
from fal_jupyter.fal.classes.function import metadata_of
from fal_jupyter.fal.classes.function import wrap_app as wrap_app
from fal_jupyter.fal.classes.notes import note_once
from fal_jupyter.fal.classes.routes import RouteSignature, endpoints_of
from fal_jupyter.fal.container import ContainerImage
from fal_jupyter.fal.context import RequestContext, current_request
from fal_jupyter.fal.sdk import ApplicationHealthCheckConfig, RetryConfig
from fal_jupyter.fal.unsupported import ComesLater

__all__ = ["App", "AppClient", "AppClientError", "describe", "endpoint"]


def describe(cls: type[Any], overrides: Mapping[str, object] | None = None) -> AppSpec:
    """Return the description of *cls* that the gateway gets; see :func:`fal_jupyter.fal.classes.describe.describe_app`."""
    if not isinstance(cls, type) or not issubclass(cls, App):
        name = cls.__name__ if isinstance(cls, type) else repr(cls)[:60]
        raise AppRuleBroken(
            f"{name} is not a fal.App subclass", hint="write a class that inherits from it: class Hello(fal.App)"
        )
    described = describe_app(cls, overrides)
    note_once(cls)
    return described


async def _call(method: Callable[[], Any]) -> None:
    result = method()
    if inspect.isawaitable(result):
        await result


class App:
    """Base of an app: options as class variables, ``setup()`` once per runner, ``@fal.endpoint`` methods.

    Read from the class, endpoints are calls to the running app; on an instance (``self``) they are plain methods.
    """

    requirements: ClassVar[list[str] | list[list[str]]] = []
    requirements_context_dir: ClassVar[str | None] = None
    local_python_modules: ClassVar[list[str]] = []
    machine_type: ClassVar[str | list[str]] = "S"
    num_gpus: ClassVar[int | None] = None
    regions: ClassVar[list[str] | None] = None
    host_kwargs: ClassVar[dict[str, Any]] = dict(DEFAULT_HOST_KWARGS)
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
    image: ClassVar[ContainerImage | None] = None
    local_file_path: ClassVar[str | None] = None
    skip_retry_conditions: ClassVar[list[str] | None] = None
    retry_config: ClassVar[RetryConfig | dict[str, Any] | None] = None
    termination_grace_period_seconds: ClassVar[float | None] = None
    secrets: ClassVar[list[str] | None] = None
    data_mounts: ClassVar[list[str] | None] = None
    version: ClassVar[str] = "unknown"
    isolate_channel: Any = None

    url: Any = ClassFact(
        "Prefix of the endpoints' addresses in the browser: below the Jupyter server where there is one."
    )
    local_url: Any = ClassFact("Prefix of the endpoints' addresses for programs on this machine, which need the key.")
    key: Any = ClassFact("Key of this owner, ``id:secret``, for HTTP callers.")
    app: Any = ClassFact("``owner/alias`` of the running app.")
    aio: Any = ClassFact("The endpoints as coroutine functions: ``await Hello.aio.hi(...)``.")
    stream: Any = ClassFact("Calls that give their answer piece by piece: ``for event in Hello.stream.chat(...)``.")
    realtime: Any = ClassFact("Websocket sessions: ``with Hello.realtime.talk() as ws``.")
    submit: Any = ClassFact("Calls that go to the queue: ``job = Hello.submit.hi(...)``, later ``job.get()``.")

    def __init_subclass__(cls, name: str | None = None, **kwargs: Any) -> None:
        define(cls, App, name, kwargs)
        super().__init_subclass__()

    def __init__(self, *, _allow_init: bool = False) -> None:
        if not _allow_init and not os.environ.get("IS_ISOLATE_AGENT"):
            raise NotImplementedError(
                "Running apps through SDK is not implemented yet. "
                f"Please use `fal run path/to/app.py::{type(self).__name__}` to run your app."
            )

    # --- for the user to override -------------------------------------------------------------------------------------
    def setup(self) -> Any:
        """Load models and open files here: once per runner, before its first request. ``async def`` works too."""

    def teardown(self) -> Any:
        """Called when a runner stops, after its last request. ``async def`` works too."""

    def handle_exit(self) -> Any:
        """Called as soon as a runner starts to stop, while requests may still be running; fal never awaits an ``async def``."""

    def health(self) -> Any:
        """Answer of ``GET /health``."""
        return {"version": self.version}

    def provide_hints(self) -> list[str]:
        """Return hints for the router, sent with every answer."""
        raise NotImplementedError

    @asynccontextmanager
    async def lifespan(self, app: Any) -> AsyncIterator[Any]:
        """Call ``setup()``, serve while the context is open, then call ``teardown()``.

        An override that awaits nothing of this one has to call them itself. What it yields, a dict, is each request's
        ``request.state``. *app* is the runner's FastAPI application.
        """
        await _call(self.setup)
        os.environ["FAL_RUNNER_STATE"] = "RUNNING"
        try:
            yield
        finally:
            os.environ["FAL_RUNNER_STATE"] = "TERMINATING"
            await _call(self.teardown)

    def _add_extra_middlewares(self, app: Any) -> None:
        """Add middlewares to the runner's FastAPI application. What fal adds here, the runner does without middlewares."""

    def _add_extra_routes(self, app: Any) -> None:
        """Add ``GET /health``; an override adds routes of its own after those of the endpoints."""
        importlib.import_module("fal_jupyter.runner.application.endpoints").add_health(app, self)

    # --- for the user to call -----------------------------------------------------------------------------------------
    @property
    def current_request(self) -> RequestContext | None:
        """The request that this code works for; an empty one outside of requests, ``None`` where nothing is served."""
        return current_request()

    @classmethod
    def get_endpoints(cls) -> list[str]:
        """Return the paths of all endpoints that are functions (no class methods, as in the real package), in the order of their methods' names."""
        return [marked.route_signature.path for marked in endpoints_of(cls).values() if marked.is_listed]

    @classmethod
    def get_health_check_config(cls) -> ApplicationHealthCheckConfig | None:
        """Return the health check of the app, or ``None``."""
        config: ApplicationHealthCheckConfig | None = cls.host_kwargs.get("health_check_config")
        return config

    def collect_routes(self) -> dict[RouteSignature, Callable[..., Any]]:
        """Return the bound method of each route, in path order; of methods with equal routes the last name stays."""
        routes = {marked.route_signature: getattr(self, name) for name, marked in endpoints_of(type(self)).items()}
        return dict(sorted(routes.items(), key=lambda item: item[0].path))

    # --- what the platform reads of it -----------------------------------------------------------------------------
    def _build_app(self) -> Any:
        if not self.collect_routes():
            raise ValueError("An application must have at least one route!")
        # the runner's, by name: rooms meet by name, and a class is defined without FastAPI
        return importlib.import_module("fal_jupyter.runner.application.endpoints").build(self)

    def openapi(self) -> dict[str, Any]:
        """Return the OpenAPI document of the app.

        Raises:
            FalServerlessException: the app cannot be built; its cause says why.
        """
        return metadata_of(self)

    @classmethod
    def build_metadata(cls) -> dict[str, Any]:
        """Return what a deployment tells of the app: its OpenAPI document, and what its endpoints bill."""
        metadata: dict[str, Any] = {"openapi": cls(_allow_init=True).openapi()}
        if billing := cls.get_billing_components():
            metadata["billing_components"] = billing
        return metadata

    @classmethod
    def get_billing_components(cls) -> dict[str, Any]:
        """Return the billing declarations of the endpoints, by path.

        Raises:
            ValueError: one of them is not as it should be.
        """
        components = {
            marked.route_signature.path: declaration_of(marked.route_signature)
            for marked in endpoints_of(cls).values()
            if marked.route_signature.billing is not None and marked.is_listed
        }
        return dict(sorted(components.items()))

    def __getstate__(self) -> dict[str, Any]:
        """What ``setup()`` made travels, the request that it works for never does (docs/contract.md, C35)."""
        return dict(self.__dict__)

    @property
    def logger(self) -> logging.Logger:
        """A logger of the app's name; an addition of ours, the real package has none."""
        return logging.getLogger(f"fal.{self.app_name}")

    # --- ways to run that are ours instead ----------------------------------------------------------------------------
    @classmethod
    def run_local(cls, *_: Any, **__: Any) -> None:
        """Not here: one process per app cannot run inside a notebook."""
        raise ComesLater(
            f"{cls.__name__}.run_local() does not exist here",
            hint=f"fal_jupyter.serve({cls.__name__}), or in a shell: fal-jupyter serve FILE.py::{cls.__name__}",
        )

    @classmethod
    def spawn(cls, *_: Any, **__: Any) -> None:
        """Not here, like :meth:`run_local`."""
        raise ComesLater(
            f"{cls.__name__}.spawn() does not exist here", hint=f"fal_jupyter.serve({cls.__name__}) gives a handle"
        )
