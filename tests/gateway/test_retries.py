"""Retries of queued requests over the gateway's port, as fal documents them: which failures, how often, and who decides."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.clients.waiting import until
from tests.support.queue_caller import Caller
from tests.support.serve import Served, command, served

APP = """
import asyncio
import os
from pathlib import Path

import fal
from fastapi.responses import JSONResponse, StreamingResponse
from pydantic import BaseModel


class In(BaseModel):
    mark: str
    fails: int = 100
    how: str = "503"
    headers: dict[str, str] = {}
    text: str = ""


class Flaky(fal.App):
    keep_alive = 300
    min_concurrency = 1
    request_timeout = 2

    @fal.endpoint("/")
    async def run(self, input: In):
        with open(input.mark, "a") as file:
            file.write(f"{os.getpid()}\\n")
        attempt = len(Path(input.mark).read_text().split())
        print("attempt", attempt, "without a line end", end="")
        if attempt > input.fails:
            return {"attempt": attempt, "length": len(input.text)}
        if input.how == "crash":
            os._exit(3)
        if input.how == "hang":
            await asyncio.sleep(60)
        if input.how == "breaks off":
            def parts():
                yield b"first"
                raise RuntimeError("no second part")
            return StreamingResponse(parts())
        return JSONResponse({"attempt": attempt}, int(input.how), input.headers)


class Careful(Flaky):
    app_name = "careful"
    skip_retry_conditions = ["timeout"]
    retry_config = fal.sdk.RetryConfig(server_error=1)
