"""From a class, or a file with one, to a running app: describe, pack, publish, bind, wait."""

from __future__ import annotations

import importlib.util
import json
import linecache
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from fal_jupyter import fal, shipping
from fal_jupyter.client.client import Client
from fal_jupyter.client.handle import AppHandle
from fal_jupyter.client.homes import find_home
from fal_jupyter.domain.errors import BadSetting
from fal_jupyter.domain.spec import AppSpec
from fal_jupyter.fal.adopt import adopted
from fal_jupyter.fal.endpoints import endpoints_of
from fal_jupyter.fal.realtime import RealtimeOptions
from fal_jupyter.protocol.api import Event, PublishHead
from fal_jupyter.settings import Settings


def say_nothing(line: str) -> None:
    """Hear how an environment is made, and keep it to oneself."""


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
    say: Callable[[str], None] = say_nothing,
) -> AppHandle:
    """Run *cls* as an app of this process, and bind its endpoints to it.

    Args:
        env: where its runners live: ``kernel``, ``isolated``, or ``auto``, here if this environment meets its requirements.
        say: hears, line by line, how an environment is made.

    Raises:
        AppRuleBroken: the class or an option breaks a rule, or no environment has what it requires. NotPicklable: it captures what cannot travel.
        AppTaken: another living owner has the name. SetupFailed: the first runner could not start (with *wait*).
    """
    cls = adopted(cls)
    spec = fal.describe(cls, overrides)
    shipment = shipping.pack(cls, namespace=namespace, cell_of=cell_of)
    client = client or Client(settings)
    home = find_home(
        cls, spec, client, mode=env, base=_folder_of(cls), by_value=True, preload=shipment.preload, say=say
    )
    shipment.warnings.extend(home.told)
    head = PublishHead(
        lease="",
        spec=spec.to_json(),
        environment=home.environment,
        fingerprint=shipment.fingerprint | shipping.fingerprint_of_spec(spec) | home.fingerprint,
        kind="pickle",
        take_over=take_over,
        source=shipment.source,
        modules=home.modules,
    )
    shipment.warnings.extend(missing_secrets(spec, client))
    handle = AppHandle(
        client, spec, client.publish(spec.alias, head, shipment.payload), _methods(cls), shipment, _talks(cls)
    )
    fal.bind(cls, handle)
    if wait:
        handle.wait(on_event)
    return handle


def missing_secrets(spec: AppSpec, client: Client) -> list[str]:
    """Say which secrets the class names that are not set here."""
    if not spec.secrets:
        return []
    known = client.vault.secrets()
    missing = [name for name in spec.secrets if name not in known]
    return [f"the secret {name} is not set; type: fal-jupyter secrets set {name}" for name in missing]


def serve_file(
    path: Path,
    class_name: str,
    *,
    client: Client,
    overrides: Mapping[str, object] | None = None,
    take_over: bool = False,
    env: str = "auto",
    say: Callable[[str], None] = say_nothing,
) -> AppHandle:
    """Publish a class of a Python file; runners read the text as it is now. Does not wait.

    Args:
        class_name: ``""`` where the file has exactly one app. env, say: as of :func:`serve`.
    """
    path = path.absolute()
    try:
        text = path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise BadSetting(f"{path} cannot be read: {error}", hint="fal-jupyter serve FILE.py::Class") from None
    cls = _class_of(_load(path, text), class_name, path)
    spec = fal.describe(cls, overrides)
    home = find_home(cls, spec, client, mode=env, base=path.parent, by_value=False, preload=_preload_of(text), say=say)
    for told in home.told:
        say(f"fal_jupyter: {told}")
    head = PublishHead(
        lease="",
        spec=spec.to_json(),
        environment=home.environment,
        fingerprint={f"class {cls.__name__}": text} | shipping.fingerprint_of_spec(spec) | home.fingerprint,
        kind="file",
        take_over=take_over,
        source={str(path): text},
        modules=home.modules,
    )
    payload = json.dumps({"path": str(path), "class_name": cls.__name__}).encode()
    return AppHandle(client, spec, client.publish(spec.alias, head, payload), _methods(cls), None, _talks(cls))


def _load(path: Path, text: str) -> ModuleType:
    """Run the user's file as a module of its own name, to see its classes."""
    fal.install()
    module = ModuleType(path.stem)
    module.__file__ = str(path)
    sys.modules[path.stem] = module
    sys.path.insert(0, str(path.parent))
    linecache.cache[str(path)] = (len(text), None, text.splitlines(keepends=True), str(path))
    try:
        exec(compile(text, str(path), "exec", dont_inherit=True), module.__dict__)
    except SystemExit as stop:
        raise BadSetting(f"{path.name} ended itself while it was read: SystemExit({stop.code!r})") from None
    return module


def _class_of(module: ModuleType, name: str, path: Path) -> Any:
    apps = {
        key: value
        for key, value in vars(module).items()
        if isinstance(value, type) and issubclass(value, fal.App) and value.__module__ == module.__name__
    }
    if name:
        if name not in apps:
            known = f"it has {', '.join(apps)}" if apps else "it has no fal.App class at all"
            raise BadSetting(f"{path.name} has no app {name!r}", hint=known)
        return apps[name]
    if len(apps) != 1:
        told = (
            f"it has {', '.join(apps)}: write {path.name}::{next(iter(apps))} for the first"
            if apps
            else "write a class that inherits from fal.App"
        )
        raise BadSetting(f"{path.name} has {len(apps)} apps", hint=told)
    return next(iter(apps.values()))


def _methods(cls: Any) -> dict[str, Callable[..., Any]]:
    return {name: marked.__wrapped__ for name, marked in endpoints_of(cls).items()}


def _talks(cls: Any) -> dict[str, RealtimeOptions | None]:
    """Websocket endpoints by name, the raw ones without options."""
    routes = {name: marked.route_signature for name, marked in endpoints_of(cls).items()}
    return {name: route.realtime for name, route in routes.items() if route.is_websocket}


def _folder_of(cls: type) -> Path:
    """The folder that the class's local places are relative to: of its module's file, or where the notebook is."""
    file = getattr(sys.modules.get(cls.__module__), "__file__", None)
    return Path(file).resolve().parent if file else Path.cwd()


def _preload_of(text: str) -> list[str]:
    return [
        name
        for name in ("numpy", "torch", "PIL")
        if (f"import {name}" in text or f"from {name}" in text) and importlib.util.find_spec(name) is not None
    ]
