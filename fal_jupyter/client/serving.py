"""From a class, or a file with one, to a running app: describe, pack, publish, bind, wait."""

from __future__ import annotations

import importlib.util
import json
import linecache
import os
import site
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from fal_jupyter import fal, shipping
from fal_jupyter.client.client import Client
from fal_jupyter.client.handle import AppHandle
from fal_jupyter.domain.errors import AppRuleBroken, BadSetting
from fal_jupyter.domain.spec import AppSpec
from fal_jupyter.fal.adopt import adopted
from fal_jupyter.fal.endpoints import endpoints_of
from fal_jupyter.fal.realtime import RealtimeOptions
from fal_jupyter.protocol.api import Environment, Event, PublishHead
from fal_jupyter.settings import Settings


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
) -> AppHandle:
    """Run *cls* as an app of this process, and bind its endpoints to it.

    Raises:
        AppRuleBroken: the class or an option breaks a rule. NotPicklable: it captures what cannot travel.
        AppTaken: another living owner has the name. SetupFailed: the first runner could not start (with *wait*).
    """
    cls = adopted(cls)
    spec = fal.describe(cls, overrides)
    _check_requirements(spec)
    shipment = shipping.pack(cls, namespace=namespace, cell_of=cell_of)
    modules = _local_modules(cls)
    shipment.warnings.extend(_warn_of_missing(modules))
    environment = environment_here(shipment.preload)
    head = PublishHead(
        lease="",
        spec=spec.to_json(),
        environment=environment,
        fingerprint=shipment.fingerprint
        | shipping.fingerprint_of_spec(spec)
        | shipping.fingerprint_of_modules(modules)
        | shipping.fingerprint_of_environment(environment),
        kind="pickle",
        take_over=take_over,
        source=shipment.source,
    )
    client = client or Client(settings)
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
) -> AppHandle:
    """Publish a class of a Python file; runners read the text as it is now. Does not wait.

    Args:
        class_name: ``""`` where the file has exactly one app.
    """
    path = path.absolute()
    try:
        text = path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise BadSetting(f"{path} cannot be read: {error}", hint="fal-jupyter serve FILE.py::Class") from None
    cls = _class_of(_load(path, text), class_name, path)
    spec = fal.describe(cls, overrides)
    _check_requirements(spec)
    environment = environment_here(_preload_of(text))
    head = PublishHead(
        lease="",
        spec=spec.to_json(),
        environment=environment,
        fingerprint={f"class {cls.__name__}": text}
        | shipping.fingerprint_of_spec(spec)
        | shipping.fingerprint_of_modules(_local_modules(cls))
        | shipping.fingerprint_of_environment(environment),
        kind="file",
        take_over=take_over,
        source={str(path): text},
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


def _local_modules(cls: Any) -> list[str]:
    return list(cls.local_python_modules or ())


def _warn_of_missing(modules: list[str]) -> list[str]:
    return [
        f"local_python_modules names {name!r}, which cannot be imported here"
        for name in shipping.missing_modules(modules)
    ]


def _check_requirements(spec: AppSpec) -> None:
    told = fal.check_requirements(list(spec.requirements))
    if told:
        raise AppRuleBroken(
            f"{spec.class_name} asks for what this environment does not have: {'; '.join(told)}",
            hint=f"pip install {' '.join(repr(r) if any(c in r for c in '<>= ') else r for r in spec.requirements)}",
            where="requirements",
        )


def environment_here(preload: list[str]) -> Environment:
    """Where this process stands: what its runners shall have."""
    path = [os.path.abspath(entry) if entry else os.getcwd() for entry in sys.path]
    return Environment(
        python=sys.executable,
        env=dict(os.environ),
        cwd=os.getcwd(),
        sys_path=list(dict.fromkeys(path)),
        preload=[name for name in preload if _is_of_this_interpreter(name)],
    )


def _is_of_this_interpreter(module: str) -> bool:
    """True where a runner's template, which knows none of our path, would import the same module as we do."""
    try:
        found = importlib.util.find_spec(module)
    except ValueError:  # loaded without a spec
        return False
    places = [*site.getsitepackages(), site.getusersitepackages()]
    return found is not None and any(str(found.origin).startswith(place + os.sep) for place in places)


def _preload_of(text: str) -> list[str]:
    return [
        name
        for name in ("numpy", "torch", "PIL")
        if (f"import {name}" in text or f"from {name}" in text) and importlib.util.find_spec(name) is not None
    ]
