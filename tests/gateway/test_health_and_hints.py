"""Health checks that the gateway makes, and requests that find the runner which has what they want."""

from __future__ import annotations

import json
import os
import select
import threading
import urllib.request
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.clients.waiting import until
from tests.support.serve import Served, command, runners, served

APP = """
import os

import fal
from fastapi import Response


class Sick(fal.App):
    app_name = "sick"
    startup_timeout = 1
    max_multiplexing = 2
    keep_alive = 300
    min_concurrency = 1

    def setup(self):
        self.sick, self.checks = False, 0

    @fal.endpoint("/health", health_check=fal.HealthCheck(start_period_seconds=0, timeout_seconds=1, failure_threshold=1))
    def check(self):
        self.checks += 1
        if self.sick:
            raise RuntimeError("lost the database")
        return {"ok": True}

    @fal.endpoint("/pid")
    async def pid(self) -> int:
        return os.getpid()

    @fal.endpoint("/checks")
    async def count(self) -> int:
        return self.checks

    @fal.endpoint("/fall-ill")
    async def fall_ill(self, now: bool, response: Response) -> int:
        self.sick = True
        if now:
            response.headers["x-fal-runner-health-check"] = "1"
        return os.getpid()

    @fal.endpoint("/verify")
    async def verify(self, response: Response) -> int:
        response.headers["x-fal-runner-health-check"] = "1"
        return os.getpid()

    @fal.endpoint("/busy")
    def busy(self, pipe: str) -> int:
        open(pipe).read()
        return os.getpid()


class Unasked(Sick):
    app_name = "unasked"

    @fal.endpoint("/health", health_check=fal.HealthCheck(timeout_seconds=1, call_regularly=False))
    def check(self):
        return super().check()


class Warm(fal.App):
    app_name = "warm"
    min_concurrency = 2
    max_concurrency = 2
    keep_alive = 300

    def setup(self):
        self.models = []

    def provide_hints(self):
        return self.models

    @fal.endpoint("/")
    def run(self, model: str) -> int:
        if model not in self.models:
            self.models.append(model)
        return os.getpid()
"""


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("apps") / "apps.py"
    path.write_text(APP)
    return path


@pytest.fixture
def sick(shared_state: Path, file: Path) -> Iterator[Served]:
    with served(
        shared_state, f"{file}::Sick", "--name", f"sick-{uuid.uuid4().hex[:8]}"
    ) as app:  # with a log of its own
        yield app


@pytest.fixture
def unasked(shared_state: Path, file: Path) -> Iterator[Served]:
    """The same without regular checks: an answer's header alone causes one."""
    with served(shared_state, f"{file}::Unasked", "--name", f"unasked-{uuid.uuid4().hex[:8]}") as app:
        yield app


def runners_of(app: Served) -> list[dict[str, Any]]:
    return [runner for runner in runners(app.state) if runner["app"] == app.ready["app"]]


def log_of(app: Served) -> str:
    return command(app.state, "logs", app.ready["app"].partition("/")[2]).stdout


def gone(pid: int, seconds: float = 30) -> bool:
    end = os.pidfd_open(pid)
    try:
        return bool(select.select([end], [], [], seconds)[0])
    finally:
        os.close(end)


def test_a_failed_check_replaces_the_runner_and_logs_the_reason(sick: Served) -> None:
    pid = sick.request("/fall-ill?now=false").json

    assert gone(pid)  # at the first regular check, 15 s after it was ready
    assert sick.request("/pid").json != pid
    logged = log_of(sick)
    assert "its health check failed (POST /health answered 500" in logged
    assert "RuntimeError: lost the database" in logged


def test_an_answer_requests_an_immediate_check(unasked: Served) -> None:
    pid = unasked.request("/verify").json
    until(lambda: unasked.request("/checks").json >= 1)  # the check is beside the requests, and healthy
    assert unasked.request("/pid").json == pid

    assert unasked.request("/fall-ill?now=true").json == pid

    assert gone(pid)
    assert unasked.request("/pid").json != pid
    assert [r for r in runners_of(unasked) if r["pid"] == pid] == []


def test_a_check_takes_no_requests_place_and_a_busy_runner_finishes_first(unasked: Served, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    answers: list[int] = []
    busy = threading.Thread(target=lambda: answers.append(unasked.request(f"/busy?pipe={tmp_path / 'pipe'}").json))
    busy.start()
    until(lambda: [r for r in runners_of(unasked) if r["in_flight"]])
    pid = unasked.request("/fall-ill?now=true").json  # with a sync endpoint at work, the check is answered all the same
    until(lambda: "gets no new requests" in log_of(unasked))
    other = unasked.request("/pid").json

    assert other != pid
    (old,) = [r for r in runners_of(unasked) if r["pid"] == pid]
    assert (old["state"], old["in_flight"]) == ("DRAINING", 1)
    assert old["served"] == 2  # the check is no request
    (tmp_path / "pipe").write_text("go on")
    busy.join(60)
    assert answers == [pid]


def test_a_hint_finds_the_runner_that_has_what_it_wants(shared_state: Path, file: Path) -> None:
    with served(shared_state, f"{file}::Warm") as app:
        until(lambda: len([r for r in runners_of(app) if r["state"] == "IDLE"]) == 2)
        flux = app.request("/?model=flux").json
        others = {
            app.request(f"/?model=other{n}", headers={"x-fal-runner-hint": "nobody has this"}).status for n in range(3)
        }
        assert others == {200}
        pids = {r["pid"] for r in runners_of(app)}
        (second,) = pids - {flux}

        hinted = [app.request("/?model=flux", headers={"x-fal-runner-hint": "flux"}).json for _ in range(5)]
        assert hinted == [flux] * 5

        answer = app.request("/?model=flux")
        assert "flux" in answer.headers["x-fal-runner-hints"].split(",")
        queued = ask(app, f"/queue/{app.ready['app']}?model=flux", b"{}", {"x-fal-runner-hint": "flux"})
        place = f"/queue/{app.ready['app']}/requests/{json.loads(queued)['request_id']}"
        assert b"COMPLETED" in ask(app, f"{place}/status/stream")  # read to its end
        assert json.loads(ask(app, place)) == flux
        assert second in pids


def ask(app: Served, path: str, body: bytes | None = None, headers: dict[str, str] | None = None) -> bytes:
    sent = {"authorization": f"Key {app.ready['key']}", "content-type": "application/json", **(headers or {})}
    request = urllib.request.Request(app.ready["base"] + path, data=body, headers=sent)
    with urllib.request.urlopen(request, timeout=30) as answer:
        data: bytes = answer.read()
    return data
