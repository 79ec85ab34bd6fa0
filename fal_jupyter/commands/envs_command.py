"""``envs list|remove``: the isolated environments that apps with ``requirements`` have."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fal_jupyter.commands.numbers import size
from fal_jupyter.commands.tables import table
from fal_jupyter.domain.errors import BadSetting, NotServed, UserError
from fal_jupyter.domain.text.nearest import hint_for
from fal_jupyter.environments import store
from fal_jupyter.protocol.api import AppRecord

NONE = (
    "There is no isolated environment. An app gets one where its requirements are not met here, or with --env isolated."
)


def execute(args: argparse.Namespace, root: Path, apps: Sequence[AppRecord]) -> tuple[Any, str]:
    """Give what there is, or what was done, as data and as text.

    Raises:
        BadSetting: words do not go together. NotServed: there is no such environment. UserError: an app or a process is using it.
    """
    users = {
        name: [app["app"] for app in apps if name in app["environments"]]
        for app in apps
        for name in app["environments"]
    }
    if args.action == "list":
        if args.name or args.unused:
            raise BadSetting("list takes nothing more", hint="envs list", where="envs")
        return _list(root, users)
    if bool(args.name) == args.unused:
        raise BadSetting(
            "which environments?", hint="envs list shows the names; then: envs remove NAME, or --unused", where="envs"
        )
    return _remove(root, args.name, users)


def _list(root: Path, users: dict[str, list[str]]) -> tuple[Any, str]:
    found = store.all_of(root)
    sizes = {one.name: store.size_of(Path(one.folder)) for one in found}
    data = [
        {
            "name": one.name,
            "python": one.python,
            "requirements": list(one.requirements),
            "bytes": sizes[one.name],
            "used": one.used,
            "apps": users.get(one.name, []),
        }
        for one in found
    ]
    rows = [
        [
            one.name,
            one.python,
            size(sizes[one.name]),
            time.strftime("%Y-%m-%d %H:%M", time.localtime(one.used)),
            ", ".join(users.get(one.name, [])) or "–",
            _shortened(", ".join(one.requirements)),
        ]
        for one in found
    ]
    left = store.unfinished(root)
    text = (
        table(["name", "python", "size", "last used", "apps", "requirements"], rows, right=["size"]) if rows else NONE
    )
    return data, text + (f"\nNot finished: {', '.join(left)}. To remove them: envs remove --unused" if left else "")


def _remove(root: Path, names: Sequence[str], users: dict[str, list[str]]) -> tuple[Any, str]:
    there = [*(one.name for one in store.all_of(root)), *store.unfinished(root)]
    for name in names:
        if name not in there:
            raise NotServed(f"there is no environment {name!r}", hint=hint_for(name, there) if there else NONE)
        if name in users:
            raise UserError(f"{', '.join(users[name])} runs in {name}", hint=f"stop {users[name][0]} first")
    removed = []
    for name in names or [name for name in there if name not in users]:
        if store.remove(root, name):
            removed.append(name)
        elif names:
            raise UserError(f"{name} is in use: a process makes it, or serves an app with it", hint="end that first")
    store.sweep_locks(root)
    return {"removed": removed}, f"Removed: {', '.join(removed) or 'none'}."


def _shortened(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:57]}…"
