"""An app's file: read as Python reads it, run as ``fal run`` does, and searched for its apps.

fal runs the file by ``runpy.run_path`` with the working directory at the end of ``sys.path``: an installed package wins over a
file of the same name. The file's own folder is last, so that modules beside the file are found from any working directory.
"""

from __future__ import annotations

import importlib.util
import linecache
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, TypeGuard

from fal_jupyter.domain.errors import BadSetting
from fal_jupyter.fal.served import is_served, served_app

if TYPE_CHECKING:
    from fal_jupyter.fal.app import App
    from fal_jupyter.fal.classes.function import IsolatedFunction

RUN_PATH = "<run_path>"
"""The module name that ``runpy.run_path`` uses."""


def read_source(path: Path, *, command: str) -> str:
    """Return the text of a Python file, decoded according to a byte order mark or a coding line.

    Args:
        command: the command to suggest in an error, as ``fal-jupyter serve``.

    Raises:
        BadSetting: there is no such file, it is not Python source, or it cannot be decoded.
    """
    hint = f"{command} FILE.py::Class"
    if path.is_dir():
        raise BadSetting(f"{path} is a folder, not a Python file", hint=hint)
    if path.suffix == ".ipynb":
        message = f"{path.name} is a notebook; its apps are served from its cells (%%fal_app)"
        raise BadSetting(message, hint=f"or save the cell as a file: {hint}")
    try:
        return importlib.util.decode_source(path.read_bytes())
    except OSError as error:
        raise BadSetting(f"{path} cannot be read: {error.strerror or error}", hint=hint) from None
    except (UnicodeDecodeError, SyntaxError) as error:  # SyntaxError: its coding line names an unknown encoding
        raise BadSetting(f"{path} cannot be read: {error}", hint=hint) from None


def search_folders(path: Path) -> list[str]:
    """Return the folders that running *path* adds to the end of ``sys.path``."""
    try:
        here = [os.getcwd()]
    except FileNotFoundError:  # the working directory was removed
        here = []
    return list(dict.fromkeys([*here, str(path.parent)]))


def run_source(path: Path, text: str, folders: Sequence[str], *, name: str | None = None) -> ModuleType:
    """Run a file's text as a module and leave it in ``sys.modules``.

    Args:
        folders: added to the end of ``sys.path`` if missing.
        name: name of the module. By default the file's, so that classes of it can be pickled by reference, or
            ``<run_path>`` if ``import`` would find another module of that name.

    Raises:
        BadSetting: the file exits. Any exception that the file raises.
    """
    sys.path += [folder for folder in folders if folder not in sys.path]
    module = ModuleType(name or _module_name(path))
    module.__file__ = str(path)
    sys.modules[module.__name__] = module
    linecache.cache[str(path)] = (len(text), None, text.splitlines(keepends=True), str(path))
    try:
        exec(compile(text, str(path), "exec", dont_inherit=True), vars(module))
    except BaseException as error:
        sys.modules.pop(module.__name__, None)
        _explain(error, path)
        raise
    return module


def _explain(error: BaseException, path: Path) -> None:
    """Re-raise an error of the file with a more specific message.

    Raises:
        BadSetting: *error* is a ``SystemExit``.
    """
    if isinstance(error, SystemExit):
        raise BadSetting(f"{path.name} exited while it was loaded: SystemExit({error.code!r})") from None
    if isinstance(error, ImportError) and error.name is None and "relative import" in str(error):
        error.add_note(
            f"{path.name} runs by its path, as with `fal run`, so it is not in a package: use absolute imports"
        )


def _module_name(path: Path) -> str:
    stem = path.stem
    if "." in stem:
        return RUN_PATH
    loaded = sys.modules.get(stem)
    if loaded is not None:
        return stem if getattr(loaded, "__file__", None) == str(path) else RUN_PATH
    try:
        spec = importlib.util.find_spec(stem)
    except (ImportError, ValueError):
        return RUN_PATH
    return (
        stem if spec is None or (spec.origin and os.path.realpath(spec.origin) == os.path.realpath(path)) else RUN_PATH
    )


def apps_of(module: ModuleType, bases: tuple[type, ...]) -> dict[str, type[App]]:
    """Return the apps of a module by name: those that it defines, or those that it imports if it defines none. Served functions
    are included, each as the class that serves it."""
    every: dict[str, type[App] | IsolatedFunction] = {
        name: value
        for name, value in vars(module).items()
        if (_is_subclass(value, bases) and value not in bases) or is_served(value)
    }
    own = {name: value for name, value in every.items() if value.__module__ == module.__name__} or every
    return {name: value if isinstance(value, type) else served_app(value) for name, value in own.items()}


def _is_subclass(value: object, bases: tuple[type, ...]) -> TypeGuard[type[App]]:
    return issubclass(type(value), type) and isinstance(value, type) and issubclass(value, bases)


def app_named(module: ModuleType, name: str, path: Path, bases: tuple[type, ...]) -> tuple[str, type[App]]:
    """Return the app *name*, or the only one if *name* is ``""``, with its name in the module.

    Raises:
        BadSetting: there is none of that name, or not exactly one.
    """
    apps = apps_of(module, bases)
    if name:
        value: object = vars(module).get(name)
        if is_served(value):
            return name, served_app(value)
        if _is_subclass(value, bases):  # including imported ones
            return name, value
        if name in vars(module):
            raise BadSetting(f"{path.name}::{name} is not a fal.App, but {_kind(value)}", hint=_available(apps))
        raise BadSetting(f"{path.name} has no app {name!r}", hint=_available(apps))
    first = {id(vars(module)[key]): key for key in reversed(apps)}
    if len(first) != 1:
        example = f": write {path.name}::{next(iter(apps))} for the first" if apps else ""
        raise BadSetting(f"{path.name} has {len(first) or 'no'} apps", hint=_available(apps) + example)
    return next(iter(apps.items()))


def _available(apps: dict[str, type[App]]) -> str:
    return f"it has {', '.join(apps)}" if apps else "it has no fal.App class and no served function"


def _kind(value: object) -> str:
    return f"the class {value.__qualname__}" if isinstance(value, type) else f"of type {type(value).__name__}"
