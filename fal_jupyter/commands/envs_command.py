"""``envs list|remove``: the isolated environments of apps with ``requirements``."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

from fal_jupyter.commands.numbers import size
from fal_jupyter.commands.tables import table
from fal_jupyter.domain.errors import BadSetting, NotServed, UserError
from fal_jupyter.domain.text.nearest import hint_for
from fal_jupyter.environments import store
from fal_jupyter.protocol.api import AppRecord

NONE = (
    "There is no isolated environment. An app gets one where its requirements are not met here, or with --env isolated."
)


def execute(args: argparse.Namespace, root: Path, apps: Sequence[AppRecord]) -> tuple[object, str]:
    """Execute the command and return its result as data and text.

    Raises:
        BadSetting: invalid words. NotServed: there is no such environment. UserError: an app or process is using it.
    """
    apps_of = {
        name: [app["app"] for app in apps if name in app["environments"]]
        for app in apps
        for name in app["environments"]
    }
    if args.action == "list":
        if args.name or args.unused:
            raise BadSetting("list takes no names", hint="envs list", where="envs")
        return _list(root, apps_of)
    if bool(args.name) == args.unused:
        raise BadSetting(
            "which environments?", hint="envs list shows the names; then: envs remove NAME, or --unused", where="envs"
        )
    return _remove(root, args.name, apps_of)


def _list(root: Path, apps_of: dict[str, list[str]]) -> tuple[object, str]:
    environments = store.all_of(root)
    sizes = {environment.name: store.size_of(Path(environment.folder)) for environment in environments}
    data = [
        {
            "name": environment.name,
            "python": environment.python,
            "requirements": list(environment.requirements),
            "bytes": sizes[environment.name],
            "used": environment.used,
            "apps": apps_of.get(environment.name, []),
        }
        for environment in environments
    ]
    rows = [
        [
            environment.name,
            environment.python,
            size(sizes[environment.name]),
            time.strftime("%Y-%m-%d %H:%M", time.localtime(environment.used)),
            ", ".join(apps_of.get(environment.name, [])) or "–",
            _shortened(", ".join(environment.requirements)),
        ]
        for environment in environments
    ]
    unfinished = store.unfinished(root)
    text = (
        table(["name", "python", "size", "last used", "apps", "requirements"], rows, right=["size"]) if rows else NONE
    )
    return data, text + (
        f"\nNot finished: {', '.join(unfinished)}. To remove them: envs remove --unused" if unfinished else ""
    )


def _remove(root: Path, names: Sequence[str], apps_of: dict[str, list[str]]) -> tuple[object, str]:
    existing = [*(environment.name for environment in store.all_of(root)), *store.unfinished(root)]
    for name in names:
        if name not in existing:
            raise NotServed(f"there is no environment {name!r}", hint=hint_for(name, existing) if existing else NONE)
        if name in apps_of:
            raise UserError(f"{', '.join(apps_of[name])} runs in {name}", hint=f"stop {apps_of[name][0]} first")
    removed = []
    for name in names or [name for name in existing if name not in apps_of]:
        if store.remove(root, name):
            removed.append(name)
        elif names:
            raise UserError(f"{name} is in use: a process makes it, or serves an app with it", hint="end that first")
    store.sweep_locks(root)
    return {"removed": removed}, f"Removed: {', '.join(removed) or 'none'}."


def _shortened(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:57]}…"
