"""Every option of ``fal.App``: its type and range, and how a wrong or misspelt one is told."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from fal_jupyter.domain.errors import AppRuleBroken

Check = Callable[[Any], bool]


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _texts(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(isinstance(item, str) for item in value)


def _requirements(value: Any) -> bool:
    return _texts(value) or (isinstance(value, list) and all(_texts(item) for item in value))


@dataclass(frozen=True, slots=True)
class Option:
    """One option: what it must be, in words and as a check; *example* is what to type."""

    words: str
    check: Check
    example: str
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()


def _count(low: int, example: str, high: int | None = None) -> Option:
    return Option("a whole number", _whole, example, low, high)


def _seconds(low: float, example: str, high: float | None = None) -> Option:
    return Option("a number of seconds", _number, example, low, high)


def _text(example: str, *choices: str) -> Option:
    return Option("text", lambda v: isinstance(v, str), example, choices=choices)


def _list(example: str) -> Option:
    return Option("a list of text", _texts, example)


MACHINES = ("XS", "S", "M", "L", "GPU", "GPU-A100", "GPU-H100", "GPU-H200", "GPU-B200")

OPTIONS: Mapping[str, Option] = {
    "requirements": Option("a list of text", _requirements, '["numpy", "torch>=2"]'),
    "requirements_context_dir": _text('"."'),
    "local_python_modules": _list('["my_module"]'),
    "machine_type": Option("text or a list of text", lambda v: isinstance(v, str) or _texts(v), '"GPU-H100"'),
    "num_gpus": _count(0, "1"),
    "regions": _list('["us-east"]'),
    "app_name": _text('"my-app"'),
    "app_auth": _text('"private"', "private", "public", "shared"),
    "app_files": _list('["config.yaml"]'),
    "app_files_ignore": _list(r'["\\.pyc$"]'),
    "app_files_context_dir": _text('"."'),
    "request_timeout": _seconds(1, "300"),
    "request_start_timeout": _seconds(1, "30"),
    "startup_timeout": _seconds(1, "600"),
    "metrics_port": _count(1, "9090", 65535),
    "min_concurrency": _count(0, "1"),
    "max_concurrency": _count(1, "10"),
    "concurrency_buffer": _count(0, "1"),
    "concurrency_buffer_perc": _count(0, "20"),
    "scaling_delay": _seconds(0, "5"),
    "max_multiplexing": _count(1, "4"),
    "keep_alive": _seconds(0, "300"),
    "kind": _text('"virtualenv"', "virtualenv", "container", "conda"),
    "image": Option("a fal.ContainerImage", lambda v: True, "None"),
    "local_file_path": _text('"app.py"'),
    "skip_retry_conditions": _list('["timeout"]'),
    "retry_config": Option("a dict or fal.sdk.RetryConfig", lambda v: not isinstance(v, str | int), "{}"),
    "termination_grace_period_seconds": _seconds(0, "5", 30),
    "secrets": _list('["HF_TOKEN"]'),
    "data_mounts": _list('["/data"]'),
    "version": _text('"1"'),
    "resolver": _text('"uv"'),
    "host_kwargs": Option("a dict", lambda v: isinstance(v, dict), '{"keep_alive": 60}'),
}

KEYWORDS_ONLY = frozenset(
    {
        "_base_image", "_scheduler", "_scheduler_options", "health_check_config", "machine_types", "metadata",
        "private_logs", "setup_function", "exposed_port", "serve", "compile_bytecode", "force", "python_version",
        "force_env_build", "channels", "env_dict", "env_yml_str", "packages", "pip", "isolate_channel",
    }
)  # fmt: skip
KNOWN = OPTIONS.keys() | KEYWORDS_ONLY


def check(name: str, value: Any, owner: str) -> None:
    """Check one option's value; None means "not set".

    Raises:
        AppRuleBroken: a wrong type, range or choice; the message says what it must be and what to type.
    """
    option = OPTIONS.get(name)
    if option is None or value is None:
        return
    where = f"{owner}.{name}"
    if not option.check(value):
        raise AppRuleBroken(
            f"{name} must be {option.words}, not {value!r} ({type(value).__name__})",
            hint=f"write {name} = {option.example}",
            where=where,
        )
    if option.choices and value not in option.choices:
        raise AppRuleBroken(
            f"{name} is {value!r}, but it must be one of {', '.join(map(repr, option.choices))}",
            hint=_closest(str(value), option.choices, f"write {name} = {option.example}"),
            where=where,
        )
    if (option.low is not None and value < option.low) or (option.high is not None and value > option.high):
        span = f"{option.low:g} or more" if option.high is None else f"{option.low:g} to {option.high:g}"
        raise AppRuleBroken(
            f"{name} is {value!r}, but it must be {span}", hint=f"write {name} = {option.example}", where=where
        )


def misspelt(name: str) -> str | None:
    """Give the option that *name* seems to mean, or None when it is plainly the user's own name."""
    if name.startswith("_") or name in KNOWN or len(name) < 5:
        return None
    found = difflib.get_close_matches(name, list(OPTIONS), n=1, cutoff=0.84)
    return found[0] if found else None


def _closest(given: str, choices: tuple[str, ...], otherwise: str) -> str:
    found = difflib.get_close_matches(given, choices, n=1, cutoff=0.6)
    return f"did you mean {found[0]!r}?" if found else otherwise


def unrecognised(name: str) -> AppRuleBroken:
    """The error for a class keyword that fal does not know."""
    found = difflib.get_close_matches(name, list(KNOWN), n=1, cutoff=0.6)
    hint = f"Did you mean {found[0]!r}?" if found else ""
    return AppRuleBroken(f"Unrecognised option {name!r}.", hint=hint)
