"""Values that several test files use read-only: made once per test run, even with several workers."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fal_jupyter.atomic_write import write_whole


def shared_folder(factory: pytest.TempPathFactory) -> Path:
    """Return the folder of the whole run, which contains one folder per worker of pytest-xdist."""
    own = factory.getbasetemp()
    return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[], Any]) -> Any:
    """Return the result of *make*, a JSON value. Other workers wait meanwhile; after a failure the next caller tries again."""
    kept = shared_folder(factory) / f"{name}.json"
    with open(kept.with_suffix(".lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not kept.exists():
            write_whole(kept, json.dumps(make()).encode())
    return json.loads(kept.read_text())
