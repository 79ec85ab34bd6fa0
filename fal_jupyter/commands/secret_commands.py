"""``secrets set|list|unset``: environment variables of runners whose values are never printed.

A value need not be given on the command line, where other processes and the shell's history see it: if omitted, it is
prompted for without echo, or read from standard input.
"""

from __future__ import annotations

import argparse
import getpass
import sys

from fal_jupyter.commands.grammar import Front
from fal_jupyter.domain.errors import BadSetting, NotServed
from fal_jupyter.domain.text.nearest import hint_for
from fal_jupyter.secret_store import SecretStore, fault_of_value, is_secret_name

SEEN_BY = "Runners that start from now on have it; restart running apps in their panel."


def execute(args: argparse.Namespace, secret_store: SecretStore, *, front: Front) -> tuple[object, str]:
    """Execute the command and return its result as data and text, without values.

    Raises:
        BadSetting: a name or value is missing or cannot be used. NotServed: there is no such secret.
    """
    words: list[str] = args.name
    if args.action == "list":
        if words:
            raise BadSetting(f"unexpected word {words[0]!r}", hint="secrets list", where="secrets")
        names = sorted(secret_store.secrets())
        return names, "\n".join(names) if names else "No secret is set. Set one: secrets set NAME"
    if not words:
        raise BadSetting("which secret?", hint=f"secrets {args.action} NAME", where="secrets")
    return _unset(words, secret_store) if args.action == "unset" else _set(words, secret_store, front)


def _set(words: list[str], secret_store: SecretStore, front: Front) -> tuple[object, str]:
    values: dict[str, str] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not is_secret_name(name):
            raise BadSetting(
                f"{name!r} is not a valid name of a secret: use letters, digits and _, without the prefix FAL_JUPYTER_",
                hint="secrets set HF_TOKEN",
                where="secrets",
            )
        values[name] = value if equals else ""
    if prompted := [word for word in words if "=" not in word]:
        values |= _prompt_for(prompted, front)
    for name, value in values.items():
        if fault := fault_of_value(value) if value else "is empty":
            raise BadSetting(f"the secret {name} {fault}", where="secrets")
    secret_store.set_secrets(values)
    return {"set": sorted(values)}, f"{', '.join(sorted(values))}: set. {SEEN_BY}"


def _prompt_for(names: list[str], front: Front) -> dict[str, str]:
    """Read values: in a notebook and a terminal by a prompt without echo, else from standard input (for one secret: all of it)."""
    if front == "notebook" or sys.stdin.isatty():
        return {name: getpass.getpass(f"{name}: ") for name in names}
    try:
        text = sys.stdin.read()
    except UnicodeDecodeError:
        raise BadSetting(f"the secret {' or '.join(names)} is not UTF-8 text", where="secrets") from None
    if len(names) == 1:
        return {names[0]: text.removesuffix("\n")}
    lines = text.splitlines()
    if len(lines) != len(names):
        raise BadSetting(
            f"standard input has {len(lines)} lines for {len(names)} secrets", hint="one line each", where="secrets"
        )
    return dict(zip(names, lines, strict=True))


def _unset(names: list[str], secret_store: SecretStore) -> tuple[object, str]:
    stored = secret_store.secrets()
    if missing := [name for name in names if name not in stored]:
        raise NotServed(f"there is no secret {missing[0]!r}", hint=hint_for(missing[0], stored, "secrets list"))
    secret_store.unset_secrets(names)
    return {"unset": names}, f"{', '.join(names)}: removed, for runners that start from now on."
