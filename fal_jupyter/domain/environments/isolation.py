"""Chooses the environment of an app's runners: the kernel's own, or an isolated one with what the class requires."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, Literal, get_args

from fal_jupyter.domain.errors import AppRuleBroken, BadSetting
from fal_jupyter.domain.text.nearest import hint_for

Mode = Literal["auto", "kernel", "isolated"]
MODES: Final[tuple[str, ...]] = get_args(Mode)
OLDEST: Final = (3, 11)  # supported by our runners


def check_mode(mode: str) -> Mode:
    """Return *mode* if it is valid.

    Raises:
        BadSetting: it is not.
    """
    if mode not in MODES:
        raise BadSetting(
            f"env is {mode!r}, but it is one of {', '.join(MODES)}", hint=hint_for(mode, MODES, ""), where="env"
        )
    return mode  # type: ignore[return-value]


def choose(
    mode: Mode,
    *,
    class_name: str,
    unmet: Sequence[str],
    unknown: Sequence[str],
    python: str,
    here: str,
    by_value: bool,
) -> Literal["kernel", "isolated"]:
    """Choose the environment of an app's runners.

    Args:
        mode: ``auto`` takes the kernel's environment if it has everything that the class requires.
        unmet: one message for each requirement that the kernel's environment does not meet.
        unknown: requirements that cannot be checked: folders, URLs, options of the installer.
        python: ``python_version`` of the class, ``""`` if it has none. here: that of the kernel, as ``"3.11"``.
        by_value: the class travels as compiled code, which another minor version cannot read.

    Raises:
        AppRuleBroken: no environment on this machine satisfies both the class and *mode* (fal: C134).
    """
    if python and python != here:
        _check_python(class_name, python, here, by_value=by_value)
        if mode == "kernel":
            raise AppRuleBroken(
                f"{class_name} requires Python {python}, but the environment that serves it has Python {here}",
                hint="leave out --env kernel, or remove python_version from the class",
                where="python_version",
            )
        return "isolated"
    if mode == "isolated":
        return "isolated"
    if not unmet and not (unknown and mode == "auto"):
        return "kernel"
    if mode == "auto":
        return "isolated"
    raise AppRuleBroken(
        f"{class_name} has requirements that this environment does not meet: {'; '.join(unmet)}",
        hint="install them, or leave out --env kernel: the app then gets its own environment",
        where="requirements",
    )


def _check_python(class_name: str, python: str, here: str, *, by_value: bool) -> None:
    match = re.fullmatch(r"(\d{1,3})\.(\d{1,3})", python, re.ASCII)
    if match is None:
        sentence = f"{class_name} has python_version {python!r}; expected a major and a minor version"
        raise AppRuleBroken(sentence, hint=f'python_version="{here}"', where="python_version")
    if (int(match[1]), int(match[2])) < OLDEST:
        sentence = f"{class_name} requires Python {python}, but runners here need Python 3.11 or newer"
        raise AppRuleBroken(sentence, hint=f'python_version="{here}"', where="python_version")
    if by_value:
        raise AppRuleBroken(
            f"{class_name} requires Python {python}, but this is Python {here}, "
            "and code of a notebook can only be read by the version that compiled it",
            hint=f'start the notebook with Python {python}, write python_version="{here}", or serve it from a file: '
            f"fal-jupyter serve FILE.py::{class_name}",
            where="python_version",
        )
