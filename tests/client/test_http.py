from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fal_jupyter.client.connection import http
from fal_jupyter.domain.errors import GatewayError

BODY = bytes(range(256)) + b"\r\n\r\nHTTP/1.1 500 No\r\n\r\n0\r\n\r\n"


def with_length(body: bytes) -> bytes:
    return f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\nX-A: b\r\n\r\n".encode() + body


def in_chunks(pieces: list[bytes], trailer: bytes = b"") -> bytes:
    head = b"HTTP/1.1 201 Created\r\ntransfer-ENCODING: Chunked\r\nX-A:  b \r\n\r\n"
    chunks = [f"{len(p):X};ext=1\r\n".encode() + p + b"\r\n" for p in pieces if p]
    return head + b"".join(chunks) + b"0\r\n" + trailer + b"\r\n"


def cut(data: bytes, places: list[int]) -> list[bytes]:
    ends = sorted({place % (len(data) + 1) for place in places} | {0, len(data)})
    return [data[a:b] for a, b in pairwise(ends)]


def read(pieces: list[bytes], *, ended: bool = False) -> tuple[http.ResponseParser, bytes]:
    reader, body = http.ResponseParser(), bytearray()
    for piece in pieces:
        assert not reader.done, "it was complete before its last byte"
        body += reader.feed(piece)
    if ended:
        reader.end()
    return reader, bytes(body)


ANSWERS = {
    "a length": (with_length(BODY), 200, BODY),
    "an empty body": (with_length(b""), 200, b""),
    "chunks": (in_chunks([BODY, b"x", BODY * 2]), 201, BODY + b"x" + BODY * 2),
    "no chunks at all": (in_chunks([]), 201, b""),
    "chunks and a trailer": (in_chunks([BODY], b"X-Sum: 1\r\nX-More: 2\r\n"), 201, BODY),
}


@pytest.mark.parametrize("kind", ANSWERS)
def test_an_answer_is_read_byte_by_byte(kind: str) -> None:
    data, status, body = ANSWERS[kind]

    reader, found = read([data[i : i + 1] for i in range(len(data))])

    assert (reader.status, found, reader.done, reader.reusable) == (status, body, True, True)
    assert reader.headers["x-a"] == "b"


@given(st.sampled_from(sorted(ANSWERS)), st.lists(st.integers(0, 10_000), max_size=12))
def test_an_answer_is_read_however_it_is_cut(kind: str, places: list[int]) -> None:
    data, status, body = ANSWERS[kind]

    reader, found = read(cut(data, places))

    assert (reader.status, found, reader.done) == (status, body, True)


@given(st.lists(st.binary(max_size=50), max_size=6), st.lists(st.integers(0, 2000), max_size=8))
def test_any_body_comes_out_of_its_chunks(pieces: list[bytes], places: list[int]) -> None:
    reader, found = read(cut(in_chunks(pieces), places))

    assert reader.done
    assert found == b"".join(pieces)


@given(st.sampled_from(sorted(ANSWERS)), st.integers(0, 10_000))
def test_a_connection_that_ends_within_a_response_is_an_error(kind: str, place: int) -> None:
    data = ANSWERS[kind][0]
    reader = http.ResponseParser()
    reader.feed(data[: place % len(data)])

    assert not reader.done
    with pytest.raises(GatewayError, match="ended within a response"):
        reader.end()


def test_a_connection_that_ends_before_any_response_is_an_error() -> None:
    with pytest.raises(GatewayError):
        http.ResponseParser().end()


def test_an_answer_without_a_length_goes_on_to_the_end_of_its_connection() -> None:
    reader, found = read([b"HTTP/1.1 200 OK\r\n\r\nab", b"c"], ended=True)

    assert (found, reader.done, reader.reusable) == (b"abc", True, False)


@pytest.mark.parametrize("header", [b"Connection: close", b"connection: Close"])
def test_a_connection_that_will_close_is_not_used_again(header: bytes) -> None:
    reader, _ = read([b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n" + header + b"\r\n\r\n"])

    assert reader.done
    assert not reader.reusable


def test_a_connection_with_bytes_beyond_the_answer_is_not_used_again() -> None:
    reader, found = read([with_length(b"abc") + b"and more"])

    assert (found, reader.done, reader.reusable) == (b"abc", True, False)


def test_begun_is_true_once_the_head_has_arrived() -> None:
    reader = http.ResponseParser()
    reader.feed(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r")
    before = reader.begun
    reader.feed(b"\n")

    assert (before, reader.begun, reader.done) == (False, True, False)


@pytest.mark.parametrize(
    "data",
    [
        b"hello there",
        b"HTTP/2 200 OK\r\n\r\n",
        b"HTTP/1.1 \r\n\r\n",
        b"HTTP/1.1\r\n\r\n",
        b"HTTP/1.1 abc OK\r\n\r\n",
        b"HTTP/1.1 000 Nothing\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 -20 Less\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1_0\r\n\r\n0123456789",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabc",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\nabc\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\r\nabc\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nabcdef\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1" * 70_000,
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 70_000,
    ],
    ids=lambda data: repr(data[:60]),
)
def test_what_is_no_answer_is_a_value_error(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        http.ResponseParser().feed(data)
    reader = http.ResponseParser()
    with pytest.raises(ValueError, match=r"."):
        _feed_by_bytes(reader, data)


def _feed_by_bytes(reader: http.ResponseParser, data: bytes) -> None:
    """Feed an answer byte by byte, and what comes after its first thousand bytes in larger pieces."""
    for i in range(min(1000, len(data))):
        reader.feed(data[i : i + 1])
    for i in range(1000, len(data), 1000):
        reader.feed(data[i : i + 1000])


@given(st.lists(st.binary(min_size=1, max_size=30), max_size=5), st.sampled_from([b"", b"HTTP/1.1 200 OK\r\n"]))
def test_nothing_but_a_value_error_comes_of_noise(pieces: list[bytes], head: bytes) -> None:
    reader = http.ResponseParser()
    try:
        for piece in [head, *pieces, b"\r\n\r\n"]:
            reader.feed(piece)
    except ValueError:
        return
    assert reader.status == 0 or 100 <= reader.status <= 999


def test_a_request_is_written_whole() -> None:
    data = http.request("POST", "/run/me/app?a=1", b"{}", [("X-B", "c")])

    assert data == b"POST /run/me/app?a=1 HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\nX-B: c\r\n\r\n{}"


@pytest.mark.parametrize("target", ["/a\r\nX-Evil: 1", "/a b", "/a\nb"])
def test_a_request_line_cannot_be_broken_out_of(target: str) -> None:
    with pytest.raises(ValueError, match="target"):
        http.request("GET", target)


@pytest.mark.parametrize("pair", [("a", "b\r\nc: d"), ("a\n", "b"), ("a", "\0")])
def test_a_header_cannot_bring_another_one_or_a_request(pair: tuple[str, str]) -> None:
    with pytest.raises(ValueError, match="line break"):
        http.request("GET", "/", headers=[pair])
