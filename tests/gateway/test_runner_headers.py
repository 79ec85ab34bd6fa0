"""What an answer's headers ask of the gateway: to end its runner, or to keep it. Callers never see them."""

from __future__ import annotations

import http.client
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.queue_caller import Caller
from tests.support.serve import Served, served

APP = """
import os

import fal
from fastapi import HTTPException
from fastapi.responses import JSONResponse, StreamingResponse
from pydantic import BaseModel


class Say(BaseModel):
    status: int
    headers: dict[str, str]


class Headers(fal.App):
    app_name = "headers"
    keep_alive = 300
    min_concurrency = 1

    @fal.endpoint("/pid")
    def pid(self) -> int:
        return os.getpid()

    @fal.endpoint("/say")
    def say(self, say: Say) -> JSONResponse:
        return JSONResponse(os.getpid(), say.status, {"x-own": "1", **say.headers})

    @fal.endpoint("/raise")
    def fail(self, say: Say) -> int:
        raise HTTPException(say.status, os.getpid(), say.headers)

    @fal.endpoint("/stream")
    def stream(self, say: Say) -> StreamingResponse:
        return StreamingResponse((f"data: {n}\\n\\n" for n in range(3)), say.status, say.headers, "text/event-stream")
"""
STOP, RETRY = "X-Fal-Stop-Runner", "x-fal-needs-retry"


@pytest.fixture(scope="module")
def app(shared_state: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    path = tmp_path_factory.mktemp("headers") / "app.py"
    path.write_text(APP)
    with served(shared_state, f"{path}::Headers") as running:
        yield running


def is_replaced(app: Served, status: int, headers: dict[str, str], path: str = "/say") -> bool:
    before = app.request("/pid").json
    answer = app.request(path, {"status": status, "headers": headers})
    assert answer.status == status
    assert not {STOP.lower(), RETRY} & answer.headers.keys()
    return bool(app.request("/pid").json != before)


@pytest.mark.parametrize(
    ("status", "headers", "replaced"),
    [
        (200, {STOP: "1"}, True),
        (404, {STOP: "TRUE", RETRY: "1"}, True),
        (500, {STOP: "true", RETRY: "0"}, True),
        (503, {}, True),
        (503, {STOP: "0"}, False),
        (503, {STOP: "False", RETRY: "1"}, False),
        (503, {STOP: "maybe"}, True),
        (200, {STOP: "maybe"}, False),
        (200, {STOP: "0"}, False),
        (200, {RETRY: "1"}, False),
    ],
)
def test_an_answer_ends_or_keeps_its_runner_whatever_its_status(
    app: Served, status: int, headers: dict[str, str], replaced: bool
) -> None:
    assert is_replaced(app, status, headers) is replaced


@pytest.mark.parametrize("path", ["/raise", "/stream"])
def test_exceptions_and_streams_have_these_headers_too(app: Served, path: str) -> None:
    assert is_replaced(app, 200 if path == "/stream" else 418, {STOP: "1", RETRY: "0"}, path)
    assert not is_replaced(app, 503, {STOP: "0", RETRY: "0"}, path)


def test_results_of_the_queue_do_not_show_them(app: Served) -> None:
    before, caller = app.request("/pid").json, Caller(app)
    job = caller.submit({"status": 200, "headers": {STOP: "1", RETRY: "1"}}, "/say")
    caller.wait(job)
    status, body, headers = caller.ask("GET", f"{caller.app}/requests/{job['request_id']}")
    assert (status, body, headers["x-own"]) == (200, before, "1")
    assert not {STOP.lower(), RETRY} & headers.keys()
    assert app.request("/pid").json != before


def test_the_owners_framed_answer_does_not_show_them(app: Served) -> None:
    before = app.request("/pid").json
    body = b'{"status": 200, "headers": {"X-Fal-Stop-Runner": "1", "x-fal-needs-retry": "1"}}'
    answer = framed(app.state / "gateway.sock", "/run/" + app.ready["app"] + "/say", body)
    assert str(before).encode() in answer
    assert b"x-own" in answer
    assert b"x-fal-stop" not in answer.lower()
    assert b"needs-retry" not in answer.lower()
    assert app.request("/pid").json != before


def framed(path: Path, target: str, body: bytes) -> bytes:
    """Call over the Unix socket as the owner's kernel does; gives the frames."""
    connection = http.client.HTTPConnection("127.0.0.1", timeout=30)
    connection.sock = socket.socket(socket.AF_UNIX)
    connection.sock.connect(os.fspath(path))
    sent: dict[str, Any] = {"content-type": "application/json", "x-fal-jupyter-owner": "frames"}
    connection.request("POST", target, body, sent)
    answer = connection.getresponse()
    assert answer.status == 200
    data = answer.read()
    connection.close()
    return data
