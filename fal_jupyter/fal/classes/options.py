"""Every option of ``fal.App``: its type, its range, and the sentence that says so. One table, read by all checks.

Options are written as class variables, as class keywords or in ``host_kwargs``; which way reaches what is the real
package's rule, kept in :mod:`fal_jupyter.fal.classes.definition`.
"""

from __future__ import annotations

import math
import numbers
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import SupportsFloat, TypeGuard

from fal_jupyter.domain.errors import AppRuleBroken
from fal_jupyter.domain.resources.machines import KNOWN_MACHINES
from fal_jupyter.domain.spec import LIMITS
from fal_jupyter.domain.text.nearest import hint_for, nearest
from fal_jupyter.fal.container import ContainerImage
from fal_jupyter.fal.sdk import RETRY_CONDITIONS, RetryConfig

AUTH_MODES = ("private", "public", "shared")
KINDS = ("virtualenv", "container", "conda")


@dataclass(frozen=True, slots=True)
class AppOption:
    """One option.

    Attributes:
        what: what it must be, as the end of a sentence.
        fits: whether a value is of that type.
        low: smallest number, or ``None`` where it is no number.
        high: largest number, or ``None``.
        variable: a class variable of this name is the option.
        keyword: a class keyword of this name is the option.
        hosted: the class variable is copied to ``host_kwargs``.
    """

    name: str
    what: str
    fits: Callable[[object], bool]
    low: int | None = None
    high: int | None = None
    variable: bool = True
    keyword: bool = True
    hosted: bool = True


def is_whole(value: object) -> TypeGuard[int]:
    """Tell whether *value* is a whole number; a truth value is none."""
    return isinstance(value, numbers.Integral) and not isinstance(value, bool)


def is_seconds(value: object) -> bool:
    """Tell whether *value* is a finite number."""
    if isinstance(value, bool):
        return False
    return isinstance(value, numbers.Real) and math.isfinite(value)


def is_text(value: object) -> bool:
    return isinstance(value, str)


def is_texts(value: object) -> bool:
    """Tell whether *value* is a list of strings."""
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _is_requirements(value: object) -> bool:
    return is_texts(value) or (isinstance(value, list) and all(is_texts(item) for item in value))


def _is_machines(value: object) -> bool:
    return (isinstance(value, str) and bool(value)) or (is_texts(value) and bool(value))


def _is_patterns(value: object) -> bool:
    if not isinstance(value, list) or not is_texts(value):
        return False
    try:
        for pattern in value:
            re.compile(pattern)
    except re.error:
        return False
    return True


def _is_conditions(value: object) -> bool:
    """Tell whether *value* lists conditions, in any case: fal looks them up by their names in capitals."""
    allowed = (*RETRY_CONDITIONS, "client_error")
    return isinstance(value, (list, tuple)) and all(isinstance(item, str) and item.lower() in allowed for item in value)


def _is_retry(value: object) -> bool:
    if isinstance(value, RetryConfig):
        return True
    return (
        isinstance(value, dict)
        and bool(value)
        and all(
            condition in RETRY_CONDITIONS
            and isinstance(rule, dict)
            and set(rule) == {"retries"}
            and is_whole(rule["retries"])  # negative ones count as 0, as on fal
            for condition, rule in value.items()
        )
    )


def _is_options(value: object) -> bool:
    return isinstance(value, dict) and all(isinstance(key, str) for key in value)


def _anything(_: object) -> bool:
    return True


WHOLE = "a whole number"
SECONDS = "a number of seconds"
TEXT = "a string"
TEXTS = "a list of strings"
_CONDITIONS = ", ".join(f'"{condition}"' for condition in RETRY_CONDITIONS)


def _count(name: str, low: int = 0, high: int | None = None, *, what: str = WHOLE) -> AppOption:
    return AppOption(name, what, is_whole if what is WHOLE else is_seconds, *LIMITS.get(name, (low, high)))


