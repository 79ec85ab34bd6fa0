from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.kernel import Kernel, kernel
from tests.support.serve import kept_state


@pytest.fixture(scope="session")
def shared_state() -> Iterator[Path]:
    """One state directory for tests that harm no gateway; each tells its apps by name."""
    with kept_state() as path:
        yield path


@pytest.fixture
def notebook(state: Path, tmp_path: Path) -> Iterator[Kernel]:
    with kernel(state, tmp_path) as running:
        running.run("%load_ext fal_jupyter").ok()
        yield running
