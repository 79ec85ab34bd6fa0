"""An app's file, read as fal reads it: run once, under a name that is not ``__main__``, its classes pickled by value.

What is found there is then made to look like a notebook's, so that the same walk finds what a class captures.
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
from fal_jupyter.shipping.reach import functions_in
from fal_jupyter.shipping.source_files import RUN_PATH, app_named, apps_of, read_source, run_source, search_folders


@contextmanager
def opened(path: Path, class_name: str) -> Iterator[tuple[list[type[Any]], dict[str, object]]]:
    """Run the file at *path* and give its apps (all, or the one of *class_name*) and its globals, as long as it is open.

    Raises:
        BadSetting: it cannot be read, ends itself, or has no such app. Whatever the file raises.
    """
    text = read_source(path, command="fal-jupyter doctor")
    before, paths = sys.modules["__main__"], list(sys.path)
    fal.install()
    try:
        module = run_source(path, text, search_folders(path), name=RUN_PATH)
        bases = (fal.App, getattr(sys.modules.get("fal"), "App", fal.App))
        if class_name:
            apps = [app_named(module, class_name, path, bases)[1]]
        else:
            apps = list(dict.fromkeys(apps_of(module, bases).values()))
        if not apps:
            raise BadSetting(f"{path.name} has no fal.App class", hint="write a class that inherits from fal.App")
        _make_main(module)
        yield apps, vars(module)
    finally:
        sys.modules["__main__"] = before
        sys.modules.pop(RUN_PATH, None)
        sys.path[:] = paths


def _make_main(module: ModuleType) -> None:
    """Give all that the file defined the module name of a notebook, and the module its place."""
    for value in list(vars(module).values()):
        _rename(value)
    module.__name__ = "__main__"
    sys.modules["__main__"] = module


def _rename(value: Any) -> None:
    for function in functions_in(value):
        _rename_one(function)
    if issubclass(type(value), type) and value.__module__ == RUN_PATH:
        value.__module__ = "__main__"
        for member in list(vars(value).values()):
            _rename(member)


def _rename_one(thing: FunctionType) -> None:
    if thing.__module__ == RUN_PATH:
        thing.__module__ = "__main__"
