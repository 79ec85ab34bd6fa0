"""Files of the local CDN as they are served: types, ranges, lifetimes, and what a browser may do with them."""

from __future__ import annotations

import hashlib
import json
import socket
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import quote, urlsplit

import pytest

from fal_jupyter.gateway.storage.file_rules import OCTETS
from tests.support.cdn import INITIATE, Caller, cdn_caller, eventually
from tests.support.serve import command
from tests.support.wire import Wire


@pytest.fixture(scope="module")
def caller(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Caller]:
    with cdn_caller(tmp_path_factory.mktemp("files")) as one:
        yield one


def test_a_file_comes_with_its_type_length_and_digest(caller: Caller) -> None:
    url = caller.upload(b"hello", "a b.txt")
    status, body, headers = caller.ask("GET", url, auth=None)

    assert (status, body) == (200, b"hello")
    assert (headers["content-type"], headers["content-length"], headers["accept-ranges"]) == (
        "text/plain",
        "5",
        "bytes",
    )
    assert headers["etag"] == f'"{hashlib.sha256(b"hello").hexdigest()}"'
    assert headers["content-disposition"] == "inline; filename=\"a b.txt\"; filename*=UTF-8''a%20b.txt"
    assert headers["cache-control"].startswith("private, max-age=2")  # 30 days, where nothing else is said
    assert "access-control-allow-origin" not in headers


def test_a_question_for_the_head_leaves_the_connection_as_it_was(caller: Caller) -> None:
    path = urlsplit(caller.upload(b"hello")).path
    replies = []
    with closing(Wire(caller.port)) as wire:
        for method in ("HEAD", "GET", "HEAD", "GET"):
            wire.send(f"{method} {path} HTTP/1.1\r\nHost: {caller.host}\r\n\r\n".encode())
            reply = wire.reply(method)
            replies.append((reply.status, reply.headers["content-length"], reply.body))

    assert replies == [(200, "5", b""), (200, "5", b"hello")] * 2


@pytest.mark.parametrize("path", ["/cdn/nowhere", "/nowhere", "/run/local/nobody/"])
def test_a_failure_has_no_body_for_a_question_for_the_head(caller: Caller, path: str) -> None:
    with closing(Wire(caller.port)) as wire:
        for method in ("HEAD", "GET", "HEAD"):
            wire.send(f"{method} {path} HTTP/1.1\r\nHost: {caller.host}\r\n\r\n".encode())
            assert wire.reply(method).status in (401, 404)


@pytest.mark.parametrize(
    ("asked", "status", "body", "content_range"),
    [
        ("bytes=0-3", 206, b"0123", "bytes 0-3/10"),
        ("bytes=8-", 206, b"89", "bytes 8-9/10"),
        ("bytes=-3", 206, b"789", "bytes 7-9/10"),
        ("bytes=5-100", 206, b"56789", "bytes 5-9/10"),
        ("bytes=0-" + "9" * 5000, 206, b"0123456789", "bytes 0-9/10"),
        ("bytes=10-", 416, None, "bytes */10"),
        ("bytes=-0", 416, None, "bytes */10"),
        ("bytes=3-1", 200, b"0123456789", None),
        ("bytes=0-1,4-5", 200, b"0123456789", None),
        ("lines=0-1", 200, b"0123456789", None),
    ],
)
def test_ranges(caller: Caller, asked: str, status: int, body: bytes | None, content_range: str | None) -> None:
    url = caller.upload(b"0123456789")
    found, data, headers = caller.ask("GET", url, auth=None, range=asked)

    assert (found, headers.get("content-range")) == (status, content_range)
    if body is None:
        assert json.loads(data)["detail"] == "the file has 10 bytes, and the range lies behind them"
    else:
        assert (data, headers["content-length"]) == (body, str(len(body)))
    assert caller.ask("GET", url, auth=None, range=asked, if_range='"other"')[0] == 200
    etag = f'"{hashlib.sha256(b"0123456789").hexdigest()}"'
    assert caller.ask("GET", url, auth=None, range=asked, if_range=etag)[0] == status
    assert caller.ask("HEAD", url, auth=None, range=asked)[0] == status


@pytest.mark.parametrize("known", ["{}", 'W/{}, "other"', '"other", {}', "*"])
def test_who_has_the_file_already_does_not_get_it_again(caller: Caller, known: str) -> None:
    url = caller.upload(b"known")
    etag = f'"{hashlib.sha256(b"known").hexdigest()}"'
    status, body, headers = caller.ask("GET", url, auth=None, if_none_match=known.format(etag), range="bytes=0-1")

    assert (status, body, headers["etag"]) == (304, b"", etag)
    assert caller.ask("GET", url, auth=None, if_none_match='"other"')[0] == 200


