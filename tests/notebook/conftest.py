from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.kernel import Kernel, kernel
from tests.support.state import state_directory


@pytest.fixture(scope="module")
def state() -> Iterator[Path]:
    with state_directory() as path:
        yield path


@pytest.fixture(scope="module")
def notebook(state: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    """One kernel for all tests of a file; each test uses names of its own."""
    with kernel(state, tmp_path_factory.mktemp("notebook")) as running:
        running.run("%load_ext fal_jupyter").ok()
        yield running
