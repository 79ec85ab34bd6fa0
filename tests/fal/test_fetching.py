"""Addresses that callers give, at servers that do whatever they like: what is asked for, or one error."""

from __future__ import annotations

import base64
import io
import socket
import time
from pathlib import Path

import pytest

from fal_jupyter.fal.toolkit import download_file
from fal_jupyter.fal.toolkit.utils.fetching import FetchError, TooLarge, fetch, local_bytes
from tests.support.raw_web_server import stranger

OK = b"HTTP/1.1 200 OK\r\n"


@pytest.fixture(autouse=True)
def _private_addresses_are_fine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAL_JUPYTER_ALLOW_PRIVATE_URLS", "1")


def says(data: bytes) -> object:
    return lambda connection, line: connection.sendall(data)


@pytest.mark.parametrize("framing", ["", "Content-Length: 99999999999\r\n", "Transfer-Encoding: chunked\r\n"])
def test_an_input_that_never_ends_ends_at_the_limit(framing: str) -> None:
    def endless(connection: socket.socket, line: str) -> None:
        connection.sendall(OK + framing.encode() + b"\r\n")
        piece = b"10000\r\n" + bytes(1 << 16) + b"\r\n" if "chunked" in framing else bytes(1 << 16)
        while True:
            connection.sendall(piece)

    with stranger(endless) as base:
        into = io.BytesIO()
        with pytest.raises(TooLarge):
            fetch(f"{base}/a.png", into, limit=3 << 20)
        assert len(into.getvalue()) <= 3 << 20


@pytest.mark.parametrize(
    "data",
    [
        b"", b"nonsense", b"\r\n\r\n", b"HTTP/1.1 abc\r\n\r\n", b"HTTP/1.1 200 " + b"a" * 70_000, OK + b"X: " + b"a" * 70_000, OK + b"X: y\r\n" * 200 + b"\r\n",
        OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nab", OK + b"Content-Length: 9\r\n\r\nab",
        b"HTTP/1.1 302 Found\r\nLocation: http://[::1\r\n\r\n", b"HTTP/1.1 302 Found\r\nLocation: file:///etc/passwd\r\n\r\n", b"HTTP/1.1 302 Found\r\nLocation: /again\r\n\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:99999/\r\n\r\n", b"HTTP/1.1 500 No\r\n\r\n",
    ],
    ids=[
        "nothing", "no HTTP", "empty lines", "no status", "long status", "long header", "many headers", "bad chunk", "half a chunk", "half a body", "to no address", "to a file",
        "round and round", "to no port", "failure",
    ],
)  # fmt: skip
def test_an_answer_that_is_none_is_a_fetch_error(data: bytes) -> None:
    with stranger(says(data)) as base, pytest.raises(FetchError):  # type: ignore[arg-type]
        fetch(f"{base}/a.png", io.BytesIO(), limit=1 << 20)


@pytest.mark.parametrize(
    ("path", "asked"),
    [
        ("/caf\xe9.png", "/caf%C3%A9.png"),
        ("/a b?c=\u20ac d", "/a%20b?c=%E2%82%AC%20d"),
        ("/a%20b?c=%ff&d", "/a%20b?c=%ff&d"),
        ("?a=b", "/?a=b"),
    ],
)
def test_a_url_is_requested_as_a_browser_would(path: str, asked: str) -> None:
    lines: list[str] = []

    def answer(connection: socket.socket, line: str) -> None:
        lines.append(line)
        connection.sendall(OK + b"Content-Length: 2\r\n\r\nhi")

    with stranger(answer) as base:
        into = io.BytesIO()
        assert fetch(base + path, into).size == 2
    assert (into.getvalue(), lines) == (b"hi", [f"GET {asked} HTTP/1.1"])


@pytest.mark.parametrize("address", ["http://[::1", "http://a\u2100b/", "", "nothing", "http://"])
def test_local_bytes_is_none_for_foreign_addresses(address: str) -> None:
    assert local_bytes(address, 10) is None


def test_a_silent_server_times_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fal_jupyter.fal.toolkit.utils.fetching.READ_TIMEOUT", 0.3)
    with stranger(lambda connection, line: time.sleep(30)) as base, pytest.raises(OSError, match="timed out"):
        fetch(base, io.BytesIO())


def test_the_scheme_of_local_bytes_may_have_capitals() -> None:
    assert local_bytes("DATA:,hello", 10) == b"hello"


@pytest.mark.parametrize("scheme", ["data", "DATA"])
def test_a_download_does_not_print_the_bytes_of_a_data_uri(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], scheme: str
) -> None:
    data = base64.b64encode(b"a,b\n1,2\n" * 1000).decode()
    path = download_file(f"{scheme}:text/csv;base64,{data}", tmp_path)
    assert Path(path).read_bytes() == b"a,b\n1,2\n" * 1000
    printed = capsys.readouterr().out
    assert printed.startswith(f"Downloading {scheme}:text/csv;base64,… (")
    assert len(printed) < 300