def test_an_empty_file_is_a_file(caller: Caller) -> None:
    url = caller.upload(b"")
    assert caller.ask("GET", url, auth=None)[:2] == (200, b"")
    assert caller.ask("GET", url, auth=None, range="bytes=0-")[0] == 416


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("b.txt", "b.txt"),
        ("../../etc/passwd", "_.._etc_passwd"),
        ("..", "file"),
        ("é 漢.png", "é 漢.png"),
        ('a"b;c.txt', 'a"b;c.txt'),
        ("x" * 300 + ".png", "x" * 196 + ".png"),
    ],
)
def test_names_are_names_and_nothing_else(caller: Caller, given: str, kept: str) -> None:
    url = caller.upload(b"x", given.encode().decode("latin-1"))  # as bytes of UTF-8
    headers = caller.ask("GET", url, auth=None)[2]

    assert url.rpartition("/")[2] == quote(kept, safe="")
    assert headers["content-disposition"].endswith(f"filename*=UTF-8''{quote(kept, safe='')}")
    assert headers["content-disposition"].isascii()


def test_a_page_that_was_uploaded_runs_nothing(caller: Caller) -> None:
    url = caller.upload(b"<script>alert(1)</script>", "x.html", "text/html; charset=utf-8")
    headers = caller.ask("GET", url, auth=None)[2]

    assert headers["content-security-policy"].startswith("sandbox; default-src 'none';")
    assert "script-src" not in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    odd = caller.upload(b"x", "x", "text/html\\r\\nx: y")
    assert caller.ask("GET", odd, auth=None)[2]["content-type"] == OCTETS


@pytest.mark.parametrize("header", ["x_fal_object_lifecycle", "x_fal_object_lifecycle_preference"])
def test_a_lifetime_ends_and_its_file_is_swept_by_itself(caller: Caller, header: str) -> None:
    url = caller.upload(b"soon gone", **{header: '{"expiration_duration_seconds": 1}'})
    record = caller.state / "files" / "records" / f"{url.split('/')[-2]}.json"
    status, _, headers = caller.ask("GET", url, auth=None)

    assert (status, headers["cache-control"], record.exists()) == (200, "private, max-age=0", True)
    eventually(lambda: caller.ask("GET", url, auth=None)[0] == 404)
    assert json.loads(caller.ask("GET", url, auth=None)[1])["detail"] == "there is no such file, or it has expired"
    eventually(lambda: not record.exists())


def test_the_files_have_a_limit_together_and_are_listed_and_removed_by_a_command(tmp_path: Path) -> None:
    limits = {"FAL_JUPYTER_CDN_BYTES": "1000", "FAL_JUPYTER_FILE_LIFETIME": "3600"}
    with cdn_caller(tmp_path, env=limits) as caller:
        url = caller.upload(b"x" * 600)
        age = int(caller.ask("GET", url, auth=None)[2]["cache-control"].rpartition("=")[2])
        assert 3500 < age <= 3600
        status, body, _ = caller.ask("POST", "/cdn/files/upload", b"y" * 401, auth=caller.token())
        assert status == 507
        assert "files of the local CDN are limited to 1000 bytes (FAL_JUPYTER_CDN_BYTES)" in json.loads(body)["detail"]
        _, base = caller.begin_parts()
        assert [caller.ask("PUT", f"{base}/{n}", b"z" * 150)[0] for n in (1, 2, 3)] == [200, 200, 507]
        used = json.loads(command(caller.state, "files", "usage", "--json").stdout)["cdn"]
        assert (used["files"], used["bytes"], used["unfinished"]) == (1, 600, 300)
        assert "0 files of the local CDN removed" in command(caller.state, "files", "clean").stdout
        assert "0 files of the local CDN removed" in command(caller.state, "files", "clean", "--older", "1h").stdout
        output = command(caller.state, "files", "clean", "--all").stdout
        assert output == "1 file of the local CDN removed, 600 B freed.\n"
        assert caller.ask("GET", url, auth=None)[0] == 404
        assert caller.ask("PUT", f"{base}/3", b"z" * 150)[0] == 200
        for words in (("usage", "--all"), ("clean", "--all", "--older", "1d"), ("clean", "--older", "soon")):
            assert command(caller.state, "files", *words).returncode in (1, 2)


