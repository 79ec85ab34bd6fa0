"""Creates, finds, lists and removes the isolated environments of a state directory.

Each is a folder ``STATE/envs/NAME``; *NAME* is a digest of everything that determines what is installed. An environment is complete when its
record (``environment.json``, written last) exists; an incomplete one is created again on the next request. Its lock files are beside it.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.metadata
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from fal_jupyter.atomic_write import write_whole
from fal_jupyter.domain.environments.requirements import is_setting
from fal_jupyter.domain.errors import AppRuleBroken
from fal_jupyter.environments import installers
from fal_jupyter.environments.interpreters import find_python
from fal_jupyter.environments.lines import digest_of, installer_lines, local_places, masked

RECORD = "environment.json"
_FORMAT = 1
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


def provide(root: Path, request: EnvironmentRequest, report: Callable[[str], None]) -> tuple[Isolated, int]:
    """Return the environment of *request*, made now if it is not there yet. *report* receives the output of the installer, line by line.

    The second is a descriptor: as long as it is open, the environment is not removed. Interrupted, it ends the installer, and
    nothing half made is ever used.

    Raises:
        AppRuleBroken: it cannot be made; one sentence with the installer's own reason.
    """
    try:
        return _provide(root, request, report)
    except OSError as error:
        message = (
            f"no environment can be made for {request.class_name}: {error.strerror or error} ({error.filename or root})"
        )
        raise AppRuleBroken(message, where="requirements") from None


def _provide(root: Path, request: EnvironmentRequest, report: Callable[[str], None]) -> tuple[Isolated, int]:
    lines = installer_lines(request.requirements, request.base)
    for path in local_places(lines):
        if not path.exists():
            raise AppRuleBroken(
                f"there is no {masked(str(path))}, which {request.class_name} requires", where="requirements"
            )
    python, version = find_python(request.python)
    name = _name(lines, version or request.python)
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder = root / name
    with _locked(
        root, name, lambda: report(f"fal_jupyter: another process is making environment {name}; waiting for it")
    ):
        existing = _read(folder)
        if existing is None:
            try:
                existing = _make(folder, request, lines, python, version, lambda line: report(masked(line)))
            except BaseException:
                _forget(root, name)
                raise
        os.utime(folder / RECORD)
        users = os.open(root / f"{name}.users", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        fcntl.flock(users, fcntl.LOCK_SH)  # removal holds the lock that is held here
    return existing, users


def all_of(root: Path) -> list[Isolated]:
    """Return every environment, the most recently used first."""
    try:
        records = [_read(folder) for folder in root.iterdir() if folder.is_dir()]
    except FileNotFoundError:
        return []
    return sorted((record for record in records if record is not None), key=lambda record: -record.used)


def unfinished(root: Path) -> list[str]:
    """Return the names of incomplete folders: their installation was killed or is still running."""
    try:
        return sorted(folder.name for folder in root.iterdir() if folder.is_dir() and _read(folder) is None)
    except FileNotFoundError:
        return []


def size_of(folder: Path) -> int:
    """Return the size of its files in bytes, including those that uv shares with its cache."""
    return sum(
        os.lstat(os.path.join(directory, name)).st_size for directory, _, names in os.walk(folder) for name in names
    )  # fmt: skip


def remove(root: Path, name: str) -> bool:
    """Remove an environment, complete or not; False while it is being created or serves an app."""
    try:
        with _locked(root, name, None), _alone(root / f"{name}.users"):
            try:
                (root / name / RECORD).unlink(missing_ok=True)  # first: from now on it is not reused
            except NotADirectoryError:
                pass
            shutil.rmtree(root / name, ignore_errors=True)
            (root / f"{name}.users").unlink(missing_ok=True)
            (root / f"{name}.lock").unlink(missing_ok=True)
    except BlockingIOError:
        return False
    return True


def sweep_locks(root: Path) -> None:
    """Remove the locks of missing environments, whose installation was killed. A lock that is held stays."""
    for path in sorted(root.glob("*.lock")):
        if os.path.lexists(root / path.stem):
            continue
        try:
            with _locked(root, path.stem, None), _alone(root / f"{path.stem}.users"):
                _forget(root, path.stem)
        except OSError:
            continue  # it is about to be created


def _forget(root: Path, name: str) -> None:
    """Remove the lock files of a missing environment. The caller holds its lock; processes that wait for it create a new one."""
    if not os.path.lexists(root / name):
        (root / f"{name}.users").unlink(missing_ok=True)
        (root / f"{name}.lock").unlink(missing_ok=True)


def _name(lines: Sequence[str], version: str) -> str:
    parts = {
        "format": _FORMAT,
        "python": version,
        "machine": os.uname().machine,
        "lines": list(lines),
        "ours": _of_runners(),
        "package": _package(),
        "places": [digest_of(path) for path in local_places(lines)],
    }
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:12]


def _package() -> str:
    return os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def _of_runners() -> list[str]:
    """The packages that a runner imports: in our exact version if pickles depend on it, else within our own ranges."""
    exact = [f"{name}=={importlib.metadata.version(name)}" for name in _EXACT]
    try:
        declared = importlib.metadata.requires("fal_jupyter") or []
    except importlib.metadata.PackageNotFoundError:
        declared = []
    ranges = [line for line in declared if line.startswith(_RANGES)]
    return [*exact, *(ranges or _RANGES), "pillow"]  # as in the cloud, where fal adds it


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Raise ``BlockingIOError`` if a process has the file's shared lock."""
    users = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(users)


@contextmanager
def _locked(root: Path, name: str, waiting: Callable[[], None] | None) -> Iterator[None]:
    """Hold the lock of an environment; if it is taken, call *waiting* once and wait, or raise ``BlockingIOError`` without *waiting*."""
    path = root / f"{name}.lock"
    while True:
        lock = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if waiting is None:
                    raise
                waiting()
                fcntl.flock(lock, fcntl.LOCK_EX)
            if _is_at(lock, path):
                try:
                    yield
                finally:
                    fcntl.flock(lock, fcntl.LOCK_UN)  # a child that was forked meanwhile has it open, too
                return
        finally:
            os.close(lock)  # it was removed with its environment while we waited: try again


def _is_at(descriptor: int, path: Path) -> bool:
    """True if the open file is still the one at *path*."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _read(folder: Path) -> Isolated | None:
    try:
        record = json.loads((folder / RECORD).read_bytes())
        used = (folder / RECORD).stat().st_mtime
        record["requirements"] = tuple(record["requirements"])
        return Isolated(**{**record, "used": used, "folder": str(folder)})
    except (OSError, ValueError, TypeError, KeyError):
        return None


def _make(
    folder: Path,
    request: EnvironmentRequest,
    lines: list[str],
    python: str,
    version: str,
    report: Callable[[str], None],
) -> Isolated:
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
        write_whole(file, ("\n".join([*content, *_of_runners()]) + "\n").encode())
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
    own_pins = [pin for pin in _of_runners() if pin in why and pin not in request.requirements]
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
    link.symlink_to(_package(), target_is_directory=True)
