from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.kernel import Kernel
from tests.support.serve import apps, doctor
from tests.support.state import state_directory


@pytest.fixture(scope="session")
def one_state() -> Iterator[Path]:
    """A state directory for all of these files: its gateway and its template start once."""
    with state_directory() as path:
        yield path


@pytest.fixture(scope="module")
def state(one_state: Path) -> Iterator[Path]:
    """The state directory for the tests of a file, which must leave neither apps nor processes to the next file."""
    yield one_state
    deadline = time.monotonic() + 15
    while True:
        processes = doctor(one_state)["processes"]
        left = [process for process in processes if process["role"] not in {"gateway", "template"}] + apps(one_state)
        if not left:
            return
        assert time.monotonic() < deadline, f"left behind for the next file: {left}"
        time.sleep(0.1)


@pytest.fixture(scope="module")
def notebook(state: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    """One kernel for all tests of a file; each test uses names of its own."""
    running = Kernel(state, tmp_path_factory.mktemp("notebook"))
    try:
        running.run("%load_ext fal_jupyter").ok()
        yield running
    finally:
        running.close(now=True)  # a tidy end takes 0.3 s; other tests have it