@pytest.mark.parametrize(("access", "status"), [("forbid", 403), ("hide", 404), ("allow", 200)])
@pytest.mark.parametrize("way", ["whole", "parts", "promised"])
def test_a_file_that_is_not_public_is_its_owners(caller: Caller, access: str, status: int, way: str) -> None:
    lifecycle = {"x_fal_object_lifecycle": json.dumps({"initial_acl": {"default": access}})}
    if way == "whole":
        url = caller.upload(b"mine", **lifecycle)
    elif way == "parts":
        response = json.loads(
            caller.ask("POST", "/cdn/files/upload/multipart", content_type="text/plain", **lifecycle)[1]
        )
        url, base = response["access_url"], f"{response['access_url']}/multipart/{response['uploadId']}"
        etag = json.loads(caller.ask("PUT", f"{base}/1", b"mine")[1])["etag"]
        assert caller.complete(base, [{"partNumber": 1, "etag": etag}])[0] == 200
    else:
        response = caller.json("POST", INITIATE, {"content_type": "text/plain", "file_name": "a"}, **lifecycle)
        url = response["file_url"]
        assert caller.ask("PUT", response["upload_url"], b"mine", auth=None)[0] == 200

    for method in ("GET", "HEAD"):
        assert caller.ask(method, url, auth=None)[0] == status
        assert caller.ask(method, url, auth="Key a:b")[0] == status
        assert caller.ask(method, url)[0] == 200
    body, headers = caller.ask("GET", url, auth=None, range="bytes=0-1")[1:]
    assert (b"mi" in body) == (access == "allow")
    assert "etag" not in headers or access == "allow"
    if status != 200:
        body = caller.ask("GET", url, auth=None)[1]
        assert caller.ask("GET", url)[2]["cache-control"] == "no-store"
        told_so = json.loads(body)["detail"]
        assert ("owner only" in told_so) == (access == "forbid")


def test_a_file_whose_bytes_were_removed_is_no_file(caller: Caller) -> None:
    url = caller.upload(b"removed by hand")
    stored = caller.store.find(url.split("/")[-2], time.time())
    assert stored is not None
    stored.path.unlink()
    assert caller.ask("GET", url, auth=None)[0] == 404


def resident(pid: int) -> int:
    """Bytes of memory that a process has."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096


@pytest.mark.long  # tests/e2e/test_gateway_faults.py has a caller that reads nothing
def test_who_takes_nothing_costs_no_memory_and_is_hung_up_on(tmp_path: Path) -> None:
    with cdn_caller(tmp_path, env={"FAL_JUPYTER_SEND_TIMEOUT": "1"}) as caller:
        source = tmp_path / "large"
        with source.open("wb") as file:
            file.truncate(96 << 20)
        stored = caller.store.put_path(source, content_type=OCTETS, file_name="large", now=time.time())
        before = resident(caller.gateway)
        with socket.create_connection(("127.0.0.1", caller.port), timeout=30) as sock:
            sock.sendall(f"GET /cdn/files/{stored.id}/large HTTP/1.1\r\nHost: {caller.host}\r\n\r\n".encode())
            eventually(caller.open_files)
            eventually(lambda: not caller.open_files())  # hung up
            assert resident(caller.gateway) - before < 32 << 20
            taken = 0
            try:
                while piece := sock.recv(1 << 20):
                    taken += len(piece)
            except ConnectionResetError:
                pass
            assert taken < stored.size
        assert caller.ask("GET", stored.url(f"http://{caller.host}/cdn"), auth=None)[1] == bytes(96 << 20)
        assert "Uncaught" not in (caller.state / "logs" / "gateway.log").read_text()


def test_who_hangs_up_while_a_file_comes_leaves_nothing_open(caller: Caller, tmp_path: Path) -> None:
    source = tmp_path / "large"
    with source.open("wb") as file:
        file.truncate(64 << 20)
    stored = caller.store.put_path(source, content_type=OCTETS, file_name="large", now=time.time())
    with socket.create_connection(("127.0.0.1", caller.port), timeout=30) as sock:
        sock.sendall(f"GET /cdn/files/{stored.id}/large HTTP/1.1\r\nHost: {caller.host}\r\n\r\n".encode())
        eventually(caller.open_files)
    eventually(lambda: not caller.open_files())
    assert "Uncaught" not in (caller.state / "logs" / "gateway.log").read_text()


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/cdn/files/" + "0" * 32 + "/a", 404),
        ("GET", "/cdn/files/" + "0" * 31 + "/a", 404),
        ("GET", "/cdn/files/../../etc/passwd", 400),
        ("GET", "/cdn/files/%2e%2e/x", 400),
        ("GET", "/cdn/files/" + "0" * 32 + "/..%2f..%2fetc%2fpasswd", 400),
        ("GET", "/cdn/files/" + "0" * 32 + "/%00", 400),
        ("DELETE", "/cdn/files/" + "0" * 32 + "/a", 405),
        ("POST", "/cdn/nowhere", 404),
    ],
)
def test_what_is_no_file_is_refused_in_fals_shape(caller: Caller, method: str, path: str, status: int) -> None:
    found, body, headers = caller.ask(method, path, auth=None)

    assert found == status
    assert json.loads(body)["detail"]
    assert headers["x-fal-request-id"]
