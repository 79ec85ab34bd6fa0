"""The name under which a class runs: its ``app_name``, or the name given for this run."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from fal_jupyter.domain.errors import AppRuleBroken

LONGEST_NAME = 128
_ALIAS = re.compile(r"[a-z0-9][a-z0-9_-]*")
_NAME = re.compile(r"[a-z0-9][a-z0-9-]*")


def alias_of(cls: type[Any], overrides: Mapping[str, object] | None = None) -> str:
    """Return the name that *cls* runs under with these options of this run.

    Raises:
        AppRuleBroken: it has none that could be one.
    """
    return _alias(cls, (overrides or {}).get("name"))


def _alias(cls: type[Any], name: object) -> str:
    if isinstance(name, str):
        if not _NAME.fullmatch(name):
            raise AppRuleBroken(
                f"{name!r} cannot be the name of an app: it may have the letters a to z, digits and -, "
                "and begins with a letter or a digit",
                hint=_advice(name, "--name {}"),
                where="--name",
            )
        return _not_too_long(name, "--name {}", "--name")
    alias: str = cls.app_name
    if not _ALIAS.fullmatch(alias):
        reason = (
            f"no name for the app can be derived from the class name {cls.__name__!r}"
            if not alias
            else f"the app's name {alias!r} is not valid in an address: it may have the letters a to z, digits, - and _"
        )
        raise AppRuleBroken(reason, hint=_advice(alias, 'app_name = "{}" in the class'), where=cls.__name__)
    return _not_too_long(alias, 'app_name = "{}" in the class', cls.__name__)


def _not_too_long(alias: str, form: str, where: str) -> str:
    """Its log is a file of that name, which a file system bounds."""
    if len(alias) > LONGEST_NAME:
        message = f"the name of an app has {LONGEST_NAME} characters at most, and {alias[:20]}… has {len(alias)}"
        raise AppRuleBroken(message, hint=_advice(alias[:20], form), where=where)
    return alias


def _advice(name: str, form: str) -> str:
    plain = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "my-app"
    return f"for example {form.format(plain)}"
