"""The fuzzed app, served once for a file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fuzz.world import World
from tests.support.serve import served
from tests.support.state import state_directory

APP = f"{Path(__file__).with_name('app.py')}::Fuzzed"
READ_TIMEOUT = 3  # seconds: half a request is answered soon


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with state_directory() as state, served(state, APP, env={"FAL_JUPYTER_READ_TIMEOUT": str(READ_TIMEOUT)}) as app:
        made = World(app)
        made.prepare()
        yield made
        made.check_end()
