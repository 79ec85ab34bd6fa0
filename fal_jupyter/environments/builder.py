"""Builds one isolated environment: makes the folder, installs the requirements of an app and what runners need, and writes the record.

:mod:`fal_jupyter.environments.store` says which environment an app has, and keeps them.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from fal_jupyter.atomic_write import write_whole
from fal_jupyter.domain.environments.requirements import is_setting
from fal_jupyter.domain.errors import AppRuleBroken
from fal_jupyter.environments import installers
from fal_jupyter.environments.lines import masked

RECORD = "environment.json"
_EXACT = ("cloudpickle", "fastapi", "pydantic")  # they read our pickles; fal pins the last two alike (C15)
_WITHOUT_HASHES = {
    "uv": "leave --require-hashes out: what runners need comes without hashes, and uv checks each hash that a line gives all the same",
    "pip": "pip install uv, which checks the hashes that there are; pip wants one for everything, and what runners need comes without",
}
_RANGES = ("msgpack", "msgspec", "platformdirs", "threadpoolctl", "uvloop", "websockets")


@dataclass(frozen=True, slots=True)
class Isolated:
    """One environment. *used* is the time when it last served an app (seconds since the epoch)."""

    name: str
    folder: str
    python: str
    requirements: tuple[str, ...]
    installer: str
    made: float
    used: float = 0.0

    @property
    def interpreter(self) -> str:
        """Its interpreter."""
        return f"{self.folder}/bin/python"


@dataclass(frozen=True, slots=True)
class EnvironmentRequest:
    """The environment that an app requests: *python* is a minor version, *base* the folder that local paths are relative to."""

    requirements: Sequence[str]
    python: str
    base: Path
    class_name: str


def build(
    folder: Path,
    request: EnvironmentRequest,
    lines: list[str],
    python: str,
    version: str,
    report: Callable[[str], None],
) -> Isolated:
    """Build the environment of *request* in *folder*, or leave nothing there. *lines* are what is to be installed.

    Raises:
        AppRuleBroken: it cannot be made.
    """
    installer = installers.find_installer()
    if not python and installer.name == "pip":
        raise AppRuleBroken(
            f"{request.class_name} asks for Python {request.python}, and there is none on this machine",
            hint=f"install it (or uv, which fetches it), or write another python_version than {request.python}",
            where="python_version",
        )
    shutil.rmtree(folder, ignore_errors=True)
    began = time.monotonic()
    what = ", ".join(lines) or "nothing but what runners need"
    report(f"fal_jupyter: making an environment for {request.class_name} with {installer.name}: {what}")
    try:
        folder.mkdir(mode=0o700)
        file = folder / "requirements.txt"
        settings = [line for line in lines if is_setting(line)]
        content = [line for line in lines if not is_setting(line)]
        write_whole(file, ("\n".join([*content, *of_runners()]) + "\n").encode())
        variables = _variables(installer)
        for command in (installer.making(folder, python or request.python), installer.filling(folder, file, settings)):
            status, output = _run(command, variables, request.base, report)
            if status != 0:
                why = installers.reason(output, installer.name)
                raise _refusal(request, why, python or request.python, making=command[-1] == str(folder))
        file.unlink()  # it may contain the password of an index
        _link_us_into(folder)
        record = Isolated(
            folder.name,
            str(folder),
            version or request.python,
            tuple(map(masked, lines)),
            installer.name,
            time.time(),
            time.time(),
        )
        write_whole(folder / RECORD, json.dumps(asdict(record)).encode())
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    report(f"fal_jupyter: environment {folder.name} is ready after {time.monotonic() - began:.1f} s")
    return record


def _refusal(request: EnvironmentRequest, why: str, python: str, *, making: bool) -> AppRuleBroken:
    if making and (not why or "ensurepip" in why):
        message = f"{python} cannot make a virtual environment"
        hint = "pip install uv (or on Debian: apt-get install python3-venv)"
        return AppRuleBroken(message, hint=hint, where="requirements")
    why = why or "the installer failed and said nothing"
    own_pins = [pin for pin in of_runners() if pin in why and pin not in request.requirements]
    if own_pins:
        why = f"{why.rstrip('.')}; {' and '.join(own_pins)} is what runners need, since it is installed beside fal_jupyter"
    return AppRuleBroken(
        masked(f"no environment can be made for {request.class_name}: {why}"),
        hint=_WITHOUT_HASHES[installers.find_installer().name]
        if "--require-hashes" in why
        else "change requirements, or serve it with --env kernel and what is installed here",
        where="requirements",
    )


def _variables(installer: installers.Installer) -> dict[str, str]:
    """The installer's environment variables: ours, with pip's settings for uv."""
    variables = installers.variables_for(installer, os.environ)
    if installer.name == "pip":
        return variables
    process = subprocess.run(
        [sys.executable, "-m", "pip", "--disable-pip-version-check", "config", "list"],
        capture_output=True, text=True, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    return variables | installers.uv_variables(process.stdout if process.returncode == 0 else "", os.environ)


def _run(
    command: Sequence[str], variables: dict[str, str], cwd: Path, report: Callable[[str], None]
) -> tuple[int, str]:
    """Run an installer under a supervisor; returns its status and its output."""
    output: list[str] = []
    guarded = [sys.executable, "-P", "-m", "fal_jupyter.environments.supervisor", str(os.getpid()), *command]
    process = subprocess.Popen(
        guarded, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
        env=variables, cwd=cwd, start_new_session=True,
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        for line in map(installers.plain, process.stdout):
            output.append(line)
            if (text := line.rstrip()) and not installers.is_chatter(text):
                report(text)
        return process.wait(), "".join(output)
    finally:
        process.stdin.close()  # the supervisor ends the whole process tree
        process.stdout.close()
        process.wait()


def _link_us_into(folder: Path) -> None:
    """Make this package importable in the environment, without the other packages beside it."""
    (packages,) = folder.glob("lib/python*/site-packages")
    link = packages / "fal_jupyter"
    if link.is_dir() and not link.is_symlink():
        shutil.rmtree(link)  # a requirement installed another one
    else:
        link.unlink(missing_ok=True)
    link.symlink_to(package_folder(), target_is_directory=True)


def package_folder() -> str:
    """Return the folder of this package."""
    return os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def of_runners() -> list[str]:
    """Return the packages that a runner imports: in our exact version if pickles depend on it, else within our own ranges."""
    exact = [f"{name}=={importlib.metadata.version(name)}" for name in _EXACT]
    try:
        declared = importlib.metadata.requires("fal_jupyter") or []
    except importlib.metadata.PackageNotFoundError:
        declared = []
    ranges = [line for line in declared if line.startswith(_RANGES)]
    return [*exact, *(ranges or _RANGES), "pillow"]  # as in the cloud, where fal adds it
