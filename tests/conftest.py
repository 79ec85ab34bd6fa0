"""For all tests: how many examples property tests try, and what every process would do again at its start is done once."""

from __future__ import annotations

import compileall
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import gateway_forks
from tests.support.examples import load_profile
from tests.support.fixtures import state_fixture
from tests.support.webhook_receiver import WebhookReceiver, webhook_receiver

sys.modules["rfc3987_syntax"] = None  # see tests.support.jupyter
# Tests that share a Jupyter server, or the apps that clients call.
SHARED = (re.compile(r"tests/browser/"), re.compile(r"tests/server/"), re.compile(r"tests/clients/"))
load_profile()
gateway_forks.install()
state = state_fixture()


@pytest.fixture
def receiver() -> Iterator[WebhookReceiver]:
    with webhook_receiver() as running:
        yield running


def pytest_configure(config: pytest.Config) -> None:
    """Write the byte code of the package: tests start hundreds of processes, and where the environment says
    PYTHONDONTWRITEBYTECODE each of them would compile it again, for 0.2 s."""
    if not hasattr(config, "workerinput"):
        compileall.compile_dir(Path(__file__).parent.parent / "fal_jupyter", quiet=2)


def pytest_sessionfinish() -> None:
    """Write what `make coverage` has measured in this process: a worker of pytest-xdist may end without its exit handlers."""
    coverage = sys.modules.get("coverage")
    if coverage is not None and (current := coverage.Coverage.current()) is not None:
        current.save()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> object | None:
    """With ``--dist loadfile``, files whose tests share what they call go to one worker: it starts once."""
    if config.getoption("dist") != "loadfile":
        return None
    from xdist.scheduler import LoadFileScheduling

    class ByServer(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            shared = next((one.pattern for one in SHARED if one.match(nodeid)), None)
            return shared or super()._split_scope(nodeid)

    return ByServer(config, log)
