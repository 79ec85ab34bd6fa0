"""``doctor FILE.py::Class``: reports differences from the cloud for the apps of a file."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from fal_jupyter.domain.errors import FalJupyterError
from fal_jupyter.secret_store import SecretStore
from fal_jupyter.settings import working_directory

if TYPE_CHECKING:
    from fal_jupyter.portability import Finding


@dataclass(frozen=True, slots=True)
class Report:
    """The findings of one app, by the name of its class."""

    app: str
    findings: list[Finding]


def examine_file(target: str, secret_store: SecretStore) -> list[Report]:
    """Examine the apps of ``FILE.py``, the app ``FILE.py::Class``, or an app named in ``pyproject.toml``.

    The file is executed, as when it is served or deployed.

    Raises:
        BadSetting: there is no such file, class or name. FalJupyterError: the file raises; the message says where.
    """
    from fal_jupyter import data_mount  # start-up
    from fal_jupyter.fal.project import app_of_target  # start-up
    from fal_jupyter.portability import Surroundings, examine  # start-up
    from fal_jupyter.portability.files import opened  # start-up

    name, _, class_name = target.partition("::")
    path = Path(name).absolute()
    project = app_of_target(target, working_directory(), command="fal-jupyter doctor")
    if project is not None:
        path, class_name = project.path, project.symbol
    secrets = frozenset(secret_store.secrets())
    try:
        with _stdout_to_stderr(), opened(path, class_name, project) as (apps, namespace):
            surroundings = Surroundings(
                folder=path.parent,
                namespace=namespace,
                file=path if path.is_file() else Path(str(namespace["__file__"])),
                imported=project is not None and project.text is not None,
                secrets=secrets,
                environ=dict(os.environ),
                data_is_mounted=data_mount.is_mounted,
            )
            return [Report(cls.__name__, examine(cls, surroundings)) for cls in apps]
    except FalJupyterError:
        raise
    except Exception as error:
        raise FalJupyterError(_describe_error(error, path), where="doctor") from error


@contextmanager
def _stdout_to_stderr() -> Iterator[None]:
    """Redirect output of the file, from any language, to standard error, to keep it out of the report and its JSON."""
    sys.stdout.flush()
    out = os.dup(1)
    os.dup2(2, 1)
    try:
        yield
    finally:
        sys.stdout.flush()
        os.dup2(out, 1)
        os.close(out)


def _describe_error(error: Exception, path: Path) -> str:
    line = error.lineno if isinstance(error, SyntaxError) else 0
    frame = error.__traceback__
    while frame is not None:
        line = frame.tb_lineno if frame.tb_frame.f_code.co_filename == str(path) else line
        frame = frame.tb_next
    return f"{path.name} cannot be run (line {line}): {type(error).__name__}: {error}"
