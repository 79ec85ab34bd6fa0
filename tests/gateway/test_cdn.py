"""Files of the local CDN and uploads to it, in the exact forms of both clients, over the gateway's port."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import json
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fal_jupyter.gateway.file_rules import OCTETS, byte_range, content_type_of, disposition, lifetime_of
from tests.support.serve import Served, served
from tests.support.state import state_directory

APP = """
import fal

class Files(fal.App):
    @fal.endpoint("/")
    def run(self) -> dict:
        return {}
"""


class Caller:
    def __init__(self, app: Served) -> None:
        parts = urlsplit(app.ready["url"])
        self.host, self.key, self.state = parts.netloc, app.ready["key"], app.state

    def ask(
        self, method: str, url: str, body: bytes | None = None, *, auth: str | None = "key", **headers: str
    ) -> tuple[int, bytes, dict[str, str]]:
        connection = http.client.HTTPConnection(self.host, timeout=30)
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if auth is not None:
            sent["authorization"] = f"Key {self.key}" if auth == "key" else auth
        parts = urlsplit(url)
        connection.request(method, parts.path + (f"?{parts.query}" if parts.query else ""), body, sent)
        answer = connection.getresponse()
        found = answer.read()
        connection.close()
        return answer.status, found, {k.lower(): v for k, v in answer.getheaders()}

    def json(self, method: str, url: str, body: Any = None, **headers: Any) -> Any:
        data = json.dumps(body).encode() if body is not None else None
        status, found, _ = self.ask(method, url, data, content_type="application/json", **headers)
        assert status == 200, found
        return json.loads(found)

    def left(self) -> list[Path]:
        """What unfinished uploads have left; one that was broken off is taken away when the gateway has heard of it."""
        deadline = time.monotonic() + 10
        while (found := list((self.state / "files" / "unfinished").glob("*"))) and time.monotonic() < deadline:
            time.sleep(0.02)
        return found


@pytest.fixture(scope="module")
def caller(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Caller]:
    with state_directory() as state:
        path = tmp_path_factory.mktemp("files") / "files.py"
        path.write_text(APP)
        with served(state, f"{path}::Files", "--warm", "0") as one:
            yield Caller(one)


def upload(caller: Caller, data: bytes, name: str = "a.txt", kind: str = "text/plain", **headers: str) -> str:
    token = caller.json("POST", "/rest/storage/auth/token?storage_type=fal-cdn-v3", {})
    assert token["base_url"] == f"http://{caller.host}/cdn"
    assert token["expires_at"].endswith("+00:00")
    auth = f"{token['token_type']} {token['token']}"
    status, body, _ = caller.ask(
        "POST", "/cdn/files/upload", data, auth=auth, content_type=kind, x_fal_file_name=name, **headers
    )
    assert status == 200, body
    return str(json.loads(body)["access_url"])


def test_an_upload_of_the_python_client(caller: Caller) -> None:
    url = upload(caller, b"hello", "é/../b.txt")
    status, body, headers = caller.ask("GET", url, auth=None)
    assert (status, body) == (200, b"hello")
    assert (headers["content-type"], headers["content-length"], headers["accept-ranges"]) == (
        "text/plain",
        "5",
        "bytes",
    )
    assert headers["etag"] == f'"{hashlib.sha256(b"hello").hexdigest()}"'
    assert (headers["x-content-type-options"], "sandbox" in headers["content-security-policy"]) == ("nosniff", True)
    assert "access-control-allow-origin" not in headers
    status, body, headers = caller.ask("HEAD", url, auth=None)
    assert (status, body, headers["content-length"]) == (200, b"", "5")
    assert caller.ask("GET", url, auth=None, if_none_match=headers["etag"])[0] == 304


@pytest.mark.parametrize(
    ("asked", "status", "body", "told"),
    [
        ("bytes=0-3", 206, b"0123", "bytes 0-3/10"),
        ("bytes=8-", 206, b"89", "bytes 8-9/10"),
        ("bytes=-3", 206, b"789", "bytes 7-9/10"),
        ("bytes=5-100", 206, b"56789", "bytes 5-9/10"),
        ("bytes=0-" + "9" * 5000, 206, b"0123456789", "bytes 0-9/10"),
        ("bytes=10-", 416, b"", "bytes */10"),
        ("bytes=-0", 416, b"", "bytes */10"),
        ("bytes=3-1", 200, b"0123456789", None),
        ("bytes=0-1,4-5", 200, b"0123456789", None),
        ("lines=0-1", 200, b"0123456789", None),
    ],
)
def test_ranges(caller: Caller, asked: str, status: int, body: bytes, told: str | None) -> None:
    url = upload(caller, b"0123456789")
    found, data, headers = caller.ask("GET", url, auth=None, range=asked)
    assert (found, headers.get("content-range")) == (status, told)
    assert data == body if status != 416 else json.loads(data)["detail"]
    assert caller.ask("GET", url, auth=None, range=asked, if_range='"other"')[0] == 200


def test_parts_of_the_python_client_come_in_any_order(caller: Caller) -> None:
    token = caller.json("POST", "/rest/storage/auth/token?storage_type=fal-cdn-v3", {})
    auth = f"Bearer {token['token']}"
    data = os.urandom(3 << 20)
    told = json.loads(
        caller.ask(
            "POST", f"{token['base_url']}/files/upload/multipart", auth=auth, content_type="a/b", x_fal_file_name="big"
        )[1]
    )
    base = f"{told['access_url']}/multipart/{told['uploadId']}"
    parts = []
    for number in (3, 1, 2):
        piece = data[(number - 1) << 20 : number << 20]
        status, body, headers = caller.ask("PUT", f"{base}/{number}", piece, auth=auth)
        assert status == 200
        assert json.loads(body) == {"partNumber": number, "etag": headers["etag"]}
        parts.append({"partNumber": number, "etag": headers["etag"]})
    assert caller.ask("GET", told["access_url"], auth=None)[0] == 404  # not complete
    status, body, _ = caller.ask(
        "POST", f"{base}/complete", json.dumps({"parts": [*parts, {"partNumber": 9}]}).encode(), auth=auth
    )
    assert (status, json.loads(body)["detail"]) == (400, "parts [9] were not sent")
    assert caller.ask("POST", f"{base}/complete", json.dumps({"parts": parts}).encode(), auth=auth)[0] == 200
    status, body, headers = caller.ask("GET", told["access_url"], auth=None)
    assert (body == data, headers["content-type"]) == (True, "a/b")
    assert caller.left() == []


def test_an_upload_of_the_javascript_client(caller: Caller) -> None:
    told = caller.json(
        "POST",
        "/rest/storage/upload/initiate?storage_type=fal-cdn-v3",
        {"content_type": "image/png", "file_name": "a b.png"},
    )
    assert caller.ask("GET", told["file_url"], auth=None)[0] == 404
    status, body, headers = caller.ask("PUT", told["upload_url"], b"png", auth=None, content_type="image/png")
    assert (status, body) == (200, b"")
    assert "json" not in headers.get("content-type", "")
    assert caller.ask("GET", told["file_url"], auth=None)[1] == b"png"
    assert caller.ask("PUT", told["upload_url"], b"again", auth=None)[0] == 404  # an address is good for one upload


def test_parts_of_the_javascript_client(caller: Caller) -> None:
    told = caller.json(
        "POST",
        "/rest/storage/upload/initiate-multipart?storage_type=fal-cdn-v3",
        {"content_type": "a/b", "file_name": "x"},
    )
    parts = urlsplit(told["upload_url"])
    base, query = f"{parts.scheme}://{parts.netloc}{parts.path}", f"?{parts.query}"
    tags = []
    for number, piece in enumerate((b"a" * 10, b"b" * 5), 1):
        caller.ask("PUT", f"{base}/{number}{query}", b"first try", auth=None)
        tags.append(json.loads(caller.ask("PUT", f"{base}/{number}{query}", piece, auth=None)[1]))
    assert caller.ask("POST", f"{base}/complete{query}", json.dumps({"parts": tags}).encode(), auth=None)[0] == 200
    assert caller.ask("GET", told["file_url"], auth=None)[1] == b"a" * 10 + b"b" * 5


def test_a_lifetime_ends(caller: Caller) -> None:
    url = upload(caller, b"soon gone", x_fal_object_lifecycle='{"expiration_duration_seconds": 1}')
    assert caller.ask("GET", url, auth=None)[0] == 200
    while caller.ask("GET", url, auth=None)[0] == 200:
        time.sleep(0.02)
    assert json.loads(caller.ask("GET", url, auth=None)[1])["detail"]


def test_an_upload_that_stops_half_way_leaves_nothing(caller: Caller) -> None:
    host, port = caller.host.split(":")
    with socket.create_connection((host, int(port)), timeout=10) as sock:
        sock.sendall(
            f"POST /cdn/files/upload HTTP/1.1\r\nHost: {caller.host}\r\nAuthorization: Key {caller.key}\r\n"
            "Content-Length: 100000\r\n\r\nhalf".encode()
        )
        while not caller.left():
            pass
    while caller.left():
        pass


@pytest.mark.parametrize(
    ("method", "path", "auth", "headers", "status"),
    [
        ("GET", "/cdn/files/" + "0" * 32 + "/a", None, {}, 404),
        ("GET", "/cdn/files/../../etc/passwd", None, {}, 400),
        ("GET", "/cdn/files/%2e%2e/x", None, {}, 400),
        ("POST", "/cdn/files/upload", None, {}, 401),
        ("POST", "/cdn/files/upload", "Bearer x.y.z", {}, 401),
        ("POST", "/cdn/files/upload", "key", {"x_fal_object_lifecycle": "{bad"}, 400),
        ("POST", "/cdn/files/upload", "key", {"x_fal_object_lifecycle": '{"expiration_duration_seconds": -1}'}, 400),
        ("PUT", "/cdn/upload/" + "0" * 32 + "?upload=x", None, {}, 404),
        ("PUT", "/cdn/upload/" + "0" * 32 + "/0?upload=x", None, {}, 404),
        ("POST", "/cdn/upload/" + "0" * 32 + "/complete?upload=x", None, {}, 404),
        ("POST", "/rest/storage/auth/token", None, {}, 401),
        ("POST", "/rest/storage/upload/initiate", None, {}, 401),
        ("POST", "/rest/storage/upload/initiate-multipart", None, {}, 401),
        ("DELETE", "/cdn/files/upload", "key", {}, 405),
        ("POST", "/cdn/nowhere", "key", {}, 404),
    ],
)
def test_what_is_refused(
    caller: Caller, method: str, path: str, auth: str | None, headers: dict[str, str], status: int
) -> None:
    found, body, told = caller.ask(method, path, b"x" if method != "GET" else None, auth=auth, **headers)
    assert found == status
    assert json.loads(body)["detail"]
    assert told["x-fal-request-id"]
    assert caller.left() == []


@pytest.mark.parametrize("body", [b"{bad", b"[]", b'{"file_name": 5}', b'{"content_type": []}'])
def test_a_wish_that_is_none_is_told(caller: Caller, body: bytes) -> None:
    status, told, _ = caller.ask("POST", "/rest/storage/upload/initiate", body)
    assert status == 422
    assert "file_name" in json.loads(told)["detail"]


def test_a_page_that_was_uploaded_runs_nothing(caller: Caller) -> None:
    url = upload(caller, b"<script>alert(1)</script>", "x.html", "text/html; charset=utf-8")
    headers = caller.ask("GET", url, auth=None)[2]
    assert headers["content-security-policy"].startswith("sandbox;")
    odd = upload(caller, b"x", "x", "text/html\\r\\nx: y")
    assert caller.ask("GET", odd, auth=None)[2]["content-type"] == OCTETS


# --- the rules ---------------------------------------------------------------------------------------------------------
@given(st.text(max_size=30) | st.from_regex(r"bytes=\d{0,5}-\d{0,5}", fullmatch=True), st.integers(0, 3000))
def test_a_range_lies_within_its_file(header: str, size: int) -> None:
    found = byte_range(header, size)
    if isinstance(found, tuple):
        assert 0 <= found[0] <= found[1] < size
    else:
        assert found in (None, "unsatisfiable")


@given(st.text(max_size=60))
def test_headers_are_headers(text: str) -> None:
    for value in (content_type_of(text), disposition(text)):
        assert value.isascii()
        assert value.isprintable()
    with contextlib.suppress(ValueError):
        seconds = lifetime_of(text)
        assert seconds is None or seconds >= 0
