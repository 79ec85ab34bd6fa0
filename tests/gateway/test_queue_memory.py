"""What the queue holds in memory: bodies are freed when their jobs are over, and what is too much is refused."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
import pytest

from tests.clients.waiting import until
from tests.support.queue_caller import Caller
from tests.support.serve import Served, doctor, served
from tests.support.state import state_directory

APP = """
import time
from pathlib import Path

import fal
from fastapi import Request
from fastapi.responses import StreamingResponse


class Held(fal.App):
    max_concurrency = 1
    min_concurrency = 1

    @fal.endpoint("/")
    def run(self, request: Request, release: str = "") -> dict:
        while release and not Path(release).exists():
            time.sleep(0.01)
        return {}

    @fal.endpoint("/large")
    def large(self, size: int) -> StreamingResponse:
        return StreamingResponse((b"x" * 65536 for _ in range(size // 65536)), media_type="application/octet-stream")
"""
MIB = 1 << 20
LIMITS = {"FAL_JUPYTER_QUEUE_BYTES": str(16 * MIB), "FAL_JUPYTER_QUEUE_LENGTH": "40"}


@pytest.fixture(scope="module")
def jobs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with state_directory() as state:
        path = tmp_path_factory.mktemp("jobs") / "jobs.py"
        path.write_text(APP)
        with served(state, f"{path}::Held", env=LIMITS) as one:
            yield one


@pytest.fixture
def caller(jobs: Served) -> Caller:
    return Caller(jobs)


@pytest.fixture
def busy_runner(caller: Caller, tmp_path: Path) -> Iterator[None]:
    """The only runner is busy until the test is over."""
    release = tmp_path / "release"
    job = caller.submit(below=f"?release={release}")
    caller.wait(job, "IN_PROGRESS")
    yield
    release.touch()
    caller.wait(job)


def submit(caller: Caller, body: bytes, **headers: str) -> tuple[int, dict[str, Any], dict[str, str]]:
    connection = http.client.HTTPConnection(caller.host, timeout=30)
    sent = {"authorization": f"Key {caller.key}", **headers}
    connection.request("POST", f"/queue/{caller.app}", body, sent)
    answer = connection.getresponse()
    found = answer.status, json.loads(answer.read()), {name.lower(): value for name, value in answer.getheaders()}
    connection.close()
    return found


def cancel(caller: Caller, job: dict[str, Any]) -> None:
    assert caller.ask("PUT", urlsplit(job["cancel_url"]).path)[0] == 202


@pytest.mark.long
@pytest.mark.parametrize("count", [100, 1000])
def test_bodies_of_cancelled_jobs_are_freed(caller: Caller, busy_runner: None, jobs: Served, count: int) -> None:
    gateway = psutil.Process(doctor(jobs.state)["gateway"]["pid"])
    before = gateway.memory_info().rss
    for _ in range(count):
        status, job, _ = submit(caller, bytes(MIB))
        assert status == 200, job
        cancel(caller, job)
    assert gateway.memory_info().rss - before < 60 * MIB


def test_more_bytes_than_the_queue_holds_are_refused_with_what_to_do_until_some_are_over(
    caller: Caller, busy_runner: None
) -> None:
    taken = []
    for _ in range(3):
        status, job, _ = submit(caller, bytes(5 * MIB))
        assert status == 200, job
        taken.append(job)
    status, response, headers = submit(caller, bytes(5 * MIB))
    assert (status, headers["retry-after"]) == (429, "1")
    assert response["detail"] == (
        "queue full: 4 open requests use 15 MiB of 16 MiB (FAL_JUPYTER_QUEUE_BYTES); wait for some, or cancel them"
    )
    status, response, _ = submit(caller, bytes(17 * MIB))
    assert (status, response["detail"][:63]) == (413, "the body is larger than the queue's memory limit of 16 MiB (FAL")
    cancel(caller, taken.pop())
    status, job, _ = submit(caller, bytes(5 * MIB))
    assert status == 200
    for one in (*taken, job):
        cancel(caller, one)


def test_bodies_count_from_their_heads_and_piece_by_piece(caller: Caller, busy_runner: None) -> None:
    """Half a body holds what its head announced, and what comes in chunks is counted as it comes."""
    half = http.client.HTTPConnection(caller.host, timeout=30)
    half.putrequest("POST", f"/queue/{caller.app}")
    half.putheader("authorization", f"Key {caller.key}")
    half.putheader("content-length", str(14 * MIB))
    half.endheaders(b"x")
    until(lambda: submit(caller, bytes(3 * MIB))[0] == 429)
    chunked = http.client.HTTPConnection(caller.host, timeout=30)
    chunked.request(
        "POST",
        f"/queue/{caller.app}",
        iter([bytes(MIB)] * 4),
        {"authorization": f"Key {caller.key}"},
        encode_chunked=True,
    )
    assert chunked.getresponse().status == 429
    chunked.close()
    half.close()
    until(lambda: submit(caller, bytes(3 * MIB))[0] == 200)
    for _ in range(8):
        job = submit(caller, b"")[1]
        cancel(caller, job)


def test_more_requests_than_the_queue_takes_are_refused(caller: Caller, busy_runner: None) -> None:
    taken = []
    while (found := submit(caller, b""))[0] == 200:
        taken.append(found[1])
        assert len(taken) <= 40
    assert found[0] == 429
    assert "FAL_JUPYTER_QUEUE_LENGTH" in found[1]["detail"]
    for job in taken:
        cancel(caller, job)


def test_a_caller_may_limit_the_queue_length(caller: Caller, busy_runner: None) -> None:
    first = caller.submit(below="?fal_max_queue_length=0")
    status, response, _ = caller.ask("POST", f"{caller.app}?fal_max_queue_length=0", {})
    assert (status, response["detail"]) == (429, f"queue full: 1 requests are waiting for {caller.app}")
    second = caller.submit(below="?fal_max_queue_length=1")
    assert caller.ask("POST", f"{caller.app}?fal_max_queue_length=-1", {})[0] == 400
    for job in (first, second):
        cancel(caller, job)


def test_an_answer_that_is_larger_than_what_the_queue_keeps_fails_its_job_with_a_sentence(caller: Caller) -> None:
    fits = caller.submit({"size": 10 * MIB}, "/large")
    caller.wait(fits)
    job = caller.submit({"size": 20 * MIB}, "/large")
    done = caller.wait(job)
    assert (done["error_type"], done["error"]) == ("internal_error", "507 Insufficient Storage")
    status, response, _ = caller.ask("GET", urlsplit(job["response_url"]).path)
    assert (status, response["detail"][:46]) == (507, "the answer is larger than the queue's memory l")
    assert caller.ask("GET", urlsplit(fits["response_url"]).path)[0] == 404  # forgotten for it
    caller.wait(caller.submit({"size": 0}, "/large"))
