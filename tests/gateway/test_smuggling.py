"""Refused upgrades: what follows them on their connection is never parsed as another request."""

from __future__ import annotations

import http.client
import re
import socket
from contextlib import closing

import pytest

from tests.support.serve import Served
from tests.support.wire import Wire, head, port_of

WEBSOCKET = ("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13")
KEY = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("lines", [WEBSOCKET, (*WEBSOCKET, KEY), WEBSOCKET[:2]], ids=["no key", "whole", "no version"])
@pytest.mark.parametrize("body", ["length", "chunked", "none"])
@pytest.mark.parametrize(
    "path", ["/run/{app}/", "/run/{app}/nowhere", "/run/nobody/x", "/queue/{app}", "/nowhere", "/cdn/files/x"]
)
def test_what_follows_a_refused_handshake_is_no_request(
    wide: Served, path: str, body: str, lines: tuple[str, ...], method: str
) -> None:
    port = port_of(wide.ready["base"])
    smuggled = head("POST", f"/run/{wide.ready['app']}/seen", port, wide.ready["key"], "Content-Length: 0")
    framing = {"length": [f"Content-Length: {len(smuggled)}"], "chunked": ["Transfer-Encoding: chunked"], "none": []}[
        body
    ]
    sent = head(method, path.format(app=wide.ready["app"]), port, wide.ready["key"], *lines, *framing)
    sent += b"%x\r\n%b\r\n0\r\n\r\n" % (len(smuggled), smuggled) if body == "chunked" else smuggled
    with closing(Wire(port)) as wire:
        wire.send(sent)
        answer = wire.rest()
    assert answer.count(b"HTTP/1.1 ") <= 1, answer
    if body != "none":
        assert answer.startswith(b"HTTP/1.1 400 "), answer


def test_a_connection_of_the_jupyter_proxy_has_no_control_plane(wide: Served) -> None:
    """Whatever is parsed on it, and whatever a later request says of itself."""

    def ask(sock: socket.socket, path: str, *lines: str) -> int:
        sock.sendall("\r\n".join([f"GET {path} HTTP/1.1", "host: localhost", *lines, "", ""]).encode())
        answer = http.client.HTTPResponse(sock)
        answer.begin()
        answer.read()
        return answer.status

    with socket.socket(socket.AF_UNIX) as owner, socket.socket(socket.AF_UNIX) as proxied:
        for sock in (owner, proxied):
            sock.connect(str(wide.state / "gateway.sock"))
        assert ask(owner, "/admin/apps") == 200
        assert ask(proxied, f"/run/{wide.ready['app']}/openapi.json", "x-fal-jupyter-role: data") == 200
        assert ask(proxied, "/admin/apps") == 404
        assert ask(proxied, "/admin/apps", "x-fal-jupyter-role: owner") == 404
        assert ask(proxied, "/admin/hello") == 404
    with socket.socket(socket.AF_UNIX) as panel:
        panel.connect(str(wide.state / "gateway.sock"))
        assert ask(panel, "/admin/apps", "x-fal-jupyter-role: panel") == 200
        for path in ("/admin/client-env", "/admin/feed", "/admin/hello", "/admin/apps/wide/picture"):
            assert ask(panel, path) == 404


