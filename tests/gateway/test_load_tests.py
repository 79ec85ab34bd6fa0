"""Load on an app, for a panel: as many calls at a time as were asked for, reports that add up, an end when nobody watches."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from fal_jupyter.client.client import Client
from fal_jupyter.settings import read
from tests.clients.waiting import until
from tests.support.serve import Served, served

APP = """
import asyncio
from pathlib import Path

import fal


class Busy(fal.App):
    app_name = "busy"
    max_multiplexing = 64
    now = most = 0

    @fal.endpoint("/")
    async def work(self, fail: bool = False, gate: str = "") -> dict:
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            await asyncio.sleep(0.02)
            while gate and not Path(gate).exists():
                await asyncio.sleep(0.01)
        finally:
            self.now -= 1
        if fail:
            raise ValueError("asked for")
        return {"big": "x" * 1000}

    @fal.endpoint("/most")
    def seen(self) -> int:
        found, self.most = self.most, 0
        return found
"""


@pytest.fixture(scope="module")
def busy(shared_state: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    path = tmp_path_factory.mktemp("app") / "app.py"
    path.write_text(APP)
    with served(shared_state, f"{path}::Busy") as app:
        yield app


@pytest.fixture
def client(busy: Served) -> Client:
    return Client(read({"FAL_JUPYTER_STATE": str(busy.state)}))


def load(client: Client, calls: object, at_once: object, body: dict[str, Any] | None = None, path: str = "/") -> Any:
    query = urlencode({"path": path, "calls": calls, "at_once": at_once})
    return client.control.open("POST", f"/admin/apps/busy/load?{query}", body=json.dumps(body or {}).encode())


def reports(answer: Any) -> list[dict[str, Any]]:
    return [json.loads(line) for line in b"".join(answer).splitlines()]


def test_the_requested_number_of_calls_runs_concurrently(busy: Served, client: Client) -> None:
    found = reports(load(client, 60, 7))
    last = found[-1]
    assert (last["done"], last["failed"], last["running"], last["total"], last["over"]) == (60, 0, 0, 60, True)
    assert 20 <= last["p50_ms"] <= last["p95_ms"] <= last["max_ms"]
    assert last["rate"] == pytest.approx(60 / last["seconds"], rel=0.01)
    assert not any(report["over"] for report in found[:-1])
    assert busy.request("/most").json == 7
    snapshot = client.control.snapshot()
    assert snapshot is not None
    assert sum(request["origin"] == "load" for request in snapshot["requests"]) == 60


def test_failures_are_counted(client: Client) -> None:
    last = reports(load(client, 5, 20, {"fail": True}))[-1]
    assert (last["done"], last["failed"]) == (5, 5)
    assert (last["p50_ms"], last["max_ms"]) == (0, 0)  # of calls that succeeded


def test_its_times_are_those_of_the_table_of_requests(client: Client) -> None:
    last = reports(load(client, 5, 1))[-1]
    snapshot = client.control.snapshot()
    assert snapshot is not None
    newest = sorted(snapshot["requests"], key=lambda request: -request["began"])[:5]
    totals = sorted(request["total_ms"] for request in newest)
    assert (last["p50_ms"], last["max_ms"]) == (pytest.approx(totals[2], abs=0.1), pytest.approx(totals[4], abs=0.1))


def test_a_load_test_without_listeners_ends_with_its_calls(busy: Served, client: Client, tmp_path: Path) -> None:
    busy.request("/most")  # what was before does not count
    answer = load(client, 1000, 4, {"gate": str(tmp_path / "never")})
    assert json.loads(next(iter(answer)).splitlines()[0])["running"] == 4
    answer.close()

    def in_flight() -> int:
        (app,) = [app for app in client.control.apps() if app["app"] == busy.ready["app"]]
        return app["in_flight"]

    until(lambda: in_flight() == 0)
    assert busy.request("/most").json == 4  # no other call was begun
    assert busy.request("/").status == 200


@pytest.mark.parametrize(
    ("calls", "at_once", "path"),
    [(0, 1, "/"), (1, 0, "/"), (100_001, 1, "/"), ("x", 1, "/"), (1, 257, "/"), (1, 1, "/../x")],
)
def test_what_makes_no_sense_is_refused(client: Client, calls: object, at_once: object, path: str) -> None:
    query = urlencode({"path": path, "calls": calls, "at_once": at_once})
    assert client.control.ask("POST", f"/admin/apps/busy/load?{query}", b"{}")[0] == 400
