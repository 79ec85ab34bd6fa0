"""Removes variables of a front end that name things missing in a runner's environment."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import MutableMapping

_BACKEND, _BREAKPOINT = "MPLBACKEND", "PYTHONBREAKPOINT"
_OF_THE_FRONT_END = ("JPY_", "PYDEVD_")  # its processes and its debugger
_OF_ITS_ENVIRONMENT = ("CONDA_PREFIX", "CONDA_DEFAULT_ENV", "VIRTUAL_ENV_PROMPT", "PYTHONHOME")


def leave_behind(environment: MutableMapping[str, str], *, isolated: bool) -> None:
    """Remove variables that name modules that cannot be imported here and, in an isolated environment, the kernel's environment and front end.

    Importing Matplotlib fails if ``MPLBACKEND`` names a missing module.
    """
    backend, breakpoint_ = environment.get(_BACKEND, ""), environment.get(_BREAKPOINT, "")
    if backend.startswith("module://") and _is_missing(backend.removeprefix("module://")):
        del environment[_BACKEND]
    if "." in breakpoint_ and _is_missing(breakpoint_):
        del environment[_BREAKPOINT]
    if isolated:
        for name in [n for n in environment if n.startswith(_OF_THE_FRONT_END) or n in _OF_ITS_ENVIRONMENT]:
            del environment[name]


def enter_environment_of(prefix: str, environment: MutableMapping[str, str]) -> None:
    """Put the commands of the isolated environment at *prefix* on ``PATH``."""
    environment["VIRTUAL_ENV"] = prefix
    environment["PATH"] = f"{prefix}/bin{os.pathsep}{environment.get('PATH', os.defpath)}"


def _is_missing(module: str) -> bool:
    return importlib.util.find_spec(module.partition(".")[0]) is None
