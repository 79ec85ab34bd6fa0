"""``secrets set|list|unset``: what runners have in their environment, and nobody sees printed.

A value never has to stand on the command line, where other processes and the shell's history see it: left out, it is
asked for without an echo, or read from standard input.
"""

from __future__ import annotations

import argparse
import getpass
import sys

from fal_jupyter.commands.definitions import Front
from fal_jupyter.domain.errors import BadSetting, NotServed
from fal_jupyter.domain.text.nearest import hint_for
from fal_jupyter.secret_store import SecretStore, is_secret_name

SEEN_BY = "Runners that start from now on have it; apps that run already: restart them in their panel."


def execute(args: argparse.Namespace, secret_store: SecretStore, *, front: Front) -> tuple[object, str]:
    """Return what was done, as data and as text; values are in neither.

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
                f"{name!r} cannot be a secret's name: it has letters, digits and _, and is none of FAL_JUPYTER_…",
                hint="secrets set HF_TOKEN",
                where="secrets",
            )
        values[name] = value if equals else ""
    if prompted := [word for word in words if "=" not in word]:
        values |= _prompt_for(prompted, front)
    for name, value in values.items():
        if not value or "\0" in value:
            raise BadSetting(f"the secret {name} is empty or has a zero byte in it", where="secrets")
    secret_store.set_secrets(values)
    return {"set": sorted(values)}, f"{', '.join(sorted(values))}: set. {SEEN_BY}"


def _prompt_for(names: list[str], front: Front) -> dict[str, str]:
    """Ask for values: in a notebook and a terminal without an echo, else from standard input (one secret: all of it)."""
    if front == "notebook" or sys.stdin.isatty():
        return {name: getpass.getpass(f"{name}: ") for name in names}
    text = sys.stdin.read()
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
    return {"unset": names}, f"{', '.join(names)}: gone, for runners that start from now on."
