"""A class as data: the :class:`AppSpec` that the gateway gets, and what the environment lacks for it."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from importlib import metadata
from typing import Any

from fal_jupyter.domain.errors import AppRuleBroken
from fal_jupyter.domain.spec import AppSpec, EndpointSpec, Scaling
from fal_jupyter.fal import options
from fal_jupyter.fal.app import App, endpoints_of

SCALING_OPTIONS = (
    "min_concurrency", "max_concurrency", "concurrency_buffer", "concurrency_buffer_perc", "scaling_delay",
    "max_multiplexing", "keep_alive", "startup_timeout", "request_timeout", "termination_grace_period_seconds",
)  # fmt: skip
SPEAKS_OF_SCALING = ("keep_alive", "min_concurrency")


def describe(cls: type[App], overrides: Mapping[str, Any] | None = None) -> AppSpec:
    """Give the spec of *cls*, with *overrides* by option name (and ``name``, ``auth``, ``warm``).

    A class that sets neither ``keep_alive`` nor ``min_concurrency`` holds one warm runner while its owner lives;
    one that speaks of scaling gets exactly what it says.

    Raises:
        AppRuleBroken: no endpoints, an unusable name, or options that do not fit together.
    """
    given = {name: value for name, value in (overrides or {}).items() if value is not None}
    found = endpoints_of(cls)
    if not found:
        raise AppRuleBroken(
            f"{cls.__name__} has no endpoints, so nothing could call it",
            hint='put @fal.endpoint("/") above a method',
        )
    if any(e.route_signature.is_websocket for _, e in found):
        raise AppRuleBroken(f"{cls.__name__} has a websocket endpoint; fal_jupyter serves those in a later release")
    knobs = _said(cls) | {k: v for k, v in given.items() if k in SCALING_OPTIONS}
    for name, value in given.items():
        options.check({"auth": "app_auth", "name": "app_name"}.get(name, name), value, cls.__name__)
    warm = given.get("warm", 0 if any(name in knobs for name in SPEAKS_OF_SCALING) else 1)
    machine = cls.machine_type
    return AppSpec(
        class_name=cls.__name__,
        alias=_alias(cls, given.get("name")),
        auth=given.get("auth") or cls.app_auth or "private",
        endpoints=tuple(
            EndpointSpec(
                name=n,
                path=e.route_signature.path,
                signature=_signature(e.function),
                doc=inspect.getdoc(e.function) or "",
            )
            for n, e in sorted(found, key=lambda item: (item[1].route_signature.path, item[0]))
        ),
        scaling=Scaling(**knobs, warm=warm),
        machine_type=(machine,) if isinstance(machine, str) else tuple(machine),
        num_gpus=cls.num_gpus,
        requirements=tuple(_flat(cls.requirements)),
    )


def _said(cls: type[App]) -> dict[str, Any]:
    """The scaling options that the class (a base, a keyword, host_kwargs) sets itself."""
    below = [base for base in cls.__mro__ if base is not App and issubclass(base, App)]
    default = App.host_kwargs
    said = {
        name: value
        for name, value in cls.host_kwargs.items()
        if name in SCALING_OPTIONS and value is not None and not (name in default and value == default[name])
    }
    for name in SCALING_OPTIONS:
        if any(name in vars(base) and vars(base)[name] is not None for base in below) and not callable(
            getattr(cls, name)
        ):
            said[name] = cls.host_kwargs.get(name, getattr(cls, name))
    return said


def _alias(cls: type[App], name: Any) -> str:
    alias = name or cls.app_name or ""
    if not re.fullmatch(r"[a-z0-9][a-z0-9_.-]*", str(alias)):
        said = "--name" if name else "app_name"
        raise AppRuleBroken(
            f"{alias!r} cannot be the name of an app in an address",
            hint=f"give it {said} of small letters, digits and '-', such as {_suggest(str(alias))!r}",
            where=cls.__name__,
        )
    return str(alias)


def _suggest(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "my-app"


def _signature(function: Any) -> str:
    signature = inspect.signature(function)
    parameters = list(signature.parameters.values())[1:]
    text = str(signature.replace(parameters=parameters))
    return re.sub(r"__main__\.|fal_jupyter\.fal\.\w+\.", "", text)


def _flat(requirements: Any) -> list[str]:
    return [r for item in requirements for r in ([item] if isinstance(item, str) else item)]


def missing_requirements(requirements: tuple[str, ...]) -> list[str]:
    """Say what the running environment lacks: one sentence a requirement, empty when all is there."""
    from packaging.requirements import InvalidRequirement, Requirement

    told = []
    for text in requirements:
        if text.startswith("-"):
            continue  # an option of pip's, not a package
        try:
            wanted = Requirement(text)
        except InvalidRequirement:
            told.append(f"{text!r} is no requirement that pip understands")
            continue
        if wanted.marker is not None and not wanted.marker.evaluate():
            continue
        try:
            there = metadata.version(wanted.name)
        except metadata.PackageNotFoundError:
            told.append(f"{wanted.name} is not installed (wanted: {text})")
            continue
        if wanted.specifier and not wanted.specifier.contains(there, prereleases=True):
            told.append(f"{wanted.name} {there} is installed, but {text} is wanted")
    return told
