"""The apps of ``app.py`` behind one gateway for all of these files, served as a user serves them, and fal's own clients for it."""

from __future__ import annotations

import gc
import shutil
import uuid
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fal_client
import pytest

import fal_jupyter
from tests.support.serve import Served, served
from tests.support.state import state_directory

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def many(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    path = tmp_path_factory.mktemp("apps") / "apps.py"
    shutil.copy(HERE / "app.py", path)
    with state_directory() as state, served(state, f"{path}::Many") as app:
        yield app


@pytest.fixture(scope="session")
def single(many: Served, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    path = tmp_path_factory.mktemp("apps") / "apps.py"
    shutil.copy(HERE / "app.py", path)
    with served(many.state, f"{path}::Single") as app:
        yield app


@pytest.fixture
def client_of() -> Iterator[Callable[[str, str | None], fal_client.SyncClient]]:
    """Makes real clients, and closes their connections at the end, which they never do by themselves."""
    made: list[fal_client.SyncClient] = []

    def make(base: str, key: str | None) -> fal_client.SyncClient:
        made.append(fal_jupyter.fal_client(base, key))
        return made[-1]

    yield make
    for client in made:
        if "_client" in vars(client):
            client._client.close()


@pytest.fixture(scope="package", autouse=True)
def _modules_set_aside() -> Iterator[None]:
    """What all tests have imported is not looked through again by each collection below: that took 0.1 s for each test."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture(autouse=True)
def _forgotten(_modules_set_aside: None) -> Iterator[None]:
    """fal_client never closes a connection: what a test left is collected with it, not while another one runs."""
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


@pytest.fixture
def client(many: Served, client_of: Callable[..., fal_client.SyncClient]) -> fal_client.SyncClient:
    """A real client, new for each test."""
    return client_of(many.ready["base"], many.ready["key"])


@pytest.fixture
def app(many: Served) -> str:
    name: str = many.ready["app"]
    return name


@pytest.fixture
def queued(single: Served) -> str:
    name: str = single.ready["app"]
    return name


@pytest.fixture
def asked(client: fal_client.SyncClient, app: str) -> Callable[[str], Any]:
    """How often an endpoint was reached under a name."""
    return lambda name: client.run(app, {"name": name}, path="/asked")


@pytest.fixture
def name() -> str:
    return uuid.uuid4().hex
