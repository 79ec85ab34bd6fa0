"""What happens when a subclass of ``fal.App`` is defined: options are checked and gathered, endpoints looked over.

The order of precedence is the real package's: ``host_kwargs`` written in the class replace the inherited ones; class
keywords are put over them, and class variables (inherited ones too) over both.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Mapping
from typing import Any

from fal_jupyter.domain.errors import AppRuleBroken
from fal_jupyter.domain.spec import derive_app_name
from fal_jupyter.fal.classes.endpoints import adopt_marked_functions
from fal_jupyter.fal.classes.options import (
    LEAVE_OUT,
    OF_OTHER_KINDS,
    OPTIONS,
    SET_BY_FAL,
    check_order,
    check_value,
    is_misspelt,
    nearest_option,
)
from fal_jupyter.fal.classes.routes import Endpoint, endpoints_of, static_attribute
from fal_jupyter.fal.classes.warned import AppWarning, MisspeltOption, warn_user
from fal_jupyter.fal.sdk import ApplicationHealthCheckConfig

DEFAULT_HOST_KWARGS: Mapping[str, Any] = {
    "_scheduler": "nomad",
    "_scheduler_options": {"storage_region": "us-east"},
    "resolver": "uv",
    "keep_alive": 60,
}

EXPLICIT = "_explicit_host_kwargs"
"""Class attribute: names of the hosted options that the user set somewhere, on this class or a base of it."""


def define(cls: type[Any], root: type[Any], name: str | None, keywords: dict[str, Any]) -> None:
    """Check and complete *cls*, a new subclass of *root* (``fal.App``).

    Raises:
        AppRuleBroken: a rule of ``fal.App`` is broken.
    """
    if cls.__init__ is not root.__init__:
        raise AppRuleBroken("App classes should not override __init__ directly. Use setup() instead.")
    adopt_marked_functions(cls)
    _note_misspelt_variables(cls)
    _check_keywords(cls, keywords)
    own = _own_names(cls, root)
    for option in OPTIONS.values():
        if option.variable and (hasattr(root, option.name) or option.name in own):
            check_value(option, _variable(cls, option.name), cls.__name__)
    _gather_host_kwargs(cls, root, keywords)
    _check_files(cls)
    _check_endpoints(cls)
    if not cls.app_name:
        check_value(OPTIONS["app_name"], name, cls.__name__)
        cls.app_name = name or derive_app_name(cls.__name__)


_HOSTED_IF_ANY = frozenset({"app_files", "app_files_ignore"})
# the defaults are no variables of the real class: they are looked up where host_kwargs have the name, as each of its names is
_ALWAYS_HOSTED = frozenset(o.name for o in OPTIONS.values() if o.hosted and o.variable) - DEFAULT_HOST_KWARGS.keys()


def _own_names(cls: type, root: type) -> set[str]:
    """Names that *cls* and its bases below (or beside) *root* define."""
    return {name for base in cls.__mro__ if base not in root.__mro__ for name in base.__dict__}


def _variable(cls: type, name: str) -> Any:
    try:
        return static_attribute(cls, name)
    except AttributeError:
        return None


def _note_misspelt_variables(cls: type) -> None:
    for name, value in cls.__dict__.copy().items():
        if name.startswith("_") or callable(value) or inspect.isroutine(value) or hasattr(value, "__get__"):
            continue
        meant = is_misspelt(name, value)
        if meant and meant not in cls.__dict__:
            warn_user(
                f"{cls.__name__}.{name} is not an option of fal.App and has no effect: did you mean {meant}?",
                MisspeltOption,
            )


def _check_keywords(cls: type[Any], keywords: Mapping[str, Any]) -> None:
    for name, value in keywords.items():
        if (problem := problem_with(name, value)) is not None:
            _warn(cls, name, *problem)
        elif name in OPTIONS:
            check_value(OPTIONS[name], value, cls.__name__)


def problem_with(name: str, value: object) -> tuple[str, str] | None:
    """Say why a class with this class keyword (or name in ``host_kwargs``) cannot be deployed, and what to write instead.

    The real package takes all of them when the class is defined, and fails when the class is wrapped for deployment.
    """
    if name in SET_BY_FAL:
        return f"{name} cannot be a class keyword or in host_kwargs", LEAVE_OUT
    if name in OPTIONS:
        if OPTIONS[name].keyword:
            return None
        better = (
            f"name={'...' if value is ... else repr(value)}"
            if name == "app_name"
            else f"{name} = {'...' if value is ... else repr(value)} in the body of the class"
        )
        return f"{name} cannot be a class keyword or in host_kwargs", f"write {better}"
    if name in OF_OTHER_KINDS:
        return None
    meant = nearest_option(name, keyword=True)
    return f"Unrecognised option {name!r}.", f"Did you mean {meant!r}?" if meant else ""


def check_hosted(cls: type[Any]) -> None:
    """Refuse to serve a class with an option that fal's platform would refuse.

    Raises:
        AppRuleBroken: with what to write instead.
    """
    for name in cls.host_kwargs:
        problem = problem_with(name, ...)  # class variables have replaced some values
        if problem is not None and problem[1]:  # what no option is like may be one of a newer fal
            raise AppRuleBroken(problem[0], hint=problem[1], where=cls.__name__)


def _warn(cls: type[Any], name: str, sentence: str, hint: str) -> None:
    meant = "" if name in OPTIONS or name in SET_BY_FAL else nearest_option(name, keyword=True)
    if not hint:
        message = f"{name} is not an option of fal.App: it has no effect here, and fal refuses to deploy such a class"
    else:
        message = f"{name} is not an option of fal.App" if meant else sentence
        message += f", so the class cannot be served: {f'did you mean {meant}?' if meant else hint}"
    warn_user(f"class {cls.__name__}: {message}", MisspeltOption if meant else AppWarning)


def _gather_host_kwargs(cls: type[Any], root: type[Any], keywords: Mapping[str, Any]) -> None:
    replaced = "host_kwargs" in cls.__dict__
    host_kwargs: dict[str, Any] = copy.deepcopy(cls.host_kwargs)
    for name, value in host_kwargs.items():
        if (problem := problem_with(name, value)) is not None:
            if replaced:
                _warn(cls, name, *problem)
        elif name in OPTIONS and name != "health_check_config":
            check_value(OPTIONS[name], value, f"{cls.__name__}, host_kwargs")
    inherited = set(host_kwargs)
    explicit = set(inherited) if replaced else set(getattr(cls, EXPLICIT, ()))
    host_kwargs.update(keywords)
    explicit.update(name for name, value in keywords.items() if value is not None)
    own = _own_names(cls, root)
    for name in (inherited & OPTIONS.keys()) | _ALWAYS_HOSTED:
        value = _variable(cls, name)
        if value is None:
            continue
        if not value and name in _HOSTED_IF_ANY and name not in inherited:
            continue
        host_kwargs[name] = copy.copy(value)
        if name in own:
            explicit.add(name)
    for name in sorted(DEFAULT_HOST_KWARGS.keys() - host_kwargs.keys()):
        if name in cls.__dict__:
            warn_user(
                f"{cls.__name__}.{name} has no effect: host_kwargs is replaced and has no {name!r}; write it there, as on fal"
            )
    if cls.image is not None:
        host_kwargs["kind"] = "container"
    check_order(host_kwargs, cls.__name__)
    host_kwargs["health_check_config"] = None
    cls.host_kwargs = host_kwargs
    setattr(cls, EXPLICIT, frozenset(explicit))


def _check_files(cls: type[Any]) -> None:
    if cls.app_files_context_dir is not None and not cls.app_files:
        raise AppRuleBroken("app_files_context_dir is only supported when app_files is provided")
    if cls.image is not None and cls.app_files:
        raise AppRuleBroken("app_files is not supported for container apps.")


def _check_endpoints(cls: type[Any]) -> None:
    endpoints = endpoints_of(cls)
    checks = []
    for name, marked in endpoints.items():
        if marked.route_signature.health_check is None:
            continue
        if not marked.is_listed:
            warn_user(f"{cls.__name__}.{name} is not a plain method, so its health_check has no effect, as on fal")
        else:
            checks.append(marked.route_signature)
    if any(route.is_websocket for route in checks):
        raise AppRuleBroken("Health check endpoints cannot be websocket endpoints.")
    if len(checks) > 1:
        raise AppRuleBroken("Multiple health check endpoints found. An app can only have one health check endpoint.")
    for route in checks:
        assert route.health_check is not None
        cls.host_kwargs["health_check_config"] = ApplicationHealthCheckConfig.of(route.path, route.health_check)
    _note_shared_paths(cls, endpoints)


def _note_shared_paths(cls: type[Any], endpoints: Mapping[str, Endpoint]) -> None:
    by_path: dict[str, list[str]] = {}
    for name, marked in endpoints.items():
        if not marked.route_signature.is_websocket:
            by_path.setdefault(marked.route_signature.path, []).append(name)
    for path, names in by_path.items():
        if len(names) < 2 or not any(name in cls.__dict__ for name in names):
            continue
        # equal signatures are one route, which the last name gets; else the first name is matched first
        last_of = {endpoints[name].route_signature: name for name in names}
        serves = min(last_of.values())
        listed = ", ".join(names[:-1]) + f" and {names[-1]}"
        warn_user(f"{cls.__name__}: {listed} have the same path {path!r}; {serves} answers, as on fal")
