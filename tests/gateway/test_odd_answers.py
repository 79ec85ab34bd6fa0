"""Answers of apps that HTTP cannot carry, and slips in addresses of requests: an answer each, and the runner's place is free again."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from fal_jupyter.gateway.http.response_head import ResponseHead
from fal_jupyter.gateway.http.response_validation import invalid_response
from fal_jupyter.gateway.storage.redaction import error_without_secrets, redactor
from fal_jupyter.protocol.api import ErrorDescription
from tests.support.queue_caller import Caller
from tests.support.serve import Served, command, served
from tests.support.state import state_directory
from tests.support.wire import Wire, head, port_of

SECRET = 'pa"ss\\wö:rd 1234'
APP = """
import os

import fal
from fastapi import Response
from fastapi.responses import StreamingResponse


class Odd(fal.App):
    max_concurrency = 1

    @fal.endpoint("/length/{length}")
    async def length(self, length: str):
        return Response(b"x" * 10, headers={"content-length": length})

    @fal.endpoint("/twice")
    async def twice(self):
        answer = Response(b"x")
        answer.raw_headers.append((b"content-length", b"5"))
        return answer

    @fal.endpoint("/streams-more")
    async def streams_more(self):
        async def pieces():
            yield b"abc"
            yield b"defgh"
        return StreamingResponse(pieces(), headers={"content-length": "4"})

    @fal.endpoint("/status/{code}")
    async def status(self, code: int):
        return Response(status_code=code)

    @fal.endpoint("/control")
    async def control(self):
        return Response(b"x", headers={"x-a": "a\\x01b"})

    @fal.endpoint("/tells")
    def tells(self):
        print({"it": os.environ["TOK"]}, flush=True)
        raise ValueError("cannot log in with " + os.environ["TOK"])

    @fal.endpoint("/")
    async def ok(self):
        return {}
"""


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with state_directory() as state:
        assert command(state, "secrets", "set", "TOK", stdin=f"{SECRET}\n").returncode == 0
        path = tmp_path_factory.mktemp("odd") / "odd.py"
        path.write_text(APP)
        with served(state, f"{path}::Odd") as app:
            yield app


def assert_free(odd: Served) -> None:
    """The only runner takes the next request."""
    assert odd.request("/", {}, timeout=20).json == {}


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/length/5", 502), ("/length/11", 502), ("/length/-5", 500), ("/length/five", 500), ("/twice", 500),
        ("/status/100", 500), ("/status/101", 500), ("/status/199", 500), ("/control", 500),
    ],
)  # fmt: skip
def test_what_http_cannot_carry_is_answered_for(odd: Served, path: str, status: int) -> None:
    answer = odd.request(path, {}, timeout=20)
    response = answer.json
    assert answer.status == status
    assert response["detail"].startswith("the app's answer")
    assert response["request_id"] == answer.headers["x-fal-request-id"]
    assert_free(odd)


@pytest.mark.parametrize("code", [204, 304])
def test_an_answer_without_a_body_is_one(odd: Served, code: int) -> None:
    assert (odd.request(f"/status/{code}", {}).status, odd.request(f"/status/{code}", {}).body) == (code, b"")


def test_a_stream_that_goes_beyond_its_length_is_cut_off(odd: Served) -> None:
    with pytest.raises((ConnectionError, http.client.IncompleteRead)):
        odd.request("/streams-more", {}, timeout=20)
    assert_free(odd)


@pytest.mark.parametrize(("path", "status"), [("/status/204", 204), ("/status/304", 304), ("/status/100", 500), ("/control", 500)])  # fmt: skip
def test_the_queue_keeps_such_answers_too(odd: Served, path: str, status: int) -> None:
    caller = Caller(odd)
    job = caller.submit(below=path)
    caller.wait(job)
    assert caller.ask("GET", urlsplit(job["response_url"]).path)[0] == status


@pytest.mark.parametrize(
    ("method", "below", "status"),
    [
        ("POST", "/cancel", 405), ("POST", "/status", 405), ("DELETE", "", 405), ("PATCH", "", 405), ("POST", "", 405),
        ("GET", "/bogus", 404), ("POST", "/bogus", 404),
    ],
)  # fmt: skip
def test_a_slip_in_the_address_of_a_request_submits_no_other(odd: Served, method: str, below: str, status: int) -> None:
    caller = Caller(odd)
    job = caller.submit()
    answer = caller.ask(method, urlsplit(job["response_url"]).path + below, {} if method != "GET" else None)
    assert answer[0] == status
    assert "status_url" not in answer[1]


def test_a_secret_in_an_exception_or_in_a_dict_is_redacted_in_log_and_inspector(odd: Served) -> None:
    assert odd.request("/tells", {}).status == 500
    logged = command(odd.state, "logs", "odd", "--json").stdout
    assert "cannot log in with [redacted TOK]" in logged
    assert "{'it': '[redacted TOK]'}" in logged
    assert "rd 1234" not in logged


def test_a_secret_is_found_in_the_forms_that_python_json_and_addresses_write_it_in() -> None:
    redact = redactor({}, [("TOK", SECRET)])
    for text in (
        SECRET,
        repr([SECRET]),
        json.dumps(SECRET),
        json.dumps(SECRET, ensure_ascii=False),
        "?t=pa%22ss%5Cw%C3%B6%3Ard%201234",
    ):
        assert "[redacted TOK]" in redact(text)
        assert "1234" not in redact(text)
    frame = {"filename": "a.py", "lineno": 1, "function": "f", "line": f"x = {SECRET}"}
    error: ErrorDescription = {
        "type": "E",
        "message": SECRET,
        "text": f"E: {SECRET}",
        "frames": [frame],
        "phase": "setup",
    }  # type: ignore[list-item]
    assert "1234" not in json.dumps(error_without_secrets(error, redact))


def test_a_head_without_a_length_or_of_a_head_request_is_no_reason_to_object() -> None:
    for method, headers, end in (("POST", [], True), ("HEAD", [("content-length", "9")], True), ("POST", [("content-length", "9")], False)):  # fmt: skip
        read = ResponseHead(200, headers).sorted()
        assert invalid_response(200, read, head_size=10, size=0, end=end, method=method, websocket=False) is None
    assert (
        invalid_response(
            101, ResponseHead(101, []).sorted(), head_size=10, size=0, end=False, method="GET", websocket=True
        )
        is None
    )


def test_an_upload_that_is_refused_while_it_begins_leaves_nothing(odd: Served) -> None:
    lines = ("Transfer-Encoding: chunked", "Content-Type: text/plain")
    for _ in range(10):
        wire = Wire(port_of(odd.ready["base"]))
        data = head("POST", "/cdn/files/upload", port_of(odd.ready["base"]), odd.ready["key"], *lines)
        wire.send(data + b"186a0\r\n" + b"x" * 100_000 + b"\r\nzz\r\n")
        assert wire.reply().status == 400
        wire.close()
    assert_free(odd)
    assert list((odd.state / "files" / "unfinished").iterdir()) == []
