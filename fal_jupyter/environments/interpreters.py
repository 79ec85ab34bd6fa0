"""Finds the interpreter of a Python version on this machine."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

_PRINT_VERSION = "import platform; print(platform.python_version())"
PATIENCE = 10.0


def version_here() -> str:
    """Return the minor version of this interpreter, as ``"3.11"``."""
    return f"{sys.version_info[0]}.{sys.version_info[1]}"


def find_python(minor: str) -> tuple[str, str]:
    """Return the path and the full version of an interpreter of version *minor*, or two empty strings.

    This interpreter comes first, then ``PATH``, then pyenv's versions. Each one is run to check it: a shim of pyenv may have no target.
    """
    if minor == version_here():
        return sys.executable, platform.python_version()
    for candidate in _candidates(minor):
        if (version := _version(candidate)).startswith(f"{minor}."):
            return candidate, version
    return "", ""


def _candidates(minor: str) -> Iterator[str]:
    for folder in os.get_exec_path():
        if os.access(path := os.path.join(folder, f"python{minor}"), os.X_OK):
            yield path
    root = Path(os.environ.get("PYENV_ROOT") or os.path.expanduser("~/.pyenv"))
    yield from (str(path) for path in sorted(root.glob(f"versions/{minor}.*/bin/python"), reverse=True))


def _version(python: str) -> str:
    try:
        process = subprocess.run([python, "-I", "-c", _PRINT_VERSION], capture_output=True, text=True, timeout=PATIENCE)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return process.stdout.strip()
