"""``%fal doctor``: compares the apps of this notebook with the behaviour of fal's cloud."""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Iterator
from dataclasses import fields
from functools import partial
from typing import TYPE_CHECKING

from fal_jupyter.commands.app_doctor import Report
from fal_jupyter.domain.errors import NotServed
from fal_jupyter.fal import App, handle_of
from fal_jupyter.fal.classes.describe import describe_app
from fal_jupyter.notebook.cells.cells import label_of
from fal_jupyter.notebook.namespace.app_classes import apps_among, is_class
from fal_jupyter.notebook.shell import Shell
from fal_jupyter.secret_store import SecretStore
from fal_jupyter.settings import working_directory

if TYPE_CHECKING:
    from fal_jupyter.notebook.session import NotebookSession

_ENV_MAGIC = re.compile(r"^\s*%(?:env|set_env)\s+(\w+)(?:=|\s+\S)", re.M)


def examine(session: NotebookSession, which: str, secret_store: SecretStore) -> list[Report]:
    """Examine the app class named *which* (class name or alias), or every app class of the notebook if *which* is empty.

    Raises:
        NotServed: no cell has defined this app.
    """
    from fal_jupyter import data_mount, portability  # start-up

    apps = _apps(session)
    if which:
        named = [cls for cls in apps if which in (cls.__name__, cls.app_name)]
        if not named:
            hint_text = f"there are: {' '.join(cls.__name__ for cls in apps)}" if apps else "define it in a cell first"
            raise NotServed(f"this notebook has no app {which!r}", hint=hint_text)
        apps = named[-1:]
    if not apps:
        return []
    shell = session.shell
    surroundings = partial(
        portability.Surroundings,
        folder=working_directory(),
        namespace=session.namespace,
        label=lambda filename: label_of(shell, filename) if shell is not None else "",
        cell_of=session.cell_of,
        secrets=frozenset(secret_store.secrets()),
        environ=dict(os.environ),
        data_is_mounted=data_mount.is_mounted,
        set_by=dict(_set_variables(shell)) if shell is not None else {},
    )
    return [
        Report(cls.__name__, portability.examine(cls, surroundings(run_options=dict(_options_beyond_class(cls)))))
        for cls in apps
    ]


def _options_beyond_class(cls: type[object]) -> Iterator[tuple[str, object]]:
    """Yield the options of the running app that come from its magic line or ``serve()`` and differ from the class."""
    handle = handle_of(cls)
    if handle is None:
        return
    served, declared = handle.spec, describe_app(cls)
    for name, served_value, declared_value in (
        ("app_name", served.alias, declared.alias),
        ("app_auth", served.auth, declared.auth),
        ("machine_type", list(served.machine_type), list(declared.machine_type)),
        *((f.name, getattr(served.scaling, f.name), getattr(declared.scaling, f.name)) for f in fields(served.scaling)),
    ):
        if served_value != declared_value and name != "warm":
            yield name, served_value[0] if isinstance(served_value, list) and len(served_value) == 1 else served_value


def _apps(session: NotebookSession) -> list[type[App]]:
    """Return the app classes bound in the notebook's namespace, without duplicates."""
    classes = [v for v in list(session.namespace.values()) if is_class(v) and v.__module__ == "__main__"]
    return apps_among(list(dict.fromkeys(classes)))


def _set_variables(shell: Shell) -> Iterator[tuple[str, str]]:
    """Yield the environment variables set by cells, each with the cell that set it."""
    cells = shell.history_manager.input_hist_raw
    for number, text in enumerate(cells):
        for name in _ENV_MAGIC.findall(text):
            yield name, f"cell [{number}]"
        if "environ" in text:
            yield from ((name, f"cell [{number}]") for name in _assigned(shell, text))


def _assigned(shell: Shell, text: str) -> Iterator[str]:
    """Yield NAME for each ``os.environ["NAME"] = …`` at the top level of the cell *text*."""
    try:
        tree = ast.parse(shell.transform_cell(text))
    except (SyntaxError, ValueError):
        return
    for statement in tree.body:
        for target in statement.targets if isinstance(statement, ast.Assign) else ():
            match target:
                case ast.Subscript(value=mapping, slice=ast.Constant(value=str(name))):
                    if ast.unparse(mapping).endswith("environ"):
                        yield name
