"""From a class, or a file with one, to a running app: describe, pack, publish, bind, wait."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from fal_jupyter import fal, shipping
from fal_jupyter.client.client import Client
from fal_jupyter.client.handle import AppHandle
from fal_jupyter.client.runtime_environment import find_environment
from fal_jupyter.domain.errors import AppTaken
from fal_jupyter.domain.spec import AppSpec
from fal_jupyter.fal.adopt import adopted
from fal_jupyter.fal.classes.realtime_options import RealtimeOptions
from fal_jupyter.fal.classes.routes import endpoints_of
from fal_jupyter.fal.project import ProjectApp
from fal_jupyter.local_modules import EditWatch, ModuleFile, read_module
from fal_jupyter.protocol.api import Event, ModuleSource, Published, PublishHead
from fal_jupyter.secret_store import SecretStore
from fal_jupyter.settings import Settings, utf8_path, working_directory
from fal_jupyter.shipping.files.source_files import RUN_PATH, app_named, read_source, run_source, search_folders
from fal_jupyter.shipping.packing import Shipment


def ignore_message(line: str) -> None:
    """Ignore the progress messages of an environment's creation."""


def serve(
    cls: type,
    *,
    settings: Settings | None = None,
    client: Client | None = None,
    overrides: Mapping[str, object] | None = None,
    wait: bool = True,
    take_over: bool = False,
    on_event: Callable[[Event], None] | None = None,
    cell_of: Callable[[str], str] = lambda name: "",
    namespace: Mapping[str, object] | None = None,
    env: str = "auto",
    report: Callable[[str], None] = ignore_message,
) -> AppHandle:
    """Run *cls* as an app of this process, and bind its endpoints to it.

    Args:
        env: the environment of its runners: ``kernel``, ``isolated``, or ``auto``, which is the kernel's if that meets its requirements.
        report: receives the progress of an environment's creation, line by line.

    Raises:
        AppRuleBroken: the class or an option breaks a rule, or no environment has what it requires. NotPicklable: it captures a value that cannot be pickled.
        AppTaken: another running owner has the name. SetupFailed: the first runner could not start (with *wait*).
    """
    prepared = prepare(
        cls,
        client=client or Client(settings),
        overrides=overrides,
        take_over=take_over,
        cell_of=cell_of,
        namespace=namespace,
        env=env,
        report=report,
    )
    handle = prepared.publish()
    if wait:
        handle.wait(on_event)
    return handle


@dataclass(frozen=True, slots=True)
class Prepared:
    """A class that is packed and whose environment exists: its cell has no further checks to pass."""

    cls: type
    client: Client
    spec: AppSpec
    head: PublishHead
    shipment: Shipment

    def publish(self) -> AppHandle:
        """Publish it and bind its endpoints; does not wait.

        Raises:
            AppTaken: another running owner has the name.
        """
        try:
            served = self.client.publish(self.spec.alias, self.head, self.shipment.payload)
        except AppTaken as error:
            if fal.handle_of(self.cls) is None:
                name = self.spec.alias
                reason = f"its name {name!r} is that of {error.holder}" if error.holder else error.message
                hint = f"serve it again with --take-over to take the name, or with --name NAME beside it; fal_jupyter.app({name!r}) calls the other one"
                fal.bind_refusal(self.cls, reason, hint)
            raise
        self.shipment.warnings.extend(_taken_over(served))
        handle = AppHandle(
            self.client,
            self.spec,
            served,
            methods_of(self.cls),
            self.shipment,
            _talks(self.cls),
            EditWatch(self.shipment.files),
        )
        fal.bind(self.cls, handle)
        return handle


def _taken_over(served: Published) -> list[str]:
    """Report from which process an app was taken."""
    taken_from = served.get("taken_from")
    return [f"taken over from {taken_from}: calls of it from there come here now"] if taken_from else []


def prepare(
    cls: type,
    *,
    client: Client,
    overrides: Mapping[str, object] | None = None,
    take_over: bool = False,
    cell_of: Callable[[str], str] = lambda name: "",
    namespace: Mapping[str, object] | None = None,
    env: str = "auto",
    report: Callable[[str], None] = ignore_message,
) -> Prepared:
    """Describe and pack *cls*, and find its environment; arguments and errors are those of :func:`serve`."""
    cls = adopted(cls)
    spec = fal.describe(cls, overrides)
    shipment = shipping.pack(cls, namespace=namespace, cell_of=cell_of)
    runtime = find_environment(
        cls, spec, client, mode=env, base=folder_of(cls), by_value=True, preload=shipment.preload, report=report
    )
    shipment.warnings.extend(runtime.notes)
    head = PublishHead(
        lease="",
        spec=spec.to_json(),
        environment=runtime.environment,
        fingerprint=shipment.fingerprint | shipping.fingerprint_of_spec(spec) | runtime.fingerprint,
        kind="pickle",
        take_over=take_over,
        source=shipment.source,
        modules=runtime.modules,
    )
    shipment.files.extend(_files_shipped(runtime.modules, shipment.files))
    shipment.warnings.extend(missing_secrets(spec, client.secret_store))
    return Prepared(cls, client, spec, head, shipment)


