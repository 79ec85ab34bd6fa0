"""What bad callers do that takes its time: input that never ends, one who cancels twice, names that climb. Each has its answer soon."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from fal_jupyter.client.client import Client
from fal_jupyter.settings import read
from tests.support.http_answer import Answer
from tests.support.raw_web_server import stranger
from tests.support.serve import Served, served
from tests.support.state import state_directory
from tests.support.wire import Reply, exchange, head, port_of

APP = """
import time

import fal
from fal.toolkit import Image
from pydantic import BaseModel


class In(BaseModel):
    image: Image


class Looks(fal.App):
    request_timeout = 2
    max_concurrency = 1
    min_concurrency = 1

    @fal.endpoint("/")
    def look(self, body: In) -> dict:
        return {"size": body.image.to_pil().size}

    @fal.endpoint("/nap")
    def nap(self, seconds: float = 1.5) -> str:
        time.sleep(seconds)
        return "rested"
"""
OK = b"HTTP/1.1 200 OK\r\nContent-Type: image/png\r\n\r\n"


@pytest.fixture(scope="module")
def looks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    file = tmp_path_factory.mktemp("app") / "app.py"
    file.write_text(APP)
    with (
        state_directory() as state,
        served(state, f"{file}::Looks", env={"FAL_JUPYTER_ALLOW_PRIVATE_URLS": "1"}) as app,
    ):
        yield app


@pytest.fixture
def client(looks: Served) -> Iterator[Client]:
    with closing(Client(read({"FAL_JUPYTER_STATE": str(looks.state)}))) as found:
        yield found


def assert_error_response(answer: Answer | Reply, status: int) -> None:
    assert answer.status == status, answer
    response = json.loads(answer.body)
    assert response["detail"]
    assert answer.headers["x-fal-request-id"]


def drip(connection: socket.socket, line: str) -> None:
    connection.sendall(OK)
    while True:
        connection.sendall(b"a")
        time.sleep(0.05)


def silence(connection: socket.socket, line: str) -> None:
    connection.sendall(OK)
    time.sleep(60)


@pytest.mark.parametrize("server", [drip, pytest.param(silence, marks=pytest.mark.long)])
def test_an_input_that_comes_for_ever_ends_with_the_request_timeout(
    looks: Served, client: Client, server: object
) -> None:
    with stranger(server) as base:  # type: ignore[arg-type]
        answer = looks.request("/", {"image": f"{base}/a.png"})
    assert_error_response(answer, 504)
    request = client.control.request(answer.headers["x-fal-request-id"])["request"]
    assert 2000 <= request["total_ms"] < 6000  # request_timeout
    assert looks.request("/nap", {"seconds": 0}).json == "rested"


def test_an_input_without_an_end_is_too_large(looks: Served) -> None:
    def endless(connection: socket.socket, line: str) -> None:
        connection.sendall(OK)
        while True:
            connection.sendall(bytes(1 << 20))

    with stranger(endless) as base:
        answer = looks.request("/", {"image": f"{base}/a.png"})
    assert answer.status in (
        500,
        504,
    )  # the endpoint lets the error through; how fast a gigabyte comes is the machine's
    assert json.loads(answer.body)["detail"]
    assert looks.request("/nap", {"seconds": 0}).json == "rested"


def send(looks: Served, method: str, path: str, body: bytes = b"") -> Reply:
    port = port_of(looks.ready["base"])
    lines = (f"Content-Length: {len(body)}", "Content-Type: application/json")
    return exchange(port, head(method, path, port, looks.ready["key"], *lines) + body)


def test_a_second_cancellation_is_answered_as_well(looks: Served) -> None:
    job = json.loads(send(looks, "POST", f"/queue/{looks.ready['app']}/nap", b"{}").body)
    path = urlsplit(job["cancel_url"]).path
    first, second = send(looks, "PUT", path), send(looks, "PUT", path)
    assert (first.status, json.loads(first.body)) == (202, {"status": "CANCELLATION_REQUESTED"})
    assert (second.status, json.loads(second.body)["status"]) in [
        (400, "ALREADY_COMPLETED"),
        (202, "CANCELLATION_REQUESTED"),
    ]
    end = time.monotonic() + 20
    while send(looks, "GET", urlsplit(job["status_url"]).path).status == 202:
        assert time.monotonic() < end
        time.sleep(0.02)
    third = send(looks, "PUT", path)
    assert (third.status, json.loads(third.body)) == (400, {"status": "ALREADY_COMPLETED"})
    assert looks.request("/nap", {"seconds": 0}).json == "rested"


@pytest.mark.parametrize("climb", ["..", "%2e%2e", "..%2f..", "%2e%2e%5c", "a/%2E%2E/b", "a%00b", "a%0d%0ab"])
@pytest.mark.parametrize(
    "place", ["/run/{app}", "/queue/{app}", "/queue/{app}/requests", "/rest/storage", "/cdn/files", "/cdn/upload"]
)
def test_a_name_that_climbs_is_refused_at_every_door(looks: Served, place: str, climb: str) -> None:
    for method in ("POST", "GET"):
        assert_error_response(send(looks, method, f"{place.format(app=looks.ready['app'])}/{climb}/x"), 400)


@pytest.mark.parametrize("name", ["../../x", "..\\x", "/etc/passwd", "a/../../b", "..", "%2e%2e%2fx", "a\x01b"])
def test_a_file_whose_name_climbs_lies_where_all_files_lie(looks: Served, name: str, tmp_path: Path) -> None:
    body = json.dumps({"file_name": name, "content_type": "text/plain"}).encode()
    response = json.loads(send(looks, "POST", "/rest/storage/upload/initiate", body).body)
    upload = urlsplit(response["upload_url"])
    assert send(looks, "PUT", f"{upload.path}?{upload.query}", b"hi").status == 200
    reply = send(looks, "GET", urlsplit(response["file_url"]).path)
    assert (reply.status, reply.body) == (200, b"hi")
    assert [file for file in looks.state.parent.iterdir() if file != looks.state] == []
    files = looks.state / "files"
    assert all(file.resolve().is_relative_to(files.resolve()) for file in files.rglob("*"))
