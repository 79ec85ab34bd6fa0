"""Bytes that are no request that the gateway takes: a JSON answer in fal's shape, after the answers to what came before them."""

from __future__ import annotations

import json
from contextlib import closing

import pytest

from tests.support.serve import Served
from tests.support.wire import Reply, Wire, exchange, head, port_of

ADA = b'{"name": "Ada"}'


def port(wide: Served) -> int:
    return port_of(wide.ready["base"])


def post(wide: Served, *lines: str, path: str = "/", body: bytes = ADA) -> bytes:
    """A POST of *body* with the key."""
    fixed = (f"Content-Length: {len(body)}", "Content-Type: application/json")
    return head("POST", f"/run/{wide.ready['app']}{path}", port(wide), wide.ready["key"], *fixed, *lines) + body


def assert_refused(reply: Reply, status: int = 400) -> None:
    assert reply.status == status
    assert reply.headers["content-type"] == "application/json"
    response = json.loads(reply.body)
    assert isinstance(response["detail"], str)
    assert response["detail"]
    assert response["request_id"] == reply.headers["x-fal-request-id"]
    assert response["error_type"] == reply.headers["x-fal-error-type"]


BAD = {
    "no request": b"nonsense\r\n\r\n",
    "no length": b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: five\r\n\r\n",
    "negative length": b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: -3\r\n\r\nabc",
    "length in other digits": b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: \xb2\r\n\r\n",
    "huge length": b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 99999999999999999999999\r\n\r\n",
    "two lengths": b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
    "bad chunk": b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    "unknown method": b"WORK / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    "connect": b"CONNECT a:1 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    "control character": b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: a\x00b\r\n\r\n",
    "long head": b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: " + b"a" * 80_000 + b"\r\n\r\n",
}


@pytest.mark.parametrize("data", BAD.values(), ids=BAD.keys())
def test_a_head_that_is_none_is_refused_in_fals_shape(wide: Served, data: bytes) -> None:
    with closing(Wire(port(wide))) as wire:
        wire.send(data)
        reply = wire.reply()
        assert_refused(reply, 405 if data == BAD["unknown method"] else 400)
        assert reply.headers["connection"] == "close"
        assert wire.rest() == b""


@pytest.mark.parametrize("data", BAD.values(), ids=BAD.keys())
def test_earlier_requests_are_answered_first(wide: Served, data: bytes) -> None:
    with closing(Wire(port(wide))) as wire:  # in one piece
        wire.send(post(wide) + post(wide, body=b'{"name": "Bob"}') + data)
        assert [json.loads(wire.reply().body)["text"] for _ in range(2)] == ["Hello, Ada", "Hello, Bob"]
        assert_refused(wire.reply())
        assert wire.rest() == b""
    with closing(Wire(port(wide))) as wire:  # and when it comes after the answer
        wire.send(post(wide))
        assert wire.reply().status == 200
        wire.send(data)
        assert_refused(wire.reply(), 405 if data == BAD["unknown method"] else 400)
        assert wire.rest() == b""


def test_a_refusal_is_read_by_who_goes_on_sending(wide: Served) -> None:
    with closing(Wire(port(wide))) as wire:
        wire.send(BAD["negative length"] + bytes(8 << 20))
        assert_refused(wire.reply())


def test_a_request_after_a_head_that_is_too_long_is_not_taken_for_it(wide: Served) -> None:
    long, after = BAD["long head"], post(wide)
    with closing(Wire(port(wide))) as wire:
        wire.send(long[:70_000])
        wire.send(long[70_000:] + after)
        rest = wire.rest()
    assert rest.startswith(b"HTTP/1.1 400 ")
    assert rest.count(b"HTTP/1.1 ") == 1


