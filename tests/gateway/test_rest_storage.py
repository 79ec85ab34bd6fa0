"""Uploads to the local CDN in the exact forms of both clients, and those that do not come to their end."""

from __future__ import annotations

import datetime
import json
import os
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.support.cdn import INITIATE, INITIATE_PARTS, TOKEN, Caller, cdn_caller, eventually
from tests.support.wire import Wire, exchange


@pytest.fixture(scope="module")
def caller(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Caller]:
    with cdn_caller(tmp_path_factory.mktemp("files")) as one:
        yield one


def test_a_token_states_its_scope_and_expiry(caller: Caller) -> None:
    token = caller.json("POST", TOKEN, {})
    until = datetime.datetime.fromisoformat(token["expires_at"])

    assert (token["token_type"], token["base_url"]) == ("Bearer", f"http://{caller.host}/cdn")
    assert token["expires_at"].endswith("+00:00")
    assert datetime.timedelta(minutes=50) < until - datetime.datetime.now(datetime.UTC) < datetime.timedelta(hours=2)
    bearer = f"Bearer {token['token']}"
    assert caller.ask("POST", "/cdn/files/upload", b"x", auth=bearer)[0] == 200
    assert caller.ask("POST", INITIATE, b"{}", auth=bearer)[0] == 401  # it is for bytes, not for more addresses
    assert caller.ask("POST", TOKEN, b"{}", auth=bearer)[0] == 401


def test_urls_in_answers_use_the_requested_host(caller: Caller) -> None:
    host = f"localhost:{caller.port}"
    assert caller.json("POST", TOKEN, {}, host=host)["base_url"] == f"http://{host}/cdn"
    response = caller.json("POST", INITIATE, {"file_name": "a", "content_type": "a/b"}, host=host)
    assert response["file_url"].startswith(f"http://{host}/cdn/files/")
    assert response["upload_url"].startswith(f"http://{host}/cdn/")
    assert caller.ask("POST", TOKEN, b"{}", host="evil.example")[0] == 421


def test_parts_of_the_python_client_come_in_any_order(caller: Caller) -> None:
    auth = caller.token()
    data = os.urandom(3 << 20)
    response = json.loads(
        caller.ask(
            "POST", "/cdn/files/upload/multipart", b"", auth=auth, content_type="a/b", x_fal_file_name="upload.bin"
        )[1]
    )
    base = f"{response['access_url']}/multipart/{response['uploadId']}"
    parts = []
    for number in (3, 1, 2):
        status, body, headers = caller.ask(
            "PUT", f"{base}/{number}", data[(number - 1) << 20 : number << 20], auth=auth
        )
        assert status == 200
        assert json.loads(body) == {"partNumber": number, "etag": headers["etag"]}
        parts.append({"partNumber": number, "etag": headers["etag"]})
    assert caller.open_files() == []  # a thousand parts are no thousand descriptors
    assert caller.ask("GET", response["access_url"], auth=None)[0] == 404  # not complete
    assert caller.complete(base, parts) == (200, {"status": "ok"})
    status, body, headers = caller.ask("GET", response["access_url"], auth=None)
    assert (body == data, headers["content-type"]) == (True, "a/b")
    assert caller.left() == []
    assert caller.complete(base, parts)[0] == 200  # said again by who missed the answer
    assert caller.ask("PUT", f"{base}/1", b"late", auth=auth)[0] == 404
    assert caller.ask("GET", response["access_url"], auth=None)[1] == data


def test_many_concurrent_parts_and_completions(caller: Caller) -> None:
    url, base = caller.begin_parts()
    with ThreadPoolExecutor(10) as pool:
        sent = list(pool.map(lambda n: caller.ask("PUT", f"{base}/{n}", bytes([n]) * 100_000), range(1, 31)))
        parts = [json.loads(body) for _, body, _ in reversed(sent)]
        assert {status for status, _ in pool.map(lambda _: caller.complete(base, parts), range(8))} == {200}
    assert caller.ask("GET", url, auth=None)[1] == b"".join(bytes([n]) * 100_000 for n in range(1, 31))
    assert caller.left() == []


