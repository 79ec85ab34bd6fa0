"""``%fal doctor``: the apps of this notebook, held against what fal does."""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Iterator
from dataclasses import fields
from functools import partial
from typing import TYPE_CHECKING, Any

from fal_jupyter.commands.app_doctor import Report
from fal_jupyter.domain.errors import NotServed
from fal_jupyter.fal import handle_of
from fal_jupyter.fal.classes.describe import describe_app
from fal_jupyter.notebook.cells.cells import label_of
from fal_jupyter.notebook.namespace.app_classes import apps_among
from fal_jupyter.secret_store import SecretStore
from fal_jupyter.settings import working_directory

if TYPE_CHECKING:
    from fal_jupyter.notebook.session import NotebookSession

_ENV_MAGIC = re.compile(r"^\s*%(?:env|set_env)\s+(\w+)(?:=|\s+\S)", re.M)


def examine(now: NotebookSession, which: str, secret_store: SecretStore) -> list[Report]:
    """Examine the class of that name or alias, or without a name every app that the notebook has defined.

    Raises:
        NotServed: no cell has defined such an app.
    """
    from fal_jupyter import data_mount, portability  # start-up

    apps = _apps(now)
    if which:
        named = [cls for cls in apps if which in (cls.__name__, cls.app_name)]
        if not named:
            known = f"there are: {' '.join(cls.__name__ for cls in apps)}" if apps else "define it in a cell first"
            raise NotServed(f"this notebook has no app {which!r}", hint=known)
        apps = named[-1:]
    if not apps:
        return []
    shell = now.shell
    here = partial(
        portability.Surroundings,
        folder=working_directory(),
        namespace=now.namespace,
        label=lambda filename: label_of(shell, filename) if shell is not None else "",
        cell_of=now.cell_of,
        secrets=frozenset(secret_store.secrets()),
        environ=dict(os.environ),
        data_is_mounted=data_mount.is_mounted,
        set_by=dict(_set_variables(shell)) if shell is not None else {},
    )
    return [Report(cls.__name__, portability.examine(cls, here(run_options=dict(_given(cls))))) for cls in apps]


def _given(cls: type[Any]) -> Iterator[tuple[str, object]]:
    """What the running app was told by its magic's line or by ``serve()``, and the class does not say."""
    handle = handle_of(cls)
    if handle is None:
        return
    runs, says = handle.spec, describe_app(cls)
    for name, run, said in (
        ("app_name", runs.alias, says.alias),
        ("app_auth", runs.auth, says.auth),
        ("machine_type", list(runs.machine_type), list(says.machine_type)),
        *((f.name, getattr(runs.scaling, f.name), getattr(says.scaling, f.name)) for f in fields(runs.scaling)),
    ):
        if run != said and name != "warm":
            yield name, run[0] if isinstance(run, list) and len(run) == 1 else run


def _apps(now: NotebookSession) -> list[Any]:
    """The apps that the notebook's names stand for now, each once."""
    own = [v for v in list(now.namespace.values()) if issubclass(type(v), type) and v.__module__ == "__main__"]
    return apps_among(list(dict.fromkeys(own)))


def _set_variables(shell: Any) -> Iterator[tuple[str, str]]:
    """Variables of the environment that cells have set, with the last cell that did."""
    cells: list[str] = shell.history_manager.input_hist_raw
    for number, text in enumerate(cells):
        for name in _ENV_MAGIC.findall(text):
            yield name, f"cell [{number}]"
        if "environ" in text:
            yield from ((name, f"cell [{number}]") for name in _assigned(shell, text))


def _assigned(shell: Any, text: str) -> Iterator[str]:
    """``os.environ["NAME"] = …`` at a cell's top level: inside of functions it is not the cell that sets it."""
    try:
        tree = ast.parse(shell.transform_cell(text))
    except (SyntaxError, ValueError):
        return
    for statement in tree.body:
        for target in statement.targets if isinstance(statement, ast.Assign) else ():
            match target:
                case ast.Subscript(value=held, slice=ast.Constant(value=str(name))):
                    if ast.unparse(held).endswith("environ"):
                        yield name
