"""An app's file, read as fal reads it: run once, under a name that is not ``__main__``, its classes pickled by value.

What is found there is then made to look like a notebook's, so that the same walk finds what a class captures.
"""

from __future__ import annotations

import linecache
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

from fal_jupyter import fal
from fal_jupyter.domain.errors import BadSetting
from fal_jupyter.shipping.reach import functions_in

RUN_PATH = "<run_path>"
"""What fal's own loader calls the module of a file."""


@contextmanager
def opened(path: Path, class_name: str) -> Iterator[tuple[list[type[Any]], dict[str, object]]]:
    """Run the file at *path* and give its apps (all, or the one of *class_name*) and its globals, as long as it is open.

    Raises:
        BadSetting: it cannot be read, ends itself, or has no such app. Whatever the file raises.
    """
    text = _text_of(path)
    module = ModuleType(RUN_PATH)
    module.__file__ = str(path)
    before, paths = sys.modules["__main__"], list(sys.path)
    fal.install()
    sys.modules[RUN_PATH] = module
    sys.path.insert(0, str(path.parent))
    linecache.cache[str(path)] = (len(text), None, text.splitlines(keepends=True), str(path))
    try:
        try:
            exec(compile(text, str(path), "exec", dont_inherit=True), vars(module))
        except SystemExit as stop:
            raise BadSetting(f"{path.name} ended itself while it was read: SystemExit({stop.code!r})") from None
        apps = _apps_of(module, class_name, path)
        _make_main(module)
        yield apps, vars(module)
    finally:
        sys.modules["__main__"] = before
        sys.modules.pop(RUN_PATH, None)
        sys.path[:] = paths


def _text_of(path: Path) -> str:
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        reason = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else error
        raise BadSetting(f"{path} cannot be read: {reason}", hint="fal-jupyter doctor FILE.py::Class") from None


def _apps_of(module: ModuleType, name: str, path: Path) -> list[type[Any]]:
    real = getattr(sys.modules.get("fal"), "App", fal.App)
    apps: dict[str, type[Any]] = {
        key: value
        for key, value in vars(module).items()
        if issubclass(type(value), type) and issubclass(value, (fal.App, real)) and value.__module__ == RUN_PATH
    }
    known = f"it has {', '.join(apps)}" if apps else "write a class that inherits from fal.App"
    if name and name not in apps:
        raise BadSetting(f"{path.name} has no app {name!r}", hint=known)
    if not apps:
        raise BadSetting(f"{path.name} has no fal.App class", hint=known)
    return [apps[name]] if name else list(dict.fromkeys(apps.values()))


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