def test_parts_that_differ_are_reported_and_can_be_sent_again(caller: Caller) -> None:
    url, base = caller.begin_parts()
    one = json.loads(caller.ask("PUT", f"{base}/1", b"one")[1])
    detail = {
        case: caller.complete(base, parts)
        for case, parts in {
            "missing": [one, {"partNumber": 9, "etag": ""}],
            "none": [],
            "changed": [{"partNumber": 1, "etag": '"0000"'}],
            "twice": [one, one],
        }.items()
    }
    assert {case: (status, body["detail"]) for case, (status, body) in detail.items()} == {
        "missing": (400, "parts [9] were not sent"),
        "none": (400, "no part is named"),
        "changed": (400, "parts [1] have other bytes than their etags say"),
        "twice": (400, "a part is named twice"),
    }
    again = json.loads(caller.ask("PUT", f"{base}/1", b"another")[1])
    assert caller.complete(base, [one])[0] == 400
    assert caller.complete(base, [again])[0] == 200
    assert caller.ask("GET", url, auth=None)[1] == b"another"


@pytest.mark.parametrize(
    "parts",
    ["{bad", "[]", "{}", '{"parts": 5}', '{"parts": [5]}', '{"parts": [{"etag": "x"}]}', '{"parts": [{"partNumber": "1"}]}',
     '{"parts": [{"partNumber": true}]}', '{"parts": [{"partNumber": 1, "etag": 5}]}', "[" * 100_000, '{"parts": [{"partNumber": -1}]}'],
)  # fmt: skip
def test_an_invalid_completion_is_refused(caller: Caller, parts: str) -> None:
    _, base = caller.begin_parts()
    status, body, _ = caller.ask("POST", f"{base}/complete", parts.encode())
    assert (status, bool(json.loads(body)["detail"])) == (400, True)


def test_an_upload_of_the_javascript_client(caller: Caller) -> None:
    response = caller.json("POST", INITIATE, {"content_type": "image/png", "file_name": "a b.png"})
    assert caller.ask("GET", response["file_url"], auth=None)[0] == 404
    status, body, headers = caller.ask("PUT", response["upload_url"], b"png", auth=None, content_type="image/png")
    assert (status, body) == (200, b"")
    assert "json" not in headers.get("content-type", "")
    status, body, headers = caller.ask("GET", response["file_url"], auth=None)
    assert (body, headers["content-type"]) == (b"png", "image/png")
    assert caller.ask("PUT", response["upload_url"], b"again", auth=None)[0] == 404  # an address is good for one upload
    assert caller.ask("GET", response["file_url"], auth=None)[1] == b"png"


def test_an_upload_of_the_python_clients_second_way(caller: Caller) -> None:
    lifetime = '{"expiration_duration_seconds": 60, "initial_acl": {"default": "hide"}}'
    response = caller.json(
        "POST",
        "/rest/storage/upload/initiate?storage_type=gcs",
        {"file_name": "upload.bin", "content_type": "a/b"},
        x_fal_object_lifecycle=lifetime,
        x_fal_object_lifecycle_preference=lifetime,
    )
    assert caller.ask("PUT", response["upload_url"], b"bytes", content_type="a/b")[0] == 200  # it sends its key as well
    assert caller.ask("GET", response["file_url"], auth=None)[0] == 404
    status, _, headers = caller.ask("GET", response["file_url"])
    assert (status, headers["cache-control"]) == (200, "no-store")
    record = json.loads(
        (caller.state / "files" / "records" / f"{response['file_url'].split('/')[-2]}.json").read_text()
    )
    assert record["expires"] - record["created"] == 60


def test_parts_of_the_javascript_client(caller: Caller) -> None:
    response = caller.json("POST", INITIATE_PARTS, {"content_type": "a/b", "file_name": "x"})
    parts = urlsplit(response["upload_url"])
    base, query = f"{parts.scheme}://{parts.netloc}{parts.path}", f"?{parts.query}"
    tags = []
    for number, piece in enumerate((b"a" * 10, b"b" * 5), 1):
        caller.ask("PUT", f"{base}/{number}{query}", b"first try", auth=None)
        status, body, headers = caller.ask("PUT", f"{base}/{number}{query}", piece, auth=None)
        assert (status, headers["content-type"]) == (200, "application/json")
        tags.append(json.loads(body))
    assert caller.ask("POST", f"{base}/complete{query}", json.dumps({"parts": tags}).encode(), auth=None)[0] == 200
    assert caller.ask("GET", response["file_url"], auth=None)[1] == b"a" * 10 + b"b" * 5


