"""Describes a class for the gateway as an :class:`AppSpec`."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from fal_jupyter.domain.access.cors import origins_of
from fal_jupyter.domain.environments.requirements import flat_requirements
from fal_jupyter.domain.errors import AppRuleBroken
from fal_jupyter.domain.queue.retries import RetryRules, budgets_of
from fal_jupyter.domain.resources.machines import KNOWN_MACHINES, is_machine
from fal_jupyter.domain.runners.health import HealthRules
from fal_jupyter.domain.spec import DEFAULT_MAX_CONCURRENCY, AppSpec, EndpointSpec, Scaling
from fal_jupyter.domain.text.nearest import hint_for
from fal_jupyter.fal.classes.alias import _alias
from fal_jupyter.fal.classes.definition import EXPLICIT, check_hosted
from fal_jupyter.fal.classes.function import unrecognised_kind
from fal_jupyter.fal.classes.options import AUTH_MODES, OPTIONS, AppOption, check_order, check_value, is_whole
from fal_jupyter.fal.classes.routes import RouteSignature, about_of, endpoints_of, in_source_order
from fal_jupyter.fal.classes.signatures import signature_of
from fal_jupyter.fal.sdk import RetryConfig

_ROOT = "fal_jupyter.fal.app"  # where fal.App itself is
MOST_ABOUT = 8000  # characters: it travels with each frame of the feed
_SCALING = (
    "min_concurrency",
    "max_concurrency",
    "concurrency_buffer",
    "concurrency_buffer_perc",
    "scaling_delay",
    "max_multiplexing",
    "keep_alive",
    "startup_timeout",
    "request_timeout",
    "termination_grace_period_seconds",
    "request_start_timeout",
)
_WARM = AppOption("warm", "a whole number", is_whole, 0)


def describe_app(cls: type[Any], overrides: Mapping[str, object] | None = None) -> AppSpec:
    """Describe *cls*. *overrides* are options of this run by fal's names, and ``name``, ``auth``, ``cors``, ``warm``.

    A class that sets neither ``keep_alive`` nor ``min_concurrency`` anywhere gets one warm runner.

    Raises:
        AppRuleBroken: the class cannot be served as it is, or an override does not fit.
        BadSetting: ``cors`` has a value that is not a web origin.
    """
    if not isinstance(cls, type) or not hasattr(cls, "host_kwargs"):
        name = cls.__name__ if isinstance(cls, type) else repr(cls)[:60]
        raise AppRuleBroken(
            f"{name} is not a fal.App subclass", hint=f"class {getattr(cls, '__name__', 'Hello')}(fal.App): …"
        )
    options = {name: value for name, value in (overrides or {}).items() if value is not None}
    check_hosted(cls)
    if (
        cls.host_kwargs.get("kind", "") is None
    ):  # as a keyword or in host_kwargs; a class variable of None is not copied
        raise AppRuleBroken(
            unrecognised_kind(None), hint='leave kind out, or write kind = "virtualenv"', where=cls.__name__
        )
    for name, value in options.items():
        if name == "machine":
            _check_machine(value)
            continue
        if name == "cors":
            continue
        option = _WARM if name == "warm" else OPTIONS.get({"auth": "app_auth", "name": "app_name"}.get(name, name))
        if option is None or (option.name not in _SCALING and name not in ("warm", "name", "auth")):
            allowed = (*_SCALING, "warm", "name", "auth", "cors", "machine") if option is None else ()
            hint = hint_for(name, allowed, "write it in the class")
            raise AppRuleBroken(f"{name} cannot be set for one run", hint=hint)
        check_value(option, value, "")
    machine: Any = options.get("machine", _machines(cls))  # checked above
    endpoints, scaling = describe_endpoints(cls), _scaling(cls, options)
    return AppSpec(
        class_name=cls.__name__,
        alias=_alias(cls, options.get("name")),
        auth=_auth(options.get("auth", cls.app_auth)),
        endpoints=endpoints,
        scaling=scaling,
        machine_type=(machine,) if isinstance(machine, str) else tuple(machine),
        num_gpus=None if cls.num_gpus is None else int(cls.num_gpus),
        requirements=tuple(flat_requirements(cls.requirements)),
        secrets=None if (secrets := cls.host_kwargs.get("secrets")) is None else tuple(secrets),
        cors=origins_of(options.get("cors", ())),
        health=_health(cls, scaling),
        retry=_retry(cls),
        about=_about(cls),
    )


def _about(cls: type[Any]) -> str:
    text = about_of(cls)
    return text if len(text) <= MOST_ABOUT else f"{text[:MOST_ABOUT]}\n…"


def _retry(cls: type[Any]) -> RetryRules:
    config, skip = cls.host_kwargs.get("retry_config"), cls.host_kwargs.get("skip_retry_conditions")
    return RetryRules(
        skip=tuple(condition.lower() for condition in skip or ()),
        budgets=budgets_of(config.to_dict() if isinstance(config, RetryConfig) else config),
    )


def _health(cls: type[Any], scaling: Scaling) -> HealthRules | None:
    """The check with its defaults: a start period that is shorter than startup_timeout is replaced by it (fal's documentation)."""
    config = cls.host_kwargs.get("health_check_config")
    if config is None:
        return None
    usual = HealthRules(path=config.path)
    start = usual.start_period if config.start_period_seconds is None else config.start_period_seconds
    return HealthRules(
        path=config.path,
        method=(config.method or usual.method).upper(),
        start_period=max(start, scaling.startup_timeout),
        timeout=config.timeout_seconds or usual.timeout,
        threshold=usual.threshold if config.failure_threshold is None else config.failure_threshold,
        regularly=config.call_regularly is not False,
    )


def _machines(cls: type[Any]) -> str | Sequence[str]:
    """What the class declares, or nothing: the root's own default is fal's, not the user's."""
    for base in cls.__mro__:
        if base.__module__ == _ROOT:
            return ()
        if "machine_type" in vars(base):
            declared: str | list[str] | None = vars(base)["machine_type"]
            return declared or []
    return []


def _check_machine(name: object) -> None:
    if not (isinstance(name, str) and is_machine(name)):
        hint = hint_for(name, KNOWN_MACHINES, f"one of {', '.join(KNOWN_MACHINES)}, cuda:0")
        raise AppRuleBroken(f"there is no machine type {name!r}", hint=hint, where="--machine")


def _auth(mode: object) -> Any:
    return mode if mode in AUTH_MODES else "private"


def describe_endpoints(cls: type[Any]) -> tuple[EndpointSpec, ...]:
    """Return the endpoints of a class in the order of the source.

    Raises:
        AppRuleBroken: it has none.
    """
    endpoints = endpoints_of(cls)
    if not endpoints:
        raise AppRuleBroken(
            f"{cls.__name__} has no endpoint, so there is nothing to serve",
            hint='put @fal.endpoint("/") above a method of it',
        )
    specs = [
        EndpointSpec(
            name=name,
            path=marked.route_signature.path,
            signature=_signature(marked.__wrapped__, cls.__module__),
            doc=inspect.cleandoc(marked.__doc__ or ""),
            protocol=_protocol(marked.route_signature),
            yields=inspect.isgeneratorfunction(marked.__wrapped__) or inspect.isasyncgenfunction(marked.__wrapped__),
        )
        for name, marked in in_source_order(cls, endpoints).items()
    ]
    return tuple(specs)


def _protocol(route: RouteSignature) -> str:
    return "realtime" if route.realtime is not None else "websocket" if route.is_websocket else "http"


def _signature(method: Callable[..., Any], home: str) -> str:
    """As the user wrote it: names of the user's own module and of fal without their modules."""
    try:
        return re.sub(rf"(?<![\w.])(?:{re.escape(home)}|fal_jupyter\.fal(?:\.\w+)*)\.", "", str(signature_of(method)))
    except (TypeError, ValueError):  # a default whose repr raises, a callable without a signature
        return "(...)"


def _scaling(cls: type[Any], options: Mapping[str, object]) -> Scaling:
    explicit: frozenset[str] = getattr(cls, EXPLICIT, frozenset())
    values: dict[str, Any] = {}
    for name in _SCALING:
        value = options.get(name, cls.host_kwargs.get(name) if name in explicit else None)
        if value is not None:
            values[name] = _plain(value)
    check_order({"max_concurrency": DEFAULT_MAX_CONCURRENCY, **values}, cls.__name__)
    speaks = "keep_alive" in values or "min_concurrency" in values
    warm = options.get("warm")
    values["warm"] = (0 if speaks else 1) if warm is None else _plain(warm)
    return Scaling(**values)


def _plain(value: Any) -> int | float:
    return int(value) if is_whole(value) else float(value)
