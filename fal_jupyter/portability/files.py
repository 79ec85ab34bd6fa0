"""Loads an app's file as fal does: it is run once, under a name other than ``__main__``, and its classes are pickled by value.

Its definitions then get the module name of a notebook, so that the same walk finds what a class captures.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

from fal_jupyter import fal
from fal_jupyter.domain.errors import BadSetting
from fal_jupyter.fal.app import App
from fal_jupyter.fal.project import ProjectApp
from fal_jupyter.shipping.files.source_files import (
    RUN_PATH,
    app_named,
    apps_of,
    read_source,
    run_source,
    search_folders,
)
from fal_jupyter.shipping.introspection import functions_in


@contextmanager
def opened(
    path: Path, class_name: str, project: ProjectApp | None = None
) -> Iterator[tuple[list[type[App]], dict[str, object]]]:
    """Run the file at *path*; yields its apps (all, or the one named *class_name*) and its globals.

    Args:
        project: the app's table in ``pyproject.toml``: its name and auth apply if the class has none; it also has the text if the app is an entry point.

    Raises:
        BadSetting: it cannot be read, exits, or has no such app.
        Exception: any exception of the file.
    """
    project_text = project.text if project is not None else None
    text = project_text if project_text is not None else read_source(path, command="fal-jupyter doctor")
    folders = [*search_folders(path), *(project.folders if project is not None else ())]
    before, paths, own = sys.modules["__main__"], list(sys.path), ""
    fal.install()
    try:
        module = run_source(path, text, folders, name=RUN_PATH)
        bases = (fal.App, getattr(sys.modules.get("fal"), "App", fal.App))
        if class_name:
            apps = [app_named(module, class_name, path, bases)[1]]
        else:
            apps = list(dict.fromkeys(apps_of(module, bases).values()))
        if project is not None:
            _configure(apps[0], project)
        if not apps:
            raise BadSetting(f"{path.name} has no fal.App class", hint="write a class that inherits from fal.App")
        if project_text is not None:  # an entry point: it imports the app's module
            module = sys.modules[apps[0].__module__]
        own = module.__name__
        _make_main(module)
        yield apps, vars(module)
    finally:
        sys.modules["__main__"] = before
        if own:
            sys.modules.pop(own, None)  # its classes now have the name of another module
        sys.modules.pop(RUN_PATH, None)
        sys.path[:] = paths


def _configure(cls: type[Any], project: ProjectApp) -> None:
    project.configure(cls)
    cls.app_name = project.overrides["name"]
    cls.app_auth = project.overrides["auth"] or cls.app_auth


def _make_main(module: ModuleType) -> None:
    """Set the module name of a notebook on everything that the file defined, and register the module under it."""
    for value in list(vars(module).values()):
        _rename(value, module.__name__)
    module.__name__ = "__main__"
    sys.modules["__main__"] = module


def _rename(value: object, own: str) -> None:
    for function in functions_in(value):
        _rename_one(function, own)
    if issubclass(type(value), type) and value.__module__ == own:
        value.__module__ = "__main__"
        for member in list(vars(value).values()):
            _rename(member, own)


def _rename_one(function: FunctionType, own: str) -> None:
    if function.__module__ == own:
        function.__module__ = "__main__"