def _files_shipped(modules: Mapping[str, ModuleSource], listed: Iterable[ModuleFile]) -> list[ModuleFile]:
    """Return the files of ``local_python_modules`` that are not among *listed*."""
    names = {file.name for file in listed}
    read = (
        read_module(name, source["path"]) for name, source in modules.items() if source["path"] and name not in names
    )
    return [module_file[0] for module_file in read if module_file is not None]


def missing_secrets(spec: AppSpec, secret_store: SecretStore) -> list[str]:
    """Report the secrets that the class names and that are not set here."""
    if not spec.secrets:
        return []
    stored = secret_store.secrets()
    missing = [name for name in spec.secrets if name not in stored]
    return [f"the secret {name} is not set; type: fal-jupyter secrets set {name}" for name in missing]


def serve_file(
    path: Path,
    class_name: str,
    *,
    client: Client,
    overrides: Mapping[str, object] | None = None,
    take_over: bool = False,
    env: str = "auto",
    report: Callable[[str], None] = ignore_message,
    project: ProjectApp | None = None,
) -> AppHandle:
    """Publish a class of a Python file; runners read the text as it is now. Does not wait.

    Args:
        class_name: ``""`` where the file has exactly one app. env, report: as of :func:`serve`.
        project: the app's table in ``pyproject.toml``, if it was named as there.

    Raises:
        BadSetting: the path of the file is not UTF-8 text, or as :func:`load_file`.
    """
    utf8_path(str(path.absolute()), "the app's file", "rename the file or the folder whose name is not UTF-8")
    loaded = load_file(path, class_name, project)
    cls, text, path = loaded.cls, loaded.text, loaded.path
    spec = fal.describe(cls, overrides)
    runtime = find_environment(
        cls, spec, client, mode=env, base=path.parent, by_value=False, preload=_preload_of(text), report=report
    )
    for note in runtime.notes:
        report(f"fal_jupyter: {note}")
    runtime.environment["sys_path"] = [e for e in runtime.environment["sys_path"] if e not in loaded.added_to_path]
    files = shipping.files_used([cls.__module__], [text])
    files += _files_shipped(runtime.modules, files)
    head = PublishHead(
        lease="",
        spec=spec.to_json(),
        environment=runtime.environment,
        fingerprint={f"class {cls.__name__}": text}
        | {f"module {file.name}": file.digest for file in files if file.path != str(path)}
        | shipping.fingerprint_of_spec(spec)
        | runtime.fingerprint,
        kind="file",
        take_over=take_over,
        source={str(path): text},
        modules=runtime.modules,
    )
    payload = json.dumps({"path": str(path), "class_name": loaded.name, "folders": loaded.folders}).encode()
    served = client.publish(spec.alias, head, payload)
    for message in _taken_over(served):
        report(f"fal_jupyter: {message}")
    return AppHandle(client, spec, served, methods_of(cls), None, _talks(cls), EditWatch(files))


@dataclass(frozen=True, slots=True)
class LoadedFile:
    """An app of a file that was run. *name* is the app's name there, *folders* the entries that the file needs on ``sys.path``,
    and *added_to_path* those of them that the run added."""

    path: Path
    text: str
    name: str
    cls: type[fal.App]
    folders: list[str]
    added_to_path: list[str]


def load_file(path: Path, class_name: str, project: ProjectApp | None = None) -> LoadedFile:
    """Run a file and give its app *class_name*, or its only one where that is ``""``.

    Args:
        project: supplies options that the class leaves open, and the text if the app is an entry point.

    Raises:
        BadSetting: it cannot be read, exits, or has no such app. Any exception that the file raises.
    """
    path = path.absolute()
    project_text = project.text if project is not None else None
    text = project_text if project_text is not None else read_source(path, command="fal-jupyter serve")
    fal.install()
    folders = list(dict.fromkeys([*search_folders(path), *(project.folders if project is not None else ())]))
    added = [folder for folder in folders if folder not in sys.path]
    module = run_source(path, text, folders, name=RUN_PATH if project_text is not None else None)
    name, cls = app_named(module, class_name, path, (fal.App,))
    if project is not None:
        project.configure(cls)
    return LoadedFile(path, text, name, cls, folders, added)


def methods_of(cls: type[fal.App]) -> dict[str, Callable[..., object]]:
    """Return the endpoint methods as written, by name."""
    return {name: marked.__wrapped__ for name, marked in endpoints_of(cls).items()}


def _talks(cls: type[fal.App]) -> dict[str, RealtimeOptions | None]:
    """Websocket endpoints by name, the raw ones without options."""
    routes = {name: marked.route_signature for name, marked in endpoints_of(cls).items()}
    return {name: route.realtime for name, route in routes.items() if route.is_websocket}


def folder_of(cls: type) -> Path:
    """The folder that the class's relative paths refer to: that of its module's file or of the notebook."""
    file = getattr(sys.modules.get(cls.__module__), "__file__", None)
    return Path(file).resolve().parent if file else working_directory()


def _preload_of(text: str) -> list[str]:
    return [
        name
        for name in ("numpy", "torch", "PIL")
        if (f"import {name}" in text or f"from {name}" in text) and importlib.util.find_spec(name) is not None
    ]