@pytest.mark.parametrize("cut", [1, 60, 10_000], ids=["at once", "after the head", "in the body"])
@pytest.mark.parametrize("length", ["length", "chunked"])
def test_who_offers_http2_is_answered_with_http1(wide: Served, cut: int, length: str) -> None:
    """As Java's client and ``curl --http2`` do with each plain request."""
    offer = ["Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA"]
    body = json.dumps({"name": "n" * 20_000}).encode()
    data = post(wide, *offer, body=body)
    if length == "chunked":
        data = data.replace(f"Content-Length: {len(body)}".encode(), b"Transfer-Encoding: chunked")
        data = data.removesuffix(body) + b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
    with closing(Wire(port(wide))) as wire:
        for _ in range(2):  # and the connection stays
            wire.send(data[:cut])
            wire.send(data[cut:])
            reply = wire.reply()
            assert (reply.status, len(json.loads(reply.body)["text"])) == (200, 20_007)
        wire.send(data + post(wide))  # with one more behind it
        assert [wire.reply().status for _ in range(2)] == [200, 200]
        wire.send(head("GET", f"/run/{wide.ready['app']}/openapi.json", port(wide), wide.ready["key"], *offer))
        assert wire.reply().status == 200


@pytest.mark.parametrize("given", ["127.0.0.1:\xb2", "127.0.0.1:" + "9" * 5000, "127.0.0.1:-1", "localhost:\xb9\xb2"])
def test_a_port_that_is_none_is_another_host(wide: Served, given: str) -> None:
    data = head("POST", f"/run/{wide.ready['app']}/", port(wide), wide.ready["key"], "Content-Length: 2", host=given)
    assert_refused(exchange(port(wide), data + b"{}"), 421)


@pytest.mark.parametrize("path", ["/run/{app}/", "/queue/{app}/", "/cdn/files/upload", "/rest/tokens/"])
def test_a_length_with_thousands_of_noughts_is_a_length(wide: Served, path: str) -> None:
    length = "0" * 5000 + str(len(ADA))
    target = path.format(app=wide.ready["app"])
    sent = head("POST", target, port(wide), wide.ready["key"], f"Content-Length: {length}") + ADA
    reply = exchange(port(wide), sent)
    assert reply.status in (200, 422)


@pytest.mark.parametrize("path", ["/queue/{app}/", "/cdn/files/upload", "/rest/tokens/"])
def test_two_hosts_are_refused(wide: Served, path: str) -> None:
    data = head(
        "POST", path.format(app=wide.ready["app"]), port(wide), wide.ready["key"], "Host: a", "Content-Length: 2"
    )
    with closing(Wire(port(wide))) as wire:
        wire.send(data + b"{}")
        assert_refused(wire.reply())
        wire.send(post(wide))
        assert wire.reply().status == 200


def test_a_refusal_after_expect_announces_the_end_of_the_connection(wide: Served) -> None:
    data = post(wide, "Expect: 100-continue").replace(b"Key ", b"Key x")
    for sent in (data, data.removesuffix(ADA)):  # whether the body comes all the same or not
        with closing(Wire(port(wide))) as wire:
            wire.send(sent)
            reply = wire.reply()
            assert_refused_key(reply)
            assert reply.headers["connection"] == "close"


def assert_refused_key(reply: Reply) -> None:
    assert reply.status == 401
    assert "Key id:secret" in json.loads(reply.body)["detail"]


def test_a_connection_is_good_after_a_stream_of_a_jobs_states(wide: Served) -> None:
    with closing(Wire(port(wide))) as wire:
        wire.send(post(wide).replace(b"/run/", b"/queue/", 1))
        address = json.loads(wire.reply().body)["status_url"].partition("/queue/")[2]
        asked = head("GET", f"/queue/{address}/stream", port(wide), wide.ready["key"])
        for _ in range(2):
            wire.send(asked)
            reply = wire.reply("GET")
            assert (reply.status, reply.headers["content-type"]) == (200, "text/event-stream")
            assert b"COMPLETED" in reply.body


@pytest.mark.parametrize("length", ["²", "-1", "x", "9" * 5000])
def test_a_length_that_an_app_invents_is_no_error_of_the_gateway(wide: Served, length: str) -> None:
    sent = json.dumps({"name": "content-length", "value": length}).encode()
    with closing(Wire(port(wide))) as wire:
        wire.send(post(wide, path="/inject", body=sent))
        assert wire.reply().status in (200, 500, 502)
    assert wide.request("/", {"name": "Ada"}).status == 200