"""
NEEDS = "X-Fal-Needs-Retry"


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("flaky") / "flaky.py"
    path.write_text(APP)
    return path


@pytest.fixture(scope="module")
def flaky(shared_state: Path, file: Path) -> Iterator[Served]:
    with served(shared_state, f"{file}::Flaky") as app:
        yield app


@pytest.fixture(scope="module")
def careful(shared_state: Path, file: Path) -> Iterator[Served]:
    with served(shared_state, f"{file}::Careful") as app:
        yield app


class Outcome:
    """A job that is over: the processes that had it, one an attempt, and its answer."""

    def __init__(self, app: Served, mark: Path, sent: dict[str, str], **body: Any) -> None:
        caller = Caller(app)
        job = caller.submit({"mark": str(mark), **body}, **sent)
        self.done = caller.wait(job)
        self.status, self.body, self.headers = caller.ask("GET", f"{caller.app}/requests/{job['request_id']}")
        self.pids = mark.read_text().split()
        self.lines = [entry["message"] for entry in self.done["logs"]]


def attempts_of(mark: Path) -> int:
    return len(mark.read_text().split()) if mark.exists() else 0


@pytest.mark.parametrize(
    ("how", "headers", "sent", "attempts", "status"),
    [
        ("503", {}, {}, 2, 200),
        ("504", {}, {}, 2, 200),
        ("crash", {}, {}, 2, 200),
        ("breaks off", {}, {}, 2, 200),
        ("hang", {}, {}, 2, 200),
        ("500", {}, {}, 1, 500),
        ("502", {}, {}, 1, 502),
        ("429", {}, {}, 1, 429),
        ("404", {NEEDS: "1"}, {}, 1, 404),
        ("302", {NEEDS: "1", "location": "/elsewhere"}, {}, 1, 302),
        ("500", {NEEDS: "true"}, {}, 2, 200),
        ("429", {NEEDS: "1"}, {}, 2, 200),
        ("503", {NEEDS: "0"}, {}, 1, 503),
        ("503", {}, {"x_fal_no_retry": "1"}, 1, 503),
        ("500", {NEEDS: "1"}, {"X_Fal_No_Retry": "yes"}, 1, 500),
        ("crash", {}, {"x_fal_no_retry": "true"}, 1, 503),
        ("503", {}, {"x_fal_no_retry": "0"}, 2, 200),
        ("503", {}, {"X_Fal_Retry_Config": '{"server_error": {"retries": 0}}'}, 1, 503),
        ("503", {}, {"X_Fal_Retry_Config": '{"timeout": {"retries": 0}, "nope": {}}'}, 2, 200),
        ("503", {}, {"X_Fal_Retry_Config": '{"server_error": 0'}, 2, 200),
        ("503", {}, {"X_Fal_Retry_Config": '{"server_error": 0}'}, 2, 200),
    ],
)
def test_a_failed_attempt_is_retried_as_documented_by_fal(
    flaky: Served,
    tmp_path: Path,
    how: str,
    headers: dict[str, str],
    sent: dict[str, str],
    attempts: int,
    status: int,
) -> None:
    outcome = Outcome(flaky, tmp_path / "mark", sent, how=how, fails=1, headers=headers)
    assert (len(outcome.pids), outcome.status) == (attempts, status)
    assert NEEDS.lower() not in outcome.headers
    retried = [line for line in outcome.lines if line.startswith("[fal_jupyter] attempt 1 of at most 10 failed")]
    assert len(retried) == attempts - 1
    if status == 200:
        assert outcome.body == {"attempt": 2, "length": 0}
        assert "error" not in outcome.done


def test_what_a_caller_sees_of_retries(flaky: Served, tmp_path: Path) -> None:
    outcome = Outcome(flaky, tmp_path / "mark", {}, how="503", fails=2, text="é" * 3_000_000)
    assert outcome.body == {"attempt": 3, "length": 3_000_000}  # the whole body was sent each time
    assert len(set(outcome.pids)) == 3  # a 503 ends its runner
    assert outcome.lines == [
        "attempt 1 without a line end",
        "[fal_jupyter] attempt 1 of at most 10 failed (503); retrying in 0.25 s",
        "attempt 2 without a line end",
        "[fal_jupyter] attempt 2 of at most 10 failed (503); retrying in 0.5 s",
        "attempt 3 without a line end",
    ]
    logged = command(flaky.state, "logs", "flaky").stdout
    assert "attempt 2 of at most 10 failed (503); retrying in 0.5 s" in logged


def test_the_classs_own_rules_bound_the_attempts_and_the_callers_replace_them(careful: Served, tmp_path: Path) -> None:
    for number, (how, sent, attempts, status) in enumerate(
        [
            ("503", {}, 2, 503),
            ("hang", {}, 1, 504),
            ("503", {"X_Fal_Retry_Config": json.dumps({"server_error": {"retries": 2}})}, 3, 503),
        ]
    ):
        outcome = Outcome(careful, tmp_path / f"mark-{number}", sent, how=how)
        assert (len(outcome.pids), outcome.status) == (attempts, status)
    assert outcome.body == {"attempt": 3}  # the answer of the last attempt
    assert (outcome.done["error"], outcome.done["error_type"]) == ("503 Service Unavailable", "runner_server_error")


def test_a_direct_call_is_never_retried(flaky: Served, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    assert flaky.request("/", {"mark": str(mark), "headers": {NEEDS: "1"}}).status == 503
    assert len(mark.read_text().split()) == 1


def test_a_callers_limit_counts_for_all_attempts_together(flaky: Served, tmp_path: Path) -> None:
    outcome = Outcome(flaky, tmp_path / "mark", {"x_fal_request_timeout": "1"}, how="504")
    assert (outcome.status, outcome.body["error_type"]) == (504, "request_timeout")
    assert outcome.headers["x-fal-request-timeout-type"] == "user"
    assert 1 < len(outcome.pids) < 5


def test_a_job_that_waits_for_its_next_attempt_is_dropped_when_it_is_cancelled(flaky: Served, tmp_path: Path) -> None:
    caller, mark = Caller(flaky), tmp_path / "mark"
    job = caller.submit({"mark": str(mark), "how": "504"})
    until(lambda: attempts_of(mark) == 4)
    caller.wait(job, "IN_QUEUE")
    status, response, _ = caller.ask("PUT", urlsplit(job["cancel_url"]).path)
    assert (status, response["status"]) == (202, "CANCELLATION_REQUESTED")
    done = caller.wait(job)
    assert (done["error_type"], len(mark.read_text().split())) == ("client_cancelled", 4)


def test_an_app_that_is_stopped_ends_its_jobs_with_the_answer_of_their_last_attempt(
    file: Path, tmp_path: Path, flaky: Served
) -> None:
    mark = tmp_path / "mark"
    with served(flaky.state, f"{file}::Flaky", "--name", "short") as app:
        caller = Caller(app)
        job = caller.submit({"mark": str(mark), "how": "504"})
        until(lambda: attempts_of(mark) == 4)
        caller.wait(job, "IN_QUEUE")
    caller.key = flaky.ready["key"]
    done = caller.wait(job)
    assert (done["error"], len(mark.read_text().split())) == ("504 Gateway Timeout", 4)