HANDSHAKE = (*WEBSOCKET, KEY)
CHUNKED = "Transfer-Encoding: chunked"
ODD: dict[str, tuple[str, tuple[str, ...], bytes, list[int]]] = {  # method, lines, body, statuses with a good request behind it
    "folded line": ("GET", (*WEBSOCKET, "X: a\r\n b", KEY), b"", [400]),
    "two framings": ("POST", (CHUNKED, "Content-Length: 5"), b"0\r\n\r\n", [400]),
    "upgrade with two framings": ("GET", (*HANDSHAKE, CHUNKED, "Content-Length: 5"), b"", [400]),
    "upgrade with length 0": ("GET", (*HANDSHAKE, "Content-Length: 0"), b"", [403]),
    "upgrade with two lengths": ("GET", (*HANDSHAKE, "Content-Length: 0", "Content-Length: 0"), b"", [400]),
    "Connection alone": ("GET", ("Connection: upgrade",), b"", [404, 200]),
    "Upgrade alone": ("GET", ("Upgrade: websocket",), b"", [404, 200]),
    "Expect": ("GET", (*WEBSOCKET, "Expect: 100-continue"), b"", [400]),
    "Expect with a body": ("GET", (*WEBSOCKET, "Expect: 100-continue", "Content-Length: 10"), b"", [400]),
    "unknown coding": ("POST", ("Transfer-Encoding: xchunked",), b"", [400]),
    "chunked not last": ("POST", ("Transfer-Encoding: chunked, identity",), b"", [400]),
    "vertical tab": ("POST", ("Transfer-Encoding: \x0bchunked",), b"", [400]),
    "chunked twice": ("POST", (CHUNKED, CHUNKED), b"0\r\n\r\n", [400]),
    "space before the colon": ("POST", ("Content-Length : 5",), b"", [400]),
    "sign": ("POST", ("Content-Length: +5",), b"", [400]),
    "list of lengths": ("POST", ("Content-Length: 5, 5",), b"", [400]),
    "line feed in a chunk's extension": ("POST", (CHUNKED,), b"2;\nxx\r\n0\r\n\r\n", [400]),
    "line feeds for chunks": ("POST", (CHUNKED,), b"2\nxx\n0\n\n", [400]),
    "huge chunk": ("POST", (CHUNKED,), b"ffffffffffffffffff\r\n", [400]),
    "carriage return in a value": ("POST", ("X: a\rTransfer-Encoding: chunked",), b"", [400]),
    "HTTP/2 offered": ("POST", ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "Content-Length: 5"), b"POST ", [404, 200]),
}  # fmt: skip


@pytest.mark.parametrize("case", ODD.values(), ids=ODD.keys())
def test_how_a_request_ends_is_never_in_doubt(
    wide: Served, case: tuple[str, tuple[str, ...], bytes, list[int]]
) -> None:
    method, lines, body, statuses = case
    port, app, key = port_of(wide.ready["base"]), wide.ready["app"], wide.ready["key"]
    last = head("POST", f"/run/{app}/seen", port, key, "Connection: close", "Content-Length: 0")
    with closing(Wire(port)) as wire:
        wire.send(head(method, f"/run/{app}/none", port, key, *lines) + body + last)
        found = [int(status) for status in re.findall(rb"HTTP/1\.1 (\d+)", wire.rest())]
    assert found == statuses


@pytest.mark.parametrize(("lines", "status"), [(WEBSOCKET, 404), ((CHUNKED,), 400)], ids=["upgrade", "chunked"])
def test_http_1_0_neither_upgrades_nor_has_chunks(wide: Served, lines: tuple[str, ...], status: int) -> None:
    port = port_of(wide.ready["base"])
    sent = head("POST", f"/run/{wide.ready['app']}/none", port, wide.ready["key"], *lines).replace(b"1.1", b"1.0", 1)
    with closing(Wire(port)) as wire:
        wire.send(sent + b"0\r\n\r\n")
        assert re.findall(rb"HTTP/1\.1 (\d+)", wire.rest()) == [str(status).encode()]


def test_a_trailer_is_no_header(wide: Served) -> None:
    port = port_of(wide.ready["base"])
    one = (
        head("POST", f"/run/{wide.ready['app']}/headers", port, wide.ready["key"], CHUNKED) + b"0\r\nX-Late: 1\r\n\r\n"
    )
    with closing(Wire(port)) as wire:
        wire.send(one * 3)
        for _ in range(3):
            reply = wire.reply()
            assert reply.status == 200
            assert b"x-late" not in reply.body