def test_who_lacks_the_secret_sends_nothing(caller: Caller) -> None:
    response = caller.json("POST", INITIATE_PARTS, {"content_type": "a/b", "file_name": "x"})
    path = urlsplit(response["upload_url"]).path
    for url in (path, f"{path}?upload=", f"{path}?upload={'0' * 32}", f"{path}?upload=%C3%A9", f"{path}/1"):
        assert caller.ask("PUT", url, b"x", auth=None)[0] == 404, url
    assert caller.ask("POST", f"{path}/complete?upload={'0' * 32}", b"{}", auth=None)[0] == 404
    for number in ("0", "10001", "999999"):
        url = f"{path}/{number}?{urlsplit(response['upload_url']).query}"
        assert caller.ask("PUT", url, b"x", auth=None)[0] == 400, number
    assert caller.left() == []


@pytest.mark.parametrize("way", ["whole", "part", "promised", "chunked"])
def test_an_upload_that_stops_half_way_leaves_nothing(caller: Caller, way: str) -> None:
    response = caller.json("POST", INITIATE_PARTS, {"content_type": "a/b", "file_name": "x"})
    parts = urlsplit(response["upload_url"])
    target = {
        "part": f"PUT {parts.path}/1?{parts.query}",
        "promised": f"PUT {parts.path}?{parts.query}",
    }.get(way, "POST /cdn/files/upload")
    length = "Transfer-Encoding: chunked" if way == "chunked" else "Content-Length: 100000"
    start = b"4\r\nhalf\r\n" if way == "chunked" else b"half"
    with socket.create_connection(("127.0.0.1", caller.port), timeout=10) as sock:
        sock.sendall(
            f"{target} HTTP/1.1\r\nHost: {caller.host}\r\nAuthorization: Key {caller.key}\r\n{length}\r\n\r\n".encode()
            + start
        )
        eventually(caller.left)
    eventually(lambda: not caller.left())
    assert caller.open_files() == []
    assert caller.ask("GET", response["file_url"], auth=None)[0] == 404


@pytest.mark.parametrize(
    ("method", "path", "auth", "headers", "status"),
    [
        ("POST", "/cdn/files/upload", None, {}, 401),
        ("POST", "/cdn/files/upload", "Bearer x.y.z", {}, 401),
        ("POST", "/cdn/files/upload", "Bearer é", {}, 401),
        ("POST", "/cdn/files/upload/multipart", None, {}, 401),
        ("POST", "/cdn/files/upload", "key", {"x_fal_object_lifecycle": "{bad"}, 400),
        ("POST", "/cdn/files/upload", "key", {"x_fal_object_lifecycle": "[]"}, 400),
        ("POST", "/cdn/files/upload", "key", {"x_fal_object_lifecycle": "[" * 30_000}, 400),
        ("POST", "/cdn/files/upload", "key", {"x_fal_object_lifecycle": '{"expiration_duration_seconds": -1}'}, 400),
        ("POST", "/cdn/files/upload", "key", {"x_fal_object_lifecycle": '{"expiration_duration_seconds": 1e999}'}, 400),
        ("POST", "/cdn/files/upload/multipart", "key", {"x_fal_object_lifecycle_preference": '{"expiration_duration_seconds": "1h"}'}, 400),
        ("POST", INITIATE, "key", {"x_fal_object_lifecycle": "{bad"}, 400),
        ("POST", INITIATE, "key", {"x_fal_object_lifecycle": '{"initial_acl": {"default": "secret"}}'}, 400),
        ("POST", "/cdn/files/upload", "key", {"x_fal_object_lifecycle": '{"initial_acl": "forbid"}'}, 400),
        ("PUT", "/cdn/upload/" + "0" * 32 + "?upload=x", None, {}, 404),
        ("PUT", "/cdn/upload/" + "0" * 32 + "/0?upload=x", None, {}, 404),
        ("POST", "/cdn/upload/" + "0" * 32 + "/complete?upload=x", None, {}, 404),
        ("POST", TOKEN, None, {}, 401),
        ("POST", INITIATE, None, {}, 401),
        ("POST", INITIATE_PARTS, "Key a:b", {}, 401),
        ("GET", TOKEN, "key", {}, 405),
        ("DELETE", "/cdn/files/upload", "key", {}, 405),
    ],
)  # fmt: skip
def test_what_is_refused(
    caller: Caller, method: str, path: str, auth: str | None, headers: dict[str, str], status: int
) -> None:
    body = b"{}" if path == INITIATE else b"x" if method != "GET" else None
    found, body, response_headers = caller.ask(method, path, body, auth=auth, **headers)

    assert found == status
    assert json.loads(body)["detail"]
    assert response_headers["x-fal-request-id"]
    assert caller.left() == []


