"""Refused upgrades: what follows them on their connection is never parsed as another request."""

from __future__ import annotations

import http.client
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
