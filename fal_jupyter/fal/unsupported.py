"""What the real package has and this one does not have yet: one sentence each, wherever the user meets it."""

from __future__ import annotations

import dis
import importlib
import sys
from types import FrameType, ModuleType
from typing import Any, NoReturn

from fal_jupyter.domain.errors import UserError

_IMPORT_FROM = dis.opmap["IMPORT_FROM"]

LATER = {
    "workflows": "fal.workflows",
    "wma": "fal.wma",
    "auth": "fal.auth",
    "config": "fal.config",
    "files": "fal.files",
    **{
        f"api.{name}": f"fal.api.{name}"
        for name in ("client", "deploy", "environments", "keys", "run", "runners", "secrets")
    },
}
"""Modules of the real package that are not here yet, and what they are called in a sentence: they and their names can be imported."""

_OF_API = (
    "AppsNamespace", "Credentials", "FalServerlessClient", "FalServerlessConnection", "HostedRunState", "KeysNamespace",
    "MachineRequirements", "RegisterApplicationResult", "RunnersNamespace", "SecretsNamespace", "ServedIsolatedFunction",
    "SpawnInfo", "SpawnResultHandler", "SyncServerlessClient", "get_agent_credentials", "get_credentials",
)  # fmt: skip
_OF_SDK = (
    "AliasInfo", "ApplicationInfo", "AuthenticatedCredentials", "BuildEnvironmentResult", "Credentials",
    "DeploymentStrategy", "EnvironmentInfo", "FalServerlessClient", "FalServerlessConnection", "HostedRunResult",
    "HostedRunState", "HostedRunStatus", "KeyPreset", "KeyScope", "LocalCredentials", "MachineRequirements",
    "RegisterApplicationResult", "RegisterApplicationResultType", "RemoteCredentials", "RunnerInfo",
    "ServerCredentials", "ServerlessSecret", "ServiceURLs", "UserAccess", "UserKeyInfo", "WorkerStatus",
    "get_agent_credentials", "get_credentials", "get_default_server_credentials",
)  # fmt: skip
PLATFORM_NAMES = frozenset({f"api.{name}" for name in _OF_API} | {f"sdk.{name}" for name in _OF_SDK})
"""Names of modules that are here, for talking to the platform: they can be imported, and say at any other use that they are not here."""

REST_CLIENT = "openapi_fal_rest"
"""The package that the real ``fal`` brings beside itself, the client of the platform's REST API."""

USED_ONLY = {"distributed": "fal.distributed", **LATER}
"""Parts that can be imported, and say that they are not here yet when they are used."""

ADVICE = (
    "everything else of `fal` that is not here needs the real package: pip install fal, then `%fal config fal real`"
)


class ComesLater(UserError, AttributeError):
    """A part of ``fal`` that a later version of ``fal_jupyter`` brings."""

    status = 501


def sentence_for(name: str) -> str:
    """Say that the public name *name* of the real package comes later."""
    if name.partition(".")[0] in USED_ONLY:
        return f"fal_jupyter does not have {USED_ONLY.get(name, f'fal.{name}')} yet"
    return f"fal_jupyter does not have fal.{name}"


def refuse(module: str, name: str, caller: FrameType) -> Any:
    """Say that *module* of ``fal`` has no *name*. *caller* is the frame that asked. A name of :data:`LATER` or :data:`PLATFORM_NAMES` is
    given, and says so when it is used.

    ``from module import name`` throws the text of an ``AttributeError`` away, so there it is an ``ImportError``.

    Raises:
        ImportError: the caller imports the name.
        ComesLater: the caller reads the attribute.
        AttributeError: it is a name of Python's own protocols.
    """
    if name.startswith("__"):
        raise AttributeError(f"module {module!r} has no attribute {name!r}")
    path = f"{module.partition('.')[2]}.{name}".lstrip(".")
    if path in LATER and module in sys.modules:  # under its name of the real package
        return importlib.import_module(f"{module}.{name}")
    if path in PLATFORM_NAMES:
        return _absent(name, module)
    sentence = sentence_for(path)
    if _imports(caller):
        raise ImportError(sentence, name=module)
    raise ComesLater(sentence)


def _imports(caller: FrameType) -> bool:
    return caller.f_lasti >= 0 and caller.f_code.co_code[caller.f_lasti] == _IMPORT_FROM


class _Absent(type):
    """Makes the names of a :class:`Part`: each can be imported, annotated with and inherited from, and says at any other use that it is not here."""

    _sentence: str

    def __call__(cls, *_: Any, **__: Any) -> NoReturn:
        raise ComesLater(cls._sentence)

    def __getattr__(cls, name: str) -> NoReturn:
        if name.startswith("__"):
            raise AttributeError(name)
        raise ComesLater(cls._sentence)


def _absent(name: str, module: str) -> _Absent:
    kind = Exception if name.endswith(("Error", "Exception")) else object  # to stand behind "except"
    whole = f"{module}.{name}"
    sentence = sentence_for(whole.removeprefix("fal."))
    if module.partition(".")[0] == REST_CLIENT:
        sentence = f"fal_jupyter does not have {whole}, which asks fal's platform"
    return _Absent(name, (kind,), {"__module__": module, "_sentence": sentence})


class Part(ModuleType):
    """A module of :data:`LATER` or of :data:`REST_CLIENT`, or one below it, for files that import it at their top."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or (name.startswith("_") and not _imports(sys._getframe(1))):
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        absent = _absent(name, self.__name__)
        setattr(self, name, absent)
        return absent


def explain_missing(module: ModuleType, name: str) -> None:
    """Let *module*, which is imported as *name* (``fal.sdk``), say in a sentence what it does not have, modules below it too."""
    vars(module).setdefault("__getattr__", lambda attribute: refuse(name, attribute, sys._getframe(1)))
    vars(module).setdefault("__path__", [])