@pytest.mark.parametrize(
    "body", [b"{bad", b"[]", b"null", b'{"file_name": 5}', b'{"content_type": []}', b"[" * 300_000]
)
def test_an_invalid_upload_request_is_refused(caller: Caller, body: bytes) -> None:
    status, response, _ = caller.ask("POST", INITIATE, body)
    assert status == 422
    assert "file_name" in json.loads(response)["detail"]


@pytest.mark.parametrize("length", ["-5", "five", "1, 2"])
def test_a_length_that_is_none_keeps_nothing(caller: Caller, length: str) -> None:
    head = f"POST /cdn/files/upload HTTP/1.1\r\nHost: {caller.host}\r\nContent-Length: {length}\r\n\r\n"
    assert exchange(caller.port, f"{head}x".encode()).status == 400
    assert caller.left() == []


def test_a_refusal_within_a_long_body_reaches_the_caller(caller: Caller) -> None:
    data = bytes(32 << 20)  # more than any socket's buffer
    assert caller.ask("POST", "/cdn/files/upload", data, auth="Key wrong:key")[0] == 401
    assert caller.ask("PUT", f"/cdn/upload/{'0' * 32}?upload=x", data, auth=None)[0] == 404
    head = f"POST /cdn/files/upload HTTP/1.1\r\nHost: {caller.host}\r\n"
    with closing(Wire(caller.port)) as wire:  # and the connection is good for more
        wire.send(f"{head}Content-Length: {len(data)}\r\n\r\n".encode())
        sender = threading.Thread(target=wire.send, args=(data,))
        sender.start()
        assert wire.reply().status == 401
        sender.join()
        wire.send(f"{head}Authorization: Key {caller.key}\r\nContent-Length: 1\r\n\r\nx".encode())
        assert wire.reply().status == 200


@pytest.mark.long
def test_a_file_may_be_as_long_as_the_owner_allows(tmp_path: Path) -> None:
    with cdn_caller(tmp_path, env={"FAL_JUPYTER_MAX_FILE": "1000", "FAL_JUPYTER_MAX_BODY": "500"}) as caller:
        assert caller.ask("POST", "/cdn/files/upload", bytes(1000))[0] == 200
        message = "the file is larger than 1000 bytes (FAL_JUPYTER_MAX_FILE)"
        for body in (bytes(1001), iter([bytes(500)] * 100)):  # its length told before, and not
            status, answer, headers = caller.ask("POST", "/cdn/files/upload", body)
            assert (status, json.loads(answer)["detail"]) == (413, message)
            assert headers["x-fal-request-id"]
        status, answer, _ = caller.ask("POST", INITIATE, bytes(501))
        assert (status, json.loads(answer)["detail"]) == (
            413,
            "the body is larger than 500 bytes (FAL_JUPYTER_MAX_BODY)",
        )
        eventually(lambda: not caller.left())
        assert len(list((caller.state / "files" / "records").iterdir())) == 1


def test_a_file_that_does_not_fit_on_the_disk_is_an_error_and_leaves_nothing(tmp_path: Path) -> None:
    with cdn_caller(tmp_path, prefix=["prlimit", f"--fsize={4 << 20}"]) as caller:
        status, body, headers = caller.ask("POST", "/cdn/files/upload", bytes(8 << 20))
        assert (status, headers["x-fal-error-type"]) == (507, "internal_error")
        assert json.loads(body)["detail"] == "the file cannot be stored: File too large"
        url, base = caller.begin_parts()
        parts = [json.loads(caller.ask("PUT", f"{base}/{n}", bytes(3 << 20))[1]) for n in (1, 2)]
        assert caller.complete(base, parts)[0] == 507
        assert caller.complete(base, parts)[0] == 507  # it may be tried again, when there is room
        assert caller.complete(base, parts[:1])[0] == 200
        assert caller.ask("GET", url, auth=None)[1] == bytes(3 << 20)
        assert caller.left() == []


def test_uploads_at_once_keep_apart(caller: Caller) -> None:
    def one(number: int) -> Any:
        data = os.urandom(200_000)
        return caller.ask("GET", caller.upload(data, f"{number}.bin"), auth=None)[1] == data

    with ThreadPoolExecutor(12) as pool:
        assert all(pool.map(one, range(40)))
