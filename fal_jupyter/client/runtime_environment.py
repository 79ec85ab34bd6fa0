"""The runtime environment of an app's runners: interpreter, variables, working directory, search path, modules and files."""

from __future__ import annotations

import importlib.util
import os
import site
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from fal_jupyter import fal, shipping
from fal_jupyter.client.client import Client
from fal_jupyter.domain.environments.isolation import check_mode, choose
from fal_jupyter.domain.errors import AppRuleBroken
from fal_jupyter.domain.spec import AppSpec
from fal_jupyter.domain.text.json_forms import whole_text
from fal_jupyter.environments import builder, search_path, store
from fal_jupyter.environments.interpreters import version_here
from fal_jupyter.protocol.api import Environment, ModuleSource
from fal_jupyter.settings import utf8_path, working_directory
from fal_jupyter.shipping.files import app_files
from fal_jupyter.state import check_state


@dataclass(frozen=True, slots=True)
class RuntimeEnvironment:
    """Settings with which an app's runners start. *notes* are messages for its owner."""

    environment: Environment
    modules: dict[str, ModuleSource]
    fingerprint: dict[str, str]
    notes: list[str]


def find_environment(
    cls: type[fal.App],
    spec: AppSpec,
    client: Client,
    *,
    mode: str,
    base: Path,
    by_value: bool,
    preload: list[str],
    report: Callable[[str], None],
) -> RuntimeEnvironment:
    """Find the environment of the runners of *cls*, or build it; *report* receives the progress messages.

    Args:
        mode: ``auto``, ``kernel`` or ``isolated``. base: folder of the app's file or of the notebook.
        by_value: the class travels as compiled code.

    Raises:
        BadSetting: *mode* is invalid, or a path that runners need is not UTF-8 text. AppRuleBroken: the class requires something that is not available here.
        StateRefused: other users can access the state directory.
    """
    check_state(client.settings.state)  # made private before an environment or a copy is put into it
    unmet, unknown = compared(cls, spec, base)
    python = cls.host_kwargs.get("python_version") or ""
    chosen = choose(
        check_mode(mode), class_name=spec.class_name, unmet=unmet, unknown=unknown, python=python, here=version_here(),
        by_value=by_value,
    )  # fmt: skip
    environment = environment_here(preload)
    if chosen == "isolated":
        context = base / (cls.host_kwargs.get("requirements_context_dir") or "")
        request = builder.EnvironmentRequest(spec.requirements, python or version_here(), context, spec.class_name)
        isolated, users = store.provide(client.settings.environments, request, report)
        client.hold_environment(spec.alias, users)
        _move(environment, isolated, preload)
    names = list(cls.local_python_modules or ())
    modules = shipping.pack_modules(names)
    for name, module in modules.items():
        for place in (module["path"], *(module["folders"] or ())):
            utf8_path(place, f"the module {name}, which local_python_modules names,")
    notes = [
        f"{whole_text(name)} is not UTF-8 text: runners start without that environment variable"
        for name in _unsendable()
    ]
    notes += [
        f"{whole_text(entry)} is not UTF-8 text: runners start without that entry of sys.path"
        for entry in sys.path
        if whole_text(entry) != entry
    ]
    notes += [
        f"local_python_modules names {name!r}, which cannot be imported here"
        for name in shipping.missing_modules(names, modules)
    ]
    fingerprint = shipping.fingerprint_of_environment(environment) | shipping.fingerprint_of_modules(names, modules)
    if cls.host_kwargs.get("app_files"):
        fingerprint |= _take_files(cls, spec, client, base, environment, notes)
    return RuntimeEnvironment(environment, modules, fingerprint, notes)


def compared(cls: type[fal.App], spec: AppSpec, base: Path) -> tuple[list[str], list[str]]:
    """Return the requirements that this environment does not meet, and those that cannot be checked."""
    context = base / (cls.host_kwargs.get("requirements_context_dir") or "")
    return (
        fal.check_requirements(spec.requirements, base=context),
        fal.unknown_requirements(spec.requirements, base=context),
    )


def needs_its_own(cls: type[fal.App], spec: AppSpec, *, mode: str, base: Path, by_value: bool) -> bool:
    """True if runners of *cls* get an isolated environment; arguments and errors are those of :func:`find_environment`."""
    unmet, unknown = compared(cls, spec, base)
    chosen = choose(
        check_mode(mode),
        class_name=spec.class_name,
        unmet=unmet,
        unknown=unknown,
        python=_python_of(cls),
        here=version_here(),
        by_value=by_value,
    )
    return chosen == "isolated"


def _python_of(cls: type[fal.App]) -> str:
    return cls.host_kwargs.get("python_version") or ""


def environment_here(preload: list[str]) -> Environment:
    """The environment of this process, for its runners.

    Raises:
        BadSetting: the path of the working directory or of the interpreter is not UTF-8 text.
    """
    here, odd = utf8_path(str(working_directory()), "the working directory"), _unsendable()
    path = [os.path.abspath(entry) if entry else here for entry in sys.path]
    return Environment(
        python=utf8_path(sys.executable, "this Python"),
        env={name: value for name, value in os.environ.items() if name not in odd},
        cwd=here,
        sys_path=[entry for entry in dict.fromkeys(path) if whole_text(entry) == entry],
        preload=[name for name in preload if _is_of_this_interpreter(name)],
        isolated="",
    )


def _unsendable() -> list[str]:
    """The environment variables with bytes that are not UTF-8, which a publication cannot contain: it is JSON."""
    return [name for name, value in os.environ.items() if whole_text(name + value) != name + value]


def _move(environment: Environment, isolated: builder.Isolated, preload: list[str]) -> None:
    """Set the isolated environment."""
    environment["python"], environment["isolated"] = isolated.interpreter, isolated.name
    environment["sys_path"] = search_path.users_own(environment["sys_path"])
    if named := environment["env"].pop("PYTHONPATH", ""):
        entries = search_path.users_own(entry for entry in named.split(os.pathsep) if entry)
        environment["env"] |= {"PYTHONPATH": os.pathsep.join(entries)} if entries else {}
    own = search_path.shadowed(preload, environment["sys_path"])
    environment["preload"] = [name for name in preload if name not in own]


def _take_files(
    cls: type[fal.App], spec: AppSpec, client: Client, base: Path, environment: Environment, notes: list[str]
) -> dict[str, str]:
    """Copy the app's files, and make the copy the runners' working directory: in the cloud they have only these files."""
    files = app_files.collect_for(cls.host_kwargs, base)
    notes += [f"app_files names {name!r}, which does not exist" for name in files.missing]
    try:
        fingerprint = files.fingerprint()
        folder = client.app_files.folder_of(spec.alias, files, fingerprint)
    except OSError as error:
        why = f"{error.filename} cannot be copied: {error.strerror}"
        raise AppRuleBroken(why, where="app_files") from None
    directory = (folder / files.place).resolve()
    environment["cwd"] = utf8_path(str(directory), "the folder that app_files are read from")
    environment["sys_path"] += [str(directory)] if directory == folder else [str(directory), str(folder)]
    return fingerprint


def _is_of_this_interpreter(module: str) -> bool:
    """True if a runner's template, which does not have our search path, would import the same module as this process."""
    try:
        module_spec = importlib.util.find_spec(module)
    except ValueError:  # loaded without a spec
        return False
    places = [*site.getsitepackages(), site.getusersitepackages()]
    return module_spec is not None and any(str(module_spec.origin).startswith(root + os.sep) for root in places)
