"""``[tool.fal.apps]`` of ``pyproject.toml``: apps by name, with options that their classes leave open.

The rules are those of ``fal run NAME`` and ``fal deploy NAME`` (fal 1.83.0, ``fal/project.py`` and ``fal/cli/_utils.py``): the first
folder from the working directory upwards that has ``.git``, or a ``pyproject.toml`` with ``[tool.fal]``, is the project; what the
class itself says wins.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fal_jupyter.domain.errors import AppRuleBroken, BadSetting
from fal_jupyter.domain.text.nearest import hint_for, nearest
from fal_jupyter.fal.app import App
from fal_jupyter.fal.classes.definition import EXPLICIT
from fal_jupyter.fal.classes.options import AUTH_MODES, OPTIONS, check_value
from fal_jupyter.fal.container import ContainerImage
from fal_jupyter.fal.sdk import ApplicationHealthCheckConfig

FILE = "pyproject.toml"
_OPTIONS = (
    "requirements", "requirements_context_dir", "python_version", "min_concurrency", "max_concurrency",
    "max_multiplexing", "concurrency_buffer", "concurrency_buffer_perc", "scaling_delay", "request_timeout",
    "request_start_timeout", "startup_timeout", "keep_alive", "private_logs", "machine_type", "num_gpus", "regions",
    "app_files", "app_files_ignore", "app_files_context_dir", "metrics_port", "_scheduler", "_scheduler_options",
    "skip_retry_conditions", "retry_config", "termination_grace_period_seconds", "secrets", "data_mounts",
)  # fmt: skip
_TEXTS = ("ref", "python_entry_point", "name", "auth", "team", "deployment_strategy")
_OF_DEPLOYING = ("app_scale_settings", "no_scale", "exposed_port")
_TABLES = ("health_check", "image")
_IMAGE = ("build_args", "secrets", "registries", "entrypoint", "cmd")
_CHECK = ("path", "start_period_seconds", "timeout_seconds", "failure_threshold", "call_regularly", "method")


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectApp:
    """One app of a project.

    Attributes:
        path: the file to run; of an entry point one that need not be there, whose text is *text*.
        text: an import of the entry point, or ``None``.
        symbol: name of the class or function in the file, ``""`` for its only one.
        folders: where the project's modules are, besides the file's folder.
        overrides: ``name`` and ``auth``. options: what the class gets where it says nothing.
    """

    path: Path
    text: str | None
    symbol: str
    folders: list[str]
    overrides: dict[str, object]
    options: dict[str, Any]
    where: str

    def configure(self, cls: Any) -> None:
        """Give *cls* the options that it leaves open.

        Raises:
            AppRuleBroken: a value does not fit, or two of them exclude each other.
        """
        if self.options.get("image") is not None and cls.app_files:
            raise AppRuleBroken("app_files is not supported for container apps.", where=self.where)
        explicit = set(getattr(cls, EXPLICIT, ()))
        own = {name for base in cls.__mro__[: -len(_root(cls).__mro__)] for name in vars(base)}
        for name, value in self.options.items():
            if name in explicit | own:
                continue
            if name == "health_check_config":
                cls.host_kwargs[name] = cls.host_kwargs.get(name) or value
                continue
            check_value(OPTIONS[name], value, self.where)
            if OPTIONS[name].variable:
                setattr(cls, name, value)
            if OPTIONS[name].hosted:
                cls.host_kwargs[name] = value
            explicit.add(name)
        setattr(cls, EXPLICIT, frozenset(explicit))


def _root(cls: Any) -> type[Any]:
    return App


def find_project(start: Path) -> Path | None:
    """Return the ``pyproject.toml`` of the project that *start* is in, or ``None``."""
    start = start.resolve()
    for folder in (start, *start.parents):
        file = folder / FILE
        if (folder / ".git").exists():
            return file if file.is_file() else None
        if file.is_file() and "fal" in _read(file).get("tool", {}):
            return file
    return None


def project_apps(file: Path) -> dict[str, Any]:
    """Return the tables of ``[tool.fal.apps]``, by the apps' names.

    Raises:
        BadSetting: the file is not TOML, or the table is none.
    """
    fal = _read(file).get("tool", {}).get("fal", {})
    apps = fal.get("apps", {}) if isinstance(fal, dict) else None
    if not isinstance(apps, dict):
        raise BadSetting(f"[tool.fal.apps] of {file} is not a table", hint='NAME = { ref = "app.py::App" }')
    return apps


def _read(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise BadSetting(f"{file} cannot be read: {error}") from None


def app_of_target(target: str, start: Path, *, command: str) -> ProjectApp | None:
    """Return the app of a project that *target* names, or ``None`` where it names a file: as fal tells them apart, one with ``::`` or
    with ``.py`` at its end.

    Args:
        start: the working directory. command: the command to suggest in an error, as ``fal-jupyter serve``.

    Raises:
        BadSetting: as :func:`project_app` says.
    """
    if "::" in target or target.endswith(".py"):
        return None
    if (start / target).exists():  # a file or folder, unless an app has the name
        file = find_project(start)
        if file is None or target not in project_apps(file):
            return None
    return project_app(target, start, command=command)


def project_app(name: str, start: Path, *, command: str = "fal-jupyter serve") -> ProjectApp:
    """Return the app *name* of the project that *start* is in.

    Raises:
        BadSetting: there is no project or no such app, or its table has what it may not have.
    """
    file = find_project(start)
    apps = project_apps(file) if file is not None else {}
    if file is None or not apps:
        raise BadSetting(
            f"there is no file {name!r}, and no {FILE} with [tool.fal.apps] in {start} or above",
            hint=f"{command} FILE.py::Class",
        )
    if name not in apps:
        hint = f"it has {', '.join(apps)}"
        if near := nearest(name, apps):
            hint = f"did you mean {near}?"
        raise BadSetting(f"[tool.fal.apps] of {file} has no app {name!r}", hint=hint)
    return _app_of(name, apps[name], file)


def _app_of(name: str, table: Any, file: Path) -> ProjectApp:
    where = f"[tool.fal.apps.{name}] of {file.name}"
    if not isinstance(table, dict):
        raise BadSetting("it must be a table", hint=f'{name} = {{ ref = "app.py::App" }}', where=where)
    _check_keys(table, (*_TEXTS, *_OPTIONS, *_OF_DEPLOYING, *_TABLES), where)
    for key in _TEXTS:
        if not isinstance(table.get(key, ""), str):
            raise BadSetting(f"{key} must be a string", where=where)
    if table.get("auth", "private") not in AUTH_MODES:
        message = f"auth must be {', '.join(map(str, AUTH_MODES))}, but it is {table['auth']!r}"
        raise BadSetting(message, hint=hint_for(table["auth"], AUTH_MODES, ""), where=where)
    if "app_files_context_dir" in table and "app_files" not in table:
        raise BadSetting("app_files_context_dir is only supported when app_files is provided.", where=where)
    path, text, symbol = _code_of(table, file, where)
    source = file.parent / "src"
    folders = [str(file.parent), *([str(source)] if source.is_dir() else [])]
    overrides: dict[str, object] = {"name": table.get("name", name), "auth": table.get("auth")}
    return ProjectApp(
        path=path, text=text, symbol=symbol, folders=folders, overrides=overrides,
        options=_options_of(table, file, where), where=where,
    )  # fmt: skip


def _code_of(table: Mapping[str, Any], file: Path, where: str) -> tuple[Path, str | None, str]:
    ref, entry = table.get("ref"), table.get("python_entry_point")
    if ref is not None and entry is not None:
        raise BadSetting("it cannot have both ref and python_entry_point", where=where)
    if ref is not None:
        name, _, symbol = ref.partition("::")
        return file.parent / name, None, symbol
    if entry is not None:
        module, _, symbol = entry.partition(":")
        if not (all(part.isidentifier() for part in module.split(".")) and symbol.isidentifier()):
            raise BadSetting("python_entry_point must be in '<module>:<symbol>' format.", where=where)
        return file.parent / f"{module}:{symbol}", f"from {module} import {symbol}\n", symbol
    if "image" in table:
        raise BadSetting(
            "it runs a container image without Python code of fal's, which only the platform does",
            hint="give it a ref or a python_entry_point",
            where=where,
        )
    raise BadSetting("it has no ref", hint='ref = "app.py::App"', where=where)


def _options_of(table: Mapping[str, Any], file: Path, where: str) -> dict[str, Any]:
    options = {name: table[name] for name in _OPTIONS if name in table}
    for name, value in options.items():
        try:
            check_value(OPTIONS[name], value, where)
        except AppRuleBroken as error:
            raise BadSetting(error.message, hint=error.hint, where=where) from None
    for name in ("requirements_context_dir", "app_files_context_dir"):
        if name in options:
            options[name] = str((file.parent / Path(options[name]).expanduser()).resolve())
    if "requirements" in options:
        options.setdefault("requirements_context_dir", str(file.parent.resolve()))
    if "health_check" in table:
        options["health_check_config"] = _check_of(table["health_check"], where)
    if "image" in table:
        if table.get("app_files"):
            raise BadSetting("app_files is not supported for container apps.", where=where)
        options |= _image_of(table["image"], file, where)
    return options


def _check_of(table: Any, where: str) -> ApplicationHealthCheckConfig:
    if not isinstance(table, dict) or not isinstance(table.get("path"), str):
        raise BadSetting("health_check must be a table with a path", hint='{ path = "/health" }', where=where)
    _check_keys(table, _CHECK, f"health_check, {where}")
    for name in _CHECK[1:4]:
        if type(table.get(name, 0)) is not int:
            raise BadSetting(f"health_check.{name} must be an integer.", where=where)
    return ApplicationHealthCheckConfig(**table)


def _image_of(table: Any, file: Path, where: str) -> dict[str, Any]:
    if not isinstance(table, dict) or ("dockerfile" in table) == ("image" in table):
        raise BadSetting("image must be a table with a dockerfile or an image, and not with both", where=where)
    _check_keys(table, (*_IMAGE, "dockerfile", "image"), f"image, {where}")
    if "image" in table:
        if wrong := {"build_args", "secrets"} & table.keys():
            raise BadSetting(f"image.{min(wrong)} is only supported with image.dockerfile", where=where)
        return {"kind": "container"}
    try:
        text = (file.parent / str(table["dockerfile"])).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadSetting(f"image.dockerfile cannot be read: {error}", where=where) from None
    settings = {name: table[name] for name in _IMAGE if name in table}
    return {"kind": "container", "image": ContainerImage(dockerfile_str=text, context_dir=file.parent, **settings)}


def _check_keys(table: Mapping[str, Any], allowed: tuple[str, ...], where: str) -> None:
    for name in table:
        if name not in allowed:
            hint = hint_for(name, allowed, f"it may have {', '.join(allowed)}")
            raise BadSetting(f"there is no key {name!r}", hint=hint, where=where)