OPTIONS: Mapping[str, AppOption] = {
    option.name: option
    for option in (
        AppOption(
            "requirements",
            "a list of strings or a list of lists of strings",
            _is_requirements,
            keyword=False,
            hosted=False,
        ),
        AppOption("requirements_context_dir", TEXT, is_text),
        AppOption("local_python_modules", "a list of module names as strings", is_texts, keyword=False, hosted=False),
        AppOption("machine_type", "a string or a list of strings", _is_machines, keyword=False, hosted=False),
        AppOption("num_gpus", WHOLE, is_whole, 0, keyword=False, hosted=False),
        AppOption("regions", TEXTS, is_texts, keyword=False, hosted=False),
        AppOption("host_kwargs", "a dict of option names and values", _is_options, keyword=False, hosted=False),
        AppOption("app_name", TEXT, is_text, keyword=False, hosted=False),
        AppOption(
            "app_auth",
            '"private", "public", "shared" or None',
            lambda value: value in AUTH_MODES,
            keyword=False,
            hosted=False,
        ),
        AppOption("app_files", TEXTS, is_texts),
        AppOption("app_files_ignore", "a list of regular expressions", _is_patterns),
        AppOption("app_files_context_dir", TEXT, is_text),
        _count("request_timeout", what=SECONDS),
        AppOption(
            "request_start_timeout", SECONDS, is_seconds, 1
        ),  # in a class it is none or something; live, 0 takes it away
        _count("startup_timeout", what=SECONDS),
        _count("keep_alive", what=SECONDS),
        _count("metrics_port", 0, 65535),
        _count("min_concurrency"),
        _count("max_concurrency"),
        _count("concurrency_buffer"),
        _count("concurrency_buffer_perc"),
        _count("scaling_delay", what=SECONDS),
        _count("max_multiplexing"),
        _count("termination_grace_period_seconds", what=SECONDS),
        AppOption("kind", '"virtualenv", "container" or "conda"', lambda value: value in KINDS),
        AppOption("image", "a fal.ContainerImage", lambda value: isinstance(value, ContainerImage)),
        AppOption("local_file_path", TEXT, is_text, keyword=False, hosted=False),
        AppOption("skip_retry_conditions", f"a list out of {_CONDITIONS}", _is_conditions),
        AppOption(
            "retry_config",
            'a fal.sdk.RetryConfig or a dict such as {"timeout": {"retries": 1}} with conditions '
            f"out of {_CONDITIONS}",
            _is_retry,
        ),
        AppOption("secrets", TEXTS, is_texts),
        AppOption("data_mounts", TEXTS, is_texts),
        AppOption("version", TEXT, is_text, keyword=False, hosted=False),
        AppOption("resolver", TEXT, is_text),
        AppOption("_scheduler", TEXT, is_text),
        AppOption("_scheduler_options", "a dict of option names and values", _is_options),
        # class keywords and host_kwargs only; class variables of these names are the user's own, as in the real package
        AppOption("_base_image", TEXT, is_text, variable=False),
        AppOption("machine_types", "a string or a list of strings", _is_machines, variable=False),
        AppOption("health_check_config", "set by @fal.endpoint(health_check=...)", _anything, variable=False),
        AppOption("private_logs", "True or False", lambda value: isinstance(value, bool), variable=False),
        AppOption("setup_function", "a function", callable, variable=False),
        AppOption("python_version", 'a string such as "3.11"', is_text, variable=False),
        AppOption("compile_bytecode", "True or False", lambda value: isinstance(value, bool), variable=False),
        AppOption("force", "True or False", lambda value: isinstance(value, bool), variable=False),
        AppOption("force_env_build", "True or False", lambda value: isinstance(value, bool), variable=False),
    )
}

# options of conda environments: they are class keywords or in host_kwargs, and nothing looks at them here
OF_OTHER_KINDS = frozenset({"channels", "env_dict", "env_yml", "env_yml_str", "packages", "pip"})

# what wrapping an app sets itself: written as a keyword or in host_kwargs it is there twice, and the wrapping fails
SET_BY_FAL = ("metadata", "exposed_port", "serve")
LEAVE_OUT = "fal sets it itself: leave it out"

# the real package takes it and reads it nowhere: never what somebody meant who wrote something else
_NEVER_MEANT = "machine_types"


_WORDS = {"app_auth": AUTH_MODES, "kind": KINDS, "machine_type": KNOWN_MACHINES}


def check_value(option: AppOption, value: object, where: str) -> None:
    """Refuse a value of another type or out of range; ``None`` leaves an option unset.

    Raises:
        AppRuleBroken: with what the option must be and what was given.
    """
    if value is None and option.name not in ("requirements", "local_python_modules", "machine_type", "host_kwargs"):
        return
    if not option.fits(value):
        comma = isinstance(value, tuple) and len(value) == 1 and option.fits(value[0])
        raise AppRuleBroken(
            f"{option.name} must be {option.what}, but it is {_display(value)}",
            hint=f"remove the comma after the value of {option.name}: it makes a tuple"
            if comma
            else hint_for(value, _WORDS.get(option.name, ()), ""),
            where=where,
        )
    if option.low is None or not isinstance(value, SupportsFloat):
        return
    number = float(value)
    if number < option.low or (option.high is not None and number > option.high):
        span = f"{option.low} or more" if option.high is None else f"{option.low} to {option.high}"
        raise AppRuleBroken(f"{option.name} is {value}, but it must be {span}", where=where)


def check_order(values: Mapping[str, object], where: str) -> None:
    """Refuse a minimum of runners over their maximum.

    Raises:
        AppRuleBroken: with both numbers.
    """
    low, high = values.get("min_concurrency"), values.get("max_concurrency")
    if is_whole(low) and is_whole(high) and low > high:
        raise AppRuleBroken(
            f"min_concurrency is {low} but max_concurrency is {high}: the minimum cannot exceed the maximum",
            hint=f"raise max_concurrency to {low} or lower min_concurrency",
            where=where,
        )


def _display(value: object) -> str:
    try:
        text = repr(value)
    except Exception:  # the user's own __repr__
        text = "a value without a readable form"
    return f"{text if len(text) <= 60 else text[:57] + '...'} ({type(value).__name__})"


def nearest_option(name: str, *, keyword: bool = False) -> str:
    """Return the option that *name* is most probably meant to be, or ``""``."""
    names = [o.name for o in OPTIONS.values() if (o.keyword if keyword else o.variable) and o.name != _NEVER_MEANT]
    plain = {option.replace("_", ""): option for option in reversed(names)}
    folded = name.replace("_", "").lower()
    if folded in plain:
        return plain[folded] if plain[folded] != name else ""
    near = nearest(name, names, cutoff=0.8)
    return near if abs(len(near) - len(name)) <= 2 else ""


def is_misspelt(name: str, value: object) -> str:
    """Return the option that the class variable *name* misspells, or ``""`` where it is plainly the user's own.

    Short one-word options (``image``, ``kind``) have many honest neighbours (``images``): there, the value must fit.
    """
    if name in OPTIONS and name != _NEVER_MEANT:
        return ""
    near = nearest_option(name)
    if near and "_" not in near.strip("_") and not OPTIONS[near].fits(value):
        return ""
    return near
