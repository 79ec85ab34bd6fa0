"""What several files of tests need and nobody changes is made once in a run, also when several workers share it."""

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
    """Give the folder of the whole run; each worker of pytest-xdist has one of its own in it."""
    own = factory.getbasetemp()
    return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[], Any]) -> Any:
    """Give what *make* gives, a value of JSON. Who comes meanwhile waits; where it fails, the next one tries again."""
    kept = shared_folder(factory) / f"{name}.json"
    with open(kept.with_suffix(".lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not kept.exists():
            write_whole(kept, json.dumps(make()).encode())
    return json.loads(kept.read_text())
